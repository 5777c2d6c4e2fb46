/* kernels/experts/experts_cpu.c -- scores and choices a token at a time, products an expert at a time. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/experts/layout.h"
#include "kernels/gemm.h"
#include "kernels/real.h"

void LRK_KERNEL(experts, fwd)(const lrk_call *c);
void LRK_KERNEL(experts, bwd)(const lrk_call *c);

enum { ROWS = 8 };

typedef struct job {
    const lrk_call *call;
    const lrk_experts_attr *attr;
    size_t T, C, F, E, K, rows;
    int32_t *start, *token, *place; /* of the plan */
    lrk_real *weight, *score;
    lrk_store *x, *g, *u, *h, *y;
    lrk_store *dg, *du;             /* backward */
    lrk_store *s, *ds;
    void *gemm;
} job;

static job prepare(const lrk_call *c, bool backward)
{
    const lrk_experts_layout l = lrk_experts_lay(c, backward);
    const lrk_experts_attr *a = c->attr;
    char *s = c->scratch;
    job j = {.call = c, .attr = a, .T = lrk_rows(c->in[LRK_EXPERTS_X]), .C = lrk_cols(c->in[LRK_EXPERTS_X]),
             .F = a->feed_forward, .E = a->experts, .K = a->used};
    const lrk_tensor *plan = c->saved[LRK_EXPERTS_PLAN];
    j.rows = j.T * j.K;
    j.start = plan ? plan->data : (void *)(s + l.plan);
    j.token = j.start + j.E + 1;
    j.place = j.token + j.rows;
    j.weight = (void *)(s + l.weight);
    j.score = (void *)(s + l.score);
    j.x = (void *)(s + l.x);
    j.h = (void *)(s + l.h);
    j.y = (void *)(s + l.y);
    j.s = (void *)(s + l.s);
    j.ds = (void *)(s + l.ds);
    j.gemm = s + l.gemm;
    j.g = c->saved[LRK_EXPERTS_G] ? c->saved[LRK_EXPERTS_G]->data : (void *)(s + l.g);
    j.u = c->saved[LRK_EXPERTS_U] ? c->saved[LRK_EXPERTS_U]->data : (void *)(s + l.u);
    j.dg = (void *)(s + l.g);
    j.du = (void *)(s + l.u);
    return j;
}

static void score_row(const job *j, size_t t)
{
    const lrk_store *z = lrk_row(j->call->in[LRK_EXPERTS_Z], t);
    lrk_real *s = j->score + t * j->E;
    double top = -HUGE_VAL, sum = 0.0;
    for (size_t e = 0; e < j->E; e++) top = fmax(top, (double)lrk_get(z, e));
    for (size_t e = 0; e < j->E; e++) {
        const double v = (double)lrk_get(z, e);
        s[e] = (lrk_real)(j->attr->sigmoid ? 1.0 / (1.0 + exp(-v)) : exp(v - top));
        sum += (double)s[e];
    }
    for (size_t e = 0; e < j->E && !j->attr->sigmoid; e++) s[e] = (lrk_real)((double)s[e] / sum);
}

/* The largest of worth[] that is not taken yet; the first among equals. */
static size_t best(const double *worth, const bool *taken, size_t n)
{
    size_t found = n;
    for (size_t i = 0; i < n; i++)
        if (!taken[i] && (found == n || worth[i] > worth[found])) found = i;
    return found;
}

/* Experts outside the best groups count as taken. */
static void limit_groups(const lrk_experts_attr *a, const double *worth, bool *taken)
{
    const size_t n = a->experts / a->groups;
    double group[LRK_EXPERTS_MAX];
    bool kept[LRK_EXPERTS_MAX] = {false};
    for (size_t g = 0; g < a->groups; g++) {
        double first = -HUGE_VAL, second = -HUGE_VAL;
        for (size_t i = g * n; i < (g + 1) * n; i++) {
            second = fmax(second, fmin(first, worth[i]));
            first = fmax(first, worth[i]);
        }
        group[g] = a->group_by_two ? first + second : first;
    }
    for (size_t k = 0; k < a->groups_used; k++) kept[best(group, kept, a->groups)] = true;
    for (size_t e = 0; e < a->experts; e++) taken[e] = !kept[e / n];
}

/* chosen[0 .. K - 1], ascending, so that any order of choosing gives the same sums. */
static void choose(const job *j, size_t t, size_t *chosen)
{
    const lrk_tensor *bias = j->call->in[LRK_EXPERTS_BIAS];
    double worth[LRK_EXPERTS_MAX];
    bool taken[LRK_EXPERTS_MAX] = {false}, outside[LRK_EXPERTS_MAX] = {false};
    for (size_t e = 0; e < j->E; e++)
        worth[e] = (double)j->score[t * j->E + e] + (bias ? (double)((const lrk_real *)bias->data)[e] : 0.0);
    if (j->attr->groups) limit_groups(j->attr, worth, outside);
    for (size_t e = 0; e < j->E; e++) taken[e] = outside[e];
    for (size_t k = 0; k < j->K; k++) taken[best(worth, taken, j->E)] = true;
    for (size_t e = 0, k = 0; e < j->E; e++)
        if (taken[e] && !outside[e]) chosen[k++] = e;
}

static double total(const job *j, size_t t, const size_t *chosen)
{
    double sum = 0.0;
    for (size_t k = 0; k < j->K; k++) sum += (double)j->score[t * j->E + chosen[k]];
    return j->attr->normalize ? sum : 1.0;
}

/* Scores, choices and weights; the plan where it is not there yet: an order by expert, then token. */
static void route(const job *j, bool plan)
{
    size_t chosen[LRK_EXPERTS_MAX_USED];
    int32_t *start = j->start;
    for (size_t e = 0; e <= j->E && plan; e++) start[e] = 0;
    for (size_t t = 0; t < j->T; t++) {
        score_row(j, t);
        choose(j, t, chosen);
        const double sum = total(j, t, chosen);
        for (size_t k = 0; k < j->K; k++) {
            const double s = (double)j->score[t * j->E + chosen[k]];
            j->weight[t * j->K + k] = (lrk_real)(j->attr->factor * s / sum);
            if (!plan) continue;
            start[chosen[k] + 1]++;
            j->place[t * j->K + k] = (int32_t)chosen[k];
        }
    }
    if (!plan) return;
    int32_t next[LRK_EXPERTS_MAX];
    for (size_t e = 0; e < j->E; e++) {
        next[e] = start[e];
        start[e + 1] += start[e];
    }
    for (size_t i = 0; i < j->rows; i++) {
        const int32_t row = next[j->place[i]]++;
        j->place[i] = row;
        j->token[row] = (int32_t)(i / j->K);
    }
}

typedef struct gather_job {
    const job *j;
    const lrk_tensor *from;
    lrk_store *to;
} gather_job;

static void gather_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const gather_job *g = ctx;
    const size_t end = lrk_min(g->j->rows, (task + 1) * ROWS), C = g->j->C;
    for (size_t r = task * ROWS; r < end; r++)
        memcpy(g->to + r * C, lrk_row(g->from, (size_t)g->j->token[r]), C * sizeof *g->to);
}

/* The rows of tokens, in the order of experts. */
static void gather(const job *j, const lrk_tensor *from, lrk_store *to)
{
    gather_job g = {j, from, to};
    lrk_parallel(lrk_ceil_div(j->rows, ROWS), gather_rows, &g);
}

/* c = alpha a W^T of each expert's rows, or a W; c is added to where `add`. */
static void multiply(const job *j, int which, bool transposed, double alpha, const lrk_store *a,
                     lrk_store *c, bool add)
{
    for (size_t e = 0; e < j->E; e++) {
        const size_t first = (size_t)j->start[e], m = (size_t)j->start[e + 1] - first;
        if (!m) continue;
        const lrk_tensor w = lrk_experts_matrix(j->call, which, e);
        const size_t n = transposed ? lrk_rows(&w) : lrk_cols(&w), k = transposed ? lrk_cols(&w) : lrk_rows(&w);
        const lrk_gemm g = {.device = j->call->device, .m = m, .n = n, .k = k,
                            .a = {.data = a + first * k, .dtype = LRK_REAL_DTYPE, .stride = k},
                            .b = {.data = w.data, .dtype = w.dtype, .stride = w.stride, .transposed = transposed},
                            .c = c + first * n, .c_dtype = LRK_REAL_DTYPE, .c_stride = n, .alpha = alpha,
                            .accumulate = add};
        lrk_gemm_run(&g, j->gemm);
    }
}

/* y = x W^T with what is beside W. */
static void project(const job *j, int which, const lrk_store *x, lrk_store *y)
{
    const int a = lrk_experts_a_of(which);
    multiply(j, which, true, 1.0, x, y, false);
    if (!lrk_experts_rank(j->call, which)) return;
    multiply(j, a, true, lrk_experts_scale(j->call, which), x, j->s, false);
    multiply(j, a + 1, true, 1.0, j->s, y, true);
}

/* dM[e] += y^T x over the expert's rows, M one of an adapter's matrices. */
static void add_gradient(const job *j, int which, const lrk_store *y, const lrk_store *x)
{
    for (size_t e = 0; e < j->E; e++) {
        const size_t first = (size_t)j->start[e], k = (size_t)j->start[e + 1] - first;
        const lrk_tensor d = lrk_experts_gradient(j->call, which, e);
        if (!k || !d.data) continue;
        const size_t m = lrk_rows(&d), n = lrk_cols(&d);
        const lrk_gemm g = {.device = j->call->device, .m = m, .n = n, .k = k,
                            .a = {.data = y + first * m, .dtype = LRK_REAL_DTYPE, .stride = m, .transposed = true},
                            .b = {.data = x + first * n, .dtype = LRK_REAL_DTYPE, .stride = n},
                            .c = d.data, .c_dtype = d.dtype, .c_stride = d.stride, .alpha = 1.0,
                            .accumulate = true};
        lrk_gemm_run(&g, j->gemm);
    }
}

/* value = act(x), slope = act'(x) */
static void activate(lrk_activation kind, lrk_real x, lrk_real *value, lrk_real *slope)
{
    if (kind == LRK_SILU) {
        const lrk_real s = 1 / (1 + lrk_exp(-x));
        *value = x * s;
        *slope = s * (1 + x * (1 - s));
    } else if (kind == LRK_GELU_TANH) {
        const lrk_real k2 = (lrk_real)1.5957691216057308, c = (lrk_real)0.044715;
        const lrk_real s = 1 / (1 + lrk_exp(-k2 * (x + c * x * x * x)));
        *value = x * s;
        *slope = s + x * s * (1 - s) * k2 * (1 + 3 * c * x * x);
    } else {
        const double d = (double)x, p = 0.5 * erfc(-d * 0.70710678118654752);
        *value = (lrk_real)(d * p);
        *slope = (lrk_real)(p + d * 0.3989422804014327 * exp(-0.5 * d * d));
    }
}

static void inner_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const size_t end = lrk_min(j->rows, (task + 1) * ROWS) * j->F;
    for (size_t i = task * ROWS * j->F; i < end; i++) {
        lrk_real value, slope;
        activate(j->attr->activation, lrk_get(j->g, i), &value, &slope);
        lrk_put(j->h, i, value * lrk_get(j->u, i));
    }
}

/* Y[t] = sum over the token's choices, in their order. */
static void combine_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_tensor *y = j->call->out[LRK_EXPERTS_Y];
    const size_t end = lrk_min(j->T, (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        lrk_store *to = lrk_row(y, t);
        for (size_t i = 0; i < j->C; i++) {
            lrk_real sum = 0;
            for (size_t k = 0; k < j->K; k++)
                sum += j->weight[t * j->K + k] * lrk_get(j->y, (size_t)j->place[t * j->K + k] * j->C + i);
            lrk_put(to, i, sum);
        }
    }
}

void LRK_KERNEL(experts, fwd)(const lrk_call *c)
{
    job j = prepare(c, false);
    route(&j, true);
    gather(&j, c->in[LRK_EXPERTS_X], j.x);
    project(&j, LRK_EXPERTS_GATE, j.x, j.g);
    project(&j, LRK_EXPERTS_UP, j.x, j.u);
    lrk_parallel(lrk_ceil_div(j.rows, ROWS), inner_rows, &j);
    project(&j, LRK_EXPERTS_DOWN, j.h, j.y);
    lrk_parallel(lrk_ceil_div(j.T, ROWS), combine_rows, &j);
}

/* The gradient of a choice's inner row: h holds dY D. Its product with the row itself is dw, which takes the
 * place of the weight. */
static void inner_back(const job *j, size_t choice)
{
    const size_t at = (size_t)j->place[choice] * j->F;
    const lrk_real w = j->weight[choice];
    double dw = 0.0;
    for (size_t i = at; i < at + j->F; i++) {
        lrk_real value, slope;
        activate(j->attr->activation, lrk_get(j->g, i), &value, &slope);
        const lrk_real u = lrk_get(j->u, i), dh = lrk_get(j->h, i);
        dw += (double)dh * (double)(value * u);
        lrk_put(j->dg, i, w * dh * u * slope);
        lrk_put(j->du, i, w * dh * value);
    }
    j->weight[choice] = (lrk_real)dw;
}

/* dZ[t] from the gradients of the weights. */
static void router_back(const job *j, size_t t)
{
    const lrk_tensor *dz = j->call->din[LRK_EXPERTS_Z];
    const lrk_real *s = j->score + t * j->E, *dw = j->weight + t * j->K;
    size_t chosen[LRK_EXPERTS_MAX_USED];
    double ds[LRK_EXPERTS_MAX] = {0}, inner = 0.0, mean = 0.0;
    choose(j, t, chosen);
    const double sum = total(j, t, chosen), f = j->attr->factor;
    for (size_t k = 0; k < j->K; k++) inner += (double)dw[k] * (double)s[chosen[k]] / sum;
    for (size_t k = 0; k < j->K; k++)
        ds[chosen[k]] = f * ((double)dw[k] - (j->attr->normalize ? inner : 0.0)) / sum;
    for (size_t e = 0; e < j->E; e++) mean += ds[e] * (double)s[e];
    lrk_store *to = lrk_row(dz, t);
    for (size_t e = 0; e < j->E; e++) {
        const double p = (double)s[e];
        const double d = j->attr->sigmoid ? ds[e] * p * (1.0 - p) : p * (ds[e] - mean);
        lrk_put(to, e, lrk_get(to, e) + (lrk_real)d);
    }
}

static void token_back(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const size_t end = lrk_min(j->T, (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        for (size_t k = 0; k < j->K; k++) inner_back(j, t * j->K + k);
        if (j->call->din[LRK_EXPERTS_Z]) router_back(j, t);
    }
}

static void scatter_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const size_t end = lrk_min(j->T, (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        lrk_store *to = lrk_row(j->call->din[LRK_EXPERTS_X], t);
        for (size_t i = 0; i < j->C; i++) {
            lrk_real sum = 0;
            for (size_t k = 0; k < j->K; k++) sum += lrk_get(j->y, (size_t)j->place[t * j->K + k] * j->C + i);
            lrk_put(to, i, lrk_get(to, i) + sum);
        }
    }
}

/* Rows times the weight of their choice. */
static void weigh(const job *j, const lrk_store *from, lrk_store *to, size_t n)
{
    for (size_t i = 0; i < j->rows; i++) {
        const size_t at = (size_t)j->place[i] * n;
        for (size_t k = 0; k < n; k++) lrk_put(to, at + k, j->weight[i] * lrk_get(from, at + k));
    }
}

/* h = dY D', rows of dY in j->x. Before, the gradients of what is beside D, for which h is computed again. */
static void down_back(const job *j)
{
    enum { A = LRK_EXPERTS_DOWN_A, B = LRK_EXPERTS_DOWN_B };
    const size_t rank = lrk_experts_rank(j->call, LRK_EXPERTS_DOWN);
    const double scale = lrk_experts_scale(j->call, LRK_EXPERTS_DOWN);
    if (rank) {
        lrk_parallel(lrk_ceil_div(j->rows, ROWS), inner_rows, (void *)(uintptr_t)j);
        multiply(j, A, true, scale, j->h, j->s, false);
        weigh(j, j->s, j->s, rank);
        add_gradient(j, B, j->x, j->s);
        multiply(j, B, false, scale, j->x, j->ds, false);
        weigh(j, j->ds, j->s, rank);
        add_gradient(j, A, j->s, j->h);
    }
    multiply(j, LRK_EXPERTS_DOWN, false, 1.0, j->x, j->h, false);
    if (rank) multiply(j, A, false, 1.0, j->ds, j->h, true);
}

/* From d, the gradient of the rows of GATE or UP: those of its adapter, with rows of X in j->x, and where dx
 * is wanted y = d W' (UP: y += d W'). */
static void outer_back(const job *j, int which, const lrk_store *d, bool dx)
{
    const int a = lrk_experts_a_of(which);
    const double scale = lrk_experts_scale(j->call, which);
    const bool adapted = lrk_experts_rank(j->call, which);
    if (adapted) {
        multiply(j, a, true, scale, j->x, j->s, false);
        add_gradient(j, a + 1, d, j->s);
        multiply(j, a + 1, false, scale, d, j->ds, false);
        add_gradient(j, a, j->ds, j->x);
    }
    if (!dx) return;
    multiply(j, which, false, 1.0, d, j->y, which == LRK_EXPERTS_UP);
    if (adapted) multiply(j, a, false, 1.0, j->ds, j->y, true);
}

void LRK_KERNEL(experts, bwd)(const lrk_call *c)
{
    job j = prepare(c, true);
    const bool dx = c->din[LRK_EXPERTS_X];
    route(&j, false);
    gather(&j, c->dout[LRK_EXPERTS_Y], j.x);
    down_back(&j);
    lrk_parallel(lrk_ceil_div(j.T, ROWS), token_back, &j);
    gather(&j, c->in[LRK_EXPERTS_X], j.x);
    outer_back(&j, LRK_EXPERTS_GATE, j.dg, dx);
    outer_back(&j, LRK_EXPERTS_UP, j.du, dx);
    if (dx) lrk_parallel(lrk_ceil_div(j.T, ROWS), scatter_rows, &j);
}
