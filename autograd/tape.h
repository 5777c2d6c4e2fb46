/* autograd/tape.h -- records a forward pass and walks it backward. Names no op.
 *
 *   lrk_tape_begin(tape, true);
 *   lrk_var *x = lrk_apply(tape, &lrk_op_rmsnorm, (lrk_var *[]){h, w}, 2, &attr);
 *   ...
 *   lrk_backward(tape, loss, &seed, err);     seed: a scalar like loss, here 1 / trained tokens
 *
 * Memory. The tape owns none. Results and saved tensors lie in the step arena, one after the other;
 * gradients of intermediate results lie above them, in buffers that are handed on as soon as the op
 * that produced the result has run backward. The scratch arena holds the workspace of one kernel.
 * On counting arenas the same calls count the same bytes and touch no data: that is `plan`.
 *
 * Sharing. A result whose producer says inplace takes over the storage of its input where nobody
 * else needs that, and the gradient goes back the same way; a passthrough gradient is not copied,
 * the buffer is shared until somebody adds to it. Results that are abreast are columns of one matrix;
 * their gradients are columns of one buffer, those of what was made of them in place too.
 *
 * Borders. What an op saves beside an input may lie behind that input's columns, in its rows, where whoever made the
 * input left room (lrk_apply_wide); and what its backward pass makes beside a gradient likewise (kernels/op.h): two
 * products become one.
 *
 * Recomputation, exact to the bit because kernels are deterministic:
 *   cheap     results of ops marked cheap share one buffer for each op and size; a result that was
 *             overwritten is computed again when it is needed
 *   segments  of a piece between lrk_tape_segment_begin and _end only the last result is kept; the
 *             others are computed again, all at once, when backward arrives there
 *
 * Putting aside. With a host arena, kept results of segments that backward will not need soon go to this
 * process's memory while the next segment is computed, and come back, one segment ahead, while the one
 * behind runs backward: on the device two of them take turns. The kept result of a segment is then read
 * by the next segment alone, the last one's by what follows.
 *
 * Errors. The first one stays in the tape; after it lrk_apply returns NULL and takes NULL, so a
 * model's forward reads like its formula; lrk_tape_status or lrk_backward report it.
 */
#ifndef LRK_AUTOGRAD_TAPE_H
#define LRK_AUTOGRAD_TAPE_H
#include "kernels/op.h"

typedef struct lrk_tape lrk_tape;

/* A tensor with a place on the tape. */
typedef struct lrk_var {
    lrk_tensor value;
    lrk_tensor grad;  /* of a parameter: where its gradient is summed; else the tape's business */
    bool needs_grad;
    int node;         /* the op that produced it, or -1 */
    int uses;         /* ops that read it */
    int buffer;       /* gradient buffer, or -1 */
    int slot;         /* shared storage of a cheap result, or -1 */
    size_t border;    /* columns behind those of value, for what is saved beside it */
    size_t grad_border; /* columns behind those of grad */
    int home;         /* LRK_MAX_OUT * node + i: its gradient belongs in the columns of that node's out[i]; or -1 */
    int segment;      /* recomputed piece that it belongs to, or -1 */
    size_t offset;    /* inside the segment's memory */
    bool taken;       /* its storage went to the result of an in-place op */
} lrk_var;

typedef struct lrk_tape_memory {
    lrk_arena *step, *scratch; /* both fixed or both counting */
    lrk_arena *host;           /* likewise, and pinned (base/device.h); NULL: nothing is put aside */
    lrk_device device;
} lrk_tape_memory;

lrk_status lrk_tape_new(lrk_tape **out, lrk_tape_memory memory, lrk_err *err);
void lrk_tape_free(lrk_tape *t); /* NULL is fine */

/* Forgets the last pass and resets the step arena to where it was at lrk_tape_new. Without
 * `gradients` nothing is saved and segments keep no record. */
void lrk_tape_begin(lrk_tape *t, bool gradients);
void lrk_tape_recompute_cheap(lrk_tape *t, bool on); /* off at first */

/* A tensor that nobody differentiates; a tensor whose gradient is added to `grad`. Both copy the
 * view. `value` may be NULL for an optional input that is absent: the result is NULL too. */
lrk_var *lrk_constant(lrk_tape *t, const lrk_tensor *value);
lrk_var *lrk_parameter(lrk_tape *t, const lrk_tensor *value, const lrk_tensor *grad);

/* Runs the op and returns out[0]. attr must live until the end of the backward pass. */
lrk_var *lrk_apply(lrk_tape *t, const lrk_op *op, lrk_var *const *in, int n_in, const void *attr);

/* The same, with `border` columns behind those of out[0], in its rows: for what the first op that reads it saves. They
 * may be missing, where the result takes over other storage. */
lrk_var *lrk_apply_wide(lrk_tape *t, const lrk_op *op, lrk_var *const *in, int n_in, const void *attr, size_t border);

/* out[i] of the op whose out[0] this is; NULL where it has none. */
lrk_var *lrk_result(const lrk_tape *t, const lrk_var *first, int i);

/* The same for a result that nobody reads before the next op is applied: where that one joins this (kernels/op.h) one
 * kernel does both, else this one's runs first. Nothing else differs: memory, gradients and bits are those of
 * lrk_apply. Whatever asks the tape for something, lrk_tape_status too, finds the result there. */
lrk_var *lrk_apply_late(lrk_tape *t, const lrk_op *op, lrk_var *const *in, int n_in, const void *attr);

/* Segments do not nest. end returns `keep`, the one result that later ops may use. In a pass without
 * gradients all results before it are forgotten too, down to the last lrk_tape_hold: memory stays at
 * one segment. */
void lrk_tape_segment_begin(lrk_tape *t);
lrk_var *lrk_tape_segment_end(lrk_tape *t, lrk_var *keep);

/* What is on the tape now serves every segment to come. Outside segments. */
void lrk_tape_hold(lrk_tape *t);

/* The first error of this pass, or LRK_OK. */
lrk_status lrk_tape_status(lrk_tape *t, lrk_err *err);

/* Adds d(seed * loss)/d(parameter) to every parameter's grad. loss has one element, and so has seed,
 * which lies where loss lies and is of its type. */
lrk_status lrk_backward(lrk_tape *t, lrk_var *loss, const lrk_tensor *seed, lrk_err *err);

/* Seconds spent in each op since the last call, forward and backward, for `bench --profile`. Zero rows
 * of ops that never ran are left out. Nothing is timed until it is asked for: on a GPU every kernel
 * is waited for then. */
void lrk_tape_profile(lrk_tape *t, bool on);
bool lrk_tape_profiled(const lrk_tape *t);
typedef struct lrk_op_time {
    const lrk_op *op;
    double forward_s, backward_s;
} lrk_op_time;
size_t lrk_tape_times(lrk_tape *t, lrk_op_time *rows, size_t n);

#endif /* LRK_AUTOGRAD_TAPE_H */
