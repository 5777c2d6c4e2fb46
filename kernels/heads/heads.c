/* kernels/heads/heads.c -- shape rule, samples and record. */
#include "kernels/heads/heads.h"

LRK_DECLARE_KERNELS(heads);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_HEADS_A];
    const lrk_heads_attr *a = c->attr;
    size_t total = 0;

    LRK_TRY(lrk_compute_of(x, "heads", &p->compute, err));
    LRK_REQUIRE(err, a->heads > 0, LRK_ESHAPE, "heads: no heads");
    for (int i = LRK_HEADS_A; i <= LRK_HEADS_B; i++) {
        const lrk_heads_piece *piece = &a->piece[i];
        if (!c->in[i]) continue;
        LRK_REQUIRE(err, lrk_rows(c->in[i]) == lrk_rows(x) && c->in[i]->dtype == x->dtype &&
                             (a->heads - 1) * piece->step + piece->first + piece->n <= lrk_cols(c->in[i]),
                    LRK_ESHAPE, "heads: %zu pieces of %zu numbers do not lie inside '%s' (%zu, %zu)",
                    a->heads, piece->n, c->in[i]->name, lrk_rows(c->in[i]), lrk_cols(c->in[i]));
        total += piece->n;
    }
    LRK_REQUIRE(err, total > 0 && total <= a->head, LRK_ESHAPE,
                "heads: pieces of %zu numbers for a head of %zu", total, a->head);
    p->out[LRK_HEADS_Y] = lrk_mat(x->dtype, lrk_rows(x), a->heads * a->head);
    return LRK_OK;
}

static const lrk_heads_attr swap = {.heads = 3, .head = 7, .piece = {{7, 4, 3}, {7, 0, 4}}},
                            shared = {.heads = 4, .head = 9, .piece = {{0, 0, 2}, {11, 0, 6}}},
                            alone = {.heads = 2, .head = 8, .piece = {{5, 3, 2}}};
static const lrk_sample samples[] = {
    {.name = "two pieces change places", .in = {{{21, 21}}, {{21, 21}}}, .attr = &swap},
    {.name = "a piece for all heads, padded", .in = {{{40, 2}}, {{40, 44}}}, .attr = &shared},
    {.name = "one piece, padded", .in = {{{5, 10}}}, .attr = &alone},
};

const lrk_op lrk_op_heads = {
    .name = "heads",
    .n_in = 2,
    .n_out = 1,
    .optional_in = 1u << LRK_HEADS_B,
    .infer = infer,
    LRK_KERNELS(heads),
    LRK_SAMPLES(samples),
};
