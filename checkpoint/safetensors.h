/* checkpoint/safetensors.h -- the safetensors container: a hardened reader and a writer.
 *
 *   0..7      u64, little-endian: N, the length of the header
 *   8..8+N    JSON object: {"name": {"dtype": "F32", "shape": [..], "data_offsets": [b, e]}, ...,
 *             "__metadata__": {string: string}}, padded with blanks
 *   the rest  the tensors, row-major, little-endian, without holes
 *
 * Format: github.com/huggingface/safetensors, README.md. The reader refuses: a header beyond
 * 16 MiB or beyond the file, anything but `{` first, duplicate keys, invalid UTF-8, unknown members
 * and dtypes, products that overflow, sizes that differ from shape x dtype, gaps, overlaps and
 * trailing bytes, more than 65,536 tensors, rank above 8, names beyond 256 bytes. Files may come
 * from strangers; all errors are LRK_EINPUT and name file and tensor.
 */
#ifndef LRK_CHECKPOINT_SAFETENSORS_H
#define LRK_CHECKPOINT_SAFETENSORS_H
#include "base/file.h"
#include "base/json.h"
#include "base/tensor.h"
#include "checkpoint/lookup.h"

enum {
    LRK_ST_MAX_HEADER = 16 << 20,
    LRK_ST_MAX_TENSORS = 65536,
    LRK_ST_MAX_RANK = 8,
    LRK_ST_MAX_NAME = 256
};

typedef struct lrk_st_entry {
    const char *name;
    const char *type; /* as in the file: "BF16", also types that we cannot compute with */
    bool readable;    /* dtype holds it */
    lrk_dtype dtype;
    int rank;
    size_t dim[LRK_ST_MAX_RANK];
    size_t begin, end; /* bytes, from the start of the data */
} lrk_st_entry;

typedef struct lrk_safetensors {
    const char *path;    /* for messages; own copy */
    lrk_st_entry *entry; /* in the order of the file */
    size_t n;
    lrk_json *metadata; /* object of strings, or NULL */
    const unsigned char *header, *data;
    size_t header_bytes, data_bytes;
    lrk_lookup lookup;
    lrk_arena arena;
    lrk_map map;
} lrk_safetensors;

/* Maps the file and checks all of its header; tensor bytes are not touched. */
lrk_status lrk_st_open(lrk_safetensors *s, const char *path, lrk_err *err);
/* The same for n bytes in memory, which must outlive s; `path` names them in messages. */
lrk_status lrk_st_parse(lrk_safetensors *s, const void *data, size_t n, const char *path,
                        lrk_err *err);
void lrk_st_close(lrk_safetensors *s); /* may be called twice, and on a zeroed one */

const lrk_st_entry *lrk_st_find(const lrk_safetensors *s, const char *name); /* or NULL */

/* A view of the tensor in the mapped file: read-only although data is not const. LRK_ESUPPORT for a
 * dtype that we do not compute with (named), or a rank above LRK_MAX_RANK. Headers of any length
 * are legal, so data may lie at any address: lrk_st_align before reading numbers in place. */
lrk_status lrk_st_view(const lrk_safetensors *s, const lrk_st_entry *e, lrk_tensor *view,
                       lrk_err *err);

/* data is at a multiple of its element's size (up to 8). */
bool lrk_st_aligned(const lrk_tensor *view);
/* Where it is not, the view becomes one of a copy in a: numbers can be read in place after it. */
lrk_status lrk_st_align(lrk_tensor *view, lrk_arena *a, lrk_err *err);

/* A value of __metadata__, or NULL. */
const char *lrk_st_metadata(const lrk_safetensors *s, const char *key);

/* Writing in two phases: declare every tensor, begin, then give the bytes of tensor after tensor in
 * the order of the file, which lrk_st_next names: widest dtype first, then by name, as the
 * reference writes. Equal declarations give equal bytes. The file appears, whole, at commit. */
typedef struct lrk_st_writer lrk_st_writer;
lrk_status lrk_st_create(lrk_st_writer **w, lrk_err *err);
/* Metadata beside {"format": "pt"}, which is always written because loaders demand it. */
lrk_status lrk_st_note(lrk_st_writer *w, const char *key, const char *value, lrk_err *err);
/* The shape and type of t under this name; t->data is not read. Quantized types: LRK_ESUPPORT. */
lrk_status lrk_st_declare(lrk_st_writer *w, const char *name, const lrk_tensor *t, lrk_err *err);
size_t lrk_st_total(const lrk_st_writer *w); /* bytes of the tensors declared so far */
lrk_status lrk_st_begin(lrk_st_writer *w, const char *path, lrk_err *err);
/* The tensor whose bytes come next, or NULL when all are written. */
const char *lrk_st_next(const lrk_st_writer *w);
/* Bytes of that tensor, in any number of pieces; a piece may not reach into the next tensor. */
lrk_status lrk_st_write(lrk_st_writer *w, const void *data, size_t n, lrk_err *err);
lrk_status lrk_st_commit(lrk_st_writer *w, lrk_err *err);
void lrk_st_writer_close(lrk_st_writer *w); /* NULL is fine; without commit nothing remains */

#endif /* LRK_CHECKPOINT_SAFETENSORS_H */
