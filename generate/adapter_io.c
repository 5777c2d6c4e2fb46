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

void lrk_rows_to_file(const lrk_projection *p, const float *from, float *to)
{
    for (size_t row = 0; row < lrk_rows(&p->weight); row++)
        memcpy(to + row * p->rank, from + memory_row(p, row) * p->rank, p->rank * sizeof *to);
}

void lrk_rows_to_memory(const lrk_projection *p, const float *from, float *to)
{
    for (size_t row = 0; row < lrk_rows(&p->weight); row++)
        memcpy(to + memory_row(p, row) * p->rank, from + row * p->rank, p->rank * sizeof *to);
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
                              .select = select_module,
                              .ctx = (void *)(uintptr_t)a}; /* select only reads it */
}

static lrk_status copy_in(lrk_device device, const lrk_projection *p, const lrk_adapter_module *from,
                          lrk_err *err)
{
    float *b = lrk_heap_alloc(lrk_count(&p->b), sizeof *b);
    LRK_REQUIRE(err, b, LRK_ENOMEM, "memory: no room for the adapter of %s", p->path);
    lrk_rows_to_memory(p, from->b.data, b);
    lrk_device_upload(device, p->a.data, from->a.data, lrk_bytes(&p->a));
    lrk_device_upload(device, p->b.data, b, lrk_bytes(&p->b));
    lrk_heap_free(b);
    return LRK_OK;
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

lrk_status lrk_adapter_pair(lrk_arena *arena, lrk_device device, const lrk_projection *p,
                            lrk_tensor *a, lrk_tensor *b, lrk_err *err)
{
    const void *a_there = a->data, *b_there = b->data;
    float *rows;
    LRK_TRY(lrk_alloc(arena, lrk_bytes(a), 1, p->path, &a->data, err));
    LRK_TRY(lrk_alloc(arena, lrk_bytes(b), 1, p->path, &b->data, err));
    rows = lrk_heap_alloc(lrk_count(b), sizeof *rows);
    LRK_REQUIRE(err, rows, LRK_ENOMEM, "memory: no room for the adapter of %s", p->path);
    lrk_status status = lrk_device_download(device, a->data, a_there, lrk_bytes(a), err);
    if (status == LRK_OK) status = lrk_device_download(device, rows, b_there, lrk_bytes(b), err);
    if (status == LRK_OK) lrk_rows_to_file(p, rows, b->data);
    lrk_heap_free(rows);
    return status;
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
        *to = (lrk_adapter_module){.path = p->path, .a = p->a, .b = p->b, .alpha = p->alpha,
                                   .scale = p->attr.scale};
        LRK_TRY(lrk_adapter_pair(&a->arena, m->device, p, &to->a, &to->b, err));
    }
    return LRK_OK;
}
