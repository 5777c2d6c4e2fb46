/* tests/cuda/copies.c -- copies that go beside the work of a GPU. On the emulator, whose streams do as late
 * as possible what was asked of them, and one of them as early as possible (LRK_EMULATOR_STREAMS=early), a
 * wait that is missing shows as a wrong number or as memory that nobody has written. */
#include "cuda/both.h"

#include <string.h>

enum { PARCELS = 5 };

/* Sizes of one byte, of a piece and of several. */
static const size_t sizes[PARCELS] = {1, LRK_SENT_AT_ONCE, 3 * LRK_SENT_AT_ONCE + 12345, 64, LRK_SENT_AT_ONCE + 1};

static void parcels_new(lrk_parcel *p)
{
    for (size_t i = 0; i < PARCELS; i++) {
        unsigned char *from = take(sizes[i], 1);
        for (size_t k = 0; k < sizes[i]; k++) from[k] = (unsigned char)(k * 31 + (k >> 12) + i);
        p[i] = (lrk_parcel){on_gpu(NULL, sizes[i]), from, 1, sizes[i], sizes[i]};
    }
}

static void parcels_free(const lrk_parcel *p)
{
    for (size_t i = 0; i < PARCELS; i++) lrk_heap_free((void *)(uintptr_t)p[i].from);
}

/* What is asked for behind the end finds all that was sent. */
static void what_was_sent_is_there(void **state)
{
    (void)state;
    lrk_parcel p[PARCELS];
    lrk_sending *s;
    lrk_err err = {0};
    unsigned char *used[PARCELS];
    parcels_new(p);
    for (size_t i = 0; i < PARCELS; i++) used[i] = on_gpu(NULL, sizes[i]);
    assert_int_equal(lrk_send_begin(LRK_CUDA, p, PARCELS, &s, &err), LRK_OK);
    lrk_send_end(s, false);
    for (size_t i = 0; i < PARCELS; i++) {
        unsigned char *got = take(sizes[i], 1);
        lrk_device_copy(LRK_CUDA, used[i], p[i].to, sizes[i]);
        from_gpu(got, used[i], sizes[i]);
        assert_memory_equal(got, p[i].from, sizes[i]);
        lrk_heap_free(got);
    }
    parcels_free(p);
}

/* What is being written is not overtaken. */
static void what_was_asked_for_before_comes_before(void **state)
{
    (void)state;
    lrk_parcel p[PARCELS];
    lrk_sending *s;
    lrk_err err = {0};
    unsigned char got[64];
    parcels_new(p);
    lrk_device_zero(LRK_CUDA, p[3].to, sizes[3]);
    assert_int_equal(lrk_send_begin(LRK_CUDA, &p[3], 1, &s, &err), LRK_OK);
    lrk_send_end(s, false);
    from_gpu(got, p[3].to, sizeof got);
    assert_memory_equal(got, p[3].from, sizeof got);
    parcels_free(p);
}

/* Rows that lie apart, more than a piece of them; what is between them stays. */
static void rows_find_their_places(void **state)
{
    (void)state;
    enum { ROWS = 5000, ROW = 1920, APART = 2048 };
    unsigned char *from = take(ROWS, ROW), *got = take(ROWS, APART);
    for (size_t i = 0; i < (size_t)ROWS * ROW; i++) from[i] = (unsigned char)(i * 13 + (i >> 11));
    for (int sent = 0; sent < 2; sent++) {
        const lrk_parcel p = {on_gpu(NULL, (size_t)ROWS * APART), from, ROWS, ROW, APART};
        lrk_sending *s;
        lrk_err err = {0};
        lrk_device_zero(LRK_CUDA, p.to, (size_t)ROWS * APART);
        if (sent) assert_int_equal(lrk_send_begin(LRK_CUDA, &p, 1, &s, &err), LRK_OK);
        if (sent)
            lrk_send_end(s, false);
        else
            lrk_device_upload_rows(LRK_CUDA, &p);
        from_gpu(got, p.to, (size_t)ROWS * APART);
        for (size_t r = 0; r < ROWS; r++) {
            assert_memory_equal(got + r * APART, from + r * ROW, ROW);
            for (size_t i = ROW; i < APART; i++) assert_int_equal(got[r * APART + i], 0);
        }
    }
    lrk_heap_free(from);
    lrk_heap_free(got);
}

static void a_stop_ends_it(void **state)
{
    (void)state;
    lrk_parcel p[PARCELS];
    lrk_sending *s;
    lrk_err err = {0};
    parcels_new(p);
    assert_int_equal(lrk_send_begin(LRK_CUDA, p, PARCELS, &s, &err), LRK_OK);
    lrk_send_end(s, true);
    assert_int_equal(lrk_device_sync(LRK_CUDA, &err), LRK_OK);
    lrk_send_end(NULL, true);
    parcels_free(p);
}

/* Numbers go aside as they were, come back as they are wanted, and the work in between does not notice. */
static void what_was_put_aside_comes_back(void **state)
{
    (void)state;
    enum { N = 3 * LRK_SENT_AT_ONCE / 2 };
    lrk_arena aside;
    lrk_err err = {0};
    unsigned char *first = take(N, 1), *got = take(N, 1);
    for (size_t i = 0; i < N; i++) first[i] = (unsigned char)(i * 7 + (i >> 9));
    unsigned char *there = on_gpu(NULL, N), *source = on_gpu(first, N), *seen = on_gpu(NULL, N);
    assert_int_equal(lrk_arena_pinned(LRK_CUDA, &aside, "aside", N, &err), LRK_OK);
    for (int recorded = 0; recorded < 2; recorded++) {
        lrk_device_zero(LRK_CUDA, there, N);
        if (recorded) lrk_device_record_begin(LRK_CUDA);
        lrk_device_copy(LRK_CUDA, there, source, N); /* asked for before */
        lrk_device_put_aside(LRK_CUDA, aside.base, there, N);
        lrk_device_rejoin(LRK_CUDA);
        lrk_device_zero(LRK_CUDA, there, N); /* and behind it */
        lrk_device_bring_back(LRK_CUDA, there, aside.base, N);
        lrk_device_rejoin(LRK_CUDA);
        lrk_device_copy(LRK_CUDA, seen, there, N);
        lrk_recording *r = recorded ? lrk_device_record_end(LRK_CUDA) : NULL;
        if (recorded) assert_non_null(r);
        if (recorded) lrk_device_replay(LRK_CUDA, r);
        from_gpu(got, seen, N);
        assert_memory_equal(got, first, N);
        lrk_device_forget(LRK_CUDA, r);
    }
    lrk_arena_free(&aside);
    lrk_heap_free(first);
    lrk_heap_free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_was_sent_is_there, release),
        cmocka_unit_test_teardown(what_was_asked_for_before_comes_before, release),
        cmocka_unit_test_teardown(rows_find_their_places, release),
        cmocka_unit_test_teardown(a_stop_ends_it, release),
        cmocka_unit_test_teardown(what_was_put_aside_comes_back, release),
    };
    lrk_err err = {0};
    if (lrk_device_open(LRK_CUDA, NULL, &err) != LRK_OK) {
        print_message("skipped: %s\n", err.text);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
