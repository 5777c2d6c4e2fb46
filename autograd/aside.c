/* autograd/aside.c -- kept results of segments in this process's memory while nobody needs them. Segment i's
 * lies where that of i - 2 lay. */
#include "autograd/record.h"

static bool counting(const lrk_tape *t)
{
    return lrk_arena_counting(t->memory.step);
}

static size_t bytes_of(const lrk_segment *s)
{
    return lrk_bytes(&s->keep->value);
}

void lrk_aside_begin(lrk_tape *t, size_t i)
{
    if (!t->memory.host || !t->gradients || i < 2) return;
    lrk_segment *s = &t->segments[i - 2];
    if (lrk_alloc(t->memory.host, bytes_of(s), 1, "kept result, put aside", &s->host, &t->err) != LRK_OK) return;
    if (!counting(t)) lrk_device_put_aside(t->memory.device, s->host, s->slot, bytes_of(s));
    s->where = LRK_AWAY;
}

bool lrk_aside_end(lrk_tape *t, size_t i, lrk_var *keep)
{
    if (!t->memory.host || !t->gradients) return false;
    t->segments[i].keep = keep;
    if (i < 2) return false;
    LRK_ASSERT(lrk_bytes(&keep->value) == bytes_of(&t->segments[i - 2]));
    t->segments[i].slot = t->segments[i - 2].slot;
    if (!counting(t)) lrk_device_rejoin(t->memory.device); /* it has been read */
    return true;
}

static void fetch(lrk_tape *t, lrk_segment *s)
{
    if (s->where != LRK_AWAY) return;
    if (!counting(t)) lrk_device_bring_back(t->memory.device, s->slot, s->host, bytes_of(s));
    s->where = LRK_COMING;
}

/* Backward has done with all that lies behind segment i: its kept result is computed with the others, and
 * its place is free for that of i - 2. */
void lrk_aside_replay(lrk_tape *t, size_t i)
{
    if (!t->memory.host) return;
    lrk_segment *s = &t->segments[i];
    if (t->replay) s->keep->value.data = t->replay + s->keep->offset;
    if (i < 1) return;
    fetch(t, s - 1);
    lrk_aside_rejoin(t);
    if (i > 1) fetch(t, s - 2);
}

void lrk_aside_rejoin(lrk_tape *t)
{
    bool coming = false;
    for (size_t i = 0; t->memory.host && i < t->n_segments; i++) {
        coming |= t->segments[i].where == LRK_COMING;
        if (t->segments[i].where == LRK_COMING) t->segments[i].where = LRK_HERE;
    }
    if (coming && !counting(t)) lrk_device_rejoin(t->memory.device);
}
