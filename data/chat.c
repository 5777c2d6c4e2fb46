/* data/chat.c -- rows to text and trained ranges. */
#include "data/chat.h"

#include <string.h>

/* End tokens of public models, for contexts that come without a tokenizer. */
static const char *const usual_ends[] = {"<|im_end|>",
                                         "<|eot_id|>",
                                         "<|eom_id|>",
                                         "</s>",
                                         "<end_of_turn>",
                                         "<|end|>",
                                         "<|endoftext|>",
                                         "<|end_of_text|>",
                                         "<eos>",
                                         "<|eot|>",
                                         "<|return|>",
                                         "<|call|>",
                                         "<|end_of_turn|>",
                                         "<|END_OF_TURN_TOKEN|>",
                                         "<｜end▁of▁sentence｜>",
                                         "<|EOT|>",
                                         "<|role_end|>",
                                         "<|message_sep|>",
                                         "<|assistant_end|>",
                                         "<seed:eos>",
                                         "<turn|>"};
enum { USUAL = sizeof usual_ends / sizeof *usual_ends };

typedef struct ends {
    const char *token[USUAL + 1];
    size_t n;
} ends;

static lrk_render_options render_options(const lrk_chat_options *o, const char *eos, ends *e)
{
    lrk_render_options r = {.now = o->now};
    if (o->end_tokens) {
        r.end_tokens = o->end_tokens;
        r.n_end_tokens = o->n_end_tokens;
        return r;
    }
    for (size_t i = 0; i < USUAL; i++) e->token[e->n++] = usual_ends[i];
    if (eos && *eos) e->token[e->n++] = eos;
    r.end_tokens = e->token;
    r.n_end_tokens = e->n;
    return r;
}

/* ---- which bytes ---- */

typedef struct ranges {
    lrk_chat_text *out;
    size_t capacity;
    lrk_err *err;
} ranges;

static lrk_status add_range(ranges *r, size_t begin, size_t end)
{
    lrk_chat_text *t = r->out;
    if (begin >= end) return LRK_OK;
    if (t->n_trained && t->trained[t->n_trained - 1].end == begin) {
        t->trained[t->n_trained - 1].end = end;
        return LRK_OK;
    }
    if (t->n_trained == r->capacity) {
        const size_t capacity = r->capacity ? 2 * r->capacity : 8;
        lrk_chat_range *grown = lrk_heap_grow(t->trained, capacity, sizeof *grown);
        LRK_REQUIRE(r->err, grown, LRK_ENOMEM, "memory: no room for trained ranges");
        t->trained = grown;
        r->capacity = capacity;
    }
    t->trained[t->n_trained++] = (lrk_chat_range){begin, end};
    return LRK_OK;
}

static bool role_trained(const lrk_chat_options *o, const char *role)
{
    if (!o->roles_to_train) return strcmp(role, "assistant") == 0;
    for (size_t i = 0; i < o->n_roles_to_train; i++)
        if (strcmp(o->roles_to_train[i], role) == 0) return true;
    return false;
}

/* parts: of the messages in order, or NULL. */
static bool span_trained(const lrk_chat_options *o, const lrk_part *parts, size_t n,
                         const lrk_span *s)
{
    if (parts && s->message < n && parts[s->message].train != LRK_TRAIN_BY_ROLE)
        return parts[s->message].train == LRK_TRAIN_YES;
    return role_trained(o, s->role);
}

/* Where the model begins to speak in span i: behind the head of the turn, as long as the template's
 * own text before the span begins with it. Tags that stand between, as "<think>", are the model's to
 * write. */
static size_t turn_begin(const lrk_chat_text *t, size_t i, const lrk_buf *head)
{
    const lrk_span *s = &t->rendered.spans[i];
    size_t before = 0;
    if (!head->n || strcmp(s->role, "assistant") != 0 || s->kind != LRK_SPAN_CONTENT) return s->begin;
    for (size_t k = 0; k < i; k++)
        if (t->rendered.spans[k].kind == LRK_SPAN_CONTENT) before = t->rendered.spans[k].end;
    if (s->begin - before < head->n || memcmp(t->text.data + before, head->data, head->n) != 0)
        return s->begin;
    return before + head->n;
}

static lrk_status train_spans(const lrk_chat_options *o, const lrk_part *parts, size_t n,
                              const lrk_buf *head, lrk_chat_text *out, lrk_err *err)
{
    const lrk_rendered *t = &out->rendered;
    ranges r = {.out = out, .err = err};
    size_t last = SIZE_MAX;
    if (o->train_on_inputs) return add_range(&r, 0, out->text.n);
    for (size_t i = 0; i < t->n_spans; i++)
        if (t->spans[i].kind == LRK_SPAN_END && span_trained(o, parts, n, &t->spans[i])) last = i;
    for (size_t i = 0; i < t->n_spans; i++) {
        const lrk_span *s = &t->spans[i];
        bool trained = span_trained(o, parts, n, s);
        if (s->kind == LRK_SPAN_END) {
            if (o->train_on_eos == LRK_TRAIN_EOS_NONE) trained = false;
            if (o->train_on_eos == LRK_TRAIN_EOS_LAST) trained = i == last;
            if (o->train_on_eos == LRK_TRAIN_EOS_ALL) trained = true;
        }
        if (trained) LRK_TRY(add_range(&r, turn_begin(out, i, head), s->end));
    }
    return LRK_OK;
}

/* What a row must not lose: the thinking of trained turns, and their end. */
static lrk_status check_trained(const lrk_chat_options *o, const lrk_json *messages,
                                const lrk_part *parts, size_t n, const lrk_chat_text *t,
                                lrk_err *err)
{
    const lrk_rendered *r = &t->rendered;
    size_t turns = 0, closed = 0;
    for (size_t i = 0; i < r->n_spans; i++) {
        const lrk_span *s = &r->spans[i];
        if (!span_trained(o, parts, n, s)) continue;
        turns += s->kind == LRK_SPAN_CONTENT;
        closed += s->kind != LRK_SPAN_CONTENT;
    }
    LRK_REQUIRE(err, closed || !turns || o->train_on_eos == LRK_TRAIN_EOS_NONE, LRK_EINPUT,
                "the chat template writes no end token behind the trained turns, so that the model "
                "would not learn to stop; choose another chat_template, or train_on_eos: none");
    for (size_t i = 0; i < n && o->thinking == LRK_THINKING_KEEP; i++) {
        const char *role = lrk_json_string(lrk_json_get(lrk_json_at(messages, i), "role"), NULL);
        const lrk_span turn = {.message = i, .role = role ? role : ""};
        LRK_REQUIRE(err,
                    !span_trained(o, parts, n, &turn) ||
                        lrk_thinking_shown(messages, i, r, t->text.data),
                    LRK_EINPUT,
                    "messages[%zu]: the chat template leaves its thinking out; set thinking_blocks: "
                    "template to accept that, or strip to train without any, or choose another "
                    "chat_template",
                    i);
    }
    return LRK_OK;
}

/* ---- conversations ---- */

static lrk_status render(const lrk_chat_options *o, const lrk_json *context, const lrk_part *parts,
                         size_t n, const lrk_buf *head, lrk_chat_text *out, lrk_err *err)
{
    LRK_REQUIRE(err, o->template, LRK_EUSAGE,
                "a conversation needs a chat template: the model has none; set chat_template");
    ends e = {0};
    const char *eos = lrk_json_string(lrk_json_get(context, "eos_token"), NULL);
    const lrk_render_options r = render_options(o, eos ? eos : o->eos, &e);
    LRK_TRY(lrk_template_render(o->template, context, &r, &out->rendered, err));
    out->text = out->rendered.text;
    out->rendered.text = (lrk_buf){0};
    return train_spans(o, parts, n, head, out, err);
}

lrk_status lrk_chat_context(const lrk_chat_options *o, const lrk_json *context, lrk_chat_text *out,
                            lrk_err *err)
{
    *out = (lrk_chat_text){0};
    const lrk_buf none = {0};
    const lrk_status s = render(o, context, NULL, 0, &none, out, err);
    if (s != LRK_OK) lrk_chat_text_free(out);
    return s;
}

static lrk_json *base_context(const lrk_chat_options *o, lrk_json *messages, lrk_json *tools)
{
    const struct {
        const char *name, *value;
    } specials[] = {
        {"bos_token", o->bos}, {"eos_token", o->eos}, {"pad_token", o->pad}, {"unk_token", o->unk}};
    lrk_json *context = lrk_json_object();
    lrk_json_set(context, "messages", messages);
    lrk_json_set(context, "tools", tools ? tools : lrk_json_new_null());
    lrk_json_set(context, "documents", lrk_json_new_null());
    lrk_json_set(context, "add_generation_prompt", lrk_json_new_bool(o->add_generation_prompt));
    if (o->no_thinking) lrk_json_set(context, "enable_thinking", lrk_json_new_bool(false));
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (specials[i].value)
            lrk_json_set(context, specials[i].name,
                         lrk_json_new_string(specials[i].value, strlen(specials[i].value)));
    return context;
}

lrk_status lrk_chat_check_messages(const lrk_json *messages, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_json_is(messages, LRK_JSON_ARRAY), LRK_EINPUT,
                "messages: expected a list of {\"role\", \"content\"}");
    for (size_t i = 0; i < lrk_json_size(messages); i++) {
        const lrk_json *m = lrk_json_at(messages, i), *content = lrk_json_get(m, "content");
        LRK_REQUIRE(err, lrk_json_is(m, LRK_JSON_OBJECT), LRK_EINPUT,
                    "messages[%zu]: expected an object, got %s", i,
                    lrk_json_kind_name(lrk_json_type(m)));
        LRK_REQUIRE(err, lrk_json_string(lrk_json_get(m, "role"), NULL), LRK_EINPUT,
                    "messages[%zu]: role: expected a string", i);
        LRK_REQUIRE(err,
                    !content || lrk_json_is(content, LRK_JSON_STRING) ||
                        lrk_json_is(content, LRK_JSON_ARRAY) || lrk_json_is(content, LRK_JSON_NULL),
                    LRK_EINPUT, "messages[%zu]: content: expected a string, got %s", i,
                    lrk_json_kind_name(lrk_json_type(content)));
    }
    return LRK_OK;
}

lrk_status lrk_chat_messages(const lrk_chat_options *o, lrk_json *messages, lrk_json *tools,
                             lrk_chat_text *out, lrk_err *err)
{
    *out = (lrk_chat_text){0};
    LRK_TRY(lrk_chat_check_messages(messages, err));
    lrk_json *context = base_context(o, lrk_json_ref(messages), tools ? lrk_json_ref(tools) : NULL);
    const lrk_status s = lrk_chat_context(o, context, out, err);
    lrk_json_free(context);
    return s;
}

static lrk_status parse_part(const lrk_part *p, const char *what, lrk_json **out, lrk_err *err)
{
    LRK_TRY(lrk_json_parse(out, p->text, p->n, what, err));
    if (lrk_json_is(*out, LRK_JSON_OBJECT)) return LRK_OK;
    lrk_json_free(*out);
    *out = NULL;
    return lrk_fail(err, LRK_EINPUT, "%s: expected an object", what);
}

static lrk_status message_of(const lrk_part *p, lrk_json **out, lrk_err *err)
{
    if (p->role == LRK_ROLE_MESSAGE) return parse_part(p, "a message", out, err);
    const char *role = lrk_role_name(p->role);
    lrk_json *m = lrk_json_object();
    lrk_json_set(m, "role", lrk_json_new_string(role ? role : "", role ? strlen(role) : 0));
    lrk_json_set(m, "content", lrk_json_new_string(p->text, p->n));
    *out = m;
    return LRK_OK;
}

static lrk_status add_variables(lrk_json *context, const lrk_part *p, lrk_err *err)
{
    lrk_json *variables;
    LRK_TRY(parse_part(p, "the variables of a row", &variables, err));
    for (void *i = lrk_json_begin(variables); i; i = lrk_json_next(variables, i))
        lrk_json_set(context, lrk_json_key(i, NULL), lrk_json_ref(lrk_json_value(i)));
    lrk_json_free(variables);
    return LRK_OK;
}

/* The head of an answer: what the template writes behind the last thing said when it is asked for the
 * last answer of the conversation. Empty where it can't be asked. */
static lrk_status head_of_answer(const lrk_chat_options *o, const lrk_json *context,
                                 const lrk_json *messages, lrk_buf *head, lrk_err *err)
{
    size_t last = SIZE_MAX;
    for (size_t i = 0; i < lrk_json_size(messages); i++) {
        const char *role = lrk_json_string(lrk_json_get(lrk_json_at(messages, i), "role"), NULL);
        if (role && strcmp(role, "assistant") == 0) last = i;
    }
    if (last == SIZE_MAX || !lrk_template_asks(o->template)) return LRK_OK;
    lrk_json *asked = lrk_json_object(), *said = lrk_json_array();
    for (void *i = lrk_json_begin(context); i; i = lrk_json_next(context, i))
        lrk_json_set(asked, lrk_json_key(i, NULL), lrk_json_ref(lrk_json_value(i)));
    for (size_t i = 0; i < last; i++) lrk_json_add(said, lrk_json_ref(lrk_json_at(messages, i)));
    lrk_json_set(asked, "messages", said);
    lrk_json_set(asked, "add_generation_prompt", lrk_json_new_bool(true));
    ends e = {0};
    const lrk_render_options r = render_options(o, NULL, &e);
    lrk_rendered t;
    const lrk_status s = lrk_template_render(o->template, asked, &r, &t, NULL);
    lrk_json_free(asked);
    if (s == LRK_ENOMEM) return lrk_fail(err, s, "memory: no room for a conversation");
    if (s != LRK_OK) return LRK_OK;
    size_t begin = 0;
    for (size_t i = 0; i < t.n_spans; i++)
        if (t.spans[i].kind == LRK_SPAN_CONTENT) begin = t.spans[i].end;
    lrk_buf_append(head, t.text.data ? t.text.data + begin : "", t.text.n - begin);
    lrk_rendered_free(&t);
    return lrk_buf_check(head, err);
}

/* The turn without content that a template, which failed, may have stumbled over: None there too. */
static lrk_status blame_null(const lrk_json *messages, lrk_status s, lrk_err *err)
{
    for (size_t i = 0; s == LRK_EINPUT && err && i < lrk_json_size(messages); i++) {
        const lrk_json *content = lrk_json_get(lrk_json_at(messages, i), "content");
        if (lrk_json_is_set(content)) continue;
        return lrk_err_prefix(err, s,
                              "messages[%zu].content is %s, and the chat template is not made for that; write "
                              "\"\" there, or choose another chat_template",
                              i, content ? "null" : "missing");
    }
    return s;
}

static lrk_status conversation(const lrk_chat_options *o, const lrk_part *parts, size_t n,
                               lrk_chat_text *out, lrk_err *err)
{
    lrk_json *messages = lrk_json_array(), *context = base_context(o, messages, NULL);
    const bool variables = n && parts[0].role == LRK_ROLE_VARIABLES;
    lrk_status s = variables ? add_variables(context, &parts[0], err) : LRK_OK;
    parts += variables;
    n -= variables;
    for (size_t i = 0; s == LRK_OK && i < n; i++) {
        lrk_json *message;
        s = message_of(&parts[i], &message, err);
        if (s != LRK_OK) break;
        s = lrk_thinking_apply(o->thinking, &message, err);
        if (s != LRK_OK) lrk_err_prefix(err, s, "messages[%zu]", i);
        lrk_json_add(messages, message);
    }
    lrk_buf head = {0};
    if (s == LRK_OK && o->template && !o->train_on_inputs)
        s = head_of_answer(o, context, messages, &head, err);
    if (s == LRK_OK) s = blame_null(messages, render(o, context, parts, n, &head, out, err), err);
    lrk_buf_free(&head);
    if (s == LRK_OK && !o->train_on_inputs) s = check_trained(o, messages, parts, n, out, err);
    lrk_json_free(context);
    return s;
}

/* ---- rows without a template ---- */

/* One text after the other, then eos; what part i says is trained or not as its mark says, by
 * default the last part alone. */
static lrk_status plain(const lrk_chat_options *o, const lrk_part *parts, size_t n,
                        lrk_chat_text *out, lrk_err *err)
{
    ranges r = {.out = out, .err = err};
    out->add_bos = true;
    bool trained = true;
    for (size_t i = 0; i < n; i++) {
        const size_t begin = out->text.n;
        lrk_buf_append(&out->text, parts[i].text, parts[i].n);
        LRK_TRY(lrk_buf_check(&out->text, err));
        trained =
            parts[i].train == LRK_TRAIN_BY_ROLE ? i + 1 == n : parts[i].train == LRK_TRAIN_YES;
        if (trained || o->train_on_inputs) LRK_TRY(add_range(&r, begin, out->text.n));
    }
    const size_t begin = out->text.n;
    if (o->eos) lrk_buf_puts(&out->text, o->eos);
    LRK_TRY(lrk_buf_check(&out->text, err));
    const bool eos =
        o->train_on_eos == LRK_TRAIN_EOS_ALL || (trained && o->train_on_eos != LRK_TRAIN_EOS_NONE);
    return eos || o->train_on_inputs ? add_range(&r, begin, out->text.n) : LRK_OK;
}

lrk_status lrk_chat_row(const lrk_chat_options *o, const lrk_part *parts, size_t n,
                        lrk_chat_text *out, lrk_err *err)
{
    *out = (lrk_chat_text){0};
    const char *kind = lrk_record_kind(parts, n);
    LRK_REQUIRE(err, kind, LRK_EINPUT, "the roles of the parts make up no row");
    const lrk_status s = strcmp(kind, "chat") == 0 ? conversation(o, parts, n, out, err)
                                                   : plain(o, parts, n, out, err);
    if (s != LRK_OK) lrk_chat_text_free(out);
    return s;
}

void lrk_chat_text_free(lrk_chat_text *t)
{
    lrk_buf_free(&t->text);
    lrk_heap_free(t->trained);
    lrk_rendered_free(&t->rendered);
    *t = (lrk_chat_text){0};
}
