/* generate/base_model.c -- opens a base model. */
#include "generate/base_model.h"

static lrk_status open_base(lrk_base_model *b, lrk_err *err)
{
    lrk_tensor divisors;
    LRK_TRY(lrk_weights_open(&b->weights, b->path, err));
    LRK_TRY(lrk_decoder_read(&b->decoder, lrk_weights_config(b->weights), b->path, err));
    b->decoder.interleaved = lrk_weights_permuted_qk(b->weights);
    if (!lrk_weights_find(b->weights, "rope_freqs", &divisors)) return LRK_OK;
    LRK_REQUIRE(err, divisors.dtype == LRK_F32 && lrk_count(&divisors) == b->decoder.head_size / 2,
                LRK_ESHAPE, "%s: rope_freqs has %zu elements of type %s, expected %zu of type f32",
                b->path, lrk_count(&divisors), lrk_dtype_name(divisors.dtype),
                b->decoder.head_size / 2);
    b->decoder.rope.divisors = divisors.data;
    return LRK_OK;
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

lrk_status lrk_base_check_finite(const lrk_base_model *b, lrk_err *err)
{
    for (size_t i = 0; i < lrk_weights_count(b->weights); i++) {
        const lrk_tensor *t = lrk_weights_at(b->weights, i);
        LRK_TRY(lrk_err_prefix(err, lrk_weights_check_finite(t, err), "%s", b->path));
    }
    return LRK_OK;
}
