/* Ops in f64 against their formula written down plainly, on the samples of their records: the sweep
 * shows that backward is the derivative of forward, this shows that forward is what it says. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "kernels/attention/attention.h"
#include "kernels/embed/embed.h"
#include "kernels/layernorm/layernorm.h"
#include "kernels/linear/linear.h"
#include "kernels/linear_xent/linear_xent.h"
#include "kernels/rmsnorm/rmsnorm.h"
#include "kernels/rope/rope.h"
#include "kernels/rope_table/rope_table.h"
#include "kernels/scale/scale.h"
#include "kernels/segments.h"
#include "kernels/softcap/softcap.h"
#include "kernels/swiglu/swiglu.h"
#include "kernels/token_logits/token_logits.h"
#include "kernels/token_rows/token_rows.h"
#include "ops/case.h"

typedef double (*formula)(const call *k, size_t row, size_t column);

static void compare(const lrk_op *op, formula f)
{
    for (size_t s = 0; s < op->n_samples; s++) {
        call k;
        lrk_err err = {0};
        if (call_new(&k, op, &op->samples[s], LRK_C_F64, LRK_CPU, &err) != LRK_OK)
            fail_msg("%s", err.text);
        forward(&k, op);
        for (size_t o = 0, first = 0; o < (size_t)op->n_out; first += lrk_cols(&k.out[o++]))
            for (size_t e = 0; e < lrk_count(&k.out[o]); e++) {
                const size_t row = e / lrk_cols(&k.out[o]), column = first + e % lrk_cols(&k.out[o]);
                const double got = at(&k.out[o], e), want = f(&k, row, column);
                if (!(fabs(got - want) <= 1e-11 * (1.0 + fabs(want))))
                    fail_msg("%s, %s: row %zu column %zu is %.17g, expected %.17g", op->name,
                             op->samples[s].name, row, column, got, want);
            }
        call_free(&k);
    }
}

static double number(const lrk_tensor *t, size_t row, size_t column)
{
    return at_place(t, row * t->stride + column);
}

static double norm_formula(const call *k, size_t row, size_t column)
{
    const lrk_rmsnorm_attr *a = k->c.attr;
    const size_t width = lrk_count(&k->in[1]), first = column / width * width;
    double square = 0.0;
    for (size_t i = first; i < first + width; i++) square += pow(number(&k->in[0], row, i), 2.0);
    return number(&k->in[0], row, column) * at(&k->in[1], column - first) /
           sqrt(square / (double)width + a->eps);
}

static double layernorm_formula(const call *k, size_t row, size_t column)
{
    const lrk_layernorm_attr *a = k->c.attr;
    const double n = (double)lrk_cols(&k->in[0]);
    double mean = 0.0, square = 0.0;
    for (size_t i = 0; i < lrk_cols(&k->in[0]); i++) mean += number(&k->in[0], row, i) / n;
    for (size_t i = 0; i < lrk_cols(&k->in[0]); i++) square += pow(number(&k->in[0], row, i) - mean, 2.0);
    const double z = (number(&k->in[0], row, column) - mean) / sqrt(square / n + a->eps);
    return z * at(&k->in[1], column) + (k->c.in[2] ? at(&k->in[2], column) : 0.0);
}

static double scale_formula(const call *k, size_t row, size_t column)
{
    return ((const lrk_scale_attr *)k->c.attr)->scale * number(&k->in[0], row, column);
}

static double softcap_formula(const call *k, size_t row, size_t column)
{
    const double cap = ((const lrk_softcap_attr *)k->c.attr)->cap;
    return cap * tanh(number(&k->in[0], row, column) / cap);
}

static double swiglu_formula(const call *k, size_t row, size_t column)
{
    const lrk_swiglu_attr *a = k->c.attr;
    const double g = number(&k->in[0], row, column);
    const double u = k->c.in[1] ? number(&k->in[1], row, column) : 1.0;
    const double inner = sqrt(2.0 / acos(-1.0)) * (g + 0.044715 * g * g * g);
    switch (a->activation) {
    case LRK_SILU: return u * g / (1.0 + exp(-g));
    case LRK_GELU_TANH: return u * 0.5 * g * (1.0 + tanh(inner));
    case LRK_GELU_ERF: return u * 0.5 * g * (1.0 + erf(g / sqrt(2.0)));
    }
    return (double)NAN;
}

static double embed_formula(const call *k, size_t row, size_t column)
{
    const lrk_embed_attr *a = k->c.attr;
    const int32_t id = ((const int32_t *)k->in[1].data)[row];
    return (a->scale == 0.0 ? 1.0 : a->scale) * number(&k->in[0], (size_t)id, column);
}

/* The row of a list of trained ones that stands for this id, or -1. */
static int row_for(const lrk_tensor *index, int32_t id)
{
    int found = -1;
    for (size_t i = 0; i < lrk_count(index); i++)
        if (((const int32_t *)index->data)[i] == id) found = (int)i;
    return found;
}

static double token_rows_formula(const call *k, size_t row, size_t column)
{
    const lrk_token_rows_attr *a = k->c.attr;
    const int found = row_for(&k->in[3], ((const int32_t *)k->in[1].data)[row]);
    if (found < 0) return number(&k->in[0], row, column);
    return (a->scale == 0.0 ? 1.0 : a->scale) * number(&k->in[2], (size_t)found, column);
}

static double token_logits_formula(const call *k, size_t row, size_t column)
{
    const int found = row_for(&k->in[2], (int32_t)column);
    return found < 0 ? number(&k->in[0], row, column) : number(&k->in[1], row, (size_t)found);
}

/* Inner product of two rows, x's after dropout where there is one. */
static double inner(const call *k, const lrk_tensor *x, size_t row, const lrk_tensor *w, size_t o,
                    bool dropped)
{
    const lrk_linear_attr *a = k->c.attr;
    const size_t width = lrk_cols(x);
    double sum = 0.0;
    for (size_t i = 0; i < width; i++) {
        double v = number(x, row, i);
        if (dropped && a->dropout > 0.0)
            v *= lrk_rng_uniform(*a->rng, row * width + i) < a->dropout ? 0.0 : 1.0 / (1.0 - a->dropout);
        sum += v * number(w, o, i);
    }
    return sum;
}

/* Rows of A that are weight i's: from which one on. They lie one below the other where they are as many as all B have
 * columns; else all weights have the same. */
static size_t rows_before(const call *k, int i)
{
    size_t before = 0, all = 0;
    for (int other = 0; other < LRK_LINEAR_WEIGHTS; other++) {
        const size_t n = k->c.in[lrk_linear_b(other)] ? lrk_cols(k->c.in[lrk_linear_b(other)]) : 0;
        all += n;
        before += other < i ? n : 0;
    }
    return k->c.in[LRK_LINEAR_A] && all == lrk_rows(&k->in[LRK_LINEAR_A]) ? before : 0;
}

static double linear_formula(const call *k, size_t row, size_t column)
{
    const lrk_linear_attr *a = k->c.attr;
    const lrk_tensor *x = &k->in[LRK_LINEAR_X];
    int i = 0;
    for (; column >= lrk_rows(&k->in[lrk_linear_w(i)]); i++) column -= lrk_rows(&k->in[lrk_linear_w(i)]);
    const lrk_tensor *b = k->c.in[lrk_linear_b(i)];
    double y = inner(k, x, row, &k->in[lrk_linear_w(i)], column, false);
    if (k->c.in[lrk_linear_bias(i)]) y += at(&k->in[lrk_linear_bias(i)], column);
    for (size_t r = 0; b && r < lrk_cols(b); r++)
        y += a->scale * inner(k, x, row, &k->in[LRK_LINEAR_A], rows_before(k, i) + r, true) * number(b, column, r);
    return y;
}

static double loss_formula(const call *k, size_t row, size_t column)
{
    (void)row, (void)column;
    const lrk_linear_xent_attr *a = k->c.attr;
    const lrk_tensor *x = &k->in[LRK_LINEAR_XENT_X], *w = &k->in[LRK_LINEAR_XENT_W];
    const int32_t *target = k->in[LRK_LINEAR_XENT_TARGET].data;
    double loss = 0.0;
    for (size_t t = 0; t < lrk_rows(x); t++) {
        double sum = 0.0, wanted = 0.0;
        for (size_t v = 0; target[t] >= 0 && v < lrk_rows(w); v++) {
            const int own = k->c.in[LRK_LINEAR_XENT_ROWS] ? row_for(&k->in[LRK_LINEAR_XENT_INDEX], (int32_t)v) : -1;
            double z = own < 0 ? inner(k, x, t, w, v, false)
                               : inner(k, x, t, &k->in[LRK_LINEAR_XENT_ROWS], (size_t)own, false);
            if (a->softcap > 0.0) z = a->softcap * tanh(z / a->softcap);
            sum += exp(z);
            if (v == (size_t)target[t]) wanted = z;
        }
        if (target[t] >= 0) loss += log(sum) - wanted;
    }
    return loss;
}

/* Segment of a token. */
static const int32_t *segment_of(const lrk_tensor *segments, size_t t, size_t *number_of)
{
    for (size_t s = 0;; s++) {
        const int32_t *row = lrk_segment(segments, s);
        if ((int32_t)t >= row[LRK_SEG_START] && (int32_t)t < row[LRK_SEG_START] + row[LRK_SEG_LENGTH]) {
            *number_of = s;
            return row;
        }
    }
}

static int32_t position_of(const lrk_tensor *segments, size_t t)
{
    size_t s;
    const int32_t *row = segment_of(segments, t, &s);
    return row[LRK_SEG_POSITION] + (int32_t)t - row[LRK_SEG_START];
}

static double rope_table_formula(const call *k, size_t row, size_t column)
{
    const lrk_rope_table_attr *a = k->c.attr;
    const size_t half = lrk_cols(&k->in[1]);
    const int32_t *s = ((const int32_t *)k->in[0].data);
    while (s[LRK_SEG_START] + s[LRK_SEG_LENGTH] <= (int32_t)row) s += LRK_SEG_FIELDS;
    const bool second = lrk_rows(&k->in[1]) == 2 &&
                        (size_t)(s[LRK_SEG_POSITION] + s[LRK_SEG_LENGTH]) > a->long_from;
    const double angle = (double)position_of(&k->in[0], row) *
                         at(&k->in[1], (second ? half : 0) + column % half);
    double factor = a->attention_factor == 0.0 ? 1.0 : a->attention_factor;
    if (a->temperature > 0.0)
        factor *= 1.0 + a->temperature * log(1.0 + floor((double)position_of(&k->in[0], row) / a->step));
    return factor * (column < half ? cos(angle) : sin(angle));
}

static double rope_formula(const call *k, size_t row, size_t column)
{
    const lrk_rope_attr *a = k->c.attr;
    const lrk_tensor *x = &k->in[LRK_ROPE_X];
    if (column >= lrk_cols(x)) { /* of the second, behind those of the first */
        column -= lrk_cols(x);
        x = &k->in[LRK_ROPE_X2];
    }
    const size_t rotary = lrk_cols(&k->in[1]), half = rotary / 2;
    const size_t head = column / a->head * a->head, i = column % a->head;
    if (i >= rotary) return number(x, row, column);
    const size_t pair = a->interleaved ? i / 2 : i % half;
    const bool second = a->interleaved ? i % 2 : i >= half;
    const size_t one = head + (a->interleaved ? 2 * pair : pair);
    const size_t two = a->interleaved ? one + 1 : one + half;
    const double cosine = number(&k->in[1], row, pair), sine = number(&k->in[1], row, half + pair);
    const double x1 = number(x, row, one), x2 = number(x, row, two);
    return second ? x1 * sine + x2 * cosine : x1 * cosine - x2 * sine;
}

/* Whether token t sees row n of K: some segment on the way up from t's holds it, early enough. */
static bool sees(const call *k, size_t t, size_t n)
{
    const lrk_attention_attr *a = k->c.attr;
    const lrk_tensor *segments = &k->in[LRK_ATTENTION_SEGMENTS];
    const int32_t position = position_of(segments, t);
    size_t number_of;
    segment_of(segments, t, &number_of);
    for (int32_t s = (int32_t)number_of; s >= 0; s = lrk_segment(segments, (size_t)s)[LRK_SEG_PARENT]) {
        const int32_t *row = lrk_segment(segments, (size_t)s);
        const int32_t j = (int32_t)n - row[LRK_SEG_KV];
        if (j < 0 || j >= row[LRK_SEG_KEYS]) continue;
        const int32_t key = row[LRK_SEG_POSITION] + row[LRK_SEG_LENGTH] - row[LRK_SEG_KEYS] + j;
        return key <= position && (!a->window || key > position - (int32_t)a->window);
    }
    return false;
}

/* exp of the score of key n for head h of token t; 0 where t does not see it. */
static double attention_weight(const call *k, size_t t, size_t h, size_t g, size_t n)
{
    const lrk_attention_attr *a = k->c.attr;
    double s = 0.0;
    if (!sees(k, t, n)) return 0.0;
    for (size_t i = 0; i < a->head; i++)
        s += number(&k->in[LRK_ATTENTION_Q], t, h * a->head + i) * number(&k->in[LRK_ATTENTION_K], n, g * a->head + i);
    s *= a->scale;
    if (a->softcap > 0.0) s = a->softcap * tanh(s / a->softcap);
    return exp(s);
}

/* Columns are asked for in order: the first one of a head makes the weights of all of them. */
static double attention_formula(const call *k, size_t t, size_t column)
{
    static double weight[1024];
    const lrk_attention_attr *a = k->c.attr;
    const size_t h = column / a->head, g = h / (a->heads / a->kv_heads), d = column % a->head;
    const size_t keys = lrk_rows(&k->in[LRK_ATTENTION_K]);
    double sum = 0.0, values = 0.0;
    assert_true(keys <= sizeof weight / sizeof *weight);
    for (size_t n = 0; n < keys; n++) {
        if (d == 0) weight[n] = attention_weight(k, t, h, g, n);
        sum += weight[n];
        values += weight[n] * number(&k->in[LRK_ATTENTION_V], n, g * a->head + d);
    }
    return values / sum;
}

static void rmsnorm(void **state)
{
    (void)state;
    compare(&lrk_op_rmsnorm, norm_formula);
}

static void layernorm(void **state)
{
    (void)state;
    compare(&lrk_op_layernorm, layernorm_formula);
}

static void scale(void **state)
{
    (void)state;
    compare(&lrk_op_scale, scale_formula);
}

static void softcap(void **state)
{
    (void)state;
    compare(&lrk_op_softcap, softcap_formula);
}

static void swiglu(void **state)
{
    (void)state;
    compare(&lrk_op_swiglu, swiglu_formula);
}

static void rope_table(void **state)
{
    (void)state;
    compare(&lrk_op_rope_table, rope_table_formula);
}

static void rope(void **state)
{
    (void)state;
    compare(&lrk_op_rope, rope_formula);
}

static void attention(void **state)
{
    (void)state;
    compare(&lrk_op_attention, attention_formula);
}

static void embed(void **state)
{
    (void)state;
    compare(&lrk_op_embed, embed_formula);
}

static void token_rows(void **state)
{
    (void)state;
    compare(&lrk_op_token_rows, token_rows_formula);
}

static void token_logits(void **state)
{
    (void)state;
    compare(&lrk_op_token_logits, token_logits_formula);
}

static void linear(void **state)
{
    (void)state;
    compare(&lrk_op_linear, linear_formula);
}

static void linear_xent(void **state)
{
    (void)state;
    compare(&lrk_op_linear_xent, loss_formula);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rmsnorm),    cmocka_unit_test(swiglu),
                                       cmocka_unit_test(rope_table), cmocka_unit_test(rope),
                                       cmocka_unit_test(attention),  cmocka_unit_test(embed),
                                       cmocka_unit_test(linear),     cmocka_unit_test(linear_xent),
                                       cmocka_unit_test(layernorm),  cmocka_unit_test(scale),
                                       cmocka_unit_test(softcap),    cmocka_unit_test(token_rows),
                                       cmocka_unit_test(token_logits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
