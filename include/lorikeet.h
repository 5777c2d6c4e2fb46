/* lorikeet.h -- the C interface of Lorikeet: plan and train LoRA adapters, let models answer, merge.
 *
 *   lorikeet_error error = {0};
 *   if (lorikeet_train("recipe.yaml", NULL, 0, NULL, &error) != 0) {
 *       fprintf(stderr, "%s\n", error.text);
 *       return error.code;
 *   }
 *
 * Link with -llorikeet. Functions that can fail return 0, or the exit code that the program would
 * end with, and then fill *error:
 *
 *    2 wrong usage or recipe    3 bad input    4 input or output failed    5 out of memory
 *    6 GPU    7 numbers went wrong    8 in use by another process    9 internal
 *   75 stopped (lorikeet_stop), can be resumed
 *
 * Strings are UTF-8 and NUL-terminated; they stay the caller's and are not kept beyond the call,
 * unless said otherwise. One call at a time: the library shares one pool of threads. It prints
 * messages and progress to standard error, never to standard output, never ends the process, and
 * never touches the network.
 */
#ifndef LORIKEET_H
#define LORIKEET_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LORIKEET_VERSION_MAJOR 0
#define LORIKEET_VERSION_MINOR 1

typedef struct lorikeet_error {
    int code; /* 0: none */
    char text[2000];
} lorikeet_error;

/* ---- the machine ---- */

/* 0 threads: one for each processor. Results do not depend on it. */
void lorikeet_set_threads(int threads);

/* 0: warnings only. 1: as the program does. 2: more. */
void lorikeet_set_verbosity(int level);

/* Asks a call under way in another thread, or in the code a signal interrupted, to stop: training
 * finishes its step, saves and returns 75. Safe in signal handlers. Stays set until cleared. */
void lorikeet_stop(void);
void lorikeet_clear_stop(void);

/* ---- training ---- */

/* What a run will need. Bytes are resident memory at its peak. */
typedef struct lorikeet_plan {
    uint64_t bytes, bytes_weights, bytes_adapters, bytes_activations;
    uint64_t parameters, trained_parameters;
    uint64_t rows, tokens, trained_tokens; /* of the data */
    uint64_t steps;                        /* of the run */
    double flops;                          /* of the whole run */
} lorikeet_plan;

/* recipe: path of a YAML file (docs/recipe.md). overrides: "key=value", n of them. */
int lorikeet_plan_recipe(const char *recipe, const char *const *overrides, size_t n,
                         lorikeet_plan *plan, lorikeet_error *error);

typedef struct lorikeet_train_options {
    int resume; /* go on from the newest checkpoint in output_dir */
} lorikeet_train_options;

/* Trains, writes the run directory, the adapter and the exports that the recipe asks for. options
 * may be NULL. */
int lorikeet_train(const char *recipe, const char *const *overrides, size_t n,
                   const lorikeet_train_options *options, lorikeet_error *error);

/* ---- answering ---- */

typedef struct lorikeet_model lorikeet_model;

/* model: a Hugging Face directory or a GGUF file. adapter: a PEFT adapter directory, or NULL. The
 * files are mapped and have to stay as they are while the model is open. */
int lorikeet_open(lorikeet_model **model, const char *path, const char *adapter,
                  lorikeet_error *error);
void lorikeet_close(lorikeet_model *model); /* NULL is fine */

typedef struct lorikeet_sampling {
    size_t max_tokens;  /* 0: 256 */
    double temperature; /* 0: always the likeliest token */
    size_t top_k;       /* 0: all */
    double top_p;       /* 0: 1 */
    uint64_t seed;
} lorikeet_sampling;

/* Continues `prompt` as it stands; with chat, the prompt is a user's turn and goes through the model's
 * chat template. *answer is the caller's to free with lorikeet_free. sampling may be NULL. */
int lorikeet_answer(lorikeet_model *model, const char *prompt, int chat,
                    const lorikeet_sampling *sampling, char **answer, lorikeet_error *error);
void lorikeet_free(void *p);

/* ---- merging ---- */

/* Writes base + adapter. out: a path that ends in ".gguf", or a directory that is empty or not there.
 * type: "f32", "f16", "bf16", for GGUF also "q8_0", "q4_k_m" and the other names of lorikeet merge
 * --dtype; NULL: the stored type where it has 16 or 32 bits, else f16. Manifest and model card go
 * with it. Tokenizer and chat template that lie beside the adapter take the place of the base's. */
int lorikeet_merge(const char *base, const char *adapter, const char *out, const char *type,
                   lorikeet_error *error);

/* "0.1.0" */
const char *lorikeet_version(void);

#ifdef __cplusplus
}
#endif
#endif /* LORIKEET_H */
