/* checkpoint/gguf_source.h -- the keys of one architecture of a GGUF file, on the way to
 * config.json.
 *
 * Inside checkpoint/ only. Keys are given below the architecture: "attention.head_count". */
#ifndef LRK_CHECKPOINT_GGUF_SOURCE_H
#define LRK_CHECKPOINT_GGUF_SOURCE_H
#include "checkpoint/weights.h"

enum { LRK_GGUF_MAX_CONTEXT = 1 << 30, LRK_MAX_HALF_HEAD = 512 };

/* Everything a conversion needs at hand. */
typedef struct lrk_gguf_source {
    const lrk_gguf *g;
    const lrk_arch *arch;
    lrk_json *out; /* config.json */
    size_t rotary; /* numbers of a head that turn */
    lrk_arena arena;
} lrk_gguf_source;

bool lrk_gguf_has(const lrk_gguf_source *s, const char *key);
/* As lrk_gguf_opt_size and its like: an absent key leaves *out as it is. */
lrk_status lrk_gguf_size(const lrk_gguf_source *s, const char *key, size_t min, size_t max,
                         size_t *out, lrk_err *err);
lrk_status lrk_gguf_real(const lrk_gguf_source *s, const char *key, double *out, lrk_err *err);
lrk_status lrk_gguf_flag(const lrk_gguf_source *s, const char *key, bool *out, lrk_err *err);

/* The shortest decimal that is this f32: 1e-05, not 9.999999747378752e-06. */
double lrk_gguf_shortest(double v);

/* rope_theta and rope_scaling (gguf_rope.c), when all else is in s->out. */
lrk_status lrk_gguf_put_rope(lrk_gguf_source *s, lrk_err *err);

/* 0.1 k ln(s) + 1, or 1 where s <= 1: what yarn multiplies cosines and sines by. */
double lrk_gguf_mscale(double s, double k);
/* sqrt(1 + ln(max / original) / ln(original)), or 1 where max <= original: the same of longrope. */
double lrk_gguf_longrope_scale(double max, double original);

#endif /* LRK_CHECKPOINT_GGUF_SOURCE_H */
