/* tests/unit/abreast.c -- results that lie as columns of one matrix (kernels/op.h, lrk_infer.abreast), and gradients
 * that come back so: the numbers are those of results that lie apart, bit for bit, whoever reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "autograd/tape.h"
#include "base/rng.h"
#include "kernels/add/add.h"
#include "kernels/linear/linear.h"
#include "kernels/linear_xent/linear_xent.h"
#include "kernels/scale/scale.h"
#include "kernels/swiglu/swiglu.h"

#include <string.h>

enum { T = 5, C = 8, V = 7, LAYERS = 2, STEP = 1 << 20, WEIGHTS = 3 * LAYERS };

/* linear, whose results lie abreast where the test says so, even on the CPU. */
static lrk_op linear;
static bool abreast;
static int backward_calls, side_by_side; /* of them: with gradients that are columns of one matrix */

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    LRK_TRY(lrk_op_linear.infer(c, p, err));
    p->abreast = abreast;
    return LRK_OK;
}

static void counted_backward(const lrk_call *c)
{
    bool all = true;
    for (int i = 1; i < 3; i++)
        all = all && (float *)c->dout[i]->data == (float *)c->dout[i - 1]->data + lrk_cols(c->dout[i - 1]);
    backward_calls++;
    side_by_side += all && c->dout[0]->stride == 3 * C;
    lrk_op_backward(&lrk_op_linear, LRK_CPU, LRK_C_F32)(c);
}

static int setup(void **state)
{
    (void)state;
    linear = lrk_op_linear;
    linear.infer = infer;
    for (int target = 0; target < LRK_TARGETS; target++)
        if (linear.backward[target][LRK_C_F32]) linear.backward[target][LRK_C_F32] = counted_backward;
    return 0;
}

/* Who reads the three results of a layer. */
typedef enum readers {
    ONE_EACH,  /* every gradient is written where it belongs, by way of what is in place too */
    SEVERAL,   /* the gradient of what one makes in place is where another's belongs */
    NOBODY,    /* of the third: its gradient is zeros */
    SHARED,    /* by an addition, whose gradient both of its inputs share */
    READERS
} readers;

typedef struct network {
    lrk_arena step, scratch;
    lrk_tape *tape;
    float x[T * C], w[WEIGHTS][C * C], head[V * C], gradient[WEIGHTS][C * C];
    int32_t targets[T];
} network;

typedef struct outcome {
    float hidden[T * C], gradient[WEIGHTS][C * C];
    double loss;
} outcome;

static void must(lrk_status s, const lrk_err *err)
{
    if (s != LRK_OK) fail_msg("%s", err->text);
}

static void draw(float *p, size_t n, uint32_t stream)
{
    for (size_t i = 0; i < n; i++) p[i] = (float)lrk_rng_normal((lrk_rng){22, LRK_SITE_TEST, stream}, i);
}

static lrk_tensor over(lrk_tensor shape, void *data)
{
    shape.data = data;
    shape.name = "test";
    return shape;
}

static lrk_var *scaled(network *n, lrk_var *x)
{
    static const lrk_scale_attr half = {0.5};
    return lrk_apply(n->tape, &lrk_op_scale, &x, 1, &half);
}

static lrk_var *sum(network *n, lrk_var *a, lrk_var *b)
{
    return lrk_apply(n->tape, &lrk_op_add, (lrk_var *[]){a, b}, 2, NULL);
}

static lrk_var *gate(network *n, lrk_var *g, lrk_var *u)
{
    static const lrk_swiglu_attr silu = {LRK_SILU};
    return lrk_apply(n->tape, &lrk_op_swiglu, (lrk_var *[]){g, u}, 2, &silu);
}

static lrk_var *layer(network *n, int i, lrk_var *h, readers who)
{
    static const lrk_linear_attr plain = {.scale = 1.0};
    lrk_var *in[LRK_LINEAR_INS] = {h};
    for (int k = 0; k < 3; k++) {
        const lrk_tensor w = over(lrk_mat(LRK_F32, C, C), n->w[3 * i + k]);
        const lrk_tensor dw = over(lrk_mat(LRK_F32, C, C), n->gradient[3 * i + k]);
        in[lrk_linear_w(k)] = lrk_parameter(n->tape, &w, &dw);
    }
    lrk_var *y0 = lrk_apply(n->tape, &linear, in, LRK_LINEAR_INS, &plain);
    lrk_var *y1 = lrk_result(n->tape, y0, 1), *y2 = lrk_result(n->tape, y0, 2);
    if (who == SHARED) return sum(n, sum(n, y0, y1), scaled(n, y2));
    lrk_var *g = gate(n, y0, scaled(n, y1));
    if (who == NOBODY) return g;
    if (who == ONE_EACH) return gate(n, g, scaled(n, scaled(n, y2)));
    g = gate(n, g, y2);
    lrk_var *more = scaled(n, y2);
    return gate(n, more, gate(n, g, y2));
}

static void run(outcome *out, bool side, readers who, bool gradients, bool again)
{
    static const lrk_linear_xent_attr attr = {0};
    network n = {0};
    lrk_err err = {0};
    double one = 1.0;
    abreast = side;
    backward_calls = side_by_side = 0;
    memset(out, 0, sizeof *out);
    must(lrk_arena_fixed(&n.step, "step", STEP, &err), &err);
    must(lrk_arena_fixed(&n.scratch, "scratch", STEP, &err), &err);
    must(lrk_tape_new(&n.tape, (lrk_tape_memory){&n.step, &n.scratch, NULL, LRK_CPU}, &err), &err);
    draw(n.x, T * C, 0);
    draw(n.w[0], WEIGHTS * C * C, 1);
    draw(n.head, V * C, 2);
    const lrk_tensor x = over(lrk_mat(LRK_F32, T, C), n.x), head = over(lrk_mat(LRK_F32, V, C), n.head);
    const lrk_tensor targets = over(lrk_vec(LRK_I32, T), n.targets), seed = over(lrk_vec(LRK_F64, 1), &one);
    lrk_tape_begin(n.tape, gradients);
    lrk_var *h = lrk_constant(n.tape, &x);
    for (int i = 0; i < LAYERS; i++) {
        if (again) lrk_tape_segment_begin(n.tape);
        h = layer(&n, i, h, who);
        if (again) h = lrk_tape_segment_end(n.tape, h);
    }
    lrk_var *in[] = {h, lrk_constant(n.tape, &head), lrk_constant(n.tape, &targets)};
    lrk_var *loss = lrk_apply(n.tape, &lrk_op_linear_xent, in, 3, &attr);
    must(lrk_tape_status(n.tape, &err), &err);
    for (size_t t = 0; t < T; t++)
        memcpy(out->hidden + t * C, lrk_row(&h->value, t), C * sizeof(float));
    out->loss = *(double *)loss->value.data;
    if (gradients) must(lrk_backward(n.tape, loss, &seed, &err), &err);
    memcpy(out->gradient, n.gradient, sizeof out->gradient);
    lrk_tape_free(n.tape);
    lrk_arena_free(&n.step);
    lrk_arena_free(&n.scratch);
}

static void the_numbers_are_the_same(void **state)
{
    (void)state;
    for (readers who = 0; who < READERS; who++) {
        for (int how = 0; how < 3; how++) {
            const bool gradients = how > 0, again = how == 2;
            outcome apart, beside;
            run(&apart, false, who, gradients, again);
            assert_int_equal(side_by_side, 0);
            run(&beside, true, who, gradients, again);
            assert_int_equal(backward_calls, gradients ? LAYERS : 0);
            assert_int_equal(side_by_side, gradients && who == ONE_EACH ? LAYERS : 0);
            assert_true(beside.loss > 0.0);
            assert_memory_equal(&apart, &beside, sizeof apart);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_numbers_are_the_same)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
