/* generate/generate.c -- the loop over runs. */
#include "generate/generate.h"

#include "base/segments.h"
#include "base/size.h"
#include "data/prefix.h"

typedef struct lrk_slot_state {
    bool busy;
    size_t sequence;
    size_t entered;   /* tokens in the cache */
    size_t produced;
    uint32_t *token;  /* those that were produced; the newest is not yet in the cache */
} lrk_slot_state;

typedef struct lrk_scheduler {
    lrk_engine *e;
    const lrk_prompt *prompts;
    size_t n, next; /* next prompt without a slot */
    size_t slots;   /* of sequences */
    size_t shared;  /* tokens that all prompts begin with, in the slot behind them */
    const lrk_generation *g;
    lrk_slot_state *slot;
    int32_t *ids, *segments, *rows;
    size_t *row_slot;
    size_t n_ids, n_segments, n_rows;
    lrk_candidate *work;
    lrk_arena arena;
} lrk_scheduler;

static lrk_status take_memory(lrk_scheduler *s, lrk_err *err)
{
    const lrk_engine_options *o = &s->e->options;
    lrk_arena *a = &s->arena;
    LRK_TRY(lrk_alloc(a, o->cache_slots, sizeof *s->slot, "slots", &s->slot, err));
    for (size_t i = 0; i < o->cache_slots; i++)
        LRK_TRY(lrk_alloc(a, o->cache_capacity + 1, sizeof *s->slot->token, "tokens",
                          &s->slot[i].token, err));
    LRK_TRY(lrk_alloc(a, o->max_tokens, sizeof *s->ids, "ids", &s->ids, err));
    LRK_TRY(lrk_alloc(a, o->cache_slots * LRK_SEG_FIELDS, sizeof *s->segments, "segments",
                      &s->segments, err));
    LRK_TRY(lrk_alloc(a, o->cache_slots, sizeof *s->rows, "rows", &s->rows, err));
    LRK_TRY(lrk_alloc(a, o->cache_slots, sizeof *s->row_slot, "rows", &s->row_slot, err));
    if (s->g->sampler.temperature > 0.0)
        LRK_TRY(lrk_alloc(a, o->decoder.vocabulary, sizeof *s->work, "candidates", &s->work, err));
    return LRK_OK;
}

static lrk_status check_prompts(const lrk_scheduler *s, lrk_err *err)
{
    const size_t capacity = s->e->options.cache_capacity, V = s->e->options.decoder.vocabulary;
    for (size_t i = 0; i < s->n; i++) {
        LRK_REQUIRE(err, s->prompts[i].n > 0, LRK_EVALUE, "prompt %zu has no tokens", i + 1);
        LRK_REQUIRE(err, s->prompts[i].n < capacity, LRK_EVALUE,
                    "prompt %zu has %zu tokens, the context holds %zu", i + 1, s->prompts[i].n,
                    capacity);
        for (size_t k = 0; k < s->prompts[i].n; k++)
            LRK_REQUIRE(err, s->prompts[i].ids[k] < V, LRK_EVALUE,
                        "prompt %zu: token id %u, the model knows %zu: this tokenizer does not fit "
                        "the model",
                        i + 1, s->prompts[i].ids[k], V);
    }
    return LRK_OK;
}

static size_t known(const lrk_scheduler *s, const lrk_slot_state *t)
{
    return s->prompts[t->sequence].n + t->produced;
}

/* With LongRoPE a document that grows beyond a limit turns by other angles, from its first token on. */
static bool turns_long(const lrk_scheduler *s, size_t tokens)
{
    const lrk_rope *rope = &s->e->options.decoder.rope;
    return rope->kind == LRK_ROPE_LONGROPE && tokens > (size_t)rope->original;
}

/* Alike for all prompts, but for the last token of each, whose logits are a sequence's own. */
static size_t shared_by_all(const lrk_scheduler *s)
{
    const lrk_engine_options *o = &s->e->options;
    lrk_shared all = {0};
    if (o->cache_slots == s->slots || o->decoder.rope.kind == LRK_ROPE_LONGROPE) return 0;
    for (size_t i = 0; i < s->n; i++) lrk_shared_add(&all, s->prompts[i].ids, s->prompts[i].n - 1);
    return lrk_shared_tokens(&all);
}

static int32_t first_row(const lrk_scheduler *s, size_t slot)
{
    return (int32_t)(slot * s->e->options.cache_capacity);
}

/* The parent of all sequences: its keys, and none of its tokens. */
static void enter_shared(lrk_scheduler *s)
{
    if (!s->shared) return;
    int32_t *segment = s->segments;
    lrk_segment_root(segment, 0, 0);
    segment[LRK_SEG_POSITION] = segment[LRK_SEG_KEYS] = (int32_t)s->shared;
    segment[LRK_SEG_KV] = first_row(s, s->slots);
    s->n_segments = 1;
}

/* Puts up to `room` tokens of the slot's sequence into the run. */
static void enter(lrk_scheduler *s, size_t slot, size_t room)
{
    lrk_slot_state *t = &s->slot[slot];
    const lrk_prompt *p = &s->prompts[t->sequence];
    const size_t all = known(s, t), n = lrk_min(all - t->entered, room);
    int32_t *segment = s->segments + s->n_segments * LRK_SEG_FIELDS;
    segment[LRK_SEG_START] = (int32_t)s->n_ids;
    segment[LRK_SEG_LENGTH] = (int32_t)n;
    segment[LRK_SEG_POSITION] = (int32_t)t->entered;
    segment[LRK_SEG_PARENT] = s->shared ? 0 : -1;
    segment[LRK_SEG_KV] = first_row(s, slot);
    segment[LRK_SEG_KEYS] = (int32_t)(t->entered + n - s->shared);
    for (size_t i = 0, at = t->entered; i < n; i++, at++)
        s->ids[s->n_ids + i] = (int32_t)(at < p->n ? p->ids[at] : t->token[at - p->n]);
    s->n_segments++;
    s->n_ids += n;
    t->entered += n;
    if (t->entered < all) return; /* more is to come before the next token */
    s->rows[s->n_rows] = (int32_t)s->n_ids - 1;
    s->row_slot[s->n_rows++] = slot;
}

/* Moves on to the next prompt that has no answer yet; false where there is none. */
static bool find_next(lrk_scheduler *s)
{
    while (s->next < s->n && s->g->known && s->g->known(s->g->ctx, s->next)) s->next++;
    return s->next < s->n;
}

static void fill_run(lrk_scheduler *s)
{
    const lrk_engine_options *o = &s->e->options;
    s->n_ids = s->n_segments = s->n_rows = 0;
    size_t busy = 0;
    bool any = false, kind = false;
    for (size_t i = 0; i < s->slots; i++) {
        if (!s->slot[i].busy && find_next(s))
            s->slot[i] = (lrk_slot_state){.busy = true, .sequence = s->next++,
                                          .entered = s->shared,
                                          .token = s->slot[i].token};
        busy += s->slot[i].busy;
        if (s->slot[i].busy && !any) kind = turns_long(s, known(s, &s->slot[i]));
        any = any || s->slot[i].busy;
    }
    /* the sequences of a run turn alike; what a prompt's pieces show is not how long it is */
    s->e->model.rope_table[0].long_from = kind ? 0 : SIZE_MAX;
    enter_shared(s);
    /* one place is kept for each sequence still to come in this run */
    for (size_t i = 0; i < s->slots; i++) {
        if (!s->slot[i].busy) continue;
        busy--;
        if (turns_long(s, known(s, &s->slot[i])) == kind)
            enter(s, i, o->max_tokens - s->n_ids - busy);
    }
}

static bool ends(const lrk_generation *g, uint32_t id)
{
    for (size_t i = 0; i < g->n_ends; i++) {
        if (g->ends[i] == id) return true;
    }
    return false;
}

static void finish(lrk_scheduler *s, lrk_slot_state *t, bool tell)
{
    if (tell) s->g->token(s->g->ctx, t->sequence, 0, true);
    t->busy = false;
}

static lrk_status take_tokens(lrk_scheduler *s, const lrk_tensor *logits, lrk_err *err)
{
    const size_t V = lrk_cols(logits);
    for (size_t r = 0; r < s->n_rows; r++) {
        lrk_slot_state *t = &s->slot[s->row_slot[r]];
        uint32_t *last = &t->token[t->produced];
        LRK_TRY(lrk_sample_token(&s->g->sampler, logits->dtype, lrk_row(logits, r), V,
                                 (uint32_t)t->sequence, t->entered, s->work, last, err));
        if (ends(s->g, *last)) {
            finish(s, t, true);
            continue;
        }
        t->produced++;
        const bool go_on = s->g->token(s->g->ctx, t->sequence, *last, false);
        const bool full = t->entered == s->e->options.cache_capacity;
        if (!go_on)
            finish(s, t, false);
        else if (t->produced == s->g->max_tokens || full)
            finish(s, t, true);
        else if (turns_long(s, known(s, t)) && !turns_long(s, known(s, t) - 1))
            t->entered = 0;
    }
    return LRK_OK;
}

/* What all prompts begin with, piece by piece. */
static lrk_status compute_shared(lrk_scheduler *s, lrk_err *err)
{
    const lrk_tensor *logits;
    int32_t *segment = s->segments;
    s->e->model.rope_table[0].long_from = SIZE_MAX;
    for (size_t at = 0, n; at < s->shared; at += n) {
        if (s->g->stop && s->g->stop()) return lrk_fail(err, LRK_STOPPED, "stopped");
        n = lrk_min(s->shared - at, s->e->options.max_tokens);
        lrk_segment_root(segment, 0, n);
        segment[LRK_SEG_POSITION] = (int32_t)at;
        segment[LRK_SEG_KV] = first_row(s, s->slots);
        segment[LRK_SEG_KEYS] = (int32_t)(at + n);
        for (size_t i = 0; i < n; i++) s->ids[i] = (int32_t)s->prompts[0].ids[at + i];
        const lrk_flat_run b = {.ids = s->ids, .segments = segment, .n_tokens = n, .n_segments = 1};
        s->rows[0] = 0; /* nobody asks for logits, but the cache is filled */
        LRK_TRY(lrk_engine_logits(s->e, &b, true, s->rows, 1, &logits, err));
    }
    return LRK_OK;
}

static lrk_status run_all(lrk_scheduler *s, lrk_err *err)
{
    const lrk_tensor *logits;
    if (!find_next(s)) return LRK_OK;
    LRK_TRY(compute_shared(s, err));
    for (;;) {
        fill_run(s);
        if (!s->n_ids) return LRK_OK;
        if (s->g->stop && s->g->stop()) return lrk_fail(err, LRK_STOPPED, "stopped");
        const lrk_flat_run b = {.ids = s->ids, .segments = s->segments, .n_tokens = s->n_ids,
                                .n_segments = s->n_segments};
        /* a run without a row that is asked for still fills the cache */
        const size_t n_rows = lrk_max(s->n_rows, 1);
        if (!s->n_rows) s->rows[0] = 0;
        LRK_TRY(lrk_engine_logits(s->e, &b, true, s->rows, n_rows, &logits, err));
        LRK_TRY(take_tokens(s, logits, err));
    }
}

lrk_status lrk_generate(lrk_engine *e, const lrk_prompt *prompts, size_t n, const lrk_generation *g,
                        lrk_err *err)
{
    lrk_scheduler s = {.e = e, .prompts = prompts, .n = n, .g = g,
                       .slots = g->slots ? g->slots : e->options.cache_slots, .arena = lrk_arena_growing("generate")};
    LRK_ASSERT(s.slots && s.slots <= e->options.cache_slots && e->options.max_tokens >= e->options.cache_slots);
    lrk_status status = check_prompts(&s, err);
    if (status == LRK_OK) status = take_memory(&s, err);
    if (status == LRK_OK) s.shared = shared_by_all(&s);
    const size_t long_from = e->model.rope_table[0].long_from;
    if (status == LRK_OK && g->max_tokens) status = run_all(&s, err);
    e->model.rope_table[0].long_from = long_from;
    lrk_arena_free(&s.arena);
    return status;
}
