/* tests/ops/sweep.c -- every op of ops.def on every sample of its record; names none of them.
 *
 *   gradient   f64, random cotangent, against differences of fourth order, to 1e-7 of its size
 *   accuracy   f32 and bf16 against f64 on every level of this machine and on its GPU: the error may
 *              be at most `limit` times the change that rounding inputs and result to that type makes
 *              in f64
 *   memory     guards around every buffer and behind each pass's scratch, inputs unchanged
 *   contract   rows may be apart, at no bit (on a GPU: at what another order of sums gives); gradients are added; a
 *              fresh gradient is written; a gradient that nobody needs changes no other; in-place results and
 *              gradients; what is joined has the bits of two kernels; the same bits twice and for 1, 2, 3 threads
 *
 * One line for each op and sample: the gradient's error, then the largest error in units of its bound
 * for f32 and bf16. An op without samples fails. The GPU is part of it where the program was built with
 * its kernels and one answers.
 */
#include "case.h"

#include "base/cpu.h"
#include "base/threads.h"
#include "exact.h"

static const double gradient_bound = 1e-7, limit = 4.0;

typedef struct report {
    const lrk_op *op;
    const lrk_sample *sample;
    lrk_device device; /* where f32 and bf16 run */
    double gradient, accuracy[LRK_COMPUTE_COUNT];
    int failures;
} report;

static void fail(report *r, const char *what, lrk_compute compute)
{
    printf("    FAILED %s, %s: %s, %s, %s level %s, %d threads\n", r->op->name, r->sample->name, what,
           lrk_compute_name(compute), lrk_device_name(r->device), lrk_isa_name(lrk_cpu()),
           lrk_threads());
    r->failures++;
}

#define CHECK(r, cond, what, compute)             \
    do {                                          \
        if (!(cond)) fail(r, what, compute);      \
    } while (0)

static lrk_device device_of(const report *r, lrk_compute compute)
{
    return compute == LRK_C_F64 ? LRK_CPU : r->device;
}

/* A call that ran forward; failures end the program's use of this sample. */
static bool start(report *r, call *k, lrk_compute compute)
{
    lrk_err err = {0};
    if (call_new(k, r->op, r->sample, compute, device_of(r, compute), &err) != LRK_OK) {
        printf("    %s\n", err.text);
        fail(r, "infer", compute);
        call_free(k);
        return false;
    }
    CHECK(r, forward(k, r->op), "forward writes behind its scratch memory", compute);
    return true;
}

static bool start_both(report *r, call *k, lrk_compute compute)
{
    if (!start(r, k, compute)) return false;
    CHECK(r, backward(k, r->op), "backward writes behind its scratch memory", compute);
    return true;
}

static void copy_bits(const lrk_tensor *to, const lrk_tensor *from)
{
    const size_t bytes = lrk_row_bytes(to->dtype, lrk_cols(to));
    for (size_t n = 0; bytes && n < lrk_rows(to); n++) memcpy(lrk_row(to, n), lrk_row(from, n), bytes);
}

/* A call whose forward left what it left in `plain`. That it does so each time is check_same_bits' to see. */
static bool start_behind(report *r, call *k, const call *plain, lrk_compute compute)
{
    lrk_err err = {0};
    if (call_new(k, r->op, r->sample, compute, plain->c.device, &err) != LRK_OK) {
        fail(r, "infer", compute);
        call_free(k);
        return false;
    }
    for (int i = 0; i < r->op->n_out; i++)
        if (k->c.out[i]) copy_bits(&k->out[i], &plain->out[i]);
    for (int i = 0; i < r->op->n_saved; i++)
        if (k->c.saved[i]) copy_bits(&k->saved[i], &plain->saved[i]);
    return true;
}

static bool all_guards(const call *k)
{
    for (size_t i = 0; i < k->n_regions; i++) {
        if (!guards_hold(&k->regions[i])) return false;
    }
    return true;
}

static bool same_results(const call *a, const call *b)
{
    for (int i = 0; i < LRK_MAX_OUT; i++) {
        if (a->c.out[i] && !same_bits(&a->out[i], &b->out[i])) return false;
    }
    return true;
}

static bool same_gradients(const call *a, const call *b)
{
    for (int i = 0; i < LRK_MAX_IN; i++) {
        if (a->c.din[i] && b->c.din[i] && !same_bits(&a->din[i], &b->din[i])) return false;
    }
    return true;
}

static bool near(const lrk_tensor *a, const lrk_tensor *b, lrk_compute compute)
{
    double largest = 0.0;
    bool close = true;
    for (size_t e = 0; e < lrk_count(b); e++) largest = fmax(largest, fabs(at(b, e)));
    for (size_t e = 0; e < lrk_count(b); e++)
        close = close && lrk_test_close(at(a, e), at(b, e), lrk_compute_dtype(compute), largest);
    return close;
}

/* What rows that are apart may change. */
static bool near_results(const call *a, const call *b, lrk_compute compute)
{
    if (lrk_test_exact(a->c.device)) return same_results(a, b);
    for (int i = 0; i < LRK_MAX_OUT; i++)
        if (a->c.out[i] && !near(&a->out[i], &b->out[i], compute)) return false;
    return true;
}

static bool near_gradients(const call *a, const call *b, lrk_compute compute)
{
    if (lrk_test_exact(a->c.device)) return same_gradients(a, b);
    for (int i = 0; i < LRK_MAX_IN; i++)
        if (a->c.din[i] && b->c.din[i] && !near(&a->din[i], &b->din[i], compute)) return false;
    return true;
}

/* ---- gradient ------------------------------------------------------------------------------------ */

/* Moves input i by h along direction v and adds weight * the cotangent's view of the result. */
static double probe(const report *r, call *k, int i, const double *v, double h)
{
    const size_t n = lrk_count(&k->in[i]);
    double sum = 0.0;
    for (size_t e = 0; e < n; e++) set(&k->in[i], e, drawn(r->sample, i, e) + h * v[e]);
    forward(k, r->op);
    for (int o = 0; o < r->op->n_out; o++)
        for (size_t e = 0; e < lrk_count(&k->out[o]); e++) sum += cotangent(o, e) * at(&k->out[o], e);
    for (size_t e = 0; e < n; e++) set(&k->in[i], e, drawn(r->sample, i, e));
    return sum;
}

/* Directions 0 .. 2 move every element at random, later ones a single element. */
static void direction(double *v, size_t n, uint32_t number)
{
    const lrk_rng rng = {.seed = SEED + OF_DIRECTIONS, .site = LRK_SITE_TEST, .step = number};
    for (size_t e = 0; e < n; e++) v[e] = number < STEPS ? normal(OF_DIRECTIONS, 0, number, e) / sqrt((double)n) : 0.0;
    if (number >= STEPS) v[lrk_rng_below(rng, 0, n)] = 1.0;
}

static void check_gradient(report *r, const call *plain)
{
    call k;
    lrk_err err = {0};
    must(call_new(&k, r->op, r->sample, LRK_C_F64, LRK_CPU, &err), &err);
    for (int i = 0; i < r->op->n_in; i++) {
        if (!plain->c.din[i]) continue;
        const size_t n = lrk_count(&k.in[i]);
        double *v = need_memory(n * sizeof *v), size = 0.0;
        for (size_t e = 0; e < n; e++) size += at(&plain->din[i], e) * at(&plain->din[i], e);
        size = sqrt(size / (double)n);
        for (uint32_t number = 0; number < 6; number++) {
            const double h = 1e-3;
            double slope = 0.0;
            direction(v, n, number);
            for (size_t e = 0; e < n; e++) slope += v[e] * at(&plain->din[i], e);
            const double near = probe(r, &k, i, v, h) - probe(r, &k, i, v, -h);
            const double far = probe(r, &k, i, v, 2 * h) - probe(r, &k, i, v, -2 * h);
            const double numeric = (8.0 * near - far) / (12.0 * h);
            const double error = fabs(numeric - slope) / (size > 0.0 ? size : 1.0);
            if (!(error <= r->gradient)) r->gradient = error;
        }
        lrk_heap_free(v);
    }
    CHECK(r, r->gradient <= gradient_bound, "gradient is not the derivative", LRK_C_F64);
    call_free(&k);
}

/* ---- accuracy ------------------------------------------------------------------------------------ */

/* Makes the f64 call compute on the numbers that the other call holds. */
static void copy_numbers(call *wide, const call *narrow, const lrk_op *op)
{
    for (int i = 0; i < op->n_in; i++) {
        if (!wide->c.in[i] || wide->in[i].dtype == LRK_I32) continue;
        for (size_t e = 0; e < lrk_count(&wide->in[i]); e++) set(&wide->in[i], e, at(&narrow->in[i], e));
    }
    for (int o = 0; o < op->n_out; o++)
        for (size_t e = 0; e < lrk_count(&wide->dout[o]); e++)
            set(&wide->dout[o], e, at(&narrow->dout[o], e));
}

/* exact: f64 on the sample's numbers; rounded: f64 on the rounded ones; got: the kernel's. */
static double error_of(const lrk_tensor *exact, const lrk_tensor *rounded, const lrk_tensor *got,
                       lrk_compute compute)
{
    const double unit = compute == LRK_C_BF16 ? 0x1p-9 : 0x1p-24;
    double error = 0.0, rounding = 0.0, size = 0.0;
    for (size_t e = 0; e < lrk_count(got); e++) {
        const double x = at(exact, e), y = at(rounded, e), z = at(got, e);
        error += (z - y) * (z - y);
        rounding += (x - y) * (x - y);
        size += y * y;
    }
    const double bound = limit * (sqrt(rounding) + unit * sqrt(size));
    return error == 0.0 ? 0.0 : sqrt(error) / bound;
}

static void check_accuracy(report *r, const call *exact, const call *got, lrk_compute compute)
{
    call rounded;
    lrk_err err = {0};
    double worst = 0.0;
    call_new(&rounded, r->op, r->sample, LRK_C_F64, LRK_CPU, &err);
    copy_numbers(&rounded, got, r->op);
    forward(&rounded, r->op);
    backward(&rounded, r->op);
    for (int i = 0; i < r->op->n_out; i++) {
        const double e = error_of(&exact->out[i], &rounded.out[i], &got->out[i], compute);
        if (!(e <= worst)) worst = e;
    }
    for (int i = 0; i < r->op->n_in; i++) {
        if (!got->c.din[i]) continue;
        const double e = error_of(&exact->din[i], &rounded.din[i], &got->din[i], compute);
        if (!(e <= worst)) worst = e;
    }
    if (!(worst <= r->accuracy[compute])) r->accuracy[compute] = worst;
    CHECK(r, worst <= 1.0, "less accurate than its type allows", compute);
    call_free(&rounded);
}

/* ---- memory and contract ------------------------------------------------------------------------- */

static void check_memory(report *r, const call *plain, lrk_compute compute)
{
    call fresh;
    lrk_err err = {0};
    CHECK(r, all_guards(plain), "writes outside its buffers", compute);
    if (call_new(&fresh, r->op, r->sample, compute, plain->c.device, &err) != LRK_OK) return;
    for (int i = 0; i < r->op->n_in; i++)
        CHECK(r, !plain->c.in[i] || same_bits(&plain->in[i], &fresh.in[i]), "changes an input", compute);
    for (int o = 0; o < r->op->n_out; o++)
        CHECK(r, same_bits(&plain->dout[o], &fresh.dout[o]), "changes a gradient it reads", compute);
    /* without a backward to come nothing is saved, and the result is the same */
    memset(fresh.c.saved, 0, sizeof fresh.c.saved);
    fresh.c.backward_follows = false;
    lrk_op_infer(r->op, &fresh.c, &fresh.shapes, &err);
    fresh.scratch = new_region(&fresh, fresh.shapes.forward_scratch);
    CHECK(r, forward(&fresh, r->op), "forward alone writes behind its scratch memory", compute);
    CHECK(r, same_results(plain, &fresh), "forward alone gives another result", compute);
    CHECK(r, all_guards(&fresh), "forward alone writes outside its buffers", compute);
    call_free(&fresh);
}

/* From din = 1 the result must be 1 + gradient, to the rounding of that sum. */
static void check_added(report *r, const call *plain, lrk_compute compute)
{
    call k;
    if (!start_behind(r, &k, plain, compute)) return;
    for (int i = 0; i < r->op->n_in; i++)
        for (size_t e = 0; k.c.din[i] && e < lrk_count(&k.din[i]); e++) set(&k.din[i], e, 1.0);
    backward(&k, r->op);
    for (int i = 0; i < r->op->n_in; i++) {
        if (!k.c.din[i]) continue;
        const lrk_dtype type = k.din[i].dtype;
        const double unit = type == LRK_BF16 ? 0x1p-8 : type == LRK_F32 ? 0x1p-23 : 0x1p-52;
        double largest = 1.0;
        bool added = true;
        for (size_t e = 0; e < lrk_count(&k.din[i]); e++)
            largest = fmax(largest, fabs(at(&plain->din[i], e)));
        for (size_t e = 0; e < lrk_count(&k.din[i]); e++) {
            const double want = 1.0 + at(&plain->din[i], e), got = at(&k.din[i], e);
            /* a kernel may add its pieces one by one to what was there, and round each time */
            added = added && fabs(got - want) <= 8.0 * unit * largest;
        }
        CHECK(r, added, "does not add to the gradient that is there", compute);
    }
    call_free(&k);
}

static void check_fresh(report *r, const call *plain, lrk_compute compute)
{
    call k;
    if (!r->op->overwrites || !start_behind(r, &k, plain, compute)) return;
    for (int i = 0; i < r->op->n_in; i++) {
        if (!k.c.din[i]) continue;
        memset(k.din[i].data, poison_byte, lrk_bytes(&k.din[i]));
        k.c.fresh |= 1u << i;
    }
    backward(&k, r->op);
    bool equal = true;
    for (int i = 0; i < r->op->n_in; i++)
        for (size_t e = 0; k.c.din[i] && e < lrk_count(&k.din[i]); e++)
            equal = equal && at(&k.din[i], e) == at(&plain->din[i], e); /* -0 and 0 are one */
    CHECK(r, equal, "a fresh gradient differs from one added to zeros", compute);
    call_free(&k);
}

/* Leaves out one gradient, then all but that one: of two that is to leave out the other. */
static void check_null(report *r, const call *plain, lrk_compute compute)
{
    int n = 0;
    for (int i = 0; i < r->op->n_in; i++) n += plain->c.din[i] != NULL;
    for (int i = 0; i < r->op->n_in; i++) {
        for (int only = 0; only < (n > 2 ? 2 : 1) && plain->c.din[i]; only++) {
            call k;
            if (!start_behind(r, &k, plain, compute)) return;
            for (int other = 0; other < r->op->n_in; other++)
                if ((other == i) != only) k.c.din[other] = NULL;
            backward(&k, r->op);
            CHECK(r, same_gradients(&k, plain), "a gradient depends on who else asks", compute);
            call_free(&k);
        }
    }
}

/* Rows apart by 16 bytes: what lies between is nobody's. */
static void check_gaps(report *r, const call *plain, lrk_compute compute)
{
    const size_t gap = 16 / lrk_row_bytes(lrk_compute_dtype(compute), 1);
    call k;
    lrk_err err = {0};
    if (call_apart(&k, r->op, r->sample, compute, plain->c.device, gap, &err) != LRK_OK) {
        printf("    %s\n", err.text);
        fail(r, "refuses rows that are apart", compute);
        call_free(&k);
        return;
    }
    forward(&k, r->op);
    backward(&k, r->op);
    CHECK(r, near_results(&k, plain, compute), "with rows apart the result differs", compute);
    CHECK(r, near_gradients(&k, plain, compute), "with rows apart a gradient differs", compute);
    for (int i = 0; i < LRK_MAX_OUT; i++)
        CHECK(r, !k.c.out[i] || k.shapes.abreast || gaps_hold(&k.out[i], gap), "writes between rows", compute);
    for (int i = 0; i < LRK_MAX_IN; i++)
        CHECK(r, !k.c.din[i] || gaps_hold(&k.din[i], gap), "writes between rows of a gradient", compute);
    call_free(&k);
}

static void check_in_place(report *r, const call *plain, lrk_compute compute)
{
    for (int o = 0; o < LRK_MAX_OUT; o++) {
        const int i = r->op->inplace[o] - 1;
        call k;
        lrk_err err = {0};
        if (i < 0 || !plain->c.in[i] || call_new(&k, r->op, r->sample, compute, plain->c.device, &err) != LRK_OK)
            continue;
        k.c.out[o] = &k.in[i];
        forward(&k, r->op);
        CHECK(r, same_bits(&k.in[i], &plain->out[o]), "in place the result differs", compute);
        call_free(&k);
        if (!plain->c.din[i] || !start_behind(r, &k, plain, compute)) continue;
        k.c.din[i] = &k.dout[o];
        backward(&k, r->op);
        CHECK(r, same_bits(&k.dout[o], &plain->din[i]), "in place the gradient differs", compute);
        for (int other = 0; other < r->op->n_in; other++)
            CHECK(r, other == i || !k.c.din[other] || same_bits(&k.din[other], &plain->din[other]),
                  "in place another gradient differs", compute);
        call_free(&k);
    }
}

/* A call whose in[0] is the result of the op that this one joins, of two inputs that are drawn; it lies apart, or
 * where one of them does. */
static bool new_joined(report *r, call *k, const call *plain, lrk_compute compute, int where)
{
    lrk_err err = {0};
    if (call_new(k, r->op, r->sample, compute, plain->c.device, &err) != LRK_OK) return false;
    for (int i = 0; i < 2; i++) {
        k->joined[i] = place(k, k->in[0]);
        for (size_t e = 0; e < lrk_count(&k->in[0]); e++) set(&k->joined[i], e, normal(OF_DIRECTIONS, i, 0, e));
    }
    if (where)
        k->in[0].data = k->joined[where - 1].data;
    else
        memset(k->in[0].data, poison_byte, lrk_bytes(&k->in[0]));
    return true;
}

static void check_joined(report *r, const call *plain, lrk_compute compute)
{
    const lrk_op *before = r->op->joins;
    for (int where = 0; before && where < 3; where++) {
        call two, one;
        if (!new_joined(r, &two, plain, compute, where) || !new_joined(r, &one, plain, compute, where)) return;
        call first = two;
        first.c = (lrk_call){.device = two.c.device, .in = {&two.joined[0], &two.joined[1]}, .out = {&two.in[0]}};
        run_kernel(&first, lrk_op_forward(before, two.c.device, two.shapes.compute));
        forward(&two, r->op);
        for (int i = 0; i < 2; i++) one.c.joined[i] = &one.joined[i];
        CHECK(r, forward(&one, r->op), "joined writes behind its scratch memory", compute);
        CHECK(r, all_guards(&one), "joined writes outside its buffers", compute);
        CHECK(r, same_bits(&one.in[0], &two.in[0]), "joined the first result differs", compute);
        CHECK(r, same_results(&one, &two), "joined the result differs", compute);
        for (int i = 0; i < 2; i++)
            CHECK(r, same_bits(&one.joined[i], &two.joined[i]), "joined changes an input", compute);
        call_free(&two);
        call_free(&one);
    }
}

/* Twice; on the CPU by other threads too. */
static void check_same_bits(report *r, const call *plain, lrk_compute compute)
{
    const int threads = lrk_threads();
    for (int n = 1; n <= (plain->c.device == LRK_CPU ? 3 : 1); n++) {
        call k;
        lrk_threads_set(n);
        if (start_both(r, &k, compute)) {
            CHECK(r, same_results(&k, plain), "other threads, other result", compute);
            CHECK(r, same_gradients(&k, plain), "other threads, other gradient", compute);
            call_free(&k);
        }
    }
    lrk_threads_set(threads);
}

static void check_contract(report *r, const call *plain, lrk_compute compute)
{
    check_memory(r, plain, compute);
    check_gaps(r, plain, compute);
    check_added(r, plain, compute);
    check_fresh(r, plain, compute);
    check_null(r, plain, compute);
    check_in_place(r, plain, compute);
    check_joined(r, plain, compute);
    check_same_bits(r, plain, compute);
}

/* ---- the sweep ----------------------------------------------------------------------------------- */

static void check_types(report *r)
{
    call exact, plain;
    if (!start_both(r, &exact, LRK_C_F64)) return;
    for (lrk_compute compute = 0; compute < LRK_COMPUTE_COUNT; compute++) {
        if (compute == LRK_C_F64 || !start_both(r, &plain, compute)) continue;
        check_accuracy(r, &exact, &plain, compute);
        check_contract(r, &plain, compute);
        call_free(&plain);
    }
    call_free(&exact);
}

static void print(const report *r)
{
    printf("%-12s %-36s %-4s f64 %7.1e  f32 %4.2f  bf16 %4.2f  %s\n", r->op->name, r->sample->name,
           lrk_device_name(r->device), r->gradient, r->accuracy[LRK_C_F32], r->accuracy[LRK_C_BF16],
           r->failures ? "FAILED" : "ok");
    fflush(stdout);
}

static int sweep_on_cpu(const lrk_op *op, const lrk_sample *sample)
{
    report r = {.op = op, .sample = sample};
    lrk_err err = {0};
    call plain;
    if (start_both(&r, &plain, LRK_C_F64)) {
        check_gradient(&r, &plain);
        check_contract(&r, &plain, LRK_C_F64);
        call_free(&plain);
    }
    for (lrk_isa isa = LRK_SCALAR; isa <= lrk_cpu_hardware(); isa++) {
        lrk_cpu_set(isa, &err);
        check_types(&r);
    }
    print(&r);
    return r.failures;
}

static int sweep_on_gpu(const lrk_op *op, const lrk_sample *sample)
{
    report r = {.op = op, .sample = sample, .device = LRK_CUDA};
    check_types(&r);
    print(&r);
    return r.failures;
}

/* Without arguments everything; with one, the ops of that name; with "CPU" or "CUDA" after it, there
 * alone. */
int main(int argc, char **argv)
{
    int failures = 0, lines = 0;
    lrk_err err = {0};
    const char *where = argc > 2 ? argv[2] : NULL;
    const bool cpu = !where || strcmp(where, lrk_device_name(LRK_CPU)) == 0;
    const bool gpu = (!where || strcmp(where, lrk_device_name(LRK_CUDA)) == 0) &&
                     lrk_device_open(LRK_CUDA, NULL, &err) == LRK_OK;
    lrk_threads_set(2);
    for (size_t i = 0; i < lrk_n_ops; i++) {
        const lrk_op *op = lrk_ops[i];
        if (argc > 1 && strcmp(argv[1], op->name) != 0) continue;
        if (gpu && !op->forward[LRK_ON_CUDA][LRK_C_F32])
            printf("%-12s runs on the CPU alone\n", op->name);
        if (op->n_samples == 0) {
            printf("%-12s has no samples  FAILED\n", op->name);
            failures++;
        }
        for (size_t s = 0; s < op->n_samples; s++) {
            if (cpu) failures += sweep_on_cpu(op, &op->samples[s]);
            const bool kernel = op->forward[LRK_ON_CUDA][LRK_C_F32];
            if (gpu && kernel) failures += sweep_on_gpu(op, &op->samples[s]);
            lines += cpu || gpu;
        }
    }
    printf("%d samples, %d failures\n", lines, failures);
    return failures || !lines ? 1 : 0;
}
