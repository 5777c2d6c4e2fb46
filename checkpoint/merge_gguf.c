/* checkpoint/merge_gguf.c -- a merged model as a GGUF file. */
#include "checkpoint/gguf_target.h"
#include "checkpoint/merge_tensor.h"

#include "base/log.h"
#include "base/size.h"
#include "base/text.h"

#include <string.h>

/* general.file_type: as asked for, or that of most elements of matrices. */
static uint32_t file_type(const lrk_merge_job *job)
{
    size_t elements[LRK_DTYPE_COUNT] = {0}, most = 0;
    uint32_t id = 0;
    if (job->options->type) return job->options->type->id;
    for (size_t i = 0; i < job->n; i++)
        if (job->item[i].out.rank > 1)
            elements[job->item[i].out.dtype] += lrk_count(&job->item[i].out);
    for (int t = 0; t < LRK_DTYPE_COUNT; t++) {
        const lrk_file_type *f = lrk_file_type_of((lrk_dtype)t);
        if (!f || elements[t] <= most) continue;
        most = elements[t];
        id = f->id;
    }
    return id;
}

/* What is written in place of a key of the base: extra files, all variants of the chat template, and what another
 * tokenizer says. */
static bool replaced(const lrk_merge_options *o, const char *key)
{
    static const char template[] = "tokenizer.chat_template";
    static const char tokenizer[] = "tokenizer.";
    bool is = (o->chat_template && strncmp(key, template, sizeof template - 1) == 0) ||
              (o->text && strncmp(key, tokenizer, sizeof tokenizer - 1) == 0);
    for (size_t i = 0; i < o->n_extra && strncmp(key, LRK_GGUF_FILE, sizeof LRK_GGUF_FILE - 1) == 0; i++)
        is = is || strcmp(key + sizeof LRK_GGUF_FILE - 1, o->extra[i].name) == 0;
    return is;
}

/* The keys of the base byte for byte, but those that describe the file. */
static void copy_keys(const lrk_merge_job *job, size_t rows, lrk_gguf_writer *w)
{
    const char *template = job->options->chat_template;
    static const char *const own[] = {"general.file_type", "general.quantization_version",
                                      "general.alignment", "split.no",
                                      "split.count",       "split.tensors.count"};
    const lrk_gguf *g = lrk_weights_gguf(job->base);
    for (size_t i = 0; i < g->n_kv; i++) {
        bool skip = replaced(job->options, g->kv[i].key);
        for (size_t k = 0; k < sizeof own / sizeof own[0]; k++)
            skip = skip || strcmp(g->kv[i].key, own[k]) == 0;
        if (lrk_weights_has_grown(job->base) && lrk_ends_with(g->kv[i].key, ".vocab_size")) {
            lrk_gguf_put_u32(w, g->kv[i].key, (uint32_t)rows);
            continue;
        }
        if (!skip) lrk_gguf_put_copy(w, &g->kv[i]);
    }
    if (template && !job->options->text) lrk_gguf_put_string(w, "tokenizer.chat_template", template, strlen(template));
}

static lrk_status put_keys(const lrk_merge_job *job, lrk_gguf_writer *w, lrk_err *err)
{
    lrk_tensor embedding;
    const lrk_merge_text *text = job->options->text;
    const char *name = lrk_name_of_embedding(lrk_weights_arch(job->base));
    LRK_REQUIRE(err, lrk_weights_find(job->base, name, &embedding), LRK_EINPUT, "%s: %s is missing",
                lrk_weights_path(job->base), name);
    if (lrk_weights_gguf(job->base))
        copy_keys(job, lrk_rows(&embedding), w);
    else
        LRK_TRY(lrk_gguf_put_config(w, job->base, job->options->origin, err));
    if (text) LRK_TRY(text->put(text->ctx, w, lrk_rows(&embedding), err));
    lrk_gguf_put_files(w, job->options->extra, job->options->n_extra);
    lrk_gguf_put_u32(w, "general.file_type", file_type(job));
    lrk_gguf_put_u32(w, "general.quantization_version", 2);
    return LRK_OK;
}

static lrk_status to_file(void *ctx, const void *data, size_t n, lrk_err *err)
{
    return lrk_gguf_write(ctx, data, n, err);
}

static lrk_status verify(const lrk_merge_job *job, lrk_err *err)
{
    lrk_gguf g;
    LRK_TRY(lrk_gguf_open(&g, job->options->out, err));
    lrk_status status = LRK_OK;
    for (size_t i = 0; i < job->n && status == LRK_OK; i++) {
        const lrk_merge_item *item = &job->item[i];
        const lrk_tensor t = lrk_gguf_view(&g, lrk_gguf_tensor(&g, item->out_name));
        const lrk_tensor part = item->parts ? lrk_expert_part(&t, item->part) : t;
        status = lrk_merge_verify(job, item, &part, err);
    }
    lrk_gguf_close(&g);
    return status;
}

/* What is a list in config.json and a tensor in GGUF. */
typedef struct derived {
    const char *name;
    float number[LRK_MAX_HALF_HEAD];
    size_t n; /* 0: the model has none */
} derived;

enum { DERIVED = 3 };

static lrk_status derive(const lrk_merge_job *job, derived d[DERIVED], lrk_err *err)
{
    const lrk_json *config = lrk_weights_config(job->base);
    const lrk_arch *arch = lrk_weights_arch(job->base);
    const size_t head_dim = lrk_weights_head_dim(job->base);
    const lrk_gguf *g = lrk_weights_gguf(job->base);
    d[0].name = "rope_freqs.weight"; /* of a GGUF base it is among the tensors */
    d[1].name = "rope_factors_long.weight";
    d[2].name = "rope_factors_short.weight";
    if (!g) LRK_TRY(lrk_llama3_factors(config, head_dim, d[0].number, &d[0].n, err));
    LRK_TRY(lrk_longrope_factors(config, arch, "long_factor", d[1].number, &d[1].n, err));
    return lrk_longrope_factors(config, arch, "short_factor", d[2].number, &d[2].n, err);
}

static lrk_status declare(const lrk_merge_job *job, const derived d[DERIVED], lrk_gguf_writer *w,
                          lrk_err *err)
{
    for (int i = 0; i < DERIVED; i++) {
        const lrk_tensor t = lrk_vec(LRK_F32, d[i].n);
        if (d[i].n) LRK_TRY(lrk_gguf_declare(w, d[i].name, &t, err));
    }
    for (size_t i = 0; i < job->n; i++) {
        const lrk_merge_item *item = &job->item[i];
        lrk_tensor t = item->out;
        if (item->part) continue;
        if (item->parts) {
            t.rank = 3;
            t.dim[2] = t.dim[1];
            t.dim[1] = t.dim[0];
            t.dim[0] = item->parts;
        }
        LRK_TRY(lrk_gguf_declare(w, item->out_name, &t, err));
    }
    return LRK_OK;
}

static lrk_status write_file(lrk_merge_job *job, lrk_gguf_writer *w, lrk_err *err)
{
    derived d[DERIVED] = {{.n = 0}};
    const bool own_head = lrk_merge_item_find(job, "output.weight") != NULL;
    LRK_TRY(lrk_gguf_check_head(lrk_weights_arch(job->base), own_head, lrk_weights_path(job->base), err));
    LRK_TRY(put_keys(job, w, err));
    LRK_TRY(derive(job, d, err));
    LRK_TRY(declare(job, d, w, err));
    LRK_TRY(lrk_merge_made(job, job->options->out, err));
    LRK_TRY(lrk_gguf_begin(w, job->options->out, err));
    for (int i = 0; i < DERIVED; i++)
        if (d[i].n) LRK_TRY(lrk_gguf_write(w, d[i].number, d[i].n * sizeof *d[i].number, err));
    for (size_t i = 0; i < job->n; i++)
        LRK_TRY(lrk_merge_stream(job, &job->item[i], to_file, w, err));
    return lrk_gguf_commit(w, err);
}

lrk_status lrk_merge_write_gguf(lrk_merge_job *job, lrk_err *err)
{
    lrk_gguf_writer *w = NULL;
    size_t beside;
    (void)lrk_weights_beside(job->base, &beside);
    if (beside)
        lrk_note("%s: holds the language model; the %zu tensors for images are left out", job->options->out, beside);
    LRK_TRY(lrk_gguf_create(&w, err));
    lrk_status status = write_file(job, w, err);
    lrk_gguf_writer_close(w);
    if (status == LRK_OK) status = verify(job, err);
    job->report->files = 1;
    return status;
}
