/* kernels/rmsnorm/rmsnorm.c -- shape rule, samples and record. */
#include "kernels/rmsnorm/rmsnorm.h"

#include "kernels/add/add.h"

LRK_DECLARE_KERNELS(rmsnorm);

static void ask_scratch(size_t rows, size_t width, lrk_dtype type, lrk_device device, lrk_infer *p)
{
    const size_t row = lrk_row_bytes(lrk_acc(type), width);
    if (device == LRK_CPU)
        p->forward_scratch = p->backward_scratch = row;
    else
        p->backward_scratch = row * lrk_ceil_div(rows, lrk_rmsnorm_part_rows(rows));
}

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_RMSNORM_X], *w = c->in[LRK_RMSNORM_W];
    const lrk_rmsnorm_attr *a = c->attr;

    LRK_TRY(lrk_compute_of(x, "rmsnorm", &p->compute, err));
    const size_t width = lrk_cols(w);
    LRK_REQUIRE(err, w->rank == 1 && width > 0 && lrk_cols(x) % width == 0, LRK_ESHAPE,
                "rmsnorm: weight '%s' has %zu elements, x '%s' has width %zu", w->name,
                lrk_count(w), x->name, lrk_cols(x));
    LRK_REQUIRE(err, w->dtype == x->dtype || (w->dtype == LRK_F32 && x->dtype == LRK_BF16),
                LRK_ESUPPORT, "rmsnorm: weight '%s' is %s, expected %s or f32", w->name,
                lrk_dtype_name(w->dtype), lrk_dtype_name(x->dtype));
    LRK_REQUIRE(err, a->eps > 0.0, LRK_EVALUE, "rmsnorm: eps is %g, must be > 0", a->eps);
    p->out[LRK_RMSNORM_Y] = lrk_like(x);
    p->saved[LRK_RMSNORM_RSTD] = lrk_vec(lrk_acc(x->dtype), lrk_count(x) / width);
    ask_scratch(lrk_count(x) / width, width, x->dtype, c->device, p);
    return LRK_OK;
}

static const lrk_rmsnorm_attr tiny = {1e-5}, large = {1e-2};
static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}, {{1}}}, .attr = &large},
    {.name = "odd width, no vector load fits", .in = {{{5, 123}}, {{123}}}, .attr = &tiny},
    {.name = "rank 3, eps not negligible", .in = {{{2, 3, 64}}, {{64}}}, .attr = &large},
    {.name = "more rows than one task, f32 weight",
     .in = {{{70, 33}}, {{33}, .adapter = true}},
     .attr = &tiny},
    {.name = "several parts, whole vectors", .in = {{{130, 24}}, {{24}}}, .attr = &tiny},
    {.name = "rows of several warps", .in = {{{3, 1048}}, {{1048}}}, .attr = &tiny},
    {.name = "wider than registers", .in = {{{2, 4099}}, {{4099}}}, .attr = &tiny},
    {.name = "heads of a row", .in = {{{21, 40}}, {{8}, .adapter = true}}, .attr = &tiny},
};

const lrk_op lrk_op_rmsnorm = {
    .name = "rmsnorm",
    .n_in = 2,
    .n_out = 1,
    .n_saved = 1,
    .overwrites = true,
    .cheap = true,
    .needs_in = 1u << LRK_RMSNORM_X | 1u << LRK_RMSNORM_W,
    .joins = &lrk_op_add,
    .infer = infer,
    LRK_KERNELS(rmsnorm),
    LRK_SAMPLES(samples),
};
