/* train/targets.c -- choosing modules by name or pattern. */
#include "train/targets.h"

#include "base/arena.h"
#include "base/module_key.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

lrk_status lrk_targets_open(lrk_targets *t, const char *key, const char *const *words, size_t n,
                            bool scalar, lrk_err *err)
{
    *t = (lrk_targets){.name = words, .n = n, .key = key};
    if (n == 0 || (n == 1 && strcmp(words[0], "all-linear") == 0)) {
        t->all = true;
        return LRK_OK;
    }
    /* one plain word is a name, as a list of one would be */
    if (scalar && words[0][strcspn(words[0], ".*+?|()[]{}^$\\")] != '\0')
        return lrk_pattern_compile(&t->pattern, words[0], err);
    t->used = lrk_heap_alloc(n, sizeof *t->used);
    LRK_REQUIRE(err, t->used, LRK_ENOMEM, "memory: no room for %s", key);
    return LRK_OK;
}

void lrk_targets_close(lrk_targets *t)
{
    lrk_pattern_free(t->pattern);
    lrk_heap_free(t->used);
    lrk_heap_free(t->used_ranks);
    lrk_heap_free(t->used_alphas);
    *t = (lrk_targets){0};
}

static bool is_router(const char *path)
{
    return lrk_path_ends_in(path, "mlp.gate") || lrk_path_ends_in(path, "block_sparse_moe.gate");
}

static bool chosen_by(lrk_targets *t, const char *path)
{
    bool chosen = t->all && !is_router(path) && !(t->parameters && strstr(path, ".experts."));
    if (t->pattern) lrk_pattern_match(t->pattern, path, &chosen, &t->err);
    t->matched |= chosen;
    for (size_t i = 0; t->used && i < t->n; i++) {
        if (!lrk_path_ends_in(path, t->name[i])) continue;
        t->used[i] = chosen = true;
    }
    return chosen;
}

lrk_status lrk_targets_refine(lrk_targets *t, const lrk_recipe *r, lrk_err *err)
{
    t->ranks = &r->rank_pattern;
    t->alphas = &r->alpha_pattern;
    t->layers = &r->layers_to_transform;
    t->layer_names = &r->layers_pattern;
    t->used_ranks = lrk_heap_alloc(t->ranks->n + 1, sizeof *t->used_ranks);
    t->used_alphas = lrk_heap_alloc(t->alphas->n + 1, sizeof *t->used_alphas);
    LRK_REQUIRE(err, t->used_ranks && t->used_alphas, LRK_ENOMEM, "memory: no room for rank_pattern");
    return LRK_OK;
}

/* Whether `layer` stands in the path behind that name. */
static bool numbered(lrk_targets *t, const char *path, const char *name, size_t layer)
{
    lrk_buf text = {0};
    lrk_pattern *p = NULL;
    bool matches = false;
    lrk_err *err = &t->err;
    lrk_buf_printf(&text, ".*\\.(?:%s)\\.0*%zu\\..*", name, layer);
    lrk_status status = lrk_buf_check(&text, err);
    if (status == LRK_OK) status = lrk_pattern_compile(&p, text.data, err);
    if (status == LRK_OK) lrk_pattern_match(p, path, &matches, err);
    lrk_pattern_free(p);
    lrk_buf_free(&text);
    return matches;
}

static bool in_layers(lrk_targets *t, const char *path)
{
    static const char before[] = ".layers.";
    const char *at = strstr(path, before);
    bool in = !t->layers || t->layers->n == 0;
    for (size_t i = 0; !in && i < t->layers->n; i++) {
        const size_t layer = t->layers->item[i];
        in = t->layer_names->n == 0 && at && strtoul(at + sizeof before - 1, NULL, 10) == layer;
        for (size_t k = 0; !in && k < t->layer_names->n; k++)
            in = numbered(t, path, t->layer_names->item[k], layer);
    }
    return in;
}

/* The value of the first key that matches, or `otherwise`; every key that matches is used. */
static double by_pattern(lrk_targets *t, const lrk_patterns *p, bool *used, const char *path, double otherwise)
{
    double value = otherwise;
    bool found = false;
    for (size_t i = 0; p && i < p->n; i++) {
        bool matches = false;
        lrk_module_key_matches(p->key[i], path, &matches, &t->err);
        if (matches && !found) value = p->value[i];
        found |= matches;
        used[i] |= matches;
    }
    return value;
}

bool lrk_targets_select(void *ctx, const char *path, size_t *rank, double *alpha)
{
    lrk_targets *t = ctx;
    const bool chosen = chosen_by(t, path) || (t->parameters && chosen_by(t->parameters, path));
    if (!chosen || (t->exclude && chosen_by(t->exclude, path)) || !in_layers(t, path)) return false;
    *rank = (size_t)by_pattern(t, t->ranks, t->used_ranks, path, (double)*rank);
    *alpha = by_pattern(t, t->alphas, t->used_alphas, path, *alpha);
    return true;
}

typedef struct names {
    char text[400];
    size_t n;
} names;

/* Adds the last name of a path, once. */
static void add_name(names *k, const char *path)
{
    const char *name = lrk_last_name(path);
    const size_t n = strlen(name);
    for (const char *at = k->text; (at = strstr(at, name)); at++)
        if ((at == k->text || at[-1] == ' ') && (at[n] == ',' || at[n] == '\0')) return;
    if (k->n + n + 3 > sizeof k->text) return;
    if (k->n) memcpy(k->text + k->n, ", ", 2);
    k->n += k->n ? 2 : 0;
    memcpy(k->text + k->n, name, n + 1);
    k->n += n;
}

static void module_names(const lrk_decoder *d, names *k)
{
    char path[LRK_MODULE_PATH];
    for (size_t i = 0; i < d->layers; i++) {
        lrk_module module;
        for (int which = 0; which < LRK_PROJECTIONS; which++)
            if (lrk_module_of(d, i, which, &module)) add_name(k, module.name);
        for (int which = LRK_GATE; which <= LRK_DOWN && (d->layer[i] & LRK_LAYER_EXPERTS); which++) {
            lrk_expert_path(d, i, 0, which, path);
            add_name(k, path);
        }
    }
}

/* The path of some linear layer, to show what one looks like. */
static void first_module(const lrk_decoder *d, char path[LRK_MODULE_PATH])
{
    lrk_module module;
    int which = 0;
    while (which < LRK_PROJECTIONS && !lrk_module_of(d, 0, which, &module)) which++;
    LRK_ASSERT(which < LRK_PROJECTIONS);
    lrk_layer_path(d, 0, module.name, path);
}

static lrk_status check_patterns(const char *name, const lrk_patterns *p, const bool *used, lrk_err *err)
{
    for (size_t i = 0; p && i < p->n; i++)
        LRK_REQUIRE(err, used[i], LRK_EUSAGE, "%s: '%s' matches no module with an adapter", name, p->key[i]);
    return LRK_OK;
}

lrk_status lrk_targets_check(const lrk_targets *t, const lrk_decoder *d, lrk_err *err)
{
    names known = {.n = 0};
    const bool parameters = t->key && strcmp(t->key, "lora_target_parameters") == 0;
    char example[LRK_MODULE_PATH];
    if (t->err.status != LRK_OK) return lrk_fail(err, t->err.status, "%s", t->err.text);
    module_names(d, &known);
    first_module(d, example);
    LRK_REQUIRE(err, !t->pattern || t->matched, LRK_EUSAGE,
                "%s: the pattern '%s' matches no linear layer of this model%s; it has to match a whole path, as %s, "
                "whose last names are %s",
                t->key, t->name[0], strcmp(t->key, "exclude_modules") ? "" : " with an adapter", example, known.text);
    for (size_t i = 0; parameters && i < t->n; i++)
        LRK_REQUIRE(err, t->used[i], LRK_EUSAGE,
                    "%s: '%s' holds no experts of this model, or lora_target_modules has them already; known: %s",
                    t->key, t->name[i],
                    d->experts.experts ? "mlp.experts.gate_up_proj, mlp.experts.down_proj" : "none");
    for (size_t i = 0; t->used && i < t->n; i++)
        LRK_REQUIRE(err, t->used[i], LRK_EUSAGE, "%s: '%s' is no linear layer of this model%s; known: %s", t->key,
                    t->name[i], strcmp(t->key, "exclude_modules") ? "" : " with an adapter", known.text);
    LRK_TRY(check_patterns("rank_pattern", t->ranks, t->used_ranks, err));
    LRK_TRY(check_patterns("alpha_pattern", t->alphas, t->used_alphas, err));
    for (size_t i = 0; t->layers && i < t->layers->n; i++)
        LRK_REQUIRE(err, t->layers->item[i] < d->layers, LRK_EUSAGE,
                    "layers_to_transform: %zu, but the layers of this model are 0 to %zu", t->layers->item[i],
                    d->layers - 1);
    if (t->parameters) LRK_TRY(lrk_targets_check(t->parameters, d, err));
    return t->exclude ? lrk_targets_check(t->exclude, d, err) : LRK_OK;
}
