/* data/thinking.c -- finding, removing and looking for the thinking of a turn. */
#include "data/thinking.h"

#include <string.h>

static const char *const fields[] = {"reasoning_content", "reasoning", "thinking"};
enum { FIELDS = sizeof fields / sizeof *fields };
static const char begin_tag[] = "<think>", end_tag[] = "</think>";

lrk_status lrk_thinking_choose(const char *name, lrk_thinking *out, lrk_err *err)
{
    static const char *const names[] = {"keep", "template", "strip", "refuse"};
    *out = LRK_THINKING_KEEP;
    if (!name) return LRK_OK;
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (lrk_thinking)i;
        return LRK_OK;
    }
    return lrk_fail(err, LRK_EUSAGE, "thinking blocks %s: expected keep, template, strip or refuse",
                    name);
}

static const char *trim(const char *s, size_t *n)
{
    while (*n && strchr(" \t\r\n", s[*n - 1])) --*n;
    while (*n && strchr(" \t\r\n", *s)) {
        s++;
        --*n;
    }
    return *n ? s : NULL;
}

/* The last "</think>" of the content, as templates split it; NULL where there is none. */
static const char *closing(const lrk_json *message)
{
    const char *content = lrk_json_string(lrk_json_get(message, "content"), NULL), *last = NULL;
    for (const char *p = content; p && (p = strstr(p, end_tag)) != NULL; p += sizeof end_tag - 1)
        last = p;
    return last;
}

const char *lrk_thinking_of(const lrk_json *message, size_t *n)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const char *s = lrk_json_string(lrk_json_get(message, fields[i]), n);
        if (s && (s = trim(s, n)) != NULL) return s;
    }
    const char *end = closing(message);
    if (!end) return NULL;
    const char *content = lrk_json_string(lrk_json_get(message, "content"), NULL);
    const char *begin = strstr(content, begin_tag);
    if (begin && begin < end) content = begin + sizeof begin_tag - 1;
    *n = (size_t)(end - content);
    return trim(content, n);
}

static bool is_field(const char *key)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(key, fields[i]) == 0) return true;
    return false;
}

static lrk_status strip(lrk_json **message, lrk_err *err)
{
    lrk_json *copy = lrk_json_object();
    const char *end = closing(*message);
    for (void *i = lrk_json_begin(*message); i; i = lrk_json_next(*message, i)) {
        const char *key = lrk_json_key(i, NULL);
        if (!is_field(key)) lrk_json_set(copy, key, lrk_json_ref(lrk_json_value(i)));
    }
    if (end) {
        const char *rest = end + sizeof end_tag - 1;
        size_t n = strlen(rest);
        while (n && strchr("\r\n", *rest)) {
            rest++;
            n--;
        }
        lrk_json_set(copy, "content", lrk_json_new_string(rest, n));
    }
    lrk_json_free(*message);
    *message = copy;
    size_t n;
    const char *content = lrk_json_string(lrk_json_get(copy, "content"), &n);
    const bool calls = lrk_json_size(lrk_json_get(copy, "tool_calls")) > 0;
    LRK_REQUIRE(err, !content || calls || trim(content, &n), LRK_EINPUT,
                "without its thinking nothing is left; mend or remove the row");
    return LRK_OK;
}

lrk_status lrk_thinking_apply(lrk_thinking t, lrk_json **message, lrk_err *err)
{
    size_t n;
    if ((t != LRK_THINKING_STRIP && t != LRK_THINKING_REFUSE) || !lrk_thinking_of(*message, &n))
        return LRK_OK;
    LRK_REQUIRE(err, t == LRK_THINKING_STRIP, LRK_EINPUT,
                "holds thinking, which thinking_blocks: refuse forbids");
    return strip(message, err);
}

static bool holds(const char *text, size_t n, const char *part, size_t m)
{
    for (size_t i = 0; m <= n && i <= n - m; i++)
        if (memcmp(text + i, part, m) == 0) return true;
    return false;
}

bool lrk_thinking_shown(const lrk_json *messages, size_t m, const lrk_rendered *r, const char *text)
{
    size_t n;
    const char *thinking = lrk_thinking_of(lrk_json_at(messages, m), &n);
    if (!thinking) return true;
    for (size_t i = 0; i < r->n_spans; i++) {
        const lrk_span *s = &r->spans[i];
        if (s->message == m && holds(text + s->begin, s->end - s->begin, thinking, n)) return true;
    }
    return false;
}
