/* tests/model/plan.c -- the plan for a GPU that is not there, beside arithmetic by hand.
 *
 * Twelve cases: three models, two lengths, two types of weights, every way to keep activations. What is
 * counted on counting arenas must be what the formulas below say: exactly for weights, adapters,
 * gradients, moments and batch, within 0.1 % for activations (buffers begin on 64 bytes).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/size.h"
#include "kernels/linear/borders.h"
#include "kernels/segments.h"
#include "models/engine.h"

enum { RANK = 16 };

typedef struct lrk_giant {
    lrk_decoder decoder;
    lrk_dtype type;
} lrk_giant;

static bool ends(const char *name, const char *end)
{
    const size_t n = strlen(name), e = strlen(end);
    return n >= e && strcmp(name + n - e, end) == 0;
}

/* Numbers that a plan must not read: it would die of the first one. */
static void *unreadable(void)
{
    static void *page;
    if (!page) page = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    return page;
}

static lrk_status find(void *ctx, const char *name, lrk_tensor *out, lrk_err *err)
{
    const lrk_giant *g = ctx;
    const lrk_decoder *d = &g->decoder;
    const size_t q = d->heads * d->head_size, k = d->key_heads * d->head_size;
    const struct {
        const char *end;
        size_t rows, cols;
    } shapes[] = {{"embed_tokens.weight", d->vocabulary, d->width},
                  {"lm_head.weight", d->vocabulary, d->width},
                  {"q_proj.weight", q, d->width},
                  {"k_proj.weight", k, d->width},
                  {"v_proj.weight", k, d->width},
                  {"o_proj.weight", d->width, q},
                  {"gate_proj.weight", d->feed_forward, d->width},
                  {"up_proj.weight", d->feed_forward, d->width},
                  {"down_proj.weight", d->width, d->feed_forward}};
    (void)err;
    *out = lrk_vec(LRK_F32, d->width);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (ends(name, shapes[i].end)) *out = lrk_mat(g->type, shapes[i].rows, shapes[i].cols);
    out->name = name;
    out->data = unreadable();
    return LRK_OK;
}

static lrk_decoder decoder(size_t layers, size_t width, size_t heads, size_t key_heads,
                           size_t feed_forward, size_t vocabulary, bool tied)
{
    return (lrk_decoder){.family = "LlamaForCausalLM", .layers = layers, .width = width,
                         .heads = heads, .key_heads = key_heads, .head_size = width / heads,
                         .rotary = width / heads, .embedding_scale = 1.0, .residual_scale = 1.0,
                         .attention_scale = 0.1, .logit_scale = 1.0,
                         .feed_forward = feed_forward, .vocabulary = vocabulary,
                         .max_positions = 131072, .norm_eps = 1e-5,
                         .rope = {.theta = 500000.0, .factor = 1.0}, .tied = tied};
}

static lrk_engine_options options(lrk_giant *g, const lrk_lora_options *lora, size_t tokens,
                                  lrk_recompute recompute)
{
    return (lrk_engine_options){.device = LRK_CUDA, .decoder = g->decoder, .find = find, .ctx = g,
                                .lora = lora, .train = true, .compute = LRK_C_BF16,
                                .recompute = recompute, .max_tokens = tokens, .max_segments = 7,
                                .max_trained = tokens};
}

/* Elements of the matrices, and numbers of an adapter on all of them but embedding and head. */
static size_t matrix_elements(const lrk_decoder *d)
{
    const size_t q = d->heads * d->head_size, k = d->key_heads * d->head_size;
    const size_t layer = d->width * (2 * q + 2 * k) + 3 * d->width * d->feed_forward;
    return d->layers * layer + (d->tied ? 1 : 2) * d->vocabulary * d->width;
}

static size_t adapter_numbers(const lrk_decoder *d)
{
    const size_t C = d->width, F = d->feed_forward, q = d->heads * d->head_size,
                 k = d->key_heads * d->head_size;
    return d->layers * RANK * ((C + q) + 2 * (C + k) + (q + C) + 2 * (C + F) + (F + C));
}

/* Bytes of one layer's results a token: all, those that are cheap to compute again, all the rest. */
static double layer_bytes(const lrk_decoder *d, lrk_recompute r)
{
    const double C = (double)d->width, F = (double)d->feed_forward,
                 Q = (double)(d->heads * d->head_size), K = (double)(d->key_heads * d->head_size);
    const double norms = 2 * 2 * C, gated = 2 * F;             /* bf16 */
    const double rstd = 2 * 4, lse = 4 * (double)d->heads;     /* f32 */
    const double ranks = 7 * 2 * RANK;                         /* X A^T of each projection */
    const double rest = 2 * (2 * Q + 2 * K + 2 * C + 2 * F) + rstd + lse + ranks;
    return r == LRK_KEEP_COSTLY ? rest : rest + norms + gated;
}

/* Adapters in the borders of weights (models/borders.h): A below W and behind it as many columns as all that read its
 * input have ranks; beside quantized ones the B of q, k and v, and of gate and up, as one matrix. */
static size_t border_bytes(const lrk_decoder *d, lrk_dtype type)
{
    const size_t C = d->width, F = d->feed_forward, r = RANK;
    const size_t q = d->heads * d->head_size, k = d->key_heads * d->head_size;
    if (type != LRK_BF16) return d->layers * (2 * (q + 2 * k) * 3 * r + 2 * 2 * F * 2 * r);
    const size_t heads = (q + 2 * k + 3 * r) * 3 * r + 3 * r * C, gates = (2 * F + 2 * r) * 2 * r + 2 * r * C;
    return d->layers * (2 * (heads + gates + (C + r) * r + r * q + (C + r) * r + r * F));
}

/* Gradients that exist at a time: of the residual stream and of a sublayer's input and output; of the
 * gate, where their product's lies too, and the other factor; of q and the result of attention; of k and v. */
static double gradient_bytes(const lrk_decoder *d)
{
    const double C = (double)d->width, F = (double)d->feed_forward,
                 K = (double)(d->key_heads * d->head_size);
    return 2 * (3 * C + 2 * F + 2 * K) + 2 * RANK * (2 + 3 + 2); /* borders: of the stream, q to v, gate and up */
}

/* A token's activations: the embedding, the table of angles, the layers, the last norm, the saved
 * gradient of the head. Here q is as wide as the model. */
static double token_bytes(const lrk_decoder *d, lrk_recompute r)
{
    const double C = (double)d->width, F = (double)d->feed_forward, L = (double)d->layers;
    const double ends = 2 * C + 4 * (double)d->head_size + (2 * C + 4) + 2 * C;
    const double gradients = gradient_bytes(d);
    if (r == LRK_KEEP_LAYERS) return ends + 2 * C * L + layer_bytes(d, r) + gradients;
    if (r == LRK_KEEP_AWAY) return ends + 2 * C * 2 + layer_bytes(d, r) + gradients; /* two take turns */
    const double shared = r == LRK_KEEP_COSTLY ? 2 * C + 2 * F : 0.0; /* norms, and SwiGLU, take turns */
    return ends + L * layer_bytes(d, r) + shared + gradients;
}

static void check(lrk_giant *g, size_t tokens, lrk_recompute r)
{
    const lrk_lora_options lora = {.rank = RANK, .alpha = 32.0};
    const lrk_engine_options o = options(g, &lora, tokens, r);
    const lrk_decoder *d = &g->decoder;
    lrk_engine_bytes b;
    lrk_err err = {0};
    if (lrk_engine_plan(&o, &b, &err) != LRK_OK) fail_msg("%s", err.text);
    const size_t numbers = adapter_numbers(d) * sizeof(float);
    assert_int_equal(b.weights, lrk_row_bytes(g->type, matrix_elements(d)));
    assert_int_equal(b.adapters, numbers);
    const bool inside = g->type == LRK_BF16; /* all of them in borders */
    assert_int_equal(b.shadow, border_bytes(d, g->type) + (inside ? 0 : numbers / 2));
    assert_int_equal(b.gradients, numbers);
    assert_int_equal(b.moments, 2 * numbers);
    const size_t norms = (2 * d->layers + 1) * d->width * sizeof(float) + d->head_size / 2 * sizeof(float);
    const size_t table = d->layers * (inside ? 14 : 5) * sizeof(lrk_border);
    assert_in_range(b.frozen, norms + table, norms + table + 2 * LRK_ALIGN);
    const double want = token_bytes(d, r) * (double)tokens, got = (double)b.step;
    printf("%5zu wide, %5zu tokens, %-5s policy %d: weights %8.1f MB, activations %8.1f MB (by hand "
           "%8.1f), workspace %6.1f MB, all %8.1f MB\n",
           d->width, tokens, lrk_dtype_name(g->type), (int)r, (double)b.weights / 1e6, got / 1e6,
           want / 1e6, (double)b.scratch / 1e6, (double)lrk_engine_total(&b) / 1e6);
    assert_true(got > 0.999 * want && got < 1.001 * want);
    assert_int_equal(b.host, r == LRK_KEEP_AWAY ? (d->layers - 2) * tokens * 2 * d->width : 0);
}

static void twelve_cases(void **state)
{
    (void)state;
    lrk_giant models[] = {{decoder(30, 576, 9, 3, 1536, 49152, true), LRK_BF16},
                          {decoder(16, 2048, 32, 8, 8192, 128256, true), LRK_BF16},
                          {decoder(32, 4096, 32, 8, 14336, 128256, false), LRK_BF16}};
    static const lrk_dtype types[][2] = {{LRK_BF16, LRK_Q4_1}, {LRK_BF16, LRK_Q4_K}, {LRK_BF16, LRK_Q4_K}};
    for (size_t m = 0; m < 3; m++)
        for (size_t t = 0; t < 2; t++)
            for (size_t tokens = 2048; tokens <= 8192; tokens *= 4) {
                models[m].type = types[m][t];
                for (lrk_recompute r = LRK_KEEP_ALL; r <= LRK_KEEP_AWAY; r++)
                    check(&models[m], tokens, r);
            }
}

static size_t total(lrk_dtype type, lrk_weight_bits bits, size_t tokens, lrk_recompute r)
{
    lrk_giant g = {decoder(32, 4096, 32, 8, 14336, 128256, false), type};
    const lrk_lora_options lora = {.rank = RANK, .alpha = 32.0};
    lrk_engine_options o = options(&g, &lora, tokens, r);
    lrk_engine_bytes b;
    lrk_err err = {0};
    o.bits = bits;
    if (lrk_engine_plan(&o, &b, &err) != LRK_OK) fail_msg("%s", err.text);
    return lrk_engine_total(&b);
}

static void eight_billion_fit(void **state)
{
    (void)state;
    assert_true(total(LRK_BF16, LRK_AS_STORED, 8192, LRK_KEEP_COSTLY) < (size_t)41 << 30);
    assert_true(total(LRK_Q4_K, LRK_AS_STORED, 2048, LRK_KEEP_LAYERS) < 9000000000u);
    assert_true(total(LRK_BF16, LRK_AS_NF4_TWICE, 2048, LRK_KEEP_LAYERS) < 8500000000u);
    assert_true(total(LRK_BF16, LRK_AS_NF4, 2048, LRK_KEEP_LAYERS) < 8500000000u);
}

/* Rows of a tied embedding of 8 billion that are trained: their numbers and nothing as large as the vocabulary. */
static void rows_cost_their_numbers(void **state)
{
    (void)state;
    enum { ROWS = 10, WIDTH = 2048, VOCABULARY = 128256 };
    lrk_giant g = {decoder(16, WIDTH, 32, 8, 8192, VOCABULARY, true), LRK_Q4_K};
    int32_t id[ROWS];
    for (int32_t i = 0; i < ROWS; i++) id[i] = 1000 * i;
    const lrk_lora_options lora = {.rank = RANK, .alpha = 32.0};
    lrk_lora_options some = lora;
    some.whole = LRK_WHOLE_EMBEDDING | LRK_WHOLE_AS_ONE;
    some.rows[0] = (lrk_row_list){id, ROWS};
    lrk_engine_options o = options(&g, &lora, 2048, LRK_KEEP_LAYERS);
    lrk_engine_bytes plain, b;
    assert_int_equal(lrk_engine_plan(&o, &plain, NULL), LRK_OK);
    o.lora = &some;
    assert_int_equal(lrk_engine_plan(&o, &b, NULL), LRK_OK);
    assert_int_equal(b.weights, plain.weights);
    assert_int_equal(b.adapters - plain.adapters, ROWS * WIDTH * sizeof(float));
    assert_int_equal(b.gradients - plain.gradients, ROWS * WIDTH * sizeof(float));
    assert_int_equal(b.moments - plain.moments, 2 * ROWS * WIDTH * sizeof(float));
    /* the gradient that the head keeps of them, and the states below the first layer, which have one now */
    assert_true(b.step - plain.step <= ROWS * WIDTH * sizeof(float) + 2048 * 2 * WIDTH);
    assert_true(b.scratch - plain.scratch < VOCABULARY);
}

/* Attention backward splits the queries the more the fewer segments there are, and a plan counts the most of them:
 * products must need more than all of its splits. Heads as large as can be, at the edges of four, three and two splits. */
static void few_segments_fit_as_well(void **state)
{
    (void)state;
    static const size_t tokens[] = {3712, 5120, 7936};
    lrk_giant g = {decoder(1, 48, 48, 1, 48, 64, true), LRK_BF16};
    g.decoder.head_size = g.decoder.rotary = 256;
    const lrk_lora_options lora = {.rank = 1, .alpha = 32.0};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        lrk_engine_options o = options(&g, &lora, tokens[i], LRK_KEEP_ALL);
        lrk_engine_bytes few, many;
        o.max_trained = 16;
        assert_int_equal(lrk_engine_plan(&o, &few, NULL), LRK_OK);
        o.max_segments = 31;
        assert_int_equal(lrk_engine_plan(&o, &many, NULL), LRK_OK);
        assert_true(many.scratch >= few.scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twelve_cases),
        cmocka_unit_test(eight_billion_fit),
        cmocka_unit_test(rows_cost_their_numbers),
        cmocka_unit_test(few_segments_fit_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
