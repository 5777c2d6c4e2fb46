/* checkpoint/gguf_write.c -- the writer: keys, tensors, stream, commit. */
#include "checkpoint/gguf.h"

#include "base/size.h"

#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 32, VERSION = 3 };

struct lrk_gguf_writer {
    lrk_arena arena;
    lrk_buf keys, infos;
    size_t n_keys, n_tensors, offset;
    size_t *bytes; /* of each tensor */
    lrk_lookup names, key_names;
    size_t capacity, key_capacity;
    lrk_writer *file;
    size_t at, done;
};

lrk_status lrk_gguf_create(lrk_gguf_writer **out, lrk_err *err)
{
    lrk_gguf_writer *w = lrk_heap_alloc(1, sizeof *w);
    LRK_REQUIRE(err, w, LRK_ENOMEM, "memory: no room for a GGUF writer");
    w->arena = lrk_arena_growing("gguf writer");
    *out = w;
    return LRK_OK;
}

static void put(lrk_buf *b, uint64_t v, size_t n)
{
    unsigned char p[8];
    for (size_t i = 0; i < n; i++) p[i] = (unsigned char)(v >> (8 * i));
    lrk_buf_append(b, p, n);
}

static void put_text(lrk_buf *b, const char *s, size_t n)
{
    put(b, n, 8);
    lrk_buf_append(b, s, n);
}

/* One more row in a lookup that grows; failure shows in b. */
static void remember(lrk_gguf_writer *w, lrk_lookup *l, size_t *capacity, lrk_buf *b,
                     const char *name)
{
    if (l->n == *capacity) {
        const size_t n = *capacity ? 2 * *capacity : 256;
        lrk_lookup_row *row = lrk_heap_grow(l->row, n, sizeof *row);
        if (!row) {
            b->failed = true;
            return;
        }
        l->row = row;
        *capacity = n;
    }
    const char *copy = lrk_strdup(&w->arena, name);
    if (!copy) b->failed = true;
    if (copy) l->row[l->n] = (lrk_lookup_row){copy, l->n}, l->n++;
}

static void put_key(lrk_gguf_writer *w, const char *key)
{
    put_text(&w->keys, key, strlen(key));
    remember(w, &w->key_names, &w->key_capacity, &w->keys, key);
    w->n_keys++;
}

void lrk_gguf_put_u32(lrk_gguf_writer *w, const char *key, uint32_t v)
{
    put_key(w, key);
    put(&w->keys, LRK_GGUF_U32, 4);
    put(&w->keys, v, 4);
}

void lrk_gguf_put_f32(lrk_gguf_writer *w, const char *key, float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    put_key(w, key);
    put(&w->keys, LRK_GGUF_F32, 4);
    put(&w->keys, u, 4);
}

void lrk_gguf_put_bool(lrk_gguf_writer *w, const char *key, bool v)
{
    put_key(w, key);
    put(&w->keys, LRK_GGUF_BOOL, 4);
    put(&w->keys, v, 1);
}

void lrk_gguf_put_string(lrk_gguf_writer *w, const char *key, const char *s, size_t n)
{
    put_key(w, key);
    put(&w->keys, LRK_GGUF_STRING, 4);
    put_text(&w->keys, s, n);
}

void lrk_gguf_put_files(lrk_gguf_writer *w, const lrk_merge_file *file, size_t n)
{
    char key[300];
    for (size_t i = 0; i < n; i++) {
        snprintf(key, sizeof key, LRK_GGUF_FILE "%s", file[i].name);
        lrk_gguf_put_string(w, key, file[i].text, file[i].n);
    }
}

static void put_known(lrk_gguf_writer *w, const char *key, const char *s, size_t n)
{
    if (s && n) lrk_gguf_put_string(w, key, s, n);
}

static void put_base_model(lrk_gguf_writer *w, size_t i, const lrk_gguf_model *m)
{
    char key[60];
    snprintf(key, sizeof key, LRK_KEY_BASE_MODEL "%zu.name", i);
    put_known(w, key, m->name, strlen(m->name));
    if (!m->owner) return;
    snprintf(key, sizeof key, LRK_KEY_BASE_MODEL "%zu.organization", i);
    put_known(w, key, m->owner, m->owner_bytes);
    snprintf(key, sizeof key, LRK_KEY_BASE_MODEL "%zu.repo_url", i);
    lrk_buf url = {0};
    lrk_buf_printf(&url, LRK_HUB "%s", m->owner);
    if (url.failed) w->keys.failed = true;
    put_known(w, key, url.data, url.n);
    lrk_buf_free(&url);
}

void lrk_gguf_put_origin(lrk_gguf_writer *w, const lrk_gguf_origin *o)
{
    const struct {
        const char *key, *value;
    } texts[] = {{"general.name", o->model.name},
                 {"general.license", o->license},
                 {"general.license.name", o->license_name},
                 {"general.license.link", o->license_link}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        put_known(w, texts[i].key, texts[i].value, texts[i].value ? strlen(texts[i].value) : 0);
    put_known(w, "general.organization", o->model.owner, o->model.owner_bytes);
    if (o->n_bases) lrk_gguf_put_u32(w, LRK_KEY_BASE_MODEL "count", (uint32_t)o->n_bases);
    for (size_t i = 0; i < o->n_bases; i++) put_base_model(w, i, &o->base[i]);
}

static void put_array(lrk_gguf_writer *w, const char *key, lrk_gguf_type type, size_t n)
{
    put_key(w, key);
    put(&w->keys, LRK_GGUF_ARRAY, 4);
    put(&w->keys, (uint64_t)type, 4);
    put(&w->keys, n, 8);
}

void lrk_gguf_put_i32s(lrk_gguf_writer *w, const char *key, const int32_t *v, size_t n)
{
    put_array(w, key, LRK_GGUF_I32, n);
    for (size_t i = 0; i < n; i++) put(&w->keys, (uint32_t)v[i], 4);
}

void lrk_gguf_put_f32s(lrk_gguf_writer *w, const char *key, const float *v, size_t n)
{
    put_array(w, key, LRK_GGUF_F32, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        put(&w->keys, bits, 4);
    }
}

void lrk_gguf_put_u8s(lrk_gguf_writer *w, const char *key, const void *v, size_t n)
{
    put_array(w, key, LRK_GGUF_U8, n);
    lrk_buf_append(&w->keys, v, n);
}

void lrk_gguf_put_strings(lrk_gguf_writer *w, const char *key, size_t n)
{
    put_array(w, key, LRK_GGUF_STRING, n);
}

void lrk_gguf_add_string(lrk_gguf_writer *w, const char *s, size_t n) { put_text(&w->keys, s, n); }

void lrk_gguf_put_copy(lrk_gguf_writer *w, const lrk_gguf_kv *kv)
{
    put_key(w, kv->key);
    lrk_buf_append(&w->keys, kv->raw, kv->raw_bytes);
}

lrk_status lrk_gguf_declare(lrk_gguf_writer *w, const char *name, const lrk_tensor *t, lrk_err *err)
{
    LRK_ASSERT(!w->file && t->rank >= 1 && lrk_dtype_gguf(t->dtype) >= 0);
    LRK_REQUIRE(err, strlen(name) <= 63, LRK_ESUPPORT,
                "tensor '%s': GGUF allows names of at most 63 bytes", name);
    if (w->n_tensors == w->capacity) {
        size_t *grown = lrk_heap_grow(w->bytes, w->capacity ? 2 * w->capacity : 256, sizeof *grown);
        LRK_REQUIRE(err, grown, LRK_ENOMEM, "memory: no room for a table of tensors");
        w->bytes = grown;
    }
    remember(w, &w->names, &w->capacity, &w->infos, name);
    put_text(&w->infos, name, strlen(name));
    put(&w->infos, (uint64_t)t->rank, 4);
    for (int i = t->rank - 1; i >= 0; i--) put(&w->infos, t->dim[i], 8);
    put(&w->infos, (uint64_t)lrk_dtype_gguf(t->dtype), 4);
    put(&w->infos, w->offset, 8);
    LRK_TRY(lrk_buf_check(&w->infos, err));
    w->bytes[w->n_tensors++] = lrk_bytes(t);
    LRK_REQUIRE(err,
                lrk_add(w->offset, lrk_bytes(t), &w->offset) &&
                    lrk_align_up(w->offset, ALIGNMENT, &w->offset),
                LRK_EVALUE, "tensor '%s': the file becomes too large", name);
    return LRK_OK;
}

/* Zeros up to the next multiple of the alignment. */
static lrk_status pad(lrk_gguf_writer *w, lrk_err *err)
{
    static const unsigned char zero[ALIGNMENT];
    const size_t over = (size_t)(lrk_writer_offset(w->file) % ALIGNMENT);
    return over ? lrk_write(w->file, zero, ALIGNMENT - over, err) : LRK_OK;
}

lrk_status lrk_gguf_begin(lrk_gguf_writer *w, const char *path, lrk_err *err)
{
    lrk_buf head = {0};
    LRK_ASSERT(!w->file);
    const char *twice = lrk_lookup_sort(&w->key_names);
    LRK_REQUIRE(err, !twice, LRK_EVALUE, "%s: key '%s' is set twice", path, twice);
    twice = lrk_lookup_sort(&w->names);
    LRK_REQUIRE(err, !twice, LRK_EVALUE, "%s: tensor '%s' is declared twice", path, twice);
    lrk_buf_append(&head, "GGUF", 4);
    put(&head, VERSION, 4);
    put(&head, w->n_tensors, 8);
    put(&head, w->n_keys, 8);
    lrk_status status;
    LRK_TRY_GOTO(status, done, lrk_buf_check(&head, err));
    LRK_TRY_GOTO(status, done, lrk_buf_check(&w->keys, err));
    LRK_TRY_GOTO(status, done, lrk_buf_check(&w->infos, err));
    LRK_TRY_GOTO(status, done, lrk_writer_open(&w->file, path, err));
    LRK_TRY_GOTO(status, done, lrk_write(w->file, head.data, head.n, err));
    LRK_TRY_GOTO(status, done, lrk_write(w->file, w->keys.data, w->keys.n, err));
    LRK_TRY_GOTO(status, done, lrk_write(w->file, w->infos.data, w->infos.n, err));
    LRK_TRY_GOTO(status, done, pad(w, err));
done:
    lrk_buf_free(&head);
    return status;
}

lrk_status lrk_gguf_write(lrk_gguf_writer *w, const void *data, size_t n, lrk_err *err)
{
    LRK_ASSERT(w->file && w->at < w->n_tensors && n <= w->bytes[w->at] - w->done);
    LRK_TRY(lrk_write(w->file, data, n, err));
    w->done += n;
    if (w->done < w->bytes[w->at]) return LRK_OK;
    w->at++;
    w->done = 0;
    return pad(w, err);
}

lrk_status lrk_gguf_commit(lrk_gguf_writer *w, lrk_err *err)
{
    LRK_ASSERT(w->file && w->at == w->n_tensors);
    return lrk_writer_commit(w->file, err);
}

void lrk_gguf_writer_close(lrk_gguf_writer *w)
{
    if (!w) return;
    lrk_writer_close(w->file);
    lrk_buf_free(&w->keys);
    lrk_buf_free(&w->infos);
    lrk_heap_free(w->bytes);
    lrk_heap_free(w->names.row);
    lrk_heap_free(w->key_names.row);
    lrk_arena_free(&w->arena);
    lrk_heap_free(w);
}
