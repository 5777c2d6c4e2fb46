/* train/plan.h -- what a run will need, told before a weight is read. */
#ifndef LRK_TRAIN_PLAN_H
#define LRK_TRAIN_PLAN_H
#include "train/session.h"

/* Bytes of resident memory at the peak, by class: those of the largest micro-batch, and all workspace that
 * kernels may ask for, touched or not. */
typedef struct lrk_plan_bytes {
    size_t weights;   /* mapped from the file, in the stored type */
    lrk_engine_bytes engine;
    size_t process;   /* program, libraries, tokenizer, data set: what is resident while planning */
    size_t total;     /* of this process; on a GPU its memory: that of the engine */
} lrk_plan_bytes;

/* Bytes of files that a run leaves, by what they are. Of merged models: their tensors to the byte, and keys or
 * tokenizer as large as the base's; manifest, card and small files come on top, below 64 KiB for each output with a
 * usual recipe. */
typedef struct lrk_plan_disk {
    size_t checkpoints; /* those kept, and the one that is written before the oldest goes */
    size_t adapter;     /* PEFT, and GGUF where it is wanted */
    size_t merged;
} lrk_plan_disk;

typedef struct lrk_plan {
    lrk_plan_bytes bytes;
    lrk_plan_disk disk;
    size_t trainable;         /* parameters of the adapter */
    double flops;             /* of the whole run: 4N + 3.5A + 6P a token, see below */
    double seconds;           /* of the steps, estimated: train/pace.h; 0: not measured */
} lrk_plan;

/* FLOPs of a token: forward 2N + A + 2P, backward 2N + 2.5A + 4P, where N are the frozen matrix
 * weights a token meets (the head counts for trained tokens only), P those of the adapter, and
 * A = layers * 4 * H * D * S / 2 for a row of S tokens. Recomputing layers adds 2N + A + 2P.
 * measure: time a step of one layer, to estimate the seconds. */
lrk_status lrk_plan_make(lrk_plan *p, lrk_session *s, bool measure, lrk_err *err);

size_t lrk_plan_disk_total(const lrk_plan_disk *d);

#endif /* LRK_TRAIN_PLAN_H */
