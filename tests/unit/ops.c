/* What the ops refuse, in which words; how kernels are found; and what the sweep's samples cannot
 * hold: quantized tables, far positions. Formulas of single ops: ops_plain.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/quant.h"
#include "base/rng.h"
#include "kernels/add/add.h"
#include "kernels/attention/attention.h"
#include "kernels/dora/dora.h"
#include "kernels/embed/embed.h"
#include "kernels/linear/linear.h"
#include "kernels/linear_xent/linear_xent.h"
#include "kernels/token_logits/token_logits.h"
#include "kernels/token_rows/token_rows.h"
#include "kernels/rmsnorm/rmsnorm.h"
#include "kernels/rope/rope.h"
#include "kernels/rope_table/rope_table.h"
#include "kernels/segments.h"
#include "kernels/swiglu/swiglu.h"
#include "kernels/weight_norm/weight_norm.h"

#include <math.h>
#include <string.h>

static lrk_tensor named(lrk_tensor t, const char *name, void *data)
{
    t.name = name;
    t.data = data;
    return t;
}

/* A call with these inputs must fail with this status, and say `words`. */
static void refuse(const lrk_op *op, const void *attr, lrk_status status, const char *words, int n,
                   const lrk_tensor *in)
{
    lrk_call c = {.attr = attr};
    lrk_infer shapes;
    lrk_err err = {0};
    for (int i = 0; i < n; i++) c.in[i] = in[i].name ? &in[i] : NULL;
    assert_int_equal(lrk_op_infer(op, &c, &shapes, &err), status);
    if (!strstr(err.text, words)) fail_msg("'%s' is not in '%s'", words, err.text);
}

#define M(dtype, rows, cols, name) named(lrk_mat(dtype, rows, cols), name, NULL)
#define V(dtype, n, name) named(lrk_vec(dtype, n), name, NULL)
#define REFUSE(op, attr, status, words, ...)                       \
    do {                                                           \
        const lrk_tensor in_[] = {__VA_ARGS__};                    \
        refuse(op, attr, status, words, (int)(sizeof in_ / sizeof in_[0]), in_); \
    } while (0)

static void dora(void **state)
{
    (void)state;
    const lrk_weight_norm_attr one = {.scale = 1.0};
    REFUSE(&lrk_op_weight_norm, &one, LRK_ESHAPE, "does not fit 'w' (3, 8)", M(LRK_F32, 3, 8, "w"),
           M(LRK_F32, 2, 7, "a"), M(LRK_F32, 3, 2, "b"));
    REFUSE(&lrk_op_weight_norm, &one, LRK_ESUPPORT, "the adapter of 'w' is bf16", M(LRK_F32, 3, 8, "w"),
           M(LRK_BF16, 2, 8, "a"), M(LRK_BF16, 3, 2, "b"));
    REFUSE(&lrk_op_dora, NULL, LRK_ESHAPE, "vector 'm' has 2 elements, 'u' has width 3",
           M(LRK_F32, 4, 3, "u"), V(LRK_F32, 2, "m"), V(LRK_F32, 3, "norm"));
    REFUSE(&lrk_op_dora, NULL, LRK_ESUPPORT, "vector 'norm' is bf16", M(LRK_BF16, 4, 3, "u"),
           V(LRK_F32, 3, "m"), V(LRK_BF16, 3, "norm"));
}

static void common(void **state)
{
    (void)state;
    lrk_tensor narrow = M(LRK_F32, 2, 4, "narrow");
    narrow.stride = 3;
    REFUSE(&lrk_op_add, NULL, LRK_ESHAPE, "add: input 1 is missing", M(LRK_F32, 2, 4, "x"), {0});
    REFUSE(&lrk_op_add, NULL, LRK_ESHAPE, "axis 0 of 'x' is empty", M(LRK_F32, 0, 4, "x"),
           M(LRK_F32, 0, 4, "d"));
    REFUSE(&lrk_op_add, NULL, LRK_ESHAPE, "the rows of 'narrow' are 3 elements apart and 4 long",
           narrow, narrow);
    REFUSE(&lrk_op_add, NULL, LRK_ESUPPORT, "add: cannot compute in the type of 'x', q4_0",
           M(LRK_Q4_0, 2, 32, "x"), M(LRK_Q4_0, 2, 32, "d"));
}

static void wrong_shapes(void **state)
{
    (void)state;
    const lrk_rmsnorm_attr norm = {1e-5}, no_eps = {0.0};
    REFUSE(&lrk_op_rmsnorm, &norm, LRK_ESHAPE,
           "rmsnorm: weight 'w' has 5 elements, x 'x' has width 4", M(LRK_F32, 2, 4, "x"),
           V(LRK_F32, 5, "w"));
    REFUSE(&lrk_op_rmsnorm, &norm, LRK_ESUPPORT, "rmsnorm: weight 'w' is bf16, expected f32",
           M(LRK_F32, 2, 4, "x"), V(LRK_BF16, 4, "w"));
    REFUSE(&lrk_op_rmsnorm, &no_eps, LRK_EVALUE, "rmsnorm: eps is 0, must be > 0",
           M(LRK_F32, 2, 4, "x"), V(LRK_F32, 4, "w"));

    REFUSE(&lrk_op_add, NULL, LRK_ESHAPE, "add: x 'x' is (2, 4), d 'd' is (4, 2)",
           M(LRK_F32, 2, 4, "x"), M(LRK_F32, 4, 2, "d"));
    REFUSE(&lrk_op_add, NULL, LRK_ESUPPORT, "add: x 'x' is f32, d 'd' is bf16",
           M(LRK_F32, 2, 4, "x"), M(LRK_BF16, 2, 4, "d"));

    const lrk_swiglu_attr silu = {LRK_SILU}, unknown = {(lrk_activation)7};
    REFUSE(&lrk_op_swiglu, &silu, LRK_ESHAPE, "swiglu: gate 'g' is (2, 4), up 'u' is (2, 5)",
           M(LRK_F32, 2, 4, "g"), M(LRK_F32, 2, 5, "u"));
    REFUSE(&lrk_op_swiglu, &silu, LRK_ESUPPORT, "swiglu: gate 'g' is f32, up 'u' is f64",
           M(LRK_F32, 2, 4, "g"), M(LRK_F64, 2, 4, "u"));
    REFUSE(&lrk_op_swiglu, &unknown, LRK_EVALUE, "swiglu: activation 7 is unknown",
           M(LRK_F32, 2, 4, "g"), M(LRK_F32, 2, 4, "u"));

    const lrk_embed_attr embed = {.compute = LRK_C_F32}, same = {.like_table = true};
    REFUSE(&lrk_op_embed, &embed, LRK_ESHAPE, "embed: table 'e' has rank 1", V(LRK_F32, 4, "e"),
           V(LRK_I32, 3, "ids"));
    REFUSE(&lrk_op_embed, &embed, LRK_ESHAPE, "embed: ids 'ids' are i64, expected i32",
           M(LRK_F32, 9, 4, "e"), V(LRK_I64, 3, "ids"));
    REFUSE(&lrk_op_embed, &embed, LRK_ESUPPORT, "embed: table 'e' is i64", M(LRK_I64, 9, 4, "e"),
           V(LRK_I32, 3, "ids"));
    REFUSE(&lrk_op_embed, &embed, LRK_ESHAPE, "no multiple of 32, the block of q8_0",
           M(LRK_Q8_0, 9, 40, "e"), V(LRK_I32, 3, "ids"));
    const lrk_linear_xent_attr trained = {.train = true};
    const lrk_linear_attr linear = {.scale = 1.0};
    REFUSE(&lrk_op_linear_xent, &trained, LRK_ESUPPORT, "head 'w' is f16 and to be trained, expected f32 or",
           M(LRK_BF16, 2, 4, "x"), M(LRK_F16, 9, 4, "w"), V(LRK_I32, 2, "t"));
    REFUSE(&lrk_op_linear, &linear, LRK_ESUPPORT, "the adapter of 'w' is bf16, expected f32 or the type of x",
           M(LRK_F32, 2, 4, "x"), M(LRK_F32, 3, 4, "w"), {0}, M(LRK_F32, 2, 4, "a"), M(LRK_BF16, 3, 2, "b"));
    REFUSE(&lrk_op_linear, &linear, LRK_ESHAPE, "A beside 'w' has 4 rows, expected those of 2 adapters, 5",
           M(LRK_F32, 2, 4, "x"), M(LRK_F32, 3, 4, "w"), {0}, M(LRK_F32, 4, 4, "a"), M(LRK_F32, 3, 2, "b"),
           M(LRK_F32, 6, 4, "w2"), {0}, M(LRK_F32, 6, 3, "b2"));
    REFUSE(&lrk_op_linear, &linear, LRK_ESHAPE, "'w' has one half of an adapter", M(LRK_F32, 2, 4, "x"),
           M(LRK_F32, 3, 4, "w"), {0}, M(LRK_F32, 2, 4, "a"), {0}, M(LRK_F32, 6, 4, "w2"));
    REFUSE(&lrk_op_linear, &linear, LRK_ESHAPE, "weight 3, 'w3', without weight 2", M(LRK_F32, 2, 4, "x"),
           M(LRK_F32, 3, 4, "w"), {0}, {0}, {0}, {0}, {0}, {0}, M(LRK_F32, 6, 4, "w3"));
    REFUSE(&lrk_op_linear, &linear, LRK_ESUPPORT, "bias of 'w' is f16, expected bf16 or f32", M(LRK_BF16, 2, 4, "x"),
           M(LRK_BF16, 3, 4, "w"), V(LRK_F16, 3, "bias"));
    const lrk_rng mask = {.site = LRK_SITE_TEST};
    const lrk_linear_attr drops = {.scale = 1.0, .dropout = 0.5, .rng = &mask};
    REFUSE(&lrk_op_linear, &drops, LRK_ESUPPORT, "in one A have one mask; expected dropout 0", M(LRK_F32, 2, 4, "x"),
           M(LRK_F32, 3, 4, "w"), {0}, M(LRK_F32, 4, 4, "a"), M(LRK_F32, 3, 2, "b"), M(LRK_F32, 6, 4, "w2"), {0},
           M(LRK_F32, 6, 2, "b2"));
    const lrk_tensor x = M(LRK_BF16, 2, 4, "x"), w = M(LRK_BF16, 9, 4, "w"), t = V(LRK_I32, 2, "t");
    REFUSE(&lrk_op_linear_xent, &trained, LRK_ESHAPE, "rows of the head and their numbers go together", x, w, t,
           M(LRK_F32, 3, 4, "r"));
    REFUSE(&lrk_op_linear_xent, &trained, LRK_ESHAPE, "rows 'r' are (3, 5), x 'x' has width 4", x, w, t,
           M(LRK_F32, 3, 5, "r"), V(LRK_I32, 3, "i"));
    REFUSE(&lrk_op_linear_xent, &trained, LRK_ESUPPORT, "rows 'r' are bf16, expected f32", x, w, t,
           M(LRK_BF16, 3, 4, "r"), V(LRK_I32, 3, "i"));
    REFUSE(&lrk_op_linear_xent, &trained, LRK_ESHAPE, "2 numbers of rows of type i32, expected 3", x, w, t,
           M(LRK_F32, 3, 4, "r"), V(LRK_I32, 2, "i"));

    const lrk_token_rows_attr rows = {0};
    REFUSE(&lrk_op_token_rows, &rows, LRK_ESHAPE, "token_rows: rows 'r' are (3, 5), x 'x' has width 4", x, t,
           M(LRK_F32, 3, 5, "r"), V(LRK_I32, 3, "i"));
    REFUSE(&lrk_op_token_rows, &rows, LRK_ESUPPORT, "token_rows: rows 'r' are bf16, expected f32", x, t,
           M(LRK_BF16, 3, 4, "r"), V(LRK_I32, 3, "i"));
    REFUSE(&lrk_op_token_rows, &rows, LRK_ESHAPE, "token_rows: 3 ids of type i32, expected 2", x, V(LRK_I32, 3, "t"),
           M(LRK_F32, 3, 4, "r"), V(LRK_I32, 3, "i"));
    REFUSE(&lrk_op_token_rows, &rows, LRK_ESHAPE, "token_rows: 3 numbers of rows of type i64, expected 3 of type i32",
           x, t, M(LRK_F32, 3, 4, "r"), V(LRK_I64, 3, "i"));
    REFUSE(&lrk_op_token_logits, NULL, LRK_ESHAPE, "token_logits: 'r' has 3 rows of bf16, x 'x' has 2 of bf16", x,
           M(LRK_BF16, 3, 2, "r"), V(LRK_I32, 2, "i"));
    REFUSE(&lrk_op_token_logits, NULL, LRK_ESHAPE, "token_logits: 3 tokens of type i32, expected 2 of type i32", x,
           M(LRK_BF16, 2, 2, "r"), V(LRK_I32, 3, "i"));
    REFUSE(&lrk_op_embed, &same, LRK_ESUPPORT, "embed: cannot compute in the type of 'e', f16",
           M(LRK_F16, 9, 40, "e"), V(LRK_I32, 3, "ids"));
}

static void wrong_heads(void **state)
{
    (void)state;
    const lrk_tensor segments = M(LRK_I32, 1, 6, "s"), short_rows = M(LRK_I32, 1, 5, "s");
    const lrk_rope_table_attr angles = {.attention_factor = 1.0};
    const lrk_tensor ids = V(LRK_I32, 3, "ids");
    REFUSE(&lrk_op_rope_table, &angles, LRK_ESHAPE, "rope_table: segments 's' must be i32 (S, 6)",
           short_rows, V(LRK_F32, 4, "f"), ids);
    REFUSE(&lrk_op_rope_table, &angles, LRK_ESUPPORT, "frequencies 'f' are bf16", segments,
           V(LRK_BF16, 4, "f"), ids);
    REFUSE(&lrk_op_rope_table, &angles, LRK_ESHAPE, "frequencies 'f' have rank 2", segments,
           M(LRK_F32, 1, 4, "f"), ids);
    REFUSE(&lrk_op_rope_table, &angles, LRK_ESHAPE, "tokens 'x' must be i32 (T)", segments,
           V(LRK_F32, 4, "f"), M(LRK_F32, 3, 16, "x"));

    const lrk_rope_attr rope = {.head = 8};
    REFUSE(&lrk_op_rope, &rope, LRK_ESHAPE,
           "rope: x 'x' has width 12, no multiple of the head size 8", M(LRK_F32, 3, 12, "x"),
           M(LRK_F32, 3, 8, "t"));
    REFUSE(&lrk_op_rope, &rope, LRK_EVALUE, "rope: 7 of 8 numbers", M(LRK_F32, 3, 16, "x"),
           M(LRK_F32, 3, 7, "t"));
    REFUSE(&lrk_op_rope, &rope, LRK_EVALUE, "must be even, 2 to 8", M(LRK_F32, 3, 16, "x"),
           M(LRK_F32, 3, 10, "t"));
    REFUSE(&lrk_op_rope, &rope, LRK_ESHAPE, "rope: table 't' has 4 rows in f32, expected 3 in f32",
           M(LRK_F32, 3, 16, "x"), M(LRK_F32, 4, 8, "t"));
    REFUSE(&lrk_op_rope, &rope, LRK_ESHAPE, "rope: table 't' has 3 rows in bf16, expected 3 in f32",
           M(LRK_BF16, 3, 16, "x"), M(LRK_BF16, 3, 8, "t"));

    const lrk_attention_attr a = {.heads = 4, .kv_heads = 2, .head = 8, .scale = 0.3},
                             uneven = {.heads = 4, .kv_heads = 3, .head = 8, .scale = 0.3},
                             huge = {.heads = 4, .kv_heads = 2, .head = 512, .scale = 0.3},
                             crowd = {.heads = 98, .kv_heads = 2, .head = 8, .scale = 0.3},
                             lost = {.heads = 4, .kv_heads = 2, .head = 8, .scale = (double)NAN},
                             below = {.heads = 4, .kv_heads = 2, .head = 8, .softcap = -1.0};
    const lrk_tensor q = M(LRK_F32, 3, 32, "q"), k = M(LRK_F32, 3, 16, "k");
    REFUSE(&lrk_op_attention, &uneven, LRK_ESHAPE, "4 query heads cannot share 3 key heads", q, k, k,
           segments);
    REFUSE(&lrk_op_attention, &huge, LRK_ESUPPORT, "head size 512, at most 256", q, k, k, segments);
    REFUSE(&lrk_op_attention, &crowd, LRK_ESUPPORT, "49 query heads share a key head", q, k, k,
           segments);
    REFUSE(&lrk_op_attention, &a, LRK_ESHAPE, "q 'k' has width 16, expected 4 heads of 8", k, k, k,
           segments);
    REFUSE(&lrk_op_attention, &a, LRK_ESHAPE, "k 'k' is (3, 16), v 'v' is (4, 16)", q, k,
           M(LRK_F32, 4, 16, "v"), segments);
    REFUSE(&lrk_op_attention, &a, LRK_ESUPPORT, "q, k, v are f32, f32, bf16", q, k,
           M(LRK_BF16, 3, 16, "v"), segments);
    REFUSE(&lrk_op_attention, &a, LRK_ESHAPE, "attention: segments 's' must be i32 (S, 6)", q, k, k,
           short_rows);
    REFUSE(&lrk_op_attention, &lost, LRK_EVALUE, "attention: scale is nan", q, k, k, segments);
    REFUSE(&lrk_op_attention, &below, LRK_EVALUE, "softcap is -1", q, k, k, segments);
}

/* No kernel for a device is an error that names op, device and type, never another device. */
static void empty_slots(void **state)
{
    (void)state;
    lrk_tensor x = M(LRK_BF16, 2, 4, "x");
    lrk_call c = {.in = {&x, &x}};
    lrk_infer shapes;
    lrk_err err = {0};
    lrk_op without = lrk_op_add;
    memset(without.forward, 0, sizeof without.forward);
    assert_int_equal(lrk_op_infer(&without, &c, &shapes, &err), LRK_ESUPPORT);
    assert_string_equal(err.text, "add: no forward kernel for CPU in bf16");
    /* a program without any GPU kernel still plans for one */
    c.device = LRK_CUDA;
    if (!lrk_device_built(LRK_CUDA))
        assert_int_equal(lrk_op_infer(&without, &c, &shapes, NULL), LRK_OK);
    c.device = LRK_CPU;
    lrk_op forward_only = lrk_op_add;
    memset(forward_only.backward, 0, sizeof forward_only.backward);
    err.status = LRK_OK;
    assert_int_equal(lrk_op_infer(&forward_only, &c, &shapes, &err), LRK_OK);
    c.backward_follows = true;
    assert_int_equal(lrk_op_infer(&forward_only, &c, &shapes, &err), LRK_ESUPPORT);
    assert_string_equal(err.text, "add: no backward kernel for CPU in bf16");

    /* a level without a kernel of its own takes the one below */
    lrk_op few = lrk_op_add;
    memset(few.forward[LRK_ON_AVX2], 0, 2 * sizeof few.forward[LRK_ON_AVX2]);
    assert_ptr_equal(lrk_op_forward(&few, LRK_CPU, LRK_C_F32), few.forward[LRK_ON_SCALAR][LRK_C_F32]);
}

/* The level in use decides which kernel runs. */
static void levels(void **state)
{
    (void)state;
    const lrk_isa before = lrk_cpu();
    for (lrk_isa isa = LRK_SCALAR; isa <= lrk_cpu_hardware(); isa++) {
        const int target = isa >= LRK_AVX512 ? LRK_ON_AVX512 : (int)isa; /* rope has none above */
        assert_int_equal(lrk_cpu_set(isa, NULL), LRK_OK);
        assert_ptr_equal(lrk_op_backward(&lrk_op_rope, LRK_CPU, LRK_C_BF16),
                         lrk_op_rope.backward[target][LRK_C_BF16]);
    }
    lrk_cpu_set(before, NULL);
}

static void run(const lrk_op *op, lrk_call *c)
{
    static _Alignas(64) char scratch[1 << 16];
    lrk_infer shapes;
    lrk_err err = {0};
    if (lrk_op_infer(op, c, &shapes, &err) != LRK_OK) fail_msg("%s", err.text);
    assert_true(shapes.forward_scratch <= sizeof scratch);
    c->scratch = scratch;
    lrk_op_forward(op, LRK_CPU, shapes.compute)(c);
}

/* A quantized table: the rows asked for, decoded as base/quant does it, in either compute type. */
static void quantized_table(void **state)
{
    (void)state;
    enum { ROWS = 5, WIDTH = 64, N = 3 };
    float table[ROWS * WIDTH], want[WIDTH], single[N * WIDTH];
    uint16_t half[N * WIDTH];
    unsigned char blocks[ROWS * WIDTH * 2];
    int32_t ids[N] = {4, 0, 4};
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        table[i] = (float)lrk_rng_normal((lrk_rng){.seed = 1}, i);
    assert_true(lrk_from_f32(LRK_Q4_1, table, ROWS * WIDTH, blocks));
    const lrk_tensor e = named(lrk_mat(LRK_Q4_1, ROWS, WIDTH), "e", blocks);
    const lrk_tensor at = named(lrk_vec(LRK_I32, N), "ids", ids);
    lrk_tensor y32 = named(lrk_mat(LRK_F32, N, WIDTH), "y", single);
    lrk_tensor y16 = named(lrk_mat(LRK_BF16, N, WIDTH), "y", half);
    const lrk_embed_attr f32 = {.compute = LRK_C_F32, .scale = 2.0}, bf16 = {.compute = LRK_C_BF16};
    run(&lrk_op_embed, &(lrk_call){.in = {&e, &at}, .out = {&y32}, .attr = &f32});
    run(&lrk_op_embed, &(lrk_call){.in = {&e, &at}, .out = {&y16}, .attr = &bf16});
    for (size_t t = 0; t < N; t++) {
        lrk_to_f32(LRK_Q4_1, lrk_row(&e, (size_t)ids[t]), WIDTH, want);
        for (size_t i = 0; i < WIDTH; i++) {
            assert_true(single[t * WIDTH + i] == 2.0f * want[i]);
            assert_int_equal(half[t * WIDTH + i], lrk_f32_to_bf16(want[i]));
        }
    }
}

/* The gradient of a table that is f32 while the model computes in bf16, on every level; a row that stands for
 * padding has none. */
static void trained_table(void **state)
{
    (void)state;
    enum { ROWS = 5, WIDTH = 70, N = 9 };
    const int32_t ids[N] = {4, 0, 4, 2, 2, 1, 4, 0, 2};
    static float table[ROWS * WIDTH], got[ROWS * WIDTH], want[ROWS * WIDTH];
    static uint16_t dy[N * WIDTH];
    lrk_tensor e = named(lrk_mat(LRK_F32, ROWS, WIDTH), "e", table), de = named(e, "de", got);
    const lrk_tensor at = named(lrk_vec(LRK_I32, N), "ids", (void *)(uintptr_t)ids);
    lrk_tensor dt = named(lrk_mat(LRK_BF16, N, WIDTH), "dy", dy);
    const lrk_embed_attr a = {.compute = LRK_C_BF16, .scale = 3.0, .padding = 1 + 2};
    const lrk_isa level = lrk_cpu();
    for (size_t i = 0; i < ROWS * WIDTH; i++) want[i] = 1.0f;
    for (size_t i = 0; i < N * WIDTH; i++) {
        dy[i] = lrk_f32_to_bf16((float)lrk_rng_normal((lrk_rng){.seed = 2}, i));
        if (ids[i / WIDTH] != 2)
            want[(size_t)ids[i / WIDTH] * WIDTH + i % WIDTH] += 3.0f * lrk_bf16_to_f32(dy[i]);
    }
    for (lrk_isa isa = LRK_SCALAR; isa <= lrk_cpu_hardware(); isa++) {
        lrk_call c = {.in = {&e, &at}, .dout = {&dt}, .din = {&de}, .attr = &a};
        lrk_infer shapes = {0};
        assert_int_equal(lrk_cpu_set(isa, NULL), LRK_OK);
        assert_int_equal(lrk_op_infer(&lrk_op_embed, &c, &shapes, NULL), LRK_OK);
        for (size_t i = 0; i < ROWS * WIDTH; i++) got[i] = 1.0f;
        lrk_op_backward(&lrk_op_embed, LRK_CPU, shapes.compute)(&c);
        for (size_t i = 0; i < ROWS * WIDTH; i++) /* one rounding for each of three sums of at most 16 */
            assert_true(fabsf(got[i] - want[i]) <= 3.0f * 16.0f * 0x1p-24f);
    }
    assert_int_equal(lrk_cpu_set(level, NULL), LRK_OK);
}

/* A row that stands for padding has no gradient, and learns by no other token. */
static void trained_padding(void **state)
{
    (void)state;
    enum { WIDTH = 70, N = 6 };
    int32_t ids[N] = {4, 2, 4, 2, 0, 4}, index[] = {2, 4};
    static float x[N * WIDTH], rows[2 * WIDTH], got[2 * WIDTH];
    const lrk_tensor tx = named(lrk_mat(LRK_F32, N, WIDTH), "x", x), at = named(lrk_vec(LRK_I32, N), "ids", ids);
    const lrk_tensor tr = named(lrk_mat(LRK_F32, 2, WIDTH), "r", rows), ti = named(lrk_vec(LRK_I32, 2), "i", index);
    lrk_tensor dr = named(tr, "dr", got);
    const lrk_token_rows_attr a = {.padding = 1 + 2};
    for (size_t i = 0; i < N * WIDTH; i++) x[i] = (float)(1 + i / WIDTH);
    lrk_call c = {.in = {&tx, &at, &tr, &ti}, .dout = {&tx}, .din = {[LRK_TOKEN_ROWS_ROWS] = &dr}, .attr = &a};
    lrk_op_backward(&lrk_op_token_rows, LRK_CPU, LRK_C_F32)(&c);
    for (size_t i = 0; i < 2 * WIDTH; i++) assert_true(got[i] == (i < WIDTH ? 0.0f : 1.0f + 3.0f + 6.0f));
}

/* At position 30000 an f32 table must still hold the right angle, to f32's own precision. */
static void far_position(void **state)
{
    (void)state;
    float y[2], freq = 0.7498942f;
    int32_t row[LRK_SEG_FIELDS] = {0, 1, 30000, -1, 0, 1}, id = 0;
    const lrk_tensor ts = named(lrk_mat(LRK_I32, 1, LRK_SEG_FIELDS), "s", row);
    const lrk_tensor tf = named(lrk_vec(LRK_F32, 1), "f", &freq);
    const lrk_tensor ti = named(lrk_vec(LRK_I32, 1), "ids", &id);
    lrk_tensor ty = named(lrk_mat(LRK_F32, 1, 2), "y", y);
    const lrk_rope_table_attr a = {0};
    run(&lrk_op_rope_table, &(lrk_call){.in = {&ts, &tf, &ti}, .out = {&ty}, .attr = &a});
    const double angle = 30000.0 * (double)freq;
    assert_true(fabs((double)y[0] - cos(angle)) < 1e-7);
    assert_true(fabs((double)y[1] - sin(angle)) < 1e-7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common),          cmocka_unit_test(wrong_shapes),
        cmocka_unit_test(dora),
        cmocka_unit_test(wrong_heads),     cmocka_unit_test(empty_slots),
        cmocka_unit_test(levels),          cmocka_unit_test(quantized_table),
        cmocka_unit_test(far_position),    cmocka_unit_test(trained_table), cmocka_unit_test(trained_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
