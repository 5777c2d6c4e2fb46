/* checkpoint/merge.c -- what becomes of every tensor, the ledger, and the way back. */
#include "checkpoint/merge_tensor.h"

#include "base/log.h"
#include "base/quant.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 8192 };

/* The type for all of a directory that is made from a GGUF file. */
static lrk_dtype common_type(const lrk_weights *base)
{
    bool seen[LRK_DTYPE_COUNT] = {false};
    const lrk_gguf *g = lrk_weights_gguf(base);
    for (size_t i = 0; i < g->n_tensors; i++)
        if (g->tensor[i].rank > 1 && !lrk_name_is_router(g->tensor[i].name))
            seen[g->tensor[i].dtype] = true;
    for (int t = 0; t < LRK_DTYPE_COUNT; t++)
        if (lrk_dtype_quantized((lrk_dtype)t) && seen[t]) return LRK_F16;
    return seen[LRK_F32] ? LRK_F32 : seen[LRK_BF16] ? LRK_BF16 : LRK_F16;
}

/* value: see lrk_file_type_choose. */
static lrk_dtype type_of(const lrk_merge_job *job, const lrk_merge_item *item,
                         const lrk_file_facts *facts, size_t value)
{
    const lrk_merge_options *o = job->options;
    const bool from_gguf = lrk_weights_source(job->base) == LRK_WEIGHTS_GGUF;
    const lrk_dtype stored = item->src.dtype;
    lrk_dtype t = stored;
    if (item->beside) return stored;
    if (o->gguf && (item->out.rank < 2 || lrk_name_is_router(item->out_name))) return LRK_F32;
    if (o->gguf && o->type)
        return lrk_file_type_choose(o->type, facts, item->out_name, value, lrk_cols(&item->out));
    if (o->type)
        t = o->type->dtype;
    else if (from_gguf && !o->gguf)
        t = common_type(job->base);
    else if (lrk_dtype_quantized(stored) && (item->module || item->whole))
        t = LRK_F16;
    /* a row that is no whole number of blocks */
    return lrk_cols(&item->out) % lrk_dtype_block(t) ? LRK_F16 : t;
}

static size_t config_size(const lrk_merge_job *job, const char *key, size_t otherwise)
{
    size_t v = otherwise;
    (void)lrk_json_opt_size(lrk_weights_config(job->base), key, 0, SIZE_MAX / 2, &v, "", NULL);
    return v;
}

static lrk_file_facts facts_of(const lrk_merge_job *job)
{
    lrk_file_facts f = {.layers = config_size(job, "num_hidden_layers", 0),
                        .heads = config_size(job, "num_attention_heads", 0),
                        .tied = true};
    f.key_heads = config_size(job, "num_key_value_heads", f.heads);
    const lrk_arch *arch = lrk_weights_arch(job->base);
    if (arch && arch->experts)
        f.experts = config_size(job, arch->experts, config_size(job, "num_local_experts", 0));
    for (size_t i = 0; i < job->n; i++) {
        if (job->item[i].part) continue;
        if (lrk_file_type_values(job->item[i].out_name)) f.values++;
        if (strcmp(job->item[i].out_name, "output.weight") == 0) f.tied = false;
    }
    return f;
}

/* blk.7.x: 7 */
static size_t layer_of(const char *name)
{
    return strncmp(name, "blk.", 4) == 0 ? strtoul(name + 4, NULL, 10) : 0;
}

/* Parts of a tensor of experts have one type: where they would not, the one of those that an
 * adapter lands on. */
static void agree(lrk_merge_job *job)
{
    for (size_t i = 0; i < job->n;) {
        const lrk_merge_item *first = &job->item[i];
        const size_t n = first->parts ? first->parts : 1;
        lrk_dtype t = first->out.dtype;
        for (size_t k = 1; k < n; k++)
            if (job->item[i + k].module) t = job->item[i + k].out.dtype;
        for (size_t k = 0; k < n; k++) job->item[i + k].out.dtype = t;
        i += n;
    }
}

static lrk_status plan_types(lrk_merge_job *job, lrk_err *err)
{
    const lrk_file_facts facts = facts_of(job);
    for (size_t i = 0; i < job->n; i++) {
        lrk_merge_item *item = &job->item[i];
        size_t before = 0;
        for (size_t k = 0; k < job->n && lrk_file_type_values(item->out_name); k++)
            if (lrk_file_type_values(job->item[k].out_name))
                before += layer_of(job->item[k].out_name) < layer_of(item->out_name);
        item->out.dtype = type_of(job, item, &facts, before);
    }
    agree(job);
    for (size_t i = 0; i < job->n; i++) {
        const lrk_merge_item *item = &job->item[i];
        const lrk_dtype stored = item->src.dtype;
        const bool integer = stored == LRK_I32 || stored == LRK_I64 || stored == LRK_U8;
        LRK_REQUIRE(err,
                    !integer && (lrk_can_quantize(item->out.dtype) || item->out.dtype == stored),
                    LRK_ESUPPORT, "%s: tensor '%s' is %s and cannot be written as %s",
                    lrk_weights_path(job->base), item->name, lrk_dtype_name(stored),
                    lrk_dtype_name(item->out.dtype));
        job->report->bytes += lrk_bytes(&item->out);
    }
    return LRK_OK;
}

/* The order of rows on both sides. */
static lrk_status plan_rows(const lrk_merge_job *job, lrk_merge_item *item, lrk_err *err)
{
    const lrk_tensor *src = &item->src;
    const size_t rows = src->rank == 1 ? lrk_cols(src) : lrk_rows(src);
    const bool wanted = job->options->gguf, there = lrk_weights_source(job->base) == LRK_WEIGHTS_GGUF;
    item->rows = lrk_order_of(lrk_weights_arch(job->base), item->name, lrk_weights_head_dim(job->base), rows);
    if (item->rows.kind == LRK_ORDER_SAME || (!wanted && !there)) return LRK_OK;
    item->base_permuted = there;
    if (there != wanted) item->order = wanted ? LRK_ROWS_TO_GGUF : LRK_ROWS_TO_HF;
    LRK_REQUIRE(err, lrk_order_fits(&item->rows), LRK_EINPUT,
                "tensor '%s': %zu rows are no whole number of heads of %zu", item->name, rows, item->rows.head);
    /* the elements of a bias are permuted: rows of one element */
    if (src->rank == 1) {
        item->src.rank = 2;
        item->src.dim[1] = 1;
        item->src.stride = 1;
    }
    return LRK_OK;
}

static lrk_status out_name(lrk_merge_job *job, lrk_merge_item *item, const char *name, lrk_err *err)
{
    item->out_name = lrk_strdup(&job->arena, name);
    LRK_REQUIRE(err, item->out_name, LRK_ENOMEM, "memory: no room for tensor names");
    return LRK_OK;
}

/* One half of kv_b_proj. A half that is stored as such, and that no adapter changes, stays. */
static lrk_status plan_half(lrk_merge_job *job, lrk_merge_item *item, const char *name, bool keys,
                            lrk_err *err)
{
    const size_t rank = lrk_cols(&item->src), plain = config_size(job, "qk_nope_head_dim", 0);
    const size_t D = plain + config_size(job, "v_head_dim", 0), rows = lrk_rows(&item->src);
    const lrk_gguf *g = lrk_weights_gguf(job->base);
    const lrk_gguf_info *stored = g ? lrk_gguf_tensor(g, name) : NULL;
    LRK_REQUIRE(err, plain && D > plain && rows % D == 0, LRK_ESHAPE,
                "tensor '%s': %zu rows are no whole number of heads of %zu", item->name, rows, D);
    LRK_TRY(out_name(job, item, name, err));
    item->out.rank = 3;
    item->out.dim[0] = rows / D;
    item->out.dim[1] = keys ? rank : D - plain;
    item->out.dim[2] = item->out.stride = keys ? plain : rank;
    if (stored && !item->module) {
        item->src = lrk_gguf_view(g, stored);
        item->src.name = item->name;
        return LRK_OK;
    }
    item->order = keys ? LRK_ROWS_KEYS : LRK_ROWS_VALUES;
    item->head_dim = D;
    item->first_row = plain;
    return LRK_OK;
}

/* Where the item goes in GGUF; kv_b_proj takes the next item too. */
static lrk_status plan_gguf(lrk_merge_job *job, lrk_merge_item *item, lrk_err *err)
{
    const lrk_arch *arch = lrk_weights_arch(job->base);
    char gguf[LRK_NAME_MAX], values[LRK_NAME_MAX];
    int expert = LRK_NO_EXPERT;
    const char *class = lrk_json_string(lrk_json_at(lrk_json_get(lrk_weights_config(job->base), "architectures"), 0),
                                        NULL);
    LRK_REQUIRE(err, arch, LRK_ESUPPORT,
                "%s: %s cannot be written as GGUF here: what its tensors are called there is not known; write a "
                "Hugging Face directory",
                lrk_weights_path(job->base), class ? class : "a model without architecture");
    if (lrk_name_is_latent(item->name, gguf, values)) {
        lrk_merge_item *second = &job->item[job->n++];
        *second = *item;
        LRK_TRY(plan_half(job, item, gguf, true, err));
        return plan_half(job, second, values, false, err);
    }
    LRK_REQUIRE(err, lrk_name_to_gguf(arch, item->name, gguf, &expert), LRK_ESUPPORT,
                "tensor '%s' has no name in GGUF of architecture %s", item->name, arch->gguf);
    if (expert != LRK_NO_EXPERT) {
        item->part = (size_t)expert;
        item->parts = config_size(job, arch->experts, config_size(job, "num_local_experts", 0));
        LRK_REQUIRE(err, item->src.rank == 2 && item->part < item->parts, LRK_EINPUT,
                    "tensor '%s': the model has %zu experts", item->name, item->parts);
    }
    return out_name(job, item, gguf, err);
}

static lrk_status plan_item(lrk_merge_job *job, const lrk_tensor *src, lrk_err *err)
{
    lrk_merge_item *item = &job->item[job->n++];
    const lrk_arch *arch = lrk_weights_arch(job->base);
    const bool from_gguf = lrk_weights_source(job->base) == LRK_WEIGHTS_GGUF;
    char path[LRK_NAME_MAX];
    const size_t n = strlen(src->name), w = sizeof ".weight" - 1;
    *item = (lrk_merge_item){.name = src->name, .out_name = src->name, .src = *src};
    if (job->adapter && n > w && n < sizeof path && strcmp(src->name + n - w, ".weight") == 0) {
        memcpy(path, src->name, n - w);
        path[n - w] = '\0';
        item->module = lrk_adapter_find(job->adapter, path);
        const int role = lrk_adapter_role(path);
        item->whole = role < 0 ? NULL : lrk_adapter_whole_of(job->adapter, role);
    }
    item->out = lrk_like(src);
    if (arch && arch->norm_plus_one && from_gguf != job->options->gguf &&
        lrk_name_is_norm(src->name))
        item->shift = from_gguf ? -1.0f : 1.0f;
    LRK_TRY(plan_rows(job, item, err));
    return job->options->gguf ? plan_gguf(job, item, err) : LRK_OK;
}

/* What stands beside the language model goes along as it is; GGUF has the language model alone. */
static lrk_status plan_beside(lrk_merge_job *job, lrk_err *err)
{
    size_t n;
    const lrk_tensor *beside = lrk_weights_beside(job->base, &n);
    if (!lrk_weights_outer(job->base) || job->options->gguf) return LRK_OK;
    for (size_t i = 0; i < job->n; i++) {
        char stored[LRK_NAME_MAX];
        lrk_weights_stored_name(job->base, job->item[i].name, stored);
        LRK_TRY(out_name(job, &job->item[i], stored, err));
    }
    for (size_t i = 0; i < n; i++) {
        job->item[job->n++] = (lrk_merge_item){.name = beside[i].name, .out_name = beside[i].name, .src = beside[i],
                                               .out = lrk_like(&beside[i]), .beside = true};
        job->report->carried++;
    }
    return LRK_OK;
}

/* By tensor of the file, its parts in order. */
static int by_place(const void *a, const void *b)
{
    const lrk_merge_item *x = a, *y = b;
    const int order = strcmp(x->out_name, y->out_name);
    return order ? order : (x->part > y->part) - (x->part < y->part);
}

/* Every tensor of experts is complete. */
static lrk_status check_parts(const lrk_merge_job *job, lrk_err *err)
{
    for (size_t i = 0; i < job->n; i++) {
        const lrk_merge_item *item = &job->item[i], *first = item - item->part;
        if (!item->parts) continue;
        const bool last = i + 1 == job->n || strcmp(item[1].out_name, item->out_name) != 0;
        LRK_REQUIRE(err, item->part <= i && strcmp(first->out_name, item->out_name) == 0 &&
                             first->part == 0 && (!last || item->part + 1 == item->parts),
                    LRK_EINPUT, "tensor '%s': other experts of its layer are missing", item->name);
        LRK_REQUIRE(err, lrk_same_shape(&item->src, &first->src), LRK_ESHAPE,
                    "tensor '%s' has another shape than '%s'", item->name, first->name);
    }
    return LRK_OK;
}

static lrk_status plan_one(lrk_merge_job *job, const lrk_tensor *src, lrk_err *err)
{
    LRK_TRY(plan_item(job, src, err));
    const lrk_merge_item *item = &job->item[job->n - 1]; /* a half is as the other */
    if (item->module || item->whole)
        job->report->merged++;
    else
        job->report->carried++;
    return LRK_OK;
}

/* The head of a base that ties it, where the adapter parts the two: the embedding once more. */
static lrk_status plan_head(lrk_merge_job *job, size_t *wanted, lrk_err *err)
{
    lrk_tensor head;
    const lrk_adapter *a = job->adapter;
    const lrk_arch *arch = lrk_weights_arch(job->base);
    const char *embedding = lrk_name_of_embedding(arch), *name = lrk_name_of_head(arch);
    const bool tied = !lrk_weights_find(job->base, name, &head);
    *wanted = a ? a->n + a->n_whole : 0;
    if (!tied || (!job->untied && (!a || !a->n_whole))) return LRK_OK;
    if (!job->untied && lrk_adapter_as_one(a)) {
        *wanted = a->n + 1;
        return LRK_OK;
    }
    job->untied = true;
    LRK_REQUIRE(err, lrk_weights_find(job->base, embedding, &head), LRK_EINPUT, "%s: %s is missing",
                lrk_weights_path(job->base), embedding);
    head.name = name;
    return plan_one(job, &head, err);
}

/* Half of the ledger: who is used, and how often. */
static lrk_status plan(lrk_merge_job *job, lrk_err *err)
{
    const size_t n = lrk_weights_count(job->base);
    size_t wanted, beside;
    (void)lrk_weights_beside(job->base, &beside);
    LRK_TRY(lrk_alloc(&job->arena, 2 * (n + 1) + beside, sizeof *job->item, "merge plan", &job->item, err));
    LRK_TRY(lrk_alloc(&job->arena, MAX_FILES, sizeof *job->made, "list of files", &job->made, err));
    for (size_t i = 0; i < n; i++) {
        const lrk_tensor *src = lrk_weights_at(job->base, i);
        /* a directory says in config.json what this tensor says */
        if (!job->options->gguf && strcmp(src->name, "rope_freqs") == 0) continue;
        LRK_TRY(plan_one(job, src, err));
    }
    LRK_TRY(plan_head(job, &wanted, err));
    LRK_REQUIRE(err, job->report->merged == wanted, LRK_EINPUT,
                "%zu modules of the adapter, but %zu tensors of the base take one", wanted, job->report->merged);
    LRK_TRY(plan_beside(job, err));
    if (job->options->gguf) {
        qsort(job->item, job->n, sizeof *job->item, by_place);
        LRK_TRY(check_parts(job, err));
    }
    return plan_types(job, err);
}

const lrk_merge_item *lrk_merge_item_find(const lrk_merge_job *job, const char *out_name)
{
    for (size_t i = 0; i < job->n; i++)
        if (strcmp(job->item[i].out_name, out_name) == 0) return &job->item[i];
    return NULL;
}

lrk_status lrk_merge_made(lrk_merge_job *job, const char *path, lrk_err *err)
{
    LRK_REQUIRE(err, job->n_made < MAX_FILES, LRK_EVALUE, "more than %d files", MAX_FILES);
    job->made[job->n_made] = lrk_strdup(&job->arena, path);
    LRK_REQUIRE(err, job->made[job->n_made], LRK_ENOMEM, "memory: no room for a path");
    job->n_made++;
    return LRK_OK;
}

static lrk_status check_options(const lrk_merge_options *o, lrk_err *err)
{
    bool empty = true;
    LRK_REQUIRE(err, !o->type || o->gguf || !lrk_dtype_quantized(o->type->dtype), LRK_EUSAGE,
                "%s: a model directory can hold f32, f16 and bf16; write a GGUF file",
                o->type->name);
    if (o->gguf) {
        LRK_REQUIRE(err, !lrk_is_file(o->out) && !lrk_is_dir(o->out), LRK_EUSAGE,
                    "%s: exists already; remove it or name another file", o->out);
        return LRK_OK;
    }
    LRK_REQUIRE(err, !lrk_is_file(o->out), LRK_EUSAGE, "%s: is a file, expected a directory",
                o->out);
    LRK_TRY(lrk_dir_is_empty(o->out, &empty, err));
    LRK_REQUIRE(err, empty, LRK_EUSAGE,
                "%s: output directory not empty; remove it or name another one", o->out);
    return LRK_OK;
}

lrk_status lrk_merge_bytes(const lrk_weights *base, bool own_head, const lrk_merge_options *options, uint64_t *bytes,
                           lrk_err *err)
{
    lrk_merge_report report = {0};
    lrk_merge_job job = {.base = base, .options = options, .report = &report, .untied = own_head,
                         .arena = lrk_arena_growing("merge")};
    const lrk_status status = plan(&job, err);
    *bytes = report.bytes;
    lrk_arena_free(&job.arena);
    return status;
}

lrk_status lrk_merge(const lrk_weights *base, const lrk_adapter *adapter,
                     const lrk_merge_options *options, lrk_merge_report *report, lrk_err *err)
{
    lrk_merge_job job = {.base = base,
                         .adapter = adapter,
                         .options = options,
                         .report = report,
                         .arena = lrk_arena_growing("merge")};
    *report = (lrk_merge_report){0};
    LRK_TRY(check_options(options, err));
    if (adapter) LRK_TRY(lrk_adapter_check_plain(adapter, err));
    if (adapter) LRK_TRY(lrk_adapter_check_base(adapter, base, options->any_base, err));
    const bool made_directory = !options->gguf && !lrk_is_dir(options->out);
    lrk_status status = plan(&job, err);
    if (status == LRK_OK)
        status = options->gguf ? lrk_merge_write_gguf(&job, err) : lrk_merge_write_hf(&job, err);
    lrk_log_line_end();
    if (status == LRK_ENUMERIC) lrk_err_prefix(err, status, "%s", lrk_weights_path(base));
    if (status != LRK_OK) {
        for (size_t i = 0; i < job.n_made; i++) (void)lrk_remove(job.made[i], NULL);
        if (made_directory) (void)lrk_remove(options->out, NULL);
    }
    lrk_arena_free(&job.arena);
    return status;
}
