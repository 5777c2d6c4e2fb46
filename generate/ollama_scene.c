/* generate/ollama_scene.c -- making conversations, and lists of tools as templates print them. */
#include "generate/ollama_scene.h"

#include <string.h>

typedef lrk_form_source source;
typedef lrk_scene scene;

static bool has(char letter, const char *letters)
{
    return strchr(letters, letter) != NULL;
}

void lrk_scene_free(scene *c)
{
    lrk_json_free(c->messages);
    lrk_json_free(c->tools);
    lrk_buf_free(&c->shown);
}

static void set_buf(scene *c, lrk_json *object, const char *key, lrk_buf *b)
{
    c->shown.failed |= b->failed;
    lrk_json_set(object, key, lrk_json_new_string(b->data ? b->data : "", b->n));
    lrk_buf_free(b);
}

static void begin_item(scene *c, lrk_speaker who)
{
    c->items[c->n].who = who;
    c->items[c->n].begin = c->shown.n;
}

static void end_item(scene *c)
{
    c->items[c->n++].end = c->shown.n;
}

static void show_words(const source *s, const lrk_form *f, scene *c, lrk_speaker who, size_t i)
{
    lrk_buf b = {0};
    begin_item(c, who);
    lrk_form_words(s, who, who == c->padded, i, f, &b);
    if (who == LRK_RESULT && f->quoted)
        lrk_json_quote(&c->shown, b.data ? b.data : "", b.n);
    else
        lrk_buf_append(&c->shown, b.data ? b.data : "", b.n);
    c->shown.failed |= b.failed;
    lrk_buf_free(&b);
    end_item(c);
}

static void tell(const source *s, scene *c, lrk_json *m, const char *field, lrk_speaker who, size_t i)
{
    lrk_buf b = {0};
    lrk_form_words(s, who, who == c->padded, i, NULL, &b);
    set_buf(c, m, field, &b);
}

/* Texts of nine letters and digits, which some templates want of a call's id, and a name. They change with the mark: a
 * form does not know them. */
static void set_id(const source *s, scene *c, lrk_json *object, const char *key, size_t i)
{
    lrk_buf b = {0};
    lrk_buf_printf(&b, "id%zux%zuzzzzzz", i % 10, strlen(s->mark) % 10);
    if (b.n > 9) b.n = 9;
    set_buf(c, object, key, &b);
}

static lrk_json *arguments(const source *s, size_t i, size_t k, bool empty)
{
    lrk_json *a = lrk_json_object(), *list = lrk_json_array(), *of = lrk_json_object();
    if (!empty) {
        lrk_json_add(list, lrk_json_new_integer((int64_t)(10 * i + k)));
        lrk_json_add(list, lrk_json_new_bool(true));
        lrk_json_add(list, lrk_json_new_null());
        lrk_json_add(list, lrk_json_new_real(0.5));
        lrk_json_set(of, "<a&b>", lrk_json_c_string("\xc3\xa4\t\"\\"));
        lrk_json_set(a, "first", lrk_json_c_string(s->mark));
        lrk_json_set(a, "list", list);
        lrk_json_set(a, "of", of);
        return a;
    }
    lrk_json_free(list);
    lrk_json_free(of);
    return a;
}

static lrk_status add_call(const source *s, scene *c, lrk_json *calls, size_t i, size_t k, lrk_err *err)
{
    lrk_buf name = {0};
    lrk_json *call = lrk_json_object(), *function = lrk_json_object();
    lrk_json *a = arguments(s, i, k, c->on_trial && k == 1);
    lrk_buf_printf(&name, "call_%zu_%zu_of_%zu", i, k, strlen(s->mark));
    begin_item(c, LRK_CALL);
    lrk_buf_append(&c->shown, name.data ? name.data : "", name.n);
    end_item(c);
    begin_item(c, LRK_ARGUMENTS);
    const lrk_status status = lrk_json_dump(a, 0, &c->shown, err);
    end_item(c);
    set_id(s, c, call, "id", i + k);
    lrk_json_set(call, "type", lrk_json_c_string("function"));
    set_buf(c, function, "name", &name);
    lrk_json_set(function, "arguments", a);
    lrk_json_set(call, "function", function);
    lrk_json_add(calls, call);
    return status;
}

static bool shows_thought(const lrk_form *f, const char *talk, size_t i)
{
    if (!has(talk[i], "hkm")) return false;
    return f->thoughts == LRK_THOUGHTS_ALL || (f->thoughts == LRK_THOUGHTS_LAST && !strchr(talk + i, 'u'));
}

static lrk_status add_answer(const source *s, const lrk_form *f, scene *c, lrk_json *m, size_t i, lrk_err *err)
{
    const char letter = c->talk[i];
    const bool content = has(letter, "ahbm"), thought = shows_thought(f, c->talk, i);
    const size_t n_calls = has(letter, "cbkm") ? 1 : letter == 'd' ? 2 : 0;
    const lrk_speaker who = thought ? LRK_ANSWER : LRK_ASSISTANT;
    if (thought) show_words(s, f, c, LRK_THOUGHT, i);
    if (has(letter, "hkm")) tell(s, c, m, "reasoning_content", LRK_THOUGHT, i);
    if (content && !(n_calls && f->speechless)) show_words(s, f, c, who, i);
    if (content)
        tell(s, c, m, "content", who, i);
    else
        lrk_json_set(m, "content", lrk_json_c_string(""));
    if (!n_calls) return LRK_OK;
    lrk_json *calls = lrk_json_array();
    lrk_json_set(m, "tool_calls", calls);
    for (size_t k = 0; k < n_calls; k++) LRK_TRY(add_call(s, c, calls, i, k, err));
    return LRK_OK;
}

static lrk_status add_message(const source *s, const lrk_form *f, scene *c, size_t i, lrk_err *err)
{
    const char letter = c->talk[i];
    lrk_json *m = lrk_json_object();
    lrk_json_add(c->messages, m);
    lrk_json_set(m, "role",
                 lrk_json_c_string(letter == 's'   ? "system"
                                   : letter == 'u' ? "user"
                                   : letter == 't' ? "tool"
                                                   : "assistant"));
    if (!has(letter, "sut")) return add_answer(s, f, c, m, i, err);
    const lrk_speaker who = letter == 's' ? LRK_SYSTEM : letter == 'u' ? LRK_USER : LRK_RESULT;
    tell(s, c, m, "content", who, i);
    if (who == LRK_RESULT) {
        lrk_buf name = {0};
        lrk_buf_printf(&name, "result_%zu", strlen(s->mark));
        set_buf(c, m, "name", &name);
        set_id(s, c, m, "tool_call_id", i - 1);
    }
    show_words(s, f, c, who, i);
    return LRK_OK;
}

/* A tool with the members that Ollama keeps, in the order in which the Go template has them. */
static void add_tool(const source *s, scene *c, size_t i)
{
    static const char format[] =
        "{\"type\": \"function\", \"function\": {\"name\": \"tool_%zu\", \"description\": %s, \"parameters\": "
        "{\"type\": \"object\", \"properties\": {\"first\": {\"type\": \"string\", \"description\": \"a <b> & c\", "
        "\"enum\": [\"x\", \"\xc3\xa4\"]}, \"list\": {\"type\": \"array\", \"items\": {\"type\": \"integer\"}}}%s}}}";
    lrk_buf b = {0}, quoted = {0};
    lrk_err why = {0};
    lrk_json *tool = NULL;
    lrk_json_quote(&quoted, s->mark, strlen(s->mark));
    lrk_buf_printf(&b, format, i, quoted.data ? quoted.data : "\"\"", i % 2 ? "" : ", \"required\": [\"first\"]");
    c->shown.failed |= b.failed || quoted.failed;
    if (!b.failed && lrk_json_parse(&tool, b.data, b.n, "a tool", &why) != LRK_OK) c->shown.failed = true;
    if (tool) lrk_json_add(c->tools, tool);
    lrk_buf_free(&quoted);
    lrk_buf_free(&b);
}

lrk_status lrk_scene_build(const source *s, const lrk_form *f, scene *c, lrk_err *err)
{
    c->messages = lrk_json_array();
    c->tools = c->n_tools ? lrk_json_array() : NULL;
    for (size_t i = 0; i < c->n_tools; i++) add_tool(s, c, i);
    for (size_t i = 0; c->talk[i]; i++) LRK_TRY(add_message(s, f, c, i, err));
    return lrk_buf_check(&c->shown, err);
}

lrk_status lrk_scene_render(const source *s, const scene *c, lrk_buf *text, bool *ok, lrk_err *err)
{
    lrk_chat_text r = {0};
    lrk_err why = {0};
    const lrk_status status = lrk_chat_messages(s->chat, c->messages, c->tools, &r, &why);
    *ok = status == LRK_OK;
    if (*ok) {
        *text = r.text;
        r.text = (lrk_buf){0};
    }
    lrk_chat_text_free(&r);
    return status == LRK_ENOMEM ? lrk_fail(err, status, "%s", why.text) : LRK_OK;
}

const char *lrk_scene_find(const char *text, size_t n, const char *part, size_t m)
{
    for (size_t i = 0; m && i + m <= n; i++)
        if (memcmp(text + i, part, m) == 0) return text + i;
    return NULL;
}

/* ---- lists of tools ---- */

static bool each(const lrk_form *f)
{
    return f->tools == LRK_TOOLS_EACH || f->tools == LRK_TOOLS_EACH_FUNCTION;
}

static lrk_status dump_tool(const lrk_form *f, const lrk_json *tool, lrk_buf *b, lrk_err *err)
{
    const bool whole = f->tools == LRK_TOOLS_EACH || f->tools == LRK_TOOLS_LIST;
    return lrk_json_dump(whole ? tool : lrk_json_get(tool, "function"), f->indent, b, err);
}

static lrk_status dump_list(const lrk_form *f, const lrk_json *tools, lrk_buf *b, lrk_err *err)
{
    lrk_json *list = lrk_json_array();
    for (size_t i = 0; i < lrk_json_size(tools); i++) {
        lrk_json *tool = lrk_json_at(tools, i);
        lrk_json_add(list, lrk_json_ref(f->tools == LRK_TOOLS_LIST ? tool : lrk_json_get(tool, "function")));
    }
    const lrk_status status = lrk_json_dump(list, f->indent, b, err);
    lrk_json_free(list);
    return status;
}

lrk_status lrk_scene_say_tools(const lrk_form *f, const lrk_json *tools, lrk_buf *b, lrk_err *err)
{
    if (!each(f)) return dump_list(f, tools, b, err);
    for (size_t i = 0; i < lrk_json_size(tools); i++) {
        if (i) lrk_buf_append(b, f->separator.data ? f->separator.data : "", f->separator.n);
        LRK_TRY(dump_tool(f, lrk_json_at(tools, i), b, err));
    }
    return LRK_OK;
}

lrk_status lrk_scene_cut_tools(lrk_form *f, const lrk_json *tools, lrk_buf *text, bool *ok, lrk_err *err)
{
    lrk_buf first = {0}, last = {0}, cut = {0};
    lrk_status status = each(f) ? dump_tool(f, lrk_json_at(tools, 0), &first, err) : dump_list(f, tools, &first, err);
    if (status == LRK_OK && each(f)) status = dump_tool(f, lrk_json_at(tools, 1), &last, err);
    const char *begin = status == LRK_OK ? lrk_scene_find(text->data, text->n, first.data, first.n) : NULL, *end = NULL;
    if (begin) end = begin + first.n;
    if (begin && each(f)) {
        const char *next = lrk_scene_find(end, (size_t)(text->data + text->n - end), last.data, last.n);
        if (next && !lrk_form_keep(&f->separator, end, (size_t)(next - end))) next = NULL;
        end = next ? next + last.n : NULL;
    }
    *ok = end != NULL;
    if (*ok) {
        const char byte = (char)LRK_FORM_TOOLS;
        lrk_buf_append(&cut, text->data, (size_t)(begin - text->data));
        lrk_buf_append(&cut, &byte, 1);
        lrk_buf_append(&cut, end, (size_t)(text->data + text->n - end));
        lrk_buf_free(text);
        *text = cut;
        status = lrk_buf_check(&cut, err);
        if (status == LRK_OK) status = lrk_buf_check(&f->separator, err);
    }
    lrk_buf_free(&first);
    lrk_buf_free(&last);
    return status;
}
