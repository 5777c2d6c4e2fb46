/* tests/unit/recorded.c -- work that is written down once and done many times: a recorded kernel draws
 * its dropout mask with the seed that holds when it is replayed. Where no GPU answers there is nothing
 * to see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/gemm.h"
#include "kernels/linear/linear.h"

#include <stdio.h>

enum { T = 8, IN = 40, OUT = 24, R = 8, TENSORS = 6 };

static bool on_gpu;

typedef struct layer {
    lrk_rng rng;
    lrk_linear_attr attr;
    lrk_tensor x, w, a, b, y, s;
    lrk_arena memory[TENSORS], scratch;
    lrk_call call;
} layer;

static void must(lrk_status s, const lrk_err *err)
{
    if (s != LRK_OK) fail_msg("%s", err->text);
}

/* rows x cols on the GPU, filled with what the test's random numbers say. */
static void place(lrk_tensor *t, lrk_arena *memory, size_t rows, size_t cols)
{
    const lrk_rng r = {.seed = rows * 100 + cols, .site = LRK_SITE_TEST};
    float v[OUT * IN];
    lrk_err err = {0};
    *t = lrk_mat(LRK_F32, rows, cols);
    for (size_t i = 0; i < rows * cols; i++) v[i] = (float)lrk_rng_normal(r, i);
    must(lrk_arena_on(LRK_CUDA, memory, "test", lrk_bytes(t), &err), &err);
    t->data = memory->base;
    lrk_device_upload(LRK_CUDA, t->data, v, lrk_bytes(t));
}

static void open_layer(layer *l)
{
    lrk_infer shapes;
    lrk_err err = {0};
    *l = (layer){.rng = {.seed = 1, .site = LRK_SITE_TEST}};
    l->attr = (lrk_linear_attr){.scale = 2.0, .dropout = 0.25, .rng = &l->rng};
    place(&l->x, &l->memory[0], T, IN);
    place(&l->w, &l->memory[1], OUT, IN);
    place(&l->a, &l->memory[2], R, IN);
    place(&l->b, &l->memory[3], OUT, R);
    place(&l->y, &l->memory[4], T, OUT);
    place(&l->s, &l->memory[5], T, R);
    l->call = (lrk_call){.device = LRK_CUDA, .attr = &l->attr, .backward_follows = true};
    l->call.in[LRK_LINEAR_X] = &l->x;
    l->call.in[LRK_LINEAR_W] = &l->w;
    l->call.in[LRK_LINEAR_A] = &l->a;
    l->call.in[LRK_LINEAR_B] = &l->b;
    l->call.out[LRK_LINEAR_Y] = &l->y;
    l->call.saved[LRK_LINEAR_S] = &l->s;
    must(lrk_op_infer(&lrk_op_linear, &l->call, &shapes, &err), &err);
    must(lrk_arena_on(LRK_CUDA, &l->scratch, "test", shapes.forward_scratch, &err), &err);
    l->call.scratch = l->scratch.base;
}

static void close_layer(layer *l)
{
    for (int i = 0; i < TENSORS; i++) lrk_arena_free(&l->memory[i]);
    lrk_arena_free(&l->scratch);
}

static void forward(const layer *l)
{
    lrk_op_forward(&lrk_op_linear, LRK_CUDA, LRK_C_F32)(&l->call);
}

static void result(const layer *l, float y[T * OUT])
{
    lrk_err err = {0};
    must(lrk_device_download(LRK_CUDA, y, l->y.data, lrk_bytes(&l->y), &err), &err);
}

static void test_masks_of_a_recording(void **state)
{
    (void)state;
    layer l;
    float want[2][T * OUT], got[T * OUT];
    if (!on_gpu) return;
    open_layer(&l);
    for (uint32_t step = 0; step < 2; step++) {
        l.rng.step = step;
        forward(&l);
        result(&l, want[step]);
    }
    assert_memory_not_equal(want[0], want[1], sizeof got);
    l.rng.step = 7; /* when it is recorded; that is forgotten */
    lrk_device_record_begin(LRK_CUDA);
    forward(&l);
    lrk_recording *r = lrk_device_record_end(LRK_CUDA);
    assert_non_null(r);
    for (uint32_t step = 0; step < 2; step++) {
        lrk_device_draw(LRK_CUDA, l.rng.seed, step);
        lrk_device_replay(LRK_CUDA, r);
        result(&l, got);
        assert_memory_equal(got, want[step], sizeof got);
    }
    lrk_device_forget(LRK_CUDA, r);
    close_layer(&l);
}

int main(void)
{
    lrk_err err = {0};
    on_gpu = lrk_device_open(LRK_CUDA, NULL, &err) == LRK_OK && lrk_gemm_open(LRK_CUDA, &err) == LRK_OK;
    if (!on_gpu) printf("skipped: %s\n", err.text);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_masks_of_a_recording)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
