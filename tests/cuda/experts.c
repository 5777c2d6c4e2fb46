/* tests/cuda/experts.c -- mixtures of experts whose matrices are stored in few bits, of several types side
 * by side, and of more experts than one launch lists, on a GPU. The truth is the same call on the CPU. */
#include "blocks.h"
#include "cuda/both.h"
#include "kernels/experts/experts.h"
#include "kernels/gemm.h"

enum { MOST = 200, STACKS = 3 };

/* Random weights of the type, whose values are as large as those of a trained matrix. */
static void *weights(lrk_dtype type, size_t n, uint32_t number)
{
    void *stored = take(n, sizeof(float));
    float *v = take(n, sizeof *v);
    draw(v, n, number);
    for (size_t i = 0; i < n; i++) v[i] *= 0.1f;
    if (!lrk_can_quantize(type) || !lrk_from_f32(type, v, n, stored))
        lrk_test_blocks(type, n, number, 0.1f, stored);
    lrk_heap_free(v);
    return stored;
}

typedef struct mixture {
    lrk_experts_attr here, there;
    lrk_tensor view[STACKS * MOST], view_there[STACKS * MOST];
} mixture;

/* Expert e's matrix of stack w is of type[(e + w) % n]. All matrices lie on the GPU in one piece. */
static void mixture_new(mixture *m, lrk_experts_attr attr, size_t width, const lrk_dtype *type, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < STACKS * attr.experts; i++) {
        const size_t stack = i / attr.experts, F = attr.feed_forward;
        m->view[i] = matrix(type[(i % attr.experts + stack) % n], stack == 2 ? width : F, stack == 2 ? F : width,
                            stack == 2 ? F : width, NULL);
        m->view[i].data = weights(m->view[i].dtype, F * width, (uint32_t)i);
        bytes += lrk_aligned(lrk_bytes(&m->view[i]), LRK_ALIGN);
    }
    unsigned char *room = on_gpu(NULL, bytes);
    for (size_t i = 0; i < STACKS * attr.experts; i++) {
        m->view_there[i] = m->view[i];
        m->view_there[i].data = room;
        lrk_device_upload(LRK_CUDA, room, m->view[i].data, lrk_bytes(&m->view[i]));
        room += lrk_aligned(lrk_bytes(&m->view[i]), LRK_ALIGN);
    }
    m->here = m->there = attr;
    m->here.gate = m->view, m->there.gate = m->view_there;
    m->here.up = m->view + attr.experts, m->there.up = m->view_there + attr.experts;
    m->here.down = m->view + 2 * attr.experts, m->there.down = m->view_there + 2 * attr.experts;
}

static void mixture_free(mixture *m)
{
    for (size_t i = 0; i < STACKS * m->here.experts; i++) lrk_heap_free(m->view[i].data);
}

static lrk_tensor numbers(lrk_dtype type, size_t rows, size_t cols, uint32_t number)
{
    void *data = take(rows * cols, sizeof(float));
    float *v = take(rows * cols, sizeof *v);
    draw(v, rows * cols, number);
    assert_true(lrk_from_f32(type, v, rows * cols, data));
    lrk_heap_free(v);
    return matrix(type, rows, cols, cols, data);
}

/* f32: sums of up to 256 products, sixteen roundings in each of up to five products in a row. bf16: what
 * lies between those five is rounded to eight bits, and the choice of a rounding is the sums'. */
static double bound_of(lrk_dtype compute)
{
    return compute == LRK_F32 ? 5 * 16 * 0x1p-24 : 5 * 0x1p-8;
}

static void compare(const lrk_experts_attr *attr, lrk_dtype compute, size_t tokens, size_t width,
                    const lrk_dtype *type, size_t n_types)
{
    static mixture m;
    const size_t rows = tokens * attr->used;
    mixture_new(&m, *attr, width, type, n_types);
    lrk_tensor x = numbers(compute, tokens, width, 900), z = numbers(compute, tokens, attr->experts, 901);
    lrk_tensor y = numbers(compute, tokens, width, 902), dy = numbers(compute, tokens, width, 903);
    lrk_tensor dx = numbers(compute, tokens, width, 904), dz = numbers(compute, tokens, attr->experts, 905);
    lrk_tensor g = numbers(compute, rows, attr->feed_forward, 906), u = numbers(compute, rows, attr->feed_forward, 907);
    lrk_tensor plan = lrk_vec(LRK_I32, attr->experts + 1 + 2 * rows);
    plan.data = take(lrk_count(&plan), sizeof(int32_t));
    both b = {.cpu = {.in = {&x, &z}, .out = {&y}, .dout = {&dy}, .din = {&dx, &dz}, .saved = {&g, &u, &plan},
                      .attr = &m.here, .backward_follows = true},
              .gpu = {.attr = &m.there}, .bound = bound_of(compute)};
    run_both(&lrk_op_experts, &b);
    const lrk_tensor *const all[] = {&x, &z, &y, &dy, &dx, &dz, &g, &u, &plan};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) lrk_heap_free(all[i]->data);
    mixture_free(&m);
}

static void every_stored_type(void **state)
{
    (void)state;
    for (int t = 0; t < LRK_DTYPE_COUNT; t++) {
        const lrk_dtype type = (lrk_dtype)t;
        if (!lrk_gemm_decodes(LRK_CUDA, type)) continue;
        const size_t width = lrk_max(lrk_dtype_block(type), 32);
        const lrk_experts_attr attr = {.experts = 1, .used = 1, .feed_forward = width, .factor = 1.0};
        compare(&attr, width < 256 ? LRK_F32 : LRK_BF16, 3, width, &type, 1);
    }
}

/* Neighbours of a stack, and the matrices of one expert, are of other types; more experts than the
 * arguments of one launch have room for. */
static void many_experts_of_mixed_types(void **state)
{
    (void)state;
    const lrk_dtype types[] = {LRK_F32, LRK_BF16, LRK_F16, LRK_Q4_0, LRK_Q8_0, LRK_NF4, LRK_MXFP4};
    const lrk_experts_attr attr = {.experts = MOST, .used = 3, .feed_forward = 64, .normalize = true, .factor = 1.5};
    compare(&attr, LRK_F32, 9, 64, types, sizeof types / sizeof *types);
    compare(&attr, LRK_BF16, 9, 64, types, sizeof types / sizeof *types);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_stored_type, release),
        cmocka_unit_test_teardown(many_experts_of_mixed_types, release),
    };
    lrk_err err = {0};
    if (lrk_device_open(LRK_CUDA, NULL, &err) != LRK_OK) {
        print_message("skipped: %s\n", err.text);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
