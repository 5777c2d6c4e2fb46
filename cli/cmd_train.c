/* cli/cmd_train.c -- `lorikeet train`. */
#include "base/log.h"
#include "base/signals.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/plan_table.h"
#include "data/dataset.h"
#include "train/corpus.h"
#include "train/run.h"

#include <stdio.h>

static void print_plan(const lrk_plan *plan, const lrk_session *session)
{
    lrk_print_plan(plan, session);
    fflush(stdout);
}

static void print_outputs(const lrk_recipe *r)
{
    printf("outputs   %s/" LRK_RUN_ADAPTER, r->output_dir);
    if (r->export_adapter_gguf) printf(", %s/" LRK_RUN_ADAPTER_GGUF, r->output_dir);
    if (r->export_merged) printf(", %s/" LRK_RUN_MERGED, r->output_dir);
    for (size_t i = 0; i < r->export_gguf.n; i++) printf(", %s/merged-%s.gguf", r->output_dir, r->export_gguf.item[i]);
    for (size_t i = 0; i < r->export_ollama.n; i++) printf(", %s/ollama-%s", r->output_dir, r->export_ollama.item[i]);
    printf("\n");
}

/* Do the rows begin with a turn of the system? Then a question without one is another question. */
static bool rows_have_system(const lrk_session *s)
{
    lrk_arena a = lrk_arena_growing("row");
    lrk_dataset *d = NULL;
    lrk_record r = {0};
    const char *path;
    bool found = false;
    if (s->recipe->datasets.n && lrk_corpus_dataset(&s->recipe->datasets.item[0], &a, &path, NULL) == LRK_OK &&
        lrk_dataset_open(&d, path, NULL) == LRK_OK)
        found = lrk_dataset_read(d, 0, &a, &r, NULL) == LRK_OK && r.n_parts && r.parts[0].role == LRK_ROLE_SYSTEM;
    lrk_dataset_close(d);
    lrk_arena_free(&a);
    return found;
}

static lrk_status print_summary(const lrk_run_summary *u, const lrk_session *s, lrk_err *err)
{
    const lrk_recipe *r = s->recipe;
    const bool chat = s->train_data.n && s->train_data.chat[0];
    char time[32];
    (void)err;
    printf("trained   %llu step%s", (unsigned long long)u->steps, u->steps == 1 ? "" : "s");
    if (u->steps < u->total) printf(" of %llu", (unsigned long long)u->total);
    if (u->now && u->now < u->steps) printf(", %llu of them now", (unsigned long long)u->now);
    lrk_duration(u->seconds, time, sizeof time);
    if (u->now)
        printf(": %llu tokens in %s, %.0f tok/s", (unsigned long long)u->tokens, time,
               u->seconds > 0.0 ? (double)u->tokens / u->seconds : 0.0);
    printf("\n");
    if (u->trained) printf("loss      %.3f at first, %.3f in the last step\n", u->first_loss, u->last_loss);
    if (u->evaluated)
        printf("eval      %.4f at the end, best %.4f after step %llu\n", u->eval_loss, u->best_loss,
               (unsigned long long)u->best_step);
    print_outputs(r);
    printf("next      lorikeet eval %s\n", r->output_dir);
    printf("          lorikeet generate --model %s --adapter %s/" LRK_RUN_ADAPTER "%s --%s \"...\"\n", r->base_model,
           r->output_dir, chat && rows_have_system(s) ? " --system \"...\"" : "", chat ? "message" : "prompt");
    return LRK_OK;
}

static void set_known(lrk_json *o, const char *name, bool known, double value)
{
    lrk_json_set(o, name, known ? lrk_json_new_real(value) : lrk_json_new_null());
}

static lrk_status print_summary_json(const lrk_run_summary *u, const lrk_session *s, lrk_err *err)
{
    lrk_json *o = lrk_json_object();
    lrk_json_set_text(o, "output_dir", s->recipe->output_dir);
    lrk_json_set_count(o, "steps", u->steps);
    lrk_json_set_count(o, "total_steps", u->total);
    lrk_json_set_count(o, "steps_now", u->now);
    lrk_json_set_count(o, "tokens_now", u->tokens);
    lrk_json_set(o, "seconds_now", lrk_json_new_real(u->seconds));
    set_known(o, "first_loss", u->trained, u->first_loss);
    set_known(o, "last_loss", u->trained, u->last_loss);
    set_known(o, "eval_loss", u->evaluated, u->eval_loss);
    set_known(o, "best_loss", u->evaluated, u->best_loss);
    lrk_json_set(o, "best_step",
                 u->evaluated ? lrk_json_new_integer((int64_t)u->best_step) : lrk_json_new_null());
    return lrk_print_json(o, err);
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    bool resume = false, verbose = false, quiet = false, json = false;
    const lrk_option table[] = {{"resume", LRK_OPTION_FLAG, &resume, false, NULL},
                                {"verbose", LRK_OPTION_FLAG, &verbose, false, NULL},
                                {"quiet", LRK_OPTION_FLAG, &quiet, false, NULL},
                                {"json", LRK_OPTION_FLAG, &json, false, NULL}};
    LRK_TRY(lrk_options_parse(table, sizeof table / sizeof *table, &argc, argv, err));
    LRK_REQUIRE(err, argc >= 1, LRK_EUSAGE,
                "expected a recipe, as in\n  lorikeet train recipes/plume.yaml learning_rate=5e-4\n"
                "`lorikeet recipe schema` lists its keys, --help the options");
    if (verbose || quiet) lrk_log_level(quiet ? 0 : 2);
    lrk_recipe recipe;
    lrk_arena a = lrk_arena_growing("recipe");
    lrk_status status = lrk_recipe_load(&recipe, &a, argv[0], (const char *const *)argv + 1,
                                        (size_t)argc - 1, err);
    if (status == LRK_OK)
        status = lrk_run_recipe(&recipe, resume, quiet || json ? NULL : print_plan, lrk_signals_install,
                                json ? print_summary_json : quiet ? NULL : print_summary, err);
    lrk_arena_free(&a);
    return status;
}

const lrk_command lrk_command_train = {
    .name = "train",
    .summary = "train an adapter as a recipe says",
    .help = "usage: lorikeet train RECIPE.yaml [key=value ...] [--resume] [--json]\n"
            "\n"
            "Trains LoRA adapters on a frozen model. key=value overrides a key of the recipe;\n"
            "`lorikeet recipe schema` lists them. The directory output_dir receives the resolved\n"
            "recipe, metrics.jsonl, loss.svg, checkpoints, and at the end the adapter. Ctrl-C\n"
            "finishes the step, saves, and exits with code 75; before the first step there is\n"
            "nothing to save, and it ends the program.\n"
            "\n"
            "  --resume    go on from the newest whole checkpoint in output_dir, with the same recipe; with\n"
            "              lr_scheduler: constant also to another max_steps or num_epochs that is ahead. Any\n"
            "              other longer run begins in another output_dir, with lora_model_dir=RUN/adapter\n"
            "  --quiet     warnings and errors only, no plan and no summary\n"
            "  --verbose   more about what happens\n"
            "  --json      the summary as JSON in place of plan and summary\n"
            "\n"
            "example: lorikeet train recipes/plume.yaml learning_rate=5e-4 output_dir=runs/try\n",
    .run = run,
};
