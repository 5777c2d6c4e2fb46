/* data/template/strings.h -- what filters and methods of strings share. Results remember who said
 * what, as their operands do. */
#ifndef LRK_DATA_TEMPLATE_STRINGS_H
#define LRK_DATA_TEMPLATE_STRINGS_H
#include "data/template/value.h"

/* chars NULL: white space. */
lrk_status lrk_j_strip(lrk_jrun *r, const lrk_jstr *s, const lrk_jstr *chars, bool left, bool right,
                       lrk_jvalue *out);
/* sep NULL: runs of white space; max < 0: no limit; from the right: str.rsplit. A list. */
lrk_status lrk_j_split(lrk_jrun *r, const lrk_jstr *s, const lrk_jstr *sep, int64_t max,
                       bool from_right, lrk_jvalue *out);
lrk_status lrk_j_splitlines(lrk_jrun *r, const lrk_jstr *s, bool keep_ends, lrk_jvalue *out);
lrk_status lrk_j_replace(lrk_jrun *r, const lrk_jstr *s, const lrk_jstr *old, const lrk_jstr *by,
                         int64_t max, lrk_jvalue *out);

lrk_status lrk_j_format(lrk_jrun *r, const lrk_jstr *s, const lrk_jargs *args, lrk_jvalue *out);

typedef enum lrk_jcase {
    LRK_J_UPPER,
    LRK_J_LOWER,
    LRK_J_CAPITALIZE, /* first upper, rest lower */
    LRK_J_TITLE,      /* the method: after what is not a letter */
    LRK_J_TITLE_WORDS /* the filter: after blanks and ( { [ < - */
} lrk_jcase;
lrk_status lrk_j_case(lrk_jrun *r, const lrk_jstr *s, lrk_jcase how, lrk_jvalue *out);

#endif /* LRK_DATA_TEMPLATE_STRINGS_H */
