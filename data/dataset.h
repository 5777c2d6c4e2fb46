/* data/dataset.h -- a data set: rows of text in one HDF5 file, schema version 1.
 *
 *   /                   lrk.format "lorikeet-dataset", lrk.version 1, lrk.kind, lrk.generator,
 *                       lrk.content_sha256 (all parts of all rows in order, and the rows' splits),
 *                       lrk.complete 1
 *   /text/bytes u8[N]   all strings, UTF-8, one behind the other     /text/offsets u64[S + 1]
 *   /rows/first u64[R + 1]  row r holds segments first[r] .. first[r + 1] - 1
 *   /rows/source u32[R], /rows/line u64[R]  where the row came from: index into sources, 1-based
 *   /rows/hash u8[R, 16]  first half of SHA-256 over the row's parts
 *   /segments/str u64[M], /segments/role u8[M], /segments/train u8[M]
 *   /splits/NAME u64[]  rows of a split, ascending; splits share no row and cover them all
 *   /provenance/sources u8[]  JSON: [{"path", "rows", "shape", "split"}]
 *
 * Rows stay text: token ids live in a cache beside the file (data/tokens.h), never inside it.
 * The writer streams: its memory does not grow with the rows. Neither does the reader's.
 * Not understood, hence refused: other versions, unknown members, files without lrk.complete.
 */
#ifndef LRK_DATA_DATASET_H
#define LRK_DATA_DATASET_H
#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a part of a row is. A row is either one RAW part (plain text), or PROMPT and COMPLETION, or
 * a conversation of SYSTEM, USER, ASSISTANT, TOOL and MESSAGE parts, one a turn, with at most one
 * VARIABLES part in front of them. */
typedef enum lrk_role {
    LRK_ROLE_RAW,
    LRK_ROLE_SYSTEM,
    LRK_ROLE_USER,
    LRK_ROLE_ASSISTANT,
    LRK_ROLE_TOOL,
    LRK_ROLE_PROMPT,
    LRK_ROLE_COMPLETION,
    LRK_ROLE_MESSAGE = 9,    /* a turn with more than role and content: its JSON object */
    LRK_ROLE_VARIABLES = 10, /* JSON object of further template variables: tools, ... */
    LRK_ROLE_END
} lrk_role;

/* Whether a part is trained: by what the masking options say of its role, or as the row says. */
typedef enum lrk_train { LRK_TRAIN_NO, LRK_TRAIN_YES, LRK_TRAIN_BY_ROLE } lrk_train;

typedef struct lrk_part {
    lrk_role role;
    lrk_train train;
    const char *text; /* UTF-8, NUL-terminated when read from a file */
    size_t n;
} lrk_part;

typedef struct lrk_record {
    uint64_t row;
    uint32_t source;
    uint64_t line;
    unsigned char hash[16];
    const lrk_part *parts;
    size_t n_parts;
} lrk_record;

struct lrk_sha256; /* base/sha256.h */

enum { LRK_MAX_PARTS = 2050, LRK_MAX_ROW_BYTES = 64 << 20, LRK_MAX_SPLITS = 16 };
enum { LRK_DATASET_VERSION = 1 };
#define LRK_DATASET_FORMAT "lorikeet-dataset"

const char *lrk_role_name(lrk_role r); /* "assistant"; NULL for numbers that are no role */
/* "text", "prompt" or "chat"; NULL where the roles make up no row. */
const char *lrk_record_kind(const lrk_part *parts, size_t n);
/* Adds a part to a running hash, and what separates a row from the next. */
void lrk_part_hash(struct lrk_sha256 *h, const lrk_part *p);
void lrk_row_end_hash(struct lrk_sha256 *h, const char *split);
/* The hash of a row: it covers roles, train marks and texts, and nothing else. */
void lrk_record_hash(const lrk_part *parts, size_t n, unsigned char hash[16]);

/* ---- writing ---- */
typedef struct lrk_dataset_writer lrk_dataset_writer;

/* An existing file is replaced at the end, by lrk_dataset_commit alone. */
lrk_status lrk_dataset_create(lrk_dataset_writer **w, const char *path, lrk_err *err);
/* One row into a split, whose name is 1 to 32 of a-z 0-9 _ -. Refuses combinations of roles other
 * than those above, and text that is not UTF-8. */
lrk_status lrk_dataset_add(lrk_dataset_writer *w, const char *split, uint32_t source, uint64_t line,
                           const lrk_part *parts, size_t n, lrk_err *err);
/* sources: the JSON array described above. Frees w, whether it succeeds or not. */
lrk_status lrk_dataset_commit(lrk_dataset_writer *w, const char *sources, size_t n, lrk_err *err);
void lrk_dataset_abort(lrk_dataset_writer *w); /* frees; no file remains; NULL is fine */

/* ---- reading ---- */
typedef struct lrk_dataset lrk_dataset;

/* Checks version, completeness, names and lengths of all columns. The offsets of a row are checked
 * when it is read; lrk_dataset_verify reads and checks everything. */
lrk_status lrk_dataset_open(lrk_dataset **d, const char *path, lrk_err *err);
void lrk_dataset_close(lrk_dataset *d); /* NULL is fine */

const char *lrk_dataset_path(const lrk_dataset *d);
const char *lrk_dataset_kind(const lrk_dataset *d); /* "chat", "prompt", "text" or "mixed" */
const char *lrk_dataset_sha256(const lrk_dataset *d); /* 64 hex digits, as recorded in the file */
uint64_t lrk_dataset_rows(const lrk_dataset *d);
size_t lrk_dataset_splits(const lrk_dataset *d);
const char *lrk_dataset_split_name(const lrk_dataset *d, size_t split);
uint64_t lrk_dataset_split_rows(const lrk_dataset *d, size_t split);
/* Index of the split, or -1. */
int lrk_dataset_split(const lrk_dataset *d, const char *name);
/* Rows first .. first + n - 1 of a split. */
lrk_status lrk_dataset_split_read(lrk_dataset *d, size_t split, uint64_t first, size_t n,
                                  uint64_t *rows, lrk_err *err);
/* "data.jsonl:14", or the file's own name and row number where the source is not known; lives as
 * long as d, or until the next call. */
const char *lrk_record_where(lrk_dataset *d, const lrk_record *r);

/* A row; parts and texts live in a, a growing arena. Reading in order is fast. */
lrk_status lrk_dataset_read(lrk_dataset *d, uint64_t row, lrk_arena *a, lrk_record *out,
                            lrk_err *err);

/* Which split each row is in, asked for rows 0, 1, 2, ... in this order: splits are ascending, so a
 * merge of them answers, and finds rows that no split names. Zero-initialize; row counts itself. */
typedef struct lrk_split_walk {
    uint64_t row, at[LRK_MAX_SPLITS];
} lrk_split_walk;
lrk_status lrk_split_walk_next(lrk_dataset *d, lrk_split_walk *w, size_t *split, lrk_err *err);

/* Every row, every hash, the recorded content hash, and that splits are disjoint and complete. */
lrk_status lrk_dataset_verify(lrk_dataset *d, lrk_err *err);

#endif /* LRK_DATA_DATASET_H */
