/* checkpoint/resume.c -- saving and loading states of training. */
#include "checkpoint/resume.h"

#include "base/sha256.h"

#include <stdio.h>
#include <string.h>

static const char facts_key[] = "lorikeet.state", hash_key[] = "lorikeet.sha256";

/* Everything that the file says, in the order of names, so that writer and reader agree whatever
 * the order in the file. */
static void add_tensor(lrk_sha256 *h, const char *name, const lrk_tensor *t)
{
    char shape[200];
    size_t n = 0;
    lrk_sha256_add(h, name, strlen(name) + 1);
    for (int k = 0; k < t->rank; k++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%zu,", t->dim[k]);
    lrk_sha256_add(h, shape, n);
    lrk_sha256_add(h, lrk_dtype_name(t->dtype), strlen(lrk_dtype_name(t->dtype)) + 1);
    lrk_sha256_add(h, t->data, lrk_bytes(t));
}

static void begin(lrk_sha256 *h, const char *facts)
{
    lrk_sha256_begin(h);
    lrk_sha256_add(h, facts, strlen(facts) + 1);
}

static void end(lrk_sha256 *h, char hex[65])
{
    lrk_sha256_end_hex(h, hex);
}

static lrk_status write_state(lrk_st_writer *w, const char *path, const lrk_tensor *const *tensors,
                              lrk_lookup *order, const char *facts, lrk_err *err)
{
    lrk_sha256 h;
    char hex[65];
    const char *twice = lrk_lookup_sort(order);
    LRK_REQUIRE(err, !twice, LRK_EINTERNAL, "%s: tensor '%s' is given twice", path, twice);
    begin(&h, facts);
    for (size_t i = 0; i < order->n; i++) {
        const lrk_tensor *t = tensors[order->row[i].at];
        LRK_ASSERT(lrk_contiguous(t) && t->data);
        add_tensor(&h, t->name, t);
        LRK_TRY(lrk_st_declare(w, t->name, t, err));
    }
    end(&h, hex);
    LRK_TRY(lrk_st_note(w, facts_key, facts, err));
    LRK_TRY(lrk_st_note(w, hash_key, hex, err));
    LRK_TRY(lrk_st_begin(w, path, err));
    for (const char *name; (name = lrk_st_next(w));) {
        const lrk_tensor *t = tensors[lrk_lookup_find(order, name)];
        LRK_TRY(lrk_st_write(w, t->data, lrk_bytes(t), err));
    }
    return lrk_st_commit(w, err);
}

lrk_status lrk_state_save(const char *path, const lrk_tensor *const *tensors, size_t n,
                          const lrk_json *facts, lrk_err *err)
{
    lrk_st_writer *w = NULL;
    lrk_buf text = {0};
    lrk_lookup order = {.row = lrk_heap_alloc(n, sizeof *order.row), .n = n};
    lrk_status status = order.row ? lrk_st_create(&w, err)
                                  : lrk_fail(err, LRK_ENOMEM, "memory: no room to save a state");
    for (size_t i = 0; i < n && order.row; i++)
        order.row[i] = (lrk_lookup_row){tensors[i]->name, i};
    if (status == LRK_OK) status = lrk_json_dump(facts, 0, &text, err);
    if (status == LRK_OK) status = write_state(w, path, tensors, &order, text.data, err);
    lrk_st_writer_close(w);
    lrk_heap_free(order.row);
    lrk_buf_free(&text);
    return status;
}

static lrk_status check(lrk_state *s, lrk_err *err)
{
    lrk_sha256 h;
    char hex[65];
    const lrk_safetensors *f = &s->file;
    const char *facts = lrk_st_metadata(f, facts_key), *noted = lrk_st_metadata(f, hash_key);
    const char *format = lrk_st_metadata(f, "format");
    LRK_REQUIRE(err,
                facts && noted && format && strcmp(format, "pt") == 0 &&
                    lrk_json_size(f->metadata) == 3,
                LRK_EINPUT, "%s: not a state of training", f->path);
    begin(&h, facts);
    for (size_t i = 0; i < f->n; i++) {
        lrk_tensor t;
        const lrk_st_entry *e = &f->entry[f->lookup.row[i].at];
        LRK_TRY(lrk_st_view(f, e, &t, err));
        add_tensor(&h, e->name, &t);
    }
    end(&h, hex);
    LRK_REQUIRE(err, strcmp(hex, noted) == 0, LRK_EINPUT,
                "%s: damaged: its SHA-256 is %.16s..., expected %.16s...", f->path, hex, noted);
    LRK_TRY(lrk_json_parse(&s->facts, facts, strlen(facts), f->path, err));
    LRK_REQUIRE(err, lrk_json_is(s->facts, LRK_JSON_OBJECT), LRK_EINPUT,
                "%s: the facts are not an object", f->path);
    return LRK_OK;
}

lrk_status lrk_state_load(lrk_state *s, const char *path, lrk_err *err)
{
    *s = (lrk_state){0};
    LRK_TRY(lrk_st_open(&s->file, path, err));
    const lrk_status status = check(s, err);
    if (status != LRK_OK) lrk_state_close(s);
    return status;
}

lrk_status lrk_state_parse(lrk_state *s, const void *data, size_t n, const char *path, lrk_err *err)
{
    *s = (lrk_state){0};
    LRK_TRY(lrk_st_parse(&s->file, data, n, path, err));
    const lrk_status status = check(s, err);
    if (status != LRK_OK) lrk_state_close(s);
    return status;
}

void lrk_state_close(lrk_state *s)
{
    lrk_json_free(s->facts);
    lrk_st_close(&s->file);
    *s = (lrk_state){0};
}

lrk_status lrk_state_read(const lrk_state *s, const lrk_tensor *into, lrk_err *err)
{
    lrk_tensor t;
    const lrk_st_entry *e = lrk_st_find(&s->file, into->name);
    LRK_REQUIRE(err, e, LRK_EINPUT, "%s: tensor '%s' is missing: a state of another run",
                s->file.path, into->name);
    LRK_TRY(lrk_st_view(&s->file, e, &t, err));
    LRK_REQUIRE(err, t.dtype == into->dtype && t.rank == into->rank && lrk_same_shape(&t, into),
                LRK_EINPUT,
                "%s: tensor '%s' is %s (%zu, %zu), expected %s (%zu, %zu): a state of "
                "another run",
                s->file.path, into->name, lrk_dtype_name(t.dtype), lrk_rows(&t), lrk_cols(&t),
                lrk_dtype_name(into->dtype), lrk_rows(into), lrk_cols(into));
    LRK_ASSERT(lrk_contiguous(into));
    if (lrk_bytes(&t)) memcpy(into->data, t.data, lrk_bytes(&t));
    return LRK_OK;
}
