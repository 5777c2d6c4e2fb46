/* kernels/attention/attention.c -- shape rule, samples and record. */
#include "kernels/attention/attention.h"

#include "kernels/attention/blocks.h"
#include "kernels/attention/splits.h"
#include "kernels/segments.h"

#include <math.h>

LRK_DECLARE_KERNELS(attention);
LRK_DECLARE_AMX_KERNELS(attention);

static lrk_status check_widths(const lrk_call *c, lrk_err *err)
{
    const lrk_tensor *q = c->in[LRK_ATTENTION_Q], *k = c->in[LRK_ATTENTION_K],
                     *v = c->in[LRK_ATTENTION_V];
    const lrk_attention_attr *a = c->attr;
    LRK_REQUIRE(err, a->heads > 0 && a->kv_heads > 0 && a->heads % a->kv_heads == 0, LRK_ESHAPE,
                "attention: %zu query heads cannot share %zu key heads", a->heads, a->kv_heads);
    LRK_REQUIRE(err, a->head > 0 && a->head <= LRK_ATTENTION_MAX_HEAD, LRK_ESUPPORT,
                "attention: head size %zu, at most %d is possible", a->head,
                (int)LRK_ATTENTION_MAX_HEAD);
    LRK_REQUIRE(err, a->heads / a->kv_heads <= LRK_ATTENTION_MAX_GROUP, LRK_ESUPPORT,
                "attention: %zu query heads share a key head, at most %d is possible",
                a->heads / a->kv_heads, (int)LRK_ATTENTION_MAX_GROUP);
    LRK_REQUIRE(err, lrk_cols(q) == a->heads * a->head, LRK_ESHAPE,
                "attention: q '%s' has width %zu, expected %zu heads of %zu", q->name, lrk_cols(q),
                a->heads, a->head);
    LRK_REQUIRE(err, lrk_cols(k) == a->kv_heads * a->head && lrk_same_shape(k, v), LRK_ESHAPE,
                "attention: k '%s' is (%zu, %zu), v '%s' is (%zu, %zu), expected %zu heads of %zu",
                k->name, lrk_rows(k), lrk_cols(k), v->name, lrk_rows(v), lrk_cols(v), a->kv_heads,
                a->head);
    LRK_REQUIRE(err, q->dtype == k->dtype && q->dtype == v->dtype, LRK_ESUPPORT,
                "attention: q, k, v are %s, %s, %s; expected one type", lrk_dtype_name(q->dtype),
                lrk_dtype_name(k->dtype), lrk_dtype_name(v->dtype));
    return LRK_OK;
}

static size_t scratch_bytes(const lrk_call *c, bool backward)
{
    if (c->device == LRK_CUDA) return lrk_attention_gpu_scratch(c, backward);
    return lrk_attention_layout(c, backward).bytes;
}

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *q = c->in[LRK_ATTENTION_Q];
    const lrk_attention_attr *a = c->attr;

    LRK_TRY(lrk_compute_of(q, "attention", &p->compute, err));
    LRK_TRY(lrk_segments_check(c->in[LRK_ATTENTION_SEGMENTS], "attention", err));
    LRK_TRY(check_widths(c, err));
    LRK_REQUIRE(err, isfinite(a->scale), LRK_EVALUE, "attention: scale is %g", a->scale);
    LRK_REQUIRE(err, isfinite(a->softcap) && a->softcap >= 0.0, LRK_EVALUE,
                "attention: softcap is %g, must be 0 (none) or more", a->softcap);
    p->out[LRK_ATTENTION_O] = lrk_like(q);
    p->saved[LRK_ATTENTION_LSE] = lrk_mat(lrk_acc(q->dtype), lrk_rows(q), a->heads);
    p->forward_scratch = scratch_bytes(c, false);
    p->backward_scratch = scratch_bytes(c, true);
    return LRK_OK;
}

static const lrk_attention_attr
    single = {.heads = 1, .kv_heads = 1, .head = 1, .scale = 1.0},
    grouped = {.heads = 6, .kv_heads = 2, .head = 16, .scale = 0.25},
    odd = {.heads = 3, .kv_heads = 3, .head = 7, .scale = 0.4},
    window = {.heads = 2, .kv_heads = 1, .head = 8, .scale = 0.35, .window = 19},
    capped = {.heads = 2, .kv_heads = 2, .head = 32, .scale = 0.5, .softcap = 1.5},
    of_64 = {.heads = 4, .kv_heads = 1, .head = 64, .scale = 0.125},
    of_80 = {.heads = 2, .kv_heads = 2, .head = 80, .scale = 0.11, .window = 40},
    of_96 = {.heads = 2, .kv_heads = 1, .head = 96, .scale = 0.1, .softcap = 2.0},
    wide_cap = {.heads = 2, .kv_heads = 2, .head = 32, .scale = 0.5, .softcap = 50.0},
    of_128 = {.heads = 2, .kv_heads = 1, .head = 128, .scale = 0.09, .window = 75},
    of_256 = {.heads = 1, .kv_heads = 1, .head = 256, .scale = 0.0625},
    large_group = {.heads = 48, .kv_heads = 1, .head = 8, .scale = 0.35};
static const int32_t one[] = {0, 1, 0, -1, 0, 1};
static const int32_t whole[] = {0, 100, 0, -1, 0, 100};
static const int32_t long_and_short[] = {0, 129, 0, -1, 0, 129, 129, 1, 0, -1, 129, 1};
static const int32_t packed[] = {0, 33, 0, -1, 0, 33, 33, 1, 0, -1, 33, 1, 34, 66, 0, -1, 34, 66};
/* a root, two children of it, a grandchild, and a tree of its own */
static const int32_t tree[] = {0,  70, 0,  -1, 0,  70, 70, 9, 70, 0,  70, 9, 79, 20, 70, 0,
                               79, 20, 99, 5,  90, 2,  99, 5, 104, 6, 0, -1, 104, 6};
/* three sequences in one cache of 220 rows: 1, 3 and 2 new tokens behind 80, 0 and 128 old ones */
static const int32_t cached[] = {0, 1, 80, -1, 0, 81, 1, 3, 0, -1, 81, 3, 4, 2, 128, -1, 90, 130};
/* the same cache read by a longer piece of text: 40 tokens behind 60 */
static const int32_t prefill[] = {0, 40, 60, -1, 10, 100};
/* two long sequences in one cache of 640 rows, the second in front of the first */
static const int32_t long_cache[] = {0, 1, 299, -1, 310, 300, 1, 2, 270, -1, 5, 272};
#define SEGMENTS(s, d) {.dim = {s, LRK_SEG_FIELDS}, .fill = LRK_FILL_DATA, .data = d}
static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}, {{1, 1}}, {{1, 1}}, SEGMENTS(1, one)}, .attr = &single},
    {.name = "one row, grouped heads",
     .in = {{{100, 96}}, {{100, 32}}, {{100, 32}}, SEGMENTS(1, whole)},
     .attr = &grouped},
    {.name = "packed rows, odd head size",
     .in = {{{100, 21}}, {{100, 21}}, {{100, 21}}, SEGMENTS(3, packed)},
     .attr = &odd},
    {.name = "tree of segments",
     .in = {{{110, 96}}, {{110, 32}}, {{110, 32}}, SEGMENTS(5, tree)},
     .attr = &grouped},
    {.name = "window",
     .in = {{{100, 16}}, {{100, 8}}, {{100, 8}}, SEGMENTS(1, whole)},
     .attr = &window},
    {.name = "window in a tree",
     .in = {{{110, 16}}, {{110, 8}}, {{110, 8}}, SEGMENTS(5, tree)},
     .attr = &window},
    {.name = "soft cap",
     .in = {{{100, 64}}, {{100, 64}}, {{100, 64}}, SEGMENTS(3, packed)},
     .attr = &capped},
    {.name = "soft cap far above the scores",
     .in = {{{100, 64}}, {{100, 64}}, {{100, 64}}, SEGMENTS(3, packed)},
     .attr = &wide_cap},
    {.name = "decoding from a cache",
     .in = {{{6, 96}}, {{220, 32}}, {{220, 32}}, SEGMENTS(3, cached)},
     .attr = &grouped},
    {.name = "a piece of text behind a cache",
     .in = {{{40, 96}}, {{120, 32}}, {{120, 32}}, SEGMENTS(1, prefill)},
     .attr = &grouped},
    {.name = "head size 64",
     .in = {{{130, 256}}, {{130, 64}}, {{130, 64}}, SEGMENTS(2, long_and_short)},
     .attr = &of_64},
    {.name = "head size 80, window",
     .in = {{{100, 160}}, {{100, 160}}, {{100, 160}}, SEGMENTS(3, packed)},
     .attr = &of_80},
    {.name = "head size 96, soft cap",
     .in = {{{100, 192}}, {{100, 96}}, {{100, 96}}, SEGMENTS(1, whole)},
     .attr = &of_96},
    {.name = "head size 128, window in a tree",
     .in = {{{110, 256}}, {{110, 128}}, {{110, 128}}, SEGMENTS(5, tree)},
     .attr = &of_128},
    {.name = "head size 256",
     .in = {{{100, 256}}, {{100, 256}}, {{100, 256}}, SEGMENTS(3, packed)},
     .attr = &of_256},
    {.name = "48 heads share one",
     .in = {{{6, 384}}, {{220, 8}}, {{220, 8}}, SEGMENTS(3, cached)},
     .attr = &large_group},
    {.name = "decoding from a long cache",
     .in = {{{3, 256}}, {{640, 64}}, {{640, 64}}, SEGMENTS(2, long_cache)},
     .attr = &of_64},
};

const lrk_op lrk_op_attention = {
    .name = "attention",
    .n_in = 4,
    .n_out = 1,
    .n_saved = 1,
    .overwrites = true,
    .needs_in = 1u << LRK_ATTENTION_Q | 1u << LRK_ATTENTION_K | 1u << LRK_ATTENTION_V |
                1u << LRK_ATTENTION_SEGMENTS,
    .needs_out = 1u << LRK_ATTENTION_O,
    .infer = infer,
    LRK_KERNELS_AND_AMX(attention),
    LRK_SAMPLES(samples),
};
