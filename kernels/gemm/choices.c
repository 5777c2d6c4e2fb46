/* kernels/gemm/choices.c -- the file of algorithms that were chosen by time. */
#include "kernels/gemm/choices.h"

#include "base/file.h"
#include "base/log.h"

#include <string.h>

enum { MOST_BYTES = 16 << 20, MOST_RANK = 99 };

static const char separator[] = " = ";

void lrk_choices_open(lrk_choices *c, const char *path)
{
    lrk_arena a = lrk_arena_growing("choices");
    lrk_err err = {0};
    char *data;
    size_t n;
    *c = (lrk_choices){.path = path};
    if (!path) return;
    /* nothing is appended: a file that cannot be written is known before anything is timed */
    if (lrk_file_append(path, "", 0, &err) == LRK_OK &&
        lrk_file_read(&a, path, MOST_BYTES, &data, &n, &err) == LRK_OK) {
        lrk_buf_append(&c->text, data, n);
    } else {
        lrk_warn("LRK_GPU_PRODUCTS: %s; products are not timed", err.text);
        c->path = NULL;
    }
    lrk_arena_free(&a);
}

void lrk_choices_close(lrk_choices *c)
{
    lrk_buf_free(&c->text);
    *c = (lrk_choices){0};
}

/* One or two digits that end the line. */
static int rank_at(const char *p)
{
    int rank = 0, digits = 0;
    for (; *p >= '0' && *p <= '9' && rank <= MOST_RANK; p++, digits++) rank = 10 * rank + (*p - '0');
    return digits && rank <= MOST_RANK && (*p == '\n' || !*p) ? rank : -1;
}

int lrk_choices_find(const lrk_choices *c, const char *key)
{
    const size_t n = strlen(key), between = sizeof separator - 1;
    int last = -1;
    for (const char *line = c->text.data; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, key, n) != 0 || strncmp(line + n, separator, between) != 0) continue;
        const int rank = rank_at(line + n + between);
        if (rank >= 0) last = rank;
    }
    return last;
}

void lrk_choices_keep(lrk_choices *c, const char *key, int rank)
{
    lrk_err err = {0};
    const size_t n = c->text.n;
    if (n && c->text.data[n - 1] != '\n') lrk_buf_puts(&c->text, "\n"); /* a last line that was cut off */
    lrk_buf_printf(&c->text, "%s%s%d\n", key, separator, rank);
    if (!c->path || lrk_buf_check(&c->text, NULL) != LRK_OK) return;
    if (lrk_file_append(c->path, c->text.data + n, c->text.n - n, &err) == LRK_OK) return;
    lrk_warn("LRK_GPU_PRODUCTS: %s; what was timed holds for this run alone", err.text);
    c->path = NULL;
}
