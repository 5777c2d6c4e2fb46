/* tests/unit/late.c -- results that wait for the op that reads them (lrk_apply_late): whether one kernel then does
 * the work of two or not, memory, results and gradients are those of lrk_apply, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "autograd/tape.h"
#include "base/rng.h"
#include "kernels/add/add.h"
#include "kernels/linear_xent/linear_xent.h"
#include "kernels/rmsnorm/rmsnorm.h"
#include "kernels/scale/scale.h"

#include <string.h>

enum { T = 5, C = 12, V = 7, LAYERS = 3, STEP = 1 << 20, WEIGHTS = 2 * LAYERS + 1 };

/* The two ops, with kernels that are counted; the norm joins the addition. */
static struct {
    int additions, norms, joined;
} ran;

static void counted_addition(const lrk_call *c)
{
    ran.additions++;
    lrk_op_forward(&lrk_op_add, LRK_CPU, LRK_C_F32)(c);
}

static void counted_norm(const lrk_call *c)
{
    ran.norms++;
    ran.joined += c->joined[0] != NULL;
    lrk_op_forward(&lrk_op_rmsnorm, LRK_CPU, LRK_C_F32)(c);
}

static lrk_op add, norm;

static int setup(void **state)
{
    (void)state;
    add = lrk_op_add;
    norm = lrk_op_rmsnorm;
    norm.joins = &add;
    for (int target = 0; target < LRK_TARGETS; target++) {
        if (add.forward[target][LRK_C_F32]) add.forward[target][LRK_C_F32] = counted_addition;
        if (norm.forward[target][LRK_C_F32]) norm.forward[target][LRK_C_F32] = counted_norm;
    }
    return 0;
}

/* Everything kept; results of norms forgotten; layers computed again, with the sum at their end, or a norm of it; no
 * gradients. */
typedef enum layout { KEEP, CHEAP, LAYERS_AGAIN, NORMED_AGAIN, FORWARD, LAYOUTS } layout;

typedef struct outcome {
    float hidden[T * C], gradient[WEIGHTS][C];
    double loss;
    size_t bytes;
} outcome;

typedef struct network {
    lrk_arena step, scratch;
    lrk_tape *tape;
    float x[T * C], w[WEIGHTS][C], head[V * C], gradient[WEIGHTS][C];
    int32_t targets[T];
} network;

static void draw(float *p, size_t n, uint32_t stream)
{
    for (size_t i = 0; i < n; i++) p[i] = (float)lrk_rng_normal((lrk_rng){21, LRK_SITE_TEST, stream}, i);
}

static void must(lrk_status s, const lrk_err *err)
{
    if (s != LRK_OK) fail_msg("%s", err->text);
}

static void network_new(network *n, bool cheap)
{
    lrk_err err = {0};
    memset(n, 0, sizeof *n);
    must(lrk_arena_fixed(&n->step, "step", STEP, &err), &err);
    must(lrk_arena_fixed(&n->scratch, "scratch", STEP, &err), &err);
    must(lrk_tape_new(&n->tape, (lrk_tape_memory){&n->step, &n->scratch, NULL, LRK_CPU}, &err), &err);
    lrk_tape_recompute_cheap(n->tape, cheap);
    draw(n->x, T * C, 0);
    draw(n->w[0], WEIGHTS * C, 1);
    draw(n->head, V * C, 2);
    for (int32_t i = 0; i < T; i++) n->targets[i] = i;
}

static void network_free(network *n)
{
    lrk_tape_free(n->tape);
    lrk_arena_free(&n->step);
    lrk_arena_free(&n->scratch);
}

static lrk_tensor over(lrk_tensor shape, void *data)
{
    shape.data = data;
    shape.name = "test";
    return shape;
}

static lrk_var *weight(network *n, int i)
{
    const lrk_tensor w = over(lrk_vec(LRK_F32, C), n->w[i]), dw = over(lrk_vec(LRK_F32, C), n->gradient[i]);
    return lrk_parameter(n->tape, &w, &dw);
}

static lrk_var *apply_norm(network *n, lrk_var *x, int i)
{
    static const lrk_rmsnorm_attr attr = {1e-5};
    return lrk_apply(n->tape, &norm, (lrk_var *[]){x, weight(n, i)}, 2, &attr);
}

static lrk_var *apply_sum(network *n, bool late, lrk_var *x, lrk_var *d)
{
    return (late ? lrk_apply_late : lrk_apply)(n->tape, &add, (lrk_var *[]){x, d}, 2, NULL);
}

/* h = h + scale(norm(h)) in each layer, or without the scale, where the addition reads a norm's result. */
static lrk_var *hidden(network *n, layout how, bool late, bool scaled)
{
    static const lrk_scale_attr half = {0.5};
    const lrk_tensor x = over(lrk_mat(LRK_F32, T, C), n->x);
    const bool again = how == LAYERS_AGAIN || how == NORMED_AGAIN;
    lrk_var *h = lrk_constant(n->tape, &x);
    for (int i = 0; i < LAYERS; i++) {
        if (again) lrk_tape_segment_begin(n->tape);
        lrk_var *d = apply_norm(n, h, 2 * i);
        if (scaled) d = lrk_apply(n->tape, &lrk_op_scale, &d, 1, &half);
        h = apply_sum(n, late, h, d);
        if (how == NORMED_AGAIN) h = apply_norm(n, h, 2 * i + 1);
        if (again) h = lrk_tape_segment_end(n->tape, h);
    }
    return apply_norm(n, h, 2 * LAYERS);
}

static void run(outcome *out, layout how, bool late, bool scaled)
{
    static const lrk_linear_xent_attr attr = {0};
    network n;
    lrk_err err = {0};
    double one = 1.0;
    network_new(&n, how == CHEAP);
    const lrk_tensor head = over(lrk_mat(LRK_F32, V, C), n.head), targets = over(lrk_vec(LRK_I32, T), n.targets);
    const lrk_tensor seed = over(lrk_vec(LRK_F64, 1), &one);
    memset(out, 0, sizeof *out);
    memset(&ran, 0, sizeof ran);
    lrk_tape_begin(n.tape, how != FORWARD);
    lrk_var *h = hidden(&n, how, late, scaled);
    lrk_var *in[] = {h, lrk_constant(n.tape, &head), lrk_constant(n.tape, &targets)};
    lrk_var *loss = lrk_apply(n.tape, &lrk_op_linear_xent, in, 3, &attr);
    must(lrk_tape_status(n.tape, &err), &err);
    memcpy(out->hidden, h->value.data, sizeof out->hidden);
    out->loss = *(double *)loss->value.data;
    if (how != FORWARD) must(lrk_backward(n.tape, loss, &seed, &err), &err);
    memcpy(out->gradient, n.gradient, sizeof out->gradient);
    out->bytes = n.step.peak;
    network_free(&n);
}

static void late_changes_nothing(void **state)
{
    (void)state;
    for (layout how = KEEP; how < LAYOUTS; how++) {
        for (int scaled = 0; scaled < 2; scaled++) {
            outcome at_once, late;
            run(&at_once, how, false, scaled);
            const int additions = ran.additions, norms = ran.norms;
            assert_int_equal(ran.joined, 0);
            run(&late, how, true, scaled);
            /* the last sum of a segment has no reader in it; one that reads shared storage does not wait */
            const bool waits = how != LAYERS_AGAIN && (how != CHEAP || scaled);
            assert_int_equal(ran.joined, waits ? additions : 0);
            assert_int_equal(ran.additions, waits ? 0 : additions);
            assert_int_equal(ran.norms, norms);
            assert_int_equal(additions, how == LAYERS_AGAIN || how == NORMED_AGAIN ? 2 * LAYERS : LAYERS);
            assert_memory_equal(&at_once, &late, sizeof late);
            assert_true(late.loss > 0.0);
        }
    }
}

/* Another op than the one that joins it, or nobody: the sum is there all the same. */
static void somebody_else_may_read_it(void **state)
{
    (void)state;
    static const lrk_scale_attr twice = {2.0};
    lrk_err err = {0};
    network n;
    network_new(&n, false);
    const lrk_tensor x = over(lrk_mat(LRK_F32, T, C), n.x);
    memset(&ran, 0, sizeof ran);
    lrk_tape_begin(n.tape, false);
    lrk_var *a = lrk_constant(n.tape, &x);
    lrk_var *sum = apply_sum(&n, true, a, a);
    assert_int_equal(ran.additions, 0);
    lrk_var *y = lrk_apply(n.tape, &lrk_op_scale, &a, 1, &twice); /* which is no reader of it */
    assert_int_equal(ran.additions, 1);
    assert_memory_equal(sum->value.data, y->value.data, sizeof n.x);
    lrk_var *all = apply_sum(&n, true, sum, y);
    (void)apply_norm(&n, a, 0); /* a norm, but of something else */
    assert_int_equal(ran.additions, 2);
    lrk_var *last = apply_sum(&n, true, all, a);
    must(lrk_tape_status(n.tape, &err), &err);
    assert_int_equal(ran.additions, 3);
    for (size_t i = 0; i < T * C; i++) {
        assert_true(((float *)all->value.data)[i] == 4.0f * n.x[i]);
        assert_true(((float *)last->value.data)[i] == 4.0f * n.x[i] + n.x[i]);
    }
    network_free(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(late_changes_nothing),
                                       cmocka_unit_test(somebody_else_may_read_it)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
