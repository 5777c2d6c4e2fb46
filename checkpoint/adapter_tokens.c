/* checkpoint/adapter_tokens.c -- reading, checking and writing trainable_token_indices. */
#include "checkpoint/adapter_tokens.h"

#include "base/quant.h"
#include "base/size.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 1 << 20, EMBEDDING = LRK_ADAPTER_EMBEDDING, HEAD = LRK_ADAPTER_HEAD };

/* As models call them, and in messages. */
enum { KINDS = 3 };
static const char *const paths[KINDS][LRK_ADAPTER_WHOLE] = {{"model.embed_tokens", "lm_head"},
                                                            {"gpt_neox.embed_in", "lm_head"},
                                                            {"gpt_neox.embed_in", "embed_out"}};
static const char *const called[LRK_ADAPTER_WHOLE] = {"the embedding", "the head"};

int lrk_adapter_role(const char *path)
{
    for (int i = 0; i < KINDS * LRK_ADAPTER_WHOLE; i++)
        if (strcmp(path, paths[i / LRK_ADAPTER_WHOLE][i % LRK_ADAPTER_WHOLE]) == 0) return i % LRK_ADAPTER_WHOLE;
    return -1;
}

const char *lrk_adapter_role_path(const char *path)
{
    return lrk_adapter_role(path) == HEAD ? paths[0][HEAD] : path;
}

int lrk_adapter_role_named(const char *name)
{
    const size_t k = strlen(name);
    for (int i = 0; k > 0 && i < KINDS * LRK_ADAPTER_WHOLE; i++) {
        const char *path = paths[i / LRK_ADAPTER_WHOLE][i % LRK_ADAPTER_WHOLE];
        const size_t n = strlen(path);
        if (k <= n && strcmp(path + n - k, name) == 0) return i % LRK_ADAPTER_WHOLE;
    }
    return -1;
}

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
                called[which]);
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
        const int which = lrk_adapter_role_named(name);
        LRK_REQUIRE(err, which >= 0, LRK_ESUPPORT,
                    "%s: trainable_token_indices: '%.100s' is not supported, only the embedding and the head", where,
                    name);
        LRK_TRY(read_list(a, lrk_json_value(i), which, where, err));
    }
    return LRK_OK;
}

/* How PEFT calls the weight of an embedding or a head whose base it writes too. */
static const char *const endings[] = {".weight", ".token_adapter.base_layer.weight", ".original_module.weight",
                                      ".modules_to_save.weight"};
enum { PLAIN, BESIDE_ROWS, BEFORE, ENDINGS = 4 };

static bool holds(const lrk_safetensors *s, const char *path, int ending)
{
    char key[LRK_NAME_MAX];
    snprintf(key, sizeof key, "base_model.model.%s%s", path, endings[ending]);
    return lrk_st_find(s, key) != NULL;
}

bool lrk_adapter_ties(const lrk_adapter *a, const lrk_safetensors *s)
{
    for (size_t i = 0; i < a->n_save; i++) {
        const char *name = lrk_last_name(a->save[i]);
        if (strcmp(name, "embed_tokens") == 0 || strcmp(name, "lm_head") == 0) return true;
    }
    for (int kind = 0; kind < KINDS; kind++)
        if (holds(s, paths[kind][EMBEDDING], PLAIN) && holds(s, paths[kind][HEAD], PLAIN)) return true;
    return false;
}

int lrk_adapter_resized_of(const lrk_adapter *a, const lrk_safetensors *s, const char *name, bool *again)
{
    char key[LRK_NAME_MAX];
    for (int i = 0; i < KINDS * LRK_ADAPTER_WHOLE * ENDINGS; i++) {
        const int ending = i % ENDINGS, which = i / ENDINGS % LRK_ADAPTER_WHOLE;
        const char *const *kind = paths[i / ENDINGS / LRK_ADAPTER_WHOLE];
        const char *path = kind[which], *other = kind[HEAD - which];
        snprintf(key, sizeof key, "base_model.model.%s%s", path, endings[ending]);
        if (strcmp(name, key) != 0) continue;
        *again = ending >= BEFORE;
        const bool both = holds(s, other, BESIDE_ROWS) || holds(s, other, BEFORE) ||
                          (!a->n_save && holds(s, other, PLAIN));
        if (ending == PLAIN ? both : ending == BESIDE_ROWS || holds(s, path, PLAIN)) return which;
    }
    return -1;
}

/* Numbers of the base, which PEFT may have stored in another type. */
static lrk_status check_stored(const lrk_adapter *a, int which, const lrk_tensor *w, const lrk_weights *base,
                               lrk_err *err)
{
    const lrk_tensor *t = &a->resized[which];
    const size_t C = lrk_cols(w);
    const size_t bytes = lrk_row_bytes(w->dtype, C);
    float *row = lrk_heap_alloc(C, sizeof *row);
    void *stored = lrk_heap_alloc(1, bytes); /* a row of the file, where it may lie askew */
    bool same = true;
    for (size_t r = 0; row && stored && r < lrk_rows(w) && same; r++) {
        const float *theirs = lrk_row(t, r);
        lrk_to_f32(w->dtype, memcpy(stored, lrk_row(w, r), bytes), C, row);
        for (size_t i = 0; i < C; i++) same = same && fabsf(theirs[i] - row[i]) <= fabsf(row[i]) / 128 + 1e-6f;
    }
    const bool room = row && stored;
    lrk_heap_free(row);
    lrk_heap_free(stored);
    LRK_REQUIRE(err, room, LRK_ENOMEM, "memory: no room for a row");
    LRK_REQUIRE(err, same, LRK_EINPUT, "an adapter for another base: the '%s' that it was trained on is not that of %s",
                w->name, lrk_weights_path(base));
    return LRK_OK;
}

/* The path of the module whose weight this is. */
static const char *path_for(int which, const lrk_tensor *w)
{
    for (int kind = 0; which == EMBEDDING && kind < KINDS; kind++) {
        const size_t n = strlen(paths[kind][EMBEDDING]);
        if (strncmp(w->name, paths[kind][EMBEDDING], n) == 0 && w->name[n] == '.') return paths[kind][EMBEDDING];
    }
    return paths[0][which];
}

/* Rows that the base lacks and that were not trained stand among those that were. */
static lrk_status take_resized(lrk_adapter *a, int which, const lrk_tensor *w, lrk_err *err)
{
    const lrk_tensor *t = &a->resized[which];
    const size_t V = lrk_rows(w), C = lrk_cols(w), most = lrk_rows(t);
    lrk_adapter_whole *k = (lrk_adapter_whole *)(uintptr_t)lrk_adapter_whole_of(a, which);
    if (most == V || (k && !k->rows.n)) return LRK_OK;
    if (!k) {
        k = &a->whole[a->n_whole++];
        *k = (lrk_adapter_whole){.path = path_for(which, w)};
    }
    const lrk_row_list old = k->rows;
    const lrk_tensor from = k->weight;
    int32_t *id;
    LRK_TRY(lrk_alloc(&a->arena, old.n + most - V, sizeof *id, "token ids", &id, err));
    k->weight = lrk_mat(LRK_F32, old.n + most - V, C);
    LRK_TRY(lrk_alloc(&a->arena, lrk_count(&k->weight), sizeof(float), k->path, &k->weight.data, err));
    size_t n = 0, i = 0;
    for (size_t r = old.n ? lrk_min(V, (size_t)old.id[0]) : V; r < most; r++) {
        const bool trained = i < old.n && (size_t)old.id[i] == r;
        if (!trained && r < V) continue;
        memcpy(lrk_row(&k->weight, n), trained ? lrk_row(&from, i) : lrk_row(t, r), C * sizeof(float));
        i += trained;
        id[n++] = (int32_t)r;
    }
    k->weight.dim[0] = n;
    k->rows = (lrk_row_list){id, n};
    LRK_REQUIRE(err, i == old.n, LRK_EINPUT, "trainable_token_indices: %d is not among the %zu rows of '%s'",
                old.id[old.n - 1], most, k->path);
    return LRK_OK;
}

lrk_status lrk_adapter_take_resized(lrk_adapter *a, const lrk_weights *base, bool any_base, lrk_err *err)
{
    const char *names[] = {lrk_name_of_embedding(lrk_weights_arch(base)), lrk_name_of_head(lrk_weights_arch(base))};
    for (int which = EMBEDDING; which <= HEAD; which++) {
        lrk_tensor w, *t = &a->resized[which];
        if (!t->rank || !lrk_weights_find(base, names[which], &w)) continue; /* a head that is the embedding */
        LRK_REQUIRE(err, lrk_cols(t) == lrk_cols(&w) && lrk_rows(t) >= lrk_rows(&w), LRK_ESHAPE,
                    "an adapter for another base: '%s' is (%zu, %zu) in the adapter and (%zu, %zu) in %s", names[which],
                    lrk_rows(t), lrk_cols(t), lrk_rows(&w), lrk_cols(&w), lrk_weights_path(base));
        if (!any_base && !lrk_dtype_quantized(w.dtype)) LRK_TRY(check_stored(a, which, &w, base, err));
        LRK_TRY(take_resized(a, which, &w, err));
    }
    return LRK_OK;
}

lrk_status lrk_adapter_take_rows(lrk_adapter *a, const char *file, const char *path, const lrk_tensor *rows,
                                 lrk_err *err)
{
    const int which = lrk_adapter_role(path);
    const lrk_adapter_tokens *t = &a->tokens[which == HEAD ? HEAD : EMBEDDING];
    LRK_REQUIRE(err, which >= 0 && t->rows.n, LRK_EINPUT,
                "%s: rows of '%s' are inside, which trainable_token_indices of adapter_config.json does not name", file,
                path);
    LRK_REQUIRE(err, !lrk_adapter_whole_of(a, which), LRK_EINPUT,
                "%s: '%s' is replaced by modules_to_save and by trainable_token_indices", file, path);
    LRK_REQUIRE(err, lrk_rows(rows) == t->rows.n, LRK_ESHAPE,
                "%s: '%s' has %zu rows inside, trainable_token_indices of adapter_config.json %zu tokens", file, path,
                lrk_rows(rows), t->rows.n);
    lrk_adapter_whole *w = &a->whole[a->n_whole++];
    *w = (lrk_adapter_whole){.path = lrk_adapter_role_path(path), .weight = *rows, .rows = t->rows};
    LRK_TRY(lrk_alloc(&a->arena, lrk_count(rows), sizeof(float), path, &w->weight.data, err));
    for (size_t i = 0; i < t->rows.n; i++)
        memcpy(lrk_row(&w->weight, i), lrk_row(rows, t->place[i]), lrk_cols(rows) * sizeof(float));
    return LRK_OK;
}

/* The head's list where a base that ties it makes it the embedding's. */
static bool head_follows(const lrk_adapter *a)
{
    return a->tokens[HEAD].rows.n && lrk_row_lists_equal(a->tokens[EMBEDDING].rows, a->tokens[HEAD].rows) &&
           !lrk_adapter_whole_of(a, HEAD);
}

lrk_status lrk_adapter_check_rows(const lrk_adapter *a, const char *file, lrk_err *err)
{
    for (int which = EMBEDDING; which <= HEAD; which++) {
        const lrk_adapter_whole *w = lrk_adapter_whole_of(a, which);
        LRK_REQUIRE(err, !a->tokens[which].rows.n || (w && w->rows.n) || (which == HEAD && head_follows(a)), LRK_EINPUT,
                    "%s: trainable_token_indices: no rows of %s are inside", file, called[which]);
    }
    return LRK_OK;
}

bool lrk_adapter_as_one(const lrk_adapter *a)
{
    const lrk_adapter_whole *in = lrk_adapter_whole_of(a, EMBEDDING);
    const lrk_adapter_whole *out = lrk_adapter_whole_of(a, HEAD);
    if ((in && in->rows.n) || (out && out->rows.n))
        return in && in->rows.n && (!out || lrk_row_lists_equal(in->rows, out->rows));
    return a->tied;
}

void lrk_adapter_put_tokens(const lrk_adapter *a, lrk_json *root)
{
    lrk_json *map = lrk_json_object(), *only = NULL;
    for (size_t i = 0; i < a->n_whole; i++) {
        const lrk_adapter_whole *w = &a->whole[i];
        if (!w->rows.n) continue;
        lrk_json *list = lrk_json_array();
        for (size_t k = 0; k < w->rows.n; k++) lrk_json_add(list, lrk_json_new_integer(w->rows.id[k]));
        only = lrk_adapter_role(w->path) == EMBEDDING ? list : NULL;
        lrk_json_set(map, lrk_last_name(w->path), list);
    }
    const size_t n = lrk_json_size(map);
    if (n) lrk_json_set(root, "trainable_token_indices", lrk_json_ref(n == 1 && only ? only : map));
    lrk_json_free(map);
}

lrk_status lrk_adapter_check_base_of_rows(const lrk_adapter *a, const lrk_weights *base, lrk_err *err)
{
    lrk_tensor head;
    const bool tied = !lrk_weights_find(base, lrk_name_of_head(lrk_weights_arch(base)), &head);
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
