/* cli/merge_run.h -- what merge and convert share: options, the run, the report. */
#ifndef LRK_CLI_MERGE_RUN_H
#define LRK_CLI_MERGE_RUN_H
#include "cli/command.h"
#include "generate/merge_model.h"

typedef struct lrk_merge_args {
    const char *model, *adapter; /* NULL: not given */
    bool gguf_said;              /* the form of the output is given, by --format or by its name */
    bool ollama;                 /* --format ollama: a bundle with the GGUF file in it */
    const char *chat_template;   /* of the output, or NULL: what was trained with */
    const char *bundle;          /* its directory, o.out the GGUF file in it; NULL: no bundle */
    bool image;       /* the base is a single safetensors file: an image model */
    const char *part; /* of it */
    bool json;
    lrk_merge_options o;
} lrk_merge_args;

/* --model M (or --base M), --adapter, --out and the options of a merge; LRK_EUSAGE. */
lrk_status lrk_merge_parse(lrk_merge_args *m, const char *command, int argc, char **argv,
                           lrk_err *err);

/* Merges, or converts where there is no adapter, writes Modelfile, manifest and model card where the
 * output is a directory, and prints the report. */
lrk_status lrk_merge_run(const lrk_merge_args *m, lrk_err *err);

/* The same for an image model (merge_image_run.c). */
lrk_status lrk_merge_image_run(const lrk_merge_args *m, lrk_err *err);

lrk_status lrk_merge_print(const lrk_merge_options *o, const lrk_merge_report *r, bool json, lrk_err *err);

/* What an adapter was written as, each a path or NULL. */
typedef struct lrk_adapter_outputs {
    const char *gguf, *peft, *ollama;
    size_t modules;
    bool json;
} lrk_adapter_outputs;

lrk_status lrk_print_adapter_outputs(const lrk_adapter_outputs *o, lrk_err *err);

/* A directory is to be made at path: a name that says it is a file of weights is a mistake; LRK_EUSAGE. */
lrk_status lrk_check_directory_name(const char *path, lrk_err *err);

/* Nothing is at path yet, but perhaps an empty directory where one is wanted, by a name that fits one;
 * LRK_EUSAGE. */
lrk_status lrk_output_is_free(const char *path, bool directory, lrk_err *err);

/* Two outputs of one command, neither there yet: LRK_EUSAGE where they are one, or one lies inside the other, by
 * whatever name, through ".." and links too. */
lrk_status lrk_outputs_apart(const char *a, const char *b, lrk_err *err);
/* LRK_EUSAGE where out would lie at or in the directory `read`. */
lrk_status lrk_output_outside(const char *out, const char *read, lrk_err *err);

#endif /* LRK_CLI_MERGE_RUN_H */
