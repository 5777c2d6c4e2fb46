/* autograd/backward.c -- the reverse walk: gradient buffers, and one kernel after the other. */
#include "autograd/record.h"

/* A buffer of this size that nobody uses any more, or a new one. Layers repeat, so sizes do. */
static int take_buffer(lrk_tape *t, size_t bytes, size_t border)
{
    for (size_t i = 0; i < t->n_buffers; i++) {
        if (t->buffers[i].refs == 0 && t->buffers[i].bytes == bytes) {
            t->buffers[i].refs = 1;
            t->buffers[i].border = border;
            t->buffers[i].node = -1;
            return (int)i;
        }
    }
    if (t->n_buffers == t->buffer_capacity) {
        const size_t capacity = t->buffer_capacity ? 2 * t->buffer_capacity : 64;
        lrk_grad_buffer *grown = lrk_heap_grow(t->buffers, capacity, sizeof *grown);
        if (!grown) {
            lrk_fail(&t->err, LRK_ENOMEM, "memory: no room for a gradient");
            return -1;
        }
        t->buffers = grown;
        t->buffer_capacity = capacity;
    }
    lrk_grad_buffer b = {.bytes = bytes, .border = border, .refs = 1, .node = -1};
    if (lrk_alloc(t->memory.step, bytes, 1, "gradient", &b.data, &t->err) != LRK_OK) return -1;
    t->buffers[t->n_buffers] = b;
    return (int)t->n_buffers++;
}

/* The columns that are v's home, in the buffer that its neighbours have theirs in or that becomes it; -1: somebody has
 * them. */
static int take_columns(lrk_tape *t, const lrk_var *v)
{
    const int node = v->home / LRK_MAX_OUT;
    const unsigned mine = 1u << v->home % LRK_MAX_OUT;
    for (size_t i = 0; i < t->n_buffers; i++) {
        lrk_grad_buffer *b = &t->buffers[i];
        if (b->refs == 0 || b->node != node) continue;
        if (b->taken & mine) return -1;
        b->taken |= mine;
        b->refs++;
        return (int)i;
    }
    const lrk_tensor *first = &t->nodes[node].out[0]->value;
    const size_t border = t->nodes[node].shapes.border;
    const int buffer = take_buffer(t, lrk_rows(first) * lrk_row_bytes(first->dtype, first->stride + border), border);
    if (buffer < 0) return -1;
    t->buffers[buffer].node = node;
    t->buffers[buffer].taken = mine;
    return buffer;
}

static void set_buffer(lrk_tape *t, lrk_var *v, int buffer)
{
    const lrk_grad_buffer *b = &t->buffers[buffer];
    v->buffer = buffer;
    v->grad = lrk_like(&v->value);
    v->grad.data = b->data;
    v->grad.stride += b->border;
    if (b->node < 0) return;
    lrk_var *const *out = t->nodes[b->node].out; /* which lie in their matrix as their gradients do here */
    v->grad.stride = out[0]->value.stride + b->border;
    if (b->data) v->grad.data = (char *)b->data + (out[v->home % LRK_MAX_OUT]->offset - out[0]->offset);
}

static void release(lrk_tape *t, lrk_var *v)
{
    if (v && v->buffer >= 0) t->buffers[v->buffer].refs--;
    if (v) v->buffer = -1;
}

/* Whether v may add to its buffer, or hand it on: nobody shares it. Columns are one result's, or go from one to what it
 * was made of in place. */
static bool alone(const lrk_tape *t, const lrk_var *v)
{
    const lrk_grad_buffer *b = &t->buffers[v->buffer];
    return b->refs == 1 || b->node >= 0;
}

/* A buffer of v's own with the content of `from`. */
static bool copy_buffer(lrk_tape *t, lrk_var *v, int from)
{
    const int own = take_buffer(t, t->buffers[from].bytes, t->buffers[from].border);
    if (own < 0) return false;
    const lrk_grad_buffer *source = &t->buffers[from];
    if (source->data)
        lrk_device_copy(t->memory.device, t->buffers[own].data, source->data, source->bytes);
    set_buffer(t, v, own);
    return true;
}

/* Before anybody adds to v's gradient: it must not be shared. */
static bool unshare(lrk_tape *t, lrk_var *v)
{
    const int shared = v->buffer;
    if (alone(t, v)) return true;
    if (!copy_buffer(t, v, shared)) return false;
    t->buffers[shared].refs--;
    return true;
}

static bool fresh_buffer(lrk_tape *t, lrk_var *v, bool zero)
{
    int buffer = v->home >= 0 && !zero ? take_columns(t, v) : -1;
    const size_t row = lrk_row_bytes(v->value.dtype, lrk_cols(&v->value) + v->grad_border);
    if (buffer < 0) buffer = take_buffer(t, lrk_rows(&v->value) * row, v->grad_border);
    if (buffer < 0) return false;
    set_buffer(t, v, buffer);
    if (zero && v->grad.data) lrk_device_zero(t->memory.device, v->grad.data, t->buffers[buffer].bytes);
    return true;
}

/* The result whose storage may be input i's too, or -1. */
static int in_place(const lrk_op *op, int i)
{
    for (int k = 0; k < LRK_MAX_OUT; k++)
        if (op->inplace[k] == i + 1) return k;
    return -1;
}

/* Decides where din[i] goes; true when a kernel has to compute it. */
static bool prepare(lrk_tape *t, const lrk_node *n, int i, lrk_call *c)
{
    lrk_var *v = n->in[i];
    if (!v || !v->needs_grad) return false;
    const bool parameter = v->node < 0, empty = v->buffer < 0;
    const int k = in_place(n->op, i);
    if (parameter) {
        c->din[i] = &v->grad;
        return true;
    }
    if (n->op->passthrough >> i & 1 && empty) {
        t->buffers[n->out[0]->buffer].refs++;
        set_buffer(t, v, n->out[0]->buffer);
        return false;
    }
    if (k >= 0 && empty && !(n->op->passthrough >> i & 1)) {
        /* the kernel turns the gradient of the result into that of the input where it lies */
        lrk_var *out = n->out[k];
        if (alone(t, out)) {
            t->buffers[out->buffer].refs++;
            set_buffer(t, v, out->buffer);
        } else if (!copy_buffer(t, v, out->buffer)) {
            return false;
        }
        c->dout[k] = c->din[i] = &v->grad;
        return true;
    }
    if (empty) {
        if (!fresh_buffer(t, v, !n->op->overwrites)) return false;
        if (n->op->overwrites) c->fresh |= 1u << i;
    } else if (!unshare(t, v)) {
        return false;
    }
    c->din[i] = &v->grad;
    return true;
}

static void restore_all(lrk_tape *t, lrk_var *const *vars, int n)
{
    for (int i = 0; i < n; i++) {
        if (vars[i]) lrk_tape_restore(t, vars[i]);
    }
}

static void node_backward(lrk_tape *t, lrk_node *n)
{
    lrk_call c = {.attr = n->attr, .device = t->memory.device, .backward_follows = true};
    bool work = false;
    restore_all(t, n->saved, LRK_MAX_SAVED);
    restore_all(t, n->in, LRK_MAX_IN);
    restore_all(t, n->out, LRK_MAX_OUT);
    for (int i = 0; i < LRK_MAX_OUT; i++) {
        if (!n->out[i]) continue;
        if (n->out[i]->buffer < 0 && !fresh_buffer(t, n->out[i], true)) return;
        c.out[i] = &n->out[i]->value;
        c.dout[i] = &n->out[i]->grad;
        c.border = t->buffers[n->out[i]->buffer].border;
    }
    for (int i = 0; i < LRK_MAX_IN; i++) {
        c.in[i] = n->in[i] ? &n->in[i]->value : NULL;
        work |= prepare(t, n, i, &c);
    }
    for (int i = 0; i < LRK_MAX_SAVED; i++) c.saved[i] = n->saved[i] ? &n->saved[i]->value : NULL;
    if (work && lrk_tape_scratch(t, n->shapes.backward_scratch, &c.scratch) == LRK_OK &&
        !lrk_arena_counting(t->memory.step)) {
        lrk_tape_run(t, n->op, lrk_op_backward(n->op, c.device, n->shapes.compute), &c, false);
    }
    for (int i = 0; i < LRK_MAX_OUT; i++) release(t, n->out[i]);
}

static bool reached(const lrk_node *n)
{
    for (int i = 0; i < LRK_MAX_OUT; i++) {
        if (n->out[i] && n->out[i]->buffer >= 0) return true;
    }
    return false;
}

/* Memory where segments are computed again: the largest must fit. */
static lrk_status reserve_replay(lrk_tape *t)
{
    size_t bytes = 0;
    for (size_t i = 0; i < t->n_segments; i++) {
        if (t->segments[i].bytes > bytes) bytes = t->segments[i].bytes;
    }
    return lrk_alloc(t->memory.step, bytes, 1, "recomputed segment", &t->replay, &t->err);
}

lrk_status lrk_backward(lrk_tape *t, lrk_var *loss, const lrk_tensor *seed, lrk_err *err)
{
    LRK_TRY(lrk_tape_status(t, err));
    LRK_ASSERT(t->gradients && lrk_count(&loss->value) == 1 && seed->dtype == loss->value.dtype);
    if (!loss->needs_grad) return LRK_OK;
    if (reserve_replay(t) != LRK_OK || !fresh_buffer(t, loss, false)) return lrk_tape_status(t, err);
    if (loss->grad.data)
        lrk_device_copy(t->memory.device, loss->grad.data, seed->data, lrk_bytes(&loss->grad));
    for (size_t i = t->n_nodes; i-- > 0 && t->err.status == LRK_OK;) {
        lrk_node *n = &t->nodes[i];
        if (n->needs_grad && reached(n)) node_backward(t, n);
    }
    lrk_aside_rejoin(t);
    return lrk_tape_status(t, err);
}
