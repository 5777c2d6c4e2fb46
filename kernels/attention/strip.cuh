/* kernels/attention/strip.cuh -- how the CUDA kernels cut attention up. Everything is found on the
 * device, from the table of segments; all threads of a block find the same.
 *
 * A segment's query rows of one key head are numbered token by token, the query heads of the group
 * side by side: row = token * group + head. A strip is some adjacent ones of them, or some adjacent
 * keys (a group of one). It need not begin or end with a whole token.
 */
#ifndef LRK_KERNELS_ATTENTION_STRIP_CUH
#define LRK_KERNELS_ATTENTION_STRIP_CUH
#include "kernels/ptx.cuh"
extern "C" {
#include "kernels/attention/splits.h"
#include "kernels/segments.h"
}

/* Rows of a matrix. */
template <typename T> struct matrix {
    T *data;
    size_t stride;
};

template <typename T> static inline matrix<T> matrix_of(const lrk_tensor *t)
{
    if (!t) return matrix<T>{NULL, 0};
    return matrix<T>{static_cast<T *>(t->data), t->stride};
}

/* Division of row numbers by the size of a group: exact below 1024 for groups up to 48. */
struct sharing {
    int group;
    unsigned inverse;

    __device__ __forceinline__ int token_of(int row) const
    {
        return (int)((unsigned)row * inverse >> 16);
    }
};

static __host__ __device__ __forceinline__ sharing sharing_by(int group)
{
    return sharing{group, (65536u + (unsigned)group - 1u) / (unsigned)group};
}

/* What every kernel is told. */
struct problem {
    const int32_t *table;
    int segments, tokens, keys;
    int kv_heads, head;
    int window;    /* 0: none */
    sharing heads; /* of a group */
    float scale;
    float factor; /* of products of q and k, see score_of */
    float cap;    /* 0: none */
    bool whole;   /* rows can be read by 16 bytes */
};

struct strip {
    int token;    /* row of the tensor that the first row belongs to */
    int skip;     /* rows of that token in front of the strip */
    int n;        /* rows */
    int position; /* of that token */
};

static __device__ __forceinline__ int position_of(const strip &s, const sharing &by, int row)
{
    return s.position + by.token_of(s.skip + row);
}

/* Highest and lowest position that a token sees. */
static __device__ __forceinline__ int lowest_seen(const problem &p, int position)
{
    return p.window && p.window <= position ? position - p.window + 1 : 0;
}

/* ---- segments ------------------------------------------------------------------------------------ */

struct segment {
    int start, length, position, parent, kv, keys;

    /* position of the first key that it holds itself */
    __device__ __forceinline__ int held() const { return position + length - keys; }
};

static __device__ __forceinline__ segment segment_at(const problem &p, int s)
{
    const int32_t *r = p.table + (size_t)s * LRK_SEG_FIELDS;
    return segment{r[LRK_SEG_START],  r[LRK_SEG_LENGTH], r[LRK_SEG_POSITION],
                   r[LRK_SEG_PARENT], r[LRK_SEG_KV],     r[LRK_SEG_KEYS]};
}

/* Every segment's `field`, times `group`, is cut into pieces of `rows`: which segment has piece
 * `slot` of them all, and which of its pieces is it? Returns false behind the last. A warp looks at
 * 32 segments at once. */
static __device__ inline bool find_piece(const problem &p, int field, int group, int rows,
                                         int slot, int *owner, int *piece)
{
    const int lane = (int)threadIdx.x % LRK_WARP;
    for (int first = 0, before = 0; first < p.segments; first += LRK_WARP) {
        const int s = first + lane;
        const int size = s < p.segments ? p.table[(size_t)s * LRK_SEG_FIELDS + field] * group : 0;
        const int n = (size + rows - 1) / rows;
        int end = n;
#pragma unroll
        for (int d = 1; d < LRK_WARP; d *= 2) {
            const int below = __shfl_up_sync(LRK_ALL_LANES, end, d);
            if (lane >= d) end += below;
        }
        end += before;
        const unsigned who = __ballot_sync(LRK_ALL_LANES, slot < end);
        if (who) {
            const int l = __ffs((int)who) - 1;
            *owner = first + l;
            *piece = slot - __shfl_sync(LRK_ALL_LANES, end - n, l);
            return true;
        }
        before = __shfl_sync(LRK_ALL_LANES, end, LRK_WARP - 1);
    }
    return false;
}

/* The first segment behind `after` whose parent is `parent`, or -1. */
static __device__ inline int next_child(const problem &p, int after, int parent)
{
    const int lane = (int)threadIdx.x % LRK_WARP;
    for (int first = after + 1; first < p.segments; first += LRK_WARP) {
        const int s = first + lane;
        const bool is = s < p.segments && p.table[(size_t)s * LRK_SEG_FIELDS + LRK_SEG_PARENT] == parent;
        const unsigned who = __ballot_sync(LRK_ALL_LANES, is);
        if (who) return first + __ffs((int)who) - 1;
    }
    return -1;
}

/* The segment after `s` in the tree below `root`, children behind their parents; -1 behind the last. */
static __device__ inline int next_descendant(const problem &p, int root, int s)
{
    int next = next_child(p, s, s);
    while (next < 0 && s != root) {
        const int parent = segment_at(p, s).parent;
        next = next_child(p, s, parent);
        s = parent;
    }
    return next;
}

/* Piece `slot` of all query rows, or of all keys. number: of its first row among those of all tokens. */
static __device__ inline bool find_queries(const problem &p, int rows, int slot, int *owner,
                                           strip *out, int *number)
{
    int piece;
    if (!find_piece(p, LRK_SEG_LENGTH, p.heads.group, rows, slot, owner, &piece)) return false;
    const segment s = segment_at(p, *owner);
    const int first = piece * rows, token = first / p.heads.group;
    *out = strip{s.start + token, first - token * p.heads.group,
                 min(rows, s.length * p.heads.group - first), s.position + token};
    *number = s.start * p.heads.group + first;
    return true;
}

static __device__ inline bool find_keys(const problem &p, int rows, int slot, int *owner,
                                        strip *out)
{
    int piece;
    if (!find_piece(p, LRK_SEG_KEYS, 1, rows, slot, owner, &piece)) return false;
    const segment s = segment_at(p, *owner);
    *out = strip{s.kv + piece * rows, 0, min(rows, s.keys - piece * rows), s.held() + piece * rows};
    return true;
}

/* ---- the keys that some queries see -------------------------------------------------------------- */

/* The way from a segment up through its ancestors, by tiles of keys. */
struct key_walk {
    int first, last; /* positions of the queries */
    int low, clear;  /* lowest position that the first, the last of them sees */
    int owner;       /* being walked; -1: done */
    int next, end;   /* positions still to come in it */
    int shift;       /* from positions to rows of K */
};

static __device__ inline void enter(const problem &p, key_walk *w, int owner, int end, int tile)
{
    w->owner = owner;
    if (owner < 0) return;
    const segment s = segment_at(p, owner);
    const int held = s.held();
    w->next = held;
    if (w->low > held) w->next += (w->low - held) / tile * tile;
    w->end = min(end, held + s.keys);
    w->shift = s.kv - held;
}

static __device__ inline key_walk walk_keys(const problem &p, int owner, const strip &queries,
                                            int tile)
{
    key_walk w;
    w.first = queries.position;
    w.last = position_of(queries, p.heads, queries.n - 1);
    w.low = lowest_seen(p, w.first);
    w.clear = lowest_seen(p, w.last);
    enter(p, &w, owner, w.last + 1, tile);
    return w;
}

/* Leaves segments of which nothing is left; false behind the last key. */
static __device__ __forceinline__ bool settle(const problem &p, key_walk *w, int tile)
{
    while (w->owner >= 0 && w->next >= w->end) {
        const segment s = segment_at(p, w->owner);
        enter(p, w, s.parent, s.held(), tile);
    }
    return w->owner >= 0;
}

static __device__ inline int tiles_left(const problem &p, key_walk w, int tile)
{
    int n = 0;
    for (; settle(p, &w, tile); w.next = w.end) n += (w.end - w.next + tile - 1) / tile;
    return n;
}

static __device__ inline void skip_tiles(const problem &p, key_walk *w, int tile, int n)
{
    while (n > 0 && settle(p, w, tile)) {
        const int here = min(n, (w->end - w->next + tile - 1) / tile);
        w->next += here * tile;
        n -= here;
    }
}

struct key_tile {
    strip rows;  /* none: the walk has ended */
    bool masked; /* some query does not see some key of it */
};

static __device__ __forceinline__ key_tile next_keys(const problem &p, key_walk *w, int tile)
{
    if (!settle(p, w, tile)) return key_tile{{0, 0, 0, 0}, false};
    const int n = min(w->end - w->next, tile);
    const key_tile t = {{w->shift + w->next, 0, n, w->next},
                        n < tile || w->next + n - 1 > w->first || w->next < w->clear};
    w->next += n;
    return t;
}

/* ---- the queries that see some keys -------------------------------------------------------------- */

/* The way from a segment down through its descendants, by tiles of query rows. */
struct query_walk {
    int first, last; /* positions of the keys */
    int root, owner; /* the segment that holds the keys; the one being walked, -1: done */
    int limit;       /* the walked one sees keys before this position */
    int start, position;
    int next, end; /* rows still to come in it */
};

/* A descendant sees the keys before those of the segment below root on the way to it. */
static __device__ inline int limit_of(const problem &p, int root, int owner)
{
    int limit = INT32_MAX;
    while (owner != root) {
        const segment s = segment_at(p, owner);
        limit = s.held();
        owner = s.parent;
    }
    return limit;
}

static __device__ inline void enter_queries(const problem &p, query_walk *w, int owner)
{
    w->owner = owner;
    if (owner < 0) return;
    const segment s = segment_at(p, owner);
    w->limit = limit_of(p, w->root, owner);
    w->start = s.start;
    w->position = s.position;
    int end = w->limit > w->first ? s.length : 0;
    if (p.window && w->last - s.position < end - p.window) end = max(w->last - s.position + p.window, 0);
    w->next = min(max(w->first - s.position, 0), end) * p.heads.group;
    w->end = end * p.heads.group;
}

static __device__ inline query_walk walk_queries(const problem &p, int owner, const strip &keys)
{
    query_walk w;
    w.first = keys.position;
    w.last = keys.position + keys.n - 1;
    w.root = owner;
    enter_queries(p, &w, owner);
    return w;
}

struct query_tile {
    strip rows;  /* none: the walk has ended */
    int number;  /* of the first among the rows of all tokens */
    int limit;   /* they see keys before this position */
    bool masked; /* some query does not see some key */
};

static __device__ __forceinline__ query_tile next_queries(const problem &p, query_walk *w, int tile)
{
    while (w->owner >= 0 && w->next >= w->end)
        enter_queries(p, w, next_descendant(p, w->root, w->owner));
    if (w->owner < 0) return query_tile{{0, 0, 0, 0}, 0, 0, false};
    const int n = min(w->end - w->next, tile), token = w->next / p.heads.group;
    const strip rows = {w->start + token, w->next - token * p.heads.group, n, w->position + token};
    const int lowest = lowest_seen(p, position_of(rows, p.heads, n - 1));
    const query_tile t = {
        rows, w->start * p.heads.group + w->next, w->limit,
        n < tile || w->last > rows.position || w->last >= w->limit || lowest > w->first};
    w->next += n;
    return t;
}

/* ---- scores -------------------------------------------------------------------------------------- */

/* Engines keep scores, maxima and LSE in units of their own, so that their power() is cheap: 1 for e^x,
 * ln(2) for 2^x. In units of 1: scale * x, or with a soft cap cap * tanh(scale * x / cap); the tanh
 * goes to *bend, 0 without a cap. */
template <class E>
static __device__ __forceinline__ float score_of(const problem &p, float x, float *bend)
{
    *bend = 0.0f;
    if (p.cap == 0.0f) return x * p.factor;
    *bend = E::half_tanh(x * p.factor);
    return p.cap * *bend;
}

template <class E> static inline problem in_units_of(problem p)
{
    p.factor /= E::unit();
    p.cap /= E::unit();
    return p;
}

static inline problem problem_of(const lrk_call *c)
{
    const lrk_attention_attr *a = static_cast<const lrk_attention_attr *>(c->attr);
    problem p;
    p.table = static_cast<const int32_t *>(c->in[LRK_ATTENTION_SEGMENTS]->data);
    p.segments = (int)lrk_rows(c->in[LRK_ATTENTION_SEGMENTS]);
    p.tokens = (int)lrk_rows(c->in[LRK_ATTENTION_Q]);
    p.keys = (int)lrk_rows(c->in[LRK_ATTENTION_K]);
    p.kv_heads = (int)a->kv_heads;
    p.head = (int)a->head;
    p.window = a->window < INT32_MAX ? (int)a->window : 0;
    p.heads = sharing_by((int)(a->heads / a->kv_heads));
    p.scale = (float)a->scale;
    p.cap = (float)a->softcap;
    p.factor = (float)(a->softcap > 0.0 ? 2.0 * a->scale / a->softcap : a->scale);
    p.whole = lrk_row_bytes(c->in[LRK_ATTENTION_Q]->dtype, a->head) % 16 == 0;
    for (int i = LRK_ATTENTION_Q; i <= LRK_ATTENTION_V; i++) {
        p.whole = p.whole && lrk_can_chunk(c->in[i]);
        p.whole = p.whole && (!c->din[i] || lrk_can_chunk(c->din[i]));
    }
    p.whole = p.whole && lrk_can_chunk(c->out[LRK_ATTENTION_O]);
    p.whole = p.whole && (!c->dout[LRK_ATTENTION_O] || lrk_can_chunk(c->dout[LRK_ATTENTION_O]));
    return p;
}

#endif /* LRK_KERNELS_ATTENTION_STRIP_CUH */
