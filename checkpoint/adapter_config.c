/* checkpoint/adapter_config.c -- adapter_config.json, every key of it. */
#include "checkpoint/adapter_tokens.h"

#include "base/module_key.h"
#include "base/text.h"
#include "checkpoint/text_part.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_RANK = 65536, MAX_TARGETS = 4096 };

typedef enum rule {
    READ,    /* read below */
    ANY,     /* does not change what the tensors mean */
    NAMES,   /* the same: null, a text or a list of texts */
    LAYERS,  /* the same: null, a number or a list of numbers */
    NEUTRAL, /* null, false, 0, "", [] or {}; anything else is not supported */
} rule;

/* All that PEFT 0.21 writes, and what earlier versions did. A later one may write more: null asks for nothing. */
static const struct {
    const char *key;
    rule rule;
} keys[] = {
    {"alora_invocation_tokens", NEUTRAL},
    {"alpha_pattern", READ},
    {"arrow_config", NEUTRAL},
    {"auto_mapping", ANY},
    {"base_model_name_or_path", READ},
    {"bias", READ},
    {"corda_config", NEUTRAL},
    {"ensure_weight_tying", READ},
    {"eva_config", NEUTRAL},
    {"exclude_modules", NAMES},
    {"fan_in_fan_out", NEUTRAL},
    {"inference_mode", ANY},
    {"init_lora_weights", READ},
    {"kasa_config", NEUTRAL},
    {"layer_replication", NEUTRAL},
    {"layers_pattern", NAMES},
    {"layers_to_transform", LAYERS},
    {"loftq_config", NEUTRAL},
    {"lora_alpha", READ},
    {"lora_bias", READ},
    {"lora_dropout", READ},
    {"lora_ga_config", NEUTRAL},
    {"megatron_config", NEUTRAL},
    {"megatron_core", ANY},
    {"modules_to_save", READ},
    {"monteclora_config", NEUTRAL},
    {"peft_type", READ},
    {"peft_version", ANY},
    {"qalora_group_size", ANY},
    {"r", READ},
    {"rank_pattern", READ},
    {"revision", READ},
    {"runtime_config", ANY},
    {"target_modules", READ},
    {"target_parameters", READ},
    {"task_type", READ},
    {"trainable_token_indices", READ},
    {"use_bdlora", NEUTRAL},
    {"use_dora", READ},
    {"use_qalora", NEUTRAL},
    {"use_rslora", READ},
    {"velora_config", NEUTRAL},
};

static bool neutral(const lrk_json *v)
{
    switch (lrk_json_type(v)) {
    case LRK_JSON_NULL:
        return true;
    case LRK_JSON_BOOL:
        return !lrk_json_bool(v);
    case LRK_JSON_INTEGER:
        return lrk_json_integer(v) == 0;
    case LRK_JSON_REAL:
        return lrk_json_number(v) == 0.0;
    case LRK_JSON_STRING:
        return lrk_json_string(v, NULL)[0] == '\0';
    default:
        return lrk_json_size(v) == 0;
    }
}

/* null, one of this type, or a list of such. */
static bool one_or_list(const lrk_json *v, lrk_json_kind type)
{
    bool all = lrk_json_is(v, LRK_JSON_ARRAY);
    for (size_t i = 0; all && i < lrk_json_size(v); i++) all = lrk_json_is(lrk_json_at(v, i), type);
    return all || lrk_json_is(v, type) || lrk_json_is(v, LRK_JSON_NULL);
}

static lrk_status check_keys(const lrk_json *root, const char *where, lrk_err *err)
{
    for (void *i = lrk_json_begin(root); i; i = lrk_json_next(root, i)) {
        const char *key = lrk_json_key(i, NULL);
        const lrk_json *v = lrk_json_value(i);
        bool known = false;
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            if (strcmp(key, keys[k].key) != 0) continue;
            known = true;
            LRK_REQUIRE(err, keys[k].rule != NEUTRAL || neutral(v), LRK_ESUPPORT,
                        "%s: %s: not supported%s", where, key,
                        lrk_json_is(v, LRK_JSON_BOOL) ? " (expected false)" : "");
            LRK_REQUIRE(err, keys[k].rule != NAMES || one_or_list(v, LRK_JSON_STRING), LRK_EINPUT,
                        "%s: %s: expected a text or a list of texts", where, key);
            LRK_REQUIRE(err, keys[k].rule != LAYERS || one_or_list(v, LRK_JSON_INTEGER), LRK_EINPUT,
                        "%s: %s: expected a number of a layer or a list of them", where, key);
        }
        lrk_nearest near = {.word = key};
        for (size_t k = 0; !known && k < sizeof keys / sizeof keys[0]; k++)
            lrk_nearest_offer(&near, keys[k].key);
        LRK_REQUIRE(err, known || lrk_json_is(v, LRK_JSON_NULL), LRK_EINPUT, "%s: %.100s: unknown key%s%s", where, key,
                    near.best ? ", did you mean " : "", near.best ? near.best : "");
    }
    return LRK_OK;
}

/* A key whose value must be one of a few words, or absent or null. */
static lrk_status check_word(const lrk_json *root, const char *key, const char *word,
                             const char *where, lrk_err *err)
{
    const char *s = word;
    LRK_TRY(lrk_json_opt_string(root, key, &s, where, err));
    LRK_REQUIRE(err, strcmp(s, word) == 0, LRK_ESUPPORT,
                "%s: %s: '%.60s' is not supported, only %s", where, key, s, word);
    return LRK_OK;
}

/* Biases that PEFT trained: the base's own (lora_only, all), or one beside B (lora_bias). */
static lrk_status check_bias(const lrk_json *root, const char *where, lrk_err *err)
{
    static const char mend[] = "PEFT's merge_and_unload makes a model of the adapter that loads here";
    const lrk_json *beside = lrk_json_get(root, "lora_bias");
    const char *s = "none";
    LRK_TRY(lrk_json_opt_string(root, "bias", &s, where, err));
    LRK_REQUIRE(err, strcmp(s, "none") == 0, LRK_ESUPPORT,
                "%s: bias: '%.60s' is not supported, only none; %s", where, s, mend);
    LRK_REQUIRE(err, !beside || neutral(beside), LRK_ESUPPORT,
                "%s: lora_bias: not supported (expected false); %s", where, mend);
    return LRK_OK;
}

/* Initializations that leave the base as it is, and those that take a part out of it that can be found again. The
 * others change it so that the adapter alone does not say what the model is: random, or made of data. */
static lrk_status read_init(lrk_adapter *a, const lrk_json *root, const char *where, lrk_err *err)
{
    static const char *const fine[] = {"gaussian", "orthogonal", "eva"}, *const begun[] = {"pissa", "olora"};
    const lrk_json *v = lrk_json_get(root, "init_lora_weights");
    const char *s = lrk_json_string(v, NULL);
    if (!v || lrk_json_is(v, LRK_JSON_BOOL) || lrk_json_is(v, LRK_JSON_NULL)) return LRK_OK;
    for (size_t i = 0; s && i < sizeof fine / sizeof *fine; i++)
        if (strcmp(s, fine[i]) == 0) return LRK_OK;
    for (size_t i = 0; s && i < sizeof begun / sizeof *begun; i++)
        if (strcmp(s, begun[i]) == 0) a->begun = begun[i];
    LRK_REQUIRE(err, a->begun || !s || strncmp(s, "pissa_niter_", 12) != 0, LRK_ESUPPORT,
                "%s: init_lora_weights: '%.40s' takes a part out of the base that PEFT finds by random search, another "
                "one each time it loads the adapter; save it where it was trained with "
                "path_initial_model_for_weight_conversion",
                where, s);
    LRK_REQUIRE(err, a->begun, LRK_ESUPPORT,
                "%s: init_lora_weights: '%.40s' is not supported: it changes the base model",
                where, s ? s : lrk_json_kind_name(lrk_json_type(v)));
    return LRK_OK;
}

lrk_status lrk_adapter_check_plain(const lrk_adapter *a, lrk_err *err)
{
    LRK_REQUIRE(err, !a->begun, LRK_ESUPPORT,
                "the adapter began as a part of its base (init_lora_weights: %s), which PEFT takes out of the base "
                "when it loads it; `lorikeet export --adapter A --base M --peft OUT` makes a plain one of it",
                a->begun);
    return LRK_OK;
}

static lrk_status keep_string(lrk_adapter *a, const lrk_json *root, const char *key,
                              const char **out, const char *where, lrk_err *err)
{
    const char *s = NULL;
    LRK_TRY(lrk_json_opt_string(root, key, &s, where, err));
    if (!s) return LRK_OK;
    *out = lrk_strdup(&a->arena, s);
    LRK_REQUIRE(err, *out, LRK_ENOMEM, "memory: no room for %s", key);
    return LRK_OK;
}

static lrk_status read_names(lrk_adapter *a, const lrk_json *v, const char *key,
                             const char *const **names, size_t *n, const char *where, lrk_err *err)
{
    const char **list;
    LRK_REQUIRE(err, lrk_json_is(v, LRK_JSON_ARRAY) && lrk_json_size(v) <= MAX_TARGETS, LRK_EINPUT,
                "%s: %s: expected a string or a list of at most %d", where, key, MAX_TARGETS);
    LRK_TRY(lrk_alloc(&a->arena, lrk_json_size(v), sizeof *list, key, &list, err));
    for (size_t i = 0; i < lrk_json_size(v); i++) {
        const char *s = lrk_json_string(lrk_json_at(v, i), NULL);
        LRK_REQUIRE(err, s && *s, LRK_EINPUT, "%s: %s: entry %zu is not a name", where, key, i);
        list[i] = lrk_strdup(&a->arena, s);
        LRK_REQUIRE(err, list[i], LRK_ENOMEM, "memory: no room for %s", key);
    }
    *names = list;
    *n = lrk_json_size(v);
    return LRK_OK;
}

static lrk_status read_targets(lrk_adapter *a, const lrk_json *root, const char *where,
                               lrk_err *err)
{
    const lrk_json *v = lrk_json_get(root, "target_modules");
    const lrk_json *p = lrk_json_get(root, "target_parameters"), *s = lrk_json_get(root, "modules_to_save");
    const lrk_json *rows = lrk_json_get(root, "trainable_token_indices");
    if (rows && !neutral(rows)) LRK_TRY(lrk_adapter_read_tokens(a, rows, where, err));
    if (lrk_json_is_set(s))
        LRK_TRY(read_names(a, s, "modules_to_save", &a->save, &a->n_save, where, err));
    if (lrk_json_is_set(p))
        LRK_TRY(read_names(a, p, "target_parameters", &a->parameter, &a->n_parameters, where, err));
    if (!lrk_json_is_set(v)) return LRK_OK;
    if (lrk_json_is(v, LRK_JSON_STRING))
        return keep_string(a, root, "target_modules", &a->target_pattern, where, err);
    return read_names(a, v, "target_modules", &a->target, &a->n_targets, where, err);
}

static lrk_status check_pattern(const lrk_json *root, const char *name, const char *where,
                                lrk_err *err)
{
    const lrk_json *v = lrk_json_get(root, name);
    if (!lrk_json_is_set(v)) return LRK_OK;
    LRK_REQUIRE(err, lrk_json_is(v, LRK_JSON_OBJECT), LRK_EINPUT, "%s: %s: expected an object",
                where, name);
    for (void *i = lrk_json_begin(v); i; i = lrk_json_next(v, i)) {
        const lrk_json *value = lrk_json_value(i);
        lrk_err why = {0};
        LRK_REQUIRE(err, lrk_module_key_matches(lrk_json_key(i, NULL), NULL, NULL, &why) == LRK_OK, LRK_EINPUT,
                    "%s: %s: %s", where, name, why.text);
        LRK_REQUIRE(err, lrk_json_is(value, LRK_JSON_INTEGER) || lrk_json_is(value, LRK_JSON_REAL),
                    LRK_EINPUT, "%s: %s: '%.100s': expected a number", where, name,
                    lrk_json_key(i, NULL));
        LRK_REQUIRE(err, lrk_json_number(value) > 0 && lrk_json_number(value) <= 1e6, LRK_EINPUT,
                    "%s: %s: '%.100s': expected a positive number", where, name,
                    lrk_json_key(i, NULL));
    }
    return LRK_OK;
}

static lrk_status by_pattern(const lrk_json *root, const char *name, const char *path, double *value,
                             lrk_err *err)
{
    const lrk_json *v = lrk_json_get(root, name);
    bool found = false;
    if (!lrk_json_is(v, LRK_JSON_OBJECT)) return LRK_OK;
    for (void *i = lrk_json_begin(v); i; i = lrk_json_next(v, i)) {
        LRK_TRY(lrk_module_key_matches(lrk_json_key(i, NULL), path, &found, err));
        if (!found) continue;
        *value = lrk_json_number(lrk_json_value(i));
        return LRK_OK;
    }
    return LRK_OK;
}

void lrk_adapter_stored_path(const lrk_adapter *a, const char *path, char out[LRK_NAME_MAX])
{
    if (a->part)
        lrk_text_part_stored(path, LRK_TEXT_BELOW_MODEL, out);
    else
        snprintf(out, LRK_NAME_MAX, "%s", path);
}

lrk_status lrk_adapter_of_module(const lrk_adapter *a, const char *path, size_t *rank,
                                 double *alpha, lrk_err *err)
{
    double r = (double)a->rank;
    char stored[2][LRK_NAME_MAX];
    *alpha = a->alpha;
    lrk_adapter_stored_path(a, path, stored[0]);
    lrk_text_part_stored(path, LRK_TEXT_FIRST, stored[1]); /* as earlier versions of PEFT had it */
    for (int k = 0; k < (a->part ? 2 : 1); k++) {
        LRK_TRY(by_pattern(a->config, "rank_pattern", stored[k], &r, err));
        LRK_TRY(by_pattern(a->config, "alpha_pattern", stored[k], alpha, err));
    }
    LRK_REQUIRE(err, r == floor(r) && r >= 1 && r <= MAX_RANK, LRK_EINPUT,
                "%s: rank_pattern: %g is no rank", LRK_ADAPTER_CONFIG, r);
    *rank = (size_t)r;
    return LRK_OK;
}

double lrk_adapter_scale(const lrk_adapter *a, size_t rank, double alpha)
{
    return alpha / (a->rslora ? sqrt((double)rank) : (double)rank);
}

static lrk_status read_config(lrk_adapter *a, const char *where, lrk_err *err)
{
    const lrk_json *root = a->config;
    LRK_REQUIRE(err, lrk_json_is(root, LRK_JSON_OBJECT), LRK_EINPUT, "%s: expected an object",
                where);
    LRK_TRY(check_keys(root, where, err));
    LRK_REQUIRE(err, lrk_json_get(root, "peft_type"), LRK_EINPUT, "%s: peft_type is missing",
                where);
    LRK_TRY(check_word(root, "peft_type", "LORA", where, err));
    LRK_TRY(check_word(root, "task_type", "CAUSAL_LM", where, err));
    LRK_TRY(check_bias(root, where, err));
    LRK_TRY(read_init(a, root, where, err));
    LRK_TRY(lrk_json_opt_size(root, "r", 1, MAX_RANK, &a->rank, where, err));
    LRK_TRY(lrk_json_opt_real(root, "lora_alpha", &a->alpha, where, err));
    LRK_TRY(lrk_json_opt_real(root, "lora_dropout", &a->dropout, where, err));
    LRK_TRY(lrk_json_opt_bool(root, "use_rslora", &a->rslora, where, err));
    LRK_TRY(lrk_json_opt_bool(root, "use_dora", &a->dora, where, err));
    LRK_TRY(lrk_json_opt_bool(root, "ensure_weight_tying", &a->tied, where, err));
    LRK_REQUIRE(err, a->rank, LRK_EINPUT, "%s: r is missing", where);
    LRK_REQUIRE(err, a->alpha > 0 && a->alpha <= 1e6, LRK_EINPUT,
                "%s: lora_alpha is %g, expected a positive number", where, a->alpha);
    LRK_REQUIRE(err, a->dropout >= 0 && a->dropout < 1, LRK_EINPUT,
                "%s: lora_dropout is %g, expected 0 to 1", where, a->dropout);
    LRK_TRY(check_pattern(root, "rank_pattern", where, err));
    LRK_TRY(check_pattern(root, "alpha_pattern", where, err));
    LRK_TRY(keep_string(a, root, "base_model_name_or_path", &a->base_model, where, err));
    LRK_TRY(keep_string(a, root, "revision", &a->revision, where, err));
    return read_targets(a, root, where, err);
}

lrk_status lrk_adapter_parse_config(lrk_adapter *a, const char *text, size_t n, const char *where,
                                    lrk_err *err)
{
    *a = (lrk_adapter){.arena = lrk_arena_growing("adapter")};
    lrk_status status = lrk_json_parse(&a->config, text, n, where, err);
    if (status == LRK_OK) status = read_config(a, where, err);
    if (status != LRK_OK) lrk_adapter_free(a);
    return status;
}
