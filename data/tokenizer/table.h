/* data/tokenizer/table.h -- open-addressing hash tables of fixed size: strings to ids, pairs of ids
 * to merges.
 *
 * Strings stay where they are: the table holds indices into an array of pieces. Tables are made for
 * a known number of entries and live in an arena. A file built to collide is refused after
 * LRK_MAX_PROBES steps.
 */
#ifndef LRK_DATA_TOKENIZER_TABLE_H
#define LRK_DATA_TOKENIZER_TABLE_H
#include "data/tokenizer.h"

enum { LRK_MAX_PROBES = 1000 };

typedef struct lrk_strings {
    const lrk_piece *piece; /* what ids point into */
    uint64_t *slot;         /* upper half of the hash << 32 | id + 1; 0: empty */
    size_t mask;
} lrk_strings;

lrk_status lrk_strings_make(lrk_strings *t, lrk_arena *a, size_t n, const lrk_piece *piece,
                            lrk_err *err);
/* *found: the id that holds this string already, or id itself when it was added. */
lrk_status lrk_strings_add(lrk_strings *t, uint32_t id, uint32_t *found, lrk_err *err);
int64_t lrk_strings_find(const lrk_strings *t, const char *s, size_t n); /* LRK_NO_ID: absent */

/* n of them at once, at most LRK_FIND_MANY: reads ahead, since tables of large vocabularies lie in
 * no cache. */
enum { LRK_FIND_MANY = 64 };
void lrk_strings_find_many(const lrk_strings *t, const lrk_piece *s, size_t n, int64_t *id);

typedef struct lrk_merge {
    uint32_t left, right;
    uint32_t rank; /* lower goes first */
    uint32_t id;   /* of the two together; UINT32_MAX: empty slot */
} lrk_merge;

typedef struct lrk_merges {
    lrk_merge *slot;
    size_t mask;
} lrk_merges;

lrk_status lrk_merges_make(lrk_merges *t, lrk_arena *a, size_t n, lrk_err *err);
/* A pair that is there already gets the new rank, as the reference does. */
lrk_status lrk_merges_add(lrk_merges *t, lrk_merge m, lrk_err *err);

static inline uint64_t lrk_mix(uint64_t h)
{
    h *= 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

/* NULL: the pair does not merge. */
static inline const lrk_merge *lrk_merges_find(const lrk_merges *t, uint32_t left, uint32_t right)
{
    size_t i = (size_t)lrk_mix((uint64_t)left << 32 | right) & t->mask;
    for (;; i = (i + 1) & t->mask) {
        const lrk_merge *m = &t->slot[i];
        if (m->id == UINT32_MAX) return NULL;
        if (m->left == left && m->right == right) return m;
    }
}

/* A trie of strings: which of them a text begins with. The node 0 is the root. */
typedef struct lrk_trie_node {
    uint32_t child; /* the first of `count` in a row, ascending by byte */
    uint16_t count;
    uint8_t byte;
    int32_t id;         /* of the string that ends here; -1 */
    uint32_t low, high; /* while it is built: the strings below */
} lrk_trie_node;

typedef struct lrk_trie {
    lrk_trie_node *node;
    size_t n;
} lrk_trie;

/* Of the n strings, whose indices are their ids; an empty one is left out. */
lrk_status lrk_trie_make(lrk_trie *t, lrk_arena *a, const lrk_piece *piece, size_t n, lrk_err *err);

/* From *node on by one byte; false: no string goes on so. */
static inline bool lrk_trie_step(const lrk_trie *t, uint32_t *node, unsigned char byte)
{
    const lrk_trie_node *at = &t->node[*node];
    uint32_t low = at->child, high = at->child + at->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (t->node[middle].byte < byte)
            low = middle + 1;
        else
            high = middle;
    }
    *node = low;
    return low < at->child + at->count && t->node[low].byte == byte;
}

/* Between which characters merges join: elsewhere a piece may be cut, and its parts give what the
 * whole would. Pairs with a character beyond ASCII share bits: then a cut is missed, no more. */
enum { LRK_CUT_BITS = 1 << 22 };

typedef struct lrk_cuts {
    uint64_t *bit; /* LRK_CUT_BITS of them; NULL: nothing may be cut */
    uint64_t ascii[128][2];
} lrk_cuts;

static inline size_t lrk_cuts_bit(uint32_t left, uint32_t right)
{
    return (size_t)(lrk_mix((uint64_t)left << 32 | right) >> 20) & (LRK_CUT_BITS - 1);
}

static inline void lrk_cuts_add(lrk_cuts *c, uint32_t left, uint32_t right)
{
    const size_t i = lrk_cuts_bit(left, right);
    if (left < 128 && right < 128)
        c->ascii[left][right >> 6] |= (uint64_t)1 << (right & 63);
    else
        c->bit[i >> 6] |= (uint64_t)1 << (i & 63);
}

static inline bool lrk_cuts_joined(const lrk_cuts *c, uint32_t left, uint32_t right)
{
    if (left < 128 && right < 128) return c->ascii[left][right >> 6] >> (right & 63) & 1;
    const size_t i = lrk_cuts_bit(left, right);
    return c->bit[i >> 6] >> (i & 63) & 1;
}

#endif /* LRK_DATA_TOKENIZER_TABLE_H */
