/* train/targets.c -- choosing modules by name or pattern. */
#include "train/targets.h"

#include "base/arena.h"

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
    *t = (lrk_targets){0};
}

static bool named(const char *path, const char *name)
{
    const size_t n = strlen(path), k = strlen(name);
    if (k > n || strcmp(path + n - k, name) != 0) return false;
    return k == n || path[n - k - 1] == '.';
}

static bool chosen_by(lrk_targets *t, const char *path)
{
    bool chosen = t->all;
    if (t->pattern) lrk_pattern_match(t->pattern, path, &chosen, &t->err);
    for (size_t i = 0; t->used && i < t->n; i++) {
        if (!named(path, t->name[i])) continue;
        t->used[i] = chosen = true;
    }
    return chosen;
}

bool lrk_targets_select(void *ctx, const char *path, size_t *rank, double *alpha)
{
    (void)rank;
    (void)alpha;
    lrk_targets *t = ctx;
    return chosen_by(t, path) && !(t->exclude && chosen_by(t->exclude, path));
}

lrk_status lrk_targets_check(const lrk_targets *t, lrk_err *err)
{
    if (t->err.status != LRK_OK) return lrk_fail(err, t->err.status, "%s", t->err.text);
    for (size_t i = 0; t->used && i < t->n; i++)
        LRK_REQUIRE(err, t->used[i], LRK_EUSAGE,
                    "%s: '%s' is no linear layer of this model%s; known: q_proj, "
                    "k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj",
                    t->key, t->name[i], strcmp(t->key, "exclude_modules") ? "" : " with an adapter");
    return t->exclude ? lrk_targets_check(t->exclude, err) : LRK_OK;
}
