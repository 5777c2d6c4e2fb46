/* checkpoint/adapter_write.c -- an adapter as PEFT writes it. */
#include "checkpoint/adapter_tokens.h"
#include "checkpoint/text_part.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static lrk_status put_names(lrk_json *root, const char *key, const char *const *name, size_t n, lrk_err *err)
{
    const char **sorted = lrk_heap_alloc(n ? n : 1, sizeof *sorted);
    LRK_REQUIRE(err, sorted, LRK_ENOMEM, "memory: no room for %s", key);
    for (size_t i = 0; i < n; i++) sorted[i] = name[i];
    qsort(sorted, n, sizeof *sorted, by_text);
    lrk_json *list = lrk_json_array();
    for (size_t i = 0; i < n; i++) lrk_json_add(list, lrk_json_c_string(sorted[i]));
    lrk_json_set(root, key, list);
    lrk_heap_free(sorted);
    return LRK_OK;
}

/* Every module by its path. */
static lrk_status put_paths(const lrk_adapter *a, lrk_json *root, lrk_err *err)
{
    lrk_arena arena = lrk_arena_growing("target modules");
    const char **list;
    lrk_status status = lrk_alloc(&arena, a->n, sizeof *list, "target_modules", &list, err);
    for (size_t i = 0; status == LRK_OK && i < a->n; i++) {
        char stored[LRK_NAME_MAX];
        lrk_adapter_stored_path(a, a->module[i].path, stored);
        list[i] = lrk_strdup(&arena, stored);
        if (!list[i]) status = lrk_fail(err, LRK_ENOMEM, "memory: no room for target_modules");
    }
    if (status == LRK_OK) status = put_names(root, "target_modules", list, a->n, err);
    lrk_arena_free(&arena);
    return status;
}

static lrk_status put_targets(const lrk_adapter *a, lrk_json *root, lrk_err *err)
{
    if (a->n_parameters) LRK_TRY(put_names(root, "target_parameters", a->parameter, a->n_parameters, err));
    if (a->part) return put_paths(a, root, err);
    if (a->target) return put_names(root, "target_modules", a->target, a->n_targets, err);
    lrk_json_set(root, "target_modules", lrk_json_c_string(a->target_pattern));
    return LRK_OK;
}

/* PEFT types alpha as an integer, and some loaders parse nothing else: a whole one is written so. One
 * with a fraction is a number to PEFT as well. */
static lrk_status put_alpha(lrk_json *object, const char *key, double alpha, lrk_err *err)
{
    LRK_REQUIRE(err, alpha > 0 && alpha <= 1e6, LRK_EVALUE,
                "lora_alpha is %g; adapters can only be saved with one above 0 and at most 1e6", alpha);
    lrk_json_set(object, key, alpha == floor(alpha) ? lrk_json_new_integer((int64_t)alpha)
                                                    : lrk_json_new_real(alpha));
    return LRK_OK;
}

static lrk_status put_patterns(const lrk_adapter *a, lrk_json *root, lrk_err *err)
{
    lrk_json *ranks = lrk_json_object(), *alphas = lrk_json_object();
    lrk_json_set(root, "rank_pattern", ranks);
    lrk_json_set(root, "alpha_pattern", alphas);
    for (size_t i = 0; i < a->n; i++) {
        const lrk_adapter_module *m = &a->module[i];
        char path[LRK_NAME_MAX];
        if (m->stacked) continue;
        lrk_adapter_stored_path(a, m->path, path);
        if (m->a.dim[0] != a->rank) lrk_json_set(ranks, path, lrk_json_new_integer((int64_t)m->a.dim[0]));
        if (m->alpha != a->alpha) LRK_TRY(put_alpha(alphas, path, m->alpha, err));
    }
    for (size_t i = 0; i < a->n_stacks; i++) {
        const lrk_adapter_stack *s = &a->stack[i];
        const size_t rank = s->a.dim[0] / s->experts;
        if (rank != a->rank) lrk_json_set(ranks, s->path, lrk_json_new_integer((int64_t)rank));
        if (s->alpha != a->alpha) LRK_TRY(put_alpha(alphas, s->path, s->alpha, err));
    }
    return LRK_OK;
}

static lrk_status put_config(const lrk_adapter *a, lrk_json *root, lrk_err *err)
{
    LRK_TRY(lrk_adapter_check_plain(a, err));
    lrk_json_set(root, "peft_type", lrk_json_c_string("LORA"));
    lrk_json_set(root, "task_type", lrk_json_c_string("CAUSAL_LM"));
    lrk_json_set(root, "base_model_name_or_path", lrk_json_c_string(a->base_model));
    lrk_json_set(root, "revision", lrk_json_c_string(a->revision));
    lrk_json_set(root, "r", lrk_json_new_integer((int64_t)a->rank));
    LRK_TRY(put_alpha(root, "lora_alpha", a->alpha, err));
    lrk_json_set(root, "lora_dropout", lrk_json_new_real(a->dropout));
    LRK_TRY(put_targets(a, root, err));
    LRK_TRY(put_patterns(a, root, err));
    lrk_json_set(root, "use_rslora", lrk_json_new_bool(a->rslora));
    lrk_json_set(root, "use_dora", lrk_json_new_bool(a->dora));
    lrk_json_set(root, "bias", lrk_json_c_string("none"));
    lrk_json_set(root, "fan_in_fan_out", lrk_json_new_bool(false));
    lrk_json_set(root, "init_lora_weights", lrk_json_new_bool(true));
    lrk_json_set(root, "inference_mode", lrk_json_new_bool(true));
    lrk_json_set(root, "modules_to_save", lrk_json_new_null());
    if (a->n_save) LRK_TRY(put_names(root, "modules_to_save", a->save, a->n_save, err));
    lrk_adapter_put_tokens(a, root);
    if (a->tied) lrk_json_set(root, "ensure_weight_tying", lrk_json_new_bool(true));
    lrk_json_set(root, "layers_to_transform", lrk_json_new_null());
    lrk_json_set(root, "layers_pattern", lrk_json_new_null());
    /* of a part they are said by the modules' own paths */
    for (void *i = a->part ? NULL : lrk_json_begin(a->given); i; i = lrk_json_next(a->given, i))
        lrk_json_set(root, lrk_json_key(i, NULL), lrk_json_ref((lrk_json *)(uintptr_t)lrk_json_value(i)));
    return LRK_OK;
}

lrk_status lrk_adapter_config_text(const lrk_adapter *a, lrk_buf *b, lrk_err *err)
{
    lrk_json *root = lrk_json_object();
    lrk_status status = put_config(a, root, err);
    if (status == LRK_OK) status = lrk_json_dump(root, 2, b, err);
    lrk_json_free(root);
    LRK_TRY(status);
    lrk_buf_puts(b, "\n");
    return lrk_buf_check(b, err);
}

static lrk_status declare_one(const lrk_adapter *a, lrk_st_writer *w, const char *here, const char *ending,
                              const lrk_tensor *t, lrk_err *err)
{
    lrk_buf name = {0};
    char path[LRK_NAME_MAX];
    lrk_adapter_stored_path(a, here, path);
    lrk_buf_printf(&name, "base_model.model.%s%s", path, ending);
    lrk_status status = lrk_buf_check(&name, err);
    if (status == LRK_OK && name.n >= LRK_NAME_MAX)
        status = lrk_fail(err, LRK_EVALUE, "module '%s': the name is too long", path);
    if (status == LRK_OK) status = lrk_st_declare(w, name.data, t, err);
    lrk_buf_free(&name);
    return status;
}

static const char *whole_ending(const lrk_adapter_whole *w)
{
    return w->rows.n ? LRK_ADAPTER_ROWS : ".weight";
}

static lrk_status declare(const lrk_adapter *a, lrk_st_writer *w, lrk_err *err)
{
    for (void *i = lrk_json_begin(a->notes); i; i = lrk_json_next(a->notes, i)) {
        const char *value = lrk_json_string(lrk_json_value(i), NULL);
        if (value && strcmp(lrk_json_key(i, NULL), "format") != 0)
            LRK_TRY(lrk_st_note(w, lrk_json_key(i, NULL), value, err));
    }
    for (size_t i = 0; i < a->n; i++) {
        const lrk_adapter_module *m = &a->module[i];
        if (m->stacked) continue;
        LRK_TRY(declare_one(a, w, m->path, ".lora_A.weight", &m->a, err));
        LRK_TRY(declare_one(a, w, m->path, ".lora_B.weight", &m->b, err));
        if (a->dora) LRK_TRY(declare_one(a, w, m->path, ".lora_magnitude_vector", &m->m, err));
    }
    for (size_t i = 0; i < a->n_whole; i++)
        LRK_TRY(declare_one(a, w, a->whole[i].path, whole_ending(&a->whole[i]), &a->whole[i].weight, err));
    for (size_t i = 0; i < a->n_stacks; i++) {
        char path[LRK_NAME_MAX];
        lrk_adapter_stack_module(a, &a->stack[i], path);
        LRK_TRY(declare_one(a, w, path, ".lora_A.weight", &a->stack[i].a, err));
        LRK_TRY(declare_one(a, w, path, ".lora_B.weight", &a->stack[i].b, err));
    }
    return LRK_OK;
}

/* The writer sorts by name, as the modules' paths are sorted or not; so look up. */
static const lrk_tensor *tensor_of(const lrk_adapter *a, const char *key)
{
    const char *path = key + sizeof "base_model.model." - 1;
    char here[LRK_NAME_MAX];
    lrk_text_names names;
    if (a->part && lrk_text_part_here(path, &names, here)) path = here;
    const char *ending = strstr(path, ".lora_");
    for (size_t i = 0; !ending && i < a->n_whole; i++) {
        const size_t n = strlen(a->whole[i].path);
        if (strncmp(a->whole[i].path, path, n) == 0 && strcmp(path + n, whole_ending(&a->whole[i])) == 0)
            return &a->whole[i].weight;
    }
    for (size_t i = 0; ending && i < a->n; i++) {
        const lrk_adapter_module *m = &a->module[i];
        const size_t n = strlen(m->path);
        if (m->stacked || strncmp(m->path, path, n) != 0 || path + n != ending) continue;
        return strcmp(ending, ".lora_A.weight") == 0 ? &m->a
               : strcmp(ending, ".lora_B.weight") == 0 ? &m->b : &m->m;
    }
    for (size_t i = 0; ending && i < a->n_stacks; i++) {
        const lrk_adapter_stack *s = &a->stack[i];
        char module[LRK_NAME_MAX];
        lrk_adapter_stack_module(a, s, module);
        if (strncmp(module, path, strlen(module)) == 0 && path + strlen(module) == ending)
            return strcmp(ending, ".lora_A.weight") == 0 ? &s->a : &s->b;
    }
    return NULL;
}

static lrk_status save_tensors(const lrk_adapter *a, const char *path, lrk_err *err)
{
    lrk_st_writer *w = NULL;
    lrk_status status;
    LRK_TRY(lrk_st_create(&w, err));
    LRK_TRY_GOTO(status, done, declare(a, w, err));
    LRK_TRY_GOTO(status, done, lrk_st_begin(w, path, err));
    for (const char *name; (name = lrk_st_next(w));) {
        const lrk_tensor *t = tensor_of(a, name);
        LRK_ASSERT(t && t->data && lrk_contiguous(t));
        LRK_TRY_GOTO(status, done, lrk_st_write(w, t->data, lrk_bytes(t), err));
    }
    status = lrk_st_commit(w, err);
done:
    lrk_st_writer_close(w);
    return status;
}

lrk_status lrk_adapter_save(const lrk_adapter *a, const char *directory, lrk_err *err)
{
    lrk_arena paths = lrk_arena_growing("adapter paths");
    const char *config = lrk_path_join(&paths, directory, LRK_ADAPTER_CONFIG);
    const char *tensors = lrk_path_join(&paths, directory, LRK_ADAPTER_TENSORS);
    lrk_buf text = {0}; /* first, so that an adapter that cannot be described leaves no file */
    lrk_status status = config && tensors ? lrk_adapter_config_text(a, &text, err)
                                          : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (status == LRK_OK) status = lrk_mkdir(directory, err);
    if (status == LRK_OK) status = save_tensors(a, tensors, err);
    if (status == LRK_OK) status = lrk_file_write(config, text.data, text.n, err);
    lrk_buf_free(&text);
    lrk_arena_free(&paths);
    return status;
}
