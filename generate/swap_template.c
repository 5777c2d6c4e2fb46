/* generate/swap_template.c -- finds a member's bytes in text that is known to be JSON. */
#include "generate/swap_template.h"

#include "base/file.h"
#include "base/json.h"

#include <string.h>

enum { MAX_CONFIG = 64 << 20 };

static size_t blanks(const char *s, size_t i)
{
    return i + strspn(s + i, " \t\r\n");
}

/* Behind the string that begins at i. */
static size_t string_end(const char *s, size_t i)
{
    for (i++; s[i] && s[i] != '"'; i++)
        if (s[i] == '\\' && s[i + 1]) i++;
    return s[i] ? i + 1 : i;
}

/* Behind the value that begins at i. */
static size_t value_end(const char *s, size_t i)
{
    size_t depth = 0;
    do {
        if (s[i] == '"') {
            i = string_end(s, i);
            continue;
        }
        if (strchr("[{", s[i])) depth++;
        if (strchr("]}", s[i])) depth--;
        i++;
    } while (s[i] && (depth || !strchr(",]} \t\r\n", s[i])));
    return i;
}

/* The bytes of a member's value in an object; false where it is not there under this spelling. */
static bool find(const char *s, const char *key, size_t *begin, size_t *end)
{
    const size_t n = strlen(key);
    size_t i = blanks(s, 0) + 1; /* behind the brace */
    for (i = blanks(s, i); s[i] == '"'; i = blanks(s, i)) {
        const size_t name = i + 1;
        i = string_end(s, i);
        const bool here = i - name == n + 1 && strncmp(s + name, key, n) == 0;
        *begin = i = blanks(s, blanks(s, i) + 1); /* behind the colon */
        *end = i = value_end(s, i);
        if (here) return true;
        i = blanks(s, i);
        if (s[i] == ',') i++;
    }
    return false;
}

static lrk_status swap(const char *text, size_t n, const char *path, const char *template, lrk_buf *out,
                       lrk_err *err)
{
    static const char key[] = "chat_template";
    lrk_json *v;
    size_t begin, end;
    LRK_TRY(lrk_json_parse(&v, text, n, path, err));
    const bool object = lrk_json_is(v, LRK_JSON_OBJECT), there = lrk_json_get(v, key);
    lrk_json_free(v);
    LRK_REQUIRE(err, object, LRK_EINPUT, "%s: expected an object", path);
    if (!there) return LRK_OK;
    LRK_REQUIRE(err, find(text, key, &begin, &end), LRK_ESUPPORT,
                "%s: the name of the member %s is written with escapes", path, key);
    lrk_buf_append(out, text, begin);
    lrk_json_quote(out, template, strlen(template));
    lrk_buf_append(out, text + end, n - end);
    return lrk_buf_check(out, err);
}

lrk_status lrk_swap_template(const char *path, const char *template, lrk_buf *out, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("tokenizer_config.json");
    char *text;
    size_t n;
    if (!lrk_is_file(path)) return LRK_OK;
    lrk_status s = lrk_file_read(&a, path, MAX_CONFIG, &text, &n, err);
    if (s == LRK_OK) s = swap(text, n, path, template, out, err);
    lrk_arena_free(&a);
    return s;
}
