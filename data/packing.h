/* data/packing.h -- the rows of a step in micro-batches: which row goes where, and what they share.
 *
 * The rows, longest first, go into the first micro-batch with room for them. What a row takes there is
 * what it does not share with a row that is in it already (data/prefix.h). Inside a micro-batch, rows
 * that share nothing stay in this order; the others stand as the tree of their beginnings has them, and
 * become pieces: a beginning once, then what is left of each row, or longer beginnings, whose parent it
 * is. A row that shares nothing is one piece.
 */
#ifndef LRK_DATA_PACKING_H
#define LRK_DATA_PACKING_H
#include "base/arena.h"
#include "data/prefix.h"

typedef struct lrk_packed_row {
    uint64_t number; /* of the row in data/prefix.h */
    size_t length, trained;
    size_t place, bin; /* lrk_pack's own */
} lrk_packed_row;

/* Tokens begin .. end - 1 of a row. */
typedef struct lrk_row_piece {
    uint64_t row;
    size_t begin, end;
    int32_t parent; /* piece of the same micro-batch that holds the tokens before `begin`; -1: none */
} lrk_row_piece;

typedef struct lrk_bin {
    size_t tokens; /* of its pieces */
    size_t rows, trained;
    size_t first, pieces; /* among all pieces */
} lrk_bin;

typedef struct lrk_packing {
    lrk_packed_row *rows;  /* [capacity] filled by the caller */
    lrk_row_piece *pieces; /* [2 capacity] */
    lrk_bin *bins;         /* [capacity] */
    size_t n_pieces, n_bins;
} lrk_packing;

lrk_status lrk_packing_alloc(lrk_packing *p, lrk_arena *a, size_t capacity, lrk_err *err);

/* Packs n rows: at most `max_tokens` and `max_rows` a micro-batch, 0: no limit; a longer row has one for
 * itself. prefixes NULL: nothing is shared. The same rows in the same order give the same pieces. */
void lrk_pack(lrk_packing *p, size_t n, size_t max_tokens, size_t max_rows, const lrk_prefixes *prefixes);

#endif /* LRK_DATA_PACKING_H */
