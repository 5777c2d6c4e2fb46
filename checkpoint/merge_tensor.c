/* checkpoint/merge_tensor.c -- the arithmetic of a merge, row by row, and its verification. */
#include "checkpoint/merge_tensor.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/quant.h"
#include "base/size.h"
#include "base/threads.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* elements of a panel; rows of a task; rows of f32 for a worker: weights, sum, and one of any type as it is stored */
enum { PANEL = 1 << 20, TASK_ROWS = 8, SCRATCH = 4 };

typedef struct panel {
    const lrk_merge_item *item;
    bool adapted;       /* with the adapter, or the base alone */
    float limit;        /* largest magnitude that the output type holds */
    size_t first, rows; /* of the output */
    size_t row_bytes;   /* of the output */
    unsigned char *out; /* rows * row_bytes */
    float *scratch;     /* SCRATCH * cols for each worker */
    size_t *bad;        /* by task: first bad element, or SIZE_MAX */
} panel;

static size_t src_row(const lrk_merge_item *item, size_t row)
{
    const size_t D = item->head_dim, F = item->first_row;
    if (item->order == LRK_ROWS_TO_HF) return lrk_order_gguf_row(&item->rows, row);
    if (item->order == LRK_ROWS_VALUES) return row / (D - F) * D + F + row % (D - F);
    return item->order == LRK_ROWS_TO_GGUF ? lrk_order_hf_row(&item->rows, row) : row;
}

static size_t hf_row(const lrk_merge_item *item, size_t row)
{
    const bool gguf_out =
        item->order == LRK_ROWS_TO_GGUF || (item->order == LRK_ROWS_AS_IS && item->base_permuted);
    if (item->order == LRK_ROWS_VALUES) return src_row(item, row);
    return gguf_out ? lrk_order_hf_row(&item->rows, row) : row;
}

/* w += scale * (row of B) * A, then brought to length M[row] where there is M. A product of two f32 is exact in f64, so
 * each step rounds all but as a fused multiply-add in f32 does (the sum is rounded twice, to f64 and to f32), and alike
 * on machines with and without such an instruction. */
static void add_delta(const lrk_adapter_module *m, size_t row, size_t cols, float *w, float *sum)
{
    const float scale = (float)m->scale;
    const float *b = lrk_row(&m->b, row);
    memset(sum, 0, cols * sizeof *sum);
    for (size_t k = 0; k < m->b.dim[1]; k++) {
        const float *a = lrk_row(&m->a, k);
        const double bk = (double)b[k];
        for (size_t c = 0; c < cols; c++) sum[c] = (float)((double)sum[c] + bk * (double)a[c]);
    }
    for (size_t c = 0; c < cols; c++) w[c] += scale * sum[c];
    if (!m->m.rank) return;
    double length = 0.0;
    for (size_t c = 0; c < cols; c++) length += (double)w[c] * (double)w[c];
    const float factor = ((const float *)m->m.data)[row] / (float)sqrt(length);
    for (size_t c = 0; c < cols; c++) w[c] *= factor;
}

/* What an adapter has in place of this row, or NULL. */
static const float *replacement(const lrk_merge_item *item, size_t row)
{
    const lrk_adapter_whole *w = item->whole;
    if (!w) return NULL;
    const size_t k = w->rows.n ? lrk_row_place(w->rows.id, w->rows.n, (int32_t)row) : row;
    return k < lrk_rows(&w->weight) ? lrk_row(&w->weight, k) : NULL;
}

/* A row of the base where its numbers can be read: a copy in room, of cols numbers, where the file has it askew. */
static const void *stored_row(const lrk_merge_item *item, size_t row, float *room)
{
    const void *there = lrk_row(&item->src, row);
    if (lrk_st_aligned(&item->src)) return there;
    return memcpy(room, there, lrk_row_bytes(item->src.dtype, lrk_cols(&item->src)));
}

static void make_rows(void *ctx, size_t task, int worker)
{
    const panel *p = ctx;
    const lrk_merge_item *item = p->item;
    const size_t cols = lrk_cols(&item->src), last = lrk_min(p->rows, (task + 1) * TASK_ROWS);
    float *w = p->scratch + SCRATCH * cols * (size_t)worker;
    const bool adapted = p->adapted && item->module;
    p->bad[task] = SIZE_MAX;
    for (size_t i = task * TASK_ROWS; i < last; i++) {
        const size_t row = p->first + i;
        const void *src = stored_row(item, src_row(item, row), w + 2 * cols);
        unsigned char *out = p->out + i * p->row_bytes;
        const float *own = p->adapted ? replacement(item, row) : NULL;
        lrk_to_f32(item->src.dtype, src, cols, w);
        if (own) memcpy(w, own, cols * sizeof *w);
        if (adapted) add_delta(item->module, hf_row(item, row), cols, w, w + cols);
        for (size_t c = 0; c < cols && item->shift != 0.0f; c++) w[c] += item->shift;
        for (size_t c = 0; c < cols && p->bad[task] == SIZE_MAX; c++)
            if (!(fabsf(w[c]) <= p->limit)) p->bad[task] = row * cols + c;
        if (item->src.dtype == item->out.dtype && !adapted && !own && item->shift == 0.0f)
            memcpy(out, src, p->row_bytes);
        else
            (void)lrk_from_f32(item->out.dtype, w, cols, out);
    }
}

static float limit_of(lrk_dtype t)
{
    /* the last values that do not round to infinity */
    if (t == LRK_F16) return 0x1.ffdffep15f;
    if (t == LRK_BF16) return 0x1.fefffep127f;
    if (t == LRK_Q8_0) return 0x1.ffdffep15f * 127.0f; /* the scale of a block is f16 */
    return lrk_dtype_quantized(t) ? 0x1.ffdffep15f : FLT_MAX;
}

static lrk_status check_panel(const panel *p, size_t tasks, lrk_err *err)
{
    for (size_t t = 0; t < tasks; t++) {
        const lrk_merge_item *item = p->item;
        LRK_REQUIRE(err, p->bad[t] == SIZE_MAX, LRK_ENUMERIC,
                    "tensor '%s': element %zu does not fit %s%s", item->name, p->bad[t],
                    lrk_dtype_name(item->out.dtype),
                    p->limit < FLT_MAX ? "; write bf16 or f32 instead, or look for NaN in the base"
                                       : ": it is NaN or infinite");
    }
    return LRK_OK;
}

/* *enough: no more panels are needed. */
typedef lrk_status (*visit)(void *ctx, const panel *p, bool *enough, lrk_err *err);

/* Computes panel after panel and shows each to f. */
static lrk_status walk_rows(const lrk_merge_item *item, bool adapted, visit f, void *ctx,
                            lrk_err *err)
{
    /* a bias that is permuted has rows of one element */
    const size_t cols = lrk_cols(&item->src), rows = cols ? lrk_count(&item->out) / cols : 0;
    if (cols == 0 || rows == 0) return LRK_OK;
    const size_t step = lrk_aligned(lrk_max(PANEL / cols, 1), TASK_ROWS);
    panel p = {.item = item,
               .adapted = adapted,
               .limit = limit_of(item->out.dtype),
               .row_bytes = lrk_row_bytes(item->out.dtype, cols)};
    p.out = lrk_heap_alloc(lrk_min(step, rows), p.row_bytes);
    p.scratch = lrk_heap_alloc((size_t)lrk_threads() * SCRATCH * cols, sizeof *p.scratch);
    p.bad = lrk_heap_alloc(step / TASK_ROWS, sizeof *p.bad);
    bool enough = false;
    lrk_status status = LRK_OK;
    if (!p.out || !p.scratch || !p.bad)
        status = lrk_fail(err, LRK_ENOMEM, "memory: no room for rows of '%s'", item->name);
    for (; p.first < rows && status == LRK_OK && !enough; p.first += step) {
        p.rows = lrk_min(step, rows - p.first);
        const size_t tasks = lrk_ceil_div(p.rows, TASK_ROWS);
        lrk_parallel(tasks, make_rows, &p);
        status = check_panel(&p, tasks, err);
        if (status == LRK_OK) status = f(ctx, &p, &enough, err);
    }
    lrk_heap_free(p.out);
    lrk_heap_free(p.scratch);
    lrk_heap_free(p.bad);
    return status;
}

/* The rows of kv_b_proj that make keys, head after head: (H, N, rank) to (H, rank, N). */
typedef struct turned {
    float *out;
    size_t per_head, keys, rank; /* rows of a head; those that make keys */
} turned;

static lrk_status turn(void *ctx, const panel *p, bool *enough, lrk_err *err)
{
    const turned *t = ctx;
    (void)enough;
    (void)err;
    for (size_t i = 0; i < p->rows; i++) {
        const size_t row = p->first + i, head = row / t->per_head, n = row % t->per_head;
        const float *values = (const float *)(const void *)(p->out + i * p->row_bytes);
        for (size_t r = 0; r < t->rank && n < t->keys; r++)
            t->out[(head * t->rank + r) * t->keys + n] = values[r];
    }
    return LRK_OK;
}

/* Keys are columns of what is stored: all of it is computed in f32, turned, written from there. */
static lrk_status walk_keys(const lrk_merge_item *item, bool adapted, visit f, void *ctx,
                            lrk_err *err)
{
    turned t = {.per_head = item->head_dim, .keys = item->first_row, .rank = lrk_cols(&item->src)};
    lrk_merge_item whole = *item, made = *item;
    t.out = lrk_heap_alloc(lrk_count(&item->out), sizeof *t.out);
    LRK_REQUIRE(err, t.out, LRK_ENOMEM, "memory: no room to turn '%s'", item->name);
    whole.order = made.order = LRK_ROWS_AS_IS;
    whole.out = lrk_like(&item->src);
    whole.out.dtype = LRK_F32;
    made.module = NULL;
    made.src = lrk_like(&item->out);
    made.src.dtype = LRK_F32;
    made.src.data = t.out;
    lrk_status status = walk_rows(&whole, adapted, turn, &t, err);
    if (status == LRK_OK) status = walk_rows(&made, false, f, ctx, err);
    lrk_heap_free(t.out);
    return status;
}

static lrk_status walk(const lrk_merge_item *item, bool adapted, visit f, void *ctx, lrk_err *err)
{
    return item->order == LRK_ROWS_KEYS ? walk_keys(item, adapted, f, ctx, err)
                                        : walk_rows(item, adapted, f, ctx, err);
}

typedef struct sink_ctx {
    lrk_sink sink;
    void *ctx;
} sink_ctx;

static lrk_status give(void *ctx, const panel *p, bool *enough, lrk_err *err)
{
    const sink_ctx *s = ctx;
    (void)enough;
    return s->sink(s->ctx, p->out, p->rows * p->row_bytes, err);
}

/* On a terminal the line changes in place; elsewhere a long merge says something now and then. */
static void show_progress(lrk_merge_job *job, const lrk_merge_item *item)
{
    char line[400];
    const double now = lrk_seconds();
    job->done += lrk_bytes(&item->out);
    if (job->shown <= 0.0) job->shown = now;
    if (now - job->shown < (lrk_log_terminal() ? 0.2 : 10.0)) return;
    job->shown = now;
    snprintf(line, sizeof line, "%.0f %% written: %s as %s",
             100.0 * (double)job->done / (double)job->report->bytes, item->out_name,
             lrk_dtype_name(item->out.dtype));
    lrk_log_line(line);
}

lrk_status lrk_merge_stream(lrk_merge_job *job, const lrk_merge_item *item, lrk_sink sink,
                            void *ctx, lrk_err *err)
{
    sink_ctx s = {sink, ctx};
    LRK_TRY(walk(item, true, give, &s, err));
    show_progress(job, item);
    return LRK_OK;
}

static lrk_status to_safetensors(void *ctx, const void *data, size_t n, lrk_err *err)
{
    return lrk_st_write(ctx, data, n, err);
}

lrk_status lrk_merge_to_safetensors(lrk_merge_job *job, const lrk_merge_item *item, lrk_st_writer *w, lrk_err *err)
{
    return lrk_merge_stream(job, item, to_safetensors, w, err);
}

typedef struct comparison {
    const unsigned char *written;
    bool differs, strays; /* strays: in a row that the adapter does not replace */
    lrk_merge_change *change; /* to add to, or NULL: the first difference is enough */
} comparison;

static lrk_status compare(void *ctx, const panel *p, bool *enough, lrk_err *err)
{
    LRK_TRY(lrk_writers_check(err));
    comparison *c = ctx;
    const unsigned char *written = c->written + p->first * p->row_bytes;
    if (memcmp(written, p->out, p->rows * p->row_bytes) != 0) c->differs = true;
    for (size_t i = 0; i < p->rows && p->item->whole; i++)
        if (!replacement(p->item, p->first + i))
            c->strays |= memcmp(written + i * p->row_bytes, p->out + i * p->row_bytes, p->row_bytes) != 0;
    if (c->change) return lrk_merge_change_rows(c->change, p->item, p->out, written, p->rows, err);
    *enough = c->differs;
    return LRK_OK;
}

bool lrk_merge_is_zero(const lrk_adapter_module *m)
{
    const float *b = m->b.data;
    bool zero = true;
    for (size_t i = 0; zero && i < lrk_count(&m->b); i++) zero = fabsf(b[i]) <= 0.0f;
    return zero;
}

/* An expert that no token of the data chose stays as it was. */
static bool left_alone(const lrk_merge_item *item)
{
    return (item->may_stay || strstr(item->module->path, ".experts.")) && lrk_merge_is_zero(item->module);
}

/* Rows of tokens that the data had not stay as they were. */
static lrk_status untouched_rows(const lrk_merge_item *item, bool *untouched, lrk_err *err)
{
    const lrk_adapter_whole *w = item->whole;
    const size_t cols = lrk_cols(&item->src);
    *untouched = w && w->rows.n;
    if (!*untouched) return LRK_OK;
    float *stored = lrk_heap_alloc(SCRATCH * cols, sizeof *stored);
    LRK_REQUIRE(err, stored, LRK_ENOMEM, "memory: no room for rows of '%s'", item->name);
    for (size_t k = 0; k < w->rows.n && *untouched; k++) {
        lrk_to_f32(item->src.dtype, stored_row(item, (size_t)w->rows.id[k], stored + 2 * cols), cols, stored);
        *untouched = memcmp(stored, lrk_row(&w->weight, k), cols * sizeof *stored) == 0;
    }
    lrk_heap_free(stored);
    return LRK_OK;
}

lrk_status lrk_merge_verify(const lrk_merge_job *job, const lrk_merge_item *item, const lrk_tensor *written,
                            lrk_err *err)
{
    lrk_merge_change change = {0};
    comparison c = {.written = written->data, .change = item->module || item->whole ? &change : NULL};
    LRK_REQUIRE(err, written->dtype == item->out.dtype && lrk_same_shape(written, &item->out),
                LRK_EINTERNAL, "tensor '%s' was written with another type or shape", item->name);
    LRK_TRY(walk(item, false, compare, &c, err));
    bool untouched = false;
    if (!c.differs && item->whole) LRK_TRY(untouched_rows(item, &untouched, err));
    LRK_REQUIRE(err, c.differs || !item->whole || untouched, LRK_ENUMERIC,
                "tensor '%s': merging changed nothing: it was not trained, or too little for %s", item->name,
                lrk_dtype_name(item->out.dtype));
    LRK_REQUIRE(err, c.differs || !item->module || left_alone(item), LRK_ENUMERIC,
                "tensor '%s': merging changed nothing: its adapter is zero, or too small for %s; "
                "is the adapter trained?",
                item->name, lrk_dtype_name(item->out.dtype));
    LRK_REQUIRE(err, !c.strays && (!c.differs || item->module || item->whole), LRK_EIO,
                "tensor '%s' was not written as it stands in the base: the device may be failing",
                item->name);
    return c.change ? lrk_merge_change_note(job->report, item, &change, err) : LRK_OK;
}
