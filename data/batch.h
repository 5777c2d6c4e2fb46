/* data/batch.h -- micro-batches: flat runs of tokens with a segment table, no padding.
 *
 * An epoch is a permutation of the rows (counter RNG: seed, epoch), cut into optimizer steps of
 * rows_per_step rows, or of as many rows as fit tokens_per_step; a last step may be smaller. Which
 * micro-batch a row goes into, data/packing.h says. So the partition is a function of seed, epoch and
 * position alone: a run that was stopped goes on with the same batches.
 *
 * With share_prefixes, tokens that rows of a micro-batch begin with alike, and that are neither trained
 * nor predict a trained one, stand in it once, as a segment that is the parent of theirs. Every token
 * then sees what it would see in its own row, and the gradient of a shared token is the sum over the
 * rows: the same numbers but for rounding, where nothing is drawn at random for each row.
 *
 *   ids      i32[T]
 *   targets  i32[T]  id of the next token where that one is trained, else -1; the last token of a
 *                    segment has none
 *   segments i32[S, 6]  START, LENGTH, POSITION, PARENT, KV, KEYS, base/segments.h: a row, what it
 *                    has for itself, or a beginning that rows share
 *
 * All memory is taken by lrk_batches_open; the arrays of a step are valid until the next one.
 */
#ifndef LRK_DATA_BATCH_H
#define LRK_DATA_BATCH_H
#include "base/segments.h"
#include "data/tokens.h"

typedef struct lrk_batch_options {
    size_t rows_per_step;    /* micro_batch_size * gradient_accumulation_steps; 0: by tokens */
    size_t tokens_per_step;  /* 0: by rows alone; a single longer row is still a step */
    size_t rows_per_micro;   /* 0: no limit */
    size_t tokens_per_micro; /* 0: no limit; must hold the longest row */
    double epochs;           /* > 0; a last, partial one ends after ceil(part * its steps) steps */
    uint64_t max_steps;      /* 0: no limit */
    uint64_t seed;
    bool shuffle;
    /* Rows kept away from training: below 1 a share, rounded to rows and one at least, else a number. Those with the
     * smallest hashes, so that equal rows stay together. held_out: these rows, not the others. */
    double val_set_size;
    bool held_out;
    bool share_prefixes;
} lrk_batch_options;

typedef struct lrk_micro_batch {
    const int32_t *ids, *targets, *segments;
    /* One a segment: number of the example, counted through all token sets; of a shared beginning the
     * first that has it. */
    const uint64_t *rows;
    size_t n_tokens, n_segments, n_trained;
} lrk_micro_batch;

typedef struct lrk_step {
    uint64_t epoch, step; /* both from 0; steps count through the epochs */
    const lrk_micro_batch *micro;
    size_t n_micro, n_rows;
    size_t n_tokens, n_trained; /* of its rows */
    size_t n_computed;          /* tokens of its micro-batches: less where they share */
} lrk_step;

/* Exact maxima over the whole run, for the plan. */
typedef struct lrk_batch_limits {
    size_t micro_tokens, micro_segments, micro_trained; /* of a micro-batch */
    size_t longest_row;
    size_t step_tokens, step_segments, step_micro; /* of a step; tokens: computed */
    uint64_t steps, tokens, trained, rows;         /* of the run */
    uint64_t computed;                             /* of the tokens: without those that are shared */
    uint64_t first_epoch_steps;
} lrk_batch_limits;

/* Where the next step begins; what a checkpoint stores. */
typedef struct lrk_batch_cursor {
    uint64_t epoch, position, step; /* position: rows of the epoch that were used */
} lrk_batch_cursor;

typedef struct lrk_batches lrk_batches;

/* The token sets stay the caller's and must outlive *out. LRK_EUSAGE where a row does not fit
 * tokens_per_micro, or the options leave no row. */
lrk_status lrk_batches_open(lrk_batches **out, lrk_tokens *const *sets, size_t n_sets,
                            const lrk_batch_options *o, lrk_err *err);
void lrk_batches_close(lrk_batches *b); /* NULL is fine */

const lrk_batch_limits *lrk_batches_limits(const lrk_batches *b);
size_t lrk_batches_rows(const lrk_batches *b); /* of an epoch: without those held out, or only those */

/* *step is NULL at the end of the run. */
lrk_status lrk_batches_next(lrk_batches *b, const lrk_step **step, lrk_err *err);

lrk_batch_cursor lrk_batches_cursor(const lrk_batches *b);
/* LRK_EINPUT where no step of this run begins there. */
lrk_status lrk_batches_seek(lrk_batches *b, lrk_batch_cursor c, lrk_err *err);

#endif /* LRK_DATA_BATCH_H */
