/* data/shapes_private.h -- what the folder shares of the shapes. */
#ifndef LRK_DATA_SHAPES_PRIVATE_H
#define LRK_DATA_SHAPES_PRIVATE_H
#include "data/shapes.h"

bool lrk_blank(const char *s, size_t n); /* nothing but spaces, tabs and line ends */

/* A string member into out->text, n. Required: must be there and not blank; else absent and null
 * give an empty text. */
lrk_status lrk_member_text(const lrk_json *object, const char *key, bool required, lrk_part *out,
                           lrk_err *err);

/* Copies b into a as the text of out. */
lrk_status lrk_keep(lrk_arena *a, const lrk_buf *b, lrk_part *out, lrk_err *err);

/* The shapes that become turns. */
lrk_status lrk_shape_turns(const lrk_shaping *s, const lrk_json *row, lrk_arena *a, lrk_part **parts,
                           size_t *n, lrk_err *err);

#endif /* LRK_DATA_SHAPES_PRIVATE_H */
