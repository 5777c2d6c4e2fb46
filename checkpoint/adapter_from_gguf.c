/* checkpoint/adapter_from_gguf.c -- an adapter out of a GGUF file.
 *
 * Facts: github.com/ggml-org/llama.cpp, src/llama-adapter.cpp: a pair of tensors for each matrix, A
 * (R, in) and B (out, R), times alpha / R, or 1 where alpha is 0. A file of our own has the PEFT
 * configuration beside that, and gives back what it was made from. */
#include "checkpoint/adapter_targets.h"

#include "base/quant.h"
#include "base/size.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG = 1 << 20, MAX_RANK = 65536, MAX_EXPERTS = 4096 };

typedef struct source {
    lrk_adapter *a;
    lrk_gguf g;
    const lrk_weights *base;
    const lrk_arch *arch;
    size_t head_dim;
    double alpha; /* of the file */
} source;

static lrk_status check_kind(source *s, lrk_err *err)
{
    const char *type = NULL, *kind = NULL, *arch = NULL;
    lrk_arena *a = &s->a->arena;
    LRK_TRY(lrk_gguf_opt_string(&s->g, "general.type", a, &type, err));
    LRK_TRY(lrk_gguf_opt_string(&s->g, "adapter.type", a, &kind, err));
    LRK_TRY(lrk_gguf_opt_string(&s->g, "general.architecture", a, &arch, err));
    LRK_REQUIRE(err, kind || (type && strcmp(type, "model") != 0), LRK_EINPUT,
                "%s: no LoRA adapter but a model; name it with --model", s->g.path);
    LRK_REQUIRE(err, type && strcmp(type, "adapter") == 0 && kind && strcmp(kind, "lora") == 0,
                LRK_EINPUT, "%s: no LoRA adapter: general.type is '%.40s', adapter.type '%.40s'",
                s->g.path, type ? type : "", kind ? kind : "");
    LRK_REQUIRE(err, s->arch, LRK_ESUPPORT, "%s: its architecture has no GGUF form here",
                lrk_weights_path(s->base));
    LRK_REQUIRE(err, arch && strcmp(arch, s->arch->gguf) == 0, LRK_EINPUT,
                "an adapter for another base: %s is for architecture '%.40s', %s is %s", s->g.path,
                arch ? arch : "", lrk_weights_path(s->base), s->arch->gguf);
    LRK_REQUIRE(err, !lrk_gguf_find(&s->g, "adapter.alora.invocation_tokens"), LRK_ESUPPORT,
                "%s: an adapter that certain tokens switch on is not supported", s->g.path);
    LRK_TRY(lrk_gguf_opt_real(&s->g, "adapter.lora.alpha", &s->alpha, err));
    LRK_REQUIRE(err, s->alpha >= 0 && s->alpha <= 1e6, LRK_EINPUT,
                "%s: adapter.lora.alpha is %g, expected a number from 0 on", s->g.path, s->alpha);
    return LRK_OK;
}

/* The PEFT configuration of a file of our own, into a; *there: it has one. */
static lrk_status own_config(source *s, bool *there, lrk_err *err)
{
    const lrk_gguf_kv *kv = lrk_gguf_find(&s->g, LRK_KEY_ADAPTER_CONFIG);
    const lrk_gguf_kv *notes = lrk_gguf_find(&s->g, LRK_KEY_ADAPTER_NOTES);
    size_t n;
    *there = kv != NULL;
    if (!kv) return LRK_OK;
    LRK_REQUIRE(err, !kv->array && kv->type == LRK_GGUF_STRING && kv->raw_bytes <= MAX_CONFIG,
                LRK_EINPUT, "%s: key '%s': expected a string", s->g.path, kv->key);
    const char *text = lrk_gguf_string(kv, 0, &n);
    lrk_arena_free(&s->a->arena);
    LRK_TRY(lrk_adapter_parse_config(s->a, text, n, s->g.path, err));
    if (!notes || notes->array || notes->type != LRK_GGUF_STRING) return LRK_OK;
    text = lrk_gguf_string(notes, 0, &n);
    return lrk_json_parse(&s->a->notes, text, n, s->g.path, err);
}

/* Names of the matrix beside which a tensor stands, of expert 0 where it is all experts'. */
static lrk_status name_of(const source *s, const char *tensor, char gguf[LRK_NAME_MAX], char hf[LRK_NAME_MAX],
                          bool *experts, lrk_err *err)
{
    const size_t n = strlen(tensor) - (sizeof ".lora_a" - 1);
    snprintf(gguf, LRK_NAME_MAX, "%.*s", (int)n, tensor);
    LRK_REQUIRE(err, lrk_name_to_hf(s->arch, gguf, 0, hf, experts) && lrk_ends_with(hf, ".weight"),
                LRK_ESUPPORT, "%s: tensor '%s' is not known for architecture %s", s->g.path, tensor,
                s->arch->gguf);
    LRK_REQUIRE(err, strcmp(gguf, "token_embd.weight") != 0, LRK_ESUPPORT,
                "%s: tensor '%s': an adapter of the embedding is not supported", s->g.path, tensor);
    return LRK_OK;
}

/* Rows of the file to f32, in Hugging Face's order, times a factor. */
static lrk_status read_matrix(source *s, const lrk_tensor *src, const lrk_order *order, double factor,
                              lrk_tensor *out, lrk_err *err)
{
    const size_t rows = src->dim[0], cols = src->dim[1];
    *out = lrk_mat(LRK_F32, rows, cols);
    out->name = lrk_strdup(&s->a->arena, src->name);
    LRK_REQUIRE(err, out->name, LRK_ENOMEM, "memory: no room for tensor names");
    LRK_REQUIRE(err, src->dtype != LRK_I32 && src->dtype != LRK_I64 && src->dtype != LRK_U8,
                LRK_EINPUT, "%s: tensor '%s' holds whole numbers", s->g.path, src->name);
    LRK_REQUIRE(err, lrk_order_fits(order), LRK_ESHAPE,
                "%s: tensor '%s': %zu rows are no whole number of heads of %zu", s->g.path,
                src->name, rows, s->head_dim);
    LRK_TRY(lrk_alloc(&s->a->arena, rows * cols, sizeof(float), src->name, &out->data, err));
    for (size_t r = 0; r < rows; r++) {
        float *to = lrk_row(out, r);
        lrk_to_f32(src->dtype, lrk_row(src, lrk_order_gguf_row(order, r)), cols, to);
        for (size_t c = 0; c < cols && fabs(factor - 1) > 0x1p-23; c++) /* alpha was rounded to f32 */
            to[c] = (float)((double)to[c] * factor);
    }
    return lrk_err_prefix(err, lrk_weights_check_finite(out, err), "%s", s->g.path);
}

/* What B is multiplied by so that the module's scale is what a PEFT configuration says. */
static lrk_status scale_of(source *s, lrk_adapter_module *m, size_t rank, bool own, double *factor,
                           lrk_err *err)
{
    const double file = s->alpha > 0 ? s->alpha / (double)rank : 1;
    size_t said = rank;
    m->alpha = s->a->alpha;
    char stack[LRK_NAME_MAX];
    const bool stacked = own && lrk_adapter_stack_of(s->a, m->path, stack, NULL, NULL);
    if (own) LRK_TRY(lrk_adapter_of_module(s->a, stacked ? stack : m->path, &said, &m->alpha, err));
    LRK_REQUIRE(err, said == rank, LRK_ESHAPE,
                "%s: module '%s' has rank %zu, its configuration says %zu", s->g.path, m->path,
                rank, said);
    m->scale = lrk_adapter_scale(s->a, rank, m->alpha);
    *factor = file / m->scale;
    return LRK_OK;
}

/* The module. Mixtral's router has another name in transformers 5, where it is a parameter to PEFT. */
static void path_of(const source *s, const char *hf, bool own, char out[LRK_NAME_MAX])
{
    static const char router[] = ".block_sparse_moe.gate.weight";
    char other[LRK_NAME_MAX];
    const size_t n = strlen(hf);
    snprintf(other, sizeof other, "%.*s.mlp.gate.weight", (int)(n - lrk_min(n, sizeof router - 1)), hf);
    const bool renamed = own && lrk_ends_with(hf, router) && lrk_adapter_names_parameter(s->a, other);
    const char *name = renamed ? other : hf;
    snprintf(out, LRK_NAME_MAX, "%.*s", (int)(strlen(name) - (sizeof ".weight" - 1)), name);
}

static lrk_status add_module(source *s, const lrk_tensor *a, const lrk_tensor *b, const char *hf, bool own,
                             lrk_err *err)
{
    lrk_adapter_module *m = &s->a->module[s->a->n];
    char path[LRK_NAME_MAX];
    double factor;
    path_of(s, hf, own, path);
    m->path = lrk_strdup(&s->a->arena, path);
    LRK_REQUIRE(err, m->path, LRK_ENOMEM, "memory: no room for module names");
    LRK_TRY(scale_of(s, m, a->dim[0], own, &factor, err));
    const lrk_order same = {.kind = LRK_ORDER_SAME}, order = lrk_order_of(s->arch, hf, s->head_dim, b->dim[0]);
    LRK_TRY(read_matrix(s, a, &same, 1, &m->a, err));
    LRK_TRY(read_matrix(s, b, &order, factor, &m->b, err));
    s->a->n++;
    return LRK_OK;
}

static lrk_status read_pair(source *s, const lrk_gguf_info *info, bool own, lrk_err *err)
{
    char gguf[LRK_NAME_MAX], hf[LRK_NAME_MAX], other[LRK_NAME_MAX];
    bool experts = false;
    LRK_TRY(name_of(s, info->name, gguf, hf, &experts, err));
    snprintf(other, sizeof other, "%.*sb", (int)strlen(info->name) - 1, info->name);
    const lrk_gguf_info *second = lrk_gguf_tensor(&s->g, other);
    LRK_REQUIRE(err, second, LRK_EINPUT, "%s: '%s' is missing, its lora_a is there", s->g.path, other);
    const lrk_tensor a = lrk_gguf_view(&s->g, info), b = lrk_gguf_view(&s->g, second);
    const int k = experts ? 1 : 0; /* where rows are */
    LRK_REQUIRE(err, a.rank == 2 + k && b.rank == a.rank && (!k || a.dim[0] == b.dim[0]) && a.dim[k] == b.dim[k + 1] &&
                         a.dim[k] <= MAX_RANK && (!k || a.dim[0] <= MAX_EXPERTS),
                LRK_ESHAPE, "%s: '%s' and '%s' do not multiply", s->g.path, info->name, other);
    if (!experts) return add_module(s, &a, &b, hf, own, err);
    for (size_t e = 0; e < a.dim[0]; e++) {
        const lrk_tensor x = lrk_expert_part(&a, e), y = lrk_expert_part(&b, e);
        (void)lrk_name_to_hf(s->arch, gguf, (int)e, hf, &experts);
        LRK_TRY(add_module(s, &x, &y, hf, own, err));
    }
    return LRK_OK;
}

/* Room for the modules of all pairs. */
static lrk_status take_room(source *s, lrk_err *err)
{
    size_t room = 0;
    for (size_t i = 0; i < s->g.n_tensors; i++) {
        const lrk_gguf_info *t = &s->g.tensor[i];
        room += t->rank == 3 && t->dim[0] <= MAX_EXPERTS ? t->dim[0] : 1;
    }
    return lrk_alloc(&s->a->arena, room, sizeof *s->a->module, "adapter modules", &s->a->module, err);
}

/* Rank and alpha where no configuration says them: those of the first module, alpha a whole number,
 * as PEFT wants it. */
static lrk_status guess_config(source *s, lrk_err *err)
{
    for (size_t i = 0; i < s->g.n_tensors && !s->a->rank; i++)
        if (lrk_ends_with(s->g.tensor[i].name, ".lora_a")) s->a->rank = s->g.tensor[i].dim[s->g.tensor[i].rank == 3];
    LRK_REQUIRE(err, s->a->rank && s->a->rank <= MAX_RANK, LRK_EINPUT, "%s: no adapter inside",
                s->g.path);
    s->a->alpha = s->alpha > 0 ? fmax(round(s->alpha), 1) : (double)s->a->rank;
    return LRK_OK;
}

/* target_modules: the last names of all paths, each once. */
static lrk_status guess_targets(source *s, lrk_err *err)
{
    const char **list;
    size_t n = 0;
    LRK_TRY(lrk_alloc(&s->a->arena, s->a->n, sizeof *list, "target modules", &list, err));
    for (size_t i = 0; i < s->a->n; i++) {
        const char *name = lrk_last_name(s->a->module[i].path);
        size_t k = 0;
        while (k < n && strcmp(list[k], name) != 0) k++;
        if (k == n) list[n++] = name;
    }
    s->a->target = list;
    s->a->n_targets = n;
    return LRK_OK;
}

static int by_path(const void *x, const void *y)
{
    return strcmp(((const lrk_adapter_module *)x)->path, ((const lrk_adapter_module *)y)->path);
}

static lrk_status read_file(source *s, lrk_err *err)
{
    bool own;
    LRK_TRY(check_kind(s, err));
    LRK_TRY(own_config(s, &own, err));
    s->a->part = lrk_weights_outer(s->base) != NULL;
    if (!own) LRK_TRY(guess_config(s, err));
    LRK_TRY(take_room(s, err));
    size_t first = 0, second = 0;
    for (size_t i = 0; i < s->g.n_tensors; i++) {
        const lrk_gguf_info *info = &s->g.tensor[i];
        if (lrk_ends_with(info->name, ".lora_b")) {
            second++;
            continue;
        }
        LRK_REQUIRE(err, lrk_ends_with(info->name, ".lora_a"), LRK_ESUPPORT,
                    "%s: tensor '%s' is neither lora_a nor lora_b", s->g.path, info->name);
        LRK_TRY(read_pair(s, info, own, err));
        first++;
    }
    LRK_REQUIRE(err, first && second == first, LRK_EINPUT, "%s: %zu lora_b but %zu lora_a", s->g.path, second, first);
    if (own) LRK_TRY(lrk_err_prefix(err, lrk_adapter_gather(s->a, err), "%s", s->g.path));
    qsort(s->a->module, s->a->n, sizeof *s->a->module, by_path);
    return own ? LRK_OK : guess_targets(s, err);
}

lrk_status lrk_adapter_load_gguf(lrk_adapter *a, const char *path, const lrk_weights *base,
                                 lrk_err *err)
{
    source s = {.a = a,
                .base = base,
                .arch = lrk_weights_arch(base),
                .head_dim = lrk_weights_head_dim(base)};
    *a = (lrk_adapter){.arena = lrk_arena_growing("adapter")};
    lrk_status status = lrk_gguf_open(&s.g, path, err);
    if (status == LRK_OK) status = read_file(&s, err);
    lrk_gguf_close(&s.g);
    if (status != LRK_OK) lrk_adapter_free(a);
    return status;
}
