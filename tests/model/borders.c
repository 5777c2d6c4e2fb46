/* tests/model/borders.c -- adapters in the borders of weights: what lies there is what rounding the parameters gives,
 * whoever changed them, the weights around it stay what they were, and the gradients are those of adapters that lie
 * elsewhere, up to the roundings that are spared. With the argument CUDA on a GPU or the emulator; on the CPU there are
 * none. */
#include "model/toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/borders.h"
#include "train/optimizer.h"

enum { ROWS = 2, TOKENS = 46 };

static lrk_device device = LRK_CPU;

typedef struct fixture {
    lrk_toy toy;
    lrk_engine e;
} fixture;

static void open_with(fixture *f, int kind, const lrk_lora_options *lora, lrk_dtype type, lrk_compute compute,
                      lrk_recompute recompute)
{
    lrk_err err = {0};
    f->toy = (lrk_toy){.arena = lrk_arena_growing("toy"), .type = type, .decoder = lrk_toy_decoder(kind)};
    const lrk_engine_options o = {.device = device, .decoder = f->toy.decoder, .find = lrk_toy_find, .ctx = &f->toy,
                                  .lora = lora, .train = true, .compute = compute, .recompute = recompute,
                                  .max_tokens = 64, .max_segments = 4};
    if (lrk_engine_open(&f->e, &o, &err) != LRK_OK) fail_msg("%s", err.text);
}

static void close_all(fixture *f)
{
    lrk_engine_close(&f->e);
    lrk_arena_free(&f->toy.arena);
}

static void *there(const void *from, size_t bytes)
{
    lrk_err err = {0};
    void *copy = malloc(bytes);
    if (lrk_device_download(device, copy, from, bytes, &err) != LRK_OK) fail_msg("%s", err.text);
    return copy;
}

/* Rows of a strided tensor, as they lie. */
static uint16_t *rows_of(const lrk_tensor *t, size_t width)
{
    return there(t->data, ((lrk_rows(t) - 1) * t->stride + width) * sizeof(uint16_t));
}

static void expect_b(const lrk_projection *p)
{
    const lrk_tensor from_start = {.dtype = LRK_BF16, .rank = 2, .dim = {lrk_rows(&p->weight), p->border},
                                   .stride = p->border_b.stride, .data = (uint16_t *)p->border_b.data - p->border_at};
    uint16_t *got = rows_of(&from_start, p->border);
    float *b = p->adapted ? there(p->b.data, lrk_bytes(&p->b)) : NULL;
    for (size_t r = 0; r < lrk_rows(&p->weight); r++)
        for (size_t c = 0; c < p->border; c++) {
            const bool mine = b && c >= p->border_at && c < p->border_at + p->rank;
            const float want = mine ? b[r * p->rank + c - p->border_at] : 0.0f;
            assert_int_equal(got[r * from_start.stride + c], lrk_f32_to_bf16(want));
        }
    free(got);
    free(b);
}

static void expect_a(const lrk_projection *p)
{
    uint16_t *got = rows_of(&p->border_a, lrk_cols(&p->border_a));
    float *a = there(p->a.data, lrk_bytes(&p->a));
    for (size_t i = 0; i < lrk_count(&p->a); i++)
        assert_int_equal(got[i / lrk_cols(&p->a) * p->border_a.stride + i % lrk_cols(&p->a)], lrk_f32_to_bf16(a[i]));
    free(got);
    free(a);
}

static void expect_weight(fixture *f, const lrk_projection *p)
{
    lrk_tensor stored;
    lrk_err err = {0};
    char name[160];
    snprintf(name, sizeof name, "%s.weight", p->path);
    assert_int_equal(lrk_toy_find(&f->toy, name, &stored, &err), LRK_OK);
    uint16_t *got = rows_of(&p->weight, lrk_cols(&p->weight));
    for (size_t r = 0; r < lrk_rows(&stored); r++)
        assert_memory_equal(got + r * p->weight.stride, lrk_row(&stored, r),
                            lrk_row_bytes(LRK_BF16, lrk_cols(&stored)));
    free(got);
}

/* How many borders there are. */
static size_t expect_borders(fixture *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->toy.decoder.layers; i++)
        for (int which = 0; which < LRK_PROJECTIONS; which++) {
            const lrk_projection *p = &f->e.model.layers[i].projection[which];
            if (p->border_b.rank) expect_b(p);
            if (p->border_a.rank) expect_a(p);
            if (p->weight.stride > lrk_cols(&p->weight)) expect_weight(f, p);
            n += (p->border_a.rank ? 1u : 0u) + (p->border_b.rank ? 1u : 0u);
        }
    assert_int_equal(n, f->e.model.n_borders);
    return n;
}

static float *gradients(fixture *f, const lrk_flat_run *b)
{
    lrk_err err = {0};
    double loss;
    lrk_engine_begin(&f->e);
    if (lrk_engine_gradients(&f->e, b, 0.05, &loss, &err) != LRK_OK) fail_msg("%s", err.text);
    return there(f->e.model.gradients.data, lrk_bytes(&f->e.model.gradients));
}

/* |a - b| / |b| */
static double apart(const float *a, const float *b, size_t n)
{
    double of = 0.0, all = 0.0;
    for (size_t i = 0; i < n; i++) {
        of += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        all += (double)b[i] * (double)b[i];
    }
    return sqrt(of / all);
}

/* The gradients of the toy with numbers from elsewhere; cache: bytes that the GPU is said to keep. */
static float *gradients_of(int kind, const lrk_lora_options *lora, lrk_dtype type, lrk_compute compute,
                           lrk_recompute recompute, const char *cache, size_t *n)
{
    fixture f;
    lrk_toy_batch t;
    lrk_err err = {0};
    assert_int_equal(setenv("LRK_GPU_CACHE", cache, 1), 0);
    open_with(&f, kind, lora, type, compute, recompute);
    assert_int_equal(lrk_model_start(&f.e.model, 1, &err), LRK_OK);
    lrk_toy_adapters(&f.e.model);
    lrk_toy_rows(&t, (size_t[ROWS]){9, TOKENS - 9}, ROWS, 1, 0, 50);
    float *g = gradients(&f, &t.b);
    *n = lrk_count(&f.e.model.gradients);
    close_all(&f);
    assert_int_equal(unsetenv("LRK_GPU_CACHE"), 0);
    return g;
}

/* As a checkpoint or an adapter's file does: other numbers where the parameters lie, and then all is settled. */
static void read_anew(lrk_model *m)
{
    float *numbers = malloc(lrk_bytes(&m->parameters));
    for (size_t i = 0; i < lrk_count(&m->parameters); i++) numbers[i] = 0.001f * (float)(i % 1000) - 0.3f;
    lrk_device_upload(device, m->parameters.data, numbers, lrk_bytes(&m->parameters));
    lrk_model_settle(m, false);
    free(numbers);
}

static void borders_follow_the_parameters(void **state)
{
    (void)state;
    if (device == LRK_CPU) skip();
    const lrk_lora_options lora = {.rank = 8, .alpha = 8, .seed = 3};
    /* of two layers: seven of W and A; q, k and v of a fused matrix are one; beside other types the B of five */
    static const struct { int kind; lrk_dtype type; size_t n; } cases[] = {
        {LRK_TOY_LLAMA, LRK_BF16, 28}, {LRK_TOY_GEMMA, LRK_BF16, 28}, {LRK_TOY_FUSED, LRK_BF16, 16},
        {LRK_TOY_PARALLEL, LRK_BF16, 16}, {LRK_TOY_LLAMA, LRK_F32, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        lrk_toy_batch t;
        lrk_err err = {0};
        open_with(&f, cases[i].kind, &lora, cases[i].type, LRK_C_BF16, LRK_KEEP_ALL);
        assert_int_equal(f.e.model.shadow.rank == 0, cases[i].type == LRK_BF16);
        assert_int_equal(lrk_model_start(&f.e.model, 1, &err), LRK_OK);
        assert_int_equal(expect_borders(&f), cases[i].n);
        lrk_toy_rows(&t, (size_t[ROWS]){9, TOKENS - 9}, ROWS, 1, 0, 50);
        lrk_optimizer adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
        for (int step = 0; step < 3; step++) { /* the third is a recording */
            lrk_step_result r;
            free(gradients(&f, &t.b));
            lrk_optimizer_step(&adamw, &f.e, 0.01);
            assert_int_equal(lrk_optimizer_result(&adamw, &f.e, &r, &err), LRK_OK);
            expect_borders(&f);
        }
        read_anew(&f.e.model);
        expect_borders(&f);
        close_all(&f);
    }
}

/* No further from the gradients in f32 than where both are products of their own: the roundings between them fall away,
 * and a few hundred others, which differ then, may add up by a fifth more. */
static void one_sum_is_the_sum_of_two(void **state)
{
    (void)state;
    if (device == LRK_CPU) skip();
    const lrk_lora_options lora = {.rank = 8, .alpha = 8, .seed = 3};
    static const struct { int kind; lrk_dtype type; lrk_recompute recompute; } cases[] = {
        {LRK_TOY_LLAMA, LRK_BF16, LRK_KEEP_ALL},    {LRK_TOY_LLAMA, LRK_BF16, LRK_KEEP_LAYERS},
        {LRK_TOY_LLAMA, LRK_BF16, LRK_KEEP_COSTLY}, {LRK_TOY_LLAMA, LRK_BF16, LRK_KEEP_AWAY},
        {LRK_TOY_GEMMA, LRK_BF16, LRK_KEEP_ALL},    {LRK_TOY_FUSED, LRK_BF16, LRK_KEEP_ALL},
        {LRK_TOY_PARALLEL, LRK_BF16, LRK_KEEP_ALL}, {LRK_TOY_EXPERTS, LRK_BF16, LRK_KEEP_ALL},
        {LRK_TOY_LLAMA, LRK_F32, LRK_KEEP_ALL},     {LRK_TOY_FUSED, LRK_F32, LRK_KEEP_LAYERS}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int kind = cases[i].kind;
        size_t n;
        float *exact = gradients_of(kind, &lora, cases[i].type, LRK_C_F32, LRK_KEEP_ALL, "0", &n);
        float *one = gradients_of(kind, &lora, cases[i].type, LRK_C_BF16, cases[i].recompute, "0", &n);
        float *again = gradients_of(kind, &lora, cases[i].type, LRK_C_BF16, cases[i].recompute, "0", &n);
        float *two = gradients_of(kind, &lora, cases[i].type, LRK_C_BF16, cases[i].recompute, "1000000000", &n);
        assert_memory_equal(one, again, n * sizeof *one);
        assert_memory_not_equal(one, two, n * sizeof *one);
        const double off_one = apart(one, exact, n), off_two = apart(two, exact, n);
        print_message("kind %d, %s, policy %d: %.2e as one sum, %.2e as two\n", kind, lrk_dtype_name(cases[i].type),
                      (int)cases[i].recompute, off_one, off_two);
        assert_true(off_one < 1.2 * off_two && off_two < 0.3);
        free(exact);
        free(one);
        free(again);
        free(two);
    }
}

static void none_where_they_do_not_pay(void **state)
{
    (void)state;
    if (device == LRK_CPU) skip();
    const lrk_lora_options odd = {.rank = 4, .alpha = 8, .seed = 3}, masked = {.rank = 8, .dropout = 0.1, .seed = 3},
                           lengths = {.rank = 8, .dora = true, .seed = 3},
                           inside = {.rank = 8, .begin = {LRK_BEGIN_PISSA, 2}, .seed = 3};
    const lrk_lora_options *const all[] = {&odd, &masked, &lengths, &inside};
    for (int i = 0; i < 4; i++) {
        fixture f;
        open_with(&f, LRK_TOY_LLAMA, all[i], LRK_BF16, LRK_C_BF16, LRK_KEEP_ALL);
        assert_int_equal(f.e.model.n_borders, 0);
        close_all(&f);
    }
}

int main(int argc, char **argv)
{
    if (!lrk_toy_device(argc, argv, &device)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(borders_follow_the_parameters),
                                       cmocka_unit_test(one_sum_is_the_sum_of_two),
                                       cmocka_unit_test(none_where_they_do_not_pay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
