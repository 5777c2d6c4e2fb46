/* checkpoint/adapter_tokens.c -- reading, checking and writing trainable_token_indices. */
#include "checkpoint/adapter_tokens.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 1 << 20, EMBEDDING = 0, HEAD = 1 };

static const char *const paths[2] = {[EMBEDDING] = "model.embed_tokens", [HEAD] = "lm_head"};

typedef struct numbered {
    int32_t id;
    size_t place;
} numbered;

static int by_id(const void *x, const void *y)
{
    const int32_t a = ((const numbered *)x)->id, b = ((const numbered *)y)->id;
    return (a > b) - (a < b);
}

static lrk_status read_ids(const lrk_json *list, numbered *to, const char *where, lrk_err *err)
{
    const size_t n = lrk_json_size(list);
    for (size_t i = 0; i < n; i++) {
        const lrk_json *v = lrk_json_at(list, i);
        const int64_t id = lrk_json_is(v, LRK_JSON_INTEGER) ? lrk_json_integer(v) : -1;
        LRK_REQUIRE(err, id >= 0 && id < INT32_MAX, LRK_EINPUT,
                    "%s: trainable_token_indices: entry %zu is not the id of a token", where, i);
        to[i] = (numbered){(int32_t)id, i};
    }
    qsort(to, n, sizeof *to, by_id);
    for (size_t i = 1; i < n; i++)
        LRK_REQUIRE(err, to[i].id != to[i - 1].id, LRK_EINPUT, "%s: trainable_token_indices: %d stands there twice",
                    where, to[i].id);
    return LRK_OK;
}

static lrk_status read_list(lrk_adapter *a, const lrk_json *list, int which, const char *where, lrk_err *err)
{
    const size_t n = lrk_json_size(list);
    int32_t *id;
    size_t *place;
    LRK_REQUIRE(err, lrk_json_is(list, LRK_JSON_ARRAY) && n > 0 && n <= MAX_TOKENS, LRK_EINPUT,
                "%s: trainable_token_indices: expected a list of 1 to %d ids", where, MAX_TOKENS);
    LRK_REQUIRE(err, !a->tokens[which].rows.n, LRK_EINPUT, "%s: trainable_token_indices: %s is named twice", where,
                paths[which]);
    LRK_TRY(lrk_alloc(&a->arena, n, sizeof *id, "token ids", &id, err));
    LRK_TRY(lrk_alloc(&a->arena, n, sizeof *place, "token ids", &place, err));
    numbered *sorted = lrk_heap_alloc(n, sizeof *sorted);
    LRK_REQUIRE(err, sorted, LRK_ENOMEM, "memory: no room for token ids");
    const lrk_status status = read_ids(list, sorted, where, err);
    for (size_t i = 0; i < n; i++) {
        id[i] = sorted[i].id;
        place[i] = sorted[i].place;
    }
    lrk_heap_free(sorted);
    a->tokens[which] = (lrk_adapter_tokens){{id, n}, place};
    return status;
}

lrk_status lrk_adapter_read_tokens(lrk_adapter *a, const lrk_json *v, const char *where, lrk_err *err)
{
    if (!lrk_json_is(v, LRK_JSON_OBJECT)) return read_list(a, v, EMBEDDING, where, err);
    for (void *i = lrk_json_begin(v); i; i = lrk_json_next(v, i)) {
        const char *name = lrk_json_key(i, NULL);
        const size_t k = strlen(name);
        int which = -1;
        /* PEFT takes the modules whose paths end in the name */
        for (int w = EMBEDDING; w <= HEAD; w++) {
            const size_t n = strlen(paths[w]);
            if (k > 0 && k <= n && strcmp(paths[w] + n - k, name) == 0) which = w;
        }
        LRK_REQUIRE(err, which >= 0, LRK_ESUPPORT,
                    "%s: trainable_token_indices: '%.100s' is not supported, only embed_tokens and lm_head", where,
                    name);
        LRK_TRY(read_list(a, lrk_json_value(i), which, where, err));
    }
    return LRK_OK;
}

lrk_status lrk_adapter_take_rows(lrk_adapter *a, const char *file, const char *path, const lrk_tensor *rows,
                                 lrk_err *err)
{
    const int which = strcmp(path, paths[HEAD]) == 0 ? HEAD : EMBEDDING;
    const lrk_adapter_tokens *t = &a->tokens[which];
    LRK_REQUIRE(err, strcmp(path, paths[which]) == 0 && t->rows.n, LRK_EINPUT,
                "%s: rows of '%s' are inside, which trainable_token_indices of adapter_config.json does not name", file,
                path);
    LRK_REQUIRE(err, !lrk_adapter_find_whole(a, path), LRK_EINPUT,
                "%s: '%s' is replaced by modules_to_save and by trainable_token_indices", file, path);
    LRK_REQUIRE(err, lrk_rows(rows) == t->rows.n, LRK_ESHAPE,
                "%s: '%s' has %zu rows inside, trainable_token_indices of adapter_config.json %zu tokens", file, path,
                lrk_rows(rows), t->rows.n);
    lrk_adapter_whole *w = &a->whole[a->n_whole++];
    *w = (lrk_adapter_whole){.path = paths[which], .weight = *rows, .rows = t->rows};
    LRK_TRY(lrk_alloc(&a->arena, lrk_count(rows), sizeof(float), path, &w->weight.data, err));
    for (size_t i = 0; i < t->rows.n; i++)
        memcpy(lrk_row(&w->weight, i), lrk_row(rows, t->place[i]), lrk_cols(rows) * sizeof(float));
    return LRK_OK;
}

/* The head's list where a base that ties it makes it the embedding's. */
static bool head_follows(const lrk_adapter *a)
{
    return a->tokens[HEAD].rows.n && lrk_row_lists_equal(a->tokens[EMBEDDING].rows, a->tokens[HEAD].rows) &&
           !lrk_adapter_find_whole(a, paths[HEAD]);
}

lrk_status lrk_adapter_check_rows(const lrk_adapter *a, const char *file, lrk_err *err)
{
    for (int which = EMBEDDING; which <= HEAD; which++) {
        const lrk_adapter_whole *w = lrk_adapter_find_whole(a, paths[which]);
        LRK_REQUIRE(err, !a->tokens[which].rows.n || (w && w->rows.n) || (which == HEAD && head_follows(a)), LRK_EINPUT,
                    "%s: trainable_token_indices: no rows of '%s' are inside", file, paths[which]);
    }
    return LRK_OK;
}

bool lrk_adapter_as_one(const lrk_adapter *a)
{
    const lrk_adapter_whole *in = lrk_adapter_find_whole(a, paths[EMBEDDING]);
    const lrk_adapter_whole *out = lrk_adapter_find_whole(a, paths[HEAD]);
    if ((in && in->rows.n) || (out && out->rows.n))
        return in && in->rows.n && (!out || lrk_row_lists_equal(in->rows, out->rows));
    return a->tied;
}

void lrk_adapter_put_tokens(const lrk_adapter *a, lrk_json *root)
{
    lrk_json *map = lrk_json_object(), *only = NULL;
    for (size_t i = 0; i < a->n_whole; i++) {
        const lrk_adapter_whole *w = &a->whole[i];
        const char *dot = strrchr(w->path, '.');
        if (!w->rows.n) continue;
        lrk_json *list = lrk_json_array();
        for (size_t k = 0; k < w->rows.n; k++) lrk_json_add(list, lrk_json_new_integer(w->rows.id[k]));
        only = strcmp(w->path, paths[EMBEDDING]) == 0 ? list : NULL;
        lrk_json_set(map, dot ? dot + 1 : w->path, list);
    }
    const size_t n = lrk_json_size(map);
    if (n) lrk_json_set(root, "trainable_token_indices", lrk_json_ref(n == 1 && only ? only : map));
    lrk_json_free(map);
}

lrk_status lrk_adapter_check_base_of_rows(const lrk_adapter *a, const lrk_weights *base, lrk_err *err)
{
    lrk_tensor head;
    const bool tied = !lrk_weights_find(base, "lm_head.weight", &head);
    size_t rows = 0;
    for (size_t i = 0; i < a->n_whole; i++) rows += a->whole[i].rows.n > 0;
    if (!rows) return LRK_OK;
    LRK_REQUIRE(err, tied || !head_follows(a), LRK_EINPUT,
                "an adapter for another base: its rows of the head are the embedding's, and %s does not tie the two",
                lrk_weights_path(base));
    LRK_REQUIRE(err, !tied || rows == a->n_whole, LRK_ESUPPORT,
                "modules_to_save beside trainable_token_indices is not supported where, as in %s, embedding and head "
                "are tied",
                lrk_weights_path(base));
    LRK_REQUIRE(err, !tied || !a->tied || lrk_adapter_as_one(a), LRK_EINPUT,
                "ensure_weight_tying is true and %s ties its head, but trainable_token_indices names other tokens of "
                "embedding and head",
                lrk_weights_path(base));
    return LRK_OK;
}
