/* kernels/rope/rope.c -- shape rule, samples and record. */
#include "kernels/rope/rope.h"

#include "kernels/segments.h"

LRK_DECLARE_KERNELS(rope);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_ROPE_X], *freq = c->in[LRK_ROPE_FREQ];
    const lrk_rope_attr *a = c->attr;

    LRK_TRY(lrk_compute_of(x, "rope", &p->compute, err));
    LRK_TRY(lrk_segments_check(c->in[LRK_ROPE_SEGMENTS], "rope", err));
    LRK_REQUIRE(err, a->head > 0 && lrk_cols(x) % a->head == 0, LRK_ESHAPE,
                "rope: x '%s' has width %zu, no multiple of the head size %zu", x->name,
                lrk_cols(x), a->head);
    LRK_REQUIRE(err, a->rotary > 0 && a->rotary % 2 == 0 && a->rotary <= a->head, LRK_EVALUE,
                "rope: %zu of %zu numbers of a head are to rotate; must be even, 2 to %zu",
                a->rotary, a->head, a->head);
    LRK_REQUIRE(err, lrk_count(freq) == a->rotary / 2 && lrk_contiguous(freq), LRK_ESHAPE,
                "rope: '%s' has %zu frequencies, expected %zu", freq->name, lrk_count(freq),
                a->rotary / 2);
    LRK_REQUIRE(err, freq->dtype == LRK_F32 || freq->dtype == LRK_F64, LRK_ESUPPORT,
                "rope: frequencies '%s' are %s, expected f32 or f64", freq->name,
                lrk_dtype_name(freq->dtype));
    p->out[LRK_ROPE_Y] = lrk_like(x);
    p->forward_scratch = p->backward_scratch =
        lrk_rows(x) * lrk_row_bytes(lrk_acc(x->dtype), a->rotary);
    return LRK_OK;
}

static const lrk_rope_attr small = {.head = 2, .rotary = 2},
                           halves = {.head = 16, .rotary = 16},
                           partial = {.head = 10, .rotary = 6, .attention_factor = 1.25},
                           pairs = {.head = 8, .rotary = 8, .interleaved = true},
                           pairs_partial = {.head = 9, .rotary = 4, .interleaved = true};
static const int32_t one[] = {0, 1, 30000, -1, 0, 1};
static const int32_t packed[] = {0, 5, 0, -1, 0, 5, 5, 40, 0, -1, 5, 40, 45, 3, 5, 0, 45, 3};
#define SEGMENTS(s, d) {.dim = {s, LRK_SEG_FIELDS}, .fill = LRK_FILL_DATA, .data = d}
#define FREQ(n) {.dim = {n}, .adapter = true, .frozen = true}
static const lrk_sample samples[] = {
    {.name = "one pair, far out", .in = {{{1, 2}}, SEGMENTS(1, one), FREQ(1)}, .attr = &small},
    {.name = "halves, packed with a child",
     .in = {{{48, 48}}, SEGMENTS(3, packed), FREQ(8)},
     .attr = &halves},
    {.name = "partly, with attention factor",
     .in = {{{48, 30}}, SEGMENTS(3, packed), FREQ(3)},
     .attr = &partial},
    {.name = "interleaved", .in = {{{48, 24}}, SEGMENTS(3, packed), FREQ(4)}, .attr = &pairs},
    {.name = "interleaved, partly",
     .in = {{{48, 27}}, SEGMENTS(3, packed), FREQ(2)},
     .attr = &pairs_partial},
};

const lrk_op lrk_op_rope = {
    .name = "rope",
    .n_in = 3,
    .n_out = 1,
    .inplace = 1 + LRK_ROPE_X,
    .overwrites = true,
    .needs_in = 1u << LRK_ROPE_SEGMENTS | 1u << LRK_ROPE_FREQ,
    .infer = infer,
    LRK_KERNELS(rope),
    LRK_SAMPLES(samples),
};
