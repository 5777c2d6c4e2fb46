/* kernels/embed/embed.c -- shape rule, samples and record. */
#include "kernels/embed/embed.h"

#include "kernels/gemm.h"

LRK_DECLARE_KERNELS(embed);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *table = c->in[LRK_EMBED_TABLE], *ids = c->in[LRK_EMBED_IDS];
    const lrk_embed_attr *a = c->attr;

    LRK_REQUIRE(err, table->rank == 2, LRK_ESHAPE, "embed: table '%s' has rank %d, expected 2",
                table->name, table->rank);
    LRK_REQUIRE(err, ids->dtype == LRK_I32, LRK_ESHAPE, "embed: ids '%s' are %s, expected i32",
                ids->name, lrk_dtype_name(ids->dtype));
    LRK_REQUIRE(err, lrk_gemm_decodes(c->device, table->dtype), LRK_ESUPPORT,
                "embed: table '%s' is %s, which is not decoded on %s", table->name,
                lrk_dtype_name(table->dtype), lrk_device_name(c->device));
    LRK_REQUIRE(err, lrk_cols(table) % lrk_dtype_block(table->dtype) == 0, LRK_ESHAPE,
                "embed: rows of table '%s' have %zu elements, no multiple of %zu, the block of %s",
                table->name, lrk_cols(table), lrk_dtype_block(table->dtype),
                lrk_dtype_name(table->dtype));
    p->compute = a->compute;
    if (a->like_table || table->dtype == LRK_F64)
        LRK_TRY(lrk_compute_of(table, "embed", &p->compute, err));
    const lrk_dtype out = lrk_compute_dtype(p->compute);
    LRK_REQUIRE(err, !c->din[LRK_EMBED_TABLE] || table->dtype == out || table->dtype == lrk_acc(out),
                LRK_ESUPPORT,
                "embed: table '%s' is %s and the result %s: no gradient", table->name,
                lrk_dtype_name(table->dtype), lrk_dtype_name(out));
    p->out[LRK_EMBED_Y] = lrk_mat(out, lrk_count(ids), lrk_cols(table));
    p->forward_scratch = lrk_count(ids) * lrk_cols(table) * sizeof(float);
    if (out != LRK_BF16 || table->dtype == LRK_BF16 || c->device != LRK_CPU) p->forward_scratch = 0;
    return LRK_OK;
}

static const lrk_embed_attr plain = {.like_table = true},
                            scaled = {.like_table = true, .scale = 8.0};
static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}, {{1}, LRK_FILL_INDEX, .limit = 1}}, .attr = &plain},
    {.name = "ids repeat",
     .in = {{{7, 33}}, {{40}, LRK_FILL_INDEX, .limit = 7}},
     .attr = &plain},
    {.name = "scaled, most rows unused",
     .in = {{{100, 64}}, {{9}, LRK_FILL_INDEX, .limit = 100}},
     .attr = &scaled},
    {.name = "wide rows, many tokens",
     .in = {{{5, 2088}}, {{70}, LRK_FILL_INDEX, .limit = 5}},
     .attr = &plain},
};

const lrk_op lrk_op_embed = {
    .name = "embed",
    .n_in = 2,
    .n_out = 1,
    .needs_in = 1u << LRK_EMBED_IDS,
    .infer = infer,
    LRK_KERNELS(embed),
    LRK_SAMPLES(samples),
};
