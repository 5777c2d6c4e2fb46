/* data/prefix.h -- beginnings that rows share.
 *
 * Rows often begin alike: one system prompt for all, one schema for some, a conversation that goes on
 * differently. Here a beginning is a path in a tree, one node for each LRK_PREFIX_PIECE tokens. A node is
 * found by the SHA-256 of all tokens up to its end, so that equal nodes are equal texts. Only nodes that at
 * least two rows pass are kept, and at most LRK_PREFIX_NODES are made: beginnings that come later are
 * shared as far as they are known.
 *
 *   open, then add for each row, then finish; after that common and order
 */
#ifndef LRK_DATA_PREFIX_H
#define LRK_DATA_PREFIX_H
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { LRK_PREFIX_PIECE = 16, LRK_PREFIX_NODES = 1 << 22 };

/* Tokens that two sequences begin with alike. */
size_t lrk_common_tokens(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b);

/* How many tokens of a row may be shared: those before the one that predicts the first that is trained. */
size_t lrk_untrained_prefix(const uint8_t *mask, size_t n);

/* What all of some sequences begin with, which are added one by one to a zeroed one. The first stays the caller's. */
typedef struct lrk_shared {
    const uint32_t *ids;
    size_t n, sequences;
} lrk_shared;

/* most: how many of its first tokens may be shared. */
void lrk_shared_add(lrk_shared *b, const uint32_t *ids, size_t most);
/* How long it is; 0 where it is of one sequence alone, or shorter than LRK_PREFIX_PIECE and so not worth sharing. */
size_t lrk_shared_tokens(const lrk_shared *b);

typedef struct lrk_prefixes lrk_prefixes;

/* Rows have numbers below n_rows. A row that is never added shares nothing. */
lrk_status lrk_prefixes_open(lrk_prefixes **out, size_t n_rows, lrk_err *err);
void lrk_prefixes_close(lrk_prefixes *p); /* NULL is fine */

/* The first n tokens of a row may be shared. */
lrk_status lrk_prefixes_add(lrk_prefixes *p, size_t row, const uint32_t *ids, size_t n, lrk_err *err);
void lrk_prefixes_finish(lrk_prefixes *p);

/* Tokens at the beginning that two rows share: a multiple of LRK_PREFIX_PIECE. */
size_t lrk_prefixes_common(const lrk_prefixes *p, size_t a, size_t b);

/* Among rows sorted by it, what two rows share is the least that neighbours between them do. Rows that
 * share nothing have 0. */
uint32_t lrk_prefixes_order(const lrk_prefixes *p, size_t row);

#endif /* LRK_DATA_PREFIX_H */
