/* models/places.c -- see places.h. */
#include "models/places.h"

#include <math.h>

/* Rows of A: of those of all experts. */
static size_t adapter_rows(const lrk_projection *p)
{
    return p->rank * (p->stack ? p->stack : 1);
}

/* Elements of A; of B and M. */
static size_t a_size(const lrk_projection *p) { return adapter_rows(p) * lrk_cols(&p->weight); }

static size_t rest_size(const lrk_projection *p)
{
    const size_t rows = lrk_rows(&p->weight);
    return p->rank * rows + (p->m.rank ? rows : 0);
}

bool lrk_places_share(const lrk_projection *q, const lrk_projection *p)
{
    const bool heads = q->which >= LRK_Q && q->which < p->which && p->which <= LRK_V;
    const bool gates = q->which == LRK_GATE && p->which == LRK_UP;
    const bool plain = !p->stack && !p->m.rank && !p->a0.rank && !q->stack && !q->m.rank && !q->a0.rank;
    return q->layer == p->layer && (heads || gates) && plain && fabs(q->attr.scale - p->attr.scale) <= 0.0 &&
           p->attr.dropout <= 0.0 && q->attr.dropout <= 0.0;
}

lrk_tensor lrk_places_shadow(const lrk_model *m, const lrk_tensor *t, size_t at)
{
    enum { CHUNK = 8 }; /* elements in 16 bytes */
    lrk_tensor s = *t;
    if (!m->shadow.rank || at + lrk_count(t) > lrk_count(&m->shadow) || at % CHUNK || t->stride % CHUNK)
        return (lrk_tensor){0};
    s.dtype = LRK_BF16;
    s.data = m->shadow.data ? (uint16_t *)m->shadow.data + at : NULL;
    return s;
}

/* A (rank, in) at element `at` of the vectors, B (out, rank) and M (out) behind each other at `rest`. */
static void slice(const lrk_model *m, lrk_projection *p, size_t at, size_t rest)
{
    const size_t b = p->rank * lrk_rows(&p->weight);
    float *parameters = m->parameters.data, *gradients = m->gradients.data;
    p->a = lrk_mat(LRK_F32, adapter_rows(p), lrk_cols(&p->weight));
    p->b = lrk_mat(LRK_F32, lrk_rows(&p->weight), p->rank);
    if (p->m.rank) p->m = lrk_vec(LRK_F32, lrk_rows(&p->weight));
    p->a.name = p->b.name = p->m.name = p->path;
    p->shadow_a = lrk_places_shadow(m, &p->a, at);
    p->shadow_b = lrk_places_shadow(m, &p->b, rest);
    if (m->gradients.rank) {
        p->da = p->a;
        p->db = p->b;
        p->dm = p->m;
    }
    if (parameters) {
        p->a.data = parameters + at;
        p->b.data = parameters + rest;
        p->m.data = parameters + rest + b;
    }
    if (gradients) {
        p->da.data = gradients + at;
        p->db.data = gradients + rest;
        p->dm.data = gradients + rest + b;
    }
}

/* One behind the last of the adapters that share an input with number `first`. */
static size_t end_of(const lrk_model *m, size_t first)
{
    size_t end = first + 1;
    while (end < m->n_adapted && m->adapted[end]->follows) end++;
    return end;
}

size_t lrk_places_count(const lrk_model *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_adapted; i++) n += a_size(m->adapted[i]) + rest_size(m->adapted[i]);
    return n;
}

void lrk_places_take(lrk_model *m)
{
    size_t at = 0;
    for (size_t i = 1; i < m->n_adapted; i++)
        m->adapted[i]->follows = lrk_places_share(m->adapted[i - 1], m->adapted[i]);
    for (size_t first = 0, end; first < m->n_adapted; first = end) {
        size_t rest = at;
        end = end_of(m, first);
        for (size_t i = first; i < end; i++) rest += a_size(m->adapted[i]);
        for (size_t i = first; i < end; i++) {
            slice(m, m->adapted[i], at, rest);
            at += a_size(m->adapted[i]);
            rest += rest_size(m->adapted[i]);
        }
        at = rest;
    }
}
