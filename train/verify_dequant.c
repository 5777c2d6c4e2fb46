/* train/verify_dequant.c -- decoders and encoders of quantized types against recorded blocks. */
#include "base/json.h"
#include "base/quant.h"
#include "checkpoint/safetensors.h"
#include "train/verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct lrk_vectors {
    lrk_safetensors file;
    lrk_report *report;
    const char *type; /* "Q4_1" */
} lrk_vectors;

static lrk_status view(const lrk_vectors *v, const char *part, lrk_tensor *out, bool *found,
                       lrk_err *err)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", v->type, part);
    const lrk_st_entry *e = lrk_st_find(&v->file, name);
    *found = e != NULL;
    return e ? lrk_report_view(v->report, &v->file, e, out, err) : LRK_OK;
}

static void compare_values(const lrk_vectors *v, const float *got, const lrk_tensor *want)
{
    char name[64], note[64];
    snprintf(name, sizeof name, "decode.%s", v->type);
    lrk_check *check = lrk_report_check(v->report, name, 0.0);
    const float *w = want->data;
    for (size_t i = 0; i < lrk_count(want); i++) {
        snprintf(note, sizeof note, "element %zu", i);
        lrk_report_error(v->report, check, fabs((double)got[i] - (double)w[i]), note);
    }
}

static lrk_status decode(const lrk_vectors *v, lrk_dtype type, lrk_err *err)
{
    lrk_tensor bytes, values;
    bool a, b;
    float *got;
    LRK_TRY(view(v, "bytes", &bytes, &a, err));
    LRK_TRY(view(v, "values", &values, &b, err));
    if (!a || !b) return LRK_OK;
    const size_t n = lrk_count(&values);
    LRK_REQUIRE(err,
                values.dtype == LRK_F32 && n % lrk_dtype_block(type) == 0 &&
                    lrk_bytes(&bytes) == lrk_row_bytes(type, n),
                LRK_EINPUT, "%s: %s: %zu bytes do not hold %zu elements of F32", v->file.path,
                v->type, lrk_bytes(&bytes), n);
    LRK_TRY(lrk_alloc(&v->report->arena, n, sizeof *got, "decoded values", &got, err));
    lrk_to_f32(type, bytes.data, n, got);
    compare_values(v, got, &values);
    return LRK_OK;
}

/* The reference rounds some types differently from machine to machine: bytes may differ there in
 * a few places, so the error is the share of blocks that differ. */
static lrk_status encode(const lrk_vectors *v, lrk_dtype type, lrk_err *err)
{
    lrk_tensor input, want;
    bool a, b;
    unsigned char *got;
    LRK_TRY(view(v, "quantize_input", &input, &a, err));
    LRK_TRY(view(v, "quantize_bytes", &want, &b, err));
    if (!a || !b || !lrk_can_quantize(type)) return LRK_OK;
    const size_t n = lrk_count(&input);
    LRK_REQUIRE(err,
                input.dtype == LRK_F32 && n % lrk_dtype_block(type) == 0 &&
                    lrk_bytes(&want) == lrk_row_bytes(type, n),
                LRK_EINPUT, "%s: %s: quantize_bytes has %zu bytes for %zu elements of F32",
                v->file.path, v->type, lrk_bytes(&want), n);
    LRK_TRY(lrk_alloc(&v->report->arena, lrk_bytes(&want), 1, "encoded values", &got, err));
    lrk_from_f32(type, input.data, n, got);
    char name[64];
    snprintf(name, sizeof name, "encode.%s", v->type);
    lrk_check *check = lrk_report_check(v->report, name, 0.0);
    const size_t block = lrk_dtype_block_bytes(type), blocks = lrk_bytes(&want) / block;
    for (size_t i = 0; i < blocks; i++) {
        const unsigned char *w = (const unsigned char *)want.data + i * block;
        lrk_report_error(v->report, check, memcmp(got + i * block, w, block) ? 1.0 : 0.0, NULL);
    }
    return LRK_OK;
}

static lrk_status one_type(lrk_vectors *v, const lrk_json *facts, const char *where, lrk_err *err)
{
    size_t id = SIZE_MAX;
    lrk_dtype type;
    LRK_TRY(lrk_json_opt_size(facts, "ggml_type", 0, 1000, &id, where, err));
    if (!lrk_dtype_from_gguf((uint32_t)id, &type)) {
        char name[64];
        snprintf(name, sizeof name, "decode.%s", v->type);
        lrk_report_unsupported(v->report, name, "this quantized type is not supported");
        return LRK_OK;
    }
    LRK_TRY(decode(v, type, err));
    return encode(v, type, err);
}

lrk_status lrk_verify_dequant(const char *dir, lrk_report *report, lrk_err *err)
{
    lrk_vectors v = {.report = report};
    lrk_json *index = NULL;
    const char *path = lrk_path_join(&report->arena, dir, "index.json");
    const char *vectors = lrk_path_join(&report->arena, dir, "vectors.safetensors");
    LRK_REQUIRE(err, path && vectors, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(lrk_json_load(&index, path, 1 << 20, err));
    lrk_status status = lrk_st_open(&v.file, vectors, err);
    for (void *i = lrk_json_begin(index); status == LRK_OK && i; i = lrk_json_next(index, i)) {
        v.type = lrk_json_key(i, NULL);
        status = one_type(&v, lrk_json_value(i), path, err);
    }
    lrk_st_close(&v.file);
    lrk_json_free(index);
    return status;
}
