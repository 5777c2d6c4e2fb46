/* cli/cmd_render.c -- lorikeet render: a context or messages through a chat template. */
#include "cli/command.h"
#include "data/chat.h"
#include "generate/model_text.h"

#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

enum { MAX_CONTEXT = 256 << 20 };

/* What is said from begin to end: which field of which turn, and whose. */
static lrk_json *said_in(const lrk_chat_text *t, const lrk_json *messages, size_t begin, size_t end)
{
    lrk_json *list = lrk_json_array();
    for (size_t i = 0; i < t->rendered.n_said; i++) {
        const lrk_said *s = &t->rendered.said[i];
        if (s->end <= begin || s->begin >= end) continue;
        const char *role = lrk_json_string(lrk_json_get(lrk_json_at(messages, s->message), "role"), NULL);
        lrk_json *o = lrk_json_object();
        lrk_json_set_count(o, "begin", s->begin > begin ? s->begin : begin);
        lrk_json_set_count(o, "end", s->end < end ? s->end : end);
        lrk_json_set_count(o, "message", s->message);
        lrk_json_set(o, "role", lrk_json_c_string(role));
        lrk_json_set(o, "field", lrk_json_c_string(lrk_said_name(s->field)));
        lrk_json_add(list, o);
    }
    return list;
}

/* The trained spans as one line of JSON. */
static lrk_status print_spans(const lrk_chat_text *t, const lrk_json *messages, lrk_err *err)
{
    lrk_json *list = lrk_json_array();
    lrk_buf b = {0};
    for (size_t i = 0; i < t->n_trained; i++) {
        lrk_json *span = lrk_json_object();
        lrk_json_set_count(span, "begin", t->trained[i].begin);
        lrk_json_set_count(span, "end", t->trained[i].end);
        lrk_json_set(span, "said", said_in(t, messages, t->trained[i].begin, t->trained[i].end));
        lrk_json_add(list, span);
    }
    lrk_status s = lrk_json_dump(list, 0, &b, err);
    if (s == LRK_OK) fprintf(stderr, "%s\n", b.data);
    lrk_buf_free(&b);
    lrk_json_free(list);
    return s;
}

/* What the command line asks for. */
typedef struct request {
    const char *template_path, *model_path, *context_path, *messages_path, *now;
    bool spans, generation_prompt;
} request;

typedef struct work {
    lrk_model_text model; /* where --model was given */
    lrk_template *template;
    lrk_json *context;
    lrk_chat_text text;
} work;

static void set_default(lrk_json *object, const char *name, lrk_json *value)
{
    if (lrk_json_get(object, name))
        lrk_json_free(value);
    else
        lrk_json_set(object, name, value);
}

/* Messages, or an object that has them, with the variables that templates may expect. */
static lrk_status messages_context(const request *q, work *w, lrk_err *err)
{
    lrk_json *given;
    LRK_TRY(lrk_json_load(&given, q->messages_path, MAX_CONTEXT, err));
    if (lrk_json_is(given, LRK_JSON_ARRAY)) {
        w->context = lrk_json_object();
        lrk_json_set(w->context, "messages", given);
    } else {
        w->context = given;
        LRK_REQUIRE(err, lrk_json_is(lrk_json_get(given, "messages"), LRK_JSON_ARRAY), LRK_EINPUT,
                    "%s: expected an array of messages, or an object with messages",
                    q->messages_path);
    }
    const lrk_status s = lrk_chat_check_messages(lrk_json_get(w->context, "messages"), err);
    if (s != LRK_OK) return lrk_err_prefix(err, s, "%s", q->messages_path);
    set_default(w->context, "tools", lrk_json_new_null());
    set_default(w->context, "documents", lrk_json_new_null());
    set_default(w->context, "add_generation_prompt", lrk_json_new_bool(q->generation_prompt));
    if (q->model_path) lrk_text_variables(&w->model, w->context);
    return LRK_OK;
}

static lrk_status open_template(const request *q, work *w, lrk_err *err)
{
    if (q->template_path) return lrk_template_load(&w->template, q->template_path, err);
    LRK_TRY(lrk_text_open(&w->model, q->model_path, err));
    return lrk_chat_template(&w->template, "tokenizer_default", w->model.chat_template,
                             q->model_path, err);
}

/* For people: trained bytes in green. */
static void print_coloured(const lrk_chat_text *t)
{
    size_t at = 0;
    for (size_t i = 0; i < t->n_trained; i++) {
        const lrk_chat_range r = t->trained[i];
        fwrite(t->text.data + at, 1, r.begin - at, stdout);
        fputs("\033[32m", stdout);
        fwrite(t->text.data + r.begin, 1, r.end - r.begin, stdout);
        fputs("\033[0m", stdout);
        at = r.end;
    }
    if (t->text.n > at) fwrite(t->text.data + at, 1, t->text.n - at, stdout);
}

static lrk_status render(const request *q, work *w, lrk_err *err)
{
    LRK_TRY(open_template(q, w, err));
    if (q->messages_path)
        LRK_TRY(messages_context(q, w, err));
    else
        LRK_TRY(lrk_json_load(&w->context, q->context_path, MAX_CONTEXT, err));
    LRK_REQUIRE(err, lrk_json_is(w->context, LRK_JSON_OBJECT), LRK_EINPUT,
                "%s: expected an object: the template's variables", q->context_path);
    lrk_chat_options o = {.template = w->template, .now = q->now};
    if (q->model_path && !q->template_path)
        o.end_tokens = lrk_tokenizer_end_texts(w->model.tokenizer, &o.n_end_tokens);
    LRK_TRY(lrk_chat_context(&o, w->context, &w->text, err));
    const bool people = q->messages_path && isatty(STDOUT_FILENO) && !lrk_env("NO_COLOR");
    if (people)
        print_coloured(&w->text);
    else if (w->text.text.n)
        fwrite(w->text.text.data, 1, w->text.text.n, stdout);
    return q->spans ? print_spans(&w->text, lrk_json_get(w->context, "messages"), err) : LRK_OK;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    request q = {0};
    work w = {0};
    const lrk_option options[] = {
        {"template", LRK_OPTION_STRING, &q.template_path, false, NULL},
        {"model", LRK_OPTION_STRING, &q.model_path, false, NULL},
        {"context", LRK_OPTION_STRING, &q.context_path, false, NULL},
        {"messages", LRK_OPTION_STRING, &q.messages_path, false, NULL},
        {"now", LRK_OPTION_STRING, &q.now, false, NULL},
        {"generation-prompt", LRK_OPTION_FLAG, &q.generation_prompt, false, NULL},
        {"spans", LRK_OPTION_FLAG, &q.spans, false, NULL}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "render: %s: nothing was expected here", argv[0]);
    LRK_REQUIRE(err, !q.template_path != !q.model_path, LRK_EUSAGE,
                "render: --template FILE or --model PATH, one of the two");
    LRK_REQUIRE(err, !q.context_path != !q.messages_path, LRK_EUSAGE,
                "render: --context FILE or --messages FILE, one of the two");
    LRK_REQUIRE(err, q.messages_path || !q.generation_prompt, LRK_EUSAGE,
                "render: --generation-prompt goes with --messages; a context says "
                "add_generation_prompt itself");
    const lrk_status s = render(&q, &w, err);
    lrk_chat_text_free(&w.text);
    lrk_json_free(w.context);
    lrk_template_free(w.template);
    lrk_text_close(&w.model);
    return s;
}

const lrk_command lrk_command_render = {
    .name = "render",
    .summary = "messages through a chat template, trained spans marked",
    .help =
        "usage: lorikeet render (--template FILE.jinja | --model PATH)\n"
        "                       (--context FILE.json | --messages FILE.json) [options]\n"
        "\n"
        "  --template FILE      a Jinja chat template\n"
        "  --model PATH         the template of a model: a GGUF file or a Hugging Face directory\n"
        "  --context FILE       one JSON object whose members are the template's variables as "
        "they\n"
        "                       stand: messages, tools, add_generation_prompt, bos_token, ...\n"
        "  --messages FILE      an array of messages, or an object with messages and more "
        "variables;\n"
        "                       the model's special tokens and what else templates expect are "
        "added\n"
        "  --generation-prompt  with --messages: end with the head of the answer\n"
        "  --now TIME           what strftime_now shows, like 2026-03-01T12:00:00 (default: now, "
        "UTC)\n"
        "  --spans              the trained byte ranges as JSON on standard error, with what is said in\n"
        "                       each: message, role, and field (content, thinking or tool_calls)\n"
        "\n"
        "Prints the rendered bytes and nothing else; with --messages on a terminal, what would be\n"
        "trained is green. A template that raises an exception, or uses a feature that is not "
        "known\n"
        "here, is exit code 3.\n"
        "\n"
        "example: lorikeet render --model models/SmolLM2-135M-Instruct --messages chat.json\n",
    .run = run};
