/* cli/cmd_render.c -- lorikeet render: a context or messages through a chat template. */
#include "cli/command.h"
#include "data/chat.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum { MAX_CONTEXT = 256 << 20, MAX_TEMPLATE = 4 << 20 };

static lrk_status load_template(const char *path, lrk_template **out, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("template file");
    char *text;
    size_t n;
    lrk_status s = lrk_file_read(&a, path, MAX_TEMPLATE, &text, &n, err);
    if (s == LRK_OK) s = lrk_template_compile(out, text, n, path, err);
    lrk_arena_free(&a);
    return s;
}

/* The trained spans as one line of JSON. */
static lrk_status print_spans(const lrk_chat_text *t, lrk_err *err)
{
    lrk_json *list = lrk_json_array();
    lrk_buf b = {0};
    for (size_t i = 0; i < t->n_trained; i++) {
        lrk_json *span = lrk_json_object();
        lrk_json_set(span, "begin", lrk_json_new_integer((int64_t)t->trained[i].begin));
        lrk_json_set(span, "end", lrk_json_new_integer((int64_t)t->trained[i].end));
        lrk_json_add(list, span);
    }
    lrk_status s = lrk_json_dump(list, 0, &b, err);
    if (s == LRK_OK) fprintf(stderr, "%s\n", b.data);
    lrk_buf_free(&b);
    lrk_json_free(list);
    return s;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    const char *template_path = NULL, *context_path = NULL, *now = NULL;
    bool spans = false;
    const lrk_option options[] = {{"template", LRK_OPTION_STRING, &template_path, true},
                                  {"context", LRK_OPTION_STRING, &context_path, true},
                                  {"now", LRK_OPTION_STRING, &now, false},
                                  {"spans", LRK_OPTION_FLAG, &spans, false}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "render: %s: nothing was expected here", argv[0]);
    lrk_template *t = NULL;
    lrk_json *context = NULL;
    lrk_chat_text text = {0};
    lrk_status s = load_template(template_path, &t, err);
    if (s == LRK_OK) s = lrk_json_load(&context, context_path, MAX_CONTEXT, err);
    const lrk_chat_options o = {.template = t, .now = now};
    if (s == LRK_OK) s = lrk_chat_context(&o, context, &text, err);
    if (s == LRK_OK) fwrite(text.text.data, 1, text.text.n, stdout);
    if (s == LRK_OK && spans) s = print_spans(&text, err);
    lrk_chat_text_free(&text);
    lrk_json_free(context);
    lrk_template_free(t);
    return s;
}

const lrk_command lrk_command_render = {
    .name = "render",
    .summary = "messages through a chat template",
    .help = "usage: lorikeet render --template FILE.jinja --context FILE.json [--now TIME] [--spans]\n"
            "\n"
            "  --template FILE  a Jinja chat template\n"
            "  --context FILE   one JSON object whose members are the template's variables as they\n"
            "                   stand: messages, tools, add_generation_prompt, bos_token, ...\n"
            "  --now TIME       what strftime_now shows, like 2026-03-01T12:00:00 (default: UTC now)\n"
            "  --spans          the trained byte ranges as JSON on standard error\n"
            "\n"
            "Prints the rendered bytes and nothing else.\n"
            "\n"
            "example: lorikeet render --template chat_template.jinja --context context.json --spans\n",
    .run = run};
