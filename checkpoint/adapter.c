/* checkpoint/adapter.c -- reading an adapter and holding it against a base. */
#include "checkpoint/adapter_targets.h"
#include "checkpoint/adapter_tokens.h"

#include "base/quant.h"
#include "checkpoint/text_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG = 1 << 20 };

static const char prefix[] = "base_model.model.";
static const char suffix_a[] = ".lora_A.weight";
static const char suffix_b[] = ".lora_B.weight";
static const char suffix_w[] = ".weight";
static const char suffix_m[] = ".lora_magnitude_vector";
/* PEFT's name in the model, which it reads too. */
static const char suffix_m_inside[] = ".lora_magnitude_vector.weight";

/* The module path between prefix and ending, as a copy in *path (NULL: another ending). */
static lrk_status module_path(lrk_adapter *a, const char *key, const char *ending,
                              const char **path, lrk_err *err)
{
    const size_t n = strlen(key), p = sizeof prefix - 1, e = strlen(ending);
    *path = NULL;
    if (n <= p + e || strncmp(key, prefix, p) != 0 || strcmp(key + n - e, ending) != 0)
        return LRK_OK;
    *path = lrk_strndup(&a->arena, key + p, n - p - e);
    LRK_REQUIRE(err, *path, LRK_ENOMEM, "memory: no room for module names");
    return LRK_OK;
}

/* A copy in f32 of a matrix of the file, or a vector. */
static lrk_status read_tensor(lrk_adapter *a, const lrk_safetensors *s, const lrk_st_entry *e, int rank,
                              lrk_tensor *out, lrk_err *err)
{
    lrk_tensor view;
    LRK_TRY(lrk_st_view(s, e, &view, err));
    LRK_REQUIRE(err,
                view.rank == rank &&
                    (view.dtype == LRK_F32 || view.dtype == LRK_F16 || view.dtype == LRK_BF16),
                LRK_EINPUT, "%s: tensor '%s': expected a %s of F32, F16 or BF16", s->path,
                e->name, rank == 2 ? "matrix" : "vector");
    *out = rank == 2 ? lrk_mat(LRK_F32, view.dim[0], view.dim[1]) : lrk_vec(LRK_F32, view.dim[0]);
    out->name = lrk_strdup(&a->arena, e->name);
    LRK_REQUIRE(err, out->name, LRK_ENOMEM, "memory: no room for tensor names");
    LRK_TRY(lrk_alloc(&a->arena, lrk_count(out), sizeof(float), e->name, &out->data, err));
    if (view.dtype == LRK_F32) {
        memcpy(out->data, view.data, lrk_bytes(out)); /* the file may hold it at an odd address */
    } else {
        for (size_t i = 0; i < lrk_count(out); i++) {
            uint16_t h;
            memcpy(&h, (const char *)view.data + 2 * i, sizeof h);
            lrk_to_f32(view.dtype, &h, 1, (float *)out->data + i);
        }
    }
    const lrk_status status = lrk_weights_check_finite(out, err);
    return lrk_err_prefix(err, status, "%s", s->path);
}

/* The module's tensor that stands beside its lora_A. */
static lrk_status read_other(lrk_adapter *a, const lrk_safetensors *s, const char *path,
                             const char *ending, int rank, lrk_tensor *out, lrk_err *err)
{
    char key[LRK_ST_MAX_NAME + sizeof prefix + sizeof suffix_m_inside];
    snprintf(key, sizeof key, "%s%s%s", prefix, path, suffix_m_inside);
    const lrk_st_entry *e = ending == suffix_m ? lrk_st_find(s, key) : NULL;
    snprintf(key, sizeof key, "%s%s%s", prefix, path, ending);
    if (!e) e = lrk_st_find(s, key);
    LRK_REQUIRE(err, e, LRK_EINPUT, "%s: '%s' is missing, its lora_A is there", s->path, key);
    return read_tensor(a, s, e, rank, out, err);
}

static lrk_status read_module(lrk_adapter *a, const lrk_safetensors *s, const lrk_st_entry *e,
                              const char *path, lrk_err *err)
{
    lrk_adapter_module *m = &a->module[a->n];
    size_t rank;
    LRK_TRY(lrk_adapter_check_targeted(a, s->path, path, err));
    m->path = path;
    LRK_TRY(read_tensor(a, s, e, 2, &m->a, err));
    LRK_TRY(read_other(a, s, path, suffix_b, 2, &m->b, err));
    if (a->dora) LRK_TRY(read_other(a, s, path, suffix_m, 1, &m->m, err));
    LRK_TRY(lrk_adapter_of_module(a, path, &rank, &m->alpha, err));
    LRK_REQUIRE(err, m->a.dim[0] == rank && m->b.dim[1] == rank, LRK_ESHAPE,
                "%s: module '%s': lora_A is (%zu, %zu) and lora_B (%zu, %zu), but the rank in "
                "adapter_config.json is %zu",
                s->path, path, m->a.dim[0], m->a.dim[1], m->b.dim[0], m->b.dim[1], rank);
    LRK_REQUIRE(err, !a->dora || m->m.dim[0] == m->b.dim[0], LRK_ESHAPE,
                "%s: module '%s': lora_magnitude_vector has %zu elements, lora_B %zu rows", s->path, path,
                m->m.dim[0], m->b.dim[0]);
    m->scale = lrk_adapter_scale(a, rank, m->alpha);
    a->n++;
    return LRK_OK;
}

/* The parameter that a stack is beside: a module "...experts", or the inner one of two. */
static bool stack_path(const lrk_adapter *a, const lrk_safetensors *s, const char *path, char out[LRK_NAME_MAX])
{
    static const char inner[] = ".base_layer", module[] = ".experts";
    const size_t n = strlen(path), i = sizeof inner - 1, m = sizeof module - 1;
    char key[LRK_ST_MAX_NAME + sizeof prefix + sizeof suffix_a + sizeof inner];
    const bool is_inner = n > i && strcmp(path + n - i, inner) == 0;
    const size_t length = is_inner ? n - i : n;
    if (length < m || strncmp(path + length - m, module, m) != 0 || length + 16 > LRK_NAME_MAX) return false;
    snprintf(out, LRK_NAME_MAX, "%.*s.gate_up_proj", (int)length, path);
    snprintf(key, sizeof key, "%s%s%s%s", prefix, path, inner, suffix_a);
    const bool outer = lrk_st_find(s, key) != NULL;
    if (!is_inner && (outer || !lrk_adapter_names_parameter(a, out)))
        snprintf(out, LRK_NAME_MAX, "%.*s.down_proj", (int)length, path);
    return true;
}

static lrk_status read_stack(lrk_adapter *a, const lrk_safetensors *s, const lrk_st_entry *e,
                             const char *module, const char *path, lrk_err *err)
{
    lrk_adapter_stack *k = &a->stack[a->n_stacks];
    size_t rank;
    LRK_REQUIRE(err, lrk_adapter_names_parameter(a, path), LRK_EINPUT,
                "%s: parameter '%s' is not among target_parameters of adapter_config.json", s->path, path);
    k->path = lrk_strdup(&a->arena, path);
    LRK_REQUIRE(err, k->path, LRK_ENOMEM, "memory: no room for module names");
    LRK_TRY(read_tensor(a, s, e, 2, &k->a, err));
    LRK_TRY(read_other(a, s, module, suffix_b, 2, &k->b, err));
    LRK_TRY(lrk_adapter_of_module(a, path, &rank, &k->alpha, err));
    const bool down = strcmp(strrchr(path, '.'), ".down_proj") == 0;
    LRK_REQUIRE(err, k->a.dim[0] % rank == 0 && k->a.dim[0] == k->b.dim[1] && (down || k->b.dim[0] % 2 == 0),
                LRK_ESHAPE,
                "%s: parameter '%s': lora_A is (%zu, %zu) and lora_B (%zu, %zu): not those of experts with rank "
                "%zu, as in adapter_config.json",
                s->path, path, k->a.dim[0], k->a.dim[1], k->b.dim[0], k->b.dim[1], rank);
    k->experts = k->a.dim[0] / rank;
    k->scale = lrk_adapter_scale(a, rank, k->alpha);
    a->n_stacks++;
    return LRK_OK;
}

/* The path where the key is that of a weight that modules_to_save names: PEFT takes every module whose path ends in
 * a name. NULL: it is none. */
static lrk_status saved_path(lrk_adapter *a, const char *key, const char **path, lrk_err *err)
{
    bool saved = false;
    LRK_TRY(module_path(a, key, suffix_w, path, err));
    for (size_t i = 0; *path && i < a->n_save; i++) {
        const size_t n = strlen(*path), k = strlen(a->save[i]);
        saved |= k <= n && strcmp(*path + n - k, a->save[i]) == 0;
    }
    /* both of a tied model have a key of their own, whichever is named */
    if (*path && a->tied && a->n_save && lrk_adapter_role(*path) >= 0) saved = true;
    if (!saved) *path = NULL;
    return LRK_OK;
}

static lrk_status read_whole(lrk_adapter *a, const lrk_safetensors *s, const lrk_st_entry *e, const char *path,
                             lrk_err *err)
{
    const int role = lrk_adapter_role(path);
    LRK_REQUIRE(err, role >= 0, LRK_ESUPPORT,
                "%s: modules_to_save: '%s' is not supported, only the embedding and the head; PEFT's merge_and_unload "
                "makes a model of the adapter that loads here",
                s->path, path);
    LRK_REQUIRE(err, !lrk_adapter_whole_of(a, role), LRK_EINPUT,
                "%s: '%s' is replaced by modules_to_save and by trainable_token_indices", s->path, path);
    LRK_ASSERT(a->n_whole < LRK_ADAPTER_WHOLE);
    a->whole[a->n_whole].path = lrk_adapter_role_path(path);
    return read_tensor(a, s, e, 2, &a->whole[a->n_whole++].weight, err);
}

static lrk_status read_rows(lrk_adapter *a, const lrk_safetensors *s, const lrk_st_entry *e, const char *path,
                            lrk_err *err)
{
    lrk_tensor rows;
    LRK_TRY(read_tensor(a, s, e, 2, &rows, err));
    return lrk_adapter_take_rows(a, s->path, path, &rows, err);
}

/* Every name of modules_to_save is there. */
static lrk_status check_whole(const lrk_adapter *a, const char *file, lrk_err *err)
{
    for (size_t i = 0; i < a->n_save; i++) {
        bool there = false;
        for (size_t k = 0; k < a->n_whole; k++)
            there |= !a->whole[k].rows.n && lrk_adapter_role(a->whole[k].path) == lrk_adapter_role_named(a->save[i]);
        LRK_REQUIRE(err, there, LRK_EINPUT, "%s: modules_to_save: no tensor of '%s' is inside", file, a->save[i]);
    }
    return LRK_OK;
}

const lrk_adapter_whole *lrk_adapter_find_whole(const lrk_adapter *a, const char *path)
{
    for (size_t i = 0; i < a->n_whole; i++)
        if (strcmp(a->whole[i].path, path) == 0) return &a->whole[i];
    return NULL;
}

const lrk_adapter_whole *lrk_adapter_whole_of(const lrk_adapter *a, int role)
{
    for (size_t i = 0; i < a->n_whole; i++)
        if (lrk_adapter_role(a->whole[i].path) == role) return &a->whole[i];
    return NULL;
}

static int by_path(const void *x, const void *y)
{
    return strcmp(((const lrk_adapter_module *)x)->path, ((const lrk_adapter_module *)y)->path);
}

static lrk_status read_tensors(lrk_adapter *a, lrk_safetensors *s, lrk_err *err)
{
    if (a->n_save) a->tied = a->tied && lrk_adapter_ties(a, s);
    LRK_TRY(lrk_text_part_adapter(a, s, err));
    LRK_TRY(lrk_alloc(&a->arena, s->n, sizeof *a->module, "adapter modules", &a->module, err));
    LRK_TRY(lrk_alloc(&a->arena, s->n, sizeof *a->stack, "adapter modules", &a->stack, err));
    size_t second = 0, magnitudes = 0;
    char parameter[LRK_NAME_MAX];
    for (size_t i = 0; i < s->n; i++) {
        const char *path;
        const lrk_st_entry *e = &s->entry[i];
        if (a->part && lrk_text_part_is_beside(e->name)) continue;
        LRK_TRY(module_path(a, e->name, suffix_a, &path, err));
        if (path) {
            LRK_TRY(stack_path(a, s, path, parameter) ? read_stack(a, s, e, path, parameter, err)
                                                      : read_module(a, s, e, path, err));
            continue;
        }
        LRK_TRY(module_path(a, e->name, suffix_b, &path, err));
        second += path != NULL;
        if (path) continue;
        LRK_TRY(module_path(a, e->name, LRK_ADAPTER_ROWS, &path, err));
        if (path) {
            LRK_TRY(read_rows(a, s, e, path, err));
            continue;
        }
        LRK_TRY(saved_path(a, e->name, &path, err));
        if (path) {
            LRK_TRY(read_whole(a, s, e, path, err));
            continue;
        }
        bool again = false;
        const int resized = lrk_adapter_resized_of(a, s, e->name, &again);
        if (resized >= 0) {
            if (!again) LRK_TRY(read_tensor(a, s, e, 2, &a->resized[resized], err));
            continue;
        }
        if (a->dora) LRK_TRY(module_path(a, e->name, suffix_m, &path, err));
        if (a->dora && !path) LRK_TRY(module_path(a, e->name, suffix_m_inside, &path, err));
        LRK_REQUIRE(err, path, LRK_ESUPPORT, "%s: tensor '%s' is neither lora_A nor lora_B%s of a linear layer",
                    s->path, e->name, a->dora ? " nor lora_magnitude_vector" : "");
        magnitudes++;
    }
    const size_t first = a->n + a->n_stacks;
    LRK_REQUIRE(err, first > 0, LRK_EINPUT, "%s: no adapter inside", s->path);
    LRK_REQUIRE(err, second == first, LRK_EINPUT, "%s: %zu lora_B but %zu lora_A", s->path, second, first);
    LRK_REQUIRE(err, magnitudes == (a->dora ? a->n : 0), LRK_EINPUT,
                "%s: %zu lora_magnitude_vector but %zu lora_A", s->path, magnitudes, a->n);
    LRK_REQUIRE(err, !a->dora || !a->n_stacks, LRK_ESUPPORT,
                "%s: use_dora beside target_parameters is not supported", s->path);
    LRK_REQUIRE(err, !a->begun || !a->n_stacks, LRK_ESUPPORT,
                "%s: init_lora_weights '%s' beside target_parameters is not supported", s->path, a->begun);
    LRK_TRY(check_whole(a, s->path, err));
    LRK_TRY(lrk_adapter_check_rows(a, s->path, err));
    LRK_TRY(lrk_adapter_expand(a, err));
    qsort(a->module, a->n, sizeof *a->module, by_path);
    a->notes = lrk_json_ref(s->metadata);
    return LRK_OK;
}

/* *config: where its configuration is. */
static lrk_status find_config(lrk_arena *paths, const char *directory, const char **config, lrk_err *err)
{
    *config = lrk_path_join(paths, directory, LRK_ADAPTER_CONFIG);
    LRK_REQUIRE(err, *config, LRK_ENOMEM, "memory: no room for a path");
    LRK_REQUIRE(err, !lrk_is_file(directory), LRK_EINPUT,
                "%s: is a file, expected a PEFT adapter directory; `lorikeet convert` makes one of a GGUF adapter",
                directory);
    LRK_REQUIRE(err, lrk_is_dir(directory), LRK_EINPUT, "%s: no such directory, or not for you to read", directory);
    const char *inside = lrk_path_join(paths, directory, "adapter/" LRK_ADAPTER_CONFIG);
    LRK_REQUIRE(err, !inside || lrk_is_file(*config) || !lrk_is_file(inside), LRK_EINPUT,
                "%s: adapter_config.json is missing; did you mean %s/adapter?", directory, directory);
    LRK_REQUIRE(err, lrk_is_file(*config), LRK_EINPUT,
                "%s: no adapter: adapter_config.json is missing, or not for you to read", directory);
    return LRK_OK;
}

lrk_status lrk_adapter_check_path(const char *directory, lrk_err *err)
{
    const char *config;
    lrk_arena paths = lrk_arena_growing("paths");
    const lrk_status status = find_config(&paths, directory, &config, err);
    lrk_arena_free(&paths);
    return status;
}

/* Names the tensors; where there are only those of before safetensors, says so. */
static lrk_status find_tensors(lrk_arena *paths, const char *directory, const char **tensors, lrk_err *err)
{
    *tensors = lrk_path_join(paths, directory, LRK_ADAPTER_TENSORS);
    const char *pickle = lrk_path_join(paths, directory, "adapter_model.bin");
    LRK_REQUIRE(err, *tensors && pickle, LRK_ENOMEM, "memory: no room for a path");
    LRK_REQUIRE(err, lrk_is_file(*tensors) || !lrk_is_file(pickle), LRK_EINPUT,
                "%s: cannot open: there is only adapter_model.bin, a program to Python; load the adapter in PEFT and "
                "save it with save_pretrained, which writes safetensors",
                *tensors);
    return LRK_OK;
}

static lrk_status load(lrk_adapter *a, lrk_arena *paths, const char *directory, lrk_err *err)
{
    lrk_safetensors s;
    char *text;
    size_t n;
    const char *config, *tensors;
    LRK_TRY(find_tensors(paths, directory, &tensors, err));
    LRK_TRY(find_config(paths, directory, &config, err));
    LRK_TRY(lrk_file_read(paths, config, MAX_CONFIG, &text, &n, err));
    LRK_TRY(lrk_adapter_parse_config(a, text, n, config, err));
    LRK_TRY(lrk_st_open(&s, tensors, err));
    const lrk_status status = read_tensors(a, &s, err);
    lrk_st_close(&s);
    const char *tokenizer = lrk_path_join(paths, directory, "tokenizer.json");
    a->has_tokenizer = tokenizer && lrk_is_file(tokenizer);
    return status;
}

lrk_status lrk_adapter_parse(lrk_adapter *a, const char *config, size_t n, const void *tensors, size_t size,
                             const char *where, lrk_err *err)
{
    lrk_safetensors s;
    LRK_TRY(lrk_adapter_parse_config(a, config, n, where, err));
    lrk_status status = lrk_st_parse(&s, tensors, size, where, err);
    if (status == LRK_OK) {
        status = read_tensors(a, &s, err);
        lrk_st_close(&s);
    }
    if (status != LRK_OK) lrk_adapter_free(a);
    return status;
}

lrk_status lrk_adapter_load(lrk_adapter *a, const char *directory, lrk_err *err)
{
    lrk_arena paths = lrk_arena_growing("adapter paths");
    *a = (lrk_adapter){0};
    const lrk_status status = load(a, &paths, directory, err);
    lrk_arena_free(&paths);
    if (status != LRK_OK) lrk_adapter_free(a);
    return status;
}

void lrk_adapter_free(lrk_adapter *a)
{
    lrk_json_free(a->given);
    lrk_json_free(a->notes);
    lrk_json_free(a->config);
    lrk_arena_free(&a->arena);
    *a = (lrk_adapter){0};
}

/* "...block_sparse_moe.experts.0.w1" for "...mlp.experts.0.gate_proj", or the other way; false: neither. */
static bool other_name(const char *path, bool from_mixtral, char out[LRK_NAME_MAX])
{
    static const char *const block[] = {".mlp.", ".block_sparse_moe."};
    static const char *const names[][2] = {
        {"gate_proj", "w1"}, {"up_proj", "w3"}, {"down_proj", "w2"}, {"gate", "gate"}};
    const char *at = strstr(path, block[from_mixtral]), *last = strrchr(path, '.');
    if (!at || !last || last < at) return false;
    const char *rest = at + strlen(block[from_mixtral]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(last + 1, names[i][from_mixtral]) != 0) continue;
        const int n = snprintf(out, LRK_NAME_MAX, "%.*s%s%.*s%s", (int)(at - path), path, block[!from_mixtral],
                               (int)(last + 1 > rest ? last + 1 - rest : 0), rest, names[i][!from_mixtral]);
        return n > 0 && n < LRK_NAME_MAX;
    }
    return false;
}

static const lrk_adapter_module *find_exactly(const lrk_adapter *a, const char *path)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->module[i].path, path) == 0) return &a->module[i];
    return NULL;
}

const lrk_adapter_module *lrk_adapter_find(const lrk_adapter *a, const char *path)
{
    char other[LRK_NAME_MAX];
    const lrk_adapter_module *m = find_exactly(a, path);
    return m || !other_name(path, true, other) ? m : find_exactly(a, other);
}

bool lrk_adapter_base_matrix(const lrk_weights *base, const char *path, lrk_tensor *w)
{
    char name[LRK_NAME_MAX], other[LRK_NAME_MAX];
    const int n = snprintf(name, sizeof name, "%s.weight", path);
    if (n <= 0 || n >= (int)sizeof name) return false;
    if (lrk_weights_find(base, name, w)) return w->rank == 2;
    if (!other_name(path, false, other)) return false;
    const int k = snprintf(name, sizeof name, "%.*s.weight", (int)sizeof name - 16, other);
    return k > 0 && k < (int)sizeof name && lrk_weights_find(base, name, w) && w->rank == 2;
}

/* "lm_head.weight" is of "lm_head". */
static bool is_weight_of(const char *name, const char *path)
{
    const size_t n = strlen(path);
    return strncmp(name, path, n) == 0 && strcmp(name + n, suffix_w) == 0;
}

static lrk_status check_base_of_whole(const lrk_adapter *a, const lrk_weights *base, lrk_err *err)
{
    lrk_tensor stored;
    const char *names[] = {lrk_name_of_embedding(lrk_weights_arch(base)), lrk_name_of_head(lrk_weights_arch(base))};
    const lrk_adapter_whole *in = lrk_adapter_whole_of(a, LRK_ADAPTER_EMBEDDING);
    const lrk_adapter_whole *out = lrk_adapter_whole_of(a, LRK_ADAPTER_HEAD);
    const bool tied = !lrk_weights_find(base, names[LRK_ADAPTER_HEAD], &stored);
    LRK_TRY(lrk_adapter_check_base_of_rows(a, base, err));
    if (lrk_adapter_as_one(a) && a->n_whole && tied)
        LRK_REQUIRE(err, in && (!out || (lrk_same_shape(&in->weight, &out->weight) &&
                                         memcmp(in->weight.data, out->weight.data, lrk_bytes(&in->weight)) == 0)),
                    LRK_EINPUT,
                    "an adapter for another base: embedding and head of the adapter differ, and %s, which ties its "
                    "head, takes them as one",
                    lrk_weights_path(base));
    for (size_t i = 0; i < a->n_whole; i++) {
        const lrk_adapter_whole *k = &a->whole[i];
        lrk_tensor w;
        const int role = lrk_adapter_role(k->path);
        const bool named = role == LRK_ADAPTER_HEAD || is_weight_of(names[role], k->path);
        LRK_REQUIRE(err, named && lrk_weights_find(base, names[tied ? LRK_ADAPTER_EMBEDDING : role], &w), LRK_EINPUT,
                    "an adapter for another base: it replaces '%s', which %s has not", k->path,
                    lrk_weights_path(base));
        const bool fits = k->rows.n ? w.rank == 2 && lrk_cols(&w) == lrk_cols(&k->weight) &&
                                          (size_t)k->rows.id[k->rows.n - 1] < lrk_rows(&w)
                                    : lrk_same_shape(&k->weight, &w);
        LRK_REQUIRE(err, fits || !k->rows.n, LRK_ESHAPE,
                    "an adapter for another base: it replaces row %d of '%s', %zu wide, and that is (%zu, %zu) in %s; "
                    "where the vocabulary grew, the tokenizer with the new tokens lies beside the adapter",
                    k->rows.id[k->rows.n - 1], k->path, lrk_cols(&k->weight), lrk_rows(&w), lrk_cols(&w),
                    lrk_weights_path(base));
        LRK_REQUIRE(err, fits, LRK_ESHAPE,
                    "an adapter for another base: '%s' is (%zu, %zu) in the adapter and (%zu, %zu) in %s", k->path,
                    lrk_rows(&k->weight), lrk_cols(&k->weight), lrk_rows(&w), lrk_cols(&w), lrk_weights_path(base));
    }
    return LRK_OK;
}

lrk_status lrk_adapter_check_base(const lrk_adapter *a, const lrk_weights *base, bool any_hash,
                                  lrk_err *err)
{
    char hex[65];
    const char *noted = lrk_json_string(lrk_json_get(a->notes, LRK_NOTE_BASE), NULL);
    for (size_t i = 0; i < a->n; i++) {
        const lrk_adapter_module *m = &a->module[i];
        lrk_tensor w;
        LRK_REQUIRE(err, lrk_adapter_base_matrix(base, m->path, &w), LRK_EINPUT,
                    "an adapter for another base: it adapts '%s', and %s has no such matrix",
                    m->path, lrk_weights_path(base));
        LRK_REQUIRE(err, w.dim[0] == m->b.dim[0] && w.dim[1] == m->a.dim[1], LRK_ESHAPE,
                    "an adapter for another base: '%s' is (%zu, %zu) in the adapter and (%zu, %zu) "
                    "in %s",
                    m->path, m->b.dim[0], m->a.dim[1], w.dim[0], w.dim[1], lrk_weights_path(base));
    }
    LRK_TRY(check_base_of_whole(a, base, err));
    if (!noted || any_hash) return LRK_OK;
    lrk_weights_sha256(base, hex);
    LRK_REQUIRE(
        err, strcmp(noted, hex) == 0, LRK_EINPUT,
        "an adapter for another base: it was trained on weights with hash %.16s..., those of "
        "%s have %.16s...; commands that know --any-base take it nevertheless",
        noted, lrk_weights_path(base), hex);
    return LRK_OK;
}
