/* data/batch.c -- which rows make up a step, and their tokens in flat runs. */
#include "data/batch.h"

#include "base/rng.h"
#include "base/size.h"
#include "data/packing.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct lrk_batches {
    lrk_tokens *const *sets;
    size_t n_sets;
    lrk_batch_options o;
    uint64_t *first;  /* [n_sets + 1] number of each set's first example */
    uint64_t *chosen; /* [n_rows] examples of this run, ascending */
    uint64_t *order;  /* [n_rows] the same in the order of the epoch */
    size_t n_rows;
    uint64_t order_epoch; /* the epoch that `order` is of, UINT64_MAX: none */
    lrk_batch_cursor at;
    lrk_batch_limits limits;
    lrk_prefixes *prefixes; /* NULL: nothing is shared */
    /* the step under construction; room for the largest */
    lrk_packing packing;
    int32_t *ids, *targets, *segments;
    uint32_t *row_ids;
    uint8_t *row_mask;
    uint64_t *micro_rows;
    lrk_micro_batch *micro;
    lrk_step step;
    lrk_arena arena;
};

static lrk_tokens *locate(const lrk_batches *b, uint64_t number, size_t *example)
{
    size_t s = 0;
    while (number >= b->first[s + 1]) s++;
    *example = (size_t)(number - b->first[s]);
    return b->sets[s];
}

static size_t length_of(const lrk_batches *b, uint64_t number)
{
    size_t example;
    const lrk_tokens *t = locate(b, number, &example);
    return lrk_tokens_length(t, example);
}

static size_t trained_of(const lrk_batches *b, uint64_t number)
{
    size_t example;
    const lrk_tokens *t = locate(b, number, &example);
    return lrk_tokens_trained(t, example);
}

static uint64_t hash_of(const lrk_batches *b, uint64_t number)
{
    size_t example;
    const lrk_tokens *t = locate(b, number, &example);
    return lrk_tokens_hash(t, example);
}

static int ascending(const void *x, const void *y)
{
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

/* Rows whose hash is below *end are held out. */
static lrk_status threshold(lrk_batches *b, uint64_t total, uint64_t *end, lrk_err *err)
{
    double size = b->o.val_set_size;
    *end = 0;
    if (!(size > 0.0)) return LRK_OK;
    if (size < 1.0) size = fmax(1, round(size * (double)total));
    LRK_REQUIRE(err, size < (double)total, LRK_EUSAGE,
                "val_set_size is %g, but there are only %" PRIu64 " rows", b->o.val_set_size, total);
    uint64_t *hash = lrk_heap_alloc(total, sizeof *hash);
    LRK_REQUIRE(err, hash, LRK_ENOMEM, "memory: no room to choose among %" PRIu64 " rows", total);
    for (uint64_t i = 0; i < total; i++) hash[i] = hash_of(b, i);
    qsort(hash, (size_t)total, sizeof *hash, ascending);
    *end = hash[(size_t)ceil(size) - 1] + 1;
    lrk_heap_free(hash);
    return LRK_OK;
}

static lrk_status choose_rows(lrk_batches *b, lrk_err *err)
{
    uint64_t total = 0, end;
    LRK_TRY(lrk_alloc(&b->arena, b->n_sets + 1, sizeof *b->first, "sets", &b->first, err));
    for (size_t i = 0; i < b->n_sets; i++) {
        b->first[i] = total;
        total += lrk_tokens_count(b->sets[i]);
    }
    b->first[b->n_sets] = total;
    LRK_TRY(threshold(b, total, &end, err));
    LRK_TRY(lrk_alloc(&b->arena, (size_t)total, sizeof *b->chosen, "rows", &b->chosen, err));
    LRK_TRY(lrk_alloc(&b->arena, (size_t)total, sizeof *b->order, "order", &b->order, err));
    for (uint64_t i = 0; i < total; i++) {
        const bool out = end && hash_of(b, i) < end;
        if (out == b->o.held_out) b->chosen[b->n_rows++] = i;
    }
    LRK_REQUIRE(err, b->n_rows, LRK_EUSAGE, "val_set_size %g leaves no row of %" PRIu64 " %s",
                b->o.val_set_size, total, b->o.held_out ? "for evaluation" : "to train on");
    return LRK_OK;
}

static void set_epoch(lrk_batches *b, uint64_t epoch)
{
    if (b->order_epoch == epoch) return;
    memcpy(b->order, b->chosen, b->n_rows * sizeof *b->order);
    const lrk_rng r = {b->o.seed, LRK_SITE_SHUFFLE, (uint32_t)epoch};
    if (b->o.shuffle) lrk_rng_shuffle(r, b->order, b->n_rows);
    b->order_epoch = epoch;
}

/* Rows of the step that begins at `position`. */
static size_t rows_of_step(const lrk_batches *b, uint64_t position)
{
    size_t n = 0, tokens = 0;
    while (position + n < b->n_rows && (!b->o.rows_per_step || n < b->o.rows_per_step)) {
        tokens += length_of(b, b->order[position + n]);
        if (n && b->o.tokens_per_step && tokens > b->o.tokens_per_step) break;
        n++;
    }
    return n;
}

/* Into micro-batches: the n rows from `position` on. */
static void pack(lrk_batches *b, uint64_t position, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t number = b->order[position + i];
        b->packing.rows[i] = (lrk_packed_row){
            .number = number, .length = length_of(b, number), .trained = trained_of(b, number)};
    }
    lrk_pack(&b->packing, n, b->o.tokens_per_micro, b->o.rows_per_micro, b->prefixes);
}

static lrk_status find_prefixes(lrk_batches *b, lrk_err *err)
{
    LRK_TRY(lrk_prefixes_open(&b->prefixes, (size_t)b->first[b->n_sets], err));
    for (size_t i = 0; i < b->n_rows; i++) {
        size_t example;
        lrk_tokens *t = locate(b, b->chosen[i], &example);
        const size_t n = lrk_tokens_length(t, example);
        LRK_TRY(lrk_tokens_read(t, example, b->row_ids, b->row_mask, err));
        LRK_TRY(lrk_prefixes_add(b->prefixes, (size_t)b->chosen[i], b->row_ids,
                                 lrk_untrained_prefix(b->row_mask, n), err));
    }
    lrk_prefixes_finish(b->prefixes);
    return LRK_OK;
}

/* ---- the whole run, once, for its exact limits ---- */

static void note_step(lrk_batches *b, size_t n)
{
    lrk_batch_limits *l = &b->limits;
    const lrk_packing *p = &b->packing;
    size_t tokens = 0;
    for (size_t k = 0; k < p->n_bins; k++) {
        l->micro_tokens = lrk_max(l->micro_tokens, p->bins[k].tokens);
        l->micro_segments = lrk_max(l->micro_segments, p->bins[k].pieces);
        l->micro_trained = lrk_max(l->micro_trained, p->bins[k].trained);
        l->trained += p->bins[k].trained;
        tokens += p->bins[k].tokens;
    }
    for (size_t i = 0; i < n; i++) l->tokens += p->rows[i].length;
    l->step_tokens = lrk_max(l->step_tokens, tokens);
    l->step_segments = lrk_max(l->step_segments, p->n_pieces);
    l->step_micro = lrk_max(l->step_micro, p->n_bins);
    l->steps++;
    l->rows += n;
    l->computed += tokens;
}

static uint64_t steps_in_epoch(const lrk_batches *b)
{
    uint64_t steps = 0;
    for (uint64_t at = 0; at < b->n_rows; steps++) at += rows_of_step(b, at);
    return steps;
}

/* A partial last epoch ends early. */
static uint64_t steps_wanted(const lrk_batches *b, uint64_t epoch)
{
    const double part = b->o.epochs - (double)epoch;
    if (part >= 1.0) return UINT64_MAX;
    return (uint64_t)ceil(part * (double)steps_in_epoch(b) - 1e-9);
}

static bool run_ended(const lrk_batches *b, uint64_t steps)
{
    return b->o.max_steps && steps >= b->o.max_steps;
}

static void survey(lrk_batches *b)
{
    lrk_batch_limits *l = &b->limits;
    for (uint64_t epoch = 0; (double)epoch < b->o.epochs && !run_ended(b, l->steps); epoch++) {
        set_epoch(b, epoch);
        if (epoch == 0) l->first_epoch_steps = steps_in_epoch(b);
        uint64_t left = steps_wanted(b, epoch);
        for (uint64_t at = 0; at < b->n_rows && left && !run_ended(b, l->steps); left--) {
            const size_t n = rows_of_step(b, at);
            pack(b, at, n);
            note_step(b, n);
            at += n;
        }
    }
}

/* Largest step in rows, before there is memory to partition one. */
static size_t largest_step(lrk_batches *b)
{
    if (!b->o.tokens_per_step) return lrk_min(b->o.rows_per_step, b->n_rows);
    size_t most = 0, shortest = SIZE_MAX;
    for (size_t i = 0; i < b->n_rows; i++) shortest = lrk_min(shortest, length_of(b, b->chosen[i]));
    most = lrk_max(b->o.tokens_per_step / lrk_max(shortest, 1), 1);
    if (b->o.rows_per_step) most = lrk_min(most, b->o.rows_per_step);
    return lrk_min(most, b->n_rows);
}

static lrk_status allocate(lrk_batches *b, lrk_err *err)
{
    const size_t tokens = b->limits.step_tokens, segments = b->limits.step_segments;
    lrk_arena *a = &b->arena;
    LRK_TRY(lrk_alloc(a, tokens, sizeof *b->ids, "batch ids", &b->ids, err));
    LRK_TRY(lrk_alloc(a, tokens, sizeof *b->targets, "batch targets", &b->targets, err));
    LRK_TRY(lrk_alloc(a, segments, LRK_SEG_FIELDS * sizeof *b->segments, "segments", &b->segments, err));
    LRK_TRY(lrk_alloc(a, segments, sizeof *b->micro_rows, "rows", &b->micro_rows, err));
    return lrk_alloc(a, b->limits.step_micro, sizeof *b->micro, "micro-batches", &b->micro, err);
}

static lrk_status check_options(lrk_batches *b, lrk_err *err)
{
    const lrk_batch_options *o = &b->o;
    LRK_REQUIRE(err, o->rows_per_step || o->tokens_per_step, LRK_EUSAGE,
                "a step needs a number of rows or of tokens");
    LRK_REQUIRE(err, o->epochs > 0.0 && o->epochs <= 1e9, LRK_EUSAGE,
                "num_epochs is %g, expected more than 0", o->epochs);
    for (size_t i = 0; i < b->n_rows; i++)
        b->limits.longest_row = lrk_max(b->limits.longest_row, length_of(b, b->chosen[i]));
    LRK_REQUIRE(
        err, !o->tokens_per_micro || b->limits.longest_row <= o->tokens_per_micro, LRK_EUSAGE,
        "micro_batch_tokens is %zu, but the longest row has %zu tokens; raise it to that, or "
        "lower sequence_len",
        o->tokens_per_micro, b->limits.longest_row);
    LRK_REQUIRE(err, b->limits.longest_row <= INT32_MAX / 2, LRK_EUSAGE, "a row of %zu tokens",
                b->limits.longest_row);
    return LRK_OK;
}

static lrk_status prepare(lrk_batches *b, lrk_err *err)
{
    LRK_TRY(choose_rows(b, err));
    LRK_TRY(check_options(b, err));
    LRK_TRY(lrk_packing_alloc(&b->packing, &b->arena, largest_step(b), err));
    LRK_TRY(lrk_alloc(&b->arena, b->limits.longest_row, sizeof *b->row_ids, "row", &b->row_ids, err));
    LRK_TRY(lrk_alloc(&b->arena, b->limits.longest_row, 1, "row", &b->row_mask, err));
    if (b->o.share_prefixes) LRK_TRY(find_prefixes(b, err));
    survey(b);
    LRK_REQUIRE(err, b->limits.micro_tokens <= INT32_MAX / 2, LRK_EUSAGE,
                "a micro-batch of %zu tokens; lower micro_batch_size, or set micro_batch_tokens",
                b->limits.micro_tokens);
    return allocate(b, err);
}

lrk_status lrk_batches_open(lrk_batches **out, lrk_tokens *const *sets, size_t n_sets,
                            const lrk_batch_options *o, lrk_err *err)
{
    lrk_batches *b = lrk_heap_alloc(1, sizeof *b);
    LRK_REQUIRE(err, b, LRK_ENOMEM, "memory: no room for batches");
    *b = (lrk_batches){.n_sets = n_sets, .o = *o, .order_epoch = UINT64_MAX};
    b->arena = lrk_arena_growing("batches");
    lrk_tokens **copy;
    lrk_status s = lrk_alloc(&b->arena, n_sets, sizeof *copy, "sets", &copy, err);
    if (s == LRK_OK) {
        for (size_t i = 0; i < n_sets; i++) copy[i] = sets[i];
        b->sets = copy;
        s = prepare(b, err);
    }
    if (s != LRK_OK) {
        lrk_batches_close(b);
        return s;
    }
    *out = b;
    return LRK_OK;
}

void lrk_batches_close(lrk_batches *b)
{
    if (!b) return;
    lrk_prefixes_close(b->prefixes);
    lrk_arena_free(&b->arena);
    lrk_heap_free(b);
}

const lrk_batch_limits *lrk_batches_limits(const lrk_batches *b) { return &b->limits; }

size_t lrk_batches_rows(const lrk_batches *b) { return b->n_rows; }

/* ---- one step ---- */

/* Appends a piece of a row to micro-batch m, whose arrays have room. */
static lrk_status put_piece(lrk_batches *b, lrk_micro_batch *m, int32_t *ids, int32_t *targets,
                            int32_t *segments, uint64_t *rows, const lrk_row_piece *piece, lrk_err *err)
{
    size_t example;
    lrk_tokens *t = locate(b, piece->row, &example);
    const size_t n = lrk_tokens_length(t, example);
    LRK_TRY(lrk_tokens_read(t, example, b->row_ids, b->row_mask, err));
    lrk_segment_child(segments + m->n_segments * LRK_SEG_FIELDS, m->n_tokens, piece->end - piece->begin,
                      piece->begin, piece->parent);
    rows[m->n_segments++] = piece->row;
    for (size_t i = piece->begin; i < piece->end; i++) {
        const bool target = i + 1 < n && b->row_mask[i + 1];
        ids[m->n_tokens] = (int32_t)b->row_ids[i];
        targets[m->n_tokens++] = target ? (int32_t)b->row_ids[i + 1] : -1;
        m->n_trained += target;
    }
    return LRK_OK;
}

static lrk_status build(lrk_batches *b, size_t n, lrk_err *err)
{
    const lrk_packing *p = &b->packing;
    size_t token = 0;
    b->step = (lrk_step){.epoch = b->at.epoch,
                         .step = b->at.step,
                         .micro = b->micro,
                         .n_micro = p->n_bins,
                         .n_rows = n};
    for (size_t i = 0; i < n; i++) b->step.n_tokens += p->rows[i].length;
    for (size_t k = 0; k < p->n_bins; k++) {
        const lrk_bin *bin = &p->bins[k];
        lrk_micro_batch *m = &b->micro[k];
        int32_t *ids = b->ids + token, *targets = b->targets + token;
        int32_t *segments = b->segments + bin->first * LRK_SEG_FIELDS;
        uint64_t *rows = b->micro_rows + bin->first;
        *m = (lrk_micro_batch){.ids = ids, .targets = targets, .segments = segments, .rows = rows};
        for (size_t i = 0; i < bin->pieces; i++)
            LRK_TRY(put_piece(b, m, ids, targets, segments, rows, &p->pieces[bin->first + i], err));
        token += m->n_tokens;
        b->step.n_trained += m->n_trained;
    }
    b->step.n_computed = token;
    return LRK_OK;
}

lrk_status lrk_batches_next(lrk_batches *b, const lrk_step **step, lrk_err *err)
{
    *step = NULL;
    if (b->at.step == b->limits.steps) return LRK_OK;
    set_epoch(b, b->at.epoch);
    const size_t n = rows_of_step(b, b->at.position);
    pack(b, b->at.position, n);
    LRK_TRY(build(b, n, err));
    b->at.step++;
    b->at.position += n;
    if (b->at.position == b->n_rows) b->at = (lrk_batch_cursor){b->at.epoch + 1, 0, b->at.step};
    *step = &b->step;
    return LRK_OK;
}

lrk_batch_cursor lrk_batches_cursor(const lrk_batches *b) { return b->at; }

lrk_status lrk_batches_seek(lrk_batches *b, lrk_batch_cursor c, lrk_err *err)
{
    uint64_t step = 0, position = 0;
    for (uint64_t epoch = 0; epoch <= c.epoch && step <= b->limits.steps; epoch++) {
        set_epoch(b, epoch);
        for (position = 0; position < b->n_rows && (epoch < c.epoch || position < c.position);
             step++)
            position += rows_of_step(b, position);
        if (epoch < c.epoch) position = 0;
    }
    LRK_REQUIRE(err, step == c.step && position == c.position && step <= b->limits.steps,
                LRK_EINPUT,
                "the checkpoint stands at epoch %" PRIu64 ", row %" PRIu64 ", step %" PRIu64
                ", where no step of this run begins; the data or the batch size have changed",
                c.epoch, c.position, c.step);
    b->at = c;
    return LRK_OK;
}
