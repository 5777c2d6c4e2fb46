/* models/borders.c -- see borders.h. */
#include "models/borders.h"

#include "base/size.h"
#include "kernels/linear/borders.h"
#include "models/places.h"

enum { EIGHT = 8 }; /* numbers in 16 bytes */

/* Of projections that read one input: one border for all where their adapters are one op, else one for each. */
static void choose(lrk_projection *p, int n)
{
    const lrk_projection *last = NULL;
    size_t all = 0;
    bool one = true;
    for (int i = 0; i < n; i++) {
        if (!p[i].adapted) continue;
        if (p[i].rank % EIGHT) return;
        one = one && (!last || lrk_places_share(last, &p[i]));
        all += p[i].rank;
        last = &p[i];
    }
    one = one && last && all > last->rank;
    size_t before = 0;
    for (int i = 0; i < n; i++) {
        p[i].border = one ? all : p[i].adapted ? p[i].rank : 0;
        p[i].border_at = one ? before : 0;
        p[i].below = one && i > 0;
        before += p[i].adapted ? p[i].rank : 0;
    }
}

void lrk_borders_choose(lrk_layer *layer)
{
    lrk_projection *const p = layer->projection;
    for (int i = 0; i < LRK_PROJECTIONS; i++) {
        const bool shared = i >= LRK_SHARED_GATE && i <= LRK_SHARED_DOWN;
        int n = i == LRK_Q ? 3 : i == LRK_GATE ? 2 : 1;
        while (n > 1 && !p[i + n - 1].weight.rank) n--;
        if (!shared && i != LRK_ROUTER && i != LRK_SHARED_ROUTER) choose(&p[i], n);
        i += n - 1;
    }
}

/* Room for n columns behind those of t, which lie at column `at` of the border. */
static lrk_tensor behind(const lrk_tensor *t, size_t at, size_t n)
{
    lrk_tensor b = lrk_mat(LRK_BF16, lrk_rows(t), n);
    b.stride = t->stride;
    if (t->data) b.data = (char *)t->data + lrk_row_bytes(t->dtype, lrk_cols(t) + at);
    return b;
}

/* Weights first .. last, below each other, with A below them. */
static lrk_status place_inside(lrk_model *m, lrk_projection *p, int first, int last, lrk_arena *frozen, lrk_err *err)
{
    const size_t cols = lrk_cols(&p[first].weight), stride = cols + p[first].border;
    size_t rows = p[first].border;
    char *at;
    for (int i = first; i <= last; i++) rows += lrk_rows(&p[i].weight);
    LRK_TRY(lrk_alloc(frozen, rows * lrk_row_bytes(LRK_BF16, stride), 1, p[first].path, &at, err));
    m->border_bytes += rows * lrk_row_bytes(LRK_BF16, stride) -
                       (rows - p[first].border) * lrk_row_bytes(LRK_BF16, cols);
    for (int i = first; i <= last; i++) {
        p[i].weight.dtype = LRK_BF16;
        p[i].weight.data = at;
        p[i].weight.stride = stride;
        p[i].border_b = behind(&p[i].weight, p[i].border_at, p[i].rank);
        if (at) at += lrk_rows(&p[i].weight) * lrk_row_bytes(LRK_BF16, stride);
    }
    for (int i = first; i <= last; i++) {
        if (!p[i].adapted) continue;
        p[i].border_a = lrk_mat(LRK_BF16, p[i].rank, cols);
        p[i].border_a.stride = stride;
        p[i].border_a.data = at ? at + p[i].border_at * lrk_row_bytes(LRK_BF16, stride) : NULL;
    }
    return LRK_OK;
}

/* The B of several as the blocks of one matrix. */
static lrk_status place_apart(lrk_model *m, lrk_projection *p, int first, int last, lrk_arena *frozen, lrk_err *err)
{
    const size_t all = p[first].border;
    size_t rows = 0;
    char *at;
    for (int i = first; i <= last; i++) rows += lrk_rows(&p[i].weight);
    LRK_TRY(lrk_alloc(frozen, rows * lrk_row_bytes(LRK_BF16, all), 1, p[first].path, &at, err));
    m->border_bytes += rows * lrk_row_bytes(LRK_BF16, all);
    for (int i = first; i <= last; i++) {
        p[i].border_b = lrk_mat(LRK_BF16, lrk_rows(&p[i].weight), p[i].rank);
        p[i].border_b.stride = all;
        p[i].border_b.data = at ? at + lrk_row_bytes(LRK_BF16, p[i].border_at) : NULL;
        if (at) at += lrk_rows(&p[i].weight) * lrk_row_bytes(LRK_BF16, all);
    }
    return LRK_OK;
}

lrk_status lrk_borders_place(lrk_model *m, lrk_layer *layer, int first, int last, bool inside, lrk_arena *frozen,
                             lrk_err *err)
{
    lrk_projection *const p = layer->projection;
    if (inside && lrk_cols(&p[first].weight) % EIGHT == 0) return place_inside(m, p, first, last, frozen, err);
    return last > first ? place_apart(m, p, first, last, frozen, err) : LRK_OK;
}

/* The borders of one projection into the table, unless it is NULL; how many there are. */
static size_t list(const lrk_projection *p, lrk_border *to)
{
    size_t n = 0;
    if (p->border_b.rank) {
        const size_t at = lrk_row_bytes(LRK_BF16, p->border_at), cols = p->adapted ? p->rank : 0;
        if (to)
            to[n] = (lrk_border){p->b.data, (uint16_t *)(void *)((char *)p->border_b.data - at), lrk_rows(&p->weight),
                                 cols, p->border_at, p->border, p->border_b.stride};
        n++;
    }
    if (p->border_a.rank) {
        const size_t cols = lrk_cols(&p->border_a);
        if (to) to[n] = (lrk_border){p->a.data, p->border_a.data, p->rank, cols, 0, cols, p->border_a.stride};
        n++;
    }
    return n;
}

static size_t list_all(const lrk_model *m, lrk_border *to)
{
    size_t n = 0;
    for (size_t i = 0; i < m->decoder.layers; i++)
        for (int which = 0; which < LRK_PROJECTIONS; which++)
            n += list(&m->layers[i].projection[which], to ? to + n : NULL);
    return n;
}

lrk_status lrk_borders_list(lrk_model *m, lrk_arena *frozen, lrk_err *err)
{
    lrk_border *table;
    m->n_borders = list_all(m, NULL);
    if (!m->n_borders) return LRK_OK;
    LRK_TRY(lrk_alloc(frozen, m->n_borders, sizeof *table, "borders", &m->borders, err));
    if (!m->borders || !m->parameters.data) return LRK_OK; /* nothing is there yet */
    LRK_TRY(lrk_alloc(&m->own, m->n_borders, sizeof *table, "borders", &table, err));
    (void)list_all(m, table);
    lrk_device_upload(m->device, m->borders, table, m->n_borders * sizeof *table);
    return LRK_OK;
}

void lrk_borders_write(const lrk_model *m)
{
    if (m->n_borders) lrk_borders_write_cuda(m->borders, m->n_borders);
}

const lrk_tensor *lrk_borders_a(const lrk_projection *p)
{
    return p->border_a.rank ? &p->border_a : p->shadow_a.rank ? &p->shadow_a : &p->a;
}

const lrk_tensor *lrk_borders_b(const lrk_projection *p)
{
    return p->border_b.rank ? &p->border_b : p->shadow_b.rank ? &p->shadow_b : &p->b;
}
