/* generate/adapter_io.c -- copies adapters between model and file order. */
#include "generate/adapter_io.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Where row `row` of the file's matrix lies in memory. */
static size_t memory_row(const lrk_projection *p, size_t row)
{
    if (!p->heads) return row;
    const size_t rows = lrk_rows(&p->weight);
    const lrk_order order = p->which == LRK_QKV ? (lrk_order){LRK_ORDER_KINDS, rows / p->heads / 3, rows}
                                                : (lrk_order){LRK_ORDER_PAIRS, rows / p->heads, rows};
    return lrk_order_gguf_row(&order, row);
}

static size_t experts_of(const lrk_projection *p)
{
    return p->stack ? p->stack : 1;
}

size_t lrk_adapter_parts(const lrk_projection *p)
{
    return p->parameter ? 1 : experts_of(p);
}

/* Rows of B (R: its rank) or M (R = 1) between the order of the file and that of memory; whole stacks change columns
 * for rows. */
static void move_rows(const lrk_projection *p, size_t R, bool to_file, const float *from, float *to)
{
    const size_t rows = lrk_rows(&p->weight) / experts_of(p), E = p->parameter ? p->stack : 1;
    for (size_t row = 0; row < rows; row++) {
        const size_t there = memory_row(p, row);
        for (size_t e = 0; e < E; e++) {
            for (size_t r = 0; r < R; r++) {
                const size_t file = (row * R + r) * E + e, memory = (e * rows + there) * R + r;
                if (to_file)
                    to[file] = from[memory];
                else
                    to[memory] = from[file];
            }
        }
    }
}

/* A and B of a part, out of those of all experts. */
static void narrow(const lrk_projection *p, size_t part, lrk_tensor *a, lrk_tensor *b)
{
    const size_t parts = lrk_adapter_parts(p);
    a->dim[0] /= parts;
    b->dim[0] /= parts;
    if (a->data) a->data = (float *)a->data + part * lrk_count(a);
    if (b->data) b->data = (float *)b->data + part * lrk_count(b);
}

/* The shape of B in a file. */
static void file_shape(const lrk_projection *p, lrk_tensor *b)
{
    if (!p->parameter) return;
    b->dim[0] /= p->stack;
    b->dim[1] *= p->stack;
    b->stride = b->dim[1];
}

static const lrk_adapter_stack *find_stack(const lrk_adapter *a, const char *path)
{
    for (size_t i = 0; i < a->n_stacks; i++)
        if (strcmp(a->stack[i].path, path) == 0) return &a->stack[i];
    return NULL;
}

static bool select_module(void *ctx, const char *path, size_t *rank, double *alpha)
{
    const lrk_adapter_module *m = lrk_adapter_find(ctx, path);
    const lrk_adapter_stack *s = find_stack(ctx, path);
    if (s) {
        *rank = lrk_rows(&s->a) / s->experts;
        *alpha = s->alpha;
        return true;
    }
    if (!m || m->stacked) return false;
    *rank = lrk_rows(&m->a);
    *alpha = m->alpha;
    return true;
}

lrk_lora_options lrk_adapter_options(const lrk_adapter *a)
{
    unsigned whole = lrk_adapter_as_one(a) ? LRK_WHOLE_AS_ONE : 0u;
    lrk_row_list rows[2] = {{NULL, 0}, {NULL, 0}};
    for (size_t i = 0; i < a->n_whole; i++) {
        const int role = lrk_adapter_role(a->whole[i].path);
        whole |= role == LRK_ADAPTER_HEAD ? LRK_WHOLE_HEAD : LRK_WHOLE_EMBEDDING;
        rows[role] = a->whole[i].rows;
    }
    return (lrk_lora_options){.rows = {rows[0], rows[1]},
                              .rank = a->rank,
                              .alpha = a->alpha,
                              .rslora = a->rslora,
                              .dora = a->dora,
                              .whole = whole,
                              .select = select_module,
                              .ctx = (void *)(uintptr_t)a}; /* select only reads it */
}

/* The path of a part in an adapter. */
static void part_path(const lrk_model *m, const lrk_projection *p, size_t part, char out[LRK_NAME_MAX])
{
    char path[LRK_MODULE_PATH];
    if (p->stack && !p->parameter) lrk_expert_path(&m->decoder, p->layer, part, p->which, path);
    snprintf(out, LRK_NAME_MAX, "%s", p->stack && !p->parameter ? path : p->path);
}

bool lrk_adapter_find_pair(const lrk_adapter *a, const lrk_model *m, const lrk_projection *p, size_t part,
                           lrk_adapter_pair_view *out)
{
    static const lrk_tensor none = {.rank = 0};
    char path[LRK_NAME_MAX];
    part_path(m, p, part, path);
    if (p->parameter) {
        const lrk_adapter_stack *s = find_stack(a, path);
        if (!s) return false;
        out->a = &s->a;
        out->b = &s->b;
        out->m = &none;
        lrk_adapter_stack_module(a, s, out->module);
        return true;
    }
    const lrk_adapter_module *k = lrk_adapter_find(a, path);
    if (!k || k->stacked) return false;
    out->a = &k->a;
    out->b = &k->b;
    out->m = &k->m;
    snprintf(out->module, sizeof out->module, "%s", k->path);
    return true;
}

static lrk_status copy_in(const lrk_adapter *from, const lrk_model *m, const lrk_projection *p, size_t part,
                          lrk_err *err)
{
    lrk_adapter_pair_view file;
    lrk_tensor a = p->a, b = p->b, shape;
    char path[LRK_NAME_MAX];
    part_path(m, p, part, path);
    LRK_REQUIRE(err, lrk_adapter_find_pair(from, m, p, part, &file), LRK_EINPUT,
                "the adapter has no module %s", path);
    narrow(p, part, &a, &b);
    LRK_REQUIRE(err, p->m.rank == file.m->rank && (!p->m.rank || lrk_count(file.m) == lrk_count(&p->m)), LRK_ESHAPE,
                "%s: lora_magnitude_vector of the adapter does not fit the model", path);
    shape = b;
    file_shape(p, &shape);
    LRK_REQUIRE(err, lrk_same_shape(file.a, &a) && lrk_same_shape(file.b, &shape), LRK_ESHAPE,
                "%s: the adapter's A is (%zu, %zu), the model takes (%zu, %zu)", path, lrk_rows(file.a),
                lrk_cols(file.a), lrk_rows(&a), lrk_cols(&a));
    float *rows = lrk_heap_alloc(lrk_count(&b), sizeof *rows);
    LRK_REQUIRE(err, rows, LRK_ENOMEM, "memory: no room for the adapter of %s", path);
    move_rows(p, p->rank, false, file.b->data, rows);
    lrk_device_upload(m->device, a.data, file.a->data, lrk_bytes(&a));
    lrk_device_upload(m->device, b.data, rows, lrk_bytes(&b));
    if (p->m.rank) {
        move_rows(p, 1, false, file.m->data, rows);
        lrk_device_upload(m->device, p->m.data, rows, lrk_bytes(&p->m));
    }
    lrk_heap_free(rows);
    return LRK_OK;
}

/* The first module of the adapter that the model has no place for. */
static const char *left_over(const lrk_adapter *a, const lrk_model *m)
{
    for (size_t k = 0; k < a->n; k++) {
        bool taken = a->module[k].stacked;
        for (size_t i = 0; !taken && i < m->n_adapted; i++)
            for (size_t part = 0; !taken && part < lrk_adapter_parts(m->adapted[i]); part++) {
                lrk_adapter_pair_view file;
                taken = lrk_adapter_find_pair(a, m, m->adapted[i], part, &file) &&
                        strcmp(file.module, a->module[k].path) == 0;
            }
        if (!taken) return a->module[k].path;
    }
    return NULL;
}

lrk_status lrk_adapter_into_model(const lrk_adapter *a, lrk_model *m, lrk_err *err)
{
    LRK_TRY(lrk_adapter_check_plain(a, err));
    size_t there = a->n_stacks, taken = 0;
    for (size_t i = 0; i < a->n; i++) there += !a->module[i].stacked;
    for (size_t i = 0; i < m->n_adapted; i++) taken += lrk_adapter_parts(m->adapted[i]);
    const char *other = there > taken ? left_over(a, m) : NULL;
    LRK_REQUIRE(err, !other, LRK_ESUPPORT,
                "the adapter has low-rank factors for '%s', which is computed without any here; lorikeet merge makes a "
                "model of it",
                other);
    LRK_REQUIRE(err, there == taken, LRK_EINPUT,
                "the adapter has %zu modules, the model takes %zu of them: it was made for another "
                "model",
                there, taken);
    for (size_t i = 0; i < m->n_adapted; i++)
        for (size_t part = 0; part < lrk_adapter_parts(m->adapted[i]); part++)
            LRK_TRY(copy_in(a, m, m->adapted[i], part, err));
    LRK_REQUIRE(err, a->n_whole == 0 || m->n_whole, LRK_EINPUT,
                "the model takes no %s of the adapter", a->whole[0].path);
    for (size_t i = 0; i < m->n_whole; i++) {
        const lrk_whole *w = &m->whole[i];
        const lrk_adapter_whole *from = lrk_adapter_find_whole(a, w->path);
        LRK_REQUIRE(err, from && lrk_same_shape(&from->weight, &w->weight) && lrk_row_lists_equal(from->rows, w->rows),
                    LRK_EINPUT,
                    "the adapter has no %s of (%zu, %zu), which the model takes", w->path, lrk_rows(&w->weight),
                    lrk_cols(&w->weight));
        lrk_device_upload(m->device, w->weight.data, from->weight.data, lrk_bytes(&from->weight));
    }
    lrk_model_settle(m, false);
    return LRK_OK;
}

/* The i-th of a layer's projections, stacks of experts after the others; NULL: the layer has no such. */
enum { EACH = LRK_PROJECTIONS + 3 };
static const lrk_projection *nth(const lrk_model *m, size_t i)
{
    const lrk_layer *layer = &m->layers[i / EACH];
    const size_t k = i % EACH;
    const lrk_projection *p = k < LRK_PROJECTIONS ? &layer->projection[k] : &layer->expert[k - LRK_PROJECTIONS];
    return p->weight.rank ? p : NULL;
}

static const char *name_of(const lrk_model *m, const lrk_projection *p, char room[LRK_NAME_MAX])
{
    part_path(m, p, 0, room);
    return lrk_last_name(room);
}

/* Whether layers_to_transform, where it is written, leaves this layer in. */
static bool written(const lrk_adapter *a, size_t layer)
{
    const lrk_json *layers = lrk_json_get(a->given, "layers_to_transform");
    bool in = !layers;
    for (size_t i = 0; !in && i < lrk_json_size(layers); i++)
        in = lrk_json_integer(lrk_json_at(layers, i)) == (int64_t)layer;
    return in;
}

/* Whether a module of p's last name has no adapter. */
static bool has_plain_namesake(const lrk_adapter *a, const lrk_model *m, const lrk_projection *p)
{
    char mine[LRK_NAME_MAX], other[LRK_NAME_MAX];
    const char *name = name_of(m, p, mine);
    for (size_t i = 0; i < m->decoder.layers * EACH; i++) {
        const lrk_projection *q = nth(m, i);
        if (q && !q->adapted && written(a, q->layer) && strcmp(name_of(m, q, other), name) == 0) return true;
    }
    return false;
}

static lrk_status add_name(lrk_adapter *a, const char **name, size_t *n, const char *text, lrk_err *err)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(name[i], text) == 0) return LRK_OK;
    name[*n] = lrk_strdup(&a->arena, text);
    LRK_REQUIRE(err, name[*n], LRK_ENOMEM, "memory: no room for the names of modules");
    ++*n;
    return LRK_OK;
}

/* A module that is no expert's, in a model that has some, and has an expert's name: PEFT on transformers 5 takes the
 * name in target_modules for the parameter of all experts, but its weight is a parameter too. */
static bool named_as_experts(const lrk_model *m, const lrk_projection *p)
{
    static const char *const names[] = {"gate_proj", "up_proj", "down_proj"};
    const char *name = lrk_last_name(p->path);
    for (size_t i = 0; i < 3; i++)
        if (m->decoder.experts.experts && !p->stack && strcmp(name, names[i]) == 0) return true;
    return false;
}

/* target_modules and target_parameters: a loader that finds none there falls back on a default of its own. Short
 * names ("q_proj") where every module of that name is adapted; else the whole path of each module. */
static lrk_status name_targets(lrk_adapter *a, const lrk_model *m, lrk_err *err)
{
    const char **name, **parameter;
    size_t most = 0;
    bool whole = false, router = false;
    char room[LRK_NAME_MAX];
    for (size_t i = 0; i < m->n_adapted; i++) {
        most += lrk_adapter_parts(m->adapted[i]);
        if (!m->adapted[i]->parameter) whole |= has_plain_namesake(a, m, m->adapted[i]);
    }
    LRK_TRY(lrk_alloc(&a->arena, most, sizeof *name, "target modules", &name, err));
    LRK_TRY(lrk_alloc(&a->arena, most, sizeof *parameter, "target parameters", &parameter, err));
    for (size_t i = 0; i < m->n_adapted; i++) {
        const lrk_projection *p = m->adapted[i];
        for (size_t part = 0; part < lrk_adapter_parts(p) && (whole || part == 0); part++) {
            part_path(m, p, part, room);
            if (p->parameter) {
                LRK_TRY(add_name(a, parameter, &a->n_parameters, strstr(room, "mlp.experts."), err));
            } else if (named_as_experts(m, p)) {
                snprintf(room, sizeof room, "%s.weight", p->path);
                LRK_TRY(add_name(a, parameter, &a->n_parameters, room, err));
            } else {
                LRK_TRY(add_name(a, name, &a->n_targets, whole ? room : lrk_last_name(room), err));
            }
            router |= p->which == LRK_ROUTER;
        }
    }
    a->target = name;
    a->parameter = parameter;
    /* PEFT wants none beside a parameter, and takes a router for one; a file is for inference */
    if (a->n_parameters || router) a->dropout = 0.0;
    return LRK_OK;
}

/* Rows of B or M as a file has them. */
static lrk_status rows_out(lrk_arena *arena, lrk_device device, const lrk_projection *p, size_t width,
                           lrk_tensor *t, lrk_err *err)
{
    const void *there = t->data;
    LRK_TRY(lrk_alloc(arena, lrk_bytes(t), 1, p->path, &t->data, err));
    float *rows = lrk_heap_alloc(lrk_count(t), sizeof *rows);
    LRK_REQUIRE(err, rows, LRK_ENOMEM, "memory: no room for the adapter of %s", p->path);
    const lrk_status status = lrk_device_download(device, rows, there, lrk_bytes(t), err);
    if (status == LRK_OK) move_rows(p, width, true, rows, t->data);
    lrk_heap_free(rows);
    return status;
}

lrk_status lrk_adapter_copies(lrk_arena *arena, lrk_device device, const lrk_projection *p, size_t part,
                              lrk_tensor *a, lrk_tensor *b, lrk_tensor *m, lrk_err *err)
{
    narrow(p, part, a, b);
    const void *there = a->data;
    LRK_TRY(lrk_alloc(arena, lrk_bytes(a), 1, p->path, &a->data, err));
    LRK_TRY(lrk_device_download(device, a->data, there, lrk_bytes(a), err));
    LRK_TRY(rows_out(arena, device, p, p->rank, b, err));
    file_shape(p, b);
    return m->rank ? rows_out(arena, device, p, 1, m, err) : LRK_OK;
}

static lrk_status take_part(lrk_adapter *a, const lrk_model *m, const lrk_projection *p, size_t part,
                            lrk_err *err)
{
    char path[LRK_NAME_MAX];
    lrk_tensor first = p->a, second = p->b, third = p->m;
    LRK_TRY(lrk_adapter_copies(&a->arena, m->device, p, part, &first, &second, &third, err));
    if (p->a0.rank) {
        lrk_tensor a0 = p->a0, b0 = p->b0, none = {.rank = 0};
        LRK_TRY(lrk_adapter_copies(&a->arena, m->device, p, 0, &a0, &b0, &none, err));
        LRK_TRY(lrk_adapter_join(&a->arena, p->path, &first, &second, &a0, &b0, err));
    }
    const double alpha = p->a0.rank ? lrk_adapter_doubled(p->alpha, a->rslora) : p->alpha;
    part_path(m, p, part, path);
    const char *name = lrk_strdup(&a->arena, path);
    LRK_REQUIRE(err, name, LRK_ENOMEM, "memory: no room for the names of modules");
    if (p->parameter)
        a->stack[a->n_stacks++] = (lrk_adapter_stack){.path = name, .experts = p->stack, .a = first,
                                                      .b = second, .alpha = p->alpha, .scale = p->attr.scale};
    else
        a->module[a->n++] = (lrk_adapter_module){.path = name, .a = first, .b = second, .m = third,
                                                 .alpha = alpha, .scale = p->attr.scale};
    return LRK_OK;
}

lrk_status lrk_adapter_whole_copy(lrk_arena *arena, const lrk_model *m, lrk_tensor *t, lrk_err *err)
{
    const void *there = t->data;
    LRK_TRY(lrk_alloc(arena, lrk_bytes(t), 1, t->name, &t->data, err));
    return lrk_device_download(m->device, t->data, there, lrk_bytes(t), err);
}

/* A copy of the numbers of rows, which are the model's. */
static lrk_status keep_rows(lrk_adapter *a, const lrk_row_list *rows, lrk_row_list *out, lrk_err *err)
{
    int32_t *id;
    if (!rows->n) return LRK_OK;
    LRK_TRY(lrk_alloc(&a->arena, rows->n, sizeof *id, "rows that are trained", &id, err));
    memcpy(id, rows->id, rows->n * sizeof *id);
    *out = (lrk_row_list){id, rows->n};
    return LRK_OK;
}

/* The last name of each module, as PEFT's users write it. Of a tie that goes on it knows two names. */
static lrk_status take_whole(lrk_adapter *a, const lrk_model *m, lrk_err *err)
{
    const char **save;
    a->n_whole = a->n_save = 0;
    a->tied = m->as_one && !m->whole[0].rows.n; /* rows are as one without being asked to */
    LRK_TRY(lrk_alloc(&a->arena, LRK_ADAPTER_WHOLE, sizeof *save, "modules_to_save", &save, err));
    a->save = save;
    for (size_t i = 0; i < m->n_whole; i++) {
        lrk_tensor copy = m->whole[i].weight;
        LRK_TRY(lrk_adapter_whole_copy(&a->arena, m, &copy, err));
        lrk_adapter_whole *w = &a->whole[a->n_whole++];
        *w = (lrk_adapter_whole){.path = m->whole[i].path, .weight = copy};
        LRK_TRY(keep_rows(a, &m->whole[i].rows, &w->rows, err));
        const char *name = lrk_last_name(m->whole[i].path);
        const bool known = !a->tied || strcmp(name, "embed_tokens") == 0;
        if (!w->rows.n) save[a->n_save++] = known ? name : LRK_HEAD_PATH;
    }
    if (a->tied) a->whole[a->n_whole++] = (lrk_adapter_whole){.path = LRK_HEAD_PATH, .weight = a->whole[0].weight};
    return LRK_OK;
}

lrk_status lrk_adapter_from_model(lrk_adapter *a, const lrk_model *m, lrk_err *err)
{
    size_t parts = 0;
    a->n = a->n_stacks = a->n_targets = a->n_parameters = 0;
    LRK_TRY(name_targets(a, m, err));
    for (size_t i = 0; i < m->n_adapted; i++) parts += lrk_adapter_parts(m->adapted[i]);
    LRK_TRY(lrk_alloc(&a->arena, parts, sizeof *a->module, "adapter modules", &a->module, err));
    LRK_TRY(lrk_alloc(&a->arena, parts, sizeof *a->stack, "adapter modules", &a->stack, err));
    for (size_t i = 0; i < m->n_adapted; i++)
        for (size_t part = 0; part < lrk_adapter_parts(m->adapted[i]); part++)
            LRK_TRY(take_part(a, m, m->adapted[i], part, err));
    LRK_TRY(take_whole(a, m, err));
    return lrk_adapter_expand(a, err);
}
