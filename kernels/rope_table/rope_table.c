/* kernels/rope_table/rope_table.c -- shape rule, samples and record. */
#include "kernels/rope_table/rope_table.h"

#include "kernels/segments.h"

LRK_DECLARE_KERNELS(rope_table);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *freq = c->in[LRK_ROPE_TABLE_FREQ], *tokens = c->in[LRK_ROPE_TABLE_TOKENS];

    LRK_TRY(lrk_segments_check(c->in[LRK_ROPE_TABLE_SEGMENTS], "rope_table", err));
    LRK_REQUIRE(err, freq->dtype == LRK_F32 || freq->dtype == LRK_F64, LRK_ESUPPORT,
                "rope_table: frequencies '%s' are %s, expected f32 or f64", freq->name,
                lrk_dtype_name(freq->dtype));
    LRK_REQUIRE(err, freq->rank == 1 || (freq->rank == 2 && lrk_rows(freq) == 2), LRK_ESHAPE,
                "rope_table: frequencies '%s' have rank %d and %zu rows, expected one or two rows",
                freq->name, freq->rank, lrk_rows(freq));
    LRK_REQUIRE(err, tokens->rank == 1 && tokens->dtype == LRK_I32, LRK_ESHAPE,
                "rope_table: tokens '%s' must be i32 (T)", tokens->name);
    LRK_TRY(lrk_compute_of(freq, "rope_table", &p->compute, err));
    p->out[LRK_ROPE_TABLE_TABLE] = lrk_mat(freq->dtype, lrk_count(tokens), 2 * lrk_cols(freq));
    return LRK_OK;
}

static const lrk_rope_table_attr plain = {0}, scaled = {.attention_factor = 1.25},
                                 two = {.attention_factor = 1.5, .long_from = 7},
                                 growing = {.attention_factor = 1.25, .temperature = 0.5, .step = 7};
static const int32_t one[] = {0, 1, 30000, -1, 0, 1};
static const int32_t packed[] = {0, 5, 0, -1, 0, 5, 5, 40, 0, -1, 5, 40, 45, 3, 5, 0, 45, 3};
#define SEGMENTS(s, d) {.dim = {s, LRK_SEG_FIELDS}, .fill = LRK_FILL_DATA, .data = d}
#define FREQ(n) {.dim = {n}, .adapter = true, .frozen = true}
#define TOKENS(n) {.dim = {n}, .fill = LRK_FILL_INDEX, .limit = 1}
static const lrk_sample samples[] = {
    {.name = "one pair, far out", .in = {SEGMENTS(1, one), FREQ(1), TOKENS(1)}, .attr = &plain},
    {.name = "packed with a child",
     .in = {SEGMENTS(3, packed), FREQ(8), TOKENS(48)},
     .attr = &plain},
    {.name = "odd, with attention factor",
     .in = {SEGMENTS(3, packed), FREQ(3), TOKENS(48)},
     .attr = &scaled},
    {.name = "growing", .in = {SEGMENTS(3, packed), FREQ(3), TOKENS(48)}, .attr = &growing},
    {.name = "two rows",
     .in = {SEGMENTS(3, packed), {.dim = {2, 5}, .adapter = true, .frozen = true}, TOKENS(48)},
     .attr = &two},
};

const lrk_op lrk_op_rope_table = {
    .name = "rope_table",
    .n_in = 3,
    .n_out = 1,
    .infer = infer,
    LRK_FORWARD_KERNELS(rope_table),
    LRK_SAMPLES(samples),
};
