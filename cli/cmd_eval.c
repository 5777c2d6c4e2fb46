/* cli/cmd_eval.c -- `lorikeet eval`: how well base and tuned model answer. */
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/signals.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/eval_report.h"
#include "cli/exam_args.h"
#include "generate/text_files.h"
#include "models/choose.h"

#include <stdio.h>
#include <string.h>

typedef struct lrk_eval_command {
    lrk_exam_args args;
    const char *validator, *group_by, *failures, *out, *device, *dtype;
    size_t rows, base_rows, max_tokens, examples, batch, threads;
    bool json, no_base, any_base;

    lrk_responder responder[2]; /* base, tuned; the first is not opened with no_base */
    lrk_score score[2];
    lrk_exam exam[2]; /* the rows for the first that is open, and for responder[1] where its tokenizer is another one */
    lrk_validator *judge;
    lrk_writer *report_file, *failure_file;
    lrk_journal *journal;
} lrk_eval_command;

/* Neither output may be a file of rows, nor the other one. */
static lrk_status check_outputs(const lrk_eval_command *c, lrk_err *err)
{
    const char *const outputs[] = {c->out, c->failures};
    const lrk_recipe_datasets *const lists[] = {&c->args.recipe.datasets, &c->args.recipe.test_datasets};
    LRK_REQUIRE(err, !c->out || !c->failures || strcmp(c->out, c->failures) != 0, LRK_EUSAGE,
                "%s: --out and --failures are the same file", c->out);
    for (size_t o = 0; o < 2; o++)
        for (size_t l = c->args.run ? 0 : 1; l < 2; l++)
            for (size_t i = 0; outputs[o] && i < lists[l]->n; i++)
                LRK_TRY(lrk_check_apart(outputs[o], lists[l]->item[i].path, err));
    return LRK_OK;
}

static lrk_status resolve(lrk_eval_command *c, lrk_err *err)
{
    lrk_exam_args *a = &c->args;
    LRK_TRY(lrk_exam_args_resolve(a, err));
    if (a->run && !c->validator) c->validator = a->recipe.validator_command;
    if (a->run && !c->max_tokens) c->max_tokens = a->recipe.eval_max_new_tokens;
    if (!c->max_tokens) c->max_tokens = 256;
    LRK_TRY(check_outputs(c, err));
    LRK_REQUIRE(err, !c->no_base || a->adapter, LRK_EUSAGE, "--no-base goes with an adapter");
    return LRK_OK;
}

static lrk_status open_responders(lrk_eval_command *c, lrk_err *err)
{
    lrk_responder_options o = {.model = c->args.model, .any_base = c->any_base};
    LRK_TRY(lrk_device_choose(c->device, &o.device, err));
    LRK_TRY(lrk_compute_choose(c->dtype, o.device, &o.compute, err));
    if (!c->no_base) LRK_TRY(lrk_responder_open(&c->responder[0], &o, err));
    o.adapter = c->args.adapter;
    return o.adapter ? lrk_responder_open(&c->responder[1], &o, err) : LRK_OK;
}

/* Everything that can be missing is looked for before the first row. */
static lrk_status open_all(lrk_eval_command *c, lrk_err *err)
{
    const char *model = c->args.model, *adapter = c->args.adapter;
    if (c->out) LRK_TRY(lrk_writer_open(&c->report_file, c->out, err));
    if (c->failures) LRK_TRY(lrk_writer_open(&c->failure_file, c->failures, err));
    LRK_TRY(open_responders(c, err));
    const lrk_responder *first = &c->responder[c->no_base];
    const size_t positions = first->base.decoder.max_positions;
    if (!c->args.run || c->args.recipe.sequence_len > positions) c->args.recipe.sequence_len = positions;
    const lrk_exam_options e = {.recipe = &c->args.recipe, .group_by = c->group_by, .rows = c->rows};
    LRK_TRY(lrk_exam_open(&c->exam[0], &e, &first->text, err));
    if (!c->no_base && adapter && lrk_text_path(model, adapter) == adapter) {
        LRK_TRY(lrk_exam_open(&c->exam[1], &e, &c->responder[1].text, err));
        LRK_REQUIRE(err, c->exam[0].n == c->exam[1].n, LRK_EINTERNAL, "%s: %zu rows for the base, %zu for the adapter",
                    c->args.data ? c->args.data : c->args.run, c->exam[0].n, c->exam[1].n);
    }
    return c->validator ? lrk_validator_open(&c->judge, c->validator, err) : LRK_OK;
}

/* What responder i is asked. */
static const lrk_exam *exam_of(const lrk_eval_command *c, int i)
{
    return i && c->exam[1].n ? &c->exam[1] : &c->exam[0];
}

static void add_rows(lrk_sha256 *hash, const lrk_exam *x)
{
    for (size_t i = 0; i < x->n; i++) {
        const lrk_exam_row *r = &x->row[i];
        lrk_sha256_add(hash, &r->n, sizeof r->n);
        lrk_sha256_add(hash, r->ids, r->n * sizeof *r->ids);
        lrk_sha256_add(hash, r->mask, r->n);
    }
}

static lrk_status put_key(lrk_json *key, const char *name, const lrk_responder *r, lrk_err *err)
{
    lrk_json *of;
    LRK_TRY(lrk_responder_key(r, &of, err));
    lrk_json_set(key, name, of);
    return LRK_OK;
}

/* Losses and answers are kept as they are finished, beside what is to be written or in the run directory: a
 * command that is stopped goes on with the rest. Without such a place nothing is kept. */
static lrk_status open_journal(lrk_eval_command *c, lrk_err *err)
{
    lrk_sha256 hash;
    char hex[65];
    const char *stem = c->out ? c->out : c->failures ? c->failures : NULL;
    if (!stem && c->args.run) {
        stem = lrk_path_join(&c->args.arena, c->args.run, "eval");
        LRK_REQUIRE(err, stem, LRK_ENOMEM, "memory: no room for a path");
    }
    if (!stem || !lrk_folder_writable(stem)) return LRK_OK;
    lrk_json *key = lrk_json_object();
    lrk_status s = c->no_base ? LRK_OK : put_key(key, "base", &c->responder[0], err);
    if (s == LRK_OK && c->args.adapter) s = put_key(key, "tuned", &c->responder[1], err);
    if (s != LRK_OK) {
        lrk_json_free(key);
        return s;
    }
    lrk_sha256_begin(&hash);
    for (int i = 0; i < 2; i++) add_rows(&hash, &c->exam[i]);
    lrk_sha256_end_hex(&hash, hex);
    lrk_json_set_text(key, "rows", hex);
    lrk_json_set_count(key, "base_rows", c->base_rows);
    lrk_json_set_count(key, "max_tokens", c->max_tokens);
    lrk_json_set_count(key, "batch", c->batch);
    return lrk_journal_open(&c->journal, stem, key, err);
}

static lrk_status make_scores(lrk_eval_command *c, size_t *n, lrk_err *err)
{
    lrk_score_options o = {.name = "base", .validator = c->judge, .max_tokens = c->max_tokens,
                           .rows = c->args.adapter ? c->base_rows : 0, .slots = c->batch,
                           .stop = lrk_stop_requested, .journal = c->journal};
    *n = 0;
    if (!c->no_base) LRK_TRY(lrk_score_make(&c->score[(*n)++], &c->responder[0], exam_of(c, 0), &o, err));
    lrk_responder_close(&c->responder[0]);
    if (!c->args.adapter) return LRK_OK;
    o.name = "tuned";
    o.rows = 0;
    return lrk_score_make(&c->score[(*n)++], &c->responder[1], exam_of(c, 1), &o, err);
}

static lrk_status write_report(lrk_eval_command *c, const lrk_eval_report *r, lrk_err *err)
{
    lrk_buf text = {0};
    lrk_json *figures = lrk_eval_json(r);
    lrk_status s = lrk_json_dump(figures, 2, &text, err);
    lrk_json_free(figures);
    lrk_buf_puts(&text, "\n");
    if (s == LRK_OK) s = lrk_buf_check(&text, err);
    if (s == LRK_OK && c->report_file) s = lrk_write(c->report_file, text.data, text.n, err);
    if (s == LRK_OK && c->report_file) s = lrk_writer_commit(c->report_file, err);
    if (s == LRK_OK && c->json) fwrite(text.data, 1, text.n, stdout);
    lrk_buf_free(&text);
    return s;
}

static lrk_status evaluate(lrk_eval_command *c, lrk_err *err)
{
    size_t n, failures;
    LRK_TRY(open_all(c, err));
    LRK_TRY(open_journal(c, err));
    lrk_signals_install();
    const lrk_status made = make_scores(c, &n, err);
    if (made == LRK_STOPPED && !c->journal)
        lrk_note("nothing is kept: losses and answers are with --out, --failures or a run directory");
    LRK_TRY(made);
    const lrk_eval_report r = {.model = c->args.model, .adapter = c->args.adapter, .data = c->args.data,
                               .validator = c->validator, .exam = exam_of(c, c->args.adapter != NULL),
                               .score = c->score, .n_scores = n};
    if (c->failure_file) {
        LRK_TRY(lrk_eval_failures(&r, c->failure_file, &failures, err));
        LRK_TRY(lrk_writer_commit(c->failure_file, err));
        lrk_note("%s: %zu wrong answers", c->failures, failures);
    }
    LRK_TRY(write_report(c, &r, err));
    lrk_journal_close(c->journal, true);
    c->journal = NULL;
    if (c->json) return LRK_OK;
    lrk_print_eval(&r);
    lrk_print_eval_examples(&r, c->examples);
    return LRK_OK;
}

static void close_all(lrk_eval_command *c)
{
    lrk_journal_close(c->journal, false);
    lrk_writer_close(c->report_file);
    lrk_writer_close(c->failure_file);
    lrk_validator_close(c->judge);
    for (int i = 0; i < 2; i++) {
        lrk_score_free(&c->score[i]);
        lrk_responder_close(&c->responder[i]);
        lrk_exam_close(&c->exam[i]);
    }
    lrk_arena_free(&c->args.arena);
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    lrk_eval_command c = {.device = "auto", .dtype = "auto", .args = {.arena = lrk_arena_growing("eval")}};
    const lrk_option table[] = {
        {"model", LRK_OPTION_STRING, &c.args.model, false, NULL},
        {"adapter", LRK_OPTION_STRING, &c.args.adapter, false, NULL},
        {"any-base", LRK_OPTION_FLAG, &c.any_base, false, NULL},
        {"data", LRK_OPTION_STRING, &c.args.data, false, NULL},
        {"split", LRK_OPTION_STRING, &c.args.split, false, NULL},
        {"prompt", LRK_OPTION_STRING, &c.args.prompt, false, NULL},
        {"completion", LRK_OPTION_STRING, &c.args.completion, false, NULL},
        {"chat-template", LRK_OPTION_STRING, &c.args.chat_template, false, NULL},
        {"validator", LRK_OPTION_STRING, &c.validator, false, NULL},
        {"group-by", LRK_OPTION_STRING, &c.group_by, false, NULL},
        {"rows", LRK_OPTION_SIZE, &c.rows, false, NULL},
        {"base-rows", LRK_OPTION_SIZE, &c.base_rows, false, NULL},
        {"no-base", LRK_OPTION_FLAG, &c.no_base, false, NULL},
        {"max-tokens", LRK_OPTION_SIZE, &c.max_tokens, false, LRK_RANGE_TOKENS},
        {"max-new-tokens", LRK_OPTION_SIZE, &c.max_tokens, false, LRK_RANGE_TOKENS},
        {"examples", LRK_OPTION_SIZE, &c.examples, false, NULL},
        {"failures", LRK_OPTION_STRING, &c.failures, false, NULL},
        {"out", LRK_OPTION_STRING, &c.out, false, NULL},
        {"json", LRK_OPTION_FLAG, &c.json, false, NULL},
        {"device", LRK_OPTION_STRING, &c.device, false, NULL},
        {"dtype", LRK_OPTION_STRING, &c.dtype, false, NULL},
        {"threads", LRK_OPTION_SIZE, &c.threads, false, LRK_RANGE_THREADS},
        {"batch", LRK_OPTION_SIZE, &c.batch, false, LRK_RANGE_BATCH},
    };
    LRK_TRY(lrk_options_parse(table, sizeof table / sizeof *table, &argc, argv, err));
    LRK_REQUIRE(err, argc <= 1, LRK_EUSAGE, "unexpected argument %s", argv[1]);
    if (argc) c.args.run = argv[0];
    lrk_status s = resolve(&c, err);
    if (s == LRK_OK) lrk_threads_set((int)c.threads);
    if (s == LRK_OK) s = evaluate(&c, err);
    close_all(&c);
    return s;
}

const lrk_command lrk_command_eval = {
    .name = "eval",
    .summary = "score a model's answers, base against tuned",
    .help = "usage: lorikeet eval RUN_DIR [options]\n"
            "       lorikeet eval --model M [--adapter A] --data ROWS [options]\n"
            "\n"
            "Loss over the answers of the rows, greedy answers, exact matches, and what a validator\n"
            "says of them, each with its 95 % interval. With an adapter: base and tuned, side by\n"
            "side. A run directory brings model, adapter, rows and validator; options go before it.\n"
            "\n"
            "  --model M          Hugging Face directory or GGUF file\n"
            "  --adapter A        PEFT adapter directory\n"
            "  --any-base         also one that was trained on other weights of this shape\n"
            "  --data ROWS        JSON Lines, or a data set of `lorikeet data import`\n"
            "  --split S          of the data set\n"
            "  --prompt T         JSON Lines: what comes before the answer, {name} for a member\n"
            "  --completion T     JSON Lines: the answer, in the same way\n"
            "  --chat-template T  a template's name or file instead of the model's own\n"
            "  --validator CMD    a program that judges answers: for each line\n"
            "                     {\"id\", \"pred\", \"gold\"} it prints one line with the id and any of\n"
            "                     parse, valid, equal (true or false), class, note\n"
            "  --group-by NAME    figures for each value of this member of the rows (JSON Lines)\n"
            "  --rows N           N rows, evenly spread (0: all)\n"
            "  --base-rows N      of these, N for the base model (0: all)\n"
            "  --no-base          the tuned model alone\n"
            "  --max-tokens N     length of an answer (the run's eval_max_new_tokens, 256); or\n"
            "                     --max-new-tokens\n"
            "  --examples K       print K questions with their answers (0)\n"
            "  --failures FILE    wrong answers as JSON Lines\n"
            "  --out FILE         the figures as JSON\n"
            "  --json             the figures as JSON on standard output instead of the table\n"
            "  --device D         auto (the GPU where one can be used), cpu or cuda\n"
            "  --dtype D          auto, f32 or bf16; or float32, torch.bfloat16 and the like\n"
            "  --threads K        threads (0: one for each processor)\n"
            "  --batch N          answers under way at a time (16)\n"
            "\n"
            "Each model reads the rows through its own tokenizer: beside an adapter that trains new\n"
            "tokens, base and tuned have other tokens, and losses that compare less well.\n"
            "\n"
            "An answer ends at an end token, and at a newline where no right answer has one. Losses and\n"
            "answers are kept as they are finished, in FILE.partial-* beside --out or --failures or in\n"
            "the run directory: where the command was stopped, the same one goes on with the rest.\n"
            "\n"
            "example: lorikeet eval runs/plume --data examples/plume/test.jsonl --group-by level \\\n"
            "             --validator 'build/release/examples/plume/plume check' --examples 10\n",
    .run = run,
};
