/* data/packing.c -- first fit, longest first, and beginnings once. */
#include "data/packing.h"

#include "base/size.h"

#include <stdlib.h>

lrk_status lrk_packing_alloc(lrk_packing *p, lrk_arena *a, size_t capacity, lrk_err *err)
{
    LRK_TRY(lrk_alloc(a, capacity, sizeof *p->rows, "rows of a step", &p->rows, err));
    LRK_TRY(lrk_alloc(a, 2 * capacity, sizeof *p->pieces, "pieces of a step", &p->pieces, err));
    return lrk_alloc(a, capacity, sizeof *p->bins, "micro-batches", &p->bins, err);
}

static int longest_first(const void *x, const void *y)
{
    const lrk_packed_row *a = x, *b = y;
    if (a->length != b->length) return a->length < b->length ? 1 : -1;
    return (a->place > b->place) - (a->place < b->place);
}

static int as_they_stand(const void *x, const void *y)
{
    const lrk_packed_row *a = x, *b = y;
    if (a->bin != b->bin) return a->bin < b->bin ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

static size_t common(const lrk_prefixes *prefixes, const lrk_packed_row *a, const lrk_packed_row *b)
{
    return prefixes ? lrk_prefixes_common(prefixes, (size_t)a->number, (size_t)b->number) : 0;
}

/* Tokens of row i that stand in micro-batch k already. */
static size_t shared(const lrk_packing *p, size_t i, size_t k, const lrk_prefixes *prefixes)
{
    size_t most = 0;
    if (!prefixes || !lrk_prefixes_order(prefixes, (size_t)p->rows[i].number)) return 0;
    for (size_t j = 0; j < i; j++)
        if (p->rows[j].bin == k) most = lrk_max(most, common(prefixes, &p->rows[j], &p->rows[i]));
    return most;
}

static void put(lrk_packing *p, size_t i, size_t max_tokens, size_t max_rows, const lrk_prefixes *prefixes)
{
    lrk_packed_row *row = &p->rows[i];
    size_t k = 0, tokens = row->length;
    for (; k < p->n_bins; k++) {
        if (max_rows && p->bins[k].rows == max_rows) continue;
        tokens = row->length - shared(p, i, k, prefixes);
        if (!max_tokens || p->bins[k].tokens + tokens <= max_tokens) break;
    }
    if (k == p->n_bins) {
        p->bins[p->n_bins++] = (lrk_bin){0};
        tokens = row->length;
    }
    p->bins[k].tokens += tokens;
    p->bins[k].rows++;
    p->bins[k].trained += row->trained;
    row->bin = k;
}

static int32_t add_piece(lrk_packing *p, lrk_bin *b, lrk_row_piece piece)
{
    p->pieces[p->n_pieces++] = piece;
    return (int32_t)b->pieces++;
}

/* Rows low .. high - 1, which share their first `depth` tokens: those that share more stand together. */
static void lay_out(lrk_packing *p, lrk_bin *b, size_t low, size_t high, size_t depth, int32_t parent,
                    const lrk_prefixes *prefixes)
{
    for (size_t end; low < high; low = end) {
        const lrk_packed_row *row = &p->rows[low];
        size_t least = row->length;
        for (end = low + 1; end < high; end++) {
            const size_t n = common(prefixes, &p->rows[end - 1], &p->rows[end]);
            if (n <= depth) break;
            least = lrk_min(least, n);
        }
        const int32_t self = add_piece(p, b, (lrk_row_piece){row->number, depth, least, parent});
        if (end - low > 1) lay_out(p, b, low, end, least, self, prefixes);
    }
}

void lrk_pack(lrk_packing *p, size_t n, size_t max_tokens, size_t max_rows, const lrk_prefixes *prefixes)
{
    p->n_bins = p->n_pieces = 0;
    for (size_t i = 0; i < n; i++) p->rows[i].place = i;
    qsort(p->rows, n, sizeof *p->rows, longest_first);
    for (size_t i = 0; i < n; i++) put(p, i, max_tokens, max_rows, prefixes);
    for (size_t i = 0; i < n; i++) {
        const size_t order = prefixes ? lrk_prefixes_order(prefixes, (size_t)p->rows[i].number) : 0;
        p->rows[i].place = order * n + i;
    }
    qsort(p->rows, n, sizeof *p->rows, as_they_stand);
    for (size_t k = 0, low = 0; k < p->n_bins; low += p->bins[k++].rows) {
        p->bins[k].first = p->n_pieces;
        lay_out(p, &p->bins[k], low, low + p->bins[k].rows, 0, -1, prefixes);
    }
}
