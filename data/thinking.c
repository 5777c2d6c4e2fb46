/* data/thinking.c -- finding, removing and looking for the thinking of a turn. */
#include "data/thinking.h"

#include <string.h>

static const char *const fields[] = {"reasoning_content", "reasoning", "thinking", "thought", "tool_plan"};
enum { FIELDS = sizeof fields / sizeof *fields };

/* behind: what leads over to the answer. opened: the head of an answer may have the beginning, and templates look for
 * the last end. */
static const struct {
    const char *begin, *end, *behind;
    bool opened;
} tags[] = {{"<think>", "</think>", "", true},
            {"[THINK]", "[/THINK]", "", true},
            {"<|START_THINKING|>", "<|END_THINKING|>", "", true},
            {"<thinking>", "</thinking>", "", false},
            {"<seed:think>", "</seed:think>", "", false},
            {"<mm:think>", "</mm:think>", "", false},
            {"<|inner_prefix|>", "<|inner_suffix|>", "", false},
            {"<|channel>thought", "<channel|>", "", false},
            {"<|channel|>analysis<|message|>", "<|end|>", "<|start|>assistant<|channel|>final<|message|>", false},
            {"<|think|>", "<|end|>", "<|begin|>assistant<|content|>", false}};
enum { TAGS = sizeof tags / sizeof *tags };

/* A block in a text: [begin, end) with its tags, and the thinking in it. */
typedef struct block {
    const char *begin, *thinking, *thinking_end, *end;
} block;

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

static bool find_tags(const char *text, size_t k, block *out)
{
    const char *begin = strstr(text, tags[k].begin), *end = NULL;
    if (!begin && !tags[k].opened) return false;
    for (const char *p = tags[k].opened ? text : begin; (p = strstr(p, tags[k].end)) != NULL; p++) {
        end = p;
        if (!tags[k].opened) break;
    }
    if (!end) return false;
    const bool opens = begin && begin < end;
    out->begin = opens ? begin : text;
    out->thinking = opens ? begin + strlen(tags[k].begin) : text;
    out->thinking_end = end;
    out->end = end + strlen(tags[k].end);
    if (strncmp(out->end, tags[k].behind, strlen(tags[k].behind)) == 0) out->end += strlen(tags[k].behind);
    return true;
}

static bool find_block(const char *text, block *out)
{
    for (size_t k = 0; text && k < TAGS; k++)
        if (find_tags(text, k, out)) return true;
    return false;
}

/* Piece i of a content that is a text or a list of pieces; NULL: there is none. */
static const char *piece_of(const lrk_json *content, size_t i)
{
    if (lrk_json_is(content, LRK_JSON_ARRAY))
        return lrk_json_string(lrk_json_get(lrk_json_at(content, i), "text"), NULL);
    return i ? NULL : lrk_json_string(content, NULL);
}

/* Who asks may write tags without thinking. */
static bool asks(const lrk_json *message)
{
    static const char *const roles[] = {"system", "developer", "user", "tool"};
    const char *role = lrk_json_string(lrk_json_get(message, "role"), NULL);
    for (size_t i = 0; role && i < sizeof roles / sizeof *roles; i++)
        if (strcmp(role, roles[i]) == 0) return true;
    return false;
}

bool lrk_thinking_field(const char *name)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(name, fields[i]) == 0) return true;
    return false;
}

const char *lrk_thinking_of(const lrk_json *message, size_t *n)
{
    const lrk_json *content = lrk_json_get(message, "content");
    if (asks(message)) return NULL;
    for (size_t i = 0; i < FIELDS; i++) {
        const char *s = lrk_json_string(lrk_json_get(message, fields[i]), n);
        if (s && (s = trim(s, n)) != NULL) return s;
    }
    const size_t pieces = lrk_json_is(content, LRK_JSON_ARRAY) ? lrk_json_size(content) : 1;
    block b;
    for (size_t i = 0; i < pieces; i++) {
        if (!find_block(piece_of(content, i), &b)) continue;
        *n = (size_t)(b.thinking_end - b.thinking);
        const char *s = trim(b.thinking, n);
        if (s) return s;
    }
    return NULL;
}

/* A text without its blocks, and without the line feeds behind them; *left: there is more than blanks. */
static lrk_status without_blocks(const char *text, lrk_json **out, bool *left, lrk_err *err)
{
    lrk_buf b = {.n = 0};
    lrk_buf_puts(&b, text);
    for (size_t k = 0; k < TAGS && !b.failed; k++) {
        lrk_buf kept = {.n = 0};
        const char *rest = b.data;
        for (block at; find_tags(rest, k, &at); rest = at.end + strspn(at.end, "\r\n"))
            lrk_buf_append(&kept, rest, (size_t)(at.begin - rest));
        lrk_buf_puts(&kept, rest);
        lrk_buf_free(&b);
        b = kept;
    }
    const lrk_status status = lrk_buf_check(&b, err);
    size_t n = b.n;
    if (status == LRK_OK) {
        *left = *left || trim(b.data, &n);
        *out = lrk_json_new_string(b.data, b.n);
    }
    lrk_buf_free(&b);
    return status;
}

/* A piece that is no text stays, and is something. */
static lrk_status piece_without(lrk_json *piece, const char *text, lrk_json *list, bool *left, lrk_err *err)
{
    lrk_json *said, *copy;
    *left = *left || !text;
    if (!text) {
        lrk_json_add(list, lrk_json_ref(piece));
        return LRK_OK;
    }
    LRK_TRY(without_blocks(text, &said, left, err));
    copy = lrk_json_object();
    for (void *k = lrk_json_begin(piece); k; k = lrk_json_next(piece, k))
        lrk_json_set(copy, lrk_json_key(k, NULL), lrk_json_ref(lrk_json_value(k)));
    lrk_json_set(copy, "text", said);
    lrk_json_add(list, copy);
    return LRK_OK;
}

/* The content of an answer without its blocks; what is neither a text nor pieces stays. */
static lrk_status content_without(lrk_json *content, lrk_json **out, bool *left, lrk_err *err)
{
    if (lrk_json_is(content, LRK_JSON_STRING)) return without_blocks(piece_of(content, 0), out, left, err);
    if (!lrk_json_is(content, LRK_JSON_ARRAY)) {
        *left = true;
        *out = lrk_json_ref(content);
        return LRK_OK;
    }
    lrk_json *list = lrk_json_array();
    lrk_status status = LRK_OK;
    for (size_t i = 0; i < lrk_json_size(content) && status == LRK_OK; i++)
        status = piece_without(lrk_json_at(content, i), piece_of(content, i), list, left, err);
    if (status == LRK_OK)
        *out = list;
    else
        lrk_json_free(list);
    return status;
}

static lrk_status strip(lrk_json **message, lrk_err *err)
{
    lrk_json *copy, *said = NULL, *content = lrk_json_get(*message, "content");
    bool left = !content;
    if (content) LRK_TRY(content_without(content, &said, &left, err));
    copy = lrk_json_object();
    for (void *i = lrk_json_begin(*message); i; i = lrk_json_next(*message, i)) {
        const char *key = lrk_json_key(i, NULL);
        if (!lrk_thinking_field(key)) lrk_json_set(copy, key, lrk_json_ref(lrk_json_value(i)));
    }
    if (said) lrk_json_set(copy, "content", said);
    left = left || lrk_json_size(lrk_json_get(copy, "tool_calls")) > 0;
    lrk_json_free(*message);
    *message = copy;
    LRK_REQUIRE(err, left, LRK_EINPUT, "without its thinking nothing is left; mend or remove the row");
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
