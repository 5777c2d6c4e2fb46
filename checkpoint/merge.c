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
    for (size_t i = 0; i < lrk_weights_count(base); i++)
        if (lrk_weights_at(base, i)->rank > 1) seen[lrk_weights_at(base, i)->dtype] = true;
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
    if (o->gguf && item->out.rank < 2) return LRK_F32;
    if (o->gguf && o->type)
        return lrk_file_type_choose(o->type, facts, item->out_name, value, lrk_cols(&item->src));
    if (o->type)
        t = o->type->dtype;
    else if (from_gguf && !o->gguf)
        t = common_type(job->base);
    else if (lrk_dtype_quantized(stored) && item->module)
        t = LRK_F16;
    /* a row that is no whole number of blocks */
    return lrk_cols(&item->src) % lrk_dtype_block(t) ? LRK_F16 : t;
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
    f.experts = config_size(job, "num_local_experts", config_size(job, "num_experts", 0));
    for (size_t i = 0; i < job->n; i++) {
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

static lrk_status plan_types(lrk_merge_job *job, lrk_err *err)
{
    const lrk_file_facts facts = facts_of(job);
    for (size_t i = 0; i < job->n; i++) {
        lrk_merge_item *item = &job->item[i];
        const lrk_dtype stored = item->src.dtype;
        size_t before = 0;
        for (size_t k = 0; k < job->n && lrk_file_type_values(item->out_name); k++)
            if (lrk_file_type_values(job->item[k].out_name))
                before += layer_of(job->item[k].out_name) < layer_of(item->out_name);
        item->out.dtype = type_of(job, item, &facts, before);
        const bool integer = stored == LRK_I32 || stored == LRK_I64 || stored == LRK_U8;
        LRK_REQUIRE(err,
                    !integer && (lrk_can_quantize(item->out.dtype) || item->out.dtype == stored),
                    LRK_ESUPPORT, "tensor '%s' cannot be written as %s", item->name,
                    lrk_dtype_name(item->out.dtype));
        job->report->bytes += lrk_bytes(&item->out);
    }
    return LRK_OK;
}

/* The order of rows of q and k, on both sides. */
static lrk_status plan_rows(const lrk_merge_job *job, lrk_merge_item *item, lrk_err *err)
{
    bool query;
    const lrk_tensor *src = &item->src;
    if (!lrk_name_is_qk(item->name, &query)) return LRK_OK;
    const lrk_json *classes = lrk_json_get(lrk_weights_config(job->base), "architectures");
    const char *class = lrk_json_string(lrk_json_at(classes, 0), NULL);
    const lrk_arch *arch = class ? lrk_arch_from_hf(class) : NULL;
    const bool wanted = job->options->gguf && arch && arch->permuted_qk;
    item->base_permuted = lrk_weights_permuted_qk(job->base);
    item->head_dim = lrk_weights_head_dim(job->base);
    if (item->base_permuted != wanted) item->order = wanted ? LRK_ROWS_TO_GGUF : LRK_ROWS_TO_HF;
    if (!wanted && !item->base_permuted) return LRK_OK;
    const size_t rows = src->rank == 1 ? lrk_cols(src) : lrk_rows(src);
    LRK_REQUIRE(err, item->head_dim && item->head_dim % 2 == 0 && rows % item->head_dim == 0,
                LRK_EINPUT, "tensor '%s': %zu rows are no whole number of heads of %zu", item->name,
                rows, item->head_dim);
    /* the elements of a bias are permuted: rows of one element */
    if (src->rank == 1) {
        item->src.rank = 2;
        item->src.dim[1] = 1;
        item->src.stride = 1;
    }
    return LRK_OK;
}

static lrk_status plan_item(lrk_merge_job *job, const lrk_tensor *src, lrk_err *err)
{
    lrk_merge_item *item = &job->item[job->n++];
    char path[LRK_NAME_MAX], gguf[LRK_NAME_MAX];
    const size_t n = strlen(src->name), w = sizeof ".weight" - 1;
    *item = (lrk_merge_item){.name = src->name, .out_name = src->name, .src = *src};
    if (job->adapter && n > w && n < sizeof path && strcmp(src->name + n - w, ".weight") == 0) {
        memcpy(path, src->name, n - w);
        path[n - w] = '\0';
        item->module = lrk_adapter_find(job->adapter, path);
    }
    item->out = lrk_like(src);
    LRK_TRY(plan_rows(job, item, err));
    if (!job->options->gguf) return LRK_OK;
    LRK_REQUIRE(err, lrk_name_to_gguf(src->name, gguf), LRK_ESUPPORT,
                "tensor '%s' has no name in GGUF", src->name);
    item->out_name = lrk_strdup(&job->arena, gguf);
    LRK_REQUIRE(err, item->out_name, LRK_ENOMEM, "memory: no room for tensor names");
    return LRK_OK;
}

/* Half of the ledger: who is used, and how often. */
static lrk_status plan(lrk_merge_job *job, lrk_err *err)
{
    const size_t n = lrk_weights_count(job->base);
    LRK_TRY(lrk_alloc(&job->arena, n, sizeof *job->item, "merge plan", &job->item, err));
    LRK_TRY(lrk_alloc(&job->arena, MAX_FILES, sizeof *job->made, "list of files", &job->made, err));
    for (size_t i = 0; i < n; i++) {
        const lrk_tensor *src = lrk_weights_at(job->base, i);
        /* a directory says in config.json what this tensor says */
        if (!job->options->gguf && strcmp(src->name, "rope_freqs") == 0) continue;
        LRK_TRY(plan_item(job, src, err));
        const lrk_merge_item *item = &job->item[job->n - 1];
        if (item->module)
            job->report->merged++;
        else
            job->report->carried++;
    }
    LRK_REQUIRE(err, !job->adapter || job->report->merged == job->adapter->n, LRK_EINPUT,
                "%zu modules of the adapter, but %zu tensors of the base take one",
                job->adapter ? job->adapter->n : 0, job->report->merged);
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
