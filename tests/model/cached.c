/* tests/model/cached.c -- tokens from the key-value cache, against whole rows. With the argument CUDA on a
 * GPU, or on the emulator where that is linked. */
#include "model/toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { N = 20, SPLIT = 13, CAPACITY = 32, V = 50 };
static lrk_device device = LRK_CPU;

typedef struct lrk_fixture {
    lrk_toy toy;
    lrk_engine e;
    lrk_toy_batch rows; /* three of N tokens, whose first SPLIT are alike */
    float want[3][V];   /* the logits behind the last token of each */
} lrk_fixture;

static void logits_of(lrk_fixture *f, const lrk_flat_run *b, bool cached, const int32_t *rows, size_t n,
                      const lrk_tensor **z)
{
    lrk_err err = {0};
    if (lrk_engine_logits(&f->e, b, cached, rows, n, z, &err) != LRK_OK) fail_msg("%s", err.text);
}

static void open_kind(lrk_fixture *f, int kind)
{
    lrk_err err = {0};
    const lrk_tensor *z;
    f->toy = (lrk_toy){.arena = lrk_arena_growing("toy"), .type = LRK_F32, .decoder = lrk_toy_decoder(kind)};
    const lrk_engine_options o = {.device = device, .decoder = f->toy.decoder, .find = lrk_toy_find,
                                  .ctx = &f->toy, .compute = LRK_C_F32, .max_tokens = 64, .max_segments = 4,
                                  .max_logits = 4, .cache_slots = 4, .cache_capacity = CAPACITY};
    if (lrk_engine_open(&f->e, &o, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_toy_rows(&f->rows, (size_t[]){N, N, N}, 3, 1, 0, V);
    for (size_t r = 1; r < 3; r++) memcpy(f->rows.ids + r * N, f->rows.ids, SPLIT * sizeof *f->rows.ids);
    logits_of(f, &f->rows.b, false, (int32_t[]){N - 1, 2 * N - 1, 3 * N - 1}, 3, &z);
    for (size_t r = 0; r < 3; r++) memcpy(f->want[r], lrk_row(z, r), sizeof f->want[r]);
}

static void close_all(lrk_fixture *f)
{
    lrk_engine_close(&f->e);
    lrk_arena_free(&f->toy.arena);
}

static void assert_close(const float *got, const float *want)
{
    double largest = 0.0;
    for (size_t i = 0; i < V; i++) largest = fmax(largest, fabs((double)want[i]));
    for (size_t i = 0; i < V; i++) {
        if (fabs((double)got[i] - (double)want[i]) > LRK_TOY_REORDERED * largest)
            fail_msg("logit %zu: %g, not %g", i, (double)got[i], (double)want[i]);
    }
}

/* Slot 1: thirteen tokens at once, then one by one. */
static void cached_tokens_give_the_logits_of_the_whole_row(void **state)
{
    (void)state;
    for (int kind = 0; kind < LRK_TOYS; kind++) {
        lrk_fixture f;
        const lrk_tensor *z = NULL;
        open_kind(&f, kind);
        for (int32_t at = 0; at < N; at += at ? 1 : SPLIT) {
            const int32_t n = at ? 1 : SPLIT;
            const int32_t segment[LRK_SEG_FIELDS] = {0, n, at, -1, CAPACITY, at + n};
            const lrk_flat_run b = {f.rows.ids + at, NULL, segment, (size_t)n, 1};
            logits_of(&f, &b, true, (int32_t[]){n - 1}, 1, &z);
        }
        assert_close(z->data, f.want[0]);
        close_all(&f);
    }
}

/* What the rows begin with goes to slot 3; the rows follow, their first own tokens in runs of uneven
 * pieces, with the beginning as a parent that has no tokens in the run. */
static void a_beginning_in_the_cache_serves_all_rows(void **state)
{
    (void)state;
    enum { LONG = 4, OWN = N - SPLIT };
    for (int kind = 0; kind < LRK_TOYS; kind++) {
        lrk_fixture f;
        const lrk_tensor *z = NULL;
        open_kind(&f, kind);
        for (int32_t at = 0; at < SPLIT; at += LONG) {
            const int32_t n = at + LONG < SPLIT ? LONG : SPLIT - at;
            const int32_t segment[LRK_SEG_FIELDS] = {0, n, at, -1, 3 * CAPACITY, at + n};
            const lrk_flat_run b = {f.rows.ids + at, NULL, segment, (size_t)n, 1};
            logits_of(&f, &b, true, (int32_t[]){0}, 1, &z);
        }
        for (int32_t at = 0; at < OWN; at += at ? 1 : LONG) {
            const int32_t n = at ? 1 : LONG;
            int32_t ids[3 * LONG], last[3];
            int32_t segments[4][LRK_SEG_FIELDS] = {{0, 0, SPLIT, -1, 3 * CAPACITY, SPLIT}};
            for (int32_t r = 0; r < 3; r++) {
                const int32_t own[LRK_SEG_FIELDS] = {r * n, n, SPLIT + at, 0, r * CAPACITY, at + n};
                memcpy(segments[r + 1], own, sizeof own);
                memcpy(ids + r * n, f.rows.ids + r * N + SPLIT + at, (size_t)n * sizeof *ids);
                last[r] = r * n + n - 1;
            }
            const lrk_flat_run b = {ids, NULL, segments[0], (size_t)(3 * n), 4};
            logits_of(&f, &b, true, last, 3, &z);
        }
        for (size_t r = 0; r < 3; r++) assert_close(lrk_row(z, r), f.want[r]);
        close_all(&f);
    }
}

int main(int argc, char **argv)
{
    if (!lrk_toy_device(argc, argv, &device)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cached_tokens_give_the_logits_of_the_whole_row),
        cmocka_unit_test(a_beginning_in_the_cache_serves_all_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
