/* data/template/spans.c -- from marks on the text to what each message says in it. */
#include "data/template/value.h"

#include <string.h>

typedef struct collector {
    lrk_jrun *r;
    const lrk_json *messages;
    lrk_rendered *out;
    size_t capacity;
} collector;

static const char *role_of(const lrk_json *messages, size_t m)
{
    const char *role = lrk_json_string(lrk_json_get(lrk_json_at(messages, m), "role"), NULL);
    return role ? role : "";
}

static lrk_status add(collector *c, size_t begin, size_t end, size_t message, const char *role,
                      lrk_span_kind kind)
{
    lrk_rendered *o = c->out;
    if (begin == end) return LRK_OK;
    if (o->n_spans == c->capacity) {
        const size_t capacity = c->capacity ? 2 * c->capacity : 8;
        lrk_span *grown;
        LRK_TRY(lrk_alloc(&o->arena, capacity, sizeof *grown, "spans", &grown, c->r->err));
        if (o->n_spans) memcpy(grown, o->spans, o->n_spans * sizeof *grown);
        o->spans = grown;
        c->capacity = capacity;
    }
    const char *copy = lrk_strdup(&o->arena, role);
    LRK_REQUIRE(c->r->err, copy, LRK_ENOMEM, "%s: out of memory", c->r->t->name);
    o->spans[o->n_spans++] = (lrk_span){begin, end, message, copy, kind};
    return LRK_OK;
}

/* Length of the longest end token that stands at byte i before limit, 0 where none does. */
static size_t end_token_at(const lrk_jrun *r, size_t i, size_t limit)
{
    size_t longest = 0;
    for (size_t k = 0; r->o && k < r->o->n_end_tokens; k++) {
        const char *token = r->o->end_tokens[k];
        const size_t n = strlen(token);
        if (n > longest && n <= limit - i && memcmp(r->text.s + i, token, n) == 0) longest = n;
    }
    return longest;
}

static bool blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/* Where the end token of a turn that stopped at `end` stops; `end` where there is none. Up to
 * `limit` the text is the template's own. After words only blanks may come first. A tool call is
 * closed by the template's brackets and tags, so there the first end token counts. */
static size_t turn_end(const lrk_jrun *r, size_t end, size_t limit, bool call, size_t *content_end)
{
    *content_end = end;
    for (size_t i = end; i < limit; i++) {
        const size_t n = end_token_at(r, i, limit);
        if (n) {
            if (call) *content_end = i;
            return i + n;
        }
        if (!call && !blank(r->text.s[i])) break;
    }
    return end;
}

static lrk_status content_spans(collector *c)
{
    const lrk_jrun *r = c->r;
    const lrk_jmark *marks = r->text.marks;
    for (size_t i = 0; i < r->text.n_marks;) {
        const size_t message = marks[i].origin / 4;
        size_t last = i;
        while (last + 1 < r->text.n_marks && marks[last + 1].origin / 4 == message) last++;
        const size_t limit = last + 1 < r->text.n_marks ? marks[last + 1].begin : r->text.n;
        const bool call = (marks[last].origin & 3) == LRK_J_CALLS;
        const char *role = role_of(c->messages, message);
        const bool assistant = strcmp(role, "assistant") == 0;
        size_t content_end;
        const size_t end = turn_end(r, marks[last].end, limit, call, &content_end);
        if (!assistant || !r->t->generation) {
            LRK_TRY(add(c, marks[i].begin, content_end, message, role, LRK_SPAN_CONTENT));
            LRK_TRY(add(c, content_end, end, message, role, LRK_SPAN_END));
        }
        i = last + 1;
    }
    return LRK_OK;
}

/* The message a generation block is about: the first that says something in it. */
static size_t message_in(const lrk_jrun *r, const lrk_jmark *block)
{
    for (size_t i = 0; i < r->text.n_marks; i++)
        if (r->text.marks[i].begin >= block->begin && r->text.marks[i].end <= block->end)
            return r->text.marks[i].origin / 4;
    return SIZE_MAX;
}

static bool inside_a_block(const lrk_jrun *r, const lrk_span *s)
{
    for (size_t i = 0; i < r->n_generations; i++)
        if (s->begin < r->generations[i].end && s->end > r->generations[i].begin) return true;
    return false;
}

/* Blocks are the assistant's; what others say inside a block is the block's. */
static lrk_status generation_spans(collector *c)
{
    lrk_rendered *o = c->out;
    size_t kept = 0;
    for (size_t i = 0; i < o->n_spans; i++)
        if (!inside_a_block(c->r, &o->spans[i])) o->spans[kept++] = o->spans[i];
    o->n_spans = kept;
    for (size_t i = 0; i < c->r->n_generations; i++) {
        const lrk_jmark *g = &c->r->generations[i];
        LRK_TRY(add(c, g->begin, g->end, message_in(c->r, g), "assistant", LRK_SPAN_GENERATION));
    }
    for (size_t i = kept ? kept : 1; i < o->n_spans; i++) {
        const lrk_span span = o->spans[i];
        size_t j = i;
        for (; j > 0 && o->spans[j - 1].begin > span.begin; j--) o->spans[j] = o->spans[j - 1];
        o->spans[j] = span;
    }
    return LRK_OK;
}

static lrk_status list_said(const lrk_jrun *r, lrk_rendered *out)
{
    const lrk_jmark *m = r->text.marks;
    LRK_TRY(lrk_alloc(&out->arena, r->text.n_marks, sizeof *out->said, "what is said", &out->said, r->err));
    for (size_t i = 0; i < r->text.n_marks; i++) {
        const lrk_said next = {m[i].begin, m[i].end, m[i].origin / 4, (lrk_said_field)(m[i].origin & 3)};
        lrk_said *last = out->n_said ? &out->said[out->n_said - 1] : NULL;
        if (next.begin == next.end) continue;
        if (last && last->end == next.begin && last->message == next.message && last->field == next.field)
            last->end = next.end;
        else
            out->said[out->n_said++] = next;
    }
    return LRK_OK;
}

const char *lrk_said_name(lrk_said_field f)
{
    return f == LRK_FIELD_CONTENT ? "content" : f == LRK_FIELD_CALLS ? "tool_calls" : "thinking";
}

lrk_status lrk_j_spans(lrk_jrun *r, const lrk_json *messages, lrk_rendered *out)
{
    collector c = {.r = r, .messages = messages, .out = out};
    LRK_TRY(list_said(r, out));
    LRK_TRY(content_spans(&c));
    return generation_spans(&c);
}
