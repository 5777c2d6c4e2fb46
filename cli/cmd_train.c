/* cli/cmd_train.c -- `lorikeet train`. */
#include "base/log.h"
#include "cli/command.h"
#include "cli/plan_table.h"
#include "train/run.h"
#include "train/signals.h"

#include <stdio.h>

static void print_plan(const lrk_plan *plan, const lrk_session *session)
{
    lrk_print_plan(plan, session);
    fflush(stdout);
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
    lrk_recipe recipe;
    lrk_arena a = lrk_arena_growing("recipe");
    lrk_status status = lrk_recipe_load(&recipe, &a, argv[0], (const char *const *)argv + 1,
                                        (size_t)argc - 1, err);
    if (status == LRK_OK)
        status = lrk_run_recipe(&recipe, resume, print_plan, lrk_signals_install, err);
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
            "finishes the step, saves, and exits with code 75; before the first step there is\n"
            "nothing to save, and it ends the program.\n"
            "\n"
            "  --resume    go on from the newest whole checkpoint in output_dir\n"
            "  --quiet     warnings only\n"
            "  --verbose   more about what happens\n"
            "\n"
            "example: lorikeet train recipes/plume.yaml learning_rate=5e-4 output_dir=runs/try\n",
    .run = run,
};
