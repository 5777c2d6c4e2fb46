/* cli/cmd_generate.c -- `lorikeet generate`: one answer to the terminal, or a file of them. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/signals.h"
#include "base/text.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "generate/responder.h"
#include "models/choose.h"

#include <stdio.h>
#include <string.h>

enum { MAX_LINE = 16 << 20 };

typedef struct lrk_generate_command {
    const char *model, *adapter, *prompt, *message, *system, *prompts, *out, *device, *dtype,
        *chat_template;
    size_t max_tokens, top_k, seed, threads, batch;
    double temperature, top_p;
    bool any_base, json;
    lrk_responder r;
    lrk_arena arena;
} lrk_generate_command;

static lrk_answering how(const lrk_generate_command *c)
{
    return (lrk_answering){.sampler = {.temperature = c->temperature, .top_k = c->top_k,
                                       .top_p = c->top_p, .seed = c->seed},
                           .max_tokens = c->max_tokens, .slots = c->batch,
                           .stop = lrk_stop_requested};
}

/* "text" and "ids" of an answer. */
static lrk_status put_answer(const lrk_generate_command *c, const lrk_answer *a, lrk_json *row, lrk_err *err)
{
    lrk_buf text = {0};
    const lrk_status status = lrk_responder_decode(&c->r, a, &text, err);
    lrk_json *ids = lrk_json_array();
    for (size_t k = 0; k < a->n; k++) lrk_json_add(ids, lrk_json_new_integer(a->ids[k]));
    lrk_json_set(row, "text", lrk_json_new_string(text.data ? text.data : "", text.n));
    lrk_json_set(row, "ids", ids);
    lrk_buf_free(&text);
    return status;
}

/* ---- one prompt, streamed ---- */

typedef struct lrk_printer {
    const lrk_tokenizer *tokenizer;
    lrk_stream stream;
    lrk_buf text;
} lrk_printer;

static void print_token(void *ctx, size_t answer, uint32_t id)
{
    lrk_printer *p = ctx;
    (void)answer;
    p->text.n = 0;
    if (lrk_stream_push(p->tokenizer, &p->stream, id, true, &p->text, NULL) != LRK_OK) return;
    if (p->text.n) fwrite(p->text.data, 1, p->text.n, stdout);
    fflush(stdout);
}

static lrk_status prompt_ids(lrk_generate_command *c, lrk_ids *ids, lrk_err *err)
{
    if (!c->message) return lrk_responder_text(&c->r, c->prompt, strlen(c->prompt), ids, err);
    return lrk_responder_message(&c->r, c->system, c->message, ids, err);
}

static lrk_status print_json(const lrk_generate_command *c, const lrk_answer *a, lrk_err *err)
{
    lrk_json *row = lrk_json_object();
    lrk_json_set_count(row, "prompt_tokens", a->prompt.n);
    lrk_json_set(row, "finished", lrk_json_new_bool(a->finished));
    const lrk_status status = put_answer(c, a, row, err);
    if (status == LRK_OK) return lrk_print_json(row, err);
    lrk_json_free(row);
    return status;
}

static lrk_status answer_one(lrk_generate_command *c, lrk_err *err)
{
    lrk_answer a = {0};
    lrk_printer p = {.tokenizer = c->r.text.tokenizer};
    lrk_answering h = how(c);
    h.token = c->json ? NULL : print_token;
    h.ctx = &p;
    lrk_status status = prompt_ids(c, &a.prompt, err);
    if (status == LRK_OK) status = lrk_responder_answer(&c->r, &a, 1, &h, err);
    if (status == LRK_OK && c->json) {
        status = print_json(c, &a, err);
    } else if (status == LRK_OK) {
        p.text.n = 0;
        lrk_stream_end(&p.stream, &p.text);
        if (p.text.n) fwrite(p.text.data, 1, p.text.n, stdout);
        putchar('\n');
    }
    lrk_buf_free(&p.text);
    lrk_answer_free(&a);
    return status;
}

/* ---- a file of prompts ---- */

typedef struct lrk_prompt_list {
    lrk_answer *answer;
    lrk_json **id;
    size_t n, capacity;
} lrk_prompt_list;

static lrk_status grow(lrk_prompt_list *l, lrk_err *err)
{
    if (l->n < l->capacity) return LRK_OK;
    const size_t capacity = l->capacity ? 2 * l->capacity : 64;
    lrk_answer *answer = lrk_heap_grow(l->answer, capacity, sizeof *answer);
    if (answer) l->answer = answer;
    lrk_json **id = answer ? lrk_heap_grow(l->id, capacity, sizeof *id) : NULL;
    LRK_REQUIRE(err, id, LRK_ENOMEM, "memory: no room for the prompts");
    l->id = id;
    l->capacity = capacity;
    return LRK_OK;
}

/* NULL: nothing. */
static const char *wrong_with(const lrk_json *row)
{
    const lrk_json *prompt = lrk_json_get(row, "prompt"), *messages = lrk_json_get(row, "messages");
    if (!lrk_json_is(row, LRK_JSON_OBJECT)) return "is no object";
    if (!lrk_json_get(row, "id")) return "\"id\" is missing";
    if (prompt && messages) return "\"prompt\" and \"messages\" both stand there";
    if (!prompt && !messages) return "\"prompt\" or \"messages\" is missing";
    return prompt && !lrk_json_is(prompt, LRK_JSON_STRING) ? "\"prompt\" is no text" : NULL;
}

static lrk_status read_row(lrk_generate_command *c, lrk_prompt_list *l, lrk_json *row,
                           const char *where, lrk_err *err)
{
    size_t n;
    const char *text = lrk_json_string(lrk_json_get(row, "prompt"), &n);
    const char *wrong = wrong_with(row);
    LRK_REQUIRE(err, !wrong, LRK_EINPUT,
                "%s: %s; expected {\"id\": 1, \"prompt\": \"...\"} or {\"id\": 1, \"messages\": [...]}", where, wrong);
    LRK_TRY(grow(l, err));
    l->answer[l->n] = (lrk_answer){0};
    l->id[l->n] = lrk_json_ref(lrk_json_get(row, "id"));
    lrk_ids *ids = &l->answer[l->n++].prompt;
    const lrk_status status =
        text ? lrk_responder_text(&c->r, text, n, ids, err)
             : lrk_responder_messages(&c->r, lrk_json_get(row, "messages"), lrk_json_get(row, "tools"), ids, err);
    LRK_TRY(lrk_err_prefix(err, status, "%s", where));
    LRK_REQUIRE(err, ids->n, LRK_EINPUT, "%s: the prompt is empty", where);
    return LRK_OK;
}

static lrk_status read_prompts(lrk_generate_command *c, lrk_prompt_list *l, lrk_err *err)
{
    lrk_lines *lines;
    char *line, where[300];
    size_t n;
    LRK_TRY(lrk_lines_open(&lines, c->prompts, MAX_LINE, err));
    lrk_status status = LRK_OK;
    for (size_t number = 1; status == LRK_OK; number++) {
        lrk_json *row = NULL;
        status = lrk_lines_next(lines, &line, &n, err);
        if (status != LRK_OK || !line) break;
        if (n == 0) continue;
        snprintf(where, sizeof where, "%s:%zu", c->prompts, number);
        status = lrk_json_parse_line(&row, line, n, c->prompts, number, err);
        if (status == LRK_OK) status = read_row(c, l, row, where, err);
        lrk_json_free(row);
    }
    lrk_lines_close(lines);
    return status;
}

static lrk_status write_answers(const lrk_generate_command *c, const lrk_prompt_list *l, lrk_err *err)
{
    lrk_writer *w;
    lrk_buf line = {0};
    LRK_TRY(lrk_writer_open(&w, c->out, err));
    lrk_status status = LRK_OK;
    for (size_t i = 0; status == LRK_OK && i < l->n; i++) {
        lrk_json *row = lrk_json_object();
        line.n = 0;
        lrk_json_set(row, "id", lrk_json_ref(l->id[i]));
        status = put_answer(c, &l->answer[i], row, err);
        if (status == LRK_OK) status = lrk_json_dump(row, 0, &line, err);
        lrk_json_free(row);
        lrk_buf_puts(&line, "\n");
        if (status == LRK_OK) status = lrk_buf_check(&line, err);
        if (status == LRK_OK) status = lrk_write(w, line.data, line.n, err);
    }
    if (status == LRK_OK) status = lrk_writer_commit(w, err);
    lrk_writer_close(w);
    lrk_buf_free(&line);
    return status;
}

/* Answers are kept as they are finished: a command that is stopped goes on with the rest. */
static lrk_status open_journal(const lrk_generate_command *c, const lrk_prompt_list *l, lrk_journal **journal,
                               lrk_err *err)
{
    lrk_json *key;
    lrk_sha256 hash;
    char hex[65];
    LRK_TRY(lrk_responder_key(&c->r, &key, err));
    lrk_sha256_begin(&hash);
    for (size_t i = 0; i < l->n; i++) {
        const lrk_ids *ids = &l->answer[i].prompt;
        lrk_sha256_add(&hash, &ids->n, sizeof ids->n);
        lrk_sha256_add(&hash, ids->id, ids->n * sizeof *ids->id);
    }
    lrk_sha256_end_hex(&hash, hex);
    lrk_json_set_text(key, "prompts", hex);
    lrk_json_set_count(key, "max_tokens", c->max_tokens);
    lrk_json_set(key, "temperature", lrk_json_new_real(c->temperature));
    lrk_json_set_count(key, "top_k", c->top_k);
    lrk_json_set(key, "top_p", lrk_json_new_real(c->top_p));
    lrk_json_set_count(key, "seed", c->seed);
    return lrk_journal_open(journal, c->out, key, err);
}

typedef struct lrk_answer_progress {
    size_t begun, of, tokens;
    double start, shown;
} lrk_answer_progress;

static void show_progress(void *ctx, size_t answer, uint32_t id)
{
    lrk_answer_progress *p = ctx;
    char line[120];
    const double now = lrk_seconds();
    (void)id;
    p->tokens++;
    if (answer >= p->begun) p->begun = answer + 1;
    if (now - p->shown < (lrk_log_terminal() ? 0.1 : 10.0)) return;
    p->shown = now;
    snprintf(line, sizeof line, "answer %zu of %zu begun  %.0f tok/s", p->begun, p->of,
             (double)p->tokens / (now - p->start));
    lrk_log_line(line);
}

static lrk_status answer_file(lrk_generate_command *c, lrk_err *err)
{
    lrk_prompt_list l = {0};
    lrk_answer_progress progress = {.start = lrk_seconds(), .shown = lrk_seconds()};
    lrk_answering h = how(c);
    h.token = show_progress;
    h.ctx = &progress;
    h.part = "answers";
    lrk_status status = read_prompts(c, &l, err);
    progress.of = l.n;
    if (status == LRK_OK && l.n) status = open_journal(c, &l, &h.journal, err);
    if (status == LRK_OK && l.n) status = lrk_responder_answer(&c->r, l.answer, l.n, &h, err);
    lrk_log_line_end();
    if (status == LRK_OK) status = write_answers(c, &l, err);
    lrk_journal_close(h.journal, status == LRK_OK);
    for (size_t i = 0; i < l.n; i++) {
        lrk_answer_free(&l.answer[i]);
        lrk_json_free(l.id[i]);
    }
    lrk_heap_free(l.answer);
    lrk_heap_free(l.id);
    return status;
}

/* As `data import --prompt` reads it, so that what was trained with is what is asked with. */
static lrk_status read_prompt(lrk_generate_command *c, lrk_err *err)
{
    char *text = lrk_strdup(&c->arena, c->prompt);
    LRK_REQUIRE(err, text, LRK_ENOMEM, "memory: no room for the prompt");
    LRK_REQUIRE(err, lrk_text_unescape(text), LRK_EUSAGE,
                "--prompt: a backslash stands before n, t, r or another backslash; write \\\\ for one");
    c->prompt = text;
    return LRK_OK;
}

static lrk_status check(lrk_generate_command *c, lrk_err *err)
{
    const int sources = (c->prompt != NULL) + (c->message != NULL) + (c->prompts != NULL);
    LRK_REQUIRE(err, sources == 1, LRK_EUSAGE, "expected one of --prompt, --message, --prompts");
    LRK_REQUIRE(err, (c->prompts != NULL) == (c->out != NULL), LRK_EUSAGE,
                "--prompts and --out go together");
    if (c->prompts) LRK_TRY(lrk_check_apart(c->out, c->prompts, err));
    if (c->out) LRK_TRY(lrk_check_output(c->out, err));
    LRK_REQUIRE(err, !c->json || !c->prompts, LRK_EUSAGE,
                "--json goes with --prompt and --message; OUT is JSON anyway");
    LRK_REQUIRE(err, !c->system || c->message, LRK_EUSAGE, "--system goes with --message");
    return c->prompt ? read_prompt(c, err) : LRK_OK;
}

static lrk_status answer(lrk_generate_command *c, lrk_err *err)
{
    lrk_responder_options o = {.model = c->model, .adapter = c->adapter,
                               .any_base = c->any_base, .chat_template = c->chat_template};
    LRK_TRY(check(c, err));
    LRK_TRY(lrk_device_choose(c->device, &o.device, err));
    LRK_TRY(lrk_compute_choose(c->dtype, o.device, &o.compute, err));
    lrk_threads_set((int)c->threads);
    LRK_TRY(lrk_responder_open(&c->r, &o, err));
    lrk_signals_install();
    const lrk_status status = c->prompts ? answer_file(c, err) : answer_one(c, err);
    lrk_responder_close(&c->r);
    return status;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    lrk_generate_command c = {.device = "auto", .dtype = "auto", .max_tokens = 256, .top_p = 1.0,
                              .arena = lrk_arena_growing("prompt")};
    const lrk_option table[] = {
        {"model", LRK_OPTION_STRING, &c.model, true, NULL},
        {"adapter", LRK_OPTION_STRING, &c.adapter, false, NULL},
        {"any-base", LRK_OPTION_FLAG, &c.any_base, false, NULL},
        {"prompt", LRK_OPTION_STRING, &c.prompt, false, NULL},
        {"message", LRK_OPTION_STRING, &c.message, false, NULL},
        {"system", LRK_OPTION_STRING, &c.system, false, NULL},
        {"prompts", LRK_OPTION_STRING, &c.prompts, false, NULL},
        {"out", LRK_OPTION_STRING, &c.out, false, NULL},
        {"chat-template", LRK_OPTION_STRING, &c.chat_template, false, NULL},
        {"max-tokens", LRK_OPTION_SIZE, &c.max_tokens, false, LRK_RANGE_TOKENS},
        {"max-new-tokens", LRK_OPTION_SIZE, &c.max_tokens, false, LRK_RANGE_TOKENS},
        {"temperature", LRK_OPTION_REAL, &c.temperature, false, "[0,100]"},
        {"top-k", LRK_OPTION_SIZE, &c.top_k, false, NULL},
        {"top-p", LRK_OPTION_REAL, &c.top_p, false, "(0,1]"},
        {"seed", LRK_OPTION_SIZE, &c.seed, false, NULL},
        {"device", LRK_OPTION_STRING, &c.device, false, NULL},
        {"dtype", LRK_OPTION_STRING, &c.dtype, false, NULL},
        {"threads", LRK_OPTION_SIZE, &c.threads, false, LRK_RANGE_THREADS},
        {"json", LRK_OPTION_FLAG, &c.json, false, NULL},
        {"batch", LRK_OPTION_SIZE, &c.batch, false, LRK_RANGE_BATCH},
    };
    LRK_TRY(lrk_options_parse(table, sizeof table / sizeof *table, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "unexpected argument %s", argv[0]);
    const lrk_status status = answer(&c, err);
    lrk_arena_free(&c.arena);
    return status;
}

const lrk_command lrk_command_generate = {
    .name = "generate",
    .summary = "let a model answer, with or without an adapter",
    .help = "usage: lorikeet generate --model M [--adapter A] (--prompt TEXT | --message TEXT |\n"
            "                         --prompts IN.jsonl --out OUT.jsonl) [options]\n"
            "\n"
            "  --model M          Hugging Face directory or GGUF file\n"
            "  --adapter A        PEFT adapter directory\n"
            "  --any-base         also one that was trained on other weights of this shape\n"
            "  --prompt TEXT      continued as it stands, but for \\n (a new line), \\t, \\r and \\\\ (a backslash),\n"
            "                     as `lorikeet data import --prompt` reads them; braces are braces\n"
            "  --message TEXT     a user's turn, through the model's chat template; backslashes are backslashes\n"
            "  --system TEXT      the system's turn before it\n"
            "  --prompts IN       lines {\"id\": 1, \"prompt\": \"...\"} or {\"id\": 1, \"messages\": [...]}\n"
            "  --out OUT          lines {\"id\", \"text\", \"ids\"}, in the same order; replaced where\n"
            "                     it is there\n"
            "                     Answers are kept in OUT.partial-* as they are finished: where the\n"
            "                     command was stopped, the same one goes on with the rest\n"
            "  --chat-template T  a template's name or file instead of the model's own\n"
            "  --max-tokens N     new tokens at most (256); or --max-new-tokens\n"
            "  --temperature X    0: always the likeliest token (0)\n"
            "  --top-k N          choose among the N likeliest (0: all)\n"
            "  --top-p X          among the likeliest that hold this share (1)\n"
            "  --seed N           of the choices (0)\n"
            "  --device D         auto (the GPU where one can be used), cpu or cuda\n"
            "  --dtype D          auto, f32 or bf16; or float32, torch.bfloat16 and the like\n"
            "  --threads K        threads (0: one for each processor)\n"
            "  --batch N          prompts under way at a time (16)\n"
            "  --json             one prompt: text, ids and whether it ended by itself, as JSON\n"
            "\n"
            "An answer ends at the model's end tokens, and at those that end a turn by their name\n"
            "(<|im_end|>, <|eot_id|>, ...), as in llama.cpp, or after --max-tokens.\n"
            "\n"
            "example: lorikeet generate --model models/base.gguf --adapter runs/plume/adapter \\\n"
            "             --prompt 'Question: slowest routes today\\nPlume:\\n'\n"
            "         lorikeet generate --model models/base.gguf --adapter runs/chat/adapter \\\n"
            "             --message 'What is open on Sunday?'\n",
    .run = run,
};
