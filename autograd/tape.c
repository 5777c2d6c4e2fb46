/* autograd/tape.c -- the forward pass: variables, nodes and where results lie. */
#include "autograd/tape.h"

#include "autograd/record.h"
#include "base/clock.h"
#include "base/size.h"

#include <string.h>

lrk_status lrk_tape_new(lrk_tape **out, lrk_tape_memory memory, lrk_err *err)
{
    lrk_tape *t = lrk_heap_alloc(1, sizeof *t);
    LRK_REQUIRE(err, t, LRK_ENOMEM, "memory: no room for the tape");
    t->memory = memory;
    t->floor = lrk_arena_mark(memory.step);
    t->open_segment = t->replayed = -1;
    *out = t;
    return LRK_OK;
}

void lrk_tape_free(lrk_tape *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->n_blocks; i++) lrk_heap_free(t->blocks[i]);
    lrk_heap_free(t->blocks);
    lrk_heap_free(t->nodes);
    lrk_heap_free(t->buffers);
    lrk_heap_free(t->segments);
    lrk_heap_free(t);
}

void lrk_tape_begin(lrk_tape *t, bool gradients)
{
    lrk_arena_reset(t->memory.step, t->floor);
    if (t->memory.host) lrk_arena_reset(t->memory.host, 0);
    t->held = t->floor;
    t->gradients = gradients;
    t->n_vars = t->n_nodes = t->n_buffers = t->n_segments = 0;
    t->n_slots = 0;
    t->open_segment = t->replayed = -1;
    t->late = false;
    t->replay = NULL;
    t->err.status = LRK_OK;
}

void lrk_tape_recompute_cheap(lrk_tape *t, bool on)
{
    t->cheap = on;
}

/* Runs what is late. */
static void settle(lrk_tape *t)
{
    if (!t->late || t->err.status != LRK_OK) return;
    lrk_node *n = &t->nodes[t->n_nodes - 1];
    t->late = n->late = false;
    lrk_node_forward(t, n, false);
}

lrk_status lrk_tape_status(lrk_tape *t, lrk_err *err)
{
    settle(t);
    if (t->err.status == LRK_OK) return LRK_OK;
    return lrk_fail(err, t->err.status, "%s", t->err.text);
}

/* Room for one more element of a list that lives as long as the tape. */
static bool reserve(lrk_tape *t, void *list, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity) return true;
    const size_t grown = *capacity ? 2 * *capacity : 64;
    void *old, *p;
    memcpy(&old, list, sizeof old);
    p = lrk_heap_grow(old, grown, size);
    if (!p) {
        lrk_fail(&t->err, LRK_ENOMEM, "memory: the tape cannot grow");
        return false;
    }
    memcpy(list, &p, sizeof p);
    *capacity = grown;
    return true;
}

static lrk_var *new_var(lrk_tape *t)
{
    const size_t block = t->n_vars / LRK_VARS_PER_BLOCK, i = t->n_vars % LRK_VARS_PER_BLOCK;
    if (block == t->n_blocks) {
        lrk_var **blocks = lrk_heap_grow(t->blocks, block + 1, sizeof *blocks);
        if (blocks) t->blocks = blocks;
        lrk_var *vars = blocks ? lrk_heap_alloc(LRK_VARS_PER_BLOCK, sizeof *vars) : NULL;
        if (!vars) {
            lrk_fail(&t->err, LRK_ENOMEM, "memory: the tape cannot grow");
            return NULL;
        }
        t->blocks[t->n_blocks++] = vars;
    }
    t->n_vars++;
    lrk_var *v = &t->blocks[block][i];
    *v = (lrk_var){.node = -1, .buffer = -1, .slot = -1, .home = -1, .segment = -1};
    return v;
}

lrk_var *lrk_constant(lrk_tape *t, const lrk_tensor *value)
{
    lrk_var *v = value && t->err.status == LRK_OK ? new_var(t) : NULL;
    if (v) v->value = *value;
    return v;
}

lrk_var *lrk_parameter(lrk_tape *t, const lrk_tensor *value, const lrk_tensor *grad)
{
    lrk_var *v = lrk_constant(t, value);
    if (v && grad && t->gradients) {
        v->grad = *grad;
        v->needs_grad = true;
    }
    return v;
}

void lrk_tape_profile(lrk_tape *t, bool on)
{
    t->profiled = on;
}

bool lrk_tape_profiled(const lrk_tape *t)
{
    return t->profiled;
}

void lrk_tape_run(lrk_tape *t, const lrk_op *op, lrk_kernel kernel, const lrk_call *c, bool forward)
{
    if (!t->profiled) {
        kernel(c);
        return;
    }
    const double start = lrk_seconds();
    kernel(c);
    lrk_device_sync(t->memory.device, NULL);
    const double seconds = lrk_seconds() - start;
    size_t i = 0;
    while (i < t->n_times && t->times[i].op != op) i++;
    if (i == LRK_MAX_TIMED) return;
    if (i == t->n_times) t->times[t->n_times++] = (lrk_op_time){.op = op};
    *(forward ? &t->times[i].forward_s : &t->times[i].backward_s) += seconds;
}

size_t lrk_tape_times(lrk_tape *t, lrk_op_time *rows, size_t n)
{
    const size_t count = lrk_min(n, t->n_times);
    if (count) memcpy(rows, t->times, count * sizeof *rows);
    t->n_times = 0;
    return count;
}

lrk_status lrk_tape_scratch(lrk_tape *t, size_t bytes, void **out)
{
    lrk_arena_reset(t->memory.scratch, 0);
    return lrk_alloc(t->memory.scratch, bytes, 1, "workspace of a kernel", out, &t->err);
}

void lrk_node_forward(lrk_tape *t, lrk_node *n, bool alone)
{
    lrk_call c = {.attr = n->attr, .device = t->memory.device,
                  .backward_follows = t->gradients && n->needs_grad};
    for (int i = 0; i < LRK_MAX_IN; i++) c.in[i] = n->in[i] ? &n->in[i]->value : NULL;
    for (int i = 0; i < LRK_MAX_OUT; i++) c.out[i] = n->out[i] ? &n->out[i]->value : NULL;
    for (int i = 0; i < LRK_MAX_SAVED; i++) c.saved[i] = n->saved[i] ? &n->saved[i]->value : NULL;
    for (int i = 0; i < 2 && n->joins && !alone; i++) c.joined[i] = &n[-1].in[i]->value;
    if (lrk_tape_scratch(t, n->shapes.forward_scratch, &c.scratch) != LRK_OK) return;
    if (lrk_arena_counting(t->memory.step)) return;
    lrk_tape_run(t, n->op, lrk_op_forward(n->op, c.device, n->shapes.compute), &c, true);
}

static bool needs_grad(const lrk_tape *t, const lrk_node *n)
{
    if (!t->gradients) return false;
    for (int i = 0; i < LRK_MAX_IN; i++) {
        if (n->in[i] && n->in[i]->needs_grad) return true;
    }
    return false;
}

/* Whether out[i] may be written over input v: nobody reads v again, forward or backward. Sums have no gaps: what they
 * make may be kept at the end of a segment. */
static bool may_take_over(const lrk_tape *t, const lrk_op *op, int i, const lrk_var *v,
                          const lrk_tensor *out)
{
    if (!v || v->node < 0 || v->uses || v->slot >= 0 || v->value.dtype != out->dtype ||
        !lrk_same_shape(&v->value, out) || (op->passthrough && !lrk_contiguous(&v->value)))
        return false;
    if (!t->gradients) return true;
    const lrk_op *producer = t->nodes[v->node].op;
    return !producer->needs_out && !(op->needs_in & 1u << (op->inplace[i] - 1));
}

/* Storage for a cheap result that takes turns with others; NULL when there is none. */
static lrk_slot *slot_for(lrk_tape *t, const lrk_op *op, size_t bytes, const char *name)
{
    for (int i = 0; i < t->n_slots; i++) {
        if (t->slots[i].op == op && t->slots[i].bytes == bytes) return &t->slots[i];
    }
    if (t->n_slots == LRK_MAX_SLOTS) return NULL;
    lrk_slot s = {.op = op, .bytes = bytes};
    if (lrk_alloc(t->memory.step, bytes, 1, name, &s.data, &t->err) != LRK_OK) return NULL;
    t->slots[t->n_slots] = s;
    return &t->slots[t->n_slots++];
}

static lrk_var *place(lrk_tape *t, lrk_node *n, const lrk_tensor *shape)
{
    lrk_var *v = new_var(t);
    if (!v) return NULL;
    v->value = *shape;
    v->value.name = n->op->name;
    v->node = (int)t->n_nodes;
    v->needs_grad = n->needs_grad;
    v->segment = t->open_segment;
    v->offset = lrk_arena_mark(t->memory.step) - t->segment_base;
    return v;
}

/* Bytes of a matrix with the gaps behind its rows. */
static size_t spread(const lrk_tensor *t)
{
    return lrk_rows(t) * lrk_row_bytes(t->dtype, t->stride);
}

/* Results abreast: the columns of v = out[i] in the matrix that begins with out[0]. */
static void place_columns(lrk_tape *t, lrk_node *n, int i, lrk_var *v)
{
    size_t before = 0, all = 0;
    for (int k = 0; k < LRK_MAX_OUT; k++) {
        if (!n->shapes.out[k].name) continue;
        all += lrk_cols(&n->shapes.out[k]);
        if (k < i) before = all;
    }
    const size_t at = lrk_row_bytes(v->value.dtype, before);
    v->value.stride = all;
    v->home = (int)t->n_nodes * LRK_MAX_OUT + i;
    if (i == 0) {
        lrk_alloc(t->memory.step, spread(&v->value), 1, n->op->name, &v->value.data, &t->err);
        return;
    }
    if (!n->out[0]) return;
    v->offset = n->out[0]->offset + at;
    if (n->out[0]->value.data) v->value.data = (char *)n->out[0]->value.data + at;
}

/* The border that the gradient of out[i] is to have: its op's, or that of a gradient that shares its buffer. */
static size_t grad_border(const lrk_node *n, int i)
{
    const bool last = i + 1 == LRK_MAX_OUT || !n->shapes.out[i + 1].name;
    size_t border = last ? n->shapes.border : 0;
    for (int k = 0; k < LRK_MAX_IN; k++) {
        const bool shares = n->op->passthrough >> k & 1 || n->op->inplace[i] == k + 1;
        if (n->in[k] && shares) border = lrk_max(border, n->in[k]->grad_border);
    }
    return border;
}

static void place_result(lrk_tape *t, lrk_node *n, int i, size_t border)
{
    lrk_var *v = n->out[i] = place(t, n, &n->shapes.out[i]);
    if (!v) return;
    v->grad_border = grad_border(n, i);
    if (n->shapes.abreast) {
        place_columns(t, n, i, v);
        return;
    }
    const int from = n->op->inplace[i] - 1;
    lrk_var *source = from >= 0 ? n->in[from] : NULL;
    const size_t bytes = lrk_bytes(&v->value);
    if (source && !(n->op->passthrough >> from & 1)) v->home = source->home;
    if (may_take_over(t, n->op, i, source, &v->value)) {
        v->value.data = source->value.data;
        v->value.stride = source->value.stride;
        v->offset = source->offset;
        source->taken = true;
        return;
    }
    if (t->cheap && n->op->cheap && n->needs_grad && t->open_segment < 0) {
        lrk_slot *s = slot_for(t, n->op, bytes, n->op->name);
        if (s) {
            v->slot = (int)(s - t->slots);
            v->value.data = s->data;
            s->owner = v;
            return;
        }
    }
    v->border = border;
    v->value.stride += border;
    lrk_alloc(t->memory.step, spread(&v->value), 1, n->op->name, &v->value.data, &t->err);
}

/* In the border of the input that it belongs beside, or by itself. */
static void place_saved(lrk_tape *t, lrk_node *n, int k)
{
    lrk_var *v = n->saved[k] = place(t, n, &n->shapes.saved[k]);
    lrk_var *x = n->shapes.behind[k] ? n->in[n->shapes.behind[k] - 1] : NULL;
    if (!v) return;
    if (!x || x->border < lrk_cols(&v->value) || x->segment != v->segment) {
        lrk_alloc(t->memory.step, lrk_bytes(&v->value), 1, n->op->name, &v->value.data, &t->err);
        return;
    }
    const size_t at = lrk_row_bytes(x->value.dtype, lrk_cols(&x->value));
    v->value.stride = x->value.stride;
    v->offset = x->offset + at;
    if (x->value.data) v->value.data = (char *)x->value.data + at;
    x->border = 0;
}

/* Whether one kernel makes the late result and what is computed from it. An input of the late op in shared
 * storage, which this op's own result may be about to take, cannot wait. */
static bool joins(const lrk_tape *t, const lrk_op *op, const lrk_var *v)
{
    const lrk_node *last = t->late ? &t->nodes[t->n_nodes - 1] : NULL;
    return last && op->joins == last->op && v == last->out[0] && last->in[0]->slot < 0 && last->in[1]->slot < 0;
}

static lrk_var *apply(lrk_tape *t, const lrk_op *op, lrk_var *const *in, int n_in, const void *attr, size_t border,
                      bool late)
{
    if (t->err.status != LRK_OK || !reserve(t, &t->nodes, t->n_nodes, &t->node_capacity,
                                            sizeof *t->nodes))
        return NULL;
    lrk_node n = {.op = op, .attr = attr, .joins = !late && joins(t, op, in[0]), .late = late};
    lrk_call c = {.attr = attr, .device = t->memory.device};
    for (int i = 0; i < n_in; i++) {
        n.in[i] = in[i];
        c.in[i] = in[i] ? &in[i]->value : NULL;
        LRK_ASSERT(!in[i] || !in[i]->taken);
    }
    n.needs_grad = needs_grad(t, &n);
    c.backward_follows = n.needs_grad;
    if (lrk_op_infer(op, &c, &n.shapes, &t->err) != LRK_OK) return NULL;
    if (!n.joins) settle(t);
    for (int i = 0; i < n_in; i++) {
        if (in[i]) lrk_tape_restore(t, in[i]);
    }
    for (int i = 0; i < op->n_out; i++)
        if (n.shapes.out[i].name) place_result(t, &n, i, i == 0 ? border : 0);
    for (int i = 0; n.needs_grad && i < op->n_saved; i++)
        if (n.shapes.saved[i].name) place_saved(t, &n, i);
    if (t->err.status != LRK_OK) return NULL;
    for (int i = 0; i < n_in; i++) {
        if (in[i]) in[i]->uses++;
    }
    lrk_node *placed = &t->nodes[t->n_nodes++];
    *placed = n;
    t->late = late;
    if (!late) lrk_node_forward(t, placed, false);
    return t->err.status == LRK_OK ? n.out[0] : NULL;
}

lrk_var *lrk_apply(lrk_tape *t, const lrk_op *op, lrk_var *const *in, int n_in, const void *attr)
{
    return apply(t, op, in, n_in, attr, 0, false);
}

lrk_var *lrk_apply_wide(lrk_tape *t, const lrk_op *op, lrk_var *const *in, int n_in, const void *attr, size_t border)
{
    return apply(t, op, in, n_in, attr, t->gradients ? border : 0, false);
}

lrk_var *lrk_result(const lrk_tape *t, const lrk_var *first, int i)
{
    return first && t->err.status == LRK_OK ? t->nodes[first->node].out[i] : NULL;
}

lrk_var *lrk_apply_late(lrk_tape *t, const lrk_op *op, lrk_var *const *in, int n_in, const void *attr)
{
    return apply(t, op, in, n_in, attr, 0, true);
}

void lrk_tape_hold(lrk_tape *t)
{
    settle(t);
    t->held = lrk_arena_mark(t->memory.step);
}

void lrk_tape_segment_begin(lrk_tape *t)
{
    if (t->err.status != LRK_OK || !reserve(t, &t->segments, t->n_segments, &t->segment_capacity,
                                            sizeof *t->segments))
        return;
    LRK_ASSERT(t->open_segment < 0);
    settle(t);
    t->open_segment = (int)t->n_segments;
    t->segment_base = lrk_arena_mark(t->memory.step);
    t->segments[t->n_segments++] = (lrk_segment){.first = (int)t->n_nodes};
    lrk_aside_begin(t, t->n_segments - 1);
}

lrk_var *lrk_tape_segment_end(lrk_tape *t, lrk_var *keep)
{
    if (t->err.status != LRK_OK || !keep) return NULL;
    LRK_ASSERT(lrk_contiguous(&keep->value));
    settle(t);
    const size_t number = (size_t)t->open_segment;
    lrk_segment *s = &t->segments[number];
    s->end = (int)t->n_nodes;
    s->bytes = lrk_arena_mark(t->memory.step) - t->segment_base;
    t->open_segment = -1;
    keep->segment = -1;
    void *kept = keep->value.data;
    const size_t bytes = lrk_bytes(&keep->value);
    lrk_arena *step = t->memory.step;
    /* not through lrk_arena_reset: its debug poison would hit the numbers that are still to move */
    step->used = t->gradients ? t->segment_base : t->held;
    if (lrk_aside_end(t, number, keep))
        keep->value.data = s->slot;
    else if (lrk_alloc(step, bytes, 1, "kept result", &keep->value.data, &t->err) != LRK_OK)
        return NULL;
    s->slot = keep->value.data;
    if (kept) lrk_device_copy(t->memory.device, keep->value.data, kept, bytes);
    return keep;
}
