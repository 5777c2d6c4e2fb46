/* generate/base_model.c -- opens a base model. */
#include "generate/base_model.h"

#include <string.h>

enum { MAX_ROWS = 1 << 20 };

/* The divisors of frequencies that a GGUF file holds as a tensor. */
static lrk_status read_divisors(lrk_base_model *b, const char *name, size_t which, lrk_err *err)
{
    lrk_tensor t;
    lrk_rope *rope = &b->decoder.rope;
    const size_t n = b->decoder.rotary / 2;
    if (!lrk_weights_find(b->weights, name, &t)) return LRK_OK;
    LRK_REQUIRE(err, t.dtype == LRK_F32 && lrk_count(&t) == n && n <= LRK_MAX_PAIRS, LRK_ESHAPE,
                "%s: %s has %zu elements of type %s, expected %zu of type f32", b->path, name,
                lrk_count(&t), lrk_dtype_name(t.dtype), n);
    memcpy(rope->divisor[which], t.data, n * sizeof *rope->divisor[which]);
    rope->divisors = n;
    return LRK_OK;
}

static lrk_status read_decoder(lrk_decoder *d, const lrk_json *config, const char *path, lrk_err *err)
{
    char list[LRK_ARCH_LIST];
    lrk_err why = {0};
    const lrk_status status = lrk_decoder_read(d, config, path, &why);
    const bool unknown = status == LRK_ESUPPORT && !d->family;
    lrk_wrapper_list(list);
    if (status != LRK_OK) lrk_fail(err, status, "%s%s%s", why.text, unknown ? ", and the language models inside " : "",
                                   unknown ? list : "");
    return status;
}

/* What is not known is refused before weights are looked for, which nobody would convert in vain then. */
static lrk_status check_config(const lrk_json *config, const lrk_json *outer, const char *path, lrk_err *err)
{
    lrk_decoder d;
    lrk_buf where = {0};
    LRK_TRY(lrk_decoder_refuse_quantized(outer, path, err));
    lrk_buf_printf(&where, "%s%s", path, outer ? ": text_config" : "");
    lrk_status status = lrk_buf_check(&where, err);
    if (status == LRK_OK) status = read_decoder(&d, config, where.data, err);
    lrk_buf_free(&where);
    return status;
}

static lrk_status describe(lrk_base_model *b, lrk_err *err)
{
    LRK_TRY(read_decoder(&b->decoder, lrk_weights_config(b->weights), b->path, err));
    b->decoder.interleaved = lrk_weights_permuted_qk(b->weights);
    if (lrk_weights_source(b->weights) == LRK_WEIGHTS_GGUF) {
        b->decoder.norm_plus_one = false; /* added there */
        b->decoder.reordered = b->decoder.by_head;
        b->decoder.by_head = false;
    }
    return read_divisors(b, "rope_freqs", 0, err);
}

static lrk_status open_base(lrk_base_model *b, lrk_err *err)
{
    LRK_TRY(lrk_weights_open_known(&b->weights, b->path, check_config, err));
    LRK_TRY(lrk_weights_align(b->weights, err));
    return describe(b, err);
}

lrk_status lrk_base_open(lrk_base_model *b, const char *path, lrk_err *err)
{
    *b = (lrk_base_model){.path = path};
    const lrk_status status = open_base(b, err);
    if (status != LRK_OK) lrk_base_close(b);
    return status;
}

void lrk_base_close(lrk_base_model *b)
{
    lrk_weights_close(b->weights);
    b->weights = NULL;
}

lrk_status lrk_base_grow(lrk_base_model *b, size_t rows, lrk_err *err)
{
    LRK_TRY(lrk_weights_grow(b->weights, rows, err));
    return lrk_json_opt_size(lrk_weights_config(b->weights), "vocab_size", 1, MAX_ROWS, &b->decoder.vocabulary,
                             b->path, err);
}

lrk_status lrk_base_find(void *ctx, const char *name, lrk_tensor *out, lrk_err *err)
{
    const lrk_base_model *b = ctx;
    LRK_REQUIRE(err, lrk_weights_find(b->weights, name, out), LRK_EINPUT,
                "%s: weight %s is missing; the file is incomplete or of another model", b->path,
                name);
    return LRK_OK;
}

lrk_status lrk_base_check_names(const lrk_base_model *b, const lrk_model *m, lrk_err *err)
{
    for (size_t i = 0; i < lrk_weights_count(b->weights); i++) {
        const char *name = lrk_weights_at(b->weights, i)->name;
        LRK_REQUIRE(err, lrk_model_knows(m, name), LRK_EINPUT,
                    "%s: weight %s does not belong to %s as the configuration describes it", b->path,
                    name, m->decoder.family);
    }
    return LRK_OK;
}

lrk_status lrk_base_check_weights(lrk_weights *w, bool gguf, lrk_err *err)
{
    lrk_base_model b = {.weights = w, .path = lrk_weights_path(w)};
    const bool strict = gguf && lrk_weights_source(w) != LRK_WEIGHTS_GGUF;
    const lrk_model_options options = {.compute = LRK_C_F32};
    lrk_arena frozen = lrk_arena_count("frozen"), run = lrk_arena_count("run");
    lrk_model m;
    lrk_status status = describe(&b, err);
    if (status == LRK_ESUPPORT && !strict) return LRK_OK;
    LRK_TRY(status);
    status = lrk_model_build(&m, &b.decoder, lrk_base_find, &b, &options, (lrk_model_memory){LRK_CPU, &frozen, &run},
                             err);
    if (status == LRK_OK && strict) status = lrk_base_check_names(&b, &m, err);
    lrk_model_free(&m);
    return status;
}

lrk_status lrk_base_check_finite(const lrk_base_model *b, lrk_err *err)
{
    for (size_t i = 0; i < lrk_weights_count(b->weights); i++) {
        const lrk_tensor *t = lrk_weights_at(b->weights, i);
        LRK_TRY(lrk_err_prefix(err, lrk_weights_check_finite(t, err), "%s", b->path));
    }
    return LRK_OK;
}
