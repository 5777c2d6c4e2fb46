/* cli/cmd_certify.c -- `lorikeet certify`: how far merged models are from base + adapter. */
#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/exam_args.h"
#include "cli/json_out.h"
#include "generate/base_model.h"
#include "generate/ollama.h"
#include "generate/text_files.h"
#include "models/choose.h"
#include "train/certificate.h"
#include "train/run_dir.h"
#include "train/session.h"

#include <stdio.h>
#include <string.h>

typedef struct certify_command {
    lrk_exam_args args;
    const char *device, *out;
    double max_kl, min_top1;
    size_t rows, threads;
    bool json, any_adapter;
    lrk_base_model base;
    lrk_model_text text;
    lrk_exam exam;
    lrk_certificate certificate;
} certify_command;

static bool is_bundle(const char *name) { return strncmp(name, LRK_RUN_OLLAMA, sizeof LRK_RUN_OLLAMA - 1) == 0; }

static bool is_merged(const char *name)
{
    return strcmp(name, LRK_RUN_MERGED) == 0 || is_bundle(name) ||
           (strncmp(name, LRK_RUN_MERGED "-", sizeof LRK_RUN_MERGED) == 0 && lrk_ends_with(name, ".gguf"));
}

/* Of a bundle for Ollama, which is whole with its Modelfile, the model in it. */
static lrk_status look_inside(lrk_arena *a, const char **path, bool *whole, lrk_err *err)
{
    const char *file = lrk_path_join(a, *path, LRK_MODELFILE), *model = lrk_path_join(a, *path, LRK_OLLAMA_MODEL);
    LRK_REQUIRE(err, file && model, LRK_ENOMEM, "memory: no room for a path");
    *whole = lrk_is_file(file) && lrk_is_file(model);
    if (*whole) *path = model;
    return LRK_OK;
}

/* Those that are named, else those that the run left. */
static lrk_status outputs(certify_command *c, char **named, size_t n, lrk_err *err)
{
    lrk_certificate *to = &c->certificate;
    lrk_arena *a = &c->args.arena;
    char **names = named;
    if (n == 0) LRK_TRY(lrk_dir_list(a, c->args.run, &names, &n, err));
    LRK_TRY(lrk_alloc(a, n + 1, sizeof *to->output, "outputs", &to->output, err));
    for (size_t i = 0; i < n; i++) {
        lrk_output *o = &to->output[to->n];
        bool bundle;
        if (names != named && !is_merged(names[i])) continue;
        o->path = names == named ? names[i] : lrk_path_join(a, c->args.run, names[i]);
        LRK_REQUIRE(err, o->path, LRK_ENOMEM, "memory: no room for a path");
        const size_t folder = strlen(o->path) - strlen(names[i]);
        LRK_TRY(look_inside(a, &o->path, &bundle, err));
        if (names != named && is_bundle(names[i]) && !bundle) continue;
        o->name = o->path + folder;
        if (c->out) LRK_TRY(lrk_check_apart(c->out, o->path, err));
        to->n++;
    }
    LRK_REQUIRE(err, to->n, LRK_EUSAGE,
                "%s: no merged model in it; name one, or make one with `lorikeet merge`", c->args.run);
    return LRK_OK;
}

static lrk_status measure(certify_command *c, lrk_err *err)
{
    lrk_certificate *to = &c->certificate;
    lrk_recipe *r = &c->args.recipe;
    LRK_TRY(lrk_device_choose(c->device, &to->device, err));
    LRK_TRY(lrk_base_open(&c->base, c->args.model, err));
    LRK_TRY(lrk_text_open(&c->text, lrk_text_path(c->args.model, c->args.adapter), err));
    if (!c->args.run || r->sequence_len > c->base.decoder.max_positions)
        r->sequence_len = c->base.decoder.max_positions;
    const lrk_exam_options e = {.recipe = r, .rows = c->rows};
    LRK_TRY(lrk_exam_open(&c->exam, &e, &c->text, err));
    to->exam = &c->exam;
    to->model = c->args.model;
    to->bits = lrk_recipe_bits(r);
    to->max_kl = c->max_kl > 0.0 ? c->max_kl : r->export_max_kl;
    to->min_top1 = c->min_top1 > 0.0 ? c->min_top1 : r->export_min_top1;
    to->stop = lrk_stop_requested;
    lrk_signals_install();
    const lrk_status status = lrk_certify(to, err);
    if (status == LRK_STOPPED) lrk_note("nothing is kept of a certificate: the same command begins anew");
    return status;
}

/* A certificate that was good does not go for one of a call that failed. */
static lrk_status write_out(const certify_command *c, lrk_err *err)
{
    bool past = false;
    for (size_t i = 0; i < c->certificate.n; i++) past |= c->certificate.output[i].past_limit;
    if (!past || !lrk_is_file(c->out)) return lrk_certificate_write(&c->certificate, c->out, err);
    lrk_note("%s: is of an earlier call and stays, for an output is past its limit now", c->out);
    return LRK_OK;
}

static lrk_status report(const certify_command *c, lrk_err *err)
{
    const lrk_certificate *to = &c->certificate;
    lrk_buf table = {0};
    if (c->out) LRK_TRY(write_out(c, err));
    if (c->json) {
        LRK_TRY(lrk_print_json(lrk_certificate_json(to), err));
    } else {
        lrk_certificate_table(to, &table);
        const lrk_status status = lrk_buf_check(&table, err);
        if (status == LRK_OK) fwrite(table.data, 1, table.n, stdout);
        lrk_buf_free(&table);
        LRK_TRY(status);
    }
    return lrk_certificate_check(to, err);
}

/* Whatever can be missing is missed before the first row. */
static lrk_status look(certify_command *c, lrk_err *err)
{
    const lrk_exam_args *a = &c->args;
    const lrk_recipe_datasets *const lists[] = {&a->recipe.test_datasets, &a->recipe.datasets};
    lrk_json *before = NULL;
    LRK_REQUIRE(err, lrk_is_file(a->model) || lrk_is_dir(a->model), LRK_EINPUT,
                "%s: no such file or directory", a->model);
    const lrk_recipe_datasets *rows = lists[lists[0]->n == 0];
    for (size_t i = 0; i < rows->n; i++)
        LRK_REQUIRE(err, lrk_is_file(rows->item[i].path), LRK_EINPUT, "%s: no such file", rows->item[i].path);
    if (c->out) LRK_TRY(lrk_certificate_load(&before, c->out, err));
    lrk_json_free(before);
    c->certificate.adapter = a->adapter;
    return lrk_certificate_look(&c->certificate, c->any_adapter, err);
}

static lrk_status certify(certify_command *c, int argc, char **argv, lrk_err *err)
{
    const char *recipe = argc ? lrk_path_join(&c->args.arena, argv[0], LRK_RUN_RECIPE) : NULL;
    const bool run = argc && (!c->args.model || (recipe && lrk_is_file(recipe)));
    if (run) c->args.run = argv[0];
    LRK_REQUIRE(err, c->args.run || (argc && c->args.data), LRK_EUSAGE,
                "expected a run directory, or --model, --data and the models to look at");
    LRK_TRY(lrk_exam_args_resolve(&c->args, err));
    if (c->out) LRK_TRY(lrk_check_output(c->out, err));
    lrk_threads_set((int)c->threads);
    LRK_TRY(outputs(c, argv + run, (size_t)(argc - run), err));
    LRK_TRY(look(c, err));
    LRK_TRY(measure(c, err));
    return report(c, err);
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    certify_command c = {.device = "auto", .rows = 32, .args = {.arena = lrk_arena_growing("certify")}};
    const lrk_option table[] = {
        {"model", LRK_OPTION_STRING, &c.args.model, false, NULL},
        {"adapter", LRK_OPTION_STRING, &c.args.adapter, false, NULL},
        {"data", LRK_OPTION_STRING, &c.args.data, false, NULL},
        {"split", LRK_OPTION_STRING, &c.args.split, false, NULL},
        {"prompt", LRK_OPTION_STRING, &c.args.prompt, false, NULL},
        {"completion", LRK_OPTION_STRING, &c.args.completion, false, NULL},
        {"chat-template", LRK_OPTION_STRING, &c.args.chat_template, false, NULL},
        {"rows", LRK_OPTION_SIZE, &c.rows, false, NULL},
        {"max-kl", LRK_OPTION_REAL, &c.max_kl, false, "(0,100]"},
        {"min-top1", LRK_OPTION_REAL, &c.min_top1, false, "(0,1]"},
        {"out", LRK_OPTION_STRING, &c.out, false, NULL},
        {"any-adapter", LRK_OPTION_FLAG, &c.any_adapter, false, NULL},
        {"json", LRK_OPTION_FLAG, &c.json, false, NULL},
        {"device", LRK_OPTION_STRING, &c.device, false, NULL},
        {"threads", LRK_OPTION_SIZE, &c.threads, false, LRK_RANGE_THREADS},
    };
    LRK_TRY(lrk_options_parse(table, sizeof table / sizeof *table, &argc, argv, err));
    const lrk_status status = certify(&c, argc, argv, err);
    lrk_exam_close(&c.exam);
    lrk_text_close(&c.text);
    lrk_base_close(&c.base);
    lrk_arena_free(&c.args.arena);
    return status;
}

const lrk_command lrk_command_certify = {
    .name = "certify",
    .summary = "measure how far merged models are from base + adapter",
    .help = "usage: lorikeet certify RUN_DIR [MODEL ...] [options]\n"
            "       lorikeet certify --model M [--adapter A] --data ROWS MODEL ... [options]\n"
            "\n"
            "Merging rounds, and a quantized type rounds more. For each merged model: the KL\n"
            "divergence of its next-token distribution from that of base + adapter, the share of\n"
            "positions where both put the same token first, and the loss; over the answers of\n"
            "held-out rows, computed in f32. A run directory brings base, adapter, rows, limits and\n"
            "its merged models, those for Ollama too. `lorikeet train` does the same at the end of a run\n"
            "(export.check_rows) and writes certificate.json.\n"
            "\n"
            "  --model M          base: Hugging Face directory or GGUF file\n"
            "  --adapter A        PEFT adapter directory\n"
            "  --data ROWS        JSON Lines, or a data set of `lorikeet data import`\n"
            "  --split S          of the data set\n"
            "  --prompt T         JSON Lines: what comes before the answer, {name} for a member\n"
            "  --completion T     JSON Lines: the answer, in the same way\n"
            "  --chat-template T  a template's name or file instead of the model's own\n"
            "  --rows N           N rows, evenly spread (32; 0: all)\n"
            "  --max-kl X         fail (exit 7) where the mean divergence is above X nats a token\n"
            "  --min-top1 X       fail where the share of equal first tokens is below X\n"
            "  --any-adapter      also models that were made of another adapter than A\n"
            "  --out FILE         the certificate as JSON; one that is there is replaced, but not by one\n"
            "                     that fails\n"
            "  --json             the same on standard output instead of the table\n"
            "  --device D         auto (the GPU where one can be used), cpu or cuda\n"
            "  --threads K        threads (0: one for each processor)\n"
            "\n"
            "example: lorikeet certify runs/plume runs/plume/merged-q4_k_m.gguf --max-kl 0.05\n",
    .run = run,
};
