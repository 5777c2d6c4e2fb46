/* checkpoint/text_part.c -- names and configuration of the language model inside another. */
#include "checkpoint/text_part.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *model, *head;
} called[] = {
    [LRK_TEXT_FIRST] = {"language_model.model.", "language_model.lm_head."},
    [LRK_TEXT_BELOW_MODEL] = {"model.language_model.", "lm_head."},
};
static const char model[] = "model.", head[] = "lm_head.";

enum { WAYS = sizeof called / sizeof *called };

/* The rest of s behind a beginning, or NULL. */
static const char *behind(const char *s, const char *begin)
{
    const size_t n = strlen(begin);
    return strncmp(s, begin, n) == 0 ? s + n : NULL;
}

bool lrk_text_part_here(const char *stored, lrk_text_names *names, char out[LRK_NAME_MAX])
{
    for (int k = 0; k < WAYS; k++) {
        const char *rest = behind(stored, called[k].model), *of_head = behind(stored, called[k].head);
        if (!rest && !of_head) continue;
        if (rest) *names = (lrk_text_names)k;
        return snprintf(out, LRK_NAME_MAX, "%s%s", rest ? model : head, rest ? rest : of_head) < LRK_NAME_MAX;
    }
    return false;
}

void lrk_text_part_stored(const char *here, lrk_text_names names, char out[LRK_NAME_MAX])
{
    const char *rest = behind(here, model), *of_head = behind(here, head);
    snprintf(out, LRK_NAME_MAX, "%s%s", rest ? called[names].model : of_head ? called[names].head : "",
             rest ? rest : of_head ? of_head : here);
}

lrk_status lrk_text_part_split(lrk_tensor *t, size_t *n, lrk_tensor **beside, size_t *n_beside, lrk_text_names *names,
                               lrk_arena *a, lrk_err *err)
{
    size_t kept = 0;
    *n_beside = 0;
    LRK_TRY(lrk_alloc(a, *n, sizeof **beside, "tensor table", beside, err));
    for (size_t i = 0; i < *n; i++) {
        char here[LRK_NAME_MAX];
        if (!lrk_text_part_here(t[i].name, names, here)) {
            (*beside)[(*n_beside)++] = t[i];
            continue;
        }
        t[kept] = t[i];
        t[kept].name = lrk_strdup(a, here);
        LRK_REQUIRE(err, t[kept].name, LRK_ENOMEM, "memory: no room for tensor names");
        kept++;
    }
    *n = kept;
    return LRK_OK;
}

/* ---- adapters ---- */

static const char prefix[] = "base_model.model.";

bool lrk_text_part_is_beside(const char *key)
{
    static const char *const begin[] = {"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                                        "model.multi_modal_projector."};
    const char *path = behind(key, prefix);
    for (size_t i = 0; path && i < sizeof begin / sizeof *begin; i++)
        if (behind(path, begin[i])) return true;
    return false;
}

static bool is_zero(const lrk_tensor *t)
{
    const unsigned char *p = t->data;
    for (size_t i = 0; i < lrk_bytes(t); i++)
        if (p[i]) return false;
    return true;
}

/* One that changes nothing. */
static lrk_status check_beside(const lrk_safetensors *s, const lrk_st_entry *e, bool dora, lrk_err *err)
{
    lrk_tensor t;
    if (lrk_ends_with(e->name, ".lora_A.weight")) return LRK_OK;
    LRK_TRY(lrk_st_view(s, e, &t, err));
    LRK_REQUIRE(err, !dora && lrk_ends_with(e->name, ".lora_B.weight") && is_zero(&t), LRK_ESUPPORT,
                "%s: tensor '%s' changes how the model sees images; adapters of the language model alone are supported",
                s->path, e->name);
    return LRK_OK;
}

lrk_status lrk_text_part_adapter(lrk_adapter *a, lrk_safetensors *s, lrk_err *err)
{
    lrk_text_names names;
    char here[LRK_NAME_MAX];
    for (size_t i = 0; i < s->n && !a->part; i++) {
        const char *path = behind(s->entry[i].name, prefix);
        a->part = path && lrk_text_part_here(path, &names, here) && !behind(path, head);
    }
    for (size_t i = 0; a->part && i < s->n; i++) {
        lrk_lookup_row *row = &s->lookup.row[i];
        lrk_st_entry *e = &s->entry[row->at];
        lrk_buf key = {0};
        const char *path = behind(e->name, prefix);
        if (lrk_text_part_is_beside(e->name)) LRK_TRY(check_beside(s, e, a->dora, err));
        if (!path || !lrk_text_part_here(path, &names, here)) continue;
        lrk_buf_printf(&key, "%s%s", prefix, here);
        row->name = e->name = key.data ? lrk_strdup(&s->arena, key.data) : NULL;
        lrk_buf_free(&key);
        LRK_REQUIRE(err, e->name, LRK_ENOMEM, "memory: no room for tensor names");
    }
    const char *twice = lrk_lookup_sort(&s->lookup);
    LRK_REQUIRE(err, !twice, LRK_EINPUT, "%s: tensor '%s' occurs twice", s->path, twice);
    return LRK_OK;
}

/* ---- configuration ---- */

typedef struct wrapper {
    const char *architecture, *model_type, *text_type;
    bool ties;
} wrapper;

static const wrapper wrappers[] = {
#define WRAPPER(...) {__VA_ARGS__},
#define TEXT(type, ...)
#include "checkpoint/wrappers.def"
#undef WRAPPER
#undef TEXT
};

static const struct {
    const char *text_type, *json;
} defaults[] = {
#define WRAPPER(...)
#define TEXT(type, ...) {type, #__VA_ARGS__},
#include "checkpoint/wrappers.def"
#undef WRAPPER
#undef TEXT
};

enum { WRAPPERS = sizeof wrappers / sizeof *wrappers, DEFAULTS = sizeof defaults / sizeof *defaults };

void lrk_wrapper_list(char out[LRK_ARCH_LIST])
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < WRAPPERS && used < LRK_ARCH_LIST; i++)
        used += (size_t)snprintf(out + used, LRK_ARCH_LIST - used, "%s%s", i ? ", " : "", wrappers[i].architecture);
}

static const wrapper *find_wrapper(const lrk_json *config)
{
    const char *name = lrk_json_string(lrk_json_at(lrk_json_get(config, "architectures"), 0), NULL);
    const char *type = lrk_json_word(config, "model_type");
    for (size_t i = 0; i < WRAPPERS; i++)
        if (name ? strcmp(name, wrappers[i].architecture) == 0 : type && strcmp(type, wrappers[i].model_type) == 0)
            return &wrappers[i];
    return NULL;
}

static lrk_status defaults_of(const char *text_type, lrk_json **out, lrk_err *err)
{
    for (size_t i = 0; i < DEFAULTS; i++)
        if (strcmp(text_type, defaults[i].text_type) == 0)
            return lrk_json_parse(out, defaults[i].json, strlen(defaults[i].json), text_type, err);
    *out = lrk_json_object();
    return LRK_OK;
}

static bool ties(const lrk_json *config)
{
    const lrk_json *v = lrk_json_get(config, "tie_word_embeddings");
    return lrk_json_is(v, LRK_JSON_BOOL) && lrk_json_bool(v);
}

static void take(lrk_json *to, const lrk_json *from, const char *key)
{
    const lrk_json *v = lrk_json_get(from, key);
    if (lrk_json_is_set(v)) lrk_json_set(to, key, lrk_json_ref((lrk_json *)(uintptr_t)v));
}

/* The class of the part; none where no class of this model_type is known, which then stands for it in messages. */
static void put_class(lrk_json *o, const char *type)
{
    const lrk_arch *arch = lrk_arch_from_type(type);
    lrk_json *classes = lrk_json_array();
    if (arch) lrk_json_add(classes, lrk_json_c_string(arch->hf));
    lrk_json_set(o, "architectures", classes);
    lrk_json_set_text(o, "model_type", type);
}

lrk_status lrk_text_part_config(const lrk_json *config, const char *where, lrk_json **text, lrk_err *err)
{
    static const char *const outer[] = {"eos_token_id", "bos_token_id", "_name_or_path"};
    const lrk_json *inner = lrk_json_get(config, "text_config");
    const wrapper *w = find_wrapper(config);
    lrk_json *o;
    *text = NULL;
    if (!w) return LRK_OK;
    LRK_REQUIRE(err, !lrk_json_is_set(inner) || lrk_json_is(inner, LRK_JSON_OBJECT), LRK_EINPUT,
                "%s: text_config: expected an object", where);
    const char *type = lrk_json_word(inner, "model_type");
    if (!type) type = w->text_type;
    LRK_TRY(defaults_of(type, &o, err));
    for (void *i = lrk_json_begin(inner); i; i = lrk_json_next(inner, i))
        lrk_json_set(o, lrk_json_key(i, NULL), lrk_json_ref(lrk_json_value(i)));
    if (w->ties) lrk_json_set(o, "tie_word_embeddings", lrk_json_new_bool(true));
    if (w->ties || ties(config)) take(o, config, "tie_word_embeddings");
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++) take(o, config, outer[i]);
    put_class(o, type);
    *text = o;
    return LRK_OK;
}
