/* checkpoint/lookup.c -- sorted names. */
#include "checkpoint/lookup.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(((const lrk_lookup_row *)a)->name, ((const lrk_lookup_row *)b)->name);
}

const char *lrk_lookup_sort(lrk_lookup *l)
{
    if (l->n > 1) qsort(l->row, l->n, sizeof *l->row, by_name);
    for (size_t i = 1; i < l->n; i++)
        if (strcmp(l->row[i - 1].name, l->row[i].name) == 0) return l->row[i].name;
    return NULL;
}

size_t lrk_lookup_find(const lrk_lookup *l, const char *name)
{
    const lrk_lookup_row key = {.name = name};
    const lrk_lookup_row *row = l->n ? bsearch(&key, l->row, l->n, sizeof key, by_name) : NULL;
    return row ? row->at : SIZE_MAX;
}
