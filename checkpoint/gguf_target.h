/* checkpoint/gguf_target.h -- a Hugging Face model on its way to the keys of a GGUF file.
 *
 * Inside checkpoint/ only. */
#ifndef LRK_CHECKPOINT_GGUF_TARGET_H
#define LRK_CHECKPOINT_GGUF_TARGET_H
#include "checkpoint/gguf.h"
#include "checkpoint/weights.h"

/* Everything a conversion needs at hand. */
typedef struct lrk_gguf_target {
    lrk_gguf_writer *w;
    const lrk_json *config;
    const lrk_arch *arch;
    const char *path; /* of the model, for messages */
    size_t layers, heads, width, head_dim;
} lrk_gguf_target;

/* Both spellings of rope parameters: a scaling object with theta beside it, which goes before, or one object (or one
 * for each kind of layer, of which this is the one without a window). NULL: there is none. */
const lrk_json *lrk_rope_object(const lrk_json *config);
const char *lrk_rope_type(const lrk_json *config); /* "default" where nothing says */
/* A number beside the rope object or in it, which goes before; absent: *out stays. */
lrk_status lrk_rope_real(const lrk_json *config, const char *key, double *out, lrk_err *err);

/* LRK_ESUPPORT for what llama.cpp does not load, or computes wrong, of this architecture
 * (gguf_loads.c). */
lrk_status lrk_gguf_loads(const lrk_gguf_target *t, lrk_err *err);
/* The same of the head that is written, own or tied; a NULL: an architecture that passes through. */
lrk_status lrk_gguf_check_head(const lrk_arch *a, bool own, const char *path, lrk_err *err);

#endif /* LRK_CHECKPOINT_GGUF_TARGET_H */
