/* checkpoint/weights.c -- opening a base model and finding its tensors. */
#include "checkpoint/weights.h"

#include "base/log.h"
#include "base/quant.h"
#include "base/sha256.h"
#include "base/size.h"
#include "base/text.h"
#include "base/threads.h"
#include "checkpoint/text_part.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_CONFIG = 1 << 20, MAX_INDEX = 16 << 20, MAX_SHARDS = 4096, SAMPLE = 4096, CHUNK = 8192 };

struct lrk_weights {
    lrk_arena arena;
    const char *path;
    lrk_weights_kind kind;
    lrk_safetensors *file; /* n_files */
    size_t n_files;
    lrk_gguf gguf;
    lrk_json *config;
    lrk_json *outer;       /* config.json of a model that the language model is a part of; NULL: it is all */
    lrk_text_names called; /* then: how the files call the part */
    lrk_tensor *beside;    /* then: the other tensors, n_beside */
    size_t n_beside;
    lrk_tensor *tensor; /* sorted by name */
    size_t n;
    char stored_sha256[65]; /* of what was stored before it grew; "": it has not */
};

/* ---- a Hugging Face directory ---- */

static lrk_status join(lrk_weights *w, const char *name, const char **out, lrk_err *err)
{
    *out = lrk_path_join(&w->arena, w->path, name);
    LRK_REQUIRE(err, *out, LRK_ENOMEM, "memory: no room for a path");
    return LRK_OK;
}

/* One component of letters, digits and ".", "_", "-" that ends in .safetensors: a name from a
 * stranger's index must not lead out of the directory. */
static bool plain_shard_name(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t n = strlen(name);
    return n < 256 && name[0] != '.' && strspn(name, allowed) == n && lrk_ends_with(name, ".safetensors");
}

/* Fills file[] with every shard of the map, each once. */
static lrk_status open_shards(lrk_weights *w, const lrk_json *map, const char *index, lrk_err *err)
{
    lrk_lookup shards = {0};
    const size_t n = lrk_json_size(map);
    size_t distinct = 0;
    LRK_TRY(lrk_alloc(&w->arena, n, sizeof *shards.row, "shards", &shards.row, err));
    for (void *i = lrk_json_begin(map); i; i = lrk_json_next(map, i)) {
        const char *name = lrk_json_string(lrk_json_value(i), NULL);
        LRK_REQUIRE(err, name && plain_shard_name(name), LRK_EINPUT,
                    "%s: weight_map: '%s': '%.200s' is no name of a .safetensors file in the same "
                    "directory",
                    index, lrk_json_key(i, NULL), name ? name : "(not a string)");
        shards.row[shards.n++] = (lrk_lookup_row){name, 0};
    }
    lrk_lookup_sort(&shards);
    for (size_t i = 0; i < shards.n; i++)
        if (i == 0 || strcmp(shards.row[i].name, shards.row[i - 1].name) != 0)
            shards.row[distinct++] = shards.row[i];
    LRK_REQUIRE(err, distinct > 0 && distinct <= MAX_SHARDS, LRK_EINPUT,
                "%s: weight_map names %zu files; 1 to %d allowed", index, distinct, MAX_SHARDS);
    LRK_TRY(lrk_alloc(&w->arena, distinct, sizeof *w->file, "shards", &w->file, err));
    for (size_t i = 0; i < distinct; i++) {
        const char *path;
        LRK_TRY(join(w, shards.row[i].name, &path, err));
        LRK_TRY(lrk_st_open(&w->file[w->n_files], path, err));
        w->n_files++;
    }
    return LRK_OK;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The index and the shards must say the same, both ways. */
static lrk_status check_map(const lrk_weights *w, const lrk_json *map, const char *index,
                            lrk_err *err)
{
    size_t found = 0;
    for (size_t f = 0; f < w->n_files; f++) {
        for (size_t i = 0; i < w->file[f].n; i++, found++) {
            const char *name = w->file[f].entry[i].name;
            const char *said = lrk_json_string(lrk_json_get(map, name), NULL);
            LRK_REQUIRE(err, said && strcmp(said, base_name(w->file[f].path)) == 0, LRK_EINPUT,
                        "%s: tensor '%s' is not what %s says: it names %s", w->file[f].path, name,
                        index, said ? said : "no such tensor");
        }
    }
    if (found == lrk_json_size(map)) return LRK_OK;
    for (void *i = lrk_json_begin(map); i; i = lrk_json_next(map, i)) {
        bool there = false;
        for (size_t f = 0; f < w->n_files && !there; f++)
            there = lrk_st_find(&w->file[f], lrk_json_key(i, NULL)) != NULL;
        LRK_REQUIRE(err, there, LRK_EINPUT, "%s: tensor '%s' is missing from %s", index,
                    lrk_json_key(i, NULL), lrk_json_string(lrk_json_value(i), NULL));
    }
    return LRK_OK;
}

static lrk_status open_index(lrk_weights *w, const char *index, lrk_err *err)
{
    lrk_json *root = NULL;
    LRK_TRY(lrk_json_load(&root, index, MAX_INDEX, err));
    const lrk_json *map = lrk_json_get(root, "weight_map");
    lrk_status status =
        lrk_json_is(map, LRK_JSON_OBJECT)
            ? open_shards(w, map, index, err)
            : lrk_fail(err, LRK_EINPUT, "%s: weight_map is missing or no object", index);
    if (status == LRK_OK) status = check_map(w, map, index, err);
    lrk_json_free(root);
    return status;
}

static lrk_status open_files(lrk_weights *w, lrk_err *err)
{
    const char *single, *index;
    LRK_TRY(join(w, "model.safetensors", &single, err));
    LRK_TRY(join(w, "model.safetensors.index.json", &index, err));
    if (lrk_is_file(single)) {
        LRK_TRY(lrk_alloc(&w->arena, 1, sizeof *w->file, "shards", &w->file, err));
        LRK_TRY(lrk_st_open(&w->file[0], single, err));
        w->n_files = 1;
        return LRK_OK;
    }
    LRK_REQUIRE(
        err, lrk_is_file(index), LRK_EINPUT,
        "%s: neither model.safetensors nor model.safetensors.index.json; weights in another "
        "format (.bin, .pth) must be converted to safetensors first",
        w->path);
    return open_index(w, index, err);
}

/* Buffers that old checkpoints stored although they follow from the configuration. */
static bool derived(const char *name)
{
    static const char neox[] = "gpt_neox.";
    const bool mask = lrk_ends_with(name, ".attention.bias") || lrk_ends_with(name, ".attention.masked_bias");
    return lrk_ends_with(name, ".rotary_emb.inv_freq") || (mask && strncmp(name, neox, sizeof neox - 1) == 0);
}

static lrk_status list_files(lrk_weights *w, lrk_err *err)
{
    size_t most = 0;
    for (size_t f = 0; f < w->n_files; f++) most += w->file[f].n;
    LRK_TRY(lrk_alloc(&w->arena, most, sizeof *w->tensor, "tensor table", &w->tensor, err));
    for (size_t f = 0; f < w->n_files; f++) {
        for (size_t i = 0; i < w->file[f].n; i++) {
            const lrk_st_entry *e = &w->file[f].entry[i];
            if (derived(e->name)) continue;
            LRK_TRY(lrk_st_view(&w->file[f], e, &w->tensor[w->n], err));
            w->n++;
        }
    }
    if (!w->outer) return LRK_OK;
    return lrk_text_part_split(w->tensor, &w->n, &w->beside, &w->n_beside, &w->called, &w->arena, err);
}

/* What is read of a model of images and text is its language model. */
static lrk_status take_part(lrk_weights *w, const char *config, lrk_err *err)
{
    lrk_json *text;
    LRK_TRY(lrk_text_part_config(w->config, config, &text, err));
    if (!text) return LRK_OK;
    w->outer = w->config;
    w->config = text;
    return LRK_OK;
}

/* check: of the configuration, or NULL */
static lrk_status open_directory(lrk_weights *w, lrk_config_check check, lrk_err *err)
{
    const char *config;
    w->kind = LRK_WEIGHTS_HF;
    LRK_TRY(join(w, "config.json", &config, err));
    LRK_REQUIRE(
        err, lrk_is_file(config), LRK_EINPUT,
        "%s: config.json is missing; expected a Hugging Face model directory or a GGUF file",
        w->path);
    LRK_TRY(lrk_json_load(&w->config, config, MAX_CONFIG, err));
    LRK_REQUIRE(err, lrk_json_is(w->config, LRK_JSON_OBJECT), LRK_EINPUT, "%s: expected an object",
                config);
    LRK_TRY(take_part(w, config, err));
    if (check) LRK_TRY(check(w->config, w->outer, w->path, err));
    LRK_TRY(open_files(w, err));
    return list_files(w, err);
}

/* ---- a GGUF file ---- */

static lrk_status open_gguf(lrk_weights *w, lrk_err *err)
{
    lrk_map map;
    w->kind = LRK_WEIGHTS_GGUF;
    LRK_TRY(lrk_map_open(&map, w->path, err));
    const bool gguf = map.size >= 4 && memcmp(map.data, "GGUF", 4) == 0;
    lrk_map_close(&map);
    LRK_REQUIRE(err, gguf, LRK_EINPUT, "%s: not a GGUF file; expected a Hugging Face directory or a GGUF file",
                w->path);
    LRK_TRY(lrk_gguf_open(&w->gguf, w->path, err));
    LRK_TRY(lrk_gguf_config(&w->gguf, &w->config, err));
    return lrk_gguf_list(&w->gguf, lrk_weights_arch(w), &w->arena, &w->tensor, &w->n, err);
}

/* ---- both ---- */

static lrk_status sort_tensors(lrk_weights *w, lrk_err *err)
{
    lrk_lookup names = {.n = w->n};
    lrk_tensor *sorted;
    LRK_TRY(lrk_alloc(&w->arena, w->n, sizeof *names.row, "tensor names", &names.row, err));
    LRK_TRY(lrk_alloc(&w->arena, w->n, sizeof *sorted, "tensor table", &sorted, err));
    for (size_t i = 0; i < w->n; i++) names.row[i] = (lrk_lookup_row){w->tensor[i].name, i};
    const char *twice = lrk_lookup_sort(&names);
    LRK_REQUIRE(err, !twice, LRK_EINPUT, "%s: tensor '%s' occurs twice", w->path, twice);
    for (size_t i = 0; i < w->n; i++) sorted[i] = w->tensor[names.row[i].at];
    w->tensor = sorted;
    return LRK_OK;
}

/* Whether config.json itself ties the head, not just the class of the model. */
static bool says_tied(const lrk_weights *w)
{
    static const char key[] = "tie_word_embeddings";
    const lrk_json *inner = lrk_json_get(w->outer, "text_config");
    if (!w->outer) return lrk_json_get(w->config, key);
    return lrk_json_bool(lrk_json_get(w->outer, key)) || lrk_json_bool(lrk_json_get(inner, key));
}

/* As transformers 5: a stored head that says what the embedding says is tied to it; one that differs was trained
 * apart, whatever the configuration says. */
static lrk_status drop_tied_head(lrk_weights *w, lrk_err *err)
{
    bool tied = false;
    lrk_tensor head, embedding;
    const char *name = lrk_name_of_head(lrk_weights_arch(w));
    LRK_TRY(lrk_json_opt_bool(w->config, "tie_word_embeddings", &tied, w->path, err));
    if (!tied || !lrk_weights_find(w, name, &head) ||
        !lrk_weights_find(w, lrk_name_of_embedding(lrk_weights_arch(w)), &embedding))
        return LRK_OK;
    if (head.dtype != embedding.dtype || !lrk_same_shape(&head, &embedding) ||
        memcmp(head.data, embedding.data, lrk_bytes(&head)) != 0) {
        if (says_tied(w))
            lrk_warn("%s: config.json ties the head to the embedding, but the stored %s differs from it: they are not "
                     "tied", w->path, name);
        lrk_json_set(w->config, "tie_word_embeddings", lrk_json_new_bool(false));
        return LRK_OK;
    }
    size_t at = 0;
    while (strcmp(w->tensor[at].name, name) != 0) at++;
    memmove(&w->tensor[at], &w->tensor[at + 1], (w->n - at - 1) * sizeof *w->tensor);
    w->n--;
    return LRK_OK;
}

lrk_status lrk_weights_open(lrk_weights **out, const char *path, lrk_err *err)
{
    return lrk_weights_open_known(out, path, NULL, err);
}

lrk_status lrk_weights_open_known(lrk_weights **out, const char *path, lrk_config_check check, lrk_err *err)
{
    lrk_weights *w = lrk_heap_alloc(1, sizeof *w);
    LRK_REQUIRE(err, w, LRK_ENOMEM, "memory: no room for a model");
    lrk_status status;
    w->arena = lrk_arena_growing("weights");
    w->path = lrk_strdup(&w->arena, path);
    if (!w->path) {
        status = lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
        goto fail;
    }
    LRK_TRY_GOTO(status, fail, lrk_is_dir(path) ? open_directory(w, check, err) : open_gguf(w, err));
    LRK_TRY_GOTO(status, fail, sort_tensors(w, err));
    LRK_TRY_GOTO(status, fail, drop_tied_head(w, err));
    *out = w;
    return LRK_OK;
fail:
    lrk_weights_close(w);
    return status;
}

void lrk_weights_close(lrk_weights *w)
{
    if (!w) return;
    for (size_t f = 0; f < w->n_files; f++) lrk_st_close(&w->file[f]);
    lrk_gguf_close(&w->gguf);
    lrk_json_free(w->config);
    lrk_json_free(w->outer);
    lrk_arena_free(&w->arena);
    lrk_heap_free(w);
}

lrk_status lrk_weights_align(lrk_weights *w, lrk_err *err)
{
    for (size_t i = 0; i < w->n; i++) LRK_TRY(lrk_st_align(&w->tensor[i], &w->arena, err));
    return LRK_OK;
}

bool lrk_weights_find(const lrk_weights *w, const char *name, lrk_tensor *view)
{
    size_t low = 0, high = w->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(name, w->tensor[middle].name);
        if (order == 0) {
            *view = w->tensor[middle];
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

size_t lrk_weights_count(const lrk_weights *w) { return w->n; }

const lrk_tensor *lrk_weights_at(const lrk_weights *w, size_t i) { return &w->tensor[i]; }

const char *lrk_weights_path(const lrk_weights *w) { return w->path; }

lrk_weights_kind lrk_weights_source(const lrk_weights *w) { return w->kind; }

const lrk_arch *lrk_arch_of(const lrk_json *config)
{
    const lrk_json *classes = lrk_json_get(config, "architectures");
    const char *name = lrk_json_string(lrk_json_at(classes, 0), NULL);
    return name ? lrk_arch_from_hf(name) : NULL;
}

const lrk_arch *lrk_weights_arch(const lrk_weights *w) { return lrk_arch_of(w->config); }

bool lrk_weights_permuted_qk(const lrk_weights *w)
{
    return w->kind == LRK_WEIGHTS_GGUF && lrk_weights_arch(w)->permuted_qk;
}

lrk_order lrk_weights_order(const lrk_weights *w, const char *name, size_t rows)
{
    const lrk_arch *arch = w->kind == LRK_WEIGHTS_GGUF ? lrk_weights_arch(w) : NULL;
    return lrk_order_of(arch, name, lrk_weights_head_dim(w), rows);
}

const lrk_gguf *lrk_weights_gguf(const lrk_weights *w)
{
    return w->kind == LRK_WEIGHTS_GGUF ? &w->gguf : NULL;
}

const lrk_json *lrk_weights_config(const lrk_weights *w) { return w->config; }

const lrk_json *lrk_weights_outer(const lrk_weights *w) { return w->outer; }

void lrk_weights_stored_name(const lrk_weights *w, const char *name, char out[LRK_NAME_MAX])
{
    if (w->outer)
        lrk_text_part_stored(name, w->called, out);
    else
        snprintf(out, LRK_NAME_MAX, "%s", name);
}

const lrk_tensor *lrk_weights_beside(const lrk_weights *w, size_t *n)
{
    *n = w->n_beside;
    return w->beside;
}

size_t lrk_weights_head_dim(const lrk_weights *w)
{
    size_t dim = 0, width = 0, heads = 0;
    (void)lrk_json_opt_size(w->config, "head_dim", 1, SIZE_MAX / 2, &dim, "", NULL);
    (void)lrk_json_opt_size(w->config, "hidden_size", 1, SIZE_MAX / 2, &width, "", NULL);
    (void)lrk_json_opt_size(w->config, "num_attention_heads", 1, SIZE_MAX / 2, &heads, "", NULL);
    return dim ? dim : heads ? width / heads : 0;
}

void lrk_weights_sha256(const lrk_weights *w, char hex[65])
{
    if (*w->stored_sha256)
        memcpy(hex, w->stored_sha256, sizeof w->stored_sha256);
    else
        lrk_tensors_sha256(w->tensor, w->n, hex);
}

void lrk_tensors_sha256(const lrk_tensor *tensor, size_t n, char hex[65])
{
    static const char domain[] = "lorikeet base 1";
    lrk_sha256 h;
    lrk_sha256_begin(&h);
    lrk_sha256_add(&h, domain, sizeof domain);
    for (size_t i = 0; i < n; i++) {
        const lrk_tensor *t = &tensor[i];
        const unsigned char *p = t->data;
        const size_t bytes = lrk_bytes(t);
        unsigned char shape[8 * (LRK_MAX_RANK + 1)] = {0};
        for (int k = 0; k < t->rank; k++)
            for (size_t b = 0; b < 8; b++)
                shape[8 * (size_t)k + b] = (unsigned char)((uint64_t)t->dim[k] >> (8 * b));
        shape[8 * LRK_MAX_RANK] = (unsigned char)t->rank;
        lrk_sha256_add(&h, t->name, strlen(t->name) + 1);
        lrk_sha256_add(&h, lrk_dtype_name(t->dtype), strlen(lrk_dtype_name(t->dtype)) + 1);
        lrk_sha256_add(&h, shape, sizeof shape);
        if (bytes <= 3 * SAMPLE) {
            lrk_sha256_add(&h, p, bytes);
        } else {
            lrk_sha256_add(&h, p, SAMPLE);
            lrk_sha256_add(&h, p + (bytes - SAMPLE) / 2, SAMPLE);
            lrk_sha256_add(&h, p + bytes - SAMPLE, SAMPLE);
        }
    }
    lrk_sha256_end_hex(&h, hex);
}

/* ---- finite ---- */

typedef struct finite_job {
    const lrk_tensor *t;
    size_t per_row; /* chunks of a row */
    size_t *bad;    /* by task: first element that is not finite, or SIZE_MAX */
} finite_job;

static void check_chunk(void *ctx, size_t task, int worker)
{
    const finite_job *job = ctx;
    const size_t row = task / job->per_row, first = task % job->per_row * CHUNK;
    const size_t cols = lrk_cols(job->t), n = lrk_min(CHUNK, cols - first);
    const char *p = (const char *)lrk_row(job->t, row) + lrk_row_bytes(job->t->dtype, first);
    float value[CHUNK];
    (void)worker;
    job->bad[task] = SIZE_MAX;
    lrk_to_f32(job->t->dtype, p, n, value);
    for (size_t i = 0; i < n; i++) {
        if (isfinite(value[i])) continue;
        job->bad[task] = row * cols + first + i;
        return;
    }
}

lrk_status lrk_weights_check_finite(const lrk_tensor *t, lrk_err *err)
{
    finite_job job = {.t = t, .per_row = lrk_ceil_div(lrk_cols(t), CHUNK)};
    const size_t tasks = lrk_rows(t) * job.per_row;
    if (t->dtype == LRK_I32 || t->dtype == LRK_I64 || t->dtype == LRK_U8) return LRK_OK;
    job.bad = lrk_heap_alloc(tasks, sizeof *job.bad);
    LRK_REQUIRE(err, job.bad, LRK_ENOMEM, "memory: no room to check '%s'", t->name);
    lrk_parallel(tasks, check_chunk, &job);
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < tasks && first == SIZE_MAX; i++) first = job.bad[i];
    lrk_heap_free(job.bad);
    LRK_REQUIRE(err, first == SIZE_MAX, LRK_EINPUT,
                "tensor '%s': element %zu is not finite; the file is damaged or was written by a "
                "training that diverged",
                t->name, first);
    return LRK_OK;
}

/* ---- a vocabulary that grows ---- */

enum { GROW_ROWS = 1024 };

typedef struct mean_job {
    const lrk_tensor *t;
    double *part; /* (tasks, C): sums of GROW_ROWS rows each */
} mean_job;

static void sum_rows(void *ctx, size_t task, int worker)
{
    const mean_job *job = ctx;
    const size_t cols = lrk_cols(job->t), first = task * GROW_ROWS;
    const size_t last = first + lrk_min(GROW_ROWS, lrk_rows(job->t) - first);
    double *sum = job->part + task * cols;
    float value[CHUNK];
    (void)worker;
    for (size_t c = 0; c < cols; c += CHUNK) {
        const size_t n = lrk_min(CHUNK, cols - c);
        for (size_t r = first; r < last; r++) {
            const char *row = lrk_row(job->t, r);
            lrk_to_f32(job->t->dtype, row + lrk_row_bytes(job->t->dtype, c), n, value);
            for (size_t i = 0; i < n; i++) sum[c + i] += (double)value[i];
        }
    }
}

/* The mean of all rows, as t stores one. */
static lrk_status mean_row(const lrk_tensor *t, void *out, lrk_err *err)
{
    const size_t cols = lrk_cols(t), tasks = lrk_ceil_div(lrk_rows(t), GROW_ROWS);
    mean_job job = {.t = t, .part = lrk_heap_alloc(tasks * cols, sizeof *job.part)};
    float *mean = lrk_heap_alloc(cols, sizeof *mean);
    lrk_status status = LRK_OK;
    if (!job.part || !mean) {
        status = lrk_fail(err, LRK_ENOMEM, "memory: no room for the mean of '%s'", t->name);
    } else {
        lrk_parallel(tasks, sum_rows, &job);
        for (size_t k = 1; k < tasks; k++)
            for (size_t i = 0; i < cols; i++) job.part[i] += job.part[k * cols + i];
        for (size_t i = 0; i < cols; i++) mean[i] = (float)(job.part[i] / (double)lrk_rows(t));
        if (!lrk_from_f32(t->dtype, mean, cols, out))
            status = lrk_fail(err, LRK_ENUMERIC, "tensor '%s': the mean of its rows is no %s", t->name,
                              lrk_dtype_name(t->dtype));
    }
    lrk_heap_free(job.part);
    lrk_heap_free(mean);
    return status;
}

static lrk_status grow_tensor(lrk_weights *w, lrk_tensor *t, size_t rows, lrk_err *err)
{
    const size_t stored = lrk_rows(t), bytes = lrk_row_bytes(t->dtype, lrk_cols(t));
    char *data;
    if (stored >= rows) return LRK_OK;
    LRK_REQUIRE(err, t->rank == 2 && lrk_can_quantize(t->dtype), LRK_ESUPPORT,
                "%s: the vocabulary grows, but '%s' is %s, of which no rows are made here; convert the model to "
                "another type before",
                w->path, t->name, lrk_dtype_name(t->dtype));
    LRK_TRY(lrk_alloc(&w->arena, rows, bytes, "a vocabulary that grows", &data, err));
    for (size_t r = 0; r < stored; r++) memcpy(data + r * bytes, lrk_row(t, r), bytes);
    lrk_tensor old = *t;
    old.data = data; /* where its numbers can be read, however they lay in the file */
    old.stride = lrk_cols(t);
    if (lrk_weights_has_grown(w)) /* the last row is that mean already, of what was stored */
        memcpy(data + stored * bytes, data + (stored - 1) * bytes, bytes);
    else
        LRK_TRY(mean_row(&old, data + stored * bytes, err));
    for (size_t r = stored + 1; r < rows; r++) memcpy(data + r * bytes, data + stored * bytes, bytes);
    t->data = data;
    t->stride = lrk_cols(t);
    t->dim[0] = rows;
    return LRK_OK;
}

lrk_status lrk_weights_grow(lrk_weights *w, size_t rows, lrk_err *err)
{
    const char *names[] = {lrk_name_of_embedding(lrk_weights_arch(w)), lrk_name_of_head(lrk_weights_arch(w))};
    char hex[65] = ""; /* of what is stored, before any of it grows */
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < w->n; i++)
            if (strcmp(w->tensor[i].name, names[k]) == 0 && lrk_rows(&w->tensor[i]) < rows) {
                if (!*hex) lrk_weights_sha256(w, hex);
                LRK_TRY(grow_tensor(w, &w->tensor[i], rows, err));
                lrk_json_set_count(w->config, "vocab_size", rows);
            }
    if (*hex) memcpy(w->stored_sha256, hex, sizeof hex);
    return LRK_OK;
}

bool lrk_weights_has_grown(const lrk_weights *w) { return *w->stored_sha256; }
