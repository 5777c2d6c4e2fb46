/* recipes/print.c -- the resolved recipe and its hash. */
#include "base/sha256.h"
#include "base/text.h"
#include "recipes/recipe.h"
#include "recipes/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shortest decimal that reads back to the same number. */
static void put_real(lrk_buf *b, double d)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtod(text, NULL) == d) break;
    }
    lrk_buf_puts(b, text);
}

/* May stand without quotes: words of a path that YAML takes for nothing else. */
static bool plain_word(const char *s)
{
    static const char *const taken[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};
    if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/", *s)) return false;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (lrk_edit_distance(s, taken[i]) == 0) return false;
    for (; *s; s++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-", *s))
            return false;
    return true;
}

/* Double quotes, where YAML would fold or refuse a character an escape. s is UTF-8. */
static void put_text(lrk_buf *b, const char *s)
{
    if (*s && plain_word(s)) {
        lrk_buf_puts(b, s);
        return;
    }
    lrk_buf_puts(b, "\"");
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p == '"' || *p == '\\')
            lrk_buf_printf(b, "\\%c", *p);
        else if (*p == '\n')
            lrk_buf_puts(b, "\\n");
        else if (*p == '\t')
            lrk_buf_puts(b, "\\t");
        else if (*p == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) {
            lrk_buf_printf(b, "\\u20%02x", p[2] - 0x80); /* line and paragraph separator */
            p += 2;
        } else if (*p == 0xef && p[1] >= 0xbb &&
                   (p[1] == 0xbb ? p[2] == 0xbf : p[1] == 0xbf && p[2] >= 0xbe)) {
            const unsigned code = 0xf000u | ((unsigned)(p[1] & 0x3f) << 6) | (p[2] & 0x3fu);
            lrk_buf_printf(b, "\\u%04x", code); /* byte order mark, U+FFFE, U+FFFF */
            p += 2;
        } else
            lrk_buf_append(b, p, 1);
    }
    lrk_buf_puts(b, "\"");
}

static void put_datasets(lrk_buf *b, const lrk_recipe_datasets *list);

static void put_sizes(lrk_buf *b, const lrk_sizes *list)
{
    lrk_buf_puts(b, "[");
    for (size_t i = 0; i < list->n; i++) lrk_buf_printf(b, "%s%zu", i ? ", " : "", list->item[i]);
    lrk_buf_puts(b, "]");
}

static void put_tokens(lrk_buf *b, const lrk_token_lists *map)
{
    const bool alone = map->n == 1 && !map->module[0];
    if (!alone) lrk_buf_puts(b, "{");
    for (size_t i = 0; i < map->n; i++) {
        if (i) lrk_buf_puts(b, ", ");
        if (!alone) put_text(b, map->module[i]);
        if (!alone) lrk_buf_puts(b, ": ");
        put_sizes(b, &map->ids[i]);
    }
    if (!alone) lrk_buf_puts(b, "}");
}

static void put_value(lrk_buf *b, const lrk_key *k, const void *base)
{
    const void *member = (const char *)base + k->offset;
    char name[32];
    switch (k->kind) {
    case LRK_KEY_SECTION:
        return;
    case LRK_KEY_STRING:
    case LRK_KEY_PATH: {
        const char *text = *(const char *const *)member;
        if (text)
            put_text(b, text);
        else
            lrk_buf_puts(b, "null");
        return;
    }
    case LRK_KEY_SIZE:
        lrk_buf_printf(b, "%zu", *(const size_t *)member);
        return;
    case LRK_KEY_REAL:
        put_real(b, *(const double *)member);
        return;
    case LRK_KEY_BOOL:
        lrk_buf_puts(b, *(const bool *)member ? "true" : "false");
        return;
    case LRK_KEY_ENUM:
        lrk_buf_puts(b, lrk_domain_name(k->domain, *(const int *)member, name));
        return;
    case LRK_KEY_STRINGS: {
        const lrk_strings *list = member;
        if (list->scalar) {
            put_text(b, list->item[0]);
            return;
        }
        lrk_buf_puts(b, "[");
        for (size_t i = 0; i < list->n; i++) {
            if (i) lrk_buf_puts(b, ", ");
            put_text(b, list->item[i]);
        }
        lrk_buf_puts(b, "]");
        return;
    }
    case LRK_KEY_SIZES:
        put_sizes(b, member);
        return;
    case LRK_KEY_TOKENS:
        put_tokens(b, member);
        return;
    case LRK_KEY_TEXTS: {
        const lrk_token_texts *map = member;
        lrk_buf_puts(b, "{");
        for (size_t i = 0; i < map->n; i++) {
            lrk_buf_printf(b, "%s%zu: ", i ? ", " : "", map->id[i]);
            put_text(b, map->text[i]);
        }
        lrk_buf_puts(b, "}");
        return;
    }
    case LRK_KEY_PATTERNS: {
        const lrk_patterns *map = member;
        lrk_buf_puts(b, "{");
        for (size_t i = 0; i < map->n; i++) {
            if (i) lrk_buf_puts(b, ", ");
            put_text(b, map->key[i]);
            lrk_buf_puts(b, ": ");
            put_real(b, map->value[i]);
        }
        lrk_buf_puts(b, "}");
        return;
    }
    case LRK_KEY_DATASETS:
        put_datasets(b, member);
        return;
    }
}

static void put_datasets(lrk_buf *b, const lrk_recipe_datasets *list)
{
    if (list->n == 0) lrk_buf_puts(b, "[]");
    for (size_t i = 0; i < list->n; i++) {
        const char *lead = "\n  - ";
        for (const lrk_key *k = lrk_dataset_keys; k->name; k++) {
            const void *member = (const char *)&list->item[i] + k->offset;
            if ((k->kind == LRK_KEY_STRING || k->kind == LRK_KEY_PATH) &&
                !*(const char *const *)member)
                continue;
            lrk_buf_printf(b, "%s%s: ", lead, k->name);
            put_value(b, k, &list->item[i]);
            lead = "\n    ";
        }
    }
}

static const lrk_recipe_datasets *list_of(const lrk_key *k, const lrk_recipe *r)
{
    return (const void *)((const char *)r + k->offset);
}

bool lrk_recipe_gives(const lrk_recipe *r, const char *key)
{
    return r->given[lrk_key_find(lrk_recipe_keys, key) - lrk_recipe_keys];
}

/* The adapter that training starts from decides it, and the recipe says nothing. */
static bool left_to_adapter(const lrk_recipe *r, const lrk_key *k)
{
    static const char *const keys[] = {"lora_r", "lora_alpha", "lora_target_modules", "lora_target_parameters",
                                       "exclude_modules", "peft_use_rslora", "peft_use_dora",
                                       "rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern"};
    for (size_t i = 0; r->lora_model_dir && i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], k->name) == 0) return !r->given[k - lrk_recipe_keys];
    return false;
}

/* headings: for people; otherwise only the keys that may change the result */
static void put_recipe(lrk_buf *b, const lrk_recipe *r, bool headings)
{
    const char *group = "";
    size_t group_n = 0;
    for (const lrk_key *k = lrk_recipe_keys; k->name; k++) {
        if (k->kind == LRK_KEY_SECTION) {
            if (headings) lrk_buf_printf(b, "%s# %s\n", b->n ? "\n" : "", k->name);
            continue;
        }
        if (!headings && !k->result) continue;
        if (headings && left_to_adapter(r, k)) continue;
        const char *dot = strchr(k->name, '.');
        const size_t n = dot ? (size_t)(dot - k->name) : 0;
        if (n && (n != group_n || memcmp(k->name, group, n) != 0))
            lrk_buf_printf(b, "%.*s:\n", (int)n, k->name);
        group = k->name;
        group_n = n;
        const bool block = k->kind == LRK_KEY_DATASETS && list_of(k, r)->n > 0;
        lrk_buf_printf(b, "%s%s:%s", dot ? "  " : "", dot ? dot + 1 : k->name, block ? "" : " ");
        put_value(b, k, r);
        lrk_buf_puts(b, "\n");
    }
}

lrk_status lrk_recipe_print(const lrk_recipe *r, lrk_buf *b, lrk_err *err)
{
    put_recipe(b, r, true);
    return lrk_buf_check(b, err);
}

lrk_status lrk_recipe_sha256(const lrk_recipe *r, char hex[65], lrk_err *err)
{
    lrk_buf b = {0};
    put_recipe(&b, r, false);
    const lrk_status s = lrk_buf_check(&b, err);
    if (s == LRK_OK) lrk_sha256_hex(b.data, b.n, hex);
    lrk_buf_free(&b);
    return s;
}

bool lrk_recipe_open_ended(const lrk_recipe *r)
{
    return r->lr_scheduler == LRK_SCHEDULER_CONSTANT && r->warmup_ratio <= 0.0 && !r->load_best_model_at_end &&
           !r->early_stopping_patience;
}

lrk_status lrk_recipe_steps_sha256(const lrk_recipe *r, char hex[65], lrk_err *err)
{
    lrk_recipe steps = *r;
    if (lrk_recipe_open_ended(r)) steps.num_epochs = 0, steps.max_steps = 0;
    return lrk_recipe_sha256(&steps, hex, err);
}

lrk_status lrk_recipe_difference(const lrk_recipe *a, const lrk_recipe *b, const char **key,
                                 lrk_err *err)
{
    lrk_status s = LRK_OK;
    *key = NULL;
    for (const lrk_key *k = lrk_recipe_keys; k->name && !*key && s == LRK_OK; k++) {
        lrk_buf x = {0}, y = {0};
        if (!k->result) continue;
        put_value(&x, k, a);
        put_value(&y, k, b);
        s = lrk_buf_check(&x, err);
        if (s == LRK_OK) s = lrk_buf_check(&y, err);
        if (s == LRK_OK && strcmp(x.data, y.data) != 0) *key = k->name;
        lrk_buf_free(&x);
        lrk_buf_free(&y);
    }
    return s;
}
