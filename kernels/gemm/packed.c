/* kernels/gemm/packed.c -- blocking and packing of the f32 product; the plan is in impl.h. */
#include "kernels/gemm/impl.h"

#include "base/size.h"
#include "base/threads.h"

enum {
    A_FLOATS = 1 << 21,  /* of A packed at a time: 8 MiB, but at least MIN_ROWS rows */
    MIN_ROWS = 504,      /* enough products for each weight decoded */
    TILE_COLUMNS = 96,   /* of a task in a wide product: 96 x kc floats of B in the second level */
    THIN_STRIPS = 3,     /* a product of at most so many strips of B is thin */
    PACK_ROWS = 96,      /* of A packed by one task, and of a task in a thin product */
};

typedef struct job {
    const lrk_gemm *g;
    const lrk_gemm_isa *isa;
    bool thin, direct;           /* direct: thin, and A is read where it lies */
    size_t mr, kc;               /* rows of a strip, depth of a block: balanced */
    size_t chunk;                /* rows of A packed at a time (wide) */
    size_t columns, rows;        /* of a task */
    size_t n_col_tasks, n_row_tasks;
    size_t row0, row_n;          /* the chunk in work (wide) */
    float *shared;               /* packed A (wide) or packed B (thin) */
    float *own;                  /* per worker */
    size_t shared_floats, worker_floats;
} job;

/* n cut into equal parts of at most max, each a multiple of unit. */
static size_t balanced(size_t n, size_t max, size_t unit)
{
    const size_t parts = lrk_max(lrk_ceil_div(n, max), 1);
    return lrk_max(lrk_ceil_div(lrk_ceil_div(n, parts), unit), 1) * unit;
}

/* The packed width of a strip of B. */
static size_t padded(const job *p, size_t cols)
{
    return lrk_ceil_div(cols, p->isa->lanes) * p->isa->lanes;
}

static size_t strip_cols(const job *p, size_t left)
{
    return lrk_min(left, p->isa->nr);
}

/* What the packing functions want as tmp. */
static size_t tmp_floats(const job *p)
{
    return lrk_max(p->isa->nr * p->kc, lrk_max(p->columns, PACK_ROWS + p->mr));
}

static void plan_wide(job *p, size_t threads)
{
    const lrk_gemm *g = p->g;
    const size_t block = g->b.transposed ? 1 : lrk_dtype_block(g->b.dtype);
    const size_t unit = lrk_max(p->isa->nr, block);
    const size_t rows = lrk_max(A_FLOATS / lrk_max(g->k, 1), MIN_ROWS);

    p->chunk = balanced(g->m, rows, p->mr);
    size_t tasks = lrk_max(lrk_ceil_div(g->n, TILE_COLUMNS), 1);
    if (tasks < 8 * threads) tasks = lrk_ceil_div(tasks, threads) * threads;
    p->columns = lrk_min(balanced(g->n, lrk_ceil_div(g->n, tasks), unit),
                         lrk_max(lrk_ceil_div(TILE_COLUMNS, unit), 1) * unit);
    p->n_col_tasks = lrk_ceil_div(g->n, p->columns);

    /* Too few tiles of columns for the threads: cut the rows too, though that decodes B again. */
    size_t parts = lrk_max(threads / p->n_col_tasks, 1);
    parts = lrk_min(parts, lrk_ceil_div(p->chunk, 4 * p->mr));
    p->rows = balanced(p->chunk, lrk_ceil_div(p->chunk, parts), p->mr);
    p->n_row_tasks = lrk_ceil_div(p->chunk, p->rows);

    p->shared_floats = p->chunk * g->k;
    p->worker_floats = lrk_aligned(p->columns * p->kc, 16) +
                       lrk_aligned(tmp_floats(p), 16) +
                       (g->c_dtype == LRK_F32 ? 0 : lrk_aligned(p->rows * p->columns, 16));
}

static void plan_thin(job *p, size_t threads)
{
    const lrk_gemm *g = p->g;
    const size_t strips = lrk_ceil_div(g->m, p->mr);

    p->chunk = g->m;
    p->columns = g->n;
    p->n_col_tasks = 1;
    p->rows = lrk_min(lrk_max(strips / (4 * threads), 1), PACK_ROWS / p->mr) * p->mr;
    p->n_row_tasks = lrk_ceil_div(g->m, p->rows);
    p->shared_floats = padded(p, g->n) * g->k;
    /* rows of A at a stride of whole pages would all fall into the same few lines of the cache */
    p->direct = !g->a.transposed && g->a.dtype == LRK_F32 && g->a.stride % 1024 != 0;
    p->worker_floats = lrk_aligned(p->rows * p->kc, 16) + lrk_aligned(tmp_floats(p), 16) +
                       (g->c_dtype == LRK_F32 ? 0 : lrk_aligned(p->rows * p->columns, 16));
}

static job plan(const lrk_gemm *g, const lrk_gemm_isa *isa, size_t threads)
{
    job p = {.g = g, .isa = isa};
    const size_t block = g->b.transposed ? lrk_dtype_block(g->b.dtype) : 1;

    p.mr = balanced(g->m, isa->mr, 1);
    p.kc = lrk_min(balanced(g->k, isa->kc, lrk_max(block, 32)), lrk_max(g->k, 1));
    p.thin = g->n <= THIN_STRIPS * isa->nr && g->m >= 2 * g->n && g->m >= 8 * p.mr;
    if (p.thin)
        plan_thin(&p, threads);
    else
        plan_wide(&p, threads);
    p.shared_floats = lrk_aligned(p.shared_floats, 16);
    return p;
}

size_t lrk_gemm_packed_scratch(const lrk_gemm *g, const lrk_gemm_isa *isa, size_t threads)
{
    const job p = plan(g, isa, threads);
    return (p.shared_floats + p.worker_floats * threads) * sizeof(float);
}

/* ---- packing ----------------------------------------------------------------------------------- */

/* n floats, n a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void copy_strip(const float *src, size_t src_stride,
                                                             size_t n, size_t rows, float *dst,
                                                             size_t dst_stride)
{
    for (; rows; rows--, src += src_stride, dst += dst_stride) memcpy(dst, src, n * sizeof *dst);
}

/* dst[r * n + i] = src[r * src_stride + i]: the copy has a constant size, a move or two. */
static void copy_columns(const float *src, size_t src_stride, size_t n, size_t rows, float *dst)
{
    switch (n) {
    case 4: copy_strip(src, src_stride, 4, rows, dst, 4); return;
    case 5: copy_strip(src, src_stride, 5, rows, dst, 5); return;
    case 6: copy_strip(src, src_stride, 6, rows, dst, 6); return;
    case 8: copy_strip(src, src_stride, 8, rows, dst, 8); return;
    case 13: copy_strip(src, src_stride, 13, rows, dst, 13); return;
    case 14: copy_strip(src, src_stride, 14, rows, dst, 14); return;
    case 16: copy_strip(src, src_stride, 16, rows, dst, 16); return;
    case 32: copy_strip(src, src_stride, 32, rows, dst, 32); return;
    default: copy_strip(src, src_stride, n, rows, dst, n); return;
    }
}

/* Rows i .. i + rows of A, columns k0 .. k0 + kc, as strips of at most mr rows, each [k][rows]. Where
 * A lies transposed, a few rows of memory are read along before the next strip returns to them: less
 * than the page table cache holds. tmp holds max(mr * kc, rows) floats. */
static void pack_a(const job *p, size_t i, size_t rows, size_t k0, size_t kc, float *dst, float *tmp)
{
    enum { ALONG = 16 };
    const lrk_operand *a = &p->g->a;
    const bool f32 = a->dtype == LRK_F32;
    if (!a->transposed) {
        for (size_t r = 0; r < rows; r += p->mr, dst += p->mr * kc) {
            const size_t n = lrk_min(rows - r, p->mr);
            for (size_t s = 0; s < n && !f32; s++)
                p->isa->to_f32(a->dtype, lrk_operand_at(a, i + r + s, k0), kc, tmp + s * kc);
            p->isa->transpose(f32 ? lrk_operand_at(a, i + r, k0) : tmp, f32 ? a->stride : kc, n, kc, dst, n);
        }
        return;
    }
    for (size_t k = 0; k < kc; k += ALONG) {
        const size_t depth = lrk_min(kc - k, f32 ? ALONG : 1);
        const float *src = f32 ? lrk_operand_at(a, k0 + k, i) : tmp;
        if (!f32) p->isa->to_f32(a->dtype, lrk_operand_at(a, k0 + k, i), rows, tmp);
        for (size_t r = 0; r < rows; r += p->mr) {
            const size_t n = lrk_min(rows - r, p->mr);
            copy_columns(src + r, a->stride, n, depth, dst + r * kc + k * n);
        }
        if (!f32) k -= ALONG - 1;
    }
}

/* Part of a row of B as f32, rounded to bf16 first where A is bf16. */
static void decode(const job *p, size_t row, size_t col, size_t n, float *dst)
{
    const lrk_operand *b = &p->g->b;
    p->isa->to_f32(b->dtype, lrk_operand_at(b, row, col), n, dst);
    if (p->g->a.dtype == LRK_BF16 && b->dtype != LRK_BF16)
        for (size_t i = 0; i < n; i++) dst[i] = lrk_bf16_to_f32(lrk_f32_to_bf16(dst[i]));
}

/* Columns j .. j + cols of B at depth k0 .. k0 + kc: strips of nr columns, each [k][padded width].
 * tmp holds max(nr * kc, cols) floats. */
static void pack_b(const job *p, size_t j, size_t cols, size_t k0, size_t kc, float *dst, float *tmp)
{
    const lrk_operand *b = &p->g->b;
    const size_t nr = p->isa->nr;
    if (b->transposed) {
        const bool straight = b->dtype == LRK_F32 && p->g->a.dtype == LRK_F32;
        for (size_t at = 0; at < cols; at += nr) {
            const size_t n = strip_cols(p, cols - at), width = padded(p, n);
            if (n < width) memset(dst, 0, kc * width * sizeof *dst);
            if (!straight)
                for (size_t c = 0; c < n; c++) decode(p, j + at + c, k0, kc, tmp + c * kc);
            p->isa->transpose(straight ? lrk_operand_at(b, j + at, k0) : tmp,
                              straight ? b->stride : kc, n, kc, dst, width);
            dst += kc * width;
        }
        return;
    }
    for (size_t k = 0; k < kc; k++) {
        const float *src = tmp;
        if (b->dtype == LRK_F32 && p->g->a.dtype == LRK_F32)
            src = lrk_operand_at(b, k0 + k, j);
        else
            decode(p, k0 + k, j, cols, tmp);
        for (size_t at = 0; at < cols; at += nr) {
            const size_t n = strip_cols(p, cols - at), width = padded(p, n);
            float *strip = dst + at * kc + k * width;
            copy_columns(src + at, 0, n, 1, strip);
            for (size_t c = n; c < width; c++) strip[c] = 0.0f;
        }
    }
}

/* ---- tasks ------------------------------------------------------------------------------------- */

/* Rows packed by one task: whole strips. */
static size_t pack_rows(const job *p)
{
    return PACK_ROWS / p->mr * p->mr;
}

static void pack_a_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const size_t i = task * pack_rows(p), rows = lrk_min(p->row_n - i, pack_rows(p)), k = p->g->k;
    float *tmp = p->own + (size_t)worker * p->worker_floats;
    for (size_t k0 = 0; k0 < k; k0 += p->kc) {
        const size_t kc = lrk_min(k - k0, p->kc);
        pack_a(p, p->row0 + i, rows, k0, kc, p->shared + k0 * p->row_n + i * kc, tmp);
    }
}

static void pack_b_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const size_t k0 = task * p->kc, kc = lrk_min(p->g->k - k0, p->kc);
    pack_b(p, 0, p->g->n, k0, kc, p->shared + k0 * padded(p, p->g->n),
           p->own + (size_t)worker * p->worker_floats);
}

/* Where the tiles of a task go: C itself when it is f32, else sums that are rounded at the end. */
typedef struct target {
    float *c;
    size_t stride;
    float alpha;
    bool add; /* in the first block */
} target;

static target target_of(const job *p, size_t i, size_t j, float *sums)
{
    const lrk_gemm *g = p->g;
    if (g->c_dtype != LRK_F32) return (target){sums, p->columns, 1.0f, false};
    return (target){(float *)g->c + i * g->c_stride + j, g->c_stride, (float)g->alpha, g->accumulate};
}

static void round_sums(const job *p, size_t i, size_t rows, size_t j, size_t cols, const float *sums)
{
    const lrk_gemm *g = p->g;
    const float alpha = (float)g->alpha;
    if (g->c_dtype == LRK_F32) return;
    for (size_t r = 0; r < rows; r++, sums += p->columns) {
        uint16_t *c = (uint16_t *)g->c + (i + r) * g->c_stride + j;
        for (size_t k = 0; k < cols; k++) {
            const float old = g->accumulate ? lrk_bf16_to_f32(c[k]) : 0.0f;
            c[k] = lrk_f32_to_bf16(old + alpha * sums[k]);
        }
    }
}

static void wide_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const lrk_gemm *g = p->g;
    const size_t j = task % p->n_col_tasks * p->columns, cols = lrk_min(g->n - j, p->columns);
    const size_t i0 = task / p->n_col_tasks * p->rows, i1 = lrk_min(i0 + p->rows, p->row_n);
    float *b = p->own + (size_t)worker * p->worker_floats;
    float *tmp = b + lrk_aligned(p->columns * p->kc, 16);
    float *sums = tmp + lrk_aligned(tmp_floats(p), 16);
    if (i0 >= i1) return;

    const target t = target_of(p, p->row0 + i0, j, sums);
    for (size_t k0 = 0; k0 < g->k; k0 += p->kc) {
        const size_t kc = lrk_min(g->k - k0, p->kc);
        const float *a = p->shared + k0 * p->row_n;
        pack_b(p, j, cols, k0, kc, b, tmp);
        for (size_t at = 0; at < cols; at += p->isa->nr) {
            const size_t n = strip_cols(p, cols - at);
            for (size_t i = i0; i < i1; i += p->mr)
                p->isa->tile(kc, a + i * kc, lrk_min(p->row_n - i, p->mr), b + at * kc, n,
                             t.c + (i - i0) * t.stride + at, t.stride, t.alpha, k0 || t.add);
        }
    }
    round_sums(p, p->row0 + i0, i1 - i0, j, cols, sums);
}

/* One strip of A, packed or where it lies, times all strips of B. */
static void strip_times(const job *p, const float *a, size_t i, size_t rows, size_t k0, size_t kc,
                        target t)
{
    const lrk_gemm *g = p->g;
    const float *b = p->shared + k0 * padded(p, g->n);
    for (size_t j = 0; j < g->n; j += p->isa->nr) {
        const size_t n = strip_cols(p, g->n - j);
        if (p->direct)
            p->isa->tile_direct(kc, lrk_operand_at(&g->a, i, k0), g->a.stride, rows, b + j * kc, n,
                                t.c + j, t.stride, t.alpha, k0 || t.add);
        else
            p->isa->tile(kc, a, rows, b + j * kc, n, t.c + j, t.stride, t.alpha, k0 || t.add);
    }
}

static void thin_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const lrk_gemm *g = p->g;
    const size_t i0 = task * p->rows, i1 = lrk_min(i0 + p->rows, g->m);
    float *a = p->own + (size_t)worker * p->worker_floats;
    float *tmp = a + lrk_aligned(p->rows * p->kc, 16);
    float *sums = tmp + lrk_aligned(tmp_floats(p), 16);

    const target t = target_of(p, i0, 0, sums);
    for (size_t k0 = 0; k0 < g->k; k0 += p->kc) {
        const size_t kc = lrk_min(g->k - k0, p->kc);
        if (!p->direct) pack_a(p, i0, i1 - i0, k0, kc, a, tmp);
        for (size_t i = i0; i < i1; i += p->mr) {
            target strip = t;
            strip.c += (i - i0) * t.stride;
            strip_times(p, a + (i - i0) * kc, i, lrk_min(i1 - i, p->mr), k0, kc, strip);
        }
    }
    round_sums(p, i0, i1 - i0, 0, g->n, sums);
}

/* ---- the whole --------------------------------------------------------------------------------- */

void lrk_gemm_packed(const lrk_gemm *g, const lrk_gemm_isa *isa, void *scratch)
{
    job p = plan(g, isa, (size_t)lrk_threads());
    p.shared = scratch;
    p.own = p.shared + p.shared_floats;
    if (p.thin) {
        lrk_parallel(lrk_ceil_div(g->k, p.kc), pack_b_task, &p);
        lrk_parallel(p.n_row_tasks, thin_task, &p);
        return;
    }
    for (p.row0 = 0; p.row0 < g->m; p.row0 += p.chunk) {
        p.row_n = lrk_min(g->m - p.row0, p.chunk);
        lrk_parallel(lrk_ceil_div(p.row_n, pack_rows(&p)), pack_a_task, &p);
        lrk_parallel(p.n_col_tasks * p.n_row_tasks, wide_task, &p);
    }
}
