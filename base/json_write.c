/* base/json_write.c -- JSON values as text. */
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <inttypes.h>

void lrk_json_quote(lrk_buf *b, const char *s, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    lrk_buf_puts(b, "\"");
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        const char *named = c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\n' ? "\\n"
                          : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
        if (named) {
            lrk_buf_puts(b, named);
        } else if (c < 0x20) {
            const char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            lrk_buf_append(b, escape, sizeof escape);
        } else {
            lrk_buf_append(b, s + i, 1);
        }
    }
    lrk_buf_puts(b, "\"");
}

/* Where text goes, and how deep it stands. */
typedef struct writer {
    lrk_buf *b;
    int indent, depth;
} writer;

/* Between two members, behind an opening bracket and before a closing one. */
static void put_break(const writer *w, bool between)
{
    if (between) lrk_buf_puts(w->b, w->indent ? "," : ", ");
    if (w->indent) lrk_buf_printf(w->b, "\n%*s", w->indent * w->depth, "");
}

static void put(writer *w, const lrk_json *v);

static void put_object(writer *w, const lrk_json *v)
{
    bool any = false;
    lrk_buf_puts(w->b, "{");
    w->depth++;
    for (void *i = lrk_json_begin(v); i; i = lrk_json_next(v, i)) {
        size_t n;
        const char *key = lrk_json_key(i, &n);
        put_break(w, any);
        lrk_json_quote(w->b, key, n);
        lrk_buf_puts(w->b, ": ");
        put(w, lrk_json_value(i));
        any = true;
    }
    w->depth--;
    if (any) put_break(w, false);
    lrk_buf_puts(w->b, "}");
}

static void put_array(writer *w, const lrk_json *v)
{
    const size_t n = lrk_json_size(v);
    lrk_buf_puts(w->b, "[");
    w->depth++;
    for (size_t i = 0; i < n; i++) {
        put_break(w, i > 0);
        put(w, lrk_json_at(v, i));
    }
    w->depth--;
    if (n) put_break(w, false);
    lrk_buf_puts(w->b, "]");
}

static void put(writer *w, const lrk_json *v)
{
    char text[40];
    size_t n = 0;
    switch (lrk_json_type(v)) {
    case LRK_JSON_OBJECT: put_object(w, v); break;
    case LRK_JSON_ARRAY: put_array(w, v); break;
    case LRK_JSON_STRING: {
        const char *s = lrk_json_string(v, &n);
        lrk_json_quote(w->b, s, n);
        break;
    }
    case LRK_JSON_INTEGER: lrk_buf_printf(w->b, "%" PRId64, lrk_json_integer(v)); break;
    case LRK_JSON_REAL:
        lrk_real_text(lrk_json_number(v), text);
        lrk_buf_puts(w->b, text);
        break;
    case LRK_JSON_BOOL: lrk_buf_puts(w->b, lrk_json_bool(v) ? "true" : "false"); break;
    case LRK_JSON_NULL: lrk_buf_puts(w->b, "null"); break;
    }
}

lrk_status lrk_json_dump(const lrk_json *v, int indent, lrk_buf *b, lrk_err *err)
{
    LRK_TRY(lrk_json_check(v, err));
    put(&(writer){b, indent, 0}, v);
    return lrk_buf_check(b, err);
}

lrk_status lrk_json_save(const lrk_json *v, const char *path, lrk_err *err)
{
    lrk_buf text = {0};
    lrk_status status = lrk_json_dump(v, 2, &text, err);
    lrk_buf_puts(&text, "\n");
    if (status == LRK_OK) status = lrk_buf_check(&text, err);
    if (status == LRK_OK) status = lrk_file_write(path, text.data, text.n, err);
    lrk_buf_free(&text);
    return status;
}
