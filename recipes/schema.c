/* recipes/schema.c -- the tables, and what their columns mean. */
#include "recipes/schema.h"

#include "recipes/reader.h"

#include <stdlib.h>
#include <string.h>

enum { RESULT = 1, REPORT = 0 };

#define SECTION(title) {.kind = LRK_KEY_SECTION, .name = title},
#define KEY(kind, member, fallback, domain, unit, aliases, effect, doc)                            \
    {LRK_KEY_##kind, #member, offsetof(OWNER, member), fallback, domain, unit, aliases,            \
     effect,         doc},
#define SUBKEY(parent, member, kind, fallback, domain, unit, aliases, effect, doc)                 \
    {LRK_KEY_##kind,                                                                               \
     #parent "." #member,                                                                          \
     offsetof(OWNER, parent##_##member),                                                           \
     fallback,                                                                                     \
     domain,                                                                                       \
     unit,                                                                                         \
     aliases,                                                                                      \
     effect,                                                                                       \
     doc},

#define OWNER lrk_recipe
const lrk_key lrk_recipe_keys[] = {
#include "recipes/schema.def"
    {.name = NULL}};
#undef OWNER
_Static_assert(sizeof lrk_recipe_keys / sizeof *lrk_recipe_keys <= LRK_MOST_KEYS, "raise it");

#define OWNER lrk_recipe_dataset
const lrk_key lrk_dataset_keys[] = {
#include "recipes/dataset.def"
    {.name = NULL}};
#undef OWNER

#define FOREIGN(name, neutral, why) {#name, neutral, NULL, NULL, why},
#define ROW(name, neutral, why)
#define TRANSLATE(name, given, key, ours)
#define REFUSED(key, value, why)
#define INSTEAD(key, value, ours, why)
const lrk_foreign_key lrk_foreign_keys[] = {
#include "recipes/foreign.def"
    {.name = NULL}};
#undef FOREIGN
#undef ROW

#define FOREIGN(name, neutral, why)
#define ROW(name, neutral, why) {#name, neutral, NULL, NULL, why},
const lrk_foreign_key lrk_foreign_rows[] = {
#include "recipes/foreign.def"
    {.name = NULL}};
#undef ROW
#undef TRANSLATE

#define ROW(name, neutral, why)
#define TRANSLATE(name, given, key, ours) {#name, given, #key, ours, NULL},
const lrk_foreign_key lrk_translated_keys[] = {
#include "recipes/foreign.def"
    {.name = NULL}};
#undef TRANSLATE
#undef REFUSED

#define TRANSLATE(name, given, key, ours)
#define REFUSED(key, value, why) {#key, value, NULL, NULL, why},
const lrk_foreign_key lrk_refused_values[] = {
#include "recipes/foreign.def"
    {.name = NULL}};
#undef REFUSED
#undef INSTEAD

#define REFUSED(key, value, why)
#define INSTEAD(key, given, ours, why) {#key, given, NULL, ours, why},
const lrk_foreign_key lrk_values_instead[] = {
#include "recipes/foreign.def"
    {.name = NULL}};

const char *lrk_next_word(const char **rest, char mark, char out[64])
{
    const char *s = *rest, *end;
    while (*s == mark) s++;
    if (!*s) return NULL;
    end = strchr(s, mark);
    const size_t n = end ? (size_t)(end - s) : strlen(s);
    LRK_ASSERT(n < 64);
    memcpy(out, s, n);
    out[n] = '\0';
    *rest = s + n;
    return out;
}

const lrk_key *lrk_key_find(const lrk_key *table, const char *name)
{
    for (const lrk_key *k = table; k->name; k++) {
        if (k->kind == LRK_KEY_SECTION) continue;
        if (strcmp(k->name, name) == 0) return k;
        char word[64];
        for (const char *rest = k->aliases; lrk_next_word(&rest, ' ', word);)
            if (strcmp(word, name) == 0) return k;
    }
    return NULL;
}

const lrk_foreign_key *lrk_foreign_find(const lrk_foreign_key *table, const char *name)
{
    for (const lrk_foreign_key *f = table; f->name; f++)
        if (strcmp(f->name, name) == 0) return f;
    for (const lrk_foreign_key *f = table; f->name; f++) {
        const size_t n = strlen(f->name) - 1;
        if (f->name[n] == '*' && strncmp(f->name, name, n) == 0) return f;
    }
    return NULL;
}

const lrk_key *lrk_key_meant(const char *name)
{
    for (const lrk_foreign_key *f = lrk_translated_keys; f->name; f++)
        if (strcmp(f->name, name) == 0) return lrk_key_find(lrk_recipe_keys, f->ours);
    return lrk_key_find(lrk_recipe_keys, name);
}

const char *lrk_key_kind_name(lrk_key_kind kind)
{
    switch (kind) {
    case LRK_KEY_SECTION:
        return "section";
    case LRK_KEY_STRING:
        return "text";
    case LRK_KEY_PATH:
        return "path";
    case LRK_KEY_SIZE:
        return "whole number";
    case LRK_KEY_REAL:
        return "number";
    case LRK_KEY_BOOL:
        return "true or false";
    case LRK_KEY_ENUM:
        return "choice";
    case LRK_KEY_SIZES:
        return "list of whole numbers";
    case LRK_KEY_PATTERNS:
        return "map from patterns to numbers";
    case LRK_KEY_TOKENS:
        return "list of whole numbers, or map from modules to such lists";
    case LRK_KEY_TEXTS:
        return "map from ids to texts";
    case LRK_KEY_STRINGS:
        return "list of words";
    case LRK_KEY_DATASETS:
        return "list of data sets";
    }
    return "";
}

/* "(0,1]" into its parts */
static void interval_parts(const char *interval, double *low, double *high, bool *open_low,
                           bool *open_high)
{
    char *end;
    *low = strtod(interval + 1, &end);
    *high = strtod(end + 1, &end);
    *open_low = interval[0] == '(';
    *open_high = *end == ')';
}

bool lrk_domain_holds(const char *interval, double v)
{
    double low, high;
    bool open_low, open_high;
    if (!*interval) return true;
    interval_parts(interval, &low, &high, &open_low, &open_high);
    return (open_low ? v > low : v >= low) && (open_high ? v < high : v <= high);
}

int lrk_domain_choice(const char *domain, const char *word)
{
    char spellings[64 * 4], one[64];
    int choice = 0;
    for (const char *s = domain; *s; choice++) {
        const char *end = strchr(s, '|');
        const size_t n = end ? (size_t)(end - s) : strlen(s);
        LRK_ASSERT(n < sizeof spellings);
        memcpy(spellings, s, n);
        spellings[n] = '\0';
        for (const char *rest = spellings; lrk_next_word(&rest, '=', one);)
            if (strcmp(one, word) == 0) return choice;
        s += end ? n + 1 : n;
    }
    return -1;
}

int lrk_domain_choices(const char *domain)
{
    int n = *domain ? 1 : 0;
    for (const char *s = domain; *s; s++) n += *s == '|';
    return n;
}

const char *lrk_domain_name(const char *domain, int choice, char out[32])
{
    const char *s = domain;
    for (; choice > 0; choice--) s = strchr(s, '|') + 1;
    const size_t n = strcspn(s, "|=");
    LRK_ASSERT(n < 32);
    memcpy(out, s, n);
    out[n] = '\0';
    return out;
}

void lrk_domain_describe(const lrk_key *k, lrk_buf *b)
{
    if (!*k->domain) {
        lrk_buf_puts(b, lrk_key_kind_name(k->kind));
        return;
    }
    if (k->kind == LRK_KEY_ENUM || k->kind == LRK_KEY_STRINGS) {
        char name[32];
        const int n = lrk_domain_choices(k->domain);
        if (n > 1) lrk_buf_puts(b, k->kind == LRK_KEY_ENUM ? "one of " : "a list of ");
        for (int i = 0; i < n; i++)
            lrk_buf_printf(b, "%s%s", i ? ", " : "", lrk_domain_name(k->domain, i, name));
        return;
    }
    double low, high;
    bool open_low, open_high;
    interval_parts(k->domain, &low, &high, &open_low, &open_high);
    lrk_buf_printf(b, "a %s %s %.16g and %s %.16g", lrk_key_kind_name(k->kind),
                   open_low ? "above" : "of at least", low, open_high ? "below" : "at most", high);
}
