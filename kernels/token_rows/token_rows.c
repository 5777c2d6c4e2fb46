/* kernels/token_rows/token_rows.c -- shape rule, samples and record. */
#include "kernels/token_rows/token_rows.h"

LRK_DECLARE_KERNELS(token_rows);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_TOKEN_ROWS_X], *ids = c->in[LRK_TOKEN_ROWS_IDS];
    const lrk_tensor *rows = c->in[LRK_TOKEN_ROWS_ROWS], *index = c->in[LRK_TOKEN_ROWS_INDEX];

    LRK_TRY(lrk_compute_of(x, "token_rows", &p->compute, err));
    LRK_REQUIRE(err, rows->rank == 2 && lrk_cols(rows) == lrk_cols(x), LRK_ESHAPE,
                "token_rows: rows '%s' are (%zu, %zu), x '%s' has width %zu", rows->name, lrk_rows(rows),
                lrk_cols(rows), x->name, lrk_cols(x));
    LRK_REQUIRE(err, rows->dtype == lrk_acc(x->dtype), LRK_ESUPPORT, "token_rows: rows '%s' are %s, expected %s",
                rows->name, lrk_dtype_name(rows->dtype), lrk_dtype_name(lrk_acc(x->dtype)));
    LRK_REQUIRE(err, ids->dtype == LRK_I32 && lrk_count(ids) == lrk_rows(x), LRK_ESHAPE,
                "token_rows: %zu ids of type %s, expected %zu of type i32", lrk_count(ids),
                lrk_dtype_name(ids->dtype), lrk_rows(x));
    LRK_REQUIRE(err, index->dtype == LRK_I32 && lrk_count(index) == lrk_rows(rows), LRK_ESHAPE,
                "token_rows: %zu numbers of rows of type %s, expected %zu of type i32", lrk_count(index),
                lrk_dtype_name(index->dtype), lrk_rows(rows));
    p->out[LRK_TOKEN_ROWS_Y] = lrk_like(x);
    return LRK_OK;
}

static const lrk_token_rows_attr plain = {0}, scaled = {.scale = 3.0, .padding = 1 + 3};
static const int32_t one[] = {0}, some[] = {1, 2, 5}, many[] = {0, 3, 4, 9, 11, 17, 60};
#define IDS(n, v) {.dim = {n}, .fill = LRK_FILL_INDEX, .limit = v}
#define ROWS(n, c) {.dim = {n, c}, .adapter = true}
#define INDEX(list) {.dim = {sizeof(list) / sizeof *(list)}, .fill = LRK_FILL_DATA, .data = (list)}
static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}, IDS(1, 1), ROWS(1, 1), INDEX(one)}, .attr = &plain},
    {.name = "scaled, ids repeat",
     .in = {{{70, 33}}, IDS(70, 7), ROWS(3, 33), INDEX(some)},
     .attr = &scaled},
    {.name = "wide rows, whole chunks, most tokens stay",
     .in = {{{67, 264}}, IDS(67, 64), ROWS(7, 264), INDEX(many)},
     .attr = &plain},
};

const lrk_op lrk_op_token_rows = {
    .name = "token_rows",
    .n_in = 4,
    .n_out = 1,
    .inplace = {1 + LRK_TOKEN_ROWS_X},
    .overwrites = true,
    .needs_in = 1u << LRK_TOKEN_ROWS_IDS | 1u << LRK_TOKEN_ROWS_INDEX,
    .infer = infer,
    LRK_KERNELS(token_rows),
    LRK_SAMPLES(samples),
};
