/* recipes/value.c -- one YAML node into one member of a recipe. */
#include "base/dtype.h"
#include "base/file.h"
#include "base/module_key.h"
#include "base/text.h"
#include "recipes/reader.h"

#include <string.h>

bool lrk_yaml_null(const lrk_yaml *node)
{
    static const char *const words[] = {"", "~", "null"};
    if (node->kind != LRK_YAML_SCALAR || !node->plain) return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(node->text, words[i]) == 0) return true;
    return false;
}

/* What YAML 1.1 takes for a boolean, besides true and false. */
static bool boolean_in_disguise(const char *s)
{
    static const char *const words[] = {"yes", "Yes", "YES",  "no",   "No",    "NO",   "on",
                                        "On",  "ON",  "off",  "Off",  "OFF",   "y",    "Y",
                                        "n",   "N"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(s, words[i]) == 0) return true;
    return false;
}

/* The spellings of YAML 1.2. */
static bool truth(const char *s)
{
    return strcmp(s, "true") == 0 || strcmp(s, "True") == 0 || strcmp(s, "TRUE") == 0;
}

static bool boolean(const char *s)
{
    return truth(s) || strcmp(s, "false") == 0 || strcmp(s, "False") == 0 || strcmp(s, "FALSE") == 0;
}

bool lrk_yaml_says(const lrk_yaml *node, const char *word)
{
    double a, b;
    if (node->kind != LRK_YAML_SCALAR) return false;
    if (strcmp(node->text, word) == 0) return true;
    if (!node->plain) return false;
    if (boolean(node->text) && boolean(word)) return truth(node->text) == truth(word);
    return lrk_text_real(node->text, &a) && lrk_text_real(word, &b) && a == b;
}

static const char *kind_of(const lrk_yaml *node)
{
    double d;
    if (node->kind == LRK_YAML_LIST) return "a list";
    if (node->kind == LRK_YAML_MAP) return "a map";
    if (!node->plain) return "the text";
    if (lrk_yaml_null(node)) return "nothing";
    if (boolean(node->text)) return "the boolean";
    if (lrk_text_real(node->text, &d)) return "the number";
    return "the word";
}

/* ", did you mean q4_k_m?", or nothing. */
static void suggest(const lrk_key *k, const char *word, lrk_buf *out)
{
    char name[32], best[32];
    lrk_nearest near = {.word = strcmp(word, "gpu") == 0 ? "cuda" : word}; /* by its letters it would be the cpu */
    for (int i = 0; i < lrk_domain_choices(k->domain); i++) {
        lrk_nearest_offer(&near, lrk_domain_name(k->domain, i, name));
        if (near.best != name) continue;
        memcpy(best, name, sizeof best);
        near.best = best;
    }
    if (near.best) lrk_buf_printf(out, "; did you mean %s?", near.best);
}

void lrk_unexpected(lrk_reader *r, const lrk_yaml *node, const char *shown, const char *want, const char *near)
{
    const bool scalar = node->kind == LRK_YAML_SCALAR && !lrk_yaml_null(node);
    lrk_mistake(r, node, shown, "expected %s, got %s%s%.60s%s", want, kind_of(node), scalar ? " " : "",
                scalar ? node->text : "", near);
}

static void wrong(lrk_reader *r, const lrk_key *k, const lrk_yaml *node, const char *shown)
{
    lrk_buf want = {0}, near = {0};
    lrk_domain_describe(k, &want);
    const bool scalar = node->kind == LRK_YAML_SCALAR && !lrk_yaml_null(node);
    if (scalar && (k->kind == LRK_KEY_ENUM || k->kind == LRK_KEY_STRINGS)) suggest(k, node->text, &near);
    lrk_unexpected(r, node, shown, want.data ? want.data : "", near.data ? near.data : "");
    lrk_buf_free(&want);
    lrk_buf_free(&near);
}

/* Text that prints and reads back: no control characters but tab and newline. */
static bool printable(const char *s)
{
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) return false;
        if (c == 0xc2 && (unsigned char)s[1] < 0xa0) return false; /* U+0080 .. U+009F */
    }
    return true;
}

static const char *text_of(lrk_reader *r, const lrk_yaml *node, const char *shown)
{
    double d;
    const bool typed = node->line > 0; /* what stands on the command line is text as it is */
    if (node->kind != LRK_YAML_SCALAR || lrk_yaml_null(node)) {
        const char *mend = node->kind == LRK_YAML_SCALAR ? ""
                           : typed                       ? "; put it in quotes"
                                                         : "; put it in quotes inside those of the shell, "
                                                           "key='\"{...}\"'";
        lrk_mistake(r, node, shown, "expected text, got %s%s", kind_of(node), mend);
    } else if (typed && node->plain &&
               (boolean(node->text) || boolean_in_disguise(node->text) ||
                lrk_text_real(node->text, &d))) {
        lrk_mistake(r, node, shown, "expected text, got %s %s; put it in quotes", kind_of(node),
                    node->text);
    } else if (lrk_utf8_check(node->text, strlen(node->text)) != strlen(node->text)) {
        lrk_mistake(r, node, shown, "the text is not UTF-8");
    } else if (!printable(node->text)) {
        lrk_mistake(r, node, shown, "a control character in the text");
    } else {
        return node->text;
    }
    return NULL;
}

static void read_number(lrk_reader *r, const lrk_key *k, void *member, const lrk_yaml *node,
                        const char *shown)
{
    size_t n = 0;
    double d = 0;
    bool good = node->kind == LRK_YAML_SCALAR && node->plain;
    if (good && k->kind == LRK_KEY_SIZE) {
        good = lrk_text_size(node->text, &n);
        d = (double)n;
    } else if (good) {
        good = lrk_text_real(node->text, &d);
    }
    if (!good || !lrk_domain_holds(k->domain, d)) {
        wrong(r, k, node, shown);
    } else if (k->kind == LRK_KEY_SIZE) {
        *(size_t *)member = n;
    } else {
        *(double *)member = d;
    }
}

static void read_bool(lrk_reader *r, void *member, const lrk_yaml *node, const char *shown)
{
    if (node->kind == LRK_YAML_SCALAR && node->plain && boolean(node->text))
        *(bool *)member = truth(node->text);
    else
        lrk_unexpected(r, node, shown, "true or false", "");
}

static void read_choice(lrk_reader *r, const lrk_key *k, void *member, const lrk_yaml *node,
                        const char *shown)
{
    const bool scalar = node->kind == LRK_YAML_SCALAR;
    const char *word = scalar && node->plain && boolean(node->text) ? truth(node->text) ? "true" : "false" : node->text;
    int choice = scalar ? lrk_domain_choice(k->domain, word) : -1;
    if (scalar && choice < 0) choice = lrk_domain_choice(k->domain, lrk_dtype_usual(word));
    if (choice < 0)
        wrong(r, k, node, shown);
    else
        *(int *)member = choice;
}

static void read_strings(lrk_reader *r, const lrk_key *k, void *member, const lrk_yaml *node,
                         const char *shown)
{
    if (lrk_yaml_null(node)) return;
    if (node->kind == LRK_YAML_MAP) {
        wrong(r, k, node, shown);
        return;
    }
    lrk_strings list = {.scalar = node->kind == LRK_YAML_SCALAR};
    const size_t n = list.scalar ? 1 : node->n;
    if (r->status == LRK_OK)
        r->status = lrk_alloc(r->arena, n ? n : 1, sizeof *list.item, "recipe", &list.item, r->err);
    if (r->status != LRK_OK) return;

    for (const lrk_yaml *e = list.scalar ? node : node->child; e; e = e->next) {
        const char *text = text_of(r, e, shown);
        if (!text) return;
        if (*k->domain && lrk_domain_choice(k->domain, text) < 0) {
            wrong(r, k, e, shown);
            return;
        }
        for (size_t i = 0; i < list.n; i++)
            if (strcmp(list.item[i], text) == 0) {
                lrk_mistake(r, e, shown, "%s stands there twice", text);
                return;
            }
        list.item[list.n++] = text;
        if (list.scalar) break;
    }
    *(lrk_strings *)member = list;
}

/* False where that was a mistake, which is told of. */
static bool read_sizes(lrk_reader *r, const lrk_key *k, lrk_sizes *member, const lrk_yaml *node, const char *shown)
{
    lrk_sizes list = {.n = 0};
    const bool scalar = node->kind == LRK_YAML_SCALAR;
    const size_t room = scalar ? 1 : node->n;
    if (r->status == LRK_OK)
        r->status = lrk_alloc(r->arena, room ? room : 1, sizeof *list.item, "recipe", &list.item, r->err);
    for (const lrk_yaml *e = scalar ? node : node->child; e && r->status == LRK_OK; e = scalar ? NULL : e->next) {
        size_t n = 0;
        const bool good = node->kind != LRK_YAML_MAP && e->kind == LRK_YAML_SCALAR && e->plain &&
                          lrk_text_size(e->text, &n) && lrk_domain_holds(k->domain, (double)n);
        if (!good) {
            wrong(r, k, e, shown);
            return false;
        }
        list.item[list.n++] = n;
    }
    *member = list;
    return true;
}

static void read_tokens(lrk_reader *r, const lrk_key *k, void *member, const lrk_yaml *node, const char *shown)
{
    lrk_token_lists map = {.n = 0};
    const bool alone = node->kind != LRK_YAML_MAP;
    const size_t room = !alone && node->n ? node->n : 1;
    if (r->status == LRK_OK) r->status = lrk_alloc(r->arena, room, sizeof *map.module, "recipe", &map.module, r->err);
    if (r->status == LRK_OK) r->status = lrk_alloc(r->arena, room, sizeof *map.ids, "recipe", &map.ids, r->err);
    for (const lrk_yaml *e = alone ? node : node->child; e && r->status == LRK_OK; e = alone ? NULL : e->next) {
        if (!alone && (lrk_utf8_check(e->key, strlen(e->key)) != strlen(e->key) || !printable(e->key) || !*e->key)) {
            lrk_mistake(r, e, shown, "a key that is no text");
            return;
        }
        map.module[map.n] = alone ? NULL : e->key;
        if (!read_sizes(r, k, &map.ids[map.n], e, shown)) return;
        if (r->status == LRK_OK && map.ids[map.n].n == 0) {
            lrk_mistake(r, e, shown, "a list without a token");
            return;
        }
        map.n++;
    }
    *(lrk_token_lists *)member = map;
}

static void read_texts(lrk_reader *r, const lrk_key *k, void *member, const lrk_yaml *node, const char *shown)
{
    lrk_token_texts map = {.n = 0};
    if (node->kind != LRK_YAML_MAP) {
        wrong(r, k, node, shown);
        return;
    }
    const size_t room = node->n ? node->n : 1;
    if (r->status == LRK_OK) r->status = lrk_alloc(r->arena, room, sizeof *map.id, "recipe", &map.id, r->err);
    if (r->status == LRK_OK) r->status = lrk_alloc(r->arena, room, sizeof *map.text, "recipe", &map.text, r->err);
    for (const lrk_yaml *e = node->child; e && r->status == LRK_OK; e = e->next) {
        size_t id = 0;
        if (!lrk_text_size(e->key, &id) || !lrk_domain_holds(k->domain, (double)id)) {
            lrk_mistake(r, e, shown, "%.60s: expected the id of a token", e->key);
            continue;
        }
        const char *text = text_of(r, e, shown);
        map.id[map.n] = id;
        map.text[map.n] = text;
        map.n += text != NULL;
    }
    *(lrk_token_texts *)member = map;
}

static void read_patterns(lrk_reader *r, const lrk_key *k, void *member, const lrk_yaml *node, const char *shown)
{
    lrk_patterns map = {.n = 0};
    if (node->kind != LRK_YAML_MAP) {
        wrong(r, k, node, shown);
        return;
    }
    const size_t room = node->n ? node->n : 1;
    if (r->status == LRK_OK) r->status = lrk_alloc(r->arena, room, sizeof *map.key, "recipe", &map.key, r->err);
    if (r->status == LRK_OK) r->status = lrk_alloc(r->arena, room, sizeof *map.value, "recipe", &map.value, r->err);
    for (const lrk_yaml *e = node->child; e && r->status == LRK_OK; e = e->next) {
        lrk_err why = {0};
        double d = 0;
        if (lrk_utf8_check(e->key, strlen(e->key)) != strlen(e->key) || !printable(e->key) || !*e->key) {
            lrk_mistake(r, e, shown, "a key that is no text");
        } else if (lrk_module_key_matches(e->key, NULL, NULL, &why) != LRK_OK) {
            lrk_mistake(r, e, shown, "%s", why.text);
        } else if (e->kind != LRK_YAML_SCALAR || !e->plain || !lrk_text_real(e->text, &d) ||
                   !lrk_domain_holds(k->domain, d)) {
            wrong(r, k, e, shown);
        } else {
            map.key[map.n] = e->key;
            map.value[map.n++] = d;
        }
    }
    *(lrk_patterns *)member = map;
}

void lrk_read_value(lrk_reader *r, const lrk_key *k, void *base, const lrk_yaml *node,
                    const char *shown)
{
    void *member = (char *)base + k->offset;
    const bool unset = !*k->fallback;
    if ((unset || k->kind == LRK_KEY_STRINGS) && lrk_yaml_null(node)) return;
    if (lrk_refused(r, k, node, shown)) return;

    switch (k->kind) {
    case LRK_KEY_STRING:
    case LRK_KEY_PATH: {
        const char *text = text_of(r, node, shown);
        if (text && !*text && k->kind == LRK_KEY_PATH)
            lrk_mistake(r, node, shown, "an empty path");
        else if (text)
            *(const char **)member = text;
        return;
    }
    case LRK_KEY_SIZE:
    case LRK_KEY_REAL:
        read_number(r, k, member, node, shown);
        return;
    case LRK_KEY_BOOL:
        read_bool(r, member, node, shown);
        return;
    case LRK_KEY_ENUM:
        read_choice(r, k, member, node, shown);
        return;
    case LRK_KEY_STRINGS:
        read_strings(r, k, member, node, shown);
        return;
    case LRK_KEY_SIZES:
        (void)read_sizes(r, k, member, node, shown);
        return;
    case LRK_KEY_TOKENS:
        read_tokens(r, k, member, node, shown);
        return;
    case LRK_KEY_TEXTS:
        read_texts(r, k, member, node, shown);
        return;
    case LRK_KEY_PATTERNS:
        read_patterns(r, k, member, node, shown);
        return;
    case LRK_KEY_DATASETS: /* recipe.c */
    case LRK_KEY_SECTION:
        break;
    }
    LRK_BUG("%s: no such value", k->name);
}

void lrk_read_defaults(lrk_reader *r, const lrk_key *table, void *base)
{
    for (const lrk_key *k = table; k->name; k++) {
        if (k->kind == LRK_KEY_SECTION || !*k->fallback) continue;
        const lrk_yaml node = {.kind = LRK_YAML_SCALAR, .text = k->fallback, .plain = true};
        lrk_read_value(r, k, base, &node, k->name);
    }
}
