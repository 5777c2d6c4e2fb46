/* autograd/recompute.c -- brings back results whose memory was given away. */
#include "autograd/record.h"

/* The variables of a segment lie at the same offsets wherever it is computed. */
static void move(lrk_tape *t, lrk_var *v, int segment)
{
    if (v && v->segment == segment && t->replay) v->value.data = t->replay + v->offset;
}

static void replay_segment(lrk_tape *t, int segment)
{
    const lrk_segment *s = &t->segments[segment];
    t->replayed = segment;
    lrk_aside_replay(t, (size_t)segment);
    for (int i = s->first; i < s->end; i++) {
        lrk_node *n = &t->nodes[i];
        for (int k = 0; k < LRK_MAX_OUT; k++) move(t, n->out[k], segment);
        for (int k = 0; k < LRK_MAX_SAVED; k++) move(t, n->saved[k], segment);
    }
    for (int i = s->first; i < s->end; i++)
        if (!t->nodes[i].late) lrk_node_forward(t, &t->nodes[i], false);
}

void lrk_tape_restore(lrk_tape *t, const lrk_var *v)
{
    if (v->slot >= 0 && t->slots[v->slot].owner != v) {
        lrk_node *producer = &t->nodes[v->node];
        for (int i = 0; i < LRK_MAX_IN; i++) {
            if (producer->in[i]) lrk_tape_restore(t, producer->in[i]);
        }
        t->slots[v->slot].owner = v;
        lrk_node_forward(t, producer, true);
    }
    if (v->segment >= 0 && v->segment != t->open_segment && v->segment != t->replayed)
        replay_segment(t, v->segment);
}
