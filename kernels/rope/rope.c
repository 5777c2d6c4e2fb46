/* kernels/rope/rope.c -- shape rule, samples and record. */
#include "kernels/rope/rope.h"

LRK_DECLARE_KERNELS(rope);

static lrk_status check(const lrk_call *c, const lrk_tensor *x, lrk_err *err)
{
    const lrk_tensor *table = c->in[LRK_ROPE_TABLE], *first = c->in[LRK_ROPE_X];
    const lrk_rope_attr *a = c->attr;
    LRK_REQUIRE(err, a->head > 0 && lrk_cols(x) % a->head == 0, LRK_ESHAPE,
                "rope: x '%s' has width %zu, no multiple of the head size %zu", x->name,
                lrk_cols(x), a->head);
    LRK_REQUIRE(err, table->dtype == lrk_acc(x->dtype) && lrk_rows(table) == lrk_rows(x),
                LRK_ESHAPE, "rope: table '%s' has %zu rows in %s, expected %zu in %s", table->name,
                lrk_rows(table), lrk_dtype_name(table->dtype), lrk_rows(x),
                lrk_dtype_name(lrk_acc(x->dtype)));
    LRK_REQUIRE(err, x->dtype == first->dtype, LRK_ESUPPORT, "rope: '%s' is %s, '%s' beside it %s", x->name,
                lrk_dtype_name(x->dtype), first->name, lrk_dtype_name(first->dtype));
    return LRK_OK;
}

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_ROPE_X], *x2 = c->in[LRK_ROPE_X2], *table = c->in[LRK_ROPE_TABLE];
    const lrk_rope_attr *a = c->attr;
    const size_t rotary = lrk_cols(table);

    LRK_TRY(lrk_compute_of(x, "rope", &p->compute, err));
    LRK_TRY(check(c, x, err));
    if (x2) LRK_TRY(check(c, x2, err));
    LRK_REQUIRE(err, rotary % 2 == 0 && rotary <= a->head, LRK_EVALUE,
                "rope: %zu of %zu numbers of a head are to rotate; must be even, 2 to %zu", rotary,
                a->head, a->head);
    p->out[LRK_ROPE_Y] = lrk_like(x);
    if (x2) p->out[LRK_ROPE_Y2] = lrk_like(x2);
    return LRK_OK;
}

static const lrk_rope_attr small = {.head = 2}, halves = {.head = 16}, partial = {.head = 10},
                           pairs = {.head = 8, .interleaved = true},
                           pairs_partial = {.head = 9, .interleaved = true},
                           wide = {.head = 24}, wide_pairs = {.head = 32, .interleaved = true};
#define TABLE(t, r) {.dim = {t, r}, .adapter = true, .frozen = true}
static const lrk_sample samples[] = {
    {.name = "one pair", .in = {{{1, 2}}, TABLE(1, 2)}, .attr = &small},
    {.name = "halves", .in = {{{48, 48}}, TABLE(48, 16)}, .attr = &halves},
    {.name = "partly", .in = {{{48, 30}}, TABLE(48, 6)}, .attr = &partial},
    {.name = "interleaved", .in = {{{48, 24}}, TABLE(48, 8)}, .attr = &pairs},
    {.name = "interleaved, partly", .in = {{{48, 27}}, TABLE(48, 4)}, .attr = &pairs_partial},
    {.name = "partly, in whole vectors", .in = {{{9, 72}}, TABLE(9, 16)}, .attr = &wide},
    {.name = "interleaved, in whole vectors", .in = {{{9, 64}}, TABLE(9, 16)}, .attr = &wide_pairs},
    {.name = "queries and keys", .in = {{{21, 64}}, TABLE(21, 16), {{21, 32}}}, .attr = &halves},
    {.name = "queries and keys, interleaved, partly",
     .in = {{{48, 9}}, TABLE(48, 4), {{48, 27}}},
     .attr = &pairs_partial},
};

const lrk_op lrk_op_rope = {
    .name = "rope",
    .n_in = 3,
    .n_out = 2,
    .optional_in = 1u << LRK_ROPE_X2,
    .inplace = {1 + LRK_ROPE_X, 1 + LRK_ROPE_X2},
    .overwrites = true,
    .needs_in = 1u << LRK_ROPE_TABLE,
    .infer = infer,
    LRK_KERNELS(rope),
    LRK_SAMPLES(samples),
};
