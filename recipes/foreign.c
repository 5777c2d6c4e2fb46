/* recipes/foreign.c -- keys and values as other tools write them (foreign.def). */
#include "base/dtype.h"
#include "base/text.h"
#include "recipes/reader.h"

#include <stdio.h>
#include <string.h>

/* Null, or an empty text, list or map. */
static bool says_nothing(const lrk_yaml *node)
{
    if (node->kind != LRK_YAML_SCALAR) return node->n == 0;
    return lrk_yaml_null(node) || !*node->text;
}

/* Of a list: each of its values. Lists are 16 deep at most. */
static bool changes_nothing(const lrk_yaml *node, const char *values)
{
    char word[64];
    if (says_nothing(node)) return true;
    if (node->kind == LRK_YAML_LIST) {
        for (const lrk_yaml *e = node->child; e; e = e->next)
            if (!changes_nothing(e, values)) return false;
        return true;
    }
    while (lrk_next_word(&values, '|', word))
        if (lrk_yaml_says(node, word)) return true;
    return false;
}

/* true: members of this key are listed, and each that stands here has been dealt with */
static bool members(lrk_reader *r, const lrk_foreign_key *table, const lrk_yaml *node, const lrk_foreign_key *of)
{
    const size_t n = strlen(of->name);
    const lrk_foreign_key *f = table;
    while (f->name && (strncmp(f->name, of->name, n) != 0 || f->name[n] != '.')) f++;
    if (!f->name) return false;
    for (const lrk_yaml *e = node->child; e; e = e->next) {
        char shown[160];
        snprintf(shown, sizeof shown, "%s.%.64s", of->name, e->key);
        if (!says_nothing(e) && !lrk_foreign(r, table, e, shown)) lrk_mistake(r, e, shown, "%s", of->why);
    }
    return true;
}

bool lrk_foreign(lrk_reader *r, const lrk_foreign_key *table, const lrk_yaml *node, const char *shown)
{
    const lrk_foreign_key *f = lrk_foreign_find(table, shown);
    if (!f || says_nothing(node)) return f != NULL;
    if (node->kind == LRK_YAML_MAP && members(r, table, node, f)) return true;
    if (strcmp(f->given, "*") == 0)
        lrk_recipe_note(r, node, shown, f->why);
    else if (!changes_nothing(node, f->given))
        lrk_mistake(r, node, shown, "%s", f->why);
    return true;
}

/* No value of the key that is translated: for the reason that foreign.def has for it, or because there is none. */
static bool not_translated(lrk_reader *r, const lrk_yaml *node, const char *shown)
{
    lrk_buf want = {0};
    if (lrk_foreign_find(lrk_foreign_keys, shown)) return false;
    for (const lrk_foreign_key *f = lrk_translated_keys; f->name; f++)
        if (strcmp(f->name, shown) == 0) lrk_buf_printf(&want, "%s%s", want.n ? ", " : "one of ", f->given);
    lrk_unexpected(r, node, shown, want.data ? want.data : "", "");
    lrk_buf_free(&want);
    return true;
}

bool lrk_translate(lrk_reader *r, lrk_yaml *node, const char *shown, const lrk_key **k)
{
    bool known = false;
    for (const lrk_foreign_key *f = lrk_translated_keys; f->name; f++) {
        if (strcmp(f->name, shown) != 0) continue;
        known = true;
        if (lrk_yaml_null(node)) return true;
        if (!lrk_yaml_says(node, f->given)) continue;
        if (!*f->value) return true;
        char text[128];
        snprintf(text, sizeof text, "is %s: %s here", f->ours, f->value);
        lrk_recipe_note(r, node, shown, text);
        node->text = f->value;
        *k = lrk_key_find(lrk_recipe_keys, f->ours);
        return false;
    }
    return known && not_translated(r, node, shown);
}

const lrk_key *lrk_share_of_steps(const lrk_reader *r, const lrk_key *k, const lrk_yaml *node, const char *shown)
{
    double share;
    if (strcmp(k->name, "warmup_steps") != 0 || node->kind != LRK_YAML_SCALAR || !node->plain) return k;
    if (!lrk_text_real(node->text, &share) || share <= 0.0 || share >= 1.0) return k;
    lrk_recipe_note(r, node, shown, "below 1 is a share of all steps: warmup_ratio here");
    return lrk_key_find(lrk_recipe_keys, "warmup_ratio");
}

void lrk_take_instead(const lrk_reader *r, const lrk_key *k, lrk_yaml *node, const char *shown)
{
    for (const lrk_foreign_key *f = lrk_values_instead; f->name; f++) {
        if (strcmp(f->name, k->name) != 0 || !lrk_yaml_says(node, f->given)) continue;
        char text[160];
        snprintf(text, sizeof text, "%s: %s", f->given, f->why);
        lrk_recipe_note(r, node, shown, text);
        node->text = f->value;
        node->plain = true;
        return;
    }
}

/* What has characters of a regular expression is one. */
static bool names_with_commas(const lrk_key *k, const lrk_yaml *node)
{
    static const char *const keys[] = {"lora_target_modules", "exclude_modules", "lora_modules_to_save"};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_., ";
    bool modules = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) modules = modules || strcmp(k->name, keys[i]) == 0;
    return modules && node->kind == LRK_YAML_SCALAR && strchr(node->text, ',') &&
           node->text[strspn(node->text, letters)] == '\0';
}

void lrk_cut_commas(lrk_reader *r, const lrk_key *k, lrk_yaml *node, const char *shown)
{
    if (!names_with_commas(k, node)) return;
    lrk_yaml list = *node, **end = &list.child;
    list.kind = LRK_YAML_LIST;
    for (const char *at = node->text + strspn(node->text, ", "); *at; at += strspn(at, ", ")) {
        const size_t n = strcspn(at, ", ");
        if (r->status == LRK_OK) r->status = lrk_alloc(r->arena, 1, sizeof **end, "recipe", end, r->err);
        if (r->status != LRK_OK) return;
        **end = (lrk_yaml){.kind = LRK_YAML_SCALAR, .line = node->line, .column = node->column};
        (*end)->text = lrk_strndup(r->arena, at, n);
        if (!(*end)->text) r->status = lrk_fail(r->err, LRK_ENOMEM, "recipe: out of memory");
        end = &(*end)->next;
        list.n++;
        at += n;
    }
    lrk_recipe_note(r, node, shown, "is read as a list");
    *node = list;
}

bool lrk_refused(lrk_reader *r, const lrk_key *k, const lrk_yaml *node, const char *shown)
{
    for (const lrk_foreign_key *f = lrk_refused_values; f->name; f++) {
        const bool map = strcmp(f->given, "{}") == 0;
        if (strcmp(f->name, k->name) != 0) continue;
        const lrk_yaml usual = {.kind = node->kind, .plain = node->plain,
                                .text = node->text ? lrk_dtype_usual(node->text) : NULL};
        if (map ? node->kind != LRK_YAML_MAP : !lrk_yaml_says(&usual, f->given)) continue;
        lrk_mistake(r, node, shown, "%s%s%s", map ? "" : node->text, map ? "" : ": ", f->why);
        return true;
    }
    return false;
}
