/* generate/manifest_combined.c -- the manifest of several adapters as one. */
#include "base/file.h"
#include "generate/manifest.h"

#include <string.h>

/* What each of them was, and what its own manifest says of it. */
static lrk_status list_parts(lrk_json *list, const lrk_manifest_part *part, size_t n, lrk_err *err)
{
    static const char *const kept[] = {"base", "trained_for"};
    lrk_arena a = lrk_arena_growing("adapter paths");
    lrk_status status = LRK_OK;
    for (size_t i = 0; status == LRK_OK && i < n; i++) {
        lrk_json *o = lrk_json_object();
        const char *path = lrk_path_join(&a, part[i].path, LRK_ADAPTER_TENSORS);
        lrk_json_add(list, o);
        status = path ? lrk_manifest_put_file(o, part[i].path, path, err)
                      : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
        lrk_json_set(o, "weight", lrk_json_new_real(part[i].weight));
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
            lrk_json *v = lrk_json_get(part[i].manifest, kept[k]);
            if (v) lrk_json_set(o, kept[k], lrk_json_ref(v));
        }
        lrk_manifest_keep(o, part[i].manifest);
    }
    lrk_arena_free(&a);
    return status;
}

static bool alike(const lrk_json *x, const lrk_json *y, const char *key)
{
    const char *a = lrk_json_word(x, key), *b = lrk_json_word(y, key);
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The same rows, used for the same, are listed once, whatever their file is called. */
static void add_rows(lrk_json *all, lrk_json *rows)
{
    for (size_t i = 0; i < lrk_json_size(rows); i++) {
        lrk_json *row = lrk_json_at(rows, i);
        bool there = false;
        for (size_t k = 0; !there && k < lrk_json_size(all); k++) {
            const lrk_json *other = lrk_json_at(all, k);
            there = alike(row, other, "sha256") && alike(row, other, "use") && alike(row, other, "split");
        }
        if (!there) lrk_json_add(all, lrk_json_ref(row));
    }
}

/* What holds for the whole: the base that the first one names, every base and all data. Data is known where it is of
 * each. */
static lrk_json *known_of_all(const lrk_manifest_part *part, size_t n)
{
    lrk_json *from = lrk_json_object(), *all = lrk_json_array(), *bases = lrk_json_array();
    bool data = true;
    for (size_t i = 0; i < n; i++) {
        lrk_json *base = lrk_json_get(part[i].manifest, "base"), *rows = lrk_json_get(part[i].manifest, "data");
        lrk_json *vocabulary = lrk_json_get(part[i].manifest, "vocabulary"); /* the same of all that have one */
        if (base && !lrk_json_get(from, "base")) lrk_json_set(from, "base", lrk_json_ref(base));
        if (vocabulary && !lrk_json_get(from, "vocabulary")) lrk_json_set(from, "vocabulary", lrk_json_ref(vocabulary));
        lrk_manifest_add_trained_for(bases, part[i].adapter, part[i].manifest);
        data = data && rows;
        add_rows(all, rows);
    }
    lrk_json_set(from, "trained_for", bases);
    if (data)
        lrk_json_set(from, "data", all);
    else
        lrk_json_free(all);
    return from;
}

lrk_status lrk_manifest_new_combined(lrk_json **out, const lrk_adapter *adapter, const lrk_manifest_part *part,
                                     size_t n, lrk_json *combined, lrk_err *err)
{
    lrk_json *from = known_of_all(part, n), *list = lrk_json_array();
    lrk_json_set(combined, "adapters", list);
    lrk_json_set(from, "combined", combined);
    lrk_status status = list_parts(list, part, n, err);
    if (status == LRK_OK) status = lrk_manifest_new(out, "combined PEFT adapter", NULL, adapter, from, err);
    lrk_json_free(from);
    return status;
}
