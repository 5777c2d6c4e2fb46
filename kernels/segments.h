/* kernels/segments.h -- the table of segments (base/segments.h) as ops take it: an i32 tensor (S, 6). */
#ifndef LRK_KERNELS_SEGMENTS_H
#define LRK_KERNELS_SEGMENTS_H
#include "base/segments.h"
#include "base/status.h"
#include "base/tensor.h"

static inline const int32_t *lrk_segment(const lrk_tensor *segments, size_t s)
{
    return (const int32_t *)segments->data + s * LRK_SEG_FIELDS;
}

/* Shape and type; what the rows say is the business of whoever fills them. */
static inline lrk_status lrk_segments_check(const lrk_tensor *t, const char *op, lrk_err *err)
{
    LRK_REQUIRE(err, t->dtype == LRK_I32 && t->rank == 2 && lrk_cols(t) == LRK_SEG_FIELDS &&
                         t->stride == LRK_SEG_FIELDS,
                LRK_ESHAPE, "%s: segments '%s' must be i32 (S, %d)", op, t->name,
                (int)LRK_SEG_FIELDS);
    return LRK_OK;
}

#endif /* LRK_KERNELS_SEGMENTS_H */
