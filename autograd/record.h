/* autograd/record.h -- what the tape's own files share; nobody else includes it. */
#ifndef LRK_AUTOGRAD_RECORD_H
#define LRK_AUTOGRAD_RECORD_H
#include "autograd/tape.h"

enum { LRK_MAX_SLOTS = 16, LRK_MAX_TIMED = 32, LRK_VARS_PER_BLOCK = 1024 };

typedef struct lrk_node {
    const lrk_op *op;
    lrk_var *in[LRK_MAX_IN];
    lrk_var *out[LRK_MAX_OUT];
    lrk_var *saved[LRK_MAX_SAVED];
    const void *attr;
    lrk_infer shapes;
    bool needs_grad; /* some input does */
    bool late;       /* the kernel that runs for it is the next node's */
    bool joins;      /* its kernel runs for the node before it too */
} lrk_node;

/* A gradient: bytes in the step arena, owned by as many results as share it, or by those that have columns of it. refs
 * 0: free. */
typedef struct lrk_grad_buffer {
    void *data;
    size_t bytes;
    int refs;
    size_t border;  /* columns behind those of each row */
    int node;       /* whose results have columns of it, or -1 */
    unsigned taken; /* bit i: those of out[i] */
} lrk_grad_buffer;

/* The storage that cheap results of one op and size take turns in. */
typedef struct lrk_slot {
    const lrk_op *op;
    void *data;
    size_t bytes;
    const lrk_var *owner; /* whose numbers it holds now */
} lrk_slot;

/* Where the kept result of a segment is: on the device; put aside; or on its way back. */
typedef enum lrk_whereabouts { LRK_HERE, LRK_AWAY, LRK_COMING } lrk_whereabouts;

typedef struct lrk_segment {
    int first, end; /* nodes */
    size_t bytes;   /* of everything in it */
    lrk_var *keep;
    void *slot, *host; /* where keep lies on the device, and aside */
    lrk_whereabouts where;
} lrk_segment;

struct lrk_tape {
    lrk_tape_memory memory;
    size_t floor; /* fill level of the step arena at lrk_tape_new */
    size_t held;  /* and at lrk_tape_hold: below it nothing is forgotten during the pass */
    bool gradients, cheap, profiled;

    lrk_var **blocks; /* variables never move: nodes point at them */
    size_t n_blocks, n_vars;
    lrk_node *nodes;
    size_t n_nodes, node_capacity;
    lrk_grad_buffer *buffers;
    size_t n_buffers, buffer_capacity;
    lrk_slot slots[LRK_MAX_SLOTS];
    int n_slots;
    lrk_segment *segments;
    size_t n_segments, segment_capacity;
    int open_segment;         /* index, or -1 */
    bool late;                /* no kernel ran for the last node yet */
    size_t segment_base;      /* step fill level where the open segment began */
    unsigned char *replay;    /* where a segment is computed again */
    int replayed;             /* which one lies there now, or -1 */

    lrk_op_time times[LRK_MAX_TIMED];
    size_t n_times;
    lrk_err err;
};

/* Runs a node's kernel; what it reads must be in place. alone: what it joins is there. */
void lrk_node_forward(lrk_tape *t, lrk_node *n, bool alone);

/* Makes sure that the numbers of v are in memory, computing them again if need be. */
void lrk_tape_restore(lrk_tape *t, const lrk_var *v);

/* With a host arena: before segment i is recorded; where its kept result goes; before it is computed again;
 * at the end of a pass. */
void lrk_aside_begin(lrk_tape *t, size_t i);
bool lrk_aside_end(lrk_tape *t, size_t i, lrk_var *keep);
void lrk_aside_replay(lrk_tape *t, size_t i);
void lrk_aside_rejoin(lrk_tape *t);

/* Scratch memory for a kernel, valid until the next call. */
lrk_status lrk_tape_scratch(lrk_tape *t, size_t bytes, void **out);

/* Runs a kernel, timing it where that is wanted. */
void lrk_tape_run(lrk_tape *t, const lrk_op *op, lrk_kernel kernel, const lrk_call *c, bool forward);

#endif /* LRK_AUTOGRAD_RECORD_H */
