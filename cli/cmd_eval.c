/* cli/cmd_eval.c -- `lorikeet eval`: how well base and tuned model answer. */
#include "base/log.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/eval_report.h"
#include "train/run_dir.h"
#include "train/signals.h"

#include <stdio.h>
#include <string.h>

typedef struct lrk_eval_command {
    const char *run, *model, *adapter, *data, *split, *prompt, *completion, *chat_template;
    const char *validator, *group_by, *failures, *out, *device, *dtype;
    size_t rows, base_rows, max_tokens, examples, batch, threads;
    bool json, no_base;

    lrk_arena arena;
    lrk_recipe recipe;
    lrk_recipe_dataset entry;
    lrk_responder responder[2]; /* base, tuned */
    lrk_score score[2];
    lrk_exam exam;
    lrk_validator *judge;
    lrk_writer *report_file, *failure_file;
} lrk_eval_command;

/* ---- what is asked for: a run directory, options, or both ---- */

static lrk_status from_run(lrk_eval_command *c, lrk_err *err)
{
    const char *path = lrk_path_join(&c->arena, c->run, LRK_RUN_RECIPE);
    const char *adapter = lrk_path_join(&c->arena, c->run, LRK_RUN_ADAPTER);
    LRK_REQUIRE(err, path && adapter, LRK_ENOMEM, "memory: no room for a path");
    LRK_REQUIRE(err, lrk_is_file(path), LRK_EINPUT,
                "%s: no " LRK_RUN_RECIPE " in it, so it is no run directory", c->run);
    LRK_TRY(lrk_recipe_load(&c->recipe, &c->arena, path, NULL, 0, err));
    if (!c->adapter) {
        LRK_REQUIRE(err, lrk_is_dir(adapter), LRK_EINPUT,
                    "%s: no adapter yet: the run has not finished; go on with `lorikeet train %s "
                    "--resume`, or name one with --adapter",
                    c->run, path);
        c->adapter = adapter;
    }
    if (!c->model) c->model = c->recipe.base_model;
    if (!c->validator) c->validator = c->recipe.validator_command;
    if (!c->max_tokens) c->max_tokens = c->recipe.eval_max_new_tokens;
    return LRK_OK;
}

static lrk_status from_options(lrk_eval_command *c, lrk_err *err)
{
    static const char defaults[] = "base_model: model\ndatasets: [{path: data}]\n";
    LRK_REQUIRE(err, c->model && c->data, LRK_EUSAGE,
                "expected a run directory, or --model and --data");
    return lrk_recipe_parse(&c->recipe, &c->arena, defaults, sizeof defaults - 1, "defaults", NULL,
                            0, err);
}

/* --data goes before what the run was evaluated on; its rows are read as the run's are. */
static void choose_data(lrk_eval_command *c)
{
    if (!c->data) {
        const lrk_recipe_datasets *d =
            c->recipe.test_datasets.n ? &c->recipe.test_datasets : &c->recipe.datasets;
        c->data = d->n ? d->item[0].path : NULL;
        return;
    }
    if (c->run && c->recipe.datasets.n) c->entry = c->recipe.datasets.item[0];
    c->entry.path = c->data;
    c->entry.split = c->split;
    if (c->prompt || c->completion) {
        c->entry.prompt = c->prompt;
        c->entry.completion = c->completion;
    }
    c->recipe.test_datasets = (lrk_recipe_datasets){&c->entry, 1};
}

static lrk_status resolve(lrk_eval_command *c, lrk_err *err)
{
    LRK_TRY(c->run ? from_run(c, err) : from_options(c, err));
    LRK_REQUIRE(err, c->data || c->recipe.test_datasets.n || c->recipe.val_set_size > 0.0, LRK_EUSAGE,
                "%s: the run had no rows to evaluate on; name some with --data", c->run);
    LRK_REQUIRE(err, c->data || (!c->split && !c->prompt && !c->completion), LRK_EUSAGE,
                "--split, --prompt and --completion go with --data");
    choose_data(c);
    c->recipe.base_model = c->model;
    if (c->chat_template) c->recipe.chat_template = c->chat_template;
    if (!c->max_tokens) c->max_tokens = 256;
    LRK_REQUIRE(err, !c->no_base || c->adapter, LRK_EUSAGE, "--no-base goes with an adapter");
    LRK_REQUIRE(err, c->threads <= LRK_MAX_THREADS && c->batch <= 256, LRK_EUSAGE,
                "--threads and --batch: at most 256");
    return LRK_OK;
}

/* ---- the work ---- */

/* Everything that can be missing is looked for before the first row. */
static lrk_status open_all(lrk_eval_command *c, lrk_err *err)
{
    lrk_responder_options o = {.model = c->model};
    LRK_TRY(lrk_device_choose(c->device, &o.device, err));
    LRK_TRY(lrk_compute_choose(c->dtype, o.device, &o.compute, err));
    if (c->out) LRK_TRY(lrk_writer_open(&c->report_file, c->out, err));
    if (c->failures) LRK_TRY(lrk_writer_open(&c->failure_file, c->failures, err));
    LRK_TRY(lrk_responder_open(&c->responder[0], &o, err));
    o.adapter = c->adapter;
    if (c->adapter) LRK_TRY(lrk_responder_open(&c->responder[1], &o, err));
    const size_t positions = c->responder[0].base.decoder.max_positions;
    if (!c->run || c->recipe.sequence_len > positions) c->recipe.sequence_len = positions;
    const lrk_exam_options e = {.recipe = &c->recipe, .group_by = c->group_by, .rows = c->rows};
    LRK_TRY(lrk_exam_open(&c->exam, &e, &c->responder[0].text, err));
    return c->validator ? lrk_validator_open(&c->judge, c->validator, err) : LRK_OK;
}

static lrk_status make_scores(lrk_eval_command *c, size_t *n, lrk_err *err)
{
    lrk_score_options o = {.name = "base", .validator = c->judge, .max_tokens = c->max_tokens,
                           .rows = c->adapter ? c->base_rows : 0, .slots = c->batch,
                           .stop = lrk_stop_requested};
    *n = 0;
    if (!c->no_base) LRK_TRY(lrk_score_make(&c->score[(*n)++], &c->responder[0], &c->exam, &o, err));
    lrk_responder_close(&c->responder[0]);
    if (!c->adapter) return LRK_OK;
    o.name = "tuned";
    o.rows = 0;
    return lrk_score_make(&c->score[(*n)++], &c->responder[1], &c->exam, &o, err);
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
    lrk_signals_install();
    LRK_TRY(make_scores(c, &n, err));
    const lrk_eval_report r = {.model = c->model, .adapter = c->adapter, .data = c->data,
                               .validator = c->validator, .exam = &c->exam, .score = c->score,
                               .n_scores = n};
    if (c->failure_file) {
        LRK_TRY(lrk_eval_failures(&r, c->failure_file, &failures, err));
        LRK_TRY(lrk_writer_commit(c->failure_file, err));
        lrk_note("%s: %zu wrong answers", c->failures, failures);
    }
    LRK_TRY(write_report(c, &r, err));
    if (c->json) return LRK_OK;
    lrk_print_eval(&r);
    lrk_print_eval_examples(&r, c->examples);
    return LRK_OK;
}

static void close_all(lrk_eval_command *c)
{
    lrk_writer_close(c->report_file);
    lrk_writer_close(c->failure_file);
    lrk_validator_close(c->judge);
    for (int i = 0; i < 2; i++) {
        lrk_score_free(&c->score[i]);
        lrk_responder_close(&c->responder[i]);
    }
    lrk_exam_close(&c->exam);
    lrk_arena_free(&c->arena);
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    lrk_eval_command c = {.device = "auto", .dtype = "auto", .arena = lrk_arena_growing("eval")};
    const lrk_option table[] = {
        {"model", LRK_OPTION_STRING, &c.model, false},
        {"adapter", LRK_OPTION_STRING, &c.adapter, false},
        {"data", LRK_OPTION_STRING, &c.data, false},
        {"split", LRK_OPTION_STRING, &c.split, false},
        {"prompt", LRK_OPTION_STRING, &c.prompt, false},
        {"completion", LRK_OPTION_STRING, &c.completion, false},
        {"chat-template", LRK_OPTION_STRING, &c.chat_template, false},
        {"validator", LRK_OPTION_STRING, &c.validator, false},
        {"group-by", LRK_OPTION_STRING, &c.group_by, false},
        {"rows", LRK_OPTION_SIZE, &c.rows, false},
        {"base-rows", LRK_OPTION_SIZE, &c.base_rows, false},
        {"no-base", LRK_OPTION_FLAG, &c.no_base, false},
        {"max-tokens", LRK_OPTION_SIZE, &c.max_tokens, false},
        {"examples", LRK_OPTION_SIZE, &c.examples, false},
        {"failures", LRK_OPTION_STRING, &c.failures, false},
        {"out", LRK_OPTION_STRING, &c.out, false},
        {"json", LRK_OPTION_FLAG, &c.json, false},
        {"device", LRK_OPTION_STRING, &c.device, false},
        {"dtype", LRK_OPTION_STRING, &c.dtype, false},
        {"threads", LRK_OPTION_SIZE, &c.threads, false},
        {"batch", LRK_OPTION_SIZE, &c.batch, false},
    };
    LRK_TRY(lrk_options_parse(table, sizeof table / sizeof *table, &argc, argv, err));
    LRK_REQUIRE(err, argc <= 1, LRK_EUSAGE, "unexpected argument %s", argv[1]);
    if (argc) c.run = argv[0];
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
            "  --max-tokens N     length of an answer (the run's eval_max_new_tokens, 256)\n"
            "  --examples K       print K questions with their answers (0)\n"
            "  --failures FILE    wrong answers as JSON Lines\n"
            "  --out FILE         the figures as JSON\n"
            "  --json             the figures as JSON on standard output instead of the table\n"
            "  --device D         auto (the GPU where there is one), cpu or cuda\n"
            "  --dtype D          auto, f32 or bf16\n"
            "  --threads K        threads (one for each processor)\n"
            "  --batch N          answers under way at a time (16)\n"
            "\n"
            "An answer ends at an end token, and at a newline where no right answer has one.\n"
            "\n"
            "example: lorikeet eval runs/plume --data examples/plume/test.jsonl --group-by level \\\n"
            "             --validator 'build/release/examples/plume/plume check' --examples 10\n",
    .run = run,
};
