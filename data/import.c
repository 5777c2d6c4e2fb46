/* data/import.c -- reads JSON Lines and feeds the data set writer. */
#include "data/import.h"

#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "data/cache.h"
#include "data/shapes_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct importer {
    const lrk_import_options *o;
    lrk_import_report *report;
    lrk_dataset_writer *w;
    lrk_arena arena;
    lrk_shaping shaping;
    unsigned seen; /* of the names that were given */
} importer;

lrk_status lrk_import_line(const char *text, size_t n, const char *where, size_t line,
                           lrk_json **row, lrk_err *err)
{
    *row = NULL;
    if (line == 1 && n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        n -= 3;
    }
    LRK_REQUIRE(err, line > 1 || n < 2 || memcmp(text, "\x1f\x8b", 2) != 0, LRK_EINPUT,
                "%s: is compressed by gzip; unpack it first: gunzip -k", where);
    LRK_REQUIRE(err, line > 1 || n < 4 || memcmp(text, "GGUF", 4) != 0, LRK_EINPUT,
                "%s: is a GGUF model, no data; expected JSON Lines, or a data set of `lorikeet data import`", where);
    const size_t bad = lrk_utf8_check(text, n);
    LRK_REQUIRE(err, bad == n, LRK_EINPUT,
                "%s:%zu: byte %zu is not UTF-8 (0x%02x); convert the file, iconv -t UTF-8", where,
                line, bad + 1, (unsigned)(unsigned char)text[bad]);
    if (lrk_blank(text, n)) return LRK_OK;
    const size_t lead = strspn(text, " \t");
    LRK_REQUIRE(
        err, line > 1 || lead >= n || text[lead] != '[', LRK_EINPUT,
        "%s:%zu: a JSON list; expected JSON Lines, one object a line: jq -c '.[]' makes them",
        where, line);
    LRK_REQUIRE(err, line > 1 || strchr("{\"[", text[lead]) || !memchr(text, ',', n), LRK_EINPUT,
                "%s:1: no JSON, but commas: a CSV file? Expected JSON Lines, one object a line, as "
                "{\"prompt\": ..., \"completion\": ...}",
                where);
    return lrk_json_parse_line(row, text, n, where, line, err);
}

static lrk_status check_options(const lrk_import_options *o, lrk_err *err)
{
    LRK_REQUIRE(err, o->n_inputs >= 1 && o->n_inputs <= LRK_MAX_INPUTS, LRK_EUSAGE,
                "%zu input files, expected 1 to %d", o->n_inputs, LRK_MAX_INPUTS);
    LRK_REQUIRE(err, !o->prompt == !o->completion, LRK_EUSAGE,
                "--prompt and --completion belong together");
    LRK_REQUIRE(err, !o->prompt || o->shape == LRK_SHAPE_AUTO, LRK_EUSAGE,
                "--shape and --prompt exclude each other");
    LRK_REQUIRE(err, o->val_fraction >= 0.0 && o->val_fraction < 1.0, LRK_EUSAGE,
                "val fraction %g, expected 0 or more and less than 1", o->val_fraction);
    for (size_t i = 0; i < o->n_inputs; i++)
        LRK_TRY(lrk_check_apart(o->out, o->inputs[i].path, err));
    if (!lrk_is_file(o->out)) return LRK_OK;
    lrk_map m;
    LRK_TRY(lrk_map_open(&m, o->out, err));
    const bool ours = m.size >= 4 && memcmp(m.data, "\211HDF", 4) == 0;
    lrk_map_close(&m);
    LRK_REQUIRE(err, ours, LRK_EUSAGE, "%s: exists and is no data set; choose another name",
                o->out);
    return LRK_OK;
}

static void note_unused(importer *im, const lrk_json *row)
{
    lrk_import_report *r = im->report;
    for (void *i = lrk_json_begin(row); i; i = lrk_json_next(row, i)) {
        size_t n, k = 0;
        const char *key = lrk_json_key(i, &n);
        if (r->n_unused == LRK_MAX_UNUSED) return;
        if (lrk_shape_uses(&im->shaping, key)) continue;
        n = n < sizeof *r->unused ? n : sizeof *r->unused - 1;
        while (k < r->n_unused && (strncmp(r->unused[k], key, n) != 0 || r->unused[k][n])) k++;
        if (k == r->n_unused) memcpy(r->unused[r->n_unused++], key, n);
    }
}

static const char *choose_split(const importer *im, const char *given, const lrk_part *parts,
                                size_t n)
{
    unsigned char hash[16];
    uint64_t u = 0;
    if (given) return given;
    lrk_record_hash(parts, n, hash);
    for (size_t i = 0; i < 8; i++) u = u << 8 | hash[i];
    return (double)u * 0x1p-64 < im->o->val_fraction ? "val" : "train";
}

static lrk_status import_row(importer *im, size_t input, size_t line, const lrk_json *row,
                             lrk_arena *a, lrk_err *err)
{
    lrk_part *parts = NULL;
    size_t n = 0;
    if (im->shaping.shape == LRK_SHAPE_AUTO)
        LRK_TRY(lrk_shape_recognize(row, &im->shaping.shape, err));
    if (!im->report->input_rows[input])
        im->shaping.answer = lrk_shape_answer(im->shaping.shape, row);
    const lrk_status s = lrk_shape_apply(&im->shaping, row, a, &parts, &n, err);
    if (s == LRK_EINPUT && !im->o->prompt && im->report->input_rows[input])
        return lrk_err_prefix(err, s, "as a row of shape %s, like the first",
                              lrk_shape_name(im->shaping.shape));
    LRK_TRY(s);
    note_unused(im, row);
    const char *split = choose_split(im, im->o->inputs[input].split, parts, n);
    LRK_TRY(lrk_dataset_add(im->w, split, (uint32_t)input, line, parts, n, err));
    im->report->input_rows[input]++;
    im->report->rows++;
    return LRK_OK;
}

/* The row under the names that the shapes know. */
static lrk_status import_named(importer *im, size_t input, size_t line, lrk_json *row, lrk_arena *a,
                               lrk_err *err)
{
    unsigned seen = 0;
    lrk_json *named = lrk_shape_rename(&im->shaping, row);
    lrk_member_names_look(&im->shaping.names, row, &seen);
    im->seen |= seen;
    const lrk_status s = import_row(im, input, line, named, a, err);
    lrk_json_free(named);
    const char *unseen = lrk_member_names_unseen(&im->shaping.names, seen);
    return s == LRK_EINPUT && unseen ? lrk_err_prefix(err, s, "no member '%.60s' in this row", unseen) : s;
}

static lrk_status import_text(importer *im, size_t input, const char *where, size_t line, const char *text, size_t n,
                              lrk_err *err)
{
    lrk_json *row = NULL;
    LRK_TRY(lrk_import_line(text, n, where, line, &row, err));
    if (!row) {
        im->report->blank_lines++;
        return LRK_OK;
    }
    lrk_arena a = lrk_arena_growing("row");
    const lrk_status s = import_named(im, input, line, row, &a, err);
    lrk_arena_free(&a);
    lrk_json_free(row);
    if (s == LRK_OK || s == LRK_EIO || s == LRK_ENOMEM) return s;
    return lrk_err_prefix(err, s, "%s:%zu", where, line);
}

/* Rows that are wrong, so that all are mended at once; the messages of the first of them. */
typedef struct bad_rows {
    uint64_t n;
    lrk_status status;
    lrk_buf text;
} bad_rows;

static void add_bad(bad_rows *b, lrk_status s, const lrk_err *why)
{
    enum { LISTED = 8, ROOM = 1800 };
    if (!b->n++) b->status = s;
    if (b->n > 1 && (b->n > LISTED || b->text.n + strlen(why->text) > ROOM)) return;
    lrk_buf_printf(&b->text, "%s%s", b->text.n ? "\n" : "", why->text);
}

static lrk_status read_rows(importer *im, size_t input, const char *where, lrk_lines *l, bad_rows *bad, lrk_err *err)
{
    for (size_t line = 1;; line++) {
        char *text;
        size_t n = 0;
        lrk_err why = {0};
        LRK_TRY(lrk_writers_check(err));
        lrk_status s = lrk_lines_next(l, &text, &n, err);
        if (s == LRK_EINPUT) return lrk_err_prefix(err, s, "%s:%zu", where, line);
        LRK_TRY(s);
        if (!text) return LRK_OK;
        s = import_text(im, input, where, line, text, n, &why);
        if (s == LRK_OK) continue;
        /* where no row was right so far, the file is wrong and not its rows */
        if (s == LRK_EIO || s == LRK_ENOMEM || !im->report->input_rows[input]) return lrk_fail(err, s, "%s", why.text);
        add_bad(bad, s, &why);
    }
}

static lrk_status import_lines(importer *im, size_t input, lrk_lines *l, lrk_err *err)
{
    const char *path = im->o->inputs[input].path;
    const char *where = strcmp(path, "-") == 0 ? "standard input" : path;
    bad_rows bad = {0};
    lrk_status s = read_rows(im, input, where, l, &bad, err);
    if (s == LRK_OK && bad.n) s = lrk_buf_check(&bad.text, err);
    if (s == LRK_OK && bad.n > 1)
        s = lrk_fail(err, bad.status, "%s\n%s: %" PRIu64 " rows are wrong", bad.text.data, where, bad.n);
    else if (s == LRK_OK && bad.n)
        s = lrk_fail(err, bad.status, "%s", bad.text.data);
    lrk_buf_free(&bad.text);
    LRK_TRY(s);
    LRK_REQUIRE(err, im->report->input_rows[input], LRK_EINPUT, "%s: there is no row", where);
    return LRK_OK;
}

static lrk_status import_input(importer *im, size_t input, lrk_err *err)
{
    lrk_lines *l;
    im->shaping.shape = im->o->prompt ? LRK_SHAPE_FIELDS : im->o->shape;
    if (im->shaping.shape == LRK_SHAPE_AUTO && im->shaping.names.prompt) im->shaping.shape = LRK_SHAPE_PROMPT;
    LRK_TRY(lrk_lines_open(&l, im->o->inputs[input].path, LRK_MAX_LINE, err));
    const lrk_status s = import_lines(im, input, l, err);
    lrk_lines_close(l);
    im->report->shape[input] = im->shaping.shape;
    return s;
}

static lrk_status commit(importer *im, lrk_err *err)
{
    lrk_buf text = {0};
    lrk_json *list = lrk_json_array();
    for (size_t i = 0; i < im->o->n_inputs; i++) {
        const lrk_import_input *in = &im->o->inputs[i];
        const char *split = in->split ? in->split : im->o->val_fraction > 0.0 ? "by hash" : "train";
        lrk_json *o = lrk_json_object();
        lrk_json_set(o, "path", lrk_json_c_string(in->path));
        lrk_json_set_count(o, "rows", im->report->input_rows[i]);
        const char *shape = lrk_shape_name(im->report->shape[i]);
        lrk_json_set(o, "shape", lrk_json_c_string(shape));
        lrk_json_set(o, "split", lrk_json_c_string(split));
        lrk_json_add(list, o);
    }
    lrk_status s = lrk_json_dump(list, 0, &text, err);
    lrk_json_free(list);
    if (s == LRK_OK) {
        lrk_dataset_writer *w = im->w;
        im->w = NULL;
        s = lrk_dataset_commit(w, text.data, text.n, err);
    }
    lrk_buf_free(&text);
    return s;
}

static lrk_status run(importer *im, lrk_err *err)
{
    if (im->o->prompt) {
        LRK_TRY(lrk_fields_parse(im->o->prompt, "--prompt", &im->arena, &im->shaping.prompt, err));
        LRK_TRY(lrk_fields_parse(im->o->completion, "--completion", &im->arena,
                                 &im->shaping.completion, err));
    }
    LRK_TRY(lrk_dataset_create(&im->w, im->o->out, err));
    for (size_t i = 0; i < im->o->n_inputs; i++) LRK_TRY(import_input(im, i, err));
    const char *unseen = lrk_member_names_unseen(&im->shaping.names, im->seen);
    LRK_REQUIRE(err, !unseen, LRK_EINPUT, "no row has a member '%.60s', which --names or a recipe's field_... names",
                unseen);
    return commit(im, err);
}

lrk_status lrk_import(const lrk_import_options *o, lrk_import_report *report, lrk_err *err)
{
    importer im = {.o = o, .report = report, .arena = lrk_arena_growing("import")};
    im.shaping.names = o->names;
    *report = (lrk_import_report){0};
    LRK_TRY(check_options(o, err));
    const lrk_status s = run(&im, err);
    lrk_dataset_abort(im.w);
    lrk_arena_free(&im.arena);
    return s;
}

enum { SHAPES = 2 }; /* counted where a shape takes something else from a row than before */

/* Everything that decides what the rows of a file become. */
static void put_options(lrk_buf *b, const lrk_import_options *o)
{
    const lrk_member_names *m = &o->names;
    const char *const texts[] = {o->prompt, o->completion,  m->messages, m->role,   m->content,
                                 m->system, m->instruction, m->input,    m->output, m->text};
    lrk_buf_printf(b, "shape %s val %.17g\n", lrk_shape_name(o->shape), o->val_fraction);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        lrk_buf_printf(b, "%zu %s\n", texts[i] ? strlen(texts[i]) + 1 : 0,
                       texts[i] ? texts[i] : "");
}

/* "-<16 digits>.h5" */
static lrk_status cached_tail(const lrk_map *m, const lrk_import_options *o, char tail[24], lrk_err *err)
{
    char data[65], key[65];
    lrk_buf b = {0};
    lrk_sha256_hex(m->data, m->size, data);
    lrk_buf_printf(&b, "import %d, shapes %d\n%s\n", LRK_DATASET_VERSION, SHAPES, data);
    put_options(&b, o);
    const lrk_status s = lrk_buf_check(&b, err);
    if (s == LRK_OK) lrk_sha256_hex(b.data, b.n, key);
    lrk_buf_free(&b);
    LRK_TRY(s);
    snprintf(tail, 24, "-%.16s.h5", key);
    return LRK_OK;
}

void lrk_import_put_unused(const lrk_import_report *r, lrk_buf *b)
{
    if (r->n_unused) lrk_buf_puts(b, "members not used:");
    for (size_t i = 0; i < r->n_unused; i++) lrk_buf_printf(b, "%s %s", i ? "," : "", r->unused[i]);
    if (r->n_unused == LRK_MAX_UNUSED) lrk_buf_puts(b, ", ...");
}

/* Where templates name members, the others are left out by intent. */
static void say_unused(const char *path, const lrk_import_report *r)
{
    lrk_buf b = {0};
    if (r->shape[0] != LRK_SHAPE_FIELDS) lrk_import_put_unused(r, &b);
    if (b.n) lrk_note("%s: %s", path, b.data);
    lrk_buf_free(&b);
}

static bool is_whole(const char *path)
{
    lrk_dataset *d;
    if (!lrk_is_file(path) || lrk_dataset_open(&d, path, NULL) != LRK_OK) return false;
    lrk_dataset_close(d);
    return true;
}

static bool names_given(const lrk_member_names *m)
{
    return m->messages || m->role || m->content || m->system || m->instruction || m->input ||
           m->output || m->text;
}

lrk_status lrk_import_cached(const char *path, const lrk_import_options *o, const char *cache_dir,
                             lrk_arena *a, char **dataset, lrk_err *err)
{
    lrk_map m;
    LRK_TRY(lrk_map_open(&m, path, err));
    const bool hdf5 = m.size >= 4 && memcmp(m.data, "\211HDF", 4) == 0;
    char tail[24];
    const lrk_status s = hdf5 ? LRK_OK : cached_tail(&m, o, tail, err);
    lrk_map_close(&m);
    LRK_TRY(s);
    if (hdf5) {
        LRK_REQUIRE(
            err, !o->prompt && o->shape == LRK_SHAPE_AUTO && !names_given(&o->names), LRK_EUSAGE,
            "%s: is a data set already: shape, prompt and names of members are for JSON Lines; "
            "import the rows anew with them",
            path);
        *dataset = lrk_strdup(a, path);
        LRK_REQUIRE(err, *dataset, LRK_ENOMEM, "memory: no room for a path");
        return LRK_OK;
    }
    if (cache_dir) LRK_TRY(lrk_mkdir(cache_dir, err));
    LRK_TRY(lrk_cache_name(path, tail, cache_dir, a, dataset, err));
    if (is_whole(*dataset)) return LRK_OK;
    if (!cache_dir) LRK_TRY(lrk_cache_place(path, tail, a, dataset, err));
    if (is_whole(*dataset)) return LRK_OK;
    const lrk_import_input in = {path, NULL};
    lrk_import_options one = *o;
    lrk_import_report report;
    one.inputs = &in;
    one.n_inputs = 1;
    one.out = *dataset;
    /* what stands there is damaged, and ours by its name */
    LRK_TRY(lrk_remove(*dataset, err));
    LRK_TRY(lrk_import(&one, &report, err));
    say_unused(path, &report);
    return LRK_OK;
}
