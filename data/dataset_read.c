/* data/dataset_read.c -- reads data sets, believing nothing that they declare. */
#include "data/dataset.h"

#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "data/h5.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SOURCES_BYTES = 1 << 20 };

struct lrk_dataset {
    lrk_h5 *f;
    lrk_h5_column *bytes, *offsets, *first, *source, *line, *hash, *str, *role, *train;
    lrk_h5_column *split[LRK_MAX_SPLITS];
    char **split_name;
    size_t n_splits;
    char *kind, *sha256;
    uint64_t rows;
    lrk_json *sources;
    lrk_arena arena;
    lrk_buf where;
};

static lrk_status open_columns(lrk_dataset *d, lrk_err *err)
{
    const struct {
        const char *path;
        lrk_h5_type type;
        size_t width;
        lrk_h5_column **c;
    } columns[] = {
        {"/text/bytes", LRK_H5_U8, 1, &d->bytes},    {"/text/offsets", LRK_H5_U64, 1, &d->offsets},
        {"/rows/first", LRK_H5_U64, 1, &d->first},   {"/rows/source", LRK_H5_U32, 1, &d->source},
        {"/rows/line", LRK_H5_U64, 1, &d->line},     {"/rows/hash", LRK_H5_U8, 16, &d->hash},
        {"/segments/str", LRK_H5_U64, 1, &d->str},   {"/segments/role", LRK_H5_U8, 1, &d->role},
        {"/segments/train", LRK_H5_U8, 1, &d->train}};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        LRK_TRY(lrk_h5_column_open(d->f, columns[i].path, columns[i].type, columns[i].width,
                                   columns[i].c, err));
    return LRK_OK;
}

/* Column c holds n + 1 ascending marks that begin with 0 and end with `end`. */
static lrk_status check_marks(lrk_dataset *d, lrk_h5_column *c, const char *name, uint64_t n,
                              uint64_t end, lrk_err *err)
{
    uint64_t first = 0, last = 0;
    LRK_REQUIRE(err, lrk_h5_count(c) == n + 1, LRK_EINPUT,
                "%s: %s has %" PRIu64 " entries, expected %" PRIu64, lrk_dataset_path(d), name,
                lrk_h5_count(c), n + 1);
    LRK_TRY(lrk_h5_read(c, 0, 1, &first, err));
    LRK_TRY(lrk_h5_read(c, n, 1, &last, err));
    LRK_REQUIRE(err, first == 0 && last == end, LRK_EINPUT,
                "%s: %s runs from %" PRIu64 " to %" PRIu64 ", expected 0 to %" PRIu64,
                lrk_dataset_path(d), name, first, last, end);
    return LRK_OK;
}

static lrk_status check_lengths(lrk_dataset *d, lrk_err *err)
{
    const uint64_t segments = lrk_h5_count(d->str), strings = lrk_h5_count(d->offsets);
    d->rows = lrk_h5_count(d->source);
    LRK_REQUIRE(err, d->rows && strings, LRK_EINPUT, "%s: there is no row", lrk_dataset_path(d));
    LRK_TRY(check_marks(d, d->offsets, "/text/offsets", strings - 1, lrk_h5_count(d->bytes), err));
    LRK_TRY(check_marks(d, d->first, "/rows/first", d->rows, segments, err));
    const struct {
        const char *name;
        uint64_t got, expected;
    } same[] = {{"/rows/line", lrk_h5_count(d->line), d->rows},
                {"/rows/hash", lrk_h5_count(d->hash), d->rows},
                {"/segments/role", lrk_h5_count(d->role), segments},
                {"/segments/train", lrk_h5_count(d->train), segments}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        LRK_REQUIRE(err, same[i].got == same[i].expected, LRK_EINPUT,
                    "%s: %s has %" PRIu64 " entries, expected %" PRIu64, lrk_dataset_path(d),
                    same[i].name, same[i].got, same[i].expected);
    return LRK_OK;
}

static lrk_status open_splits(lrk_dataset *d, lrk_err *err)
{
    uint64_t sum = 0;
    LRK_TRY(lrk_h5_list(d->f, "/splits", &d->arena, &d->split_name, &d->n_splits, err));
    LRK_REQUIRE(err, d->n_splits >= 1 && d->n_splits <= LRK_MAX_SPLITS, LRK_EINPUT,
                "%s: %zu splits, expected 1 to %d", lrk_dataset_path(d), d->n_splits,
                LRK_MAX_SPLITS);
    for (size_t i = 0; i < d->n_splits; i++) {
        lrk_buf path = {0};
        lrk_buf_printf(&path, "/splits/%s", d->split_name[i]);
        lrk_status s = lrk_buf_check(&path, err);
        if (s == LRK_OK) s = lrk_h5_column_open(d->f, path.data, LRK_H5_U64, 1, &d->split[i], err);
        lrk_buf_free(&path);
        LRK_TRY(s);
        LRK_REQUIRE(err, lrk_h5_count(d->split[i]) <= d->rows - sum, LRK_EINPUT,
                    "%s: the splits name more rows than the %" PRIu64 " there are",
                    lrk_dataset_path(d), d->rows);
        sum += lrk_h5_count(d->split[i]);
    }
    LRK_REQUIRE(err, sum == d->rows, LRK_EINPUT,
                "%s: %" PRIu64 " of %" PRIu64 " rows are in a split", lrk_dataset_path(d), sum,
                d->rows);
    return LRK_OK;
}

static lrk_status open_sources(lrk_dataset *d, lrk_err *err)
{
    lrk_h5_column *c;
    char *text;
    LRK_TRY(lrk_h5_column_open(d->f, "/provenance/sources", LRK_H5_U8, 1, &c, err));
    const uint64_t n = lrk_h5_count(c);
    lrk_status s = LRK_OK;
    if (n > MAX_SOURCES_BYTES)
        s = lrk_fail(err, LRK_EINPUT, "%s: /provenance/sources has %" PRIu64 " bytes, at most %d",
                     lrk_dataset_path(d), n, MAX_SOURCES_BYTES);
    if (s == LRK_OK) s = lrk_alloc(&d->arena, (size_t)n + 1, 1, "sources", &text, err);
    if (s == LRK_OK) s = lrk_h5_read(c, 0, (size_t)n, text, err);
    lrk_h5_column_drop(c);
    LRK_TRY(s);
    s = lrk_json_parse(&d->sources, text, (size_t)n, "/provenance/sources", err);
    return s == LRK_OK ? s : lrk_err_prefix(err, s, "%s", lrk_dataset_path(d));
}

static lrk_status open_all(lrk_dataset *d, lrk_err *err)
{
    static const char *const root[] = {"provenance", "rows", "segments", "splits", "text", NULL};
    static const char *const rows[] = {"first", "hash", "line", "source", NULL};
    static const char *const segments[] = {"role", "str", "train", NULL};
    static const char *const text[] = {"bytes", "offsets", NULL};
    static const char *const provenance[] = {"sources", NULL};
    char *format;
    uint64_t version = 0, complete = 0;
    LRK_TRY(lrk_h5_get_string(d->f, "/", "lrk.format", &d->arena, &format, err));
    LRK_REQUIRE(err, strcmp(format, LRK_DATASET_FORMAT) == 0, LRK_EINPUT,
                "%s: lrk.format is '%.40s', expected '%s'", lrk_dataset_path(d), format,
                LRK_DATASET_FORMAT);
    LRK_TRY(lrk_h5_get_u64(d->f, "/", "lrk.version", &version, err));
    LRK_REQUIRE(err, version == LRK_DATASET_VERSION, LRK_ESUPPORT,
                "%s: data set version %" PRIu64
                ", this program reads version %d; import the data again",
                lrk_dataset_path(d), version, LRK_DATASET_VERSION);
    LRK_TRY(lrk_h5_get_u64(d->f, "/", "lrk.complete", &complete, err));
    LRK_REQUIRE(err, complete == 1, LRK_EINPUT, "%s: was not written to its end; import again",
                lrk_dataset_path(d));
    LRK_TRY(lrk_h5_get_string(d->f, "/", "lrk.kind", &d->arena, &d->kind, err));
    LRK_TRY(lrk_h5_get_string(d->f, "/", "lrk.content_sha256", &d->arena, &d->sha256, err));
    LRK_REQUIRE(err, strlen(d->sha256) == 64 && strspn(d->sha256, "0123456789abcdef") == 64,
                LRK_EINPUT, "%s: lrk.content_sha256 is not 64 hexadecimal digits",
                lrk_dataset_path(d));
    LRK_TRY(lrk_h5_only(d->f, "/", root, err));
    LRK_TRY(lrk_h5_only(d->f, "/rows", rows, err));
    LRK_TRY(lrk_h5_only(d->f, "/segments", segments, err));
    LRK_TRY(lrk_h5_only(d->f, "/text", text, err));
    LRK_TRY(lrk_h5_only(d->f, "/provenance", provenance, err));
    LRK_TRY(open_columns(d, err));
    LRK_TRY(check_lengths(d, err));
    LRK_TRY(open_splits(d, err));
    return open_sources(d, err);
}

lrk_status lrk_dataset_open(lrk_dataset **out, const char *path, lrk_err *err)
{
    lrk_dataset *d = lrk_heap_alloc(1, sizeof *d);
    LRK_REQUIRE(err, d, LRK_ENOMEM, "memory: no room to open %s", path);
    d->arena = lrk_arena_growing("dataset");
    lrk_status s = lrk_h5_open(&d->f, path, err);
    if (s == LRK_OK) s = open_all(d, err);
    if (s != LRK_OK) {
        lrk_dataset_close(d);
        return s;
    }
    *out = d;
    return LRK_OK;
}

void lrk_dataset_close(lrk_dataset *d)
{
    if (!d) return;
    lrk_h5_column *all[] = {d->bytes, d->offsets, d->first, d->source, d->line,
                            d->hash,  d->str,     d->role,  d->train};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) lrk_h5_column_drop(all[i]);
    for (size_t i = 0; i < LRK_MAX_SPLITS; i++) lrk_h5_column_drop(d->split[i]);
    lrk_h5_close(d->f);
    lrk_json_free(d->sources);
    lrk_buf_free(&d->where);
    lrk_arena_free(&d->arena);
    lrk_heap_free(d);
}

const char *lrk_dataset_path(const lrk_dataset *d) { return lrk_h5_path(d->f); }

const char *lrk_dataset_kind(const lrk_dataset *d) { return d->kind; }

const char *lrk_dataset_sha256(const lrk_dataset *d) { return d->sha256; }

uint64_t lrk_dataset_rows(const lrk_dataset *d) { return d->rows; }

size_t lrk_dataset_splits(const lrk_dataset *d) { return d->n_splits; }

const char *lrk_dataset_split_name(const lrk_dataset *d, size_t split)
{
    return d->split_name[split];
}

uint64_t lrk_dataset_split_rows(const lrk_dataset *d, size_t split)
{
    return lrk_h5_count(d->split[split]);
}

int lrk_dataset_split(const lrk_dataset *d, const char *name)
{
    for (size_t i = 0; i < d->n_splits; i++)
        if (strcmp(d->split_name[i], name) == 0) return (int)i;
    return -1;
}

lrk_status lrk_dataset_split_read(lrk_dataset *d, size_t split, uint64_t first, size_t n,
                                  uint64_t *rows, lrk_err *err)
{
    LRK_TRY(lrk_h5_read(d->split[split], first, n, rows, err));
    for (size_t i = 0; i < n; i++)
        LRK_REQUIRE(err, rows[i] < d->rows && (i == 0 || rows[i] > rows[i - 1]), LRK_EINPUT,
                    "%s: /splits/%s: entry %" PRIu64 " names row %" PRIu64
                    ": not ascending, or not among the %" PRIu64 " rows",
                    lrk_dataset_path(d), d->split_name[split], first + i, rows[i], d->rows);
    return LRK_OK;
}

const char *lrk_record_where(lrk_dataset *d, const lrk_record *r)
{
    const char *path =
        lrk_json_string(lrk_json_get(lrk_json_at(d->sources, r->source), "path"), NULL);
    d->where.n = 0;
    if (path)
        lrk_buf_printf(&d->where, "%s:%" PRIu64, path, r->line);
    else
        lrk_buf_printf(&d->where, "%s: row %" PRIu64, lrk_dataset_path(d), r->row);
    if (d->where.failed) return lrk_dataset_path(d);
    /* the path is a stranger's: it must not steer a terminal */
    for (size_t i = 0; i < d->where.n; i++)
        if ((unsigned char)d->where.data[i] < 0x20 || d->where.data[i] == 0x7f)
            d->where.data[i] = '?';
    return d->where.data;
}

static lrk_status damaged(const lrk_dataset *d, uint64_t row, const char *what, lrk_err *err)
{
    return lrk_fail(err, LRK_EINPUT, "%s: row %" PRIu64 ": %s; the file is damaged, import again",
                    lrk_dataset_path(d), row, what);
}

static lrk_status read_part(lrk_dataset *d, uint64_t row, uint64_t segment, lrk_arena *a,
                            lrk_part *p, lrk_err *err)
{
    uint64_t string = 0, mark[2] = {0, 0};
    uint8_t role = 0, train = 0;
    char *text;
    LRK_TRY(lrk_h5_read(d->str, segment, 1, &string, err));
    LRK_TRY(lrk_h5_read(d->role, segment, 1, &role, err));
    LRK_TRY(lrk_h5_read(d->train, segment, 1, &train, err));
    if (string >= lrk_h5_count(d->offsets) - 1)
        return damaged(d, row, "a string that isn't there", err);
    if (!lrk_role_name((lrk_role)role) || train > LRK_TRAIN_BY_ROLE)
        return damaged(d, row, "an unknown role or train mark", err);
    LRK_TRY(lrk_h5_read(d->offsets, string, 2, mark, err));
    if (mark[1] < mark[0] || mark[1] > lrk_h5_count(d->bytes) ||
        mark[1] - mark[0] > LRK_MAX_ROW_BYTES)
        return damaged(d, row, "text offsets descend, or leave the pool", err);
    const size_t n = (size_t)(mark[1] - mark[0]);
    LRK_TRY(lrk_alloc(a, n + 1, 1, "text of a row", &text, err));
    LRK_TRY(lrk_h5_read(d->bytes, mark[0], n, text, err));
    if (lrk_utf8_check(text, n) != n) return damaged(d, row, "text that is not UTF-8", err);
    *p = (lrk_part){(lrk_role)role, (lrk_train)train, text, n};
    return LRK_OK;
}

lrk_status lrk_dataset_read(lrk_dataset *d, uint64_t row, lrk_arena *a, lrk_record *out,
                            lrk_err *err)
{
    uint64_t mark[2] = {0, 0};
    lrk_part *parts;
    lrk_record r = {.row = row};
    LRK_REQUIRE(err, row < d->rows, LRK_EVALUE, "%s: row %" PRIu64 " of %" PRIu64,
                lrk_dataset_path(d), row, d->rows);
    LRK_TRY(lrk_h5_read(d->first, row, 2, mark, err));
    if (mark[1] <= mark[0] || mark[1] - mark[0] > LRK_MAX_PARTS || mark[1] > lrk_h5_count(d->str))
        return damaged(d, row, "no parts, too many, or parts that aren't there", err);
    r.n_parts = (size_t)(mark[1] - mark[0]);
    LRK_TRY(lrk_h5_read(d->source, row, 1, &r.source, err));
    LRK_TRY(lrk_h5_read(d->line, row, 1, &r.line, err));
    LRK_TRY(lrk_h5_read(d->hash, row, 1, r.hash, err));
    LRK_TRY(lrk_alloc(a, r.n_parts, sizeof *parts, "parts of a row", &parts, err));
    size_t bytes = 0;
    for (size_t i = 0; i < r.n_parts; i++) {
        LRK_TRY(read_part(d, row, mark[0] + i, a, &parts[i], err));
        bytes += parts[i].n;
        if (bytes > LRK_MAX_ROW_BYTES) return damaged(d, row, "more than 64 MB of text", err);
    }
    if (!lrk_record_kind(parts, r.n_parts))
        return damaged(d, row, "roles that make up no row", err);
    r.parts = parts;
    *out = r;
    return LRK_OK;
}

lrk_status lrk_split_walk_next(lrk_dataset *d, lrk_split_walk *w, size_t *split, lrk_err *err)
{
    for (size_t i = 0; i < d->n_splits; i++) {
        uint64_t row = 0;
        if (w->at[i] == lrk_h5_count(d->split[i])) continue;
        LRK_TRY(lrk_h5_read(d->split[i], w->at[i], 1, &row, err));
        if (row != w->row) continue;
        w->at[i]++;
        w->row++;
        *split = i;
        return LRK_OK;
    }
    return damaged(d, w->row, "in no split, or the splits are not ascending", err);
}

lrk_status lrk_dataset_verify(lrk_dataset *d, lrk_err *err)
{
    lrk_sha256 content;
    lrk_split_walk walk = {0};
    lrk_sha256_begin(&content);
    for (uint64_t row = 0; row < d->rows; row++) {
        lrk_arena a = lrk_arena_growing("row");
        lrk_record r;
        size_t split = 0;
        unsigned char hash[16];
        lrk_status s = lrk_dataset_read(d, row, &a, &r, err);
        if (s == LRK_OK) s = lrk_split_walk_next(d, &walk, &split, err);
        if (s == LRK_OK) {
            lrk_record_hash(r.parts, r.n_parts, hash);
            for (size_t i = 0; i < r.n_parts; i++) lrk_part_hash(&content, &r.parts[i]);
            lrk_row_end_hash(&content, d->split_name[split]);
            if (memcmp(hash, r.hash, sizeof hash) != 0)
                s = damaged(d, row, "its hash is not that of its text", err);
        }
        lrk_arena_free(&a);
        LRK_TRY(s);
    }
    char hex[65];
    lrk_sha256_end_hex(&content, hex);
    LRK_REQUIRE(err, strcmp(hex, d->sha256) == 0, LRK_EINPUT,
                "%s: the content hash is %.16s..., lrk.content_sha256 says %.16s...; import again",
                lrk_dataset_path(d), hex, d->sha256);
    return LRK_OK;
}
