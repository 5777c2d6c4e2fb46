/* checkpoint/merge_tensor.h -- one tensor of a merge: where it comes from and what is written.
 *
 * Inside checkpoint/ only. */
#ifndef LRK_CHECKPOINT_MERGE_TENSOR_H
#define LRK_CHECKPOINT_MERGE_TENSOR_H
#include "checkpoint/gguf_source.h"
#include "checkpoint/merge.h"

/* Rows where GGUF has another order (names.h): as they are, from GGUF's order to Hugging Face's, or the other way. Of
 * kv_b_proj: the half that makes keys, transposed head by head, or that of values (names.h). */
typedef enum lrk_row_order {
    LRK_ROWS_AS_IS,
    LRK_ROWS_TO_HF,
    LRK_ROWS_TO_GGUF,
    LRK_ROWS_KEYS,
    LRK_ROWS_VALUES
} lrk_row_order;

typedef struct lrk_merge_item {
    const char *name;                 /* Hugging Face */
    const char *out_name;             /* in the file to write */
    lrk_tensor src;                   /* as stored */
    lrk_tensor out;                   /* type and shape to write; no data */
    const lrk_adapter_module *module; /* or NULL */
    const lrk_adapter_whole *whole;   /* what stands for src or for some of its rows, or NULL */
    lrk_row_order order;
    lrk_order rows;     /* GGUF's, on either side */
    size_t head_dim;    /* KEYS, VALUES: rows of a head */
    size_t first_row;   /* VALUES: where those of a head begin */
    bool base_permuted; /* rows of src are in GGUF's order: B's must follow */
    float shift;        /* added to every element: norms of GGUF are 1 + w */
    bool beside;        /* not of the language model: stays as stored */
    bool may_stay;      /* as it was, where the module's B is zero */
    size_t part, parts; /* of a tensor of experts in GGUF; parts 0: a tensor of its own */
} lrk_merge_item;

typedef lrk_status (*lrk_sink)(void *ctx, const void *data, size_t n, lrk_err *err);

/* All of a merge: base, adapter, options, items, and the report to fill. */
typedef struct lrk_merge_job {
    const lrk_weights *base;
    const lrk_adapter *adapter;
    const lrk_merge_options *options;
    lrk_merge_report *report;
    lrk_merge_item *item;
    size_t n;
    lrk_arena arena;
    bool untied;       /* head and embedding, which the base ties, part */
    const char **made; /* files written so far, for the way back */
    size_t n_made;
    uint64_t done; /* bytes written */
    double shown;  /* when the line about it was last written */
} lrk_merge_job;

/* Computes the rows of the output in order and hands them over, panel after panel. */
lrk_status lrk_merge_stream(lrk_merge_job *job, const lrk_merge_item *item, lrk_sink sink,
                            void *ctx, lrk_err *err);
/* The same into the tensor of w that comes next. */
lrk_status lrk_merge_to_safetensors(lrk_merge_job *job, const lrk_merge_item *item, lrk_st_writer *w, lrk_err *err);

/* Holds what was written against the base alone: LRK_ENUMERIC where a targeted tensor did not
 * change, or another one did. How far it changed goes into the report. */
lrk_status lrk_merge_verify(const lrk_merge_job *job, const lrk_merge_item *item,
                            const lrk_tensor *written, lrk_err *err);

bool lrk_merge_is_zero(const lrk_adapter_module *m); /* its B is */

/* Adds n rows of the output, as the base alone would be and as they are (merge_change.c). */
lrk_status lrk_merge_change_rows(lrk_merge_change *c, const lrk_merge_item *item, const void *base,
                                 const void *written, size_t n, lrk_err *err);
/* A tensor's change goes to that of its layer. */
lrk_status lrk_merge_change_note(lrk_merge_report *r, const lrk_merge_item *item,
                                 const lrk_merge_change *c, lrk_err *err);

const lrk_merge_item *lrk_merge_item_find(const lrk_merge_job *job, const char *out_name);

/* Adds a path to `made` before the file appears. */
lrk_status lrk_merge_made(lrk_merge_job *job, const char *path, lrk_err *err);

lrk_status lrk_merge_write_hf(lrk_merge_job *job, lrk_err *err);   /* merge_hf.c */
lrk_status lrk_merge_write_gguf(lrk_merge_job *job, lrk_err *err); /* merge_gguf.c */

/* The keys of a GGUF file for a Hugging Face model, but those of the tokenizer (gguf_from_hf.c). */
lrk_status lrk_gguf_put_config(lrk_gguf_writer *w, const lrk_weights *base, const lrk_gguf_origin *origin,
                               lrk_err *err);
/* llama3 rope scaling as GGUF holds it: head_dim / 2 divisors (at most LRK_MAX_HALF_HEAD), computed
 * from config.json; *n is 0 where the model has none. */
lrk_status lrk_llama3_factors(const lrk_json *config, size_t head_dim, float *factor, size_t *n,
                              lrk_err *err);
/* The list `key` (short_factor, long_factor) of longrope; *n is 0 where the model has none. */
lrk_status lrk_longrope_factors(const lrk_json *config, const lrk_arch *arch, const char *key,
                                float *factor, size_t *n, lrk_err *err);

#endif /* LRK_CHECKPOINT_MERGE_TENSOR_H */
