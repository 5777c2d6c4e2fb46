/* checkpoint/adapter_gguf.c -- an adapter as a GGUF file.
 *
 * Facts: github.com/ggml-org/llama.cpp, convert_lora_to_gguf.py and src/llama-adapter.cpp. The
 * loader multiplies B*A by alpha / R, R taken from each B: so alpha is one for the file, and
 * whatever a module's scale needs beyond that goes into its B. */
#include "checkpoint/adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct job {
    const lrk_adapter *a;
    const lrk_weights *base;
    lrk_gguf_writer *w;
    const lrk_arch *arch;
    size_t head_dim;
    double alpha; /* of the file */
} job;

static lrk_status find_arch(job *j, lrk_err *err)
{
    char known[LRK_ARCH_LIST];
    const lrk_json *classes = lrk_json_get(lrk_weights_config(j->base), "architectures");
    const char *name = lrk_json_string(lrk_json_at(classes, 0), NULL);
    lrk_arch_list(known, false);
    j->arch = name ? lrk_arch_from_hf(name) : NULL;
    j->head_dim = lrk_weights_head_dim(j->base);
    LRK_REQUIRE(err, j->arch, LRK_ESUPPORT,
                "%s: architecture '%.60s' has no GGUF form here; known are %s",
                lrk_weights_path(j->base), name ? name : "(none)", known);
    return LRK_OK;
}

static lrk_status name_of(const job *j, const lrk_adapter_module *m, const char *side,
                          char out[LRK_NAME_MAX], char hf[LRK_NAME_MAX], lrk_err *err)
{
    char gguf[LRK_NAME_MAX], half[LRK_NAME_MAX];
    int expert = LRK_NO_EXPERT;
    const int n = snprintf(hf, LRK_NAME_MAX, "%s.weight", m->path);
    LRK_REQUIRE(err, n > 0 && n < LRK_NAME_MAX, LRK_EINPUT, "module '%s': name too long", m->path);
    LRK_REQUIRE(err, !lrk_name_is_latent(hf, half, gguf), LRK_ESUPPORT,
                "module '%s': GGUF holds its matrix as two, which llama.cpp multiplies without adapters; merge the "
                "adapter instead",
                m->path);
    LRK_REQUIRE(err, !strstr(m->path, ".experts."), LRK_ESUPPORT,
                "module '%s': GGUF holds all experts of a layer in one tensor, beside which this program writes no "
                "adapter; merge the adapter instead",
                m->path);
    LRK_REQUIRE(err, lrk_name_to_gguf(j->arch, hf, gguf, &expert), LRK_ESUPPORT,
                "module '%s' has no name in GGUF; merge the adapter instead", m->path);
    const int k = snprintf(out, LRK_NAME_MAX, "%.280s%s", gguf, side);
    LRK_REQUIRE(err, k > 0 && k < LRK_NAME_MAX, LRK_EINPUT, "module '%s': name too long", m->path);
    return LRK_OK;
}

static lrk_status check_modules(const job *j, lrk_err *err)
{
    LRK_REQUIRE(err, !j->a->dora, LRK_ESUPPORT,
                "a GGUF adapter cannot hold the magnitudes of use_dora; merge the adapter instead");
    const lrk_adapter_whole *own = j->a->n_whole ? &j->a->whole[0] : NULL;
    LRK_REQUIRE(err, !own, LRK_ESUPPORT, "a GGUF adapter cannot hold %s '%s' %s; merge the adapter instead",
                own->rows.n ? "rows of" : "the", own->path,
                own->rows.n ? "(trainable_token_indices)" : "whole (modules_to_save)");
    for (size_t i = 0; i < j->a->n; i++) {
        const char *path = j->a->module[i].path;
        lrk_tensor head;
        const bool tied = !lrk_weights_find(j->base, "lm_head.weight", &head);
        LRK_REQUIRE(
            err, strcmp(path, "model.embed_tokens") != 0 && (strcmp(path, "lm_head") != 0 || !tied),
            LRK_ESUPPORT,
            "module '%s': a GGUF adapter cannot change the embedding or a head that is tied "
            "to it; merge the adapter instead",
            path);
    }
    return LRK_OK;
}

/* What the way back needs. */
static lrk_status put_config(job *j, lrk_err *err)
{
    lrk_buf b = {0};
    lrk_status status = lrk_adapter_config_text(j->a, &b, err);
    if (status == LRK_OK) lrk_gguf_put_string(j->w, LRK_KEY_ADAPTER_CONFIG, b.data, b.n);
    b.n = 0;
    if (status == LRK_OK && j->a->notes) {
        status = lrk_json_dump(j->a->notes, 0, &b, err);
        if (status == LRK_OK) lrk_gguf_put_string(j->w, LRK_KEY_ADAPTER_NOTES, b.data, b.n);
    }
    lrk_buf_free(&b);
    return status;
}

static lrk_status declare(job *j, lrk_err *err)
{
    char name[LRK_NAME_MAX], hf[LRK_NAME_MAX];
    const char *noted = lrk_json_string(lrk_json_get(j->a->notes, LRK_NOTE_BASE), NULL);
    lrk_gguf_put_string(j->w, "general.type", "adapter", 7);
    lrk_gguf_put_string(j->w, "general.architecture", j->arch->gguf, strlen(j->arch->gguf));
    lrk_gguf_put_u32(j->w, "general.file_type", 0);
    lrk_gguf_put_u32(j->w, "general.quantization_version", 2);
    lrk_gguf_put_string(j->w, "adapter.type", "lora", 4);
    lrk_gguf_put_f32(j->w, "adapter.lora.alpha", (float)j->alpha);
    if (noted) lrk_gguf_put_string(j->w, LRK_NOTE_BASE, noted, strlen(noted));
    LRK_TRY(put_config(j, err));
    for (size_t i = 0; i < j->a->n; i++) {
        const lrk_adapter_module *m = &j->a->module[i];
        LRK_TRY(name_of(j, m, ".lora_a", name, hf, err));
        LRK_TRY(lrk_gguf_declare(j->w, name, &m->a, err));
        LRK_TRY(name_of(j, m, ".lora_b", name, hf, err));
        LRK_TRY(lrk_gguf_declare(j->w, name, &m->b, err));
    }
    return LRK_OK;
}

/* B row by row: permuted where the base's GGUF is, times what one alpha cannot say. */
static lrk_status write_b(job *j, const lrk_adapter_module *m, float *row, lrk_err *err)
{
    char name[LRK_NAME_MAX], hf[LRK_NAME_MAX];
    const size_t rank = m->b.dim[1], rows = m->b.dim[0];
    const double factor = m->scale * (double)rank / j->alpha;
    LRK_TRY(name_of(j, m, "", name, hf, err));
    const lrk_order order = lrk_order_of(j->arch, hf, j->head_dim, rows);
    LRK_REQUIRE(err, lrk_order_fits(&order), LRK_ESHAPE,
                "module '%s': %zu rows are no whole number of heads of %zu", m->path, rows,
                j->head_dim);
    for (size_t r = 0; r < rows; r++) {
        const float *src = lrk_row(&m->b, lrk_order_hf_row(&order, r));
        for (size_t k = 0; k < rank; k++)
            row[k] = fabs(factor - 1) < 1e-12 ? src[k] : (float)((double)src[k] * factor);
        LRK_TRY(lrk_gguf_write(j->w, row, rank * sizeof *row, err));
    }
    return LRK_OK;
}

static lrk_status write_file(job *j, const char *path, lrk_err *err)
{
    size_t widest = 0;
    LRK_TRY(find_arch(j, err));
    LRK_TRY(check_modules(j, err));
    const lrk_adapter_module *first = &j->a->module[0];
    j->alpha = first->scale * (double)first->b.dim[1];
    LRK_TRY(declare(j, err));
    LRK_TRY(lrk_gguf_begin(j->w, path, err));
    for (size_t i = 0; i < j->a->n; i++)
        if (j->a->module[i].b.dim[1] > widest) widest = j->a->module[i].b.dim[1];
    float *row = lrk_heap_alloc(widest, sizeof *row);
    LRK_REQUIRE(err, row, LRK_ENOMEM, "memory: no room for a row");
    lrk_status status = LRK_OK;
    for (size_t i = 0; i < j->a->n && status == LRK_OK; i++) {
        const lrk_adapter_module *m = &j->a->module[i];
        status = lrk_gguf_write(j->w, m->a.data, lrk_bytes(&m->a), err);
        if (status == LRK_OK) status = write_b(j, m, row, err);
    }
    lrk_heap_free(row);
    return status == LRK_OK ? lrk_gguf_commit(j->w, err) : status;
}

lrk_status lrk_adapter_save_gguf(const lrk_adapter *a, const lrk_weights *base,
                                 const lrk_merge_file *extra, size_t n_extra, const char *path,
                                 lrk_err *err)
{
    job j = {.a = a, .base = base};
    LRK_TRY(lrk_gguf_create(&j.w, err));
    lrk_gguf_put_files(j.w, extra, n_extra);
    const lrk_status status = write_file(&j, path, err);
    lrk_gguf_writer_close(j.w);
    return status;
}
