/* cli/cmd_combine.c -- `lorikeet combine`: several adapters of one base as one. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/threads.h"
#include "checkpoint/combine.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/merge_run.h"
#include "generate/adapter_dir.h"
#include "generate/adapter_io.h"
#include "generate/manifest.h"
#include "generate/model_text.h"
#include "generate/text_files.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 64 };
static const size_t NO_SEED = SIZE_MAX;

typedef struct combine_command {
    const char *out, *method, *base;
    size_t rank, seed, threads;
    bool json;
    lrk_combine_options options;
    lrk_adapter adapter[MOST];
    double weight[MOST];
    const char *path[MOST];
    lrk_weights *weights; /* of base */
    const char *text;     /* the adapter beside which a tokenizer lies, or NULL */
    lrk_json *manifest[MOST]; /* of the adapters, or NULL */
    size_t n;
    lrk_combine_residual residual;
    lrk_arena arena;
} combine_command;

/* PATH or PATH=WEIGHT */
static lrk_status load(combine_command *c, const char *text, lrk_err *err)
{
    char *path = lrk_strdup(&c->arena, text), *equals = path ? strrchr(path, '=') : NULL;
    LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
    c->weight[c->n] = 1.0;
    if (equals) {
        *equals = '\0';
        LRK_REQUIRE(err, lrk_text_real(equals + 1, &c->weight[c->n]) ||
                             (equals[1] == '-' && lrk_text_real(equals + 2, &c->weight[c->n])),
                    LRK_EUSAGE, "%s: expected ADAPTER or ADAPTER=WEIGHT, a number", text);
        if (equals[1] == '-' && c->weight[c->n] > 0.0) c->weight[c->n] = -c->weight[c->n];
    }
    LRK_TRY(lrk_adapter_load(&c->adapter[c->n], path, err));
    c->path[c->n++] = path;
    return lrk_manifest_load(&c->manifest[c->n - 1], path, err);
}

/* Tokens must be the same where rows of them are summed; elsewhere different tokenizers stay behind. */
static lrk_status choose_text(combine_command *c, lrk_err *err)
{
    enum { MAX_TOKENIZER = 128 << 20 };
    char *first = NULL, *other;
    size_t n = 0, m = 0;
    bool rows = false, same = true;
    for (size_t i = 0; i < c->n; i++) rows = rows || c->adapter[i].n_whole || c->adapter[i].resized[0].rank;
    for (size_t i = 0; i < c->n; i++) {
        const char *path = lrk_path_join(&c->arena, c->path[i], "tokenizer.json");
        LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
        if (!c->adapter[i].has_tokenizer) continue;
        LRK_TRY(lrk_file_read(&c->arena, path, MAX_TOKENIZER, &other, &m, err));
        same = same && (!c->text || (m == n && memcmp(first, other, n) == 0));
        LRK_REQUIRE(err, same || !rows, LRK_EINPUT,
                    "%s and %s have different tokenizers beside them: rows of one would be other tokens' in the other; "
                    "train them with the same new tokens, in the same order",
                    c->text, c->path[i]);
        if (c->text) continue;
        c->text = c->path[i];
        first = other;
        n = m;
    }
    if (same) return LRK_OK;
    c->text = NULL;
    lrk_warn("no tokenizer goes with it, for the adapters have different ones");
    return LRK_OK;
}

/* Rows of embedding and head are summed by how far they are from the base's. */
static lrk_status open_base(combine_command *c, lrk_err *err)
{
    LRK_TRY(choose_text(c, err));
    if (!c->base) return LRK_OK;
    LRK_TRY(lrk_weights_open(&c->weights, c->base, err));
    for (size_t i = 0; i < c->n; i++)
        LRK_TRY(lrk_err_prefix(err, lrk_adapter_fit(&c->adapter[i], c->weights, c->options.any_base, err), "%s",
                               c->path[i]));
    c->options.base = c->weights;
    return LRK_OK;
}

/* How the adapters were trained to be asked. One without a template of its own goes through that of the base, unless
 * its manifest says that its prompts were plain. */
typedef struct ways {
    const char *text; /* a template */
    size_t n;
    bool same; /* all templates are that one */
    const char *own, *base, *plain; /* an adapter of each kind, or NULL */
} ways;

static lrk_status find_ways(combine_command *c, ways *w, lrk_err *err)
{
    enum { MAX_TEMPLATE = 1 << 20 };
    *w = (ways){.same = true};
    for (size_t i = 0; i < c->n; i++) {
        const char *path = lrk_path_join(&c->arena, c->path[i], LRK_CHAT_TEMPLATE_FILE);
        char *text;
        size_t size;
        LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
        if (!lrk_is_file(path)) {
            const bool plain = lrk_manifest_trained_plain(c->manifest[i]);
            *(plain ? &w->plain : &w->base) = c->path[i];
            continue;
        }
        LRK_TRY(lrk_file_read(&c->arena, path, MAX_TEMPLATE, &text, &size, err));
        w->same = w->same && (!w->own || (size == w->n && memcmp(text, w->text, size) == 0));
        w->text = text;
        w->n = size;
        w->own = c->path[i];
    }
    return LRK_OK;
}

/* The template stays that all of them were trained with which were trained through one. */
static lrk_status keep_template(combine_command *c, const char *to, lrk_err *err)
{
    ways w;
    LRK_TRY(find_ways(c, &w, err));
    const char *chat = w.own ? w.own : w.base;
    if (w.plain && chat)
        lrk_warn("%s: %s was trained on plain prompts (generate --prompt), %s through a chat template (--message): "
                 "asked in one way, it is not asked as the other was trained",
                 c->out, w.plain, chat);
    if (w.own && !w.same)
        lrk_warn("%s: no chat template goes with it, for the adapters have different ones, so it is asked through the "
                 "base's own; put the one that it is meant for there as %s",
                 c->out, LRK_CHAT_TEMPLATE_FILE);
    else if (w.own && w.base)
        lrk_warn("%s: no chat template goes with it, for %s was trained with one of its own and %s has none, so it is "
                 "asked through the base's own; put the one that it is meant for there as %s",
                 c->out, w.own, w.base, LRK_CHAT_TEMPLATE_FILE);
    return w.own && w.same && !w.base ? lrk_file_write(to, w.text, w.n, err) : LRK_OK;
}

/* The tokenizer that adapters have beside them; a template goes its own way. */
static lrk_status put_text(void *ctx, const char *directory, lrk_err *err)
{
    combine_command *c = ctx;
    const char *template = lrk_path_join(&c->arena, directory, LRK_CHAT_TEMPLATE_FILE);
    LRK_REQUIRE(err, template, LRK_ENOMEM, "memory: no room for a path");
    if (c->text) LRK_TRY(lrk_text_files_copy(c->text, directory, err));
    if (lrk_is_file(template)) LRK_TRY(lrk_remove(template, err));
    return keep_template(c, template, err);
}

static void put_residual(const combine_command *c, lrk_json *object)
{
    lrk_json_set(object, "residual", lrk_json_new_real(c->residual.overall));
    lrk_json_set(object, "worst_residual", lrk_json_new_real(c->residual.worst));
    lrk_json_set_text(object, "worst_module", c->residual.module);
}

static lrk_status report(const combine_command *c, const lrk_adapter *a, lrk_err *err)
{
    const lrk_combine_residual *r = &c->residual;
    const bool svd = c->options.method == LRK_COMBINE_SVD, sum = c->options.method == LRK_COMBINE_CAT;
    if (!c->json) {
        printf("%s: PEFT adapter of %zu, by %s: %zu modules, rank %zu\n", c->out, c->n, c->method, a->n, a->rank);
        if (!sum)
            printf("residual: the %s %.3g %% of the sum's Frobenius norm; at worst %.3g %%, of %s\n",
                   svd ? "rank leaves out" : "distance from the plain weighted sum is", 100.0 * r->overall,
                   100.0 * r->worst, r->module ? r->module : "no module, for the sum is zero");
        return LRK_OK;
    }
    lrk_json *v = lrk_json_object();
    lrk_json_set_text(v, "out", c->out);
    lrk_json_set_text(v, "method", c->method);
    lrk_json_set_count(v, "adapters", c->n);
    lrk_json_set_count(v, "modules", a->n);
    lrk_json_set_count(v, "rank", a->rank);
    if (!sum) put_residual(c, v);
    return lrk_print_json(v, err);
}

/* Whether a method drops elements by chance. */
static bool drops(lrk_combine_method m) { return m == LRK_COMBINE_DARE_LINEAR || m == LRK_COMBINE_DARE_TIES; }

/* ---- what is said of the result ---- */

static lrk_status describe(lrk_json **manifest, const combine_command *c, const lrk_adapter *out, lrk_err *err)
{
    lrk_manifest_part part[MOST];
    lrk_json *o = lrk_json_object();
    lrk_json_set_text(o, "method", c->method);
    if (c->options.density < 1.0) lrk_json_set(o, "density", lrk_json_new_real(c->options.density));
    if (drops(c->options.method)) lrk_json_set_count(o, "seed", c->options.seed);
    if (c->options.method != LRK_COMBINE_CAT) put_residual(c, o);
    for (size_t i = 0; i < c->n; i++)
        part[i] = (lrk_manifest_part){c->path[i], &c->adapter[i], c->manifest[i], c->weight[i]};
    return lrk_manifest_new_combined(manifest, out, part, c->n, o, err);
}

/* What is true of the combination too: the base and the tokenizer, where every adapter notes the same. Steps and recipe
 * are those of one adapter each. */
static lrk_json *common_notes(const combine_command *c)
{
    static const char *const keys[] = {LRK_NOTE_BASE, LRK_NOTE_TOKENIZER};
    lrk_json *notes = lrk_json_object();
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const char *first = lrk_json_string(lrk_json_get(c->adapter[0].notes, keys[k]), NULL);
        bool same = first;
        for (size_t i = 1; same && i < c->n; i++) {
            const char *other = lrk_json_string(lrk_json_get(c->adapter[i].notes, keys[k]), NULL);
            same = other && strcmp(first, other) == 0;
        }
        if (same || (first && k == 0)) lrk_json_set_text(notes, keys[k], first); /* the base is the first one's */
    }
    return notes;
}

/* An option that would do nothing is a slip. */
static lrk_status check_method(combine_command *c, bool density, bool seed, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_combine_named(c->method, &c->options.method), LRK_EUSAGE,
                "--method: '%s' is unknown; cat, svd, linear, magnitude_prune, ties, dare_linear or dare_ties",
                c->method);
    const lrk_combine_method m = c->options.method;
    LRK_REQUIRE(err, !c->rank || m == LRK_COMBINE_SVD, LRK_EUSAGE, "--rank goes with --method svd");
    LRK_REQUIRE(err, !density || drops(m) || m == LRK_COMBINE_PRUNE || m == LRK_COMBINE_TIES, LRK_EUSAGE,
                "--density goes with --method magnitude_prune, ties, dare_linear or dare_ties");
    LRK_REQUIRE(err, !seed || drops(m), LRK_EUSAGE, "--seed goes with --method dare_linear or dare_ties");
    return LRK_OK;
}

static lrk_status work(combine_command *c, int argc, char **argv, lrk_err *err)
{
    lrk_adapter out;
    LRK_REQUIRE(err, argc >= 1 && argc <= MOST, LRK_EUSAGE, "expected 1 to %d adapters, got %d", MOST, argc);
    LRK_TRY(check_method(c, c->options.density > 0.0, c->seed != NO_SEED, err));
    if (c->options.density <= 0.0) c->options.density = 1.0;
    if (c->seed == NO_SEED) c->seed = 42;
    LRK_TRY(lrk_output_is_free(c->out, true, err));
    lrk_threads_set((int)c->threads);
    c->options.rank = c->rank;
    c->options.seed = c->seed;
    bool zero = true;
    for (int i = 0; i < argc; i++) {
        LRK_TRY(load(c, argv[i], err));
        zero = zero && fpclassify(c->weight[i]) == FP_ZERO;
    }
    LRK_REQUIRE(err, !zero, LRK_EUSAGE, "every weight is 0: the combination would change nothing");
    c->options.path = c->path;
    LRK_TRY(open_base(c, err));
    LRK_TRY(lrk_combine(&out, c->adapter, c->weight, c->n, &c->options, &c->residual, err));
    out.notes = common_notes(c);
    lrk_json *manifest = NULL;
    lrk_status status = describe(&manifest, c, &out, err);
    if (status == LRK_OK) status = lrk_adapter_dir_write(&out, c->out, manifest, put_text, c, err);
    if (status == LRK_OK) status = report(c, &out, err);
    lrk_json_free(manifest);
    lrk_adapter_free(&out);
    return status;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    combine_command c = {.method = "cat", .seed = NO_SEED,
                         .arena = lrk_arena_growing("combine")};
    const lrk_option table[] = {{"out", LRK_OPTION_STRING, &c.out, true, NULL},
                                {"base", LRK_OPTION_STRING, &c.base, false, NULL},
                                {"method", LRK_OPTION_STRING, &c.method, false, NULL},
                                {"rank", LRK_OPTION_SIZE, &c.rank, false, LRK_RANGE_RANK},
                                {"density", LRK_OPTION_REAL, &c.options.density, false, "(0,1]"},
                                {"seed", LRK_OPTION_SIZE, &c.seed, false, "[0,1e15]"},
                                {"any-base", LRK_OPTION_FLAG, &c.options.any_base, false, NULL},
                                {"threads", LRK_OPTION_SIZE, &c.threads, false, LRK_RANGE_THREADS},
                                {"json", LRK_OPTION_FLAG, &c.json, false, NULL}};
    LRK_TRY(lrk_options_parse(table, sizeof table / sizeof *table, &argc, argv, err));
    lrk_writers_stop_on_signal();
    const lrk_status status = work(&c, argc, argv, err);
    for (size_t i = 0; i < c.n; i++) {
        lrk_json_free(c.manifest[i]);
        lrk_adapter_free(&c.adapter[i]);
    }
    lrk_weights_close(c.weights);
    lrk_arena_free(&c.arena);
    return status;
}

const lrk_command lrk_command_combine = {
    .name = "combine",
    .summary = "make one adapter of several",
    .help = "usage: lorikeet combine ADAPTER[=WEIGHT] ... --out DIR [options]\n"
            "\n"
            "Adapters of one base, each with its weight (1), become one PEFT adapter. A chat template\n"
            "that all have which were not trained on plain prompts goes along, and so does a tokenizer\n"
            "that is the same. DoRA and stacks of experts are refused: merge those.\n"
            "\n"
            "  --out DIR      empty or new\n"
            "  --base MODEL   what they were trained on; needed where they train embedding, head or rows of\n"
            "                 new tokens, which become the base's and the weighted sum of what they differ\n"
            "                 by, with every method. Adapters that began as a part of it (PiSSA, OLoRA), as\n"
            "                 PEFT saves them, are made plain\n"
            "  --method M     cat: exactly the weighted sum, ranks side by side (the default);\n"
            "                 svd: the nearest adapter to that sum of rank --rank; the report says what\n"
            "                 share of the sum that leaves out;\n"
            "                 linear, magnitude_prune, ties, dare_linear, dare_ties: A and B each\n"
            "                 by themselves, as PEFT's add_weighted_adapter does under these names;\n"
            "                 not the sum, and only for adapters of one rank; the report says how far\n"
            "                 from the sum they end\n"
            "  --rank N       svd: rank of the result (the largest rank of an adapter)\n"
            "  --density X    share of numbers that magnitude_prune, ties and dare keep (1)\n"
            "  --seed N       of dare's choice (42)\n"
            "  --any-base     combine adapters of different bases of one shape all the same\n"
            "  --threads N    threads (0: one for each processor)\n"
            "  --json         print the report as JSON\n"
            "\n"
            "example: lorikeet combine runs/sql/adapter=0.7 runs/tone/adapter=0.3 --out both\n"
            "         lorikeet merge --model MODEL --adapter both --out tuned.gguf\n",
    .run = run,
};
