/* checkpoint/adapter_gguf.c -- an adapter as a GGUF file.
 *
 * Facts: github.com/ggml-org/llama.cpp, convert_lora_to_gguf.py and src/llama-adapter.cpp. The
 * loader multiplies B*A by alpha / R, R taken from each B: so alpha is one for the file, and
 * whatever a module's scale needs beyond that goes into its B. Beside a tensor of all experts stand
 * A (E, R, in) and B (E, out, R), which it multiplies as it does the experts (build_lora_mm_id). */
#include "checkpoint/adapter.h"

#include "base/text.h"

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

/* Names of the matrix beside which the module stands; *expert: whose, or LRK_NO_EXPERT. The base may have the other one
 * of two names (lrk_adapter_find). */
static lrk_status name_of(const job *j, const lrk_adapter_module *m, char gguf[LRK_NAME_MAX],
                          char hf[LRK_NAME_MAX], int *expert, lrk_err *err)
{
    char half[LRK_NAME_MAX];
    lrk_tensor stored;
    const bool there = lrk_adapter_base_matrix(j->base, m->path, &stored);
    const int n = snprintf(hf, LRK_NAME_MAX, "%s%s", there ? stored.name : m->path, there ? "" : ".weight");
    LRK_REQUIRE(err, n > 0 && n < LRK_NAME_MAX, LRK_EINPUT, "module '%s': name too long", m->path);
    LRK_REQUIRE(err, !lrk_name_is_latent(hf, half, gguf), LRK_ESUPPORT,
                "module '%s': GGUF holds its matrix as two, which llama.cpp multiplies without adapters; merge the "
                "adapter instead",
                m->path);
    LRK_REQUIRE(err, lrk_name_to_gguf(j->arch, hf, gguf, expert), LRK_ESUPPORT,
                "module '%s' has no name in GGUF; merge the adapter instead", m->path);
    return LRK_OK;
}

/* The module of expert e beside that tensor, or NULL; *more: the base has such an expert. */
static const lrk_adapter_module *of_expert(const job *j, const char *gguf, int e, bool *more)
{
    char hf[LRK_NAME_MAX];
    bool experts;
    lrk_tensor stored;
    *more = lrk_name_to_hf(j->arch, gguf, e, hf, &experts) && lrk_weights_find(j->base, hf, &stored);
    if (!*more) return NULL;
    hf[strlen(hf) - (sizeof ".weight" - 1)] = '\0';
    return lrk_adapter_find(j->a, hf);
}

/* How many there are: all of them have an adapter, and one of the same rank as m. */
static lrk_status count_experts(const job *j, const lrk_adapter_module *m, const char *gguf, size_t *n, lrk_err *err)
{
    bool more;
    for (*n = 0;; ++*n) {
        const lrk_adapter_module *k = of_expert(j, gguf, (int)*n, &more);
        if (!more) return LRK_OK;
        LRK_REQUIRE(err, k && lrk_same_shape(&k->a, &m->a) && lrk_same_shape(&k->b, &m->b), LRK_ESUPPORT,
                    "module '%s' has an adapter, expert %zu beside it has none of that rank, and GGUF holds those of "
                    "all experts in one tensor; merge the adapter instead",
                    m->path, *n);
    }
}

/* Of each tensor of the file its modules: one, or those of all experts, which stand at that of expert 0. */
typedef struct part {
    char gguf[LRK_NAME_MAX], hf[LRK_NAME_MAX];
    size_t experts; /* 0: a matrix of its own */
    bool skip;      /* it is another expert's */
} part;

static lrk_status part_of(const job *j, const lrk_adapter_module *m, part *p, lrk_err *err)
{
    int expert = LRK_NO_EXPERT;
    *p = (part){.experts = 0};
    LRK_TRY(name_of(j, m, p->gguf, p->hf, &expert, err));
    if (expert == LRK_NO_EXPERT) return LRK_OK;
    p->skip = expert > 0;
    return count_experts(j, m, p->gguf, &p->experts, err);
}

static const lrk_adapter_module *member(const job *j, const lrk_adapter_module *m, const part *p, size_t e)
{
    bool more;
    return p->experts ? of_expert(j, p->gguf, (int)e, &more) : m;
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
        const bool tied = !lrk_weights_find(j->base, lrk_name_of_head(lrk_weights_arch(j->base)), &head);
        const int role = lrk_adapter_role(path);
        LRK_REQUIRE(
            err, role != LRK_ADAPTER_EMBEDDING && (role != LRK_ADAPTER_HEAD || !tied),
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

static lrk_status declare_side(job *j, const part *p, const char *side, lrk_tensor t, lrk_err *err)
{
    char name[LRK_NAME_MAX];
    const int n = snprintf(name, sizeof name, "%.280s%s", p->gguf, side);
    LRK_REQUIRE(err, n > 0 && n < LRK_NAME_MAX, LRK_EINPUT, "tensor '%s': name too long", p->gguf);
    if (p->experts)
        t = (lrk_tensor){.dtype = LRK_F32, .rank = 3, .dim = {p->experts, t.dim[0], t.dim[1]}, .stride = t.dim[1]};
    return lrk_gguf_declare(j->w, name, &t, err);
}

static lrk_status declare(job *j, lrk_err *err)
{
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
        part p;
        LRK_TRY(part_of(j, m, &p, err));
        if (p.skip) continue;
        LRK_TRY(declare_side(j, &p, ".lora_a", m->a, err));
        LRK_TRY(declare_side(j, &p, ".lora_b", m->b, err));
    }
    return LRK_OK;
}

/* B row by row: permuted where the base's GGUF is, times what one alpha cannot say. */
static lrk_status write_b(job *j, const lrk_adapter_module *m, const char *hf, float *row, lrk_err *err)
{
    const size_t rank = m->b.dim[1], rows = m->b.dim[0];
    const double factor = m->scale * (double)rank / j->alpha;
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

static lrk_status write_pair(job *j, const lrk_adapter_module *m, float *row, lrk_err *err)
{
    part p;
    LRK_TRY(part_of(j, m, &p, err));
    const size_t n = p.experts ? p.experts : 1;
    for (size_t e = 0; e < n && !p.skip; e++) {
        const lrk_adapter_module *k = member(j, m, &p, e);
        LRK_TRY(lrk_gguf_write(j->w, k->a.data, lrk_bytes(&k->a), err));
    }
    for (size_t e = 0; e < n && !p.skip; e++) LRK_TRY(write_b(j, member(j, m, &p, e), p.hf, row, err));
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
    for (size_t i = 0; i < j->a->n && status == LRK_OK; i++) status = write_pair(j, &j->a->module[i], row, err);
    lrk_heap_free(row);
    return status == LRK_OK ? lrk_gguf_commit(j->w, err) : status;
}

lrk_status lrk_adapter_save_gguf(const lrk_adapter *a, const lrk_weights *base, const lrk_adapter_extra *extra,
                                 const char *path, lrk_err *err)
{
    job j = {.a = a, .base = base};
    LRK_TRY(lrk_gguf_create(&j.w, err));
    if (extra) lrk_gguf_put_files(j.w, extra->file, extra->n);
    if (extra && extra->origin) lrk_gguf_put_origin(j.w, extra->origin);
    const lrk_status status = write_file(&j, path, err);
    lrk_gguf_writer_close(j.w);
    return status;
}
