/* base/journal.c -- pieces of work as lines of a file. */
#include "base/journal.h"

#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"

#include <string.h>

enum { MAX_FILE = 1 << 30, HASH = 12 };

typedef struct piece {
    const char *part; /* of line */
    size_t number;
    lrk_json *line;
} piece;

struct lrk_journal {
    const char *path;
    char *key; /* the first line */
    piece *piece;
    size_t n, capacity, added;
    bool there;
    lrk_arena arena;
};

static lrk_status name(lrk_journal *j, const char *stem, const lrk_json *key, lrk_err *err)
{
    char hash[65];
    lrk_buf line = {0}, path = {0};
    lrk_status s = lrk_json_dump(key, 0, &line, err);
    if (s == LRK_OK) s = lrk_buf_check(&line, err);
    if (s == LRK_OK) {
        lrk_sha256_hex(line.data, line.n, hash);
        lrk_buf_printf(&path, "%s.partial-%.*s", stem, HASH, hash);
        s = lrk_buf_check(&path, err);
    }
    if (s == LRK_OK) {
        j->key = lrk_strdup(&j->arena, line.data);
        j->path = lrk_strdup(&j->arena, path.data);
        if (!j->key || !j->path) s = lrk_fail(err, LRK_ENOMEM, "memory: no room for a journal");
    }
    lrk_buf_free(&line);
    lrk_buf_free(&path);
    return s;
}

lrk_status lrk_journal_damaged(const lrk_journal *j, lrk_err *err)
{
    return lrk_fail(err, LRK_EINPUT, "%s: not what this command wrote; remove it to begin anew", j->path);
}

/* Takes over row. */
static lrk_status take(lrk_journal *j, lrk_json *row, lrk_err *err)
{
    const char *part = lrk_json_string(lrk_json_get(row, "part"), NULL);
    const lrk_json *number = lrk_json_get(row, "number");
    const bool whole = lrk_json_is(number, LRK_JSON_INTEGER) && lrk_json_integer(number) >= 0;
    if (!part || !whole || !lrk_json_get(row, "value")) {
        lrk_json_free(row);
        return lrk_journal_damaged(j, err);
    }
    if (j->n == j->capacity) {
        const size_t capacity = j->capacity ? 2 * j->capacity : 64;
        piece *grown = lrk_heap_grow(j->piece, capacity, sizeof *grown);
        if (!grown) {
            lrk_json_free(row);
            return lrk_fail(err, LRK_ENOMEM, "memory: no room for a journal");
        }
        j->piece = grown;
        j->capacity = capacity;
    }
    j->piece[j->n++] = (piece){part, (size_t)lrk_json_integer(number), row};
    return LRK_OK;
}

/* Whole lines; what follows the last newline was cut off, and goes from the file too. */
static lrk_status read_file(lrk_journal *j, lrk_err *err)
{
    char *text, *line, *end;
    size_t n;
    LRK_TRY(lrk_file_read(&j->arena, j->path, MAX_FILE, &text, &n, err));
    char *last = memrchr(text, '\n', n);
    const size_t whole = last ? (size_t)(last - text) + 1 : 0;
    for (line = text; line < text + whole; line = end + 1) {
        lrk_json *row = NULL;
        end = memchr(line, '\n', (size_t)(text + whole - line));
        *end = '\0';
        if (line == text && strcmp(line, j->key) != 0) return lrk_journal_damaged(j, err);
        if (line == text) continue;
        if (lrk_json_parse(&row, line, (size_t)(end - line), j->path, NULL) != LRK_OK)
            return lrk_journal_damaged(j, err);
        LRK_TRY(take(j, row, err));
    }
    for (size_t i = 0; i < whole; i++)
        if (!text[i]) text[i] = '\n';
    if (whole && whole < n) LRK_TRY(lrk_file_write(j->path, text, whole, err));
    if (!whole) LRK_TRY(lrk_remove(j->path, err));
    j->there = whole > 0;
    return LRK_OK;
}

static void release(lrk_journal *j)
{
    for (size_t i = 0; i < j->n; i++) lrk_json_free(j->piece[i].line);
    lrk_heap_free(j->piece);
    lrk_arena_free(&j->arena);
    lrk_heap_free(j);
}

lrk_status lrk_journal_open(lrk_journal **out, const char *stem, lrk_json *key, lrk_err *err)
{
    lrk_journal *j = lrk_heap_alloc(1, sizeof *j);
    if (j) *j = (lrk_journal){.arena = lrk_arena_growing("journal")};
    lrk_status s = j ? name(j, stem, key, err) : lrk_fail(err, LRK_ENOMEM, "memory: no room for a journal");
    lrk_json_free(key);
    if (s == LRK_OK && lrk_is_file(j->path)) s = read_file(j, err);
    if (s != LRK_OK) {
        if (j) release(j);
        return s;
    }
    if (j->n) lrk_note("%s: going on with the %zu pieces that are finished", j->path, j->n);
    *out = j;
    return LRK_OK;
}

const lrk_json *lrk_journal_piece(const lrk_journal *j, size_t i, const char **part, size_t *number)
{
    if (!j || i >= j->n) return NULL;
    *part = j->piece[i].part;
    *number = j->piece[i].number;
    return lrk_json_get(j->piece[i].line, "value");
}

static lrk_status append(lrk_journal *j, const lrk_json *row, lrk_err *err)
{
    lrk_buf line = {0};
    if (!j->there) lrk_buf_printf(&line, "%s\n", j->key);
    lrk_status s = lrk_json_dump(row, 0, &line, err);
    lrk_buf_puts(&line, "\n");
    if (s == LRK_OK) s = lrk_buf_check(&line, err);
    if (s == LRK_OK) s = lrk_file_append(j->path, line.data, line.n, err);
    lrk_buf_free(&line);
    return s;
}

lrk_status lrk_journal_add(lrk_journal *j, const char *part, size_t number, lrk_json *value, lrk_err *err)
{
    lrk_json *row = lrk_json_object();
    lrk_json_set_text(row, "part", part);
    lrk_json_set_count(row, "number", number);
    lrk_json_set(row, "value", value);
    const lrk_status s = j ? append(j, row, err) : LRK_OK;
    if (j && s == LRK_OK) {
        j->there = true;
        j->added++;
    }
    lrk_json_free(row);
    return s;
}

void lrk_journal_close(lrk_journal *j, bool done)
{
    if (!j) return;
    if (done && j->there)
        (void)lrk_remove(j->path, NULL);
    else if (j->there)
        lrk_note("%s: %zu finished piece%s kept; the same command goes on from there", j->path, j->n + j->added,
                 j->n + j->added == 1 ? " is" : "s are");
    release(j);
}
