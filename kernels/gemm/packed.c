/* kernels/gemm/packed.c -- the plan of the product on vector registers and its tasks; impl.h explains it. */
#include "kernels/gemm/impl.h"

#include "base/size.h"
#include "base/threads.h"

enum {
    A_FLOATS = 1 << 21, /* of A packed at a time, 8 MiB */
    MIN_ROWS = 1008,    /* kept together all the same, a slab of their depth at a time: each weight that is
                           decoded serves so many */
    TILE_COLUMNS = 96,  /* of a task in a wide product: 96 x kc floats of B in the second level, */
    TILE_FLOATS = 1 << 15, /* and of A beside them, for all strips of these columns */
    SHALLOW = LRK_GEMM_SHALLOW, /* a product of so little depth is bound by C: it walks along rows of C, */
    SHALLOW_COLUMNS = 512, /* long ones */
    THIN_STRIPS = 3,       /* a product of at most so many strips of B is thin */
    THIN_DEPTH = 2,        /* blocks of a thin product are so much deeper: longer runs of A */
    FLAT_ROWS = 64,        /* one of at most so many rows of A is flat: B is read along its rows, */
    FLAT_COLUMNS = 1536,   /* long ones, */
    FLAT_DEPTH = 64,       /* few at a time, so that the first level holds them for the next strip of A */
    PACK_ROWS = 96,        /* of A packed by one task, and of a task in a thin product */
};

typedef struct job {
    const lrk_gemm *g;
    const lrk_gemm_isa *isa;
    lrk_operand left, right; /* of the product that runs: C, or C^T when swapped */
    size_t m, n, k;
    size_t k2; /* of the second pair, the end of the last block; 0: none, or not here */
    bool thin, swapped;
    bool direct;          /* thin: A is read where it lies; wide, then flat: B is */
    size_t mr, kc;        /* rows of a strip, depth of a block: balanced */
    size_t chunk, slab;   /* rows and depth of A packed at a time (wide); a slab is whole blocks */
    size_t columns, rows; /* of a task */
    size_t n_col_tasks, n_row_tasks;
    size_t row0, row_n, slab0; /* the part of A in work (wide) */
    float *shared;             /* packed A (wide) or packed B (thin) */
    float *sums;               /* of all columns of the chunk, where several slabs add to them */
    float *own;                /* per worker: a panel, tmp of the packing, sums */
    size_t shared_floats, all_sums_floats, panel_floats, tmp_floats, sums_floats, worker_floats;
} job;

static size_t depth(const job *p, size_t k) { return lrk_gemm_depth(p->isa, k); }

/* Of the block that begins at k0, without and with the second pair. */
static size_t block_k(const job *p, size_t k0) { return lrk_min(p->k - k0, p->kc); }

static size_t block_depth(const job *p, size_t k0)
{
    const size_t kc = block_k(p, k0);
    return depth(p, kc) + (k0 + kc == p->k ? depth(p, p->k2) : 0);
}

/* n cut into equal parts of at most max, each a multiple of unit. */
static size_t balanced(size_t n, size_t max, size_t unit)
{
    const size_t parts = lrk_max(lrk_ceil_div(n, max), 1);
    return lrk_max(lrk_ceil_div(lrk_ceil_div(n, parts), unit), 1) * unit;
}

/* A product whose sums are rounded or turned before they reach C. */
static bool sums_needed(const job *p) { return p->swapped || p->g->c_dtype != LRK_F32; }

/* Rows of A that are a multiple of a page apart fall into the same few lines of the cache. */
static bool readable(const job *p, const lrk_operand *o)
{
    enum { PAGE = 1024 }; /* floats */
    if (p->isa->together == 1) return o->dtype == LRK_F32 && o->stride % PAGE != 0;
    return o->dtype == LRK_BF16 && p->k % 2 == 0 && o->stride % 2 == 0 && o->stride / 2 % PAGE != 0;
}

/* Whether this B is rounded to bf16. */
static bool rounds(const job *p, const lrk_operand *b)
{
    return !p->swapped && p->g->a.dtype == LRK_BF16 && b->dtype != LRK_BF16;
}

/* Whether the sums are in f64. */
static bool is_short(const job *p)
{
    return p->k <= SHALLOW && p->g->a.dtype == LRK_F32 && p->isa->tile_short;
}

static bool is_flat(const job *p)
{
    return !p->thin && p->m <= FLAT_ROWS && !p->right.transposed && p->isa->together == 1 &&
           p->right.dtype == LRK_F32 && !rounds(p, &p->right);
}

static void plan_wide(job *p, size_t threads)
{
    const size_t block = p->right.transposed ? 1 : lrk_dtype_block(p->right.dtype);
    const size_t unit = lrk_max(p->isa->nr, block);

    p->chunk = balanced(p->m, lrk_max(A_FLOATS / lrk_max(depth(p, p->k), 1), MIN_ROWS), p->mr);
    p->slab = p->k;
    if (p->chunk * depth(p, p->k) > A_FLOATS)
        p->slab = lrk_max(A_FLOATS / (p->chunk * depth(p, p->kc)), 1) * p->kc;
    const size_t most = p->k <= SHALLOW ? SHALLOW_COLUMNS : p->direct ? FLAT_COLUMNS : TILE_COLUMNS;
    size_t tasks = lrk_max(lrk_ceil_div(p->n, most), 1);
    if (tasks < 8 * threads) tasks = lrk_ceil_div(tasks, threads) * threads;
    p->columns = lrk_min(balanced(p->n, lrk_ceil_div(p->n, tasks), unit),
                         lrk_max(lrk_ceil_div(most, unit), 1) * unit);
    p->n_col_tasks = lrk_ceil_div(p->n, p->columns);

    /* Too few tiles of columns for the threads: cut the rows too, though that decodes B again. */
    size_t parts = lrk_max(threads / p->n_col_tasks, 1);
    parts = lrk_min(parts, lrk_ceil_div(p->chunk, 4 * p->mr));
    p->rows = balanced(p->chunk, lrk_ceil_div(p->chunk, parts), p->mr);
    p->n_row_tasks = lrk_ceil_div(p->chunk, p->rows);

    p->shared_floats = p->chunk * (depth(p, p->slab) + depth(p, p->k2));
    p->panel_floats = (p->direct ? p->isa->nr : p->columns) * (depth(p, p->kc) + depth(p, p->k2));
}

static void plan_thin(job *p, size_t threads)
{
    const size_t strips = lrk_ceil_div(p->m, p->mr);

    p->chunk = p->m;
    p->columns = p->n;
    p->n_col_tasks = 1;
    p->rows = lrk_min(lrk_max(strips / (4 * threads), 1), PACK_ROWS / p->mr) * p->mr;
    p->n_row_tasks = lrk_ceil_div(p->m, p->rows);
    p->slab = p->k;
    p->shared_floats = lrk_gemm_padded(p->isa, p->n) * depth(p, p->k);
    p->panel_floats = p->direct ? 0 : p->rows * depth(p, p->kc);
}

/* dB += dY^T S: C^T has the tall operand on the right, where packing copies longer runs. */
static bool better_swapped(const lrk_gemm *g, const lrk_gemm_isa *isa)
{
    if (!g->a.transposed || g->b.transposed || g->m < 2 * g->n || g->n > 2 * isa->nr) return false;
    return g->b.dtype == LRK_BF16 || (g->b.dtype == LRK_F32 && g->a.dtype == LRK_F32);
}

/* All but the tasks. */
static job plan_blocks(const lrk_gemm *g, const lrk_gemm_isa *isa)
{
    job p = {.g = g, .isa = isa, .left = g->a, .right = g->b, .m = g->m, .n = g->n, .k = g->k};
    p.swapped = better_swapped(g, isa);
    if (p.swapped) {
        p.left = g->b;
        p.right = g->a;
        p.left.transposed = true;
        p.right.transposed = false;
        p.m = g->n;
        p.n = g->m;
    }
    const size_t block = p.right.transposed ? lrk_dtype_block(p.right.dtype) : 1;
    p.mr = balanced(p.m, isa->mr, 1);
    p.thin = p.n <= THIN_STRIPS * isa->nr && p.m >= 2 * p.n && p.m >= 8 * p.mr;
    p.direct = p.thin ? !p.left.transposed && !is_short(&p) && readable(&p, &p.left) : is_flat(&p);
    const size_t most = p.thin ? isa->kc * THIN_DEPTH : p.direct ? FLAT_DEPTH : isa->kc;
    p.kc = balanced(p.k, most, lrk_max(block, 32));
    p.kc = lrk_min(p.kc, lrk_max(p.k, 1));
    return p;
}

bool lrk_gemm_packed_fuses(const lrk_gemm *g, const lrk_gemm_isa *isa)
{
    if (!g->k || !g->k2 || g->k2 > SHALLOW || lrk_dtype_quantized(g->b2.dtype)) return false;
    const job p = plan_blocks(g, isa);
    return !p.thin && !p.swapped && !p.direct;
}

static job plan(const lrk_gemm *g, const lrk_gemm_isa *isa, size_t threads)
{
    job p = plan_blocks(g, isa);
    p.k2 = g->k2;
    if (p.thin)
        plan_thin(&p, threads);
    else
        plan_wide(&p, threads);
    const bool slabs = p.slab < p.k;
    const size_t width = lrk_gemm_padded(isa, p.columns);
    const size_t row = lrk_max(width, PACK_ROWS + p.mr) * (isa->together > 1 ? 3 : 1);
    p.shared_floats = lrk_aligned(p.shared_floats, 16);
    p.panel_floats = lrk_aligned(p.panel_floats, 16);
    p.tmp_floats = lrk_aligned(lrk_max(isa->nr * lrk_max(p.kc, p.k2), row), 16);
    p.all_sums_floats = sums_needed(&p) && slabs ? lrk_aligned(p.chunk * p.n, 16) : 0;
    p.sums_floats = sums_needed(&p) && !slabs ? lrk_aligned(p.rows * p.columns, 16) : 0;
    p.worker_floats = p.panel_floats + p.tmp_floats + p.sums_floats;
    return p;
}

size_t lrk_gemm_packed_scratch(const lrk_gemm *g, const lrk_gemm_isa *isa, size_t threads)
{
    const job p = plan(g, isa, threads);
    return (p.shared_floats + p.all_sums_floats + p.worker_floats * threads) * sizeof(float);
}

typedef struct workspace {
    float *panel, *tmp, *sums;
} workspace;

static workspace workspace_of(const job *p, int worker)
{
    float *own = p->own + (size_t)worker * p->worker_floats;
    return (workspace){own, own + p->panel_floats, own + p->panel_floats + p->tmp_floats};
}

/* Rows packed by one task: whole strips. */
static size_t pack_rows(const job *p) { return PACK_ROWS / p->mr * p->mr; }

static size_t slab_end(const job *p) { return lrk_min(p->slab0 + p->slab, p->k); }

/* The block of packed A that begins at k0, from row i of the chunk on. */
static float *block_of_a(const job *p, size_t k0, size_t i)
{
    return p->shared + depth(p, k0 - p->slab0) * p->row_n + i * block_depth(p, k0);
}

static void pack_a_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const size_t i = task * pack_rows(p), rows = lrk_min(p->row_n - i, pack_rows(p));
    float *tmp = workspace_of(p, worker).tmp;
    for (size_t k0 = p->slab0; k0 < slab_end(p); k0 += p->kc) {
        const size_t kc = block_k(p, k0), d = block_depth(p, k0);
        const lrk_strips to = {block_of_a(p, k0, i), d, 0};
        lrk_pack_a(p->isa, &p->left, p->row0 + i, rows, k0, kc, p->mr, to, tmp);
        if (d > depth(p, kc))
            lrk_pack_a(p->isa, &p->g->a2, p->row0 + i, rows, 0, p->k2, p->mr,
                       lrk_strips_at(to, depth(p, kc)), tmp);
    }
}

static void pack_b_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const size_t k0 = task * p->kc, kc = block_k(p, k0);
    const lrk_strips to = {p->shared + depth(p, k0) * lrk_gemm_padded(p->isa, p->n), depth(p, kc), 0};
    lrk_pack_b(p->isa, &p->right, rounds(p, &p->right), 0, p->n, k0, kc, to, workspace_of(p, worker).tmp);
}

/* Where the tiles of a task go: C itself, or sums. */
typedef struct target {
    float *c;
    size_t stride;
    float alpha;
    bool add; /* in the first block */
} target;

static target target_of(const job *p, size_t i, size_t j, float *sums)
{
    const lrk_gemm *g = p->g;
    if (p->all_sums_floats)
        return (target){p->sums + (i - p->row0) * p->n + j, p->n, 1.0f, false};
    if (sums_needed(p)) return (target){sums, p->columns, 1.0f, false};
    return (target){(float *)g->c + i * g->c_stride + j, g->c_stride, (float)g->alpha,
                    g->accumulate};
}

/* A row of C, n long, out of every `stride`th sum. */
static void store_row(const lrk_gemm *g, size_t i, size_t j, size_t n, const float *sums,
                      size_t stride)
{
    const float alpha = (float)g->alpha;
    if (g->c_dtype == LRK_F32) {
        float *c = (float *)g->c + i * g->c_stride + j;
        for (size_t k = 0; k < n; k++)
            c[k] = (g->accumulate ? c[k] : 0.0f) + alpha * sums[k * stride];
        return;
    }
    uint16_t *c = (uint16_t *)g->c + i * g->c_stride + j;
    for (size_t k = 0; k < n; k++)
        c[k] = lrk_f32_to_bf16((g->accumulate ? lrk_bf16_to_f32(c[k]) : 0.0f) +
                               alpha * sums[k * stride]);
}

static void store_sums(const job *p, size_t i, size_t rows, size_t j, size_t cols, target t)
{
    if (!sums_needed(p)) return;
    for (size_t r = 0; r < rows && !p->swapped; r++)
        store_row(p->g, i + r, j, cols, t.c + r * t.stride, 1);
    for (size_t c = 0; c < cols && p->swapped; c++)
        store_row(p->g, j + c, i, rows, t.c + c, t.stride);
}

/* The columns of B of a task, at one block of depth: whole strips where they lie, the rest packed. */
typedef struct columns {
    size_t j, n, k0, depth;
    size_t whole; /* columns that are read where they lie */
    float *panel;
} columns;

static columns columns_of(const job *p, size_t j, size_t n, size_t k0, const workspace *w)
{
    const size_t kc = block_k(p, k0);
    const columns b = {j, n, k0, block_depth(p, k0), p->direct ? n / p->isa->nr * p->isa->nr : 0, w->panel};
    const lrk_strips to = {b.panel, b.depth, 0};
    const lrk_operand *b2 = &p->g->b2;
    if (b.whole == n) return b;
    lrk_pack_b(p->isa, &p->right, rounds(p, &p->right), j + b.whole, n - b.whole, k0, kc, to, w->tmp);
    if (b.depth > depth(p, kc))
        lrk_pack_b(p->isa, b2, rounds(p, b2), j, n, 0, p->k2, lrk_strips_at(to, depth(p, kc)), w->tmp);
    return b;
}

/* A tile of C. A shallow product sums in f64: few steps have many. One that is deeper but has one block is made
 * in pieces of PIECE elements of panels, added up one after the other: an error grows with the root of what is
 * summed in one go. Each piece but the first reads C and writes it once more, which is felt in deep products;
 * they have their blocks. */
enum { PIECE = 32 };

static size_t piece(const job *p, size_t depth) { return p->kc < p->k ? depth : PIECE; }

static void tile(const job *p, size_t k, const float *a, size_t rows, const float *b, size_t b_stride, size_t cols,
                 float *c, size_t stride, float alpha, bool add)
{
    if (is_short(p)) {
        p->isa->tile_short(k, a, rows, b, b_stride, cols, c, stride, alpha, add);
        return;
    }
    for (size_t at = 0, n = piece(p, k); at < k; at += n)
        p->isa->tile(lrk_min(n, k - at), a + at * rows, rows, b + at * b_stride, b_stride, cols, c, stride, alpha,
                     add || at);
}

/* The same where A lies in its rows. */
static void tile_direct(const job *p, size_t k, const float *a, size_t a_stride, size_t rows, const float *b,
                        size_t b_stride, size_t cols, float *c, size_t stride, float alpha, bool add)
{
    for (size_t at = 0, n = piece(p, k); at < k; at += n)
        p->isa->tile_direct(lrk_min(n, k - at), a + at, a_stride, rows, b + at * b_stride, b_stride, cols, c, stride,
                            alpha, add || at);
}

/* Packed rows of A times those columns. */
static void rows_times(const job *p, const float *a, size_t rows, const columns *b, target t)
{
    const size_t mr = p->mr, nr = p->isa->nr;
    const bool along = p->k <= SHALLOW;
    const size_t outer = along ? rows : b->n, inner = along ? b->n : rows;
    for (size_t x = 0; x < outer; x += along ? mr : nr) {
        for (size_t y = 0; y < inner; y += along ? nr : mr) {
            const size_t r = along ? x : y, c = along ? y : x, n = lrk_min(b->n - c, nr);
            const bool lies = c < b->whole;
            tile(p, b->depth, a + r * b->depth, lrk_min(rows - r, mr),
                 lies ? lrk_operand_at(&p->right, b->k0, b->j + c) : b->panel + (c - b->whole) * b->depth,
                 lies ? p->right.stride : lrk_gemm_padded(p->isa, n), n, t.c + r * t.stride + c, t.stride, t.alpha,
                 b->k0 || t.add);
        }
    }
}

static void wide_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const workspace w = workspace_of(p, worker);
    const size_t j = task % p->n_col_tasks * p->columns, cols = lrk_min(p->n - j, p->columns);
    const size_t i = task / p->n_col_tasks * p->rows;
    if (i >= p->row_n) return; /* the last chunk may be shorter */
    const size_t rows = lrk_min(p->row_n - i, p->rows);
    const size_t most = lrk_max(TILE_FLOATS / (depth(p, p->kc) * p->mr), 1) * p->mr;

    const target t = target_of(p, p->row0 + i, j, w.sums);
    for (size_t k0 = p->slab0; k0 < slab_end(p); k0 += p->kc) {
        const columns b = columns_of(p, j, cols, k0, &w);
        const float *a = block_of_a(p, k0, i);
        for (size_t r = 0; r < rows; r += most) {
            target part = t;
            part.c += r * t.stride;
            rows_times(p, a + r * b.depth, lrk_min(rows - r, most), &b, part);
        }
    }
    if (slab_end(p) == p->k) store_sums(p, p->row0 + i, rows, j, cols, t);
}

/* One strip of A, packed or where it lies, times all strips of B. */
static void strip_times(const job *p, const float *a, size_t i, size_t rows, size_t k0, size_t kc,
                        target t)
{
    const float *b = p->shared + depth(p, k0) * lrk_gemm_padded(p->isa, p->n);
    const size_t d = depth(p, kc);
    for (size_t j = 0; j < p->n; j += p->isa->nr) {
        const size_t n = lrk_min(p->n - j, p->isa->nr), width = lrk_gemm_padded(p->isa, n);
        if (p->direct)
            tile_direct(p, d, lrk_operand_at(&p->left, i, k0), p->left.stride / p->isa->together, rows, b + j * d,
                        width, n, t.c + j, t.stride, t.alpha, k0 || t.add);
        else
            tile(p, d, a, rows, b + j * d, width, n, t.c + j, t.stride, t.alpha, k0 || t.add);
    }
}

static void thin_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const workspace w = workspace_of(p, worker);
    const size_t i0 = task * p->rows, i1 = lrk_min(i0 + p->rows, p->m);
    const target t = target_of(p, i0, 0, w.sums);
    for (size_t k0 = 0; k0 < p->k; k0 += p->kc) {
        const size_t kc = block_k(p, k0);
        const lrk_strips to = {w.panel, depth(p, kc), 0};
        if (!p->direct) lrk_pack_a(p->isa, &p->left, i0, i1 - i0, k0, kc, p->mr, to, w.tmp);
        for (size_t i = i0; i < i1; i += p->mr) {
            target strip = t;
            strip.c += (i - i0) * t.stride;
            strip_times(p, w.panel + (i - i0) * depth(p, kc), i, lrk_min(i1 - i, p->mr), k0, kc, strip);
        }
    }
    store_sums(p, i0, i1 - i0, 0, p->n, t);
}

void lrk_gemm_packed(const lrk_gemm *g, const lrk_gemm_isa *isa, void *scratch)
{
    job p = plan(g, isa, (size_t)lrk_threads());
    p.shared = scratch;
    p.sums = p.shared + p.shared_floats;
    p.own = p.sums + p.all_sums_floats;
    if (p.thin) {
        lrk_parallel(lrk_ceil_div(p.k, p.kc), pack_b_task, &p);
        lrk_parallel(p.n_row_tasks, thin_task, &p);
        return;
    }
    for (p.row0 = 0; p.row0 < p.m; p.row0 += p.chunk) {
        p.row_n = lrk_min(p.m - p.row0, p.chunk);
        for (p.slab0 = 0; p.slab0 < p.k; p.slab0 += p.slab) {
            lrk_parallel(lrk_ceil_div(p.row_n, pack_rows(&p)), pack_a_task, &p);
            lrk_parallel(p.n_col_tasks * p.n_row_tasks, wide_task, &p);
        }
    }
}
