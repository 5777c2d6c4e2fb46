/* kernels/gemm/gemm_amx.c -- blocking and packing of the bf16 product; see amx.h. */
#include "kernels/gemm/amx.h"

#include "base/size.h"
#include "base/threads.h"

enum {
    DEPTH = 576,       /* of k in a block: a strip of B takes 36 KiB, those of a task 108 */
    TILE_COLUMNS = 96,  /* of a task */
    DEEP_COLUMNS = 288, /* where k is cut: A is too large for the caches, so it is read seldom */
    FLAT_ROWS = 64,    /* a product of so few rows is bound by packing: long rows of B then */
    SHALLOW = 64,      /* one of so little depth by C: long rows of C, along which it walks */
    FLAT_COLUMNS = 256,
    SHALLOW_COLUMNS = 512,
    LARGE = 4 << 20, /* elements of C: it is read again after the caches have forgotten it */
    AHEAD = 16,                     /* rows of B asked for before they are packed */
    BUFFER = LRK_STRIP * LRK_STRIP, /* floats of one micro-kernel */
};

typedef struct job {
    const lrk_gemm *g;
    lrk_operand left, right; /* of the product that runs: C, or C^T */
    size_t m, n, k;
    size_t k2; /* of the second product; 0: none, or not here */
    bool swapped, direct;
    bool past_caches; /* C is larger than caches are, and lies so that it can be written past them */
    size_t k_padded, kc, blocks;
    size_t columns, rows; /* of a task */
    size_t packed;        /* columns of B that are packed at a time */
    size_t n_col_tasks, n_row_tasks;
    uint16_t *a2; /* packed strips of the second A, all */
    uint16_t *a;  /* packed strips, from strip first_packed on */
    size_t first_packed, n_strips;
    char *own;
    size_t a_bytes, a2_bytes, worker_bytes;
    size_t b_bytes, b2_bytes, rows_bytes, tmp_bytes, sums_bytes; /* parts of a worker's memory */
} job;

static size_t padded(size_t n, size_t unit) { return lrk_ceil_div(n, unit) * unit; }

static size_t bytes_of(size_t n, size_t size) { return padded(n * size, 64); }

static void plan_tasks(job *p, size_t threads)
{
    const size_t block = p->right.transposed ? 1 : lrk_dtype_block(p->right.dtype);
    const size_t unit = lrk_max(LRK_STRIP, block);
    size_t most = p->blocks > 1 ? DEEP_COLUMNS : TILE_COLUMNS;
    if (p->m <= FLAT_ROWS) most = FLAT_COLUMNS;
    if (p->k <= SHALLOW) most = SHALLOW_COLUMNS;
    size_t tasks = lrk_ceil_div(p->n, lrk_max(most, unit));
    if (tasks > 1 && tasks < 8 * threads) tasks = padded(tasks, threads);
    p->columns = padded(lrk_ceil_div(p->n, tasks), unit);
    p->n_col_tasks = lrk_ceil_div(p->n, p->columns);
    /* Too few tiles of columns for the threads: cut the rows too, though that decodes B again. */
    const size_t parts =
        lrk_min(lrk_max(threads / p->n_col_tasks, 1), lrk_ceil_div(p->n_strips, 2));
    p->rows = lrk_ceil_div(p->n_strips, parts) * LRK_STRIP;
    p->n_row_tasks = lrk_ceil_div(p->m, p->rows);
    /* rows of B: a strip is packed where the one before it lay, in the first-level cache */
    p->packed = p->k > SHALLOW && p->m > FLAT_ROWS && p->right.transposed ? unit : p->columns;
}

/* C^T = B^T A^T */
static bool better_swapped(const lrk_gemm *g)
{
    return g->a.transposed && !g->b.transposed && g->n < g->m && !lrk_dtype_quantized(g->b.dtype);
}

bool lrk_gemm_amx_fuses(const lrk_gemm *g)
{
    return g->k2 && g->k2 <= SHALLOW && g->k > 0 && !better_swapped(g) &&
           !lrk_dtype_quantized(g->b2.dtype);
}

static job plan(const lrk_gemm *g, size_t threads)
{
    job p = {.g = g, .left = g->a, .right = g->b, .m = g->m, .n = g->n, .k = g->k};
    if (lrk_gemm_amx_fuses(g)) p.k2 = g->k2;
    if (better_swapped(g)) {
        p.swapped = true;
        p.left = g->b;
        p.right = g->a;
        p.left.transposed = true;
        p.right.transposed = false;
        p.m = g->n;
        p.n = g->m;
    }
    p.k_padded = padded(g->k, LRK_TILE_K);
    p.blocks = lrk_max(lrk_ceil_div(p.k_padded, DEPTH), 1);
    const size_t unit =
        p.right.transposed ? lrk_max(lrk_dtype_block(p.right.dtype), LRK_TILE_K) : LRK_TILE_K;
    p.kc = p.blocks == 1 ? p.k_padded : padded(lrk_ceil_div(p.k_padded, p.blocks), unit);
    p.n_strips = lrk_ceil_div(p.m, LRK_STRIP);
    p.direct = !p.left.transposed && p.left.dtype == LRK_BF16 && p.k == p.k_padded;
    p.first_packed = p.direct ? p.m / LRK_STRIP : 0;
    p.past_caches = g->c_dtype == LRK_F32 && !g->accumulate && !p.swapped && (uintptr_t)g->c % 64 == 0 &&
                    g->c_stride % 16 == 0 && g->m * g->c_stride > LARGE;
    plan_tasks(&p, threads);

    p.a_bytes = (p.n_strips - p.first_packed) * LRK_STRIP * p.k_padded * sizeof(uint16_t);
    p.b_bytes = p.kc * padded(p.packed, LRK_STRIP) * sizeof(uint16_t);
    /* rows of B (16 of kc, or 2 of the tile's columns), or 32 of k for a strip of A, as bf16 */
    const size_t wide = padded(lrk_max(p.columns, lrk_max(p.kc, p.k2)), LRK_STRIP);
    const size_t k2_padded = padded(p.k2, LRK_TILE_K);
    p.a2_bytes = p.n_strips * LRK_STRIP * k2_padded * sizeof(uint16_t);
    p.b2_bytes = padded(p.columns, LRK_STRIP) * k2_padded * sizeof(uint16_t);
    p.rows_bytes =
        bytes_of(lrk_max(16 * lrk_max(p.kc, k2_padded), 2 * padded(p.columns, LRK_STRIP)) +
                     LRK_TILE_K * LRK_STRIP,
                 sizeof(uint16_t));
    p.tmp_bytes = bytes_of(wide, sizeof(float));
    p.sums_bytes = bytes_of(
        p.blocks == 1 ? 3 * BUFFER : p.rows * padded(p.columns, LRK_STRIP) + BUFFER, sizeof(float));
    p.worker_bytes = padded(p.b_bytes, 64) + p.b2_bytes + p.rows_bytes + p.tmp_bytes + p.sums_bytes;
    p.a_bytes = padded(p.a_bytes, 64);
    p.b_bytes = padded(p.b_bytes, 64);
    return p;
}

size_t lrk_gemm_amx_scratch(const lrk_gemm *g, size_t threads)
{
    const job p = plan(g, threads);
    return p.a_bytes + p.a2_bytes + threads * p.worker_bytes;
}

typedef struct workspace {
    uint16_t *b, *b2, *rows;
    float *tmp, *sums;
} workspace;

static workspace workspace_of(const job *p, int worker)
{
    char *own = p->own + (size_t)worker * p->worker_bytes;
    workspace w;
    w.b = (uint16_t *)(void *)own;
    w.b2 = (uint16_t *)(void *)(own += p->b_bytes);
    w.rows = (uint16_t *)(void *)(own += p->b2_bytes);
    w.tmp = (float *)(void *)(own += p->rows_bytes);
    w.sums = (float *)(void *)(own + p->tmp_bytes);
    return w;
}

/* ---- packing ---- */

static void pack_a_rows(const lrk_operand *o, size_t k, size_t part, size_t i, size_t rows,
                        uint16_t *dst, const workspace *w)
{
    for (size_t k0 = 0; k0 < k; k0 += part) {
        const size_t n = lrk_min(k - k0, part), whole = padded(n, LRK_TILE_K);
        for (size_t r = 0; r < rows; r++) {
            lrk_to_bf16_avx512_bf16(o->dtype, lrk_operand_at(o, i + r, k0), n, w->rows, w->tmp);
            memset(w->rows + n, 0, (whole - n) * sizeof *w->rows);
            uint16_t *out = dst + k0 * LRK_STRIP + r / 16 * LRK_TILE_SIZE + r % 16 * LRK_TILE_K;
            for (size_t s = 0; s < whole; s += LRK_TILE_K)
                memcpy(out + s * LRK_STRIP, w->rows + s, LRK_TILE_K * sizeof *out);
        }
    }
}

static void pack_a_columns(const lrk_operand *o, size_t k, size_t i, size_t rows, uint16_t *dst,
                           const workspace *w)
{
    for (size_t k0 = 0; k0 < k; k0 += LRK_TILE_K, dst += 2 * LRK_TILE_SIZE) {
        const size_t n = lrk_min(k - k0, LRK_TILE_K);
        memset(w->rows, 0, LRK_TILE_K * LRK_STRIP * sizeof *w->rows);
        for (size_t r = 0; r < n; r++)
            lrk_to_bf16_avx512_bf16(o->dtype, lrk_operand_at(o, k0 + r, i), rows, w->rows + r * LRK_STRIP,
                            w->tmp);
        lrk_tile_transposed_amx(w->rows, LRK_STRIP, dst);
        lrk_tile_transposed_amx(w->rows + 16, LRK_STRIP, dst + LRK_TILE_SIZE);
    }
}

/* The strip of A that begins at row i, k deep, decoded `part` elements of k at a time. */
static void pack_a(const job *p, const lrk_operand *o, size_t k, size_t part, size_t i,
                   uint16_t *dst, const workspace *w)
{
    const size_t rows = lrk_min(p->m - i, LRK_STRIP);
    if (rows < LRK_STRIP) memset(dst, 0, LRK_STRIP * padded(k, LRK_TILE_K) * sizeof *dst);
    if (o->transposed)
        pack_a_columns(o, k, i, rows, dst, w);
    else
        pack_a_rows(o, k, part, i, rows, dst, w);
}

static void pack_a_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const workspace w = workspace_of(p, worker);
    const size_t first = p->first_packed, i = (first + task) * LRK_STRIP;
    pack_a(p, &p->left, p->k, p->kc, i, p->a + task * LRK_STRIP * p->k_padded, &w);
}

static void pack_a2_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const workspace w = workspace_of(p, worker);
    const size_t strip = LRK_STRIP * padded(p->k2, LRK_TILE_K);
    pack_a(p, &p->g->a2, p->k2, p->k2, task * LRK_STRIP, p->a2 + task * strip, &w);
}

/* Columns of B that are rows in memory: 16 at a time. */
static void pack_b_rows(const lrk_operand *o, size_t j, size_t cols, size_t k0, size_t kc,
                        uint16_t *b, const workspace *w)
{
    const size_t whole = padded(kc, LRK_TILE_K);
    for (size_t at = 0; at < cols; at += 16) {
        const size_t n = lrk_min(cols - at, 16), strip = at / LRK_STRIP * LRK_STRIP;
        const size_t step = (cols - strip > 16 ? 2 : 1) * LRK_TILE_SIZE;
        uint16_t *dst = b + strip * whole + at % LRK_STRIP / 16 * LRK_TILE_SIZE;
        if (o->dtype == LRK_BF16 && n == 16 && kc == whole) {
            lrk_tiles_of_rows_amx(lrk_operand_at(o, j + at, k0), o->stride, whole, dst, step);
            continue;
        }
        for (size_t c = 0; c < n; c++) {
            uint16_t *row = w->rows + c * whole;
            lrk_to_bf16_avx512_bf16(o->dtype, lrk_operand_at(o, j + at + c, k0), kc, row, w->tmp);
            memset(row + kc, 0, (whole - kc) * sizeof *row);
        }
        memset(w->rows + n * whole, 0, (16 - n) * whole * sizeof *w->rows);
        lrk_tiles_of_rows_amx(w->rows, whole, whole, dst, step);
    }
}

/* Columns of B that are columns in memory: two rows of memory at a time. */
static void pack_b_columns(const lrk_operand *o, size_t j, size_t cols, size_t k0, size_t kc,
                           uint16_t *b, const workspace *w)
{
    const size_t whole = padded(kc, LRK_TILE_K), width = padded(cols, 16);
    const bool straight = o->dtype == LRK_BF16 && cols == width;
    const size_t row_bytes = lrk_row_bytes(o->dtype, o->stride);
    const size_t line_bytes = lrk_row_bytes(o->dtype, cols);
    const char *first = lrk_operand_at(o, k0, j);
    for (size_t k = 0; k < whole; k += 2) {
        const uint16_t *pair[2];
        for (size_t odd = 0; odd < 2; odd++) {
            uint16_t *row = w->rows + odd * padded(width, LRK_STRIP);
            const char *src = first + lrk_min(k + odd, kc - 1) * row_bytes;
            for (size_t at = 0; at < line_bytes; at += 64)
                __builtin_prefetch(src + AHEAD * row_bytes + at);
            pair[odd] = straight ? (const uint16_t *)(const void *)src : row;
            if (k + odd < kc && straight) continue;
            const size_t n = k + odd < kc ? cols : 0;
            if (n) lrk_to_bf16_avx512_bf16(o->dtype, src, n, row, w->tmp);
            memset(row + n, 0, (width - n) * sizeof *row);
            pair[odd] = row;
        }
        for (size_t at = 0; at < width; at += LRK_STRIP) {
            const size_t tiles = lrk_min(width - at, LRK_STRIP) / 16;
            uint16_t *strip = b + at * whole;
            lrk_tiles_of_columns_amx(pair[0] + at, pair[1] + at, tiles,
                                     strip + k / LRK_TILE_K * tiles * LRK_TILE_SIZE +
                                         k % LRK_TILE_K * 16);
        }
    }
}

static void pack_b(const lrk_operand *o, size_t j, size_t cols, size_t k0, size_t kc, uint16_t *b,
                   const workspace *w)
{
    if (o->transposed)
        pack_b_rows(o, j, cols, k0, kc, b, w);
    else
        pack_b_columns(o, j, cols, k0, kc, b, w);
}

/* ---- tasks ---- */

static lrk_amx_strip packed_strip(const uint16_t *a)
{
    const size_t size = sizeof *a;
    return (lrk_amx_strip){(const char *)a, LRK_TILE_K * size, LRK_TILE_SIZE * size,
                           2 * LRK_TILE_SIZE * size};
}

static lrk_amx_strip strip_of(const job *p, size_t i, size_t k0)
{
    const size_t strip = i / LRK_STRIP, size = sizeof(uint16_t);
    if (strip >= p->first_packed)
        return packed_strip(p->a + ((strip - p->first_packed) * p->k_padded + k0) * LRK_STRIP);
    return (lrk_amx_strip){lrk_operand_at(&p->left, i, k0), p->left.stride * size,
                           LRK_TILE_ROWS * p->left.stride * size, LRK_TILE_K * size};
}

/* Where rows x cols finished sums go: (i, j) of the product that ran. */
static lrk_amx_result result(const job *p, size_t i, size_t j, size_t rows, size_t cols,
                             const float *sums, size_t stride)
{
    const lrk_gemm *g = p->g;
    const size_t row = p->swapped ? j : i, col = p->swapped ? i : j;
    return (lrk_amx_result){
        .sums = sums,
        .stride = stride,
        .rows = rows,
        .cols = cols,
        .c = (char *)g->c + lrk_row_bytes(g->c_dtype, row * g->c_stride + col),
        .c_dtype = g->c_dtype,
        .c_row = lrk_row_bytes(g->c_dtype, g->c_stride),
        .alpha = (float)g->alpha,
        .accumulate = g->accumulate,
        .past_caches = p->past_caches,
    };
}

static void store_swapped(lrk_amx_result r, float *spare)
{
    lrk_gemm_avx512.transpose(r.sums, r.stride, r.rows, r.cols, spare, LRK_STRIP);
    const size_t rows = r.rows;
    r.rows = r.cols;
    r.cols = rows;
    r.sums = spare;
    r.stride = LRK_STRIP;
    lrk_amx_store(&r);
}

typedef struct block {
    size_t i0, j0, k0, kc;
    size_t packed; /* first column of the task that lies in w->b */
    const workspace *w;
    lrk_amx_result waiting; /* sums that were finished last; no rows: none */
    size_t turn;            /* of the buffers of sums that take turns */
} block;

/* The strip of rows from i times the strip of columns from j (both within the task). */
static void micro(const job *p, block *b, size_t i, size_t rows, size_t j, size_t cols)
{
    const size_t whole = padded(b->kc, LRK_TILE_K), width = padded(p->columns, LRK_STRIP);
    const bool once = p->blocks == 1, last = b->k0 + b->kc == p->k;
    float *sums = once ? b->w->sums + b->turn++ % 2 * BUFFER : b->w->sums + i * width + j;
    const size_t stride = once ? LRK_STRIP : width, k2 = padded(p->k2, LRK_TILE_K);
    lrk_amx_run runs[2] = {
        {whole / LRK_TILE_K, strip_of(p, b->i0 + i, b->k0), b->w->b + (j - b->packed) * whole}};
    if (p->k2 && last)
        runs[1] = (lrk_amx_run){k2 / LRK_TILE_K, packed_strip(p->a2 + (b->i0 + i) * k2),
                                b->w->b2 + j * k2};
    const lrk_amx_result next = result(p, b->i0 + i, b->j0 + j, rows, cols, sums, stride);
    const bool straight = last && !p->swapped;
    lrk_amx_products(runs, p->k2 && last ? 2 : 1, lrk_ceil_div(rows, 16), lrk_ceil_div(cols, 16),
                     sums, stride, b->k0 > 0, &b->waiting);
    b->waiting = straight ? next : (lrk_amx_result){0};
    if (last && p->swapped)
        store_swapped(next, b->w->sums + p->sums_bytes / sizeof(float) - BUFFER);
}

/* All strips of rows by the n columns that lie in w->b. */
static void strips(const job *p, block *b, size_t rows, size_t n)
{
    const bool along_rows = p->k <= SHALLOW;
    const size_t outer = along_rows ? rows : n, inner = along_rows ? n : rows;
    for (size_t x = 0; x < outer; x += LRK_STRIP) {
        for (size_t y = 0; y < inner; y += LRK_STRIP) {
            const size_t i = along_rows ? x : y, j = along_rows ? y : x;
            micro(p, b, i, lrk_min(rows - i, LRK_STRIP), b->packed + j, lrk_min(n - j, LRK_STRIP));
        }
    }
}

static void tile_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const workspace w = workspace_of(p, worker);
    const size_t j0 = task % p->n_col_tasks * p->columns, cols = lrk_min(p->n - j0, p->columns);
    const size_t i0 = task / p->n_col_tasks * p->rows, rows = lrk_min(p->m - i0, p->rows);

    lrk_amx_begin();
    if (p->k2) pack_b(&p->g->b2, j0, cols, 0, p->k2, w.b2, &w);
    for (size_t k0 = 0; k0 < p->k; k0 += p->kc) {
        block b = {.i0 = i0, .j0 = j0, .k0 = k0, .kc = lrk_min(p->k - k0, p->kc), .w = &w};
        for (; b.packed < cols; b.packed += p->packed) {
            const size_t n = lrk_min(cols - b.packed, p->packed);
            pack_b(&p->right, j0 + b.packed, n, k0, b.kc, w.b, &w);
            strips(p, &b, rows, n);
        }
        lrk_amx_store(&b.waiting);
    }
    lrk_amx_end();
}

void lrk_gemm_amx(const lrk_gemm *g, void *scratch)
{
    job p = plan(g, (size_t)lrk_threads());
    p.a = scratch;
    p.a2 = (uint16_t *)(void *)((char *)scratch + p.a_bytes);
    p.own = (char *)scratch + p.a_bytes + p.a2_bytes;
    lrk_parallel(p.n_strips - p.first_packed, pack_a_task, &p);
    if (p.k2) lrk_parallel(p.n_strips, pack_a2_task, &p);
    lrk_parallel(p.n_col_tasks * p.n_row_tasks, tile_task, &p);
}
