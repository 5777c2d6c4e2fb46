/* generate/adapter_io.c -- copies adapters between model and file order. */
#include "generate/adapter_io.h"

#include <string.h>

/* Where row `row` of the file's matrix lies in memory. */
static size_t memory_row(const lrk_projection *p, size_t row)
{
    if (!p->heads) return row;
    const size_t head = lrk_rows(&p->weight) / p->heads;
    return row / head * head + lrk_qk_gguf_row(row % head, head);
}

void lrk_rows_to_file(const lrk_projection *p, size_t width, const float *from, float *to)
{
    for (size_t row = 0; row < lrk_rows(&p->weight); row++)
        memcpy(to + row * width, from + memory_row(p, row) * width, width * sizeof *to);
}

void lrk_rows_to_memory(const lrk_projection *p, size_t width, const float *from, float *to)
{
    for (size_t row = 0; row < lrk_rows(&p->weight); row++)
        memcpy(to + memory_row(p, row) * width, from + row * width, width * sizeof *to);
}

static bool select_module(void *ctx, const char *path, size_t *rank, double *alpha)
{
    const lrk_adapter_module *m = lrk_adapter_find(ctx, path);
    if (!m) return false;
    *rank = lrk_rows(&m->a);
    *alpha = m->alpha;
    return true;
}

lrk_lora_options lrk_adapter_options(const lrk_adapter *a)
{
    return (lrk_lora_options){.rank = a->rank,
                              .alpha = a->alpha,
                              .rslora = a->rslora,
                              .dora = a->dora,
                              .select = select_module,
                              .ctx = (void *)(uintptr_t)a}; /* select only reads it */
}

/* Rows of a file, to where the model has them. */
static lrk_status rows_in(lrk_device device, const lrk_projection *p, const lrk_tensor *from,
                          const lrk_tensor *to, lrk_err *err)
{
    if (!to->rank) return LRK_OK;
    float *rows = lrk_heap_alloc(lrk_count(to), sizeof *rows);
    LRK_REQUIRE(err, rows, LRK_ENOMEM, "memory: no room for the adapter of %s", p->path);
    lrk_rows_to_memory(p, lrk_count(to) / lrk_rows(&p->weight), from->data, rows);
    lrk_device_upload(device, to->data, rows, lrk_bytes(to));
    lrk_heap_free(rows);
    return LRK_OK;
}

static lrk_status copy_in(lrk_device device, const lrk_projection *p, const lrk_adapter_module *from,
                          lrk_err *err)
{
    lrk_device_upload(device, p->a.data, from->a.data, lrk_bytes(&p->a));
    LRK_TRY(rows_in(device, p, &from->b, &p->b, err));
    return rows_in(device, p, &from->m, &p->m, err);
}

lrk_status lrk_adapter_into_model(const lrk_adapter *a, lrk_model *m, lrk_err *err)
{
    LRK_REQUIRE(err, a->n == m->n_adapted, LRK_EINPUT,
                "the adapter has %zu modules, the model takes %zu of them: it was made for another "
                "model",
                a->n, m->n_adapted);
    for (size_t i = 0; i < m->n_adapted; i++) {
        lrk_projection *p = m->adapted[i];
        const lrk_adapter_module *from = lrk_adapter_find(a, p->path);
        LRK_REQUIRE(err, from, LRK_EINPUT, "the adapter has no module %s", p->path);
        LRK_REQUIRE(err, lrk_same_shape(&from->a, &p->a) && lrk_same_shape(&from->b, &p->b),
                    LRK_ESHAPE, "%s: the adapter's A is (%zu, %zu), the model takes (%zu, %zu)",
                    p->path, lrk_rows(&from->a), lrk_cols(&from->a), lrk_rows(&p->a),
                    lrk_cols(&p->a));
        LRK_TRY(copy_in(m->device, p, from, err));
    }
    lrk_model_settle(m);
    return LRK_OK;
}

static const char *short_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

/* target_modules: a loader that finds none there falls back on a default of its own. Short names
 * ("q_proj") where every module of that name is adapted; else the whole path of each module. */
static lrk_status name_targets(lrk_adapter *a, const lrk_model *m, lrk_err *err)
{
    const char **name;
    bool whole = true;
    LRK_TRY(lrk_alloc(&a->arena, m->n_adapted, sizeof *name, "target modules", &name, err));
    for (int which = 0; which < LRK_PROJECTIONS; which++) {
        size_t adapted = 0, there = 0;
        const char *path = NULL;
        for (size_t i = 0; i < m->decoder.layers; i++) {
            const lrk_projection *p = &m->layers[i].projection[which];
            if (!p->weight.rank) continue;
            there++;
            adapted += p->adapted;
            path = p->path;
        }
        if (adapted && adapted == there) name[a->n_targets++] = short_name(path);
        whole &= adapted == 0 || adapted == there;
    }
    if (!whole) {
        for (size_t i = 0; i < m->n_adapted; i++) name[i] = m->adapted[i]->path;
        a->n_targets = m->n_adapted;
    }
    a->target = name;
    return LRK_OK;
}

static lrk_status rows_out(lrk_arena *arena, lrk_device device, const lrk_projection *p, lrk_tensor *t,
                           lrk_err *err)
{
    const void *there = t->data;
    float *rows;
    if (!t->rank) return LRK_OK;
    LRK_TRY(lrk_alloc(arena, lrk_bytes(t), 1, p->path, &t->data, err));
    rows = lrk_heap_alloc(lrk_count(t), sizeof *rows);
    LRK_REQUIRE(err, rows, LRK_ENOMEM, "memory: no room for the adapter of %s", p->path);
    const lrk_status status = lrk_device_download(device, rows, there, lrk_bytes(t), err);
    if (status == LRK_OK) lrk_rows_to_file(p, lrk_count(t) / lrk_rows(&p->weight), rows, t->data);
    lrk_heap_free(rows);
    return status;
}

lrk_status lrk_adapter_copies(lrk_arena *arena, lrk_device device, const lrk_projection *p,
                              lrk_tensor *a, lrk_tensor *b, lrk_tensor *m, lrk_err *err)
{
    const void *there = a->data;
    LRK_TRY(lrk_alloc(arena, lrk_bytes(a), 1, p->path, &a->data, err));
    LRK_TRY(lrk_device_download(device, a->data, there, lrk_bytes(a), err));
    LRK_TRY(rows_out(arena, device, p, b, err));
    return rows_out(arena, device, p, m, err);
}

lrk_status lrk_adapter_from_model(lrk_adapter *a, const lrk_model *m, lrk_err *err)
{
    a->n_targets = 0;
    LRK_TRY(name_targets(a, m, err));
    a->n = m->n_adapted;
    LRK_TRY(lrk_alloc(&a->arena, a->n, sizeof *a->module, "adapter modules", &a->module, err));
    for (size_t i = 0; i < a->n; i++) {
        const lrk_projection *p = m->adapted[i];
        lrk_adapter_module *to = &a->module[i];
        *to = (lrk_adapter_module){.path = p->path, .a = p->a, .b = p->b, .m = p->m,
                                   .alpha = p->alpha, .scale = p->attr.scale};
        LRK_TRY(lrk_adapter_copies(&a->arena, m->device, p, &to->a, &to->b, &to->m, err));
    }
    return LRK_OK;
}
