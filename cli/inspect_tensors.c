/* cli/inspect_tensors.c -- tensors told apart by type, shape and name, but for the numbers in it. */
#include "cli/inspect_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 3, SLOT = '\0' }; /* which no name holds */

typedef struct group {
    const lrk_json *first;
    lrk_buf key;  /* its type, shape and name, SLOT in place of numbers */
    size_t name;  /* where that begins in the key */
    lrk_buf runs; /* of the first number: "0-3,7" */
    size_t begin, last;             /* of the run that is not in it yet */
    size_t low[SLOTS], high[SLOTS]; /* of each number */
    size_t n;
    uint64_t bytes;
} group;

static bool is_number(const char *s, size_t n)
{
    return n > 0 && n < 10 && strspn(s, "0123456789") >= n;
}

/* Appends the name, its first numbers as slots; how many there are. */
static size_t take_numbers(const char *name, size_t *number, lrk_buf *out)
{
    size_t slots = 0;
    for (;;) {
        const size_t n = strcspn(name, ".");
        if (slots < SLOTS && is_number(name, n)) {
            number[slots++] = strtoul(name, NULL, 10);
            lrk_buf_append(out, (const char[]){SLOT}, 1);
        } else {
            lrk_buf_append(out, name, n);
        }
        if (!name[n]) return slots;
        lrk_buf_puts(out, ".");
        name += n + 1;
    }
}

static void close_run(group *g)
{
    lrk_buf_printf(&g->runs, "%s%zu", g->runs.n ? "," : "", g->begin);
    if (g->last > g->begin) lrk_buf_printf(&g->runs, "-%zu", g->last);
}

static void join(group *g, const size_t *number, size_t slots, uint64_t bytes)
{
    if (slots && g->n && number[0] > g->last + 1) {
        close_run(g);
        g->begin = number[0];
    } else if (!g->n) {
        g->begin = number[0];
    }
    g->last = number[0];
    for (size_t i = 0; i < slots; i++) {
        if (!g->n || number[i] < g->low[i]) g->low[i] = number[i];
        if (!g->n || number[i] > g->high[i]) g->high[i] = number[i];
    }
    g->n++;
    g->bytes += bytes;
}

/* "[576, 64]" */
static lrk_status put_shape(const lrk_json *tensor, lrk_buf *out, lrk_err *err)
{
    return lrk_json_dump(lrk_json_get(tensor, "shape"), 0, out, err);
}

/* Type, shape and name, and the numbers of that; none where each tensor is to have a line. */
static lrk_status make_key(group *g, bool all, size_t *number, size_t *slots, lrk_err *err)
{
    const char *name = lrk_json_word(g->first, "name"), *type = lrk_json_word(g->first, "type");
    lrk_buf_printf(&g->key, "%s ", type ? type : "");
    LRK_TRY(put_shape(g->first, &g->key, err));
    g->name = g->key.n;
    *slots = 0;
    if (all)
        lrk_buf_puts(&g->key, name ? name : "");
    else
        *slots = take_numbers(name ? name : "", number, &g->key);
    return lrk_buf_check(&g->key, err);
}

/* Into the group that it belongs to, of n, or into a new one behind them. */
static lrk_status sort_in(const lrk_json *tensor, bool all, group *list, size_t *n, lrk_err *err)
{
    group g = {.first = tensor};
    size_t number[SLOTS] = {0}, slots, i = all ? *n : 0;
    const lrk_status status = make_key(&g, all, number, &slots, err);
    while (status == LRK_OK && i < *n &&
           (list[i].key.n != g.key.n || memcmp(list[i].key.data, g.key.data, g.key.n) != 0))
        i++;
    if (status == LRK_OK && i == *n)
        list[(*n)++] = g;
    else
        lrk_buf_free(&g.key);
    if (status == LRK_OK) join(&list[i], number, slots, (uint64_t)lrk_json_integer(lrk_json_get(tensor, "bytes")));
    return status;
}

/* The name with what its numbers are. */
static void put_name(const group *g, lrk_buf *out)
{
    size_t slot = 0;
    for (const char *at = g->key.data + g->name; at < g->key.data + g->key.n; at++) {
        if (*at != SLOT) {
            lrk_buf_append(out, at, 1);
            continue;
        }
        const bool one = slot ? g->low[slot] == g->high[slot] : !strpbrk(g->runs.data, "-,");
        lrk_buf_puts(out, one ? "" : "{");
        if (slot == 0)
            lrk_buf_puts(out, g->runs.data);
        else if (one)
            lrk_buf_printf(out, "%zu", g->low[slot]);
        else
            lrk_buf_printf(out, "%zu-%zu", g->low[slot], g->high[slot]);
        lrk_buf_puts(out, one ? "" : "}");
        slot++;
    }
}

static lrk_status print_group(group *g, lrk_err *err)
{
    lrk_buf shape = {0}, name = {0}, quoted = {0};
    const char *type = lrk_json_word(g->first, "type");
    close_run(g);
    lrk_status status = lrk_buf_check(&g->runs, err);
    if (status == LRK_OK) status = put_shape(g->first, &shape, err);
    if (status == LRK_OK && g->n > 1)
        put_name(g, &name);
    else if (status == LRK_OK)
        lrk_buf_puts(&name, lrk_json_word(g->first, "name") ? lrk_json_word(g->first, "name") : "");
    if (status == LRK_OK) status = lrk_buf_check(&name, err);
    if (status == LRK_OK) lrk_json_quote(&quoted, name.data, name.n);
    if (status == LRK_OK) status = lrk_buf_check(&quoted, err);
    if (status == LRK_OK) {
        printf("  %-5s %-16s %.*s", type ? type : "", shape.data, (int)quoted.n - 2, quoted.data + 1);
        if (g->n > 1) printf("  %zu, %.1f MB", g->n, (double)g->bytes / 1e6);
        putchar('\n');
    }
    lrk_buf_free(&shape);
    lrk_buf_free(&name);
    lrk_buf_free(&quoted);
    return status;
}

lrk_status lrk_inspect_tensors(const lrk_json *tensors, bool all, lrk_arena *a, bool *folded, lrk_err *err)
{
    const size_t most = lrk_json_size(tensors);
    size_t n = 0;
    group *list;
    LRK_TRY(lrk_alloc(a, most + 1, sizeof *list, "tensors", &list, err));
    lrk_status status = LRK_OK;
    for (size_t i = 0; status == LRK_OK && i < most; i++) status = sort_in(lrk_json_at(tensors, i), all, list, &n, err);
    for (size_t i = 0; status == LRK_OK && i < n; i++) status = print_group(&list[i], err);
    for (size_t i = 0; i < n; i++) {
        lrk_buf_free(&list[i].key);
        lrk_buf_free(&list[i].runs);
    }
    *folded = n < most;
    return status;
}
