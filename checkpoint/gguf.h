/* checkpoint/gguf.h -- the GGUF container, versions 2 and 3: a hardened reader and a writer.
 *
 *   "GGUF"  u32 version  u64 tensors  u64 keys  keys  tensor infos  padding  tensor data
 *   string        u64 length, bytes
 *   key           string, u32 type, value; array: u32 element type, u64 count, elements
 *   tensor info   string, u32 axes (1..4), u64 length of each axis, u32 type, u64 offset
 *
 * Format: github.com/ggml-org/ggml, docs/gguf.md. Axes are stored innermost first; here they come
 * in the order of lrk_tensor, so a weight is (out, in). The reader refuses: other versions and byte
 * orders, duplicate or invalid names, nested arrays, alignments that are not a power of two in
 * 8..4096, empty axes, rows that are no whole number of blocks, element types that we do not know
 * (by name), offsets other than the sum of the padded sizes before, data beyond the file, and files
 * split into several (LRK_ESUPPORT). A count is believed only where its bytes are there.
 */
#ifndef LRK_CHECKPOINT_GGUF_H
#define LRK_CHECKPOINT_GGUF_H
#include "base/file.h"
#include "base/tensor.h"
#include "checkpoint/lookup.h"

typedef enum lrk_gguf_type {
    LRK_GGUF_U8,
    LRK_GGUF_I8,
    LRK_GGUF_U16,
    LRK_GGUF_I16,
    LRK_GGUF_U32,
    LRK_GGUF_I32,
    LRK_GGUF_F32,
    LRK_GGUF_BOOL,
    LRK_GGUF_STRING,
    LRK_GGUF_ARRAY,
    LRK_GGUF_U64,
    LRK_GGUF_I64,
    LRK_GGUF_F64,
    LRK_GGUF_TYPES
} lrk_gguf_type;

typedef struct lrk_gguf_kv {
    const char *key;
    lrk_gguf_type type; /* of the value, or of the elements of an array */
    bool array;
    size_t n;                  /* elements; 1 when no array */
    const unsigned char *data; /* first element as in the file */
    const size_t *start;       /* strings: where each begins, from data */
    const unsigned char *raw;  /* the value from its type on, as in the file */
    size_t raw_bytes;
} lrk_gguf_kv;

typedef struct lrk_gguf_info {
    const char *name;
    lrk_dtype dtype;
    int rank;
    size_t dim[LRK_MAX_RANK];
    size_t offset, bytes; /* in the data */
} lrk_gguf_info;

typedef struct lrk_gguf {
    const char *path; /* for messages; own copy */
    lrk_gguf_kv *kv;
    size_t n_kv;
    lrk_gguf_info *tensor; /* in the order of the file */
    size_t n_tensors;
    size_t alignment;
    const unsigned char *bytes, *data; /* the file; its tensor data */
    size_t size, data_bytes;
    lrk_lookup keys, names;
    lrk_arena arena;
    lrk_map map;
} lrk_gguf;

lrk_status lrk_gguf_open(lrk_gguf *g, const char *path, lrk_err *err);
/* The same for bytes in memory, which must outlive g. */
lrk_status lrk_gguf_parse(lrk_gguf *g, const void *data, size_t n, const char *path, lrk_err *err);
void lrk_gguf_close(lrk_gguf *g); /* may be called twice, and on a zeroed one */

const lrk_gguf_kv *lrk_gguf_find(const lrk_gguf *g, const char *key); /* or NULL */
const char *lrk_gguf_type_name(lrk_gguf_type t);

/* Element i; the caller knows type and n. Numbers of the other kind are converted. Strings are not
 * NUL-terminated, and their bytes are not checked to be UTF-8. */
int64_t lrk_gguf_integer(const lrk_gguf_kv *kv, size_t i);
double lrk_gguf_number(const lrk_gguf_kv *kv, size_t i);
const char *lrk_gguf_string(const lrk_gguf_kv *kv, size_t i, size_t *n);

/* Checked access to an optional single value: an absent key leaves *out as it is; the wrong type or
 * a value out of range is LRK_EINPUT with file and key. A string is a NUL-terminated copy in a;
 * NUL or invalid UTF-8 inside is an error. */
lrk_status lrk_gguf_opt_size(const lrk_gguf *g, const char *key, size_t min, size_t max,
                             size_t *out, lrk_err *err);
lrk_status lrk_gguf_opt_real(const lrk_gguf *g, const char *key, double *out, lrk_err *err);
lrk_status lrk_gguf_opt_bool(const lrk_gguf *g, const char *key, bool *out, lrk_err *err);
lrk_status lrk_gguf_opt_string(const lrk_gguf *g, const char *key, lrk_arena *a, const char **out,
                               lrk_err *err);
/* An array with elements of this type; absent gives NULL. */
lrk_status lrk_gguf_opt_array(const lrk_gguf *g, const char *key, lrk_gguf_type type,
                              const lrk_gguf_kv **out, lrk_err *err);

const lrk_gguf_info *lrk_gguf_tensor(const lrk_gguf *g, const char *name); /* or NULL */
/* A read-only view of the mapped data. */
lrk_tensor lrk_gguf_view(const lrk_gguf *g, const lrk_gguf_info *t);

/* Writing: set keys and declare tensors in any order, begin, give the bytes of tensor after tensor
 * in the order of declaration (whole or in pieces; padding is added), commit. Version 3, alignment
 * 32. A key that is set twice is LRK_EVALUE at begin. */
typedef struct lrk_gguf_writer lrk_gguf_writer;
lrk_status lrk_gguf_create(lrk_gguf_writer **w, lrk_err *err);
void lrk_gguf_put_u32(lrk_gguf_writer *w, const char *key, uint32_t v);
void lrk_gguf_put_f32(lrk_gguf_writer *w, const char *key, float v);
void lrk_gguf_put_bool(lrk_gguf_writer *w, const char *key, bool v);
/* A small file that goes with an output; a GGUF file carries it as the key LRK_GGUF_FILE NAME, a string. */
#define LRK_GGUF_FILE "lorikeet."
typedef struct lrk_merge_file {
    const char *name, *text;
    size_t n;
} lrk_merge_file;
void lrk_gguf_put_files(lrk_gguf_writer *w, const lrk_merge_file *file, size_t n);

/* Where a model comes from, in llama.cpp's keys (gguf-py, gguf/metadata.py): general.name, general.organization,
 * general.license, .license.name, .license.link, general.base_model.count, .N.name, .N.organization, .N.repo_url. What
 * is NULL is not written. */
#define LRK_HUB "https://huggingface.co/"
#define LRK_KEY_BASE_MODEL "general.base_model."
enum { LRK_GGUF_BASES = 16 };
typedef struct lrk_gguf_model {
    const char *name, *owner; /* owner: owner_bytes of "owner/name", or NULL */
    size_t owner_bytes;
} lrk_gguf_model;
typedef struct lrk_gguf_origin {
    lrk_gguf_model model, base[LRK_GGUF_BASES];
    size_t n_bases;
    const char *license, *license_name, *license_link;
} lrk_gguf_origin;
void lrk_gguf_put_origin(lrk_gguf_writer *w, const lrk_gguf_origin *o);

void lrk_gguf_put_string(lrk_gguf_writer *w, const char *key, const char *s, size_t n);
void lrk_gguf_put_i32s(lrk_gguf_writer *w, const char *key, const int32_t *v, size_t n);
void lrk_gguf_put_f32s(lrk_gguf_writer *w, const char *key, const float *v, size_t n);
void lrk_gguf_put_u8s(lrk_gguf_writer *w, const char *key, const void *v, size_t n);
/* An array of n strings: begin, then each of them. */
void lrk_gguf_put_strings(lrk_gguf_writer *w, const char *key, size_t n);
void lrk_gguf_add_string(lrk_gguf_writer *w, const char *s, size_t n);
void lrk_gguf_put_copy(lrk_gguf_writer *w, const lrk_gguf_kv *kv); /* byte for byte */
lrk_status lrk_gguf_declare(lrk_gguf_writer *w, const char *name, const lrk_tensor *t,
                            lrk_err *err);
lrk_status lrk_gguf_begin(lrk_gguf_writer *w, const char *path, lrk_err *err);
lrk_status lrk_gguf_write(lrk_gguf_writer *w, const void *data, size_t n, lrk_err *err);
lrk_status lrk_gguf_commit(lrk_gguf_writer *w, lrk_err *err);
void lrk_gguf_writer_close(lrk_gguf_writer *w); /* NULL is fine; without commit nothing remains */

#endif /* LRK_CHECKPOINT_GGUF_H */
