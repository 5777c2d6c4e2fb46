/* data/import.h -- JSON Lines into a data set.
 *
 * Every line is one JSON object; blank lines are skipped, a byte order mark and CR LF are
 * understood. The shape is recognised from the first row of each input, unless it is given, and
 * every row must have it. Memory does not grow with the rows.
 *
 * Errors stop the import, and no file appears: "data.jsonl:14: messages[2].content: is null,
 * expected a string". What an error names: invalid UTF-8 (with its byte), invalid JSON (line and
 * column), duplicate keys, wrong types, missing members, empty answers, a line beyond 16 MiB.
 */
#ifndef LRK_DATA_IMPORT_H
#define LRK_DATA_IMPORT_H
#include "data/shapes.h"

enum { LRK_MAX_LINE = 16 << 20, LRK_MAX_INPUTS = 64, LRK_MAX_UNUSED = 16 };

typedef struct lrk_import_input {
    const char *path;  /* "-": standard input */
    const char *split; /* NULL: train, or what val_fraction decides */
} lrk_import_input;

typedef struct lrk_import_options {
    const lrk_import_input *inputs;
    size_t n_inputs;
    const char *out;
    lrk_shape shape;                /* LRK_SHAPE_AUTO: recognise it */
    const char *prompt, *completion; /* templates of data/shapes.h: both or neither */
    lrk_member_names names;
    /* Share of the rows without a given split that goes to "val". A row's own hash decides, so
     * equal rows stay together and a row keeps its side when others are added. */
    double val_fraction;
} lrk_import_options;

typedef struct lrk_import_report {
    uint64_t rows, blank_lines;
    lrk_shape shape[LRK_MAX_INPUTS];
    uint64_t input_rows[LRK_MAX_INPUTS];
    char unused[LRK_MAX_UNUSED][64]; /* members that play no part, the first few */
    size_t n_unused;
} lrk_import_report;

lrk_status lrk_import(const lrk_import_options *o, lrk_import_report *report, lrk_err *err);

/* "members not used: id, url"; nothing where there are none. */
void lrk_import_put_unused(const lrk_import_report *r, lrk_buf *b);

/* The data set behind a path: itself where it is one already; else its rows imported to
 * "<path>-<16 digits>.h5", in cache_dir, or beside it, or where that cannot be written in the user's
 * cache directory (data/cache.h). The digits are of a hash over the bytes of the file and the options, so what is found
 * there is what would be made. o->inputs and o->out play no part. The name is in a. */
lrk_status lrk_import_cached(const char *path, const lrk_import_options *o, const char *cache_dir,
                             lrk_arena *a, char **dataset, lrk_err *err);

/* One line, as the import reads it. *row is NULL for a blank line; the caller frees it. `where` and
 * `line` are for messages. */
lrk_status lrk_import_line(const char *text, size_t n, const char *where, size_t line,
                           lrk_json **row, lrk_err *err);

#endif /* LRK_DATA_IMPORT_H */
