/* data/dataset.c -- rows, roles, hashes, and the writer; the reader: dataset_read.c. */
#include "data/dataset.h"

#include "base/file.h"
#include "base/sha256.h"
#include "data/h5.h"

#include <inttypes.h>
#include <string.h>

static const char *const role_names[LRK_ROLE_END] = {[LRK_ROLE_RAW] = "raw",
                                                     [LRK_ROLE_SYSTEM] = "system",
                                                     [LRK_ROLE_USER] = "user",
                                                     [LRK_ROLE_ASSISTANT] = "assistant",
                                                     [LRK_ROLE_TOOL] = "tool",
                                                     [LRK_ROLE_PROMPT] = "prompt",
                                                     [LRK_ROLE_COMPLETION] = "completion",
                                                     [LRK_ROLE_MESSAGE] = "message",
                                                     [LRK_ROLE_VARIABLES] = "variables"};

const char *lrk_role_name(lrk_role r) { return (unsigned)r < LRK_ROLE_END ? role_names[r] : NULL; }

void lrk_part_hash(lrk_sha256 *h, const lrk_part *p)
{
    unsigned char head[10] = {(unsigned char)p->role, (unsigned char)p->train};
    for (size_t i = 0; i < 8; i++) head[2 + i] = (unsigned char)((uint64_t)p->n >> (8 * i));
    lrk_sha256_add(h, head, sizeof head);
    lrk_sha256_add(h, p->text, p->n);
}

void lrk_row_end_hash(lrk_sha256 *h, const char *split)
{
    const unsigned char end = 0xff; /* no role: {a, b} and {a}, {b} are different data sets */
    lrk_sha256_add(h, &end, 1);
    lrk_sha256_add(h, split, strlen(split) + 1);
}

void lrk_record_hash(const lrk_part *parts, size_t n, unsigned char hash[16])
{
    lrk_sha256 h;
    unsigned char digest[32];
    lrk_sha256_begin(&h);
    for (size_t i = 0; i < n; i++) lrk_part_hash(&h, &parts[i]);
    lrk_sha256_end(&h, digest);
    memcpy(hash, digest, 16);
}

const char *lrk_record_kind(const lrk_part *parts, size_t n)
{
    if (n == 1 && parts[0].role == LRK_ROLE_RAW) return "text";
    if (n == 2 && parts[0].role == LRK_ROLE_PROMPT && parts[1].role == LRK_ROLE_COMPLETION)
        return "prompt";
    for (size_t i = 0; i < n; i++) {
        const lrk_role r = parts[i].role;
        const bool turn = r == LRK_ROLE_SYSTEM || r == LRK_ROLE_USER || r == LRK_ROLE_ASSISTANT ||
                          r == LRK_ROLE_TOOL || r == LRK_ROLE_MESSAGE;
        if (!turn && !(r == LRK_ROLE_VARIABLES && i == 0 && n > 1)) return NULL;
    }
    return n ? "chat" : NULL;
}

/* ---- writer ---- */

typedef enum column {
    TEXT_BYTES,
    TEXT_OFFSETS,
    ROWS_FIRST,
    ROWS_SOURCE,
    ROWS_LINE,
    ROWS_HASH,
    SEGMENTS_STR,
    SEGMENTS_ROLE,
    SEGMENTS_TRAIN,
    COLUMNS
} column;

static const struct {
    const char *path;
    lrk_h5_type type;
    size_t width;
} layout[COLUMNS] = {{"/text/bytes", LRK_H5_U8, 1},    {"/text/offsets", LRK_H5_U64, 1},
                     {"/rows/first", LRK_H5_U64, 1},   {"/rows/source", LRK_H5_U32, 1},
                     {"/rows/line", LRK_H5_U64, 1},    {"/rows/hash", LRK_H5_U8, 16},
                     {"/segments/str", LRK_H5_U64, 1}, {"/segments/role", LRK_H5_U8, 1},
                     {"/segments/train", LRK_H5_U8, 1}};

struct lrk_dataset_writer {
    lrk_h5 *f;
    lrk_h5_column *c[COLUMNS];
    lrk_h5_column *split[LRK_MAX_SPLITS];
    char split_name[LRK_MAX_SPLITS][LRK_H5_NAME_MAX];
    size_t n_splits;
    uint64_t rows, strings, bytes;
    const char *kind;
    lrk_sha256 content;
};

static lrk_status create_layout(lrk_dataset_writer *w, lrk_err *err)
{
    const char *const groups[] = {"/text", "/rows", "/segments", "/splits", "/provenance"};
    const uint64_t zero = 0;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        LRK_TRY(lrk_h5_group(w->f, groups[i], err));
    for (size_t i = 0; i < COLUMNS; i++)
        LRK_TRY(lrk_h5_column_create(w->f, layout[i].path, layout[i].type, layout[i].width,
                                     &w->c[i], err));
    LRK_TRY(lrk_h5_append(w->c[TEXT_OFFSETS], &zero, 1, err));
    return lrk_h5_append(w->c[ROWS_FIRST], &zero, 1, err);
}

lrk_status lrk_dataset_create(lrk_dataset_writer **out, const char *path, lrk_err *err)
{
    lrk_dataset_writer *w = lrk_heap_alloc(1, sizeof *w);
    LRK_REQUIRE(err, w, LRK_ENOMEM, "memory: no room to write %s", path);
    lrk_sha256_begin(&w->content);
    lrk_status s = lrk_h5_create(&w->f, path, err);
    if (s == LRK_OK) s = create_layout(w, err);
    if (s != LRK_OK) {
        lrk_dataset_abort(w);
        return s;
    }
    *out = w;
    return LRK_OK;
}

static bool good_split_name(const char *s)
{
    const size_t n = strlen(s);
    return n >= 1 && n <= 32 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

static lrk_status find_split(lrk_dataset_writer *w, const char *name, size_t *out, lrk_err *err)
{
    for (*out = 0; *out < w->n_splits; (*out)++)
        if (strcmp(w->split_name[*out], name) == 0) return LRK_OK;
    LRK_REQUIRE(err, good_split_name(name), LRK_EVALUE,
                "split '%.40s': a name is 1 to 32 of a-z, 0-9, _ and -", name);
    LRK_REQUIRE(err, w->n_splits < LRK_MAX_SPLITS, LRK_EVALUE, "split '%s': more than %d splits",
                name, LRK_MAX_SPLITS);
    lrk_buf path = {0};
    lrk_buf_printf(&path, "/splits/%s", name);
    lrk_status s = lrk_buf_check(&path, err);
    if (s == LRK_OK)
        s = lrk_h5_column_create(w->f, path.data, LRK_H5_U64, 1, &w->split[w->n_splits], err);
    lrk_buf_free(&path);
    LRK_TRY(s);
    memcpy(w->split_name[w->n_splits++], name, strlen(name) + 1);
    return LRK_OK;
}

static lrk_status check_parts(const lrk_part *parts, size_t n, const char **kind, lrk_err *err)
{
    size_t bytes = 0;
    LRK_REQUIRE(err, n >= 1 && n <= LRK_MAX_PARTS, LRK_EVALUE,
                "%zu parts in a row, 1 to %d are accepted", n, LRK_MAX_PARTS);
    *kind = lrk_record_kind(parts, n);
    LRK_REQUIRE(err, *kind, LRK_EVALUE,
                "parts of a row must be one text, a prompt and a completion, or turns");
    for (size_t i = 0; i < n; i++) {
        const lrk_part *p = &parts[i];
        LRK_REQUIRE(err, (unsigned)p->train <= LRK_TRAIN_BY_ROLE, LRK_EVALUE,
                    "part %zu: train mark %d", i, (int)p->train);
        LRK_REQUIRE(err, p->n <= LRK_MAX_ROW_BYTES - bytes, LRK_EVALUE,
                    "a row has more than %d bytes", LRK_MAX_ROW_BYTES);
        bytes += p->n;
        const size_t bad = lrk_utf8_check(p->text, p->n);
        LRK_REQUIRE(err, bad == p->n, LRK_EINPUT, "%s: byte %zu of %zu is not UTF-8 (or is NUL)",
                    lrk_role_name(p->role), bad, p->n);
    }
    return LRK_OK;
}

static lrk_status add_part(lrk_dataset_writer *w, const lrk_part *p, lrk_err *err)
{
    const uint8_t role = (uint8_t)p->role, train = (uint8_t)p->train;
    const uint64_t string = w->strings;
    lrk_part_hash(&w->content, p);
    w->bytes += p->n;
    w->strings++;
    LRK_TRY(lrk_h5_append(w->c[TEXT_BYTES], p->text, p->n, err));
    LRK_TRY(lrk_h5_append(w->c[TEXT_OFFSETS], &w->bytes, 1, err));
    LRK_TRY(lrk_h5_append(w->c[SEGMENTS_STR], &string, 1, err));
    LRK_TRY(lrk_h5_append(w->c[SEGMENTS_ROLE], &role, 1, err));
    return lrk_h5_append(w->c[SEGMENTS_TRAIN], &train, 1, err);
}

lrk_status lrk_dataset_add(lrk_dataset_writer *w, const char *split, uint32_t source, uint64_t line,
                           const lrk_part *parts, size_t n, lrk_err *err)
{
    size_t k = 0;
    const char *kind = NULL;
    unsigned char hash[16];
    LRK_TRY(check_parts(parts, n, &kind, err));
    LRK_TRY(find_split(w, split, &k, err));
    w->kind = !w->kind || w->kind == kind ? kind : "mixed";
    lrk_record_hash(parts, n, hash);
    for (size_t i = 0; i < n; i++) LRK_TRY(add_part(w, &parts[i], err));
    lrk_row_end_hash(&w->content, split);
    LRK_TRY(lrk_h5_append(w->c[ROWS_FIRST], &w->strings, 1, err));
    LRK_TRY(lrk_h5_append(w->c[ROWS_SOURCE], &source, 1, err));
    LRK_TRY(lrk_h5_append(w->c[ROWS_LINE], &line, 1, err));
    LRK_TRY(lrk_h5_append(w->c[ROWS_HASH], hash, 1, err));
    LRK_TRY(lrk_h5_append(w->split[k], &w->rows, 1, err));
    w->rows++;
    return LRK_OK;
}

static lrk_status write_ends(lrk_dataset_writer *w, const char *sources, size_t n, lrk_err *err)
{
    char hex[65];
    lrk_h5_column *c;
    LRK_TRY(lrk_h5_column_create(w->f, "/provenance/sources", LRK_H5_U8, 1, &c, err));
    lrk_status s = lrk_h5_append(c, sources, n, err);
    const lrk_status closed = lrk_h5_column_close(c, err);
    LRK_TRY(s != LRK_OK ? s : closed);
    for (size_t i = 0; i < COLUMNS + w->n_splits; i++) {
        lrk_h5_column **p = i < COLUMNS ? &w->c[i] : &w->split[i - COLUMNS];
        c = *p;
        *p = NULL;
        LRK_TRY(lrk_h5_column_close(c, err));
    }
    lrk_sha256_end_hex(&w->content, hex);
    LRK_TRY(lrk_h5_set_string(w->f, "/", "lrk.format", LRK_DATASET_FORMAT, err));
    LRK_TRY(lrk_h5_set_u64(w->f, "/", "lrk.version", LRK_DATASET_VERSION, err));
    LRK_TRY(lrk_h5_set_string(w->f, "/", "lrk.kind", w->kind, err));
    LRK_TRY(lrk_h5_set_string(w->f, "/", "lrk.generator", "lorikeet", err));
    LRK_TRY(lrk_h5_set_string(w->f, "/", "lrk.content_sha256", hex, err));
    return lrk_h5_set_u64(w->f, "/", "lrk.complete", 1, err);
}

lrk_status lrk_dataset_commit(lrk_dataset_writer *w, const char *sources, size_t n, lrk_err *err)
{
    lrk_status s = LRK_OK;
    if (!w->rows)
        s = lrk_fail(err, LRK_EINPUT, "%s: not written: there is no row", lrk_h5_path(w->f));
    if (s == LRK_OK) s = write_ends(w, sources, n, err);
    if (s == LRK_OK) {
        lrk_h5 *f = w->f;
        w->f = NULL;
        s = lrk_h5_commit(f, err);
    }
    lrk_dataset_abort(w);
    return s;
}

void lrk_dataset_abort(lrk_dataset_writer *w)
{
    if (!w) return;
    for (size_t i = 0; i < COLUMNS; i++) lrk_h5_column_drop(w->c[i]);
    for (size_t i = 0; i < w->n_splits; i++) lrk_h5_column_drop(w->split[i]);
    lrk_h5_close(w->f);
    lrk_heap_free(w);
}
