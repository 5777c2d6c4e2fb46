/* checkpoint/merge.h -- a base model with an adapter merged into it, as a new model.
 *
 *     W' = round(W + scale * (B * A))      per element; scale in f32
 * and with DoRA, round(M[o] / |V[o]| * V[o]) for each row V[o] of that sum. An embedding or a head that the adapter
 * replaces is written in place of the base's, rounded once; of some rows, these, and all others as they are. Where that
 * cuts the tie of the two, both are stored and config.json says tie_word_embeddings: false.
 * B * A is summed over the rank in its order, each step rounded to f32 as a fused multiply-add
 * rounds, so the result is that of PEFT's merge, and the same on every machine. W is the stored
 * weight in f32; the sum is rounded once, to the type that is written.
 *
 * The ledger, without which no output stays: every module of the adapter is used exactly once,
 * every targeted tensor differs from the base, every other one is equal to it, byte by byte where
 * the type stays. It is checked on the written files, read back. A value that does not fit the type
 * (f16 beyond 65,504) is LRK_ENUMERIC.
 *
 * Weights are streamed, a panel of rows at a time; memory does not grow with the model. A line on
 * standard error tells how far it is.
 */
#ifndef LRK_CHECKPOINT_MERGE_H
#define LRK_CHECKPOINT_MERGE_H
#include "checkpoint/adapter.h"
#include "checkpoint/file_type.h"

/* The text side of the output, from whoever knows tokenizers: generate/merge_model.h, which is the
 * way to merge a whole model. */
typedef struct lrk_merge_text {
    /* a GGUF file made from a directory, or whose tokenizer is another one than its base's: sets the keys of the
     * tokenizer; rows: of the embedding */
    lrk_status (*put)(void *ctx, lrk_gguf_writer *w, size_t rows, lrk_err *err);
    void *ctx;
    /* a directory made from a GGUF file: what is written beside the weights */
    const lrk_merge_file *file;
    size_t n_files;
} lrk_merge_text;

typedef struct lrk_merge_options {
    const char *out; /* a directory that is empty or not there; for GGUF a file that is not */
    bool gguf;
    const lrk_file_type *type; /* a directory: f32, f16, bf16. NULL: see below */
    uint64_t shard_bytes;      /* largest file of a directory; 0: 5 GB */
    const char *tokenizer;     /* directory whose tokenizer goes with the output in place of the base's, or NULL */
    const int64_t *eos;        /* eos_token_id of config.json in place of the base's, or NULL */
    bool any_base;             /* see lrk_adapter_check_base */
    const char *chat_template;   /* its text in place of the base's, where conversations were trained with
                                    another one; NULL: the base's */
    const lrk_merge_file *extra; /* more files: manifest and model card. In a directory one takes the place of
                                    the base's of that name; in a GGUF file it is the key lorikeet.NAME */
    size_t n_extra;
    const lrk_gguf_origin *origin; /* of a GGUF file made from a directory: its general keys; NULL: general.name
                                      alone, after the directory */
    const lrk_merge_text *text; /* NULL: a GGUF file made from a directory has no tokenizer, and a
                                   directory made from a GGUF file only what `tokenizer` names */
} lrk_merge_options;

/* How far the adapted tensors of a layer moved: the base and the output, both in the output's type. */
#define LRK_NO_LAYER SIZE_MAX
enum { LRK_MAX_CHANGES = 1025 }; /* as many as there can be layers, and what lies outside of them */
typedef struct lrk_merge_change {
    size_t layer;         /* LRK_NO_LAYER: outside of layers */
    double largest;       /* of |W' - W|, over the elements */
    const char *tensor;   /* that has it; named by the base, and lives as long */
    double moved, weight; /* sums of (W' - W)^2 and of W^2 */
} lrk_merge_change;

/* sqrt(moved / weight) */
double lrk_merge_relative(const lrk_merge_change *c);

typedef struct lrk_merge_report {
    size_t merged, carried; /* tensors changed, and taken over */
    lrk_merge_change change[LRK_MAX_CHANGES]; /* ascending by layer */
    size_t n_changes;
    size_t files;           /* that hold weights */
    uint64_t bytes;         /* of all tensors */
    bool needs_tokenizer;   /* a directory made from a GGUF file has none, for none was given */
} lrk_merge_report;

/* Sets merged, carried, bytes and change, [{"layer", "largest", "relative", "tensor"}], of an object. */
void lrk_merge_report_put(const lrk_merge_report *r, lrk_json *object);

/* adapter may be NULL: then the model is only converted. Without a type, one of 16 or 32 bits
 * stays; a quantized tensor becomes f16, but stays as it is where the output is GGUF and no adapter
 * touches it. In a directory made from a GGUF file every tensor gets the same type: the first of
 * f32, bf16, f16 that a stored matrix has, f16 where all are quantized. Vectors stay f32 in GGUF.
 *
 * A directory gets config.json, generation_config.json, how images are prepared, the tokenizer and the chat template of
 * its base, byte for byte; from a GGUF base config.json is made from the metadata, and the rest is that
 * of `tokenizer` or `text`. A GGUF file gets the keys of a GGUF base byte for byte; from a directory
 * they are made as llama.cpp's converter makes them, those of the tokenizer by `text`. Where
 * chat_template is given, what said the base's says that one.
 * A failed merge leaves no file. */
lrk_status lrk_merge(const lrk_weights *base, const lrk_adapter *adapter,
                     const lrk_merge_options *options, lrk_merge_report *report, lrk_err *err);

/* The bytes of all tensors that a merge with these options would write, without writing: those of the report, for an
 * adapter whose matrices land where the type is given or stays. own_head: the adapter parts the head from an embedding
 * that it is tied to. Fails where the merge would find that the model has no such form. */
lrk_status lrk_merge_bytes(const lrk_weights *base, bool own_head, const lrk_merge_options *options, uint64_t *bytes,
                           lrk_err *err);

#endif /* LRK_CHECKPOINT_MERGE_H */
