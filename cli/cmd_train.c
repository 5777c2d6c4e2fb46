/* cli/cmd_train.c -- `lorikeet train`. */
#include "base/clock.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/plan_table.h"
#include "train/finish.h"
#include "train/loop.h"
#include "train/metrics.h"
#include "train/signals.h"

#include <stdio.h>

static lrk_optimizer optimizer_of(const lrk_recipe *r)
{
    return (lrk_optimizer){.beta1 = r->adam_beta1, .beta2 = r->adam_beta2, .eps = r->adam_epsilon,
                           .decay = r->weight_decay, .max_norm = r->max_grad_norm};
}

/* The adapter's start values, or those of a checkpoint. */
static lrk_status begin(lrk_training *t, bool resume, lrk_err *err)
{
    lrk_session *s = t->session;
    bool found = false;
    if (s->start.n)
        LRK_TRY(lrk_adapter_into_model(&s->start, &t->engine->model, err));
    else
        lrk_model_start(&t->engine->model, s->recipe->seed);
    if (resume) LRK_TRY(lrk_run_state_newest(t->dir, &t->state, s, t->engine, &found, err));
    if (found) {
        LRK_TRY(lrk_batches_seek(s->train, t->state.cursor, err));
        lrk_note("going on after step %llu", (unsigned long long)t->state.step);
    }
    LRK_TRY(lrk_metrics_rewind(lrk_run_dir_file(t->dir, LRK_RUN_METRICS), t->state.step, err));
    return lrk_run_dir_begin(t->dir, s->recipe, err);
}

static lrk_status train(lrk_training *t, bool resume, lrk_err *err)
{
    lrk_session *s = t->session;
    LRK_TRY(lrk_engine_open(t->engine, &s->engine, err));
    LRK_TRY(lrk_base_check_names(&s->base, &t->engine->model, err));
    LRK_TRY(lrk_targets_check(&s->targets, err));
    LRK_TRY(lrk_base_check_finite(&s->base, err));
    LRK_TRY(begin(t, resume, err));
    lrk_verbose("first step begins %.2f s after the start", lrk_process_seconds());
    LRK_TRY(lrk_training_run(t, err));
    return lrk_training_finish(t, err);
}

static lrk_status open_and_train(const lrk_recipe *recipe, bool resume, lrk_err *err)
{
    lrk_session s;
    lrk_engine e = {0};
    lrk_run_dir dir = {0};
    lrk_plan plan;
    LRK_TRY(lrk_session_open(&s, recipe, err));
    lrk_training t = {.session = &s, .engine = &e, .dir = &dir, .optimizer = optimizer_of(recipe)};
    lrk_status status = lrk_plan_make(&plan, &s, false, err);
    if (status == LRK_OK) status = lrk_run_dir_open(&dir, recipe->output_dir, recipe, resume, err);
    if (status == LRK_OK) {
        lrk_print_plan(&plan, &s);
        fflush(stdout);
        status = train(&t, resume, err);
        lrk_run_dir_close(&dir);
    }
    lrk_engine_close(&e);
    lrk_session_close(&s);
    return status;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    bool resume = false, verbose = false, quiet = false;
    const lrk_option table[] = {{"resume", LRK_OPTION_FLAG, &resume, false},
                                {"verbose", LRK_OPTION_FLAG, &verbose, false},
                                {"quiet", LRK_OPTION_FLAG, &quiet, false}};
    LRK_TRY(lrk_options_parse(table, sizeof table / sizeof *table, &argc, argv, err));
    LRK_REQUIRE(err, argc >= 1, LRK_EUSAGE, "expected a recipe");
    if (verbose || quiet) lrk_log_level(quiet ? 0 : 2);
    lrk_signals_install();
    lrk_recipe recipe;
    lrk_arena a = lrk_arena_growing("recipe");
    lrk_status status = lrk_recipe_load(&recipe, &a, argv[0], (const char *const *)argv + 1,
                                        (size_t)argc - 1, err);
    if (status == LRK_OK) status = open_and_train(&recipe, resume, err);
    lrk_arena_free(&a);
    return status;
}

const lrk_command lrk_command_train = {
    .name = "train",
    .summary = "train an adapter as a recipe says",
    .help = "usage: lorikeet train RECIPE.yaml [key=value ...] [--resume]\n"
            "\n"
            "Trains LoRA adapters on a frozen model. key=value overrides a key of the recipe;\n"
            "`lorikeet recipe schema` lists them. The directory output_dir receives the resolved\n"
            "recipe, metrics.jsonl, loss.svg, checkpoints, and at the end the adapter. Ctrl-C\n"
            "finishes the step, saves, and exits with code 75.\n"
            "\n"
            "  --resume    go on from the newest whole checkpoint in output_dir\n"
            "  --quiet     warnings only\n"
            "  --verbose   more about what happens\n"
            "\n"
            "example: lorikeet train recipes/plume.yaml learning_rate=5e-4 output_dir=runs/try\n",
    .run = run,
};
