/* models/principal.c -- the largest triplets of a stored matrix, or its first columns, as an adapter. */
#include "models/principal.h"

#include "base/factor.h"
#include "base/size.h"
#include "kernels/gemm.h"

#include <math.h>
#include <string.h>

enum { MORE = 10, MOST_ROUNDS = 256, CERTAIN_ROUNDS = 1024, LOOK = 8 };

/* Vectors lie one behind the other: x those of inputs of W, y of outputs, K of each. */
typedef struct search {
    const lrk_principal *p;
    lrk_arena arena;
    size_t K;
    lrk_columns x, y, basis, before; /* basis: of x; before: x when it was last looked at */
    lrk_columns core, turned;        /* (K, K): of x in its basis; how y's columns are turned with x's */
    float *narrow[2];                 /* x and y as products take and give them */
    double *length, *column;
    size_t *index;
    void *workspace;
} search;

static lrk_gemm product(const search *s, bool forward)
{
    const lrk_tensor *w = s->p->weight;
    const size_t from = forward ? lrk_cols(w) : lrk_rows(w), to = forward ? lrk_rows(w) : lrk_cols(w);
    return (lrk_gemm){.m = s->K, .n = to, .k = from, .a = {s->narrow[!forward], LRK_F32, from, false},
                      .b = lrk_operand_of(w, forward), .c = s->narrow[forward], .c_dtype = LRK_F32,
                      .c_stride = to, .alpha = 1.0};
}

static lrk_status make(search *s, lrk_columns *m, size_t rows, lrk_err *err)
{
    *m = (lrk_columns){.rows = rows, .cols = s->K};
    return lrk_alloc(&s->arena, rows * s->K, sizeof *m->at, "vectors", &m->at, err);
}

static lrk_status open_search(search *s, const lrk_principal *p, size_t K, lrk_err *err)
{
    const size_t in = lrk_cols(p->weight), out = lrk_rows(p->weight);
    *s = (search){.p = p, .K = K, .arena = lrk_arena_growing("decomposition")};
    LRK_TRY(make(s, &s->x, in, err));
    LRK_TRY(make(s, &s->before, in, err));
    LRK_TRY(make(s, &s->y, out, err));
    LRK_TRY(make(s, &s->basis, in, err));
    LRK_TRY(make(s, &s->core, K, err));
    LRK_TRY(make(s, &s->turned, K, err));
    LRK_TRY(lrk_alloc(&s->arena, K * in, sizeof(float), "vectors", &s->narrow[0], err));
    LRK_TRY(lrk_alloc(&s->arena, K * out, sizeof(float), "vectors", &s->narrow[1], err));
    LRK_TRY(lrk_alloc(&s->arena, K, sizeof *s->length, "lengths", &s->length, err));
    LRK_TRY(lrk_alloc(&s->arena, K, sizeof *s->index, "order", &s->index, err));
    LRK_TRY(lrk_alloc(&s->arena, out, sizeof *s->column, "column", &s->column, err));
    const lrk_gemm there = product(s, true), back = product(s, false);
    return lrk_alloc(&s->arena, lrk_max(lrk_max(lrk_gemm_scratch(&there), lrk_gemm_scratch(&back)), 1), 1, "workspace",
                     &s->workspace, err);
}

/* y = W x, or x = W^T y. */
static void multiply(search *s, bool forward)
{
    const lrk_columns *from = forward ? &s->x : &s->y, *to = forward ? &s->y : &s->x;
    const lrk_gemm g = product(s, forward);
    float *a = s->narrow[!forward];
    for (size_t i = 0; i < from->rows * s->K; i++) a[i] = (float)from->at[i];
    lrk_gemm_run(&g, s->workspace);
    for (size_t i = 0; i < to->rows * s->K; i++) to->at[i] = (double)s->narrow[forward][i];
}

/* The columns of y. */
static lrk_status orthonormal(const search *s, lrk_err *err)
{
    const lrk_columns *m = &s->y;
    lrk_columns q = *m;
    lrk_orthonormalize(&q, NULL);
    LRK_REQUIRE(err, q.cols >= s->p->rank, LRK_ENUMERIC,
                "%s: its matrix has %zu independent columns, fewer than lora_r %zu; take a smaller rank, or "
                "peft_init_lora_weights: true",
                s->p->path, q.cols, s->p->rank);
    memset(m->at + q.cols * m->rows, 0, (m->cols - q.cols) * m->rows * sizeof *m->at);
    return LRK_OK;
}

/* x = W^T y, turned so that its columns are orthogonal: values times vectors of the right side. In a basis, x = Q R, it
 * is R that is turned, which is small. */
static void look(search *s)
{
    const size_t K = s->K, n = s->x.rows;
    multiply(s, false);
    memcpy(s->basis.at, s->x.at, n * K * sizeof *s->x.at);
    memset(s->core.at, 0, K * K * sizeof *s->core.at);
    memset(s->turned.at, 0, K * K * sizeof *s->turned.at);
    lrk_columns q = s->basis;
    lrk_orthonormalize(&q, &s->core);
    lrk_decompose(&s->core, &s->turned);
    memset(s->x.at, 0, n * K * sizeof *s->x.at);
    for (size_t j = 0; j < K; j++)
        for (size_t k = 0; k < q.cols; k++)
            lrk_subtract(lrk_column(&s->x, j), -lrk_column(&s->core, j)[k], lrk_column(&q, k), n);
    lrk_longest(&s->x, s->length, s->index, s->p->rank);
    for (size_t i = 0; i < s->p->rank; i++) {
        const double *x = lrk_column(&s->x, s->index[i]);
        s->length[i] = sqrt(lrk_dot(x, x, s->x.rows));
    }
}

/* Whether the space of the r longest is the one of the last look: to an angle of 1e-5. Its vectors are kept. */
static bool stands(search *s)
{
    const size_t r = s->p->rank, n = s->x.rows;
    double apart = 0.0;
    for (size_t i = 0; i < r; i++) {
        double *x = lrk_column(&s->x, s->index[i]), inside = 0.0;
        for (size_t j = 0; j < r; j++) {
            const double along = lrk_dot(x, lrk_column(&s->before, j), n) / s->length[i];
            inside += along * along;
        }
        apart = fmax(apart, 1.0 - inside);
    }
    for (size_t i = 0; i < r; i++) {
        const double *x = lrk_column(&s->x, s->index[i]);
        for (size_t k = 0; k < n; k++) lrk_column(&s->before, i)[k] = x[k] / s->length[i];
    }
    return apart <= 1e-10;
}

/* So many rounds of subspace iteration, or, below 0, as many as it takes. */
static lrk_status iterate(search *s, int rounds, bool certain, lrk_err *err)
{
    const int most = certain ? CERTAIN_ROUNDS : MOST_ROUNDS;
    lrk_rng_normals(s->p->rng, 0, s->x.rows * s->K, s->x.at);
    for (int round = 0;; round++) {
        multiply(s, true);
        LRK_TRY(orthonormal(s, err));
        if (rounds >= 0 ? round == rounds : round % LOOK == 0) {
            look(s);
            if (rounds >= 0 || stands(s)) return LRK_OK;
            LRK_REQUIRE(err, !certain || round < most, LRK_ENUMERIC,
                        "%s: its singular values number %zu and %zu are so near that the part which PEFT takes out of "
                        "its matrix cannot be told",
                        s->p->path, s->p->rank, s->p->rank + 1);
            if (round == most) return LRK_OK;
        } else {
            multiply(s, false);
        }
    }
}

/* Rows of A and columns of B. */
static void take_triplets(search *s, float *a, float *b)
{
    const size_t r = s->p->rank, in = s->x.rows, out = s->y.rows;
    for (size_t i = 0; i < r; i++) {
        const double root = sqrt(s->length[i] / s->p->scale), *x = lrk_column(&s->x, s->index[i]);
        memset(s->column, 0, out * sizeof *s->column);
        for (size_t j = 0; j < s->K; j++)
            lrk_subtract(s->column, -lrk_column(&s->turned, s->index[i])[j], lrk_column(&s->y, j), out);
        for (size_t k = 0; k < in; k++) a[i * in + k] = (float)(root * x[k] / s->length[i]);
        for (size_t k = 0; k < out; k++) b[k * r + i] = (float)(root * s->column[k]);
    }
}

/* Q of the first columns, which are W times the first unit vectors, and the rows of R that go with them. */
static lrk_status take_columns(search *s, float *a, float *b, lrk_err *err)
{
    const size_t r = s->p->rank, in = s->x.rows, out = s->y.rows;
    memset(s->x.at, 0, in * r * sizeof *s->x.at);
    for (size_t i = 0; i < r; i++) lrk_column(&s->x, i)[i] = 1.0;
    multiply(s, true);
    LRK_TRY(orthonormal(s, err));
    multiply(s, false);
    for (size_t i = 0; i < r * in; i++) a[i] = (float)s->x.at[i];
    for (size_t i = 0; i < r; i++)
        for (size_t k = 0; k < out; k++) b[k * r + i] = (float)lrk_column(&s->y, i)[k];
    return LRK_OK;
}

lrk_status lrk_principal_part(const lrk_principal *p, const lrk_beginning *begin, bool certain, float *a, float *b,
                              lrk_err *err)
{
    const size_t least = lrk_min(lrk_rows(p->weight), lrk_cols(p->weight));
    const bool exact = begin->kind == LRK_BEGIN_PISSA && begin->rounds < 0;
    search s;
    lrk_status status = open_search(&s, p, exact ? lrk_min(least, 2 * p->rank + MORE) : p->rank, err);
    if (status == LRK_OK && begin->kind == LRK_BEGIN_OLORA) {
        status = take_columns(&s, a, b, err);
    } else if (status == LRK_OK) {
        status = iterate(&s, begin->rounds, certain, err);
        if (status == LRK_OK) take_triplets(&s, a, b);
    }
    lrk_arena_free(&s.arena);
    return status;
}

static lrk_status fill(lrk_projection *p, lrk_device device, const lrk_beginning *begin, uint64_t seed,
                       lrk_arena *arena, lrk_err *err)
{
    const lrk_principal part = {.path = p->path, .weight = &p->stored, .rank = p->rank, .scale = p->attr.scale,
                                .rng = {.seed = seed, .site = LRK_SITE_INIT | (p->dropout.site & 0xffffffu)}};
    float *a, *b;
    LRK_TRY(lrk_alloc(arena, lrk_count(&p->a), sizeof *a, "A", &a, err));
    LRK_TRY(lrk_alloc(arena, lrk_count(&p->b), sizeof *b, "B", &b, err));
    LRK_TRY(lrk_principal_part(&part, begin, false, a, b, err));
    lrk_device_upload(device, p->a.data, a, lrk_bytes(&p->a));
    lrk_device_upload(device, p->b.data, b, lrk_bytes(&p->b));
    lrk_device_upload(device, p->a0.data, a, lrk_bytes(&p->a0));
    for (size_t i = 0; i < lrk_count(&p->b); i++) b[i] = -b[i];
    lrk_device_upload(device, p->b0.data, b, lrk_bytes(&p->b0));
    return LRK_OK;
}

lrk_status lrk_principal_start(lrk_projection *p, lrk_device device, const lrk_beginning *begin, uint64_t seed,
                               lrk_err *err)
{
    lrk_arena arena = lrk_arena_growing("start");
    const lrk_status status = fill(p, device, begin, seed, &arena, err);
    lrk_arena_free(&arena);
    return status;
}
