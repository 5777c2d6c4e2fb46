/* tests/model/stored.c -- a model whose matrices are stored in few bits is the model of their
 * values. With the argument CUDA on a GPU, or on the emulator where that is linked: types side by side and
 * NF4; each type alone is kernels/'s business there. */
#include "base/nf4.h"
#include "base/quant.h"
#include "blocks.h"
#include "model/toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WIDE = 256, GRADIENTS = 4096 };

static const lrk_lora_options lora = {.rank = 2, .alpha = 4, .seed = 3};

static lrk_device device = LRK_CPU;

/* type: of the matrices that find gives; mixed: a type for each name; plain: their values as f32 instead.
 * twice: those of NF4. kind: of the toy. */
typedef struct source {
    lrk_toy toy;
    lrk_dtype type;
    bool mixed, plain, nf4, twice;
    int kind;
} source;

static bool is_layer(const char *name) { return strstr(name, "_proj") != NULL; }

/* As in files that were made to a size: matrices of one layer differ, and so do those of its experts. */
static lrk_dtype mixed_type(const char *name)
{
    static const lrk_dtype types[] = {LRK_Q4_K, LRK_Q6_K, LRK_Q8_0, LRK_F16, LRK_BF16, LRK_IQ4_XS, LRK_MXFP4};
    uint32_t h = 0;
    for (const char *p = name; *p; p++) h = 31 * h + (unsigned char)*p;
    return types[h % (sizeof types / sizeof *types)];
}

static void make_blocks(const char *name, lrk_dtype type, const float *value, size_t n, unsigned char *stored)
{
    if (lrk_can_quantize(type)) {
        assert_true(lrk_from_f32(type, value, n, stored));
    } else {
        /* of its size here as the others: codes of eight bits beside the same scale would make a model whose
         * gradients lose two digits, stored or not */
        const float scale = type == LRK_Q8_1 ? 0.01f : 0.1f;
        lrk_test_blocks(type, n, strlen(name) * 131 + (unsigned char)name[13], scale, stored);
    }
}

/* A matrix has the same blocks each time, and making them takes longest: the last ones of each name are kept. */
static const unsigned char *blocks_of(const char *name, lrk_dtype type, const float *value, size_t n)
{
    static struct {
        char name[96];
        lrk_dtype type;
        size_t n;
        unsigned char *stored;
    } kept[128];
    size_t i = 0;
    while (i < 128 && kept[i].n && strcmp(kept[i].name, name) != 0) i++;
    assert_true(i < 128 && strlen(name) < sizeof kept[i].name);
    if (kept[i].n == n && kept[i].type == type) return kept[i].stored;
    free(kept[i].stored);
    memcpy(kept[i].name, name, strlen(name) + 1);
    kept[i].type = type;
    kept[i].n = n;
    kept[i].stored = malloc(lrk_row_bytes(type, n));
    make_blocks(name, type, value, n, kept[i].stored);
    return kept[i].stored;
}

static lrk_status blocks(source *s, const char *name, lrk_tensor *out, lrk_err *err)
{
    const size_t n = lrk_count(out);
    const lrk_dtype type = s->mixed ? mixed_type(name) : s->type;
    unsigned char *stored;
    float *value = out->data;
    if (lrk_cols(out) % lrk_dtype_block(type)) return LRK_OK;
    LRK_TRY(lrk_alloc(&s->toy.arena, lrk_row_bytes(type, n), 1, name, &stored, err));
    memcpy(stored, blocks_of(name, type, value, n), lrk_row_bytes(type, n));
    lrk_to_f32(type, stored, n, value);
    if (s->plain) return LRK_OK;
    out->dtype = type;
    out->data = stored;
    return LRK_OK;
}

static lrk_status find(void *ctx, const char *name, lrk_tensor *out, lrk_err *err)
{
    source *s = ctx;
    LRK_TRY(lrk_toy_find(&s->toy, name, out, err));
    if (lrk_rows(out) == 1) return LRK_OK;
    float *value = out->data;
    for (size_t i = 0; i < lrk_count(out); i++) value[i] *= 0.2f; /* rows are long here */
    if (s->nf4 && is_layer(name)) {
        lrk_tensor packed = lrk_like(out);
        if (!lrk_nf4_type(lrk_cols(out), s->twice, &packed.dtype)) return LRK_OK;
        LRK_TRY(lrk_alloc(&s->toy.arena, lrk_bytes(&packed), 1, name, &packed.data, err));
        LRK_TRY(lrk_nf4_quantize(out, s->twice, &packed, err));
        lrk_to_f32(packed.dtype, packed.data, lrk_count(out), value);
    }
    return s->type == LRK_F32 && !s->mixed ? LRK_OK : blocks(s, name, out, err);
}

/* Loss and gradients of the model of s; returns the bytes of weights it made. */
static size_t measure(source s, lrk_weight_bits bits, lrk_compute compute, double *loss, float *g)
{
    lrk_engine e;
    lrk_toy_batch t;
    lrk_err err = {0};
    s.toy =
        (lrk_toy){.arena = lrk_arena_growing("toy"), .type = LRK_F32, .decoder = lrk_toy_decoder(s.kind)};
    s.toy.decoder.width = s.toy.decoder.feed_forward = WIDE;
    s.toy.decoder.experts.feed_forward = s.toy.decoder.shared = WIDE;
    if (s.kind == LRK_TOY_LLAMA) s.toy.decoder.head_size = WIDE / s.toy.decoder.heads;
    const lrk_engine_options o = {.device = device,
                                  .decoder = s.toy.decoder,
                                  .find = find,
                                  .ctx = &s,
                                  .lora = &lora,
                                  .train = true,
                                  .compute = compute,
                                  .max_tokens = 14,
                                  .max_segments = 2,
                                  .bits = bits};
    if (lrk_engine_open(&e, &o, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_toy_adapters(&e.model);
    lrk_toy_rows(&t, (size_t[]){6, 8}, 2, 1, 0, 50);
    lrk_engine_begin(&e);
    if (lrk_engine_gradients(&e, &t.b, 1.0, loss, &err) != LRK_OK) fail_msg("%s", err.text);
    assert_true(lrk_count(&e.model.gradients) >= GRADIENTS);
    if (lrk_device_download(device, g, e.model.gradients.data, GRADIENTS * sizeof *g, &err) != LRK_OK)
        fail_msg("%s", err.text);
    const size_t made = e.bytes.weights;
    lrk_engine_close(&e);
    lrk_arena_free(&s.toy.arena);
    return made;
}

/* The same sums, cut elsewhere where blocks are long: some 20 products in a row with 256 terms each, a rounding of
 * 2^-24 a term as a random walk of sqrt(20 * 256) = 71.6 steps, on both sides. */
static void assert_same(const char *what, double loss, double want_loss, const float *g, const float *want)
{
    const double bound = 2.0 * 71.6 * 0x1p-24;
    double worst = 0.0, largest = 0.0;
    for (size_t i = 0; i < GRADIENTS; i++) {
        worst = fmax(worst, fabs((double)g[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    if (!(fabs(loss - want_loss) <= bound * fabs(want_loss)))
        fail_msg("%s: loss %.9g, expected %.9g", what, loss, want_loss);
    if (!(worst <= bound * largest))
        fail_msg("%s: gradients off by %g of %g", what, worst, largest);
    assert_true(largest > 0.0);
}

static void every_type_is_the_model_of_its_values(void **state)
{
    (void)state;
    float got[GRADIENTS], want[GRADIENTS];
    double loss, want_loss;
    for (int t = 0; t < LRK_DTYPE_COUNT; t++) {
        if (!lrk_dtype_quantized((lrk_dtype)t)) continue;
        measure((source){.type = (lrk_dtype)t, .plain = true}, LRK_AS_STORED, LRK_C_F32, &want_loss,
                want);
        measure((source){.type = (lrk_dtype)t}, LRK_AS_STORED, LRK_C_F32, &loss, got);
        assert_same(lrk_dtype_name((lrk_dtype)t), loss, want_loss, got, want);
        if (lrk_can_quantize((lrk_dtype)t)) continue;
        /* Both factors rounded to bf16 in 5 products in a row, 2 sublayers of 2 layers and the head:
         * sqrt(10) * 2^-9 / sqrt(3) = 3.6e-3 of the logits, which the loss is as large as; four times that. */
        measure((source){.type = (lrk_dtype)t}, LRK_AS_STORED, LRK_C_BF16, &loss, got);
        assert_true(fabs(loss - want_loss) < 0.0144 * want_loss);
    }
}

static void types_side_by_side_are_the_model_of_their_values(void **state)
{
    (void)state;
    static const int kinds[] = {LRK_TOY_LLAMA, LRK_TOY_EXPERTS};
    float got[GRADIENTS], want[GRADIENTS];
    double loss, want_loss;
    for (int k = 0; k < 2; k++) {
        const source mixed = {.mixed = true, .kind = kinds[k]};
        measure((source){.mixed = true, .plain = true, .kind = kinds[k]}, LRK_AS_STORED, LRK_C_F32, &want_loss, want);
        measure(mixed, LRK_AS_STORED, LRK_C_F32, &loss, got);
        assert_same("mixed types", loss, want_loss, got, want);
        measure(mixed, LRK_AS_STORED, LRK_C_BF16, &loss, got);
        assert_true(fabs(loss - want_loss) < 0.02 * want_loss);
    }
}

/* matrices: how many numbers become NF4. The CPU copies no others. */
static void nf4_is_the_model_of_its_values(int kind, bool twice, size_t matrices, double *loss)
{
    float got[GRADIENTS], want[GRADIENTS];
    double want_loss;
    const size_t plain = measure((source){.type = LRK_F32, .nf4 = true, .twice = twice, .kind = kind},
                                 LRK_AS_STORED, LRK_C_F32, &want_loss, want);
    const size_t made = measure((source){.type = LRK_F32, .kind = kind}, twice ? LRK_AS_NF4_TWICE : LRK_AS_NF4,
                                LRK_C_F32, loss, got);
    assert_same(twice ? "nf4 twice" : "nf4", *loss, want_loss, got, want);
    assert_int_equal(made, plain - (device == LRK_CPU ? 0 : 4 * matrices) + matrices / 256 * (twice ? 140 : 144));
}

/* Routers choose the same experts on both sides. */
static void experts_become_nf4_too(void **state)
{
    (void)state;
    double loss;
    /* 12 rows of q_a and 14 of kv_a in both layers; gate, up, down; those of six experts and of a shared one */
    const size_t matrices = 2 * (12 + 14) * WIDE + 3 * (1 + 6 + 1) * WIDE * WIDE;
    for (int twice = 0; twice < 2; twice++)
        nf4_is_the_model_of_its_values(LRK_TOY_EXPERTS, twice, matrices, &loss);
}

static void nf4_on_loading_is_the_model_of_its_values(void **state)
{
    (void)state;
    float got[GRADIENTS], want[GRADIENTS];
    double loss, want_loss, full;
    measure((source){.type = LRK_F32}, LRK_AS_STORED, LRK_C_F32, &full, want);
    for (int twice = 0; twice < 2; twice++) {
        /* two layers: q, o, gate, up, down are 256 x 256, k and v half of it */
        nf4_is_the_model_of_its_values(LRK_TOY_LLAMA, twice, 2 * 6 * WIDE * WIDE, &loss);
        /* Near the model of 16 bits, but not it: the 16 values are 9 % off in the mean, 4 sublayers in a row make
         * 18 % of logits of size 1, the mean over 10 trained tokens 6 % of 1, of a loss near 4 1.5 %; twice that. */
        assert_true(fabs(loss - full) < 0.03 * full && fabs(loss - full) > 1e-6 * full);
    }
    /* matrices that are quantized already stay */
    const size_t stored = measure((source){.type = LRK_Q4_K}, LRK_AS_STORED, LRK_C_F32, &want_loss, want);
    assert_int_equal(measure((source){.type = LRK_Q4_K}, LRK_AS_NF4, LRK_C_F32, &loss, got), stored);
    assert_true(loss == want_loss);
}

int main(int argc, char **argv)
{
    if (!lrk_toy_device(argc, argv, &device)) return 1;
    const struct CMUnitTest everywhere[] = {
        cmocka_unit_test(types_side_by_side_are_the_model_of_their_values),
        cmocka_unit_test(nf4_on_loading_is_the_model_of_its_values),
        cmocka_unit_test(experts_become_nf4_too),
    };
    const struct CMUnitTest alone[] = {cmocka_unit_test(every_type_is_the_model_of_its_values)};
    int failed = cmocka_run_group_tests(everywhere, NULL, NULL);
    if (device == LRK_CPU) failed += cmocka_run_group_tests(alone, NULL, NULL);
    return failed;
}
