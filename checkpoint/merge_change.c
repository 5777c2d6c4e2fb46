/* checkpoint/merge_change.c -- how far merging moved the layers. */
#include "checkpoint/merge_tensor.h"

#include "base/quant.h"
#include "base/size.h"
#include "base/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double lrk_merge_relative(const lrk_merge_change *c)
{
    return c->weight > 0.0 ? sqrt(c->moved / c->weight) : 0.0;
}

typedef struct rows {
    lrk_dtype type;
    const unsigned char *base, *written;
    size_t cols, row_bytes;
    float *scratch;        /* 2 * cols for each worker */
    lrk_merge_change *row; /* what each adds */
} rows;

static void add_row(void *ctx, size_t row, int worker)
{
    const rows *r = ctx;
    float *w = r->scratch + 2 * r->cols * (size_t)worker, *v = w + r->cols;
    lrk_merge_change c = {0};
    lrk_to_f32(r->type, r->base + row * r->row_bytes, r->cols, w);
    lrk_to_f32(r->type, r->written + row * r->row_bytes, r->cols, v);
    for (size_t i = 0; i < r->cols; i++) {
        const double d = (double)v[i] - (double)w[i];
        c.largest = fmax(c.largest, fabs(d));
        c.moved += d * d;
        c.weight += (double)w[i] * (double)w[i];
    }
    r->row[row] = c;
}

static void add(lrk_merge_change *to, const lrk_merge_change *from, const char *tensor)
{
    if (from->largest > to->largest || !to->tensor) {
        to->largest = from->largest;
        to->tensor = tensor;
    }
    to->moved += from->moved;
    to->weight += from->weight;
}

lrk_status lrk_merge_change_rows(lrk_merge_change *c, const lrk_merge_item *item, const void *base,
                                 const void *written, size_t n, lrk_err *err)
{
    const size_t cols = lrk_cols(&item->src);
    rows r = {.type = item->out.dtype, .base = base, .written = written, .cols = cols,
              .row_bytes = lrk_row_bytes(item->out.dtype, cols)};
    r.scratch = lrk_heap_alloc((size_t)lrk_threads() * 2 * cols, sizeof *r.scratch);
    r.row = lrk_heap_alloc(n, sizeof *r.row);
    lrk_status status = LRK_OK;
    if (!r.scratch || !r.row)
        status = lrk_fail(err, LRK_ENOMEM, "memory: no room for rows of '%s'", item->name);
    else
        lrk_parallel(n, add_row, &r);
    for (size_t i = 0; status == LRK_OK && i < n; i++) add(c, &r.row[i], item->name);
    lrk_heap_free(r.scratch);
    lrk_heap_free(r.row);
    return status;
}

static size_t layer_of(const char *name)
{
    static const char layers[] = ".layers.";
    const char *at = strstr(name, layers);
    return at ? strtoul(at + sizeof layers - 1, NULL, 10) : LRK_NO_LAYER;
}

lrk_status lrk_merge_change_note(lrk_merge_report *r, const lrk_merge_item *item,
                                 const lrk_merge_change *c, lrk_err *err)
{
    const size_t layer = layer_of(item->name);
    size_t i = 0;
    while (i < r->n_changes && r->change[i].layer < layer) i++;
    if (i == r->n_changes || r->change[i].layer != layer) {
        LRK_REQUIRE(err, r->n_changes < LRK_MAX_CHANGES, LRK_EVALUE, "more than %d layers", LRK_MAX_CHANGES);
        memmove(&r->change[i + 1], &r->change[i], (r->n_changes - i) * sizeof *r->change);
        r->change[i] = (lrk_merge_change){.layer = layer};
        r->n_changes++;
    }
    add(&r->change[i], c, item->name);
    return LRK_OK;
}

static lrk_json *change_json(const lrk_merge_change *c)
{
    lrk_json *o = lrk_json_object();
    if (c->layer == LRK_NO_LAYER)
        lrk_json_set(o, "layer", lrk_json_new_null());
    else
        lrk_json_set_count(o, "layer", c->layer);
    lrk_json_set(o, "largest", lrk_json_new_real(c->largest));
    lrk_json_set(o, "relative", lrk_json_new_real(lrk_merge_relative(c)));
    lrk_json_set_text(o, "tensor", c->tensor);
    return o;
}

void lrk_merge_report_put(const lrk_merge_report *r, lrk_json *object)
{
    lrk_json *changes = lrk_json_array();
    lrk_json_set_count(object, "merged", r->merged);
    lrk_json_set_count(object, "carried", r->carried);
    lrk_json_set_count(object, "bytes", r->bytes);
    for (size_t i = 0; i < r->n_changes; i++) lrk_json_add(changes, change_json(&r->change[i]));
    lrk_json_set(object, "change", changes);
}
