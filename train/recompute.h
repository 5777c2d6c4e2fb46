/* train/recompute.h -- how much of a forward pass is kept: as much as fits into memory.
 *
 * The less is kept, the more is computed again; the numbers are the same to the bit.
 */
#ifndef LRK_TRAIN_RECOMPUTE_H
#define LRK_TRAIN_RECOMPUTE_H
#include "train/session.h"

/* Sets s->engine.recompute as gradient_checkpointing says; auto: the first policy of LRK_KEEP_ALL,
 * LRK_KEEP_COSTLY, LRK_KEEP_LAYERS and, on a GPU, LRK_KEEP_AWAY whose plan fits, or the last where none does. On the
 * CPU nine tenths of the memory that is available now may be used; on a GPU gpu_memory_limit, or nine tenths of what is
 * free, or anything where the GPU is not there and no limit is given. */
lrk_status lrk_recompute_choose(lrk_session *s, lrk_err *err);

/* Those bytes; SIZE_MAX: anything. */
size_t lrk_session_budget(const lrk_session *s);

/* What the engine of this session takes; LRK_EUSAGE where a name among the targets is no module of the model. */
lrk_status lrk_session_bytes(const lrk_session *s, lrk_engine_bytes *bytes, lrk_err *err);

#endif /* LRK_TRAIN_RECOMPUTE_H */
