/* tests/cuda/kernels.c -- what the op sweep does not reach of the kernels for a GPU: the optimizer, the
 * key-value cache, views with gaps, tables in GGUF blocks, a head with more rows than were said. The truth is the same
 * call on the CPU. */
#include "cuda/both.h"
#include "kernels/adamw/adamw.h"
#include "kernels/cache/cache.h"
#include "kernels/embed/embed.h"
#include "kernels/linear_xent/linear_xent.h"
#include "kernels/rmsnorm/rmsnorm.h"
#include "kernels/rope/rope.h"
#include "kernels/segments.h"
#include "kernels/swiglu/swiglu.h"

/* ---- the optimizer ------------------------------------------------------------------------------- */

enum { P, G, M, V, ARRAYS };

typedef struct optimizer {
    size_t n;
    float *host[ARRAYS], *device[ARRAYS];
    uint16_t *shadow;
    void *scratch;
    lrk_adamw_values *values;
} optimizer;

static optimizer optimizer_new(size_t n)
{
    optimizer o = {.n = n};
    for (uint32_t i = 0; i < ARRAYS; i++) {
        o.host[i] = take(n, sizeof(float));
        draw(o.host[i], n, i);
        for (size_t k = 0; i == V && k < n; k++) o.host[i][k] = fabsf(o.host[i][k]);
        o.device[i] = on_gpu(o.host[i], n * sizeof(float));
    }
    o.shadow = on_gpu(NULL, n * sizeof *o.shadow);
    o.scratch = on_gpu(NULL, lrk_norm_scratch(n));
    o.values = on_gpu(NULL, sizeof *o.values);
    return o;
}

static void optimizer_free(optimizer *o)
{
    for (int i = 0; i < ARRAYS; i++) lrk_heap_free(o->host[i]);
}

static lrk_adamw at_step(uint64_t step)
{
    return (lrk_adamw){.learning_rate = 0.01 / (double)step, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8,
                       .decay = 0.1, .clip = 1.0, .step = step};
}

static void ask_for_step(const optimizer *o)
{
    lrk_norm_cuda(o->device[G], o->n, o->scratch, o->values);
    lrk_adamw_step_cuda(o->values, 0, o->device[P], o->device[G], o->device[M], o->device[V], o->shadow,
                        o->n);
}

/* The same on the CPU, clipped as train/optimizer.c does. */
static double step_on_cpu(const optimizer *o, uint64_t step, double max_norm)
{
    lrk_adamw a = at_step(step);
    const double norm = lrk_norm(o->host[G], o->n);
    if (max_norm > 0.0 && norm + 1e-6 > max_norm) a.clip = max_norm / (norm + 1e-6);
    lrk_adamw_step(&a, o->host[P], o->host[G], o->host[M], o->host[V], o->n);
    return norm;
}

static void compare(const optimizer *o, double norm)
{
    float *got = take(o->n, sizeof *got);
    uint16_t *shadow = take(o->n, sizeof *shadow);
    lrk_adamw_values values;
    from_gpu(&values, o->values, sizeof values);
    assert_true(fabs(values.norm - norm) <= 1e-13 * norm);
    for (int i = 0; i < ARRAYS; i++) {
        from_gpu(got, o->device[i], o->n * sizeof *got);
        assert_near(got, o->host[i], o->n, 0.01);
        if (i != P) continue;
        from_gpu(shadow, o->shadow, o->n * sizeof *shadow);
        for (size_t k = 0; k < o->n; k++) assert_int_equal(shadow[k], lrk_f32_to_bf16(got[k]));
    }
    lrk_heap_free(got);
    lrk_heap_free(shadow);
}

/* Recorded once, run with the values of each step: several chunks of the norm, and a length that is no
 * multiple of four. */
static void steps(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 1003, 40000};
    const double max_norm[] = {0.0, 1.5, 1e9};
    for (size_t s = 0; s < 3; s++) {
        optimizer o = optimizer_new(sizes[s]);
        lrk_device_record_begin(LRK_CUDA);
        ask_for_step(&o);
        lrk_recording *r = lrk_device_record_end(LRK_CUDA);
        assert_non_null(r);
        for (uint64_t step = 1; step <= 3; step++) {
            const lrk_adamw a = at_step(step);
            const lrk_adamw_values values = lrk_adamw_values_of(&a, 1.0, max_norm[step - 1]);
            lrk_device_upload(LRK_CUDA, o.values, &values, sizeof values);
            lrk_device_replay(LRK_CUDA, r);
            compare(&o, step_on_cpu(&o, step, max_norm[step - 1]));
        }
        lrk_device_forget(LRK_CUDA, r);
        optimizer_free(&o);
        release(NULL);
    }
}

static void not_finite(void **state)
{
    (void)state;
    const float bad[] = {(float)NAN, INFINITY};
    for (size_t b = 0; b < 2; b++) {
        optimizer o = optimizer_new(1000);
        const lrk_adamw a = at_step(1);
        lrk_adamw_values values = lrk_adamw_values_of(&a, 1.0, 1.0);
        float *got = take(o.n, sizeof *got);
        o.host[G][777] = bad[b];
        lrk_device_upload(LRK_CUDA, o.device[G], o.host[G], o.n * sizeof(float));
        lrk_device_upload(LRK_CUDA, o.values, &values, sizeof values);
        ask_for_step(&o);
        from_gpu(&values, o.values, sizeof values);
        if (isfinite(values.norm)) fail_msg("the norm is %g", values.norm);
        for (int i = 0; i < ARRAYS; i++) {
            from_gpu(got, o.device[i], o.n * sizeof *got);
            assert_memory_equal(got, o.host[i], o.n * sizeof *got);
        }
        lrk_heap_free(got);
        optimizer_free(&o);
        release(NULL);
    }
}

/* ---- the cache ----------------------------------------------------------------------------------- */

/* keys 0, values 1; rows are column slices. An empty segment at the end is nobody's. */
static void append(lrk_dtype type, size_t cols)
{
    enum { TOKENS = 9, SLOTS = 3, CAPACITY = 8 };
    const size_t stride = 2 * cols, size = lrk_row_bytes(type, 1);
    int32_t table[] = {0, 4, 2, -1, 8, 6, 4, 1, 7, -1, 0, 8, 5, 4, 0, -1, 16, 4, 9, 0, 0, -1, 0, 0};
    lrk_tensor segments = matrix(LRK_I32, 4, LRK_SEG_FIELDS, LRK_SEG_FIELDS, table);
    lrk_tensor cache[2], rows[2], cache_there[2], rows_there[2];
    for (int i = 0; i < 2; i++) {
        unsigned char *room = take(TOKENS * stride, size);
        for (size_t b = 0; b < TOKENS * stride * size; b++) room[b] = (unsigned char)(7 * b + (size_t)i);
        rows[i] = matrix(type, TOKENS, cols, stride, room);
        cache[i] = matrix(type, SLOTS * CAPACITY, cols, cols, take(SLOTS * CAPACITY * cols, size));
        rows_there[i] = moved(&rows[i]);
        cache_there[i] = moved(&cache[i]);
    }
    const lrk_tensor *const caches[] = {&cache[0], &cache[1]}, *const news[] = {&rows[0], &rows[1]};
    const lrk_tensor *const caches_there[] = {&cache_there[0], &cache_there[1]};
    const lrk_tensor *const news_there[] = {&rows_there[0], &rows_there[1]};
    const lrk_tensor segments_there = moved(&segments);
    lrk_cache_append(LRK_CPU, caches, news, &segments);
    lrk_cache_append(LRK_CUDA, caches_there, news_there, &segments_there);
    unsigned char *got = take(lrk_bytes(&cache[0]), 1);
    for (int i = 0; i < 2; i++) {
        from_gpu(got, cache_there[i].data, lrk_bytes(&cache[i]));
        assert_memory_equal(got, cache[i].data, lrk_bytes(&cache[i]));
        /* and the CPU put position 7 of the second slot's sequence where it belongs */
        assert_memory_equal(lrk_row(&cache[i], 7), lrk_row(&rows[i], 4), cols * size);
        lrk_heap_free(cache[i].data);
        lrk_heap_free(rows[i].data);
    }
    lrk_heap_free(got);
    release(NULL);
}

static void appends(void **state)
{
    (void)state;
    append(LRK_F32, 24);
    append(LRK_BF16, 24);
    append(LRK_F32, 5);
    append(LRK_BF16, 5);
}

/* ---- views with gaps ----------------------------------------------------------------------------- */

enum { ROWS = 7 };

static lrk_tensor slice(size_t cols, size_t stride, uint32_t number)
{
    float *p = take(ROWS * stride, sizeof *p);
    draw(p, ROWS * stride, number);
    return matrix(LRK_F32, ROWS, cols, stride, p);
}

static void gaps(void **state)
{
    (void)state;
    /* all on 16 bytes; an odd stride; an odd width */
    const size_t cols[] = {48, 48, 18}, stride[] = {144, 145, 60};
    const lrk_swiglu_attr silu = {LRK_SILU};
    const lrk_rope_attr halves = {.head = 6}, wide = {.head = 16};
    const lrk_rmsnorm_attr norm = {1e-5};
    for (int k = 0; k < 3; k++) {
        lrk_tensor t[6];
        for (uint32_t i = 0; i < 6; i++) t[i] = slice(cols[k], stride[k], i);
        lrk_tensor w = lrk_vec(LRK_F32, cols[k]), dw = w, r = lrk_vec(LRK_F32, ROWS);
        w.data = t[1].data;
        dw.data = t[5].data;
        r.data = take(ROWS, sizeof(float));
        both s = {.cpu = {.in = {&t[0], &t[1]}, .out = {&t[2]}, .dout = {&t[3]}, .attr = &silu,
                          .din = {&t[4], &t[5]}, .fresh = 1, .backward_follows = true}};
        run_both(&lrk_op_swiglu, &s);
        both n = {.cpu = {.in = {&t[0], &w}, .out = {&t[2]}, .dout = {&t[3]}, .saved = {&r},
                          .din = {&t[4], &dw}, .attr = &norm, .fresh = 2, .backward_follows = true}};
        run_both(&lrk_op_rmsnorm, &n);
        lrk_tensor table = matrix(LRK_F32, ROWS, k == 2 ? 6 : 8, k == 2 ? 6 : 8, t[1].data);
        both p = {.cpu = {.in = {&t[0], &table}, .out = {&t[2]}, .dout = {&t[3]}, .din = {&t[4]},
                          .attr = k == 2 ? &halves : &wide, .backward_follows = true}};
        run_both(&lrk_op_rope, &p);
        for (int i = 0; i < 6; i++) lrk_heap_free(t[i].data);
        lrk_heap_free(r.data);
    }
}

/* ---- stored types -------------------------------------------------------------------------------- */

/* Rows decoded on the GPU have the bits of base/quant.h. */
static void stored(void **state)
{
    (void)state;
    enum { WORDS = 5, C = 512, T = 6 };
    const lrk_dtype types[] = {LRK_F32,  LRK_BF16, LRK_F16,  LRK_Q4_0, LRK_Q4_1, LRK_Q5_0,
                               LRK_Q5_1, LRK_Q8_0, LRK_Q4_K, LRK_Q5_K, LRK_Q6_K};
    const int32_t numbers[T] = {4, 0, 2, 2, 1, 3};
    const lrk_embed_attr attr[] = {{.compute = LRK_C_F32}, {.compute = LRK_C_BF16}};
    static float wide[WORDS * C], row[C], got[T * C];
    draw(wide, WORDS * C, 1);
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        static unsigned char room[WORDS * C * 4];
        assert_true(lrk_from_f32(types[k], wide, WORDS * C, room));
        lrk_tensor table = matrix(types[k], WORDS, C, C, room), ids = lrk_vec(LRK_I32, T);
        const lrk_tensor there = moved(&table);
        ids.data = on_gpu(numbers, sizeof numbers);
        for (int c = 0; c < 2; c++) {
            const lrk_dtype type = lrk_compute_dtype(attr[c].compute);
            lrk_tensor y = matrix(type, T, C, C, on_gpu(NULL, T * C * sizeof(float)));
            const lrk_call call = {.in = {&there, &ids}, .out = {&y}, .attr = &attr[c],
                                   .device = LRK_CUDA};
            lrk_op_forward(&lrk_op_embed, LRK_CUDA, attr[c].compute)(&call);
            from_gpu(got, y.data, lrk_bytes(&y));
            for (size_t t = 0; t < T; t++) {
                lrk_to_f32(types[k], lrk_row(&table, (size_t)numbers[t]), C, row);
                for (size_t i = 0; i < C; i++) {
                    if (type == LRK_F32)
                        assert_memory_equal(&got[t * C + i], &row[i], sizeof(float));
                    else
                        assert_int_equal(((uint16_t *)(void *)got)[t * C + i], lrk_f32_to_bf16(row[i]));
                }
            }
        }
        release(NULL);
    }
}

/* The gradient of an f32 table beside bf16: tokens of one id in order, nothing for padding. */
static void trained_table(void **state)
{
    (void)state;
    enum { WORDS = 5, T = 70 };
    static const size_t widths[] = {64, 37};
    int32_t ids[T];
    for (size_t t = 0; t < T; t++) ids[t] = (int32_t)(t * 7 % WORDS);
    for (size_t k = 0; k < 2; k++) {
        const size_t C = widths[k];
        float numbers[T * 64], want[WORDS * 64], got[WORDS * 64];
        uint16_t dy[T * 64];
        draw(numbers, T * C, 3);
        for (size_t i = 0; i < T * C; i++) dy[i] = lrk_f32_to_bf16(numbers[i]);
        for (size_t v = 0; v < WORDS; v++) {
            for (size_t i = 0; i < C; i++) {
                float sum = 0.0f;
                for (size_t t = 0; t < T && v != 3; t++)
                    if (ids[t] == (int32_t)v) sum += lrk_bf16_to_f32(dy[t * C + i]);
                want[v * C + i] = 1.0f + 0.5f * sum;
            }
        }
        for (size_t i = 0; i < WORDS * C; i++) got[i] = 1.0f;
        const lrk_embed_attr attr = {.compute = LRK_C_BF16, .scale = 0.5, .padding = 1 + 3};
        lrk_tensor table = matrix(LRK_F32, WORDS, C, C, NULL), at = lrk_vec(LRK_I32, T);
        lrk_tensor d = matrix(LRK_F32, WORDS, C, C, on_gpu(got, WORDS * C * sizeof *got));
        const lrk_tensor dout = matrix(LRK_BF16, T, C, C, on_gpu(dy, T * C * sizeof *dy));
        at.data = on_gpu(ids, sizeof ids);
        const lrk_call call = {.in = {&table, &at}, .dout = {&dout}, .din = {&d}, .attr = &attr, .device = LRK_CUDA};
        lrk_op_backward(&lrk_op_embed, LRK_CUDA, LRK_C_BF16)(&call);
        from_gpu(got, d.data, lrk_bytes(&d));
        assert_memory_equal(got, want, WORDS * C * sizeof *got);
        release(NULL);
    }
}

/* ---- the head ------------------------------------------------------------------------------------ */

/* More trained rows than were said: no number at all on the GPU, the right ones on the CPU. */
static void more_trained_rows_than_said(void **state)
{
    (void)state;
    enum { T = 6, C = 16, WORDS = 24 };
    static const int32_t targets[T] = {3, -1, 0, 23, 7, 1};
    static const lrk_linear_xent_attr any = {0}, few = {.max_rows = 2};
    static float x[T * C], w[WORDS * C], y[T * C];
    double loss[2], seed = 1.0;
    float dx[2][T * C], got[T * C];
    draw(x, T * C, 1);
    draw(w, WORDS * C, 2);
    lrk_tensor t[] = {matrix(LRK_F32, T, C, C, x), matrix(LRK_F32, WORDS, C, C, w), lrk_vec(LRK_I32, T),
                      lrk_vec(LRK_F64, 1), lrk_vec(LRK_F64, 1), matrix(LRK_F32, T, C, C, y)};
    t[2].data = (void *)(uintptr_t)targets;
    t[4].data = &seed;
    for (int i = 0; i < 3; i++) { /* the CPU twice, then the GPU */
        const lrk_device d = i == 2 ? LRK_CUDA : LRK_CPU;
        lrk_tensor here[6], dx_of = t[0];
        lrk_infer shapes;
        lrk_err err = {0};
        memcpy(here, t, sizeof here);
        here[3].data = d == LRK_CPU ? &loss[i] : on_gpu(NULL, sizeof *loss);
        dx_of.data = d == LRK_CPU ? dx[i] : on_gpu(NULL, sizeof got);
        for (int k = 0; d == LRK_CUDA && k < 5; k++)
            if (k != 3) here[k] = moved(&t[k]);
        if (d == LRK_CUDA) here[5].data = on_gpu(NULL, sizeof y);
        lrk_call c = {.in = {&here[0], &here[1], &here[2]}, .out = {&here[3]}, .dout = {&here[4]},
                      .saved = {&here[5]}, .din = {&dx_of}, .attr = i ? &few : &any, .device = d,
                      .fresh = 1, .backward_follows = true};
        assert_int_equal(lrk_op_infer(&lrk_op_linear_xent, &c, &shapes, &err), LRK_OK);
        const size_t bytes = lrk_max(shapes.forward_scratch, shapes.backward_scratch);
        void *room = take(bytes, 1);
        c.scratch = d == LRK_CPU ? room : on_gpu(NULL, bytes);
        lrk_op_forward(&lrk_op_linear_xent, d, LRK_C_F32)(&c);
        lrk_op_backward(&lrk_op_linear_xent, d, LRK_C_F32)(&c);
        lrk_heap_free(room);
        if (d == LRK_CPU) continue;
        from_gpu(loss, here[3].data, sizeof *loss);
        from_gpu(got, dx_of.data, sizeof got);
    }
    assert_true(isnan(loss[0]) && isfinite(loss[1]));
    assert_within(dx[1], dx[0], T * C, 16 * 0x1p-24);
    for (size_t k = 0; k < T * C; k++) {
        if (targets[k / C] < 0)
            assert_true(got[k] == 0.0f);
        else
            assert_true(isnan(got[k]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(steps, release),  cmocka_unit_test_teardown(not_finite, release),
        cmocka_unit_test_teardown(appends, release), cmocka_unit_test_teardown(gaps, release),
        cmocka_unit_test_teardown(stored, release), cmocka_unit_test_teardown(trained_table, release),
        cmocka_unit_test_teardown(more_trained_rows_than_said, release),
    };
    lrk_err err = {0};
    if (lrk_device_open(LRK_CUDA, NULL, &err) != LRK_OK) {
        print_message("skipped: %s\n", err.text);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
