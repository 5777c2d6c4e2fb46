/* cli/cmd_plan.c -- `lorikeet plan`: what a run will need. */
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/plan_table.h"
#include "train/progress.h"
#include "train/recompute.h"

#include <stdio.h>
#include <string.h>

static void row(const char *what, size_t bytes)
{
    if (bytes) printf("  %-26s %10.1f MB\n", what, (double)bytes / 1e6);
}

void lrk_print_plan(const lrk_plan *p, const lrk_session *s)
{
    static const char *const kept[] = {[LRK_KEEP_ALL] = "everything kept",
                                       [LRK_KEEP_COSTLY] = "norms and SwiGLU computed again",
                                       [LRK_KEEP_LAYERS] = "layers computed again",
                                       [LRK_KEEP_AWAY] = "layers computed again, their results put aside"};
    const lrk_batch_limits *l = lrk_batches_limits(s->train);
    const lrk_engine_bytes *e = &p->bytes.engine;
    const lrk_token_report *t = &s->train_data.total;
    printf("model     %s: %s, %.1f M parameters, %.2f M trained\n", s->recipe->base_model,
           s->base.decoder.family, (double)lrk_decoder_parameters(&s->base.decoder) / 1e6,
           (double)p->trainable / 1e6);
    printf("data      %zu row%s", lrk_batches_rows(s->train), lrk_batches_rows(s->train) == 1 ? "" : "s");
    if (s->eval && s->recipe->val_set_size > 0.0) printf(" + %zu held out", lrk_batches_rows(s->eval));
    printf(", %llu tokens, %llu of them trained (%.0f %%), longest row %llu\n",
           (unsigned long long)t->tokens,
           (unsigned long long)t->trained,
           t->tokens ? 100.0 * (double)t->trained / (double)t->tokens : 0.0,
           (unsigned long long)l->longest_row);
    printf("run       %llu step%s, %llu tokens", (unsigned long long)l->steps, l->steps == 1 ? "" : "s",
           (unsigned long long)l->tokens);
    if (l->computed < l->tokens)
        printf(" (%llu computed, for rows that begin alike share that)", (unsigned long long)l->computed);
    printf(", micro-batches of up to %zu tokens, %s on %s\n", l->micro_tokens,
           lrk_compute_name(s->engine.compute), s->device == LRK_CUDA ? "the GPU" : "the CPU");
    printf("memory%s, %s\n", s->device == LRK_CUDA ? " of the GPU" : "",
           kept[s->engine.recompute]);
    if (s->device == LRK_CPU) row("weights, mapped", p->bytes.weights);
    row("weights", e->weights);
    row("derived from weights", e->frozen);
    row("adapters", e->adapters);
    row("the same in bf16", e->shadow);
    row("their gradients", e->gradients);
    row("optimizer moments", e->moments);
    row("batch", e->batch);
    row("activations", e->step);
    row("kernel workspace", e->scratch);
    if (s->device == LRK_CPU) row("program and data", p->bytes.process);
    row("peak", p->bytes.total);
    const size_t most = lrk_session_budget(s), needed = lrk_engine_total(e);
    if (needed > most)
        lrk_warn("it does not fit: %.1f MB are needed, %.1f MB may be used (%s); use a smaller micro_batch_size or "
                 "sequence_len, or fewer bits",
                 (double)needed / 1e6, (double)most / 1e6,
                 s->device == LRK_CPU ? "nine tenths of what is free"
                                      : "gpu_memory_limit, or nine tenths of what is free");
    if (s->device != LRK_CPU) {
        printf("memory of this process\n  %-26s %10.1f MB, and the weights while they are copied\n",
               "program and data", (double)p->bytes.process / 1e6);
        row("results put aside, pinned", e->host);
    }
    if (!lrk_device_built(s->device))
        lrk_note("note: this program was built without GPU kernels (lorikeet doctor): it plans for a GPU, another "
                 "build trains on it");
    const lrk_plan_disk *d = &p->disk;
    printf("disk      about %.1f MB in %s: checkpoints %.1f, adapter %.1f", (double)lrk_plan_disk_total(d) / 1e6,
           s->recipe->output_dir, (double)d->checkpoints / 1e6, (double)d->adapter / 1e6);
    if (d->merged) printf(", merged %.1f", (double)d->merged / 1e6);
    printf("\n");
    printf("work      %.1f TFLOP", p->flops / 1e12);
    if (p->seconds > 0.0) {
        char text[32];
        lrk_duration(p->seconds, text, sizeof text);
        printf(", the steps about %s: one layer was timed now (%.0f GFLOP/s)", text, 1e-9 * p->flops / p->seconds);
    }
    printf("\n");
}

static lrk_status print_json(const lrk_plan *p, const lrk_session *s, lrk_err *err)
{
    const lrk_batch_limits *l = lrk_batches_limits(s->train);
    const lrk_engine_bytes *e = &p->bytes.engine;
    lrk_json *o = lrk_json_object(), *bytes = lrk_json_object(), *disk = lrk_json_object();
    lrk_json_set_count(bytes, "weights", p->bytes.weights);
    lrk_json_set_count(bytes, "copied", e->weights);
    lrk_json_set_count(bytes, "derived", e->frozen);
    lrk_json_set_count(bytes, "adapters", e->adapters);
    lrk_json_set_count(bytes, "shadow", e->shadow);
    lrk_json_set_count(bytes, "gradients", e->gradients);
    lrk_json_set_count(bytes, "moments", e->moments);
    lrk_json_set_count(bytes, "batch", e->batch);
    lrk_json_set_count(bytes, "activations", e->step);
    lrk_json_set_count(bytes, "workspace", e->scratch);
    lrk_json_set_count(bytes, "host", e->host);
    lrk_json_set_count(bytes, "process", p->bytes.process);
    lrk_json_set_count(bytes, "total", p->bytes.total);
    lrk_json_set(o, "fits", lrk_json_new_bool(lrk_engine_total(e) <= lrk_session_budget(s)));
    lrk_json_set(o, "bytes", bytes);
    lrk_json_set_count(disk, "checkpoints", p->disk.checkpoints);
    lrk_json_set_count(disk, "adapter", p->disk.adapter);
    lrk_json_set_count(disk, "merged", p->disk.merged);
    lrk_json_set(o, "disk", disk);
    lrk_json_set(o, "device", lrk_json_c_string(lrk_device_name(s->device)));
    lrk_json_set_count(o, "trainable", p->trainable);
    lrk_json_set_count(o, "steps", l->steps);
    lrk_json_set_count(o, "tokens", l->tokens);
    lrk_json_set_count(o, "trained_tokens", l->trained);
    lrk_json_set_count(o, "computed_tokens", l->computed);
    lrk_json_set_count(o, "micro_batch_tokens", l->micro_tokens);
    lrk_json_set(o, "flops", lrk_json_new_real(p->flops));
    lrk_json_set(o, "gflops_per_s", lrk_json_new_real(p->seconds > 0.0 ? 1e-9 * p->flops / p->seconds : 0.0));
    lrk_json_set(o, "seconds", lrk_json_new_real(p->seconds));
    return lrk_print_json(o, err);
}

static lrk_status plan(const lrk_recipe *recipe, bool json, lrk_err *err)
{
    lrk_session s;
    lrk_plan p;
    LRK_TRY(lrk_session_open(&s, recipe, false, err));
    lrk_status status = lrk_plan_make(&p, &s, true, err);
    if (status == LRK_OK && json) status = print_json(&p, &s, err);
    else if (status == LRK_OK) lrk_print_plan(&p, &s);
    lrk_session_close(&s);
    return status;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    bool json = false;
    const lrk_option table[] = {{"json", LRK_OPTION_FLAG, &json, false, NULL}};
    LRK_TRY(lrk_options_parse(table, 1, &argc, argv, err));
    LRK_REQUIRE(err, argc >= 1, LRK_EUSAGE,
                "expected a recipe, as in\n  lorikeet plan recipes/plume.yaml learning_rate=5e-4\n"
                "`lorikeet recipe schema` lists its keys, --help the options");
    lrk_recipe recipe;
    lrk_arena a = lrk_arena_growing("recipe");
    lrk_status status = lrk_recipe_load(&recipe, &a, argv[0], (const char *const *)argv + 1,
                                        (size_t)argc - 1, err);
    if (status == LRK_OK) status = plan(&recipe, json, err);
    lrk_arena_free(&a);
    return status;
}

const lrk_command lrk_command_plan = {
    .name = "plan",
    .summary = "memory, disk, steps and time of a run, before it begins",
    .help = "usage: lorikeet plan RECIPE.yaml [key=value ...] [--json]\n"
            "\n"
            "Prints what a run will need: bytes of memory by class, steps, tokens, work, and the time\n"
            "of the steps, which follows from a step of one layer that is timed now. Memory is that of\n"
            "the largest micro-batch, with all workspace that kernels may ask for; the peak of a run is\n"
            "within 1 % and 8 MB of it. Reads the data, the headers of the model's files, and of the\n"
            "weights those of that layer and the head.\n"
            "\n"
            "  --json   the figures as JSON\n"
            "\n"
            "example: lorikeet plan recipes/plume.yaml micro_batch_size=32\n",
    .run = run,
};
