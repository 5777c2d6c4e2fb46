/* checkpoint/merge_image.c -- which tensor takes which module; the file out, and its ledger. */
#include "checkpoint/merge_image.h"

#include "base/log.h"
#include "base/size.h"
#include "checkpoint/merge_tensor.h"

#include <stdio.h>
#include <string.h>

/* Weights of the base by part and flat name, in its own manner and in the original's. */
typedef struct image_index {
    lrk_lookup own, original;
} image_index;

typedef struct image_job {
    const lrk_image_adapter *adapter;
    const lrk_image_merge *how;
    const lrk_safetensors *base;
    image_index index;
    const lrk_adapter_module **third; /* of each tensor of the file, those that are for a third of its rows */
    lrk_tensor *shape; /* of each tensor of the file, to declare: items are matrices */
    lrk_merge_job merge;
} image_job;

/* The text encoders of a checkpoint may have the same names: the part stands in front. */
static void key_of(lrk_image_part part, const char *flat, char key[LRK_FLAT_MAX + 1])
{
    snprintf(key, LRK_FLAT_MAX + 1, "%u%s", (unsigned)part, flat);
}

static size_t find(const lrk_lookup *l, lrk_image_part part, const char *flat)
{
    char key[LRK_FLAT_MAX + 1];
    key_of(part, flat, key);
    return lrk_lookup_find(l, key);
}

static lrk_status add_name(lrk_lookup *l, lrk_image_part part, const char *flat, size_t at, lrk_arena *a, lrk_err *err)
{
    char key[LRK_FLAT_MAX + 1];
    key_of(part, flat, key);
    l->row[l->n] = (lrk_lookup_row){lrk_strdup(a, key), at};
    LRK_REQUIRE(err, l->row[l->n++].name, LRK_ENOMEM, "memory: no room for names of the base");
    return LRK_OK;
}

static lrk_status index_base(image_job *job, lrk_err *err)
{
    static const char ending[] = "weight"; /* behind a dot, or of "in_proj_weight" */
    const lrk_safetensors *s = job->base;
    image_index *x = &job->index;
    lrk_arena *a = &job->merge.arena;
    LRK_TRY(lrk_alloc(a, s->n, sizeof *x->own.row, "names of the base", &x->own.row, err));
    LRK_TRY(lrk_alloc(a, s->n, sizeof *x->original.row, "names of the base", &x->original.row, err));
    for (size_t i = 0; i < s->n; i++) {
        const lrk_st_entry *e = &s->entry[i];
        const size_t n = strlen(e->name), k = sizeof ending - 1;
        char flat[LRK_FLAT_MAX], original[LRK_FLAT_MAX];
        lrk_image_part part;
        if (n <= k + 1 || strcmp(e->name + n - k, ending) != 0 || e->rank < 2) continue;
        if (!lrk_image_flat(e->name, n - k - 1, false, &part, flat) || part == LRK_IMAGE_OTHER) continue;
        lrk_image_original(flat, original);
        LRK_TRY(add_name(&x->own, part, flat, i, a, err));
        LRK_TRY(add_name(&x->original, part, original, i, a, err));
    }
    const char *twice = lrk_lookup_sort(&x->own);
    LRK_REQUIRE(err, !twice, LRK_EINPUT, "%s: two weights are '%s' where dots are underscores", s->path,
                twice ? twice + 1 : "");
    if (lrk_lookup_sort(&x->original)) x->original.n = 0; /* not laid out as the original's levels are */
    return LRK_OK;
}

static size_t target_in(const image_index *x, lrk_image_part part, const char *flat, size_t *third)
{
    char original[LRK_FLAT_MAX];
    size_t at = find(&x->own, part, flat);
    *third = LRK_IMAGE_THIRDS;
    if (at == (size_t)-1) {
        lrk_image_original(flat, original);
        at = find(&x->original, part, original);
    }
    if (at == (size_t)-1 && lrk_image_third(flat, original, third)) at = find(&x->own, part, original);
    return at;
}

/* The tensor that a module is for, or (size_t)-1; third: of its rows, LRK_IMAGE_THIRDS: all of them. Where the base or
 * the adapter does not say the part, any will do. */
static size_t target_of(const image_index *x, const lrk_image_module *m, size_t *third)
{
    size_t at = (size_t)-1;
    for (lrk_image_part p = LRK_IMAGE_ANY; p < LRK_IMAGE_OTHER && at == (size_t)-1; p++)
        if (p == LRK_IMAGE_ANY || m->part == LRK_IMAGE_ANY || p == m->part) at = target_in(x, p, m->flat, third);
    return at;
}

static bool is_float(lrk_dtype t) { return t == LRK_F32 || t == LRK_F16 || t == LRK_BF16; }

/* parts: of the item's rows, the module being for one of them. taken: by another module, or NULL */
static lrk_status check_fit(const lrk_merge_item *item, const lrk_adapter_module *m, size_t parts,
                            const lrk_adapter_module *taken, lrk_err *err)
{
    LRK_REQUIRE(err, is_float(item->src.dtype), LRK_ESUPPORT,
                "tensor '%s' is %s; an adapter merges into f32, f16 and bf16", item->name,
                lrk_dtype_name(item->src.dtype));
    LRK_REQUIRE(err, parts * m->b.dim[0] == item->src.dim[0] && m->a.dim[1] == item->src.dim[1], LRK_ESHAPE,
                "module '%s' changes %zu x %zu elements, tensor '%s' has %zu x %zu%s: an adapter for another model",
                m->path, m->b.dim[0], m->a.dim[1], item->name, item->src.dim[0], item->src.dim[1],
                parts > 1 ? " for queries, keys and values" : "");
    LRK_REQUIRE(err, !taken, LRK_EINPUT,
                "modules '%s' and '%s' are both for tensor '%s'; where the file is one part of a model, say which with "
                "--part",
                taken->path, m->path, item->name);
    return LRK_OK;
}

/* Modules for thirds of a tensor as one for all of it: A one below the other, B with zeros elsewhere. */
static lrk_status join_thirds(image_job *job, const lrk_adapter_module *const third[LRK_IMAGE_THIRDS],
                              lrk_merge_item *item, lrk_err *err)
{
    lrk_arena *arena = &job->merge.arena;
    lrk_adapter_module *m;
    size_t R = 0, r = 0;
    for (size_t i = 0; i < LRK_IMAGE_THIRDS; i++) R += third[i] ? third[i]->b.dim[1] : 0;
    LRK_TRY(lrk_alloc(arena, 1, sizeof *m, item->name, &m, err));
    *m = (lrk_adapter_module){.path = item->name, .alpha = (double)R, .scale = 1.0,
                              .a = lrk_mat(LRK_F32, R, item->src.dim[1]), .b = lrk_mat(LRK_F32, item->src.dim[0], R)};
    LRK_TRY(lrk_alloc(arena, lrk_count(&m->a), sizeof(float), item->name, &m->a.data, err));
    LRK_TRY(lrk_alloc(arena, lrk_count(&m->b), sizeof(float), item->name, &m->b.data, err));
    memset(m->b.data, 0, lrk_bytes(&m->b));
    for (size_t i = 0; i < LRK_IMAGE_THIRDS; i++) {
        if (!third[i]) continue;
        const size_t rows = third[i]->b.dim[0], rank = third[i]->b.dim[1];
        memcpy(lrk_row(&m->a, r), third[i]->a.data, lrk_bytes(&third[i]->a));
        for (size_t o = 0; o < rows; o++)
            for (size_t k = 0; k < rank; k++)
                ((float *)lrk_row(&m->b, i * rows + o))[r + k] =
                    (float)(third[i]->scale * (double)((const float *)lrk_row(&third[i]->b, o))[k]);
        r += rank;
    }
    item->module = m;
    return LRK_OK;
}

/* What the modules of assign come to, tensor by tensor. */
static lrk_status settle(image_job *job, lrk_err *err)
{
    for (size_t at = 0; at < job->merge.n; at++) {
        lrk_merge_item *item = &job->merge.item[at];
        const lrk_adapter_module *const *third = &job->third[LRK_IMAGE_THIRDS * at];
        const lrk_adapter_module *any = third[0] ? third[0] : third[1] ? third[1] : third[2];
        LRK_REQUIRE(err, !any || !item->module, LRK_EINPUT, "modules '%s' and '%s' are both for tensor '%s'",
                    item->module->path, any->path, item->name);
        if (any) LRK_TRY(join_thirds(job, third, item, err));
        if (!item->module) continue;
        item->may_stay = true;
        job->merge.report->merged++;
    }
    return LRK_OK;
}

static lrk_status assign(image_job *job, lrk_err *err)
{
    const char *first = NULL;
    size_t missing = 0;
    bool trained = false;
    for (size_t i = 0; i < job->adapter->n; i++) {
        const lrk_image_module *m = &job->adapter->module[i];
        if (job->how->part && m->part != job->how->part) continue;
        size_t third;
        const size_t at = target_of(&job->index, m, &third);
        if (at == (size_t)-1) {
            first = first ? first : m->m.path;
            missing++;
            continue;
        }
        lrk_merge_item *item = &job->merge.item[at];
        const bool all = third == LRK_IMAGE_THIRDS;
        const lrk_adapter_module **place = all ? &item->module : &job->third[LRK_IMAGE_THIRDS * at + third];
        LRK_TRY(check_fit(item, &m->m, all ? 1 : LRK_IMAGE_THIRDS, *place, err));
        *place = &m->m;
        trained = trained || !lrk_merge_is_zero(&m->m);
    }
    LRK_REQUIRE(err, !missing, LRK_EINPUT,
                "%s: has no tensor for %zu modules of the adapter, the first is '%s'; --part unet, text_encoder or "
                "text_encoder_2 merges the modules of that part alone",
                job->base->path, missing, first);
    LRK_TRY(settle(job, err));
    LRK_REQUIRE(err, job->merge.report->merged, LRK_EINPUT, "the adapter has no module for %s",
                lrk_image_part_name(job->how->part));
    LRK_REQUIRE(err, trained, LRK_ENUMERIC, "merging changed nothing: every lora_up is zero; is the adapter trained?");
    return LRK_OK;
}

/* Every tensor as a matrix, as stored. */
static lrk_status list_items(image_job *job, lrk_err *err)
{
    lrk_merge_job *m = &job->merge;
    m->n = job->base->n;
    LRK_TRY(lrk_alloc(&m->arena, m->n + 1, sizeof *m->item, "merge plan", &m->item, err));
    LRK_TRY(lrk_alloc(&m->arena, m->n + 1, sizeof *job->shape, "merge plan", &job->shape, err));
    LRK_TRY(lrk_alloc(&m->arena, LRK_IMAGE_THIRDS * (m->n + 1), sizeof *job->third, "merge plan", &job->third, err));
    for (size_t i = 0; i < m->n; i++) {
        lrk_merge_item *item = &m->item[i];
        lrk_tensor *t = &job->shape[i];
        LRK_TRY(lrk_st_view(job->base, &job->base->entry[i], t, err));
        const size_t n = lrk_count(t), rows = t->rank && t->dim[0] ? t->dim[0] : 1;
        *item = (lrk_merge_item){.name = t->name, .out_name = t->name, .src = lrk_mat(t->dtype, rows, n / rows)};
        item->src.name = t->name;
        item->src.data = t->data;
        item->out = lrk_like(&item->src);
    }
    return LRK_OK;
}

static lrk_status plan(image_job *job, lrk_err *err)
{
    lrk_merge_job *m = &job->merge;
    LRK_TRY(list_items(job, err));
    LRK_TRY(index_base(job, err));
    LRK_TRY(assign(job, err));
    for (size_t i = 0; i < m->n; i++) {
        if (job->how->type && is_float(m->item[i].src.dtype)) m->item[i].out.dtype = job->how->type->dtype;
        job->shape[i].dtype = m->item[i].out.dtype;
        m->report->bytes += lrk_bytes(&m->item[i].out);
    }
    m->report->carried = m->n - m->report->merged;
    m->report->files = 1;
    return LRK_OK;
}

/* Stays as it is, byte by byte. */
static bool carried(const lrk_merge_item *item)
{
    return !item->module && item->src.dtype == item->out.dtype;
}

static lrk_status copy_metadata(const image_job *job, lrk_st_writer *w, lrk_err *err)
{
    lrk_json *of = job->base->metadata;
    for (void *i = of ? lrk_json_begin(of) : NULL; i; i = lrk_json_next(of, i)) {
        size_t n;
        const char *key = lrk_json_key(i, &n);
        const bool ours = strncmp(key, LRK_GGUF_FILE, sizeof LRK_GGUF_FILE - 1) == 0;
        if (strcmp(key, "format") != 0 && !strstr(key, "hash") && !ours)
            LRK_TRY(lrk_st_note(w, key, lrk_json_string(lrk_json_value(i), NULL), err));
    }
    for (size_t i = 0; i < job->how->n_extra; i++) {
        char key[LRK_ST_MAX_NAME];
        snprintf(key, sizeof key, LRK_GGUF_FILE "%s", job->how->extra[i].name);
        LRK_TRY(lrk_st_note(w, key, job->how->extra[i].text, err));
    }
    return LRK_OK;
}

static lrk_status write_file(image_job *job, lrk_st_writer *w, lrk_err *err)
{
    LRK_TRY(copy_metadata(job, w, err));
    for (size_t i = 0; i < job->merge.n; i++)
        LRK_TRY(lrk_st_declare(w, job->merge.item[i].name, &job->shape[i], err));
    LRK_TRY(lrk_st_begin(w, job->how->out, err));
    for (const char *next; (next = lrk_st_next(w));) {
        const lrk_merge_item *item = &job->merge.item[lrk_lookup_find(&job->base->lookup, next)];
        if (carried(item))
            LRK_TRY(lrk_st_write(w, item->src.data, lrk_bytes(&item->src), err));
        else
            LRK_TRY(lrk_merge_to_safetensors(&job->merge, item, w, err));
    }
    return lrk_st_commit(w, err);
}

/* A tensor that was written, as its item has it. */
static lrk_status verify_one(const image_job *job, const lrk_safetensors *s, const lrk_st_entry *e, lrk_err *err)
{
    lrk_tensor t;
    const size_t at = lrk_lookup_find(&job->base->lookup, e->name);
    LRK_REQUIRE(err, at < job->merge.n, LRK_EIO,
                "tensor '%s' was written under another name: the device may be failing", e->name);
    const lrk_merge_item *item = &job->merge.item[at];
    LRK_TRY(lrk_st_view(s, e, &t, err));
    t.rank = 2;
    t.dim[0] = item->out.dim[0];
    t.dim[1] = t.stride = item->out.dim[1];
    if (!carried(item)) return lrk_merge_verify(&job->merge, item, &t, err);
    const size_t bytes = lrk_bytes(&item->src);
    LRK_REQUIRE(err, e->end - e->begin == bytes && memcmp(t.data, item->src.data, bytes) == 0, LRK_EIO,
                "tensor '%s' was not written as it stands in the base: the device may be failing", item->name);
    return LRK_OK;
}

static lrk_status verify(const image_job *job, lrk_err *err)
{
    lrk_safetensors s;
    LRK_TRY(lrk_st_open(&s, job->how->out, err));
    lrk_status status = LRK_OK;
    if (s.n != job->merge.n)
        status = lrk_fail(err, LRK_EIO, "%s: %zu tensors were written, expected %zu", s.path, s.n, job->merge.n);
    for (size_t i = 0; i < s.n && status == LRK_OK; i++) status = verify_one(job, &s, &s.entry[i], err);
    lrk_st_close(&s);
    return status;
}

static lrk_status run(image_job *job, lrk_err *err)
{
    lrk_st_writer *w = NULL;
    LRK_TRY(plan(job, err));
    LRK_TRY(lrk_st_create(&w, err));
    lrk_status status = write_file(job, w, err);
    lrk_st_writer_close(w);
    lrk_log_line_end();
    if (status != LRK_OK) return status;
    status = verify(job, err);
    if (status != LRK_OK) (void)lrk_remove(job->how->out, NULL);
    return status;
}

lrk_status lrk_merge_image(const lrk_image_adapter *a, const lrk_image_merge *how, lrk_merge_report *report,
                           lrk_err *err)
{
    *report = (lrk_merge_report){0};
    LRK_REQUIRE(err, !lrk_is_file(how->out) && !lrk_is_dir(how->out), LRK_EUSAGE,
                "%s: exists already; remove it or name another file", how->out);
    LRK_REQUIRE(err, !how->type || !lrk_dtype_quantized(how->type->dtype), LRK_EUSAGE,
                "%s: a safetensors file can hold f32, f16 and bf16", how->type->name);
    image_job job = {.adapter = a, .how = how, .base = how->base,
                     .merge = {.report = report, .arena = lrk_arena_growing("merge")}};
    lrk_status status = run(&job, err);
    if (status == LRK_ENUMERIC) lrk_err_prefix(err, status, "%s", how->base->path);
    lrk_arena_free(&job.merge.arena);
    return status;
}
