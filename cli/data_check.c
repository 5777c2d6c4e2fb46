/* cli/data_check.c -- lorikeet data check: what is in a data set, and what is wrong with it. */
#include "cli/command.h"
#include "cli/data_commands.h"
#include "data/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_leaks(lrk_dataset *d, const lrk_check_report *r, size_t in, size_t of)
{
    const char *in_name = lrk_dataset_split_name(d, in), *of_name = lrk_dataset_split_name(d, of);
    const uint64_t rows = r->equal_rows[in][of], prompts = r->equal_prompts[in][of];
    if (rows)
        printf("  leak: %" PRIu64 " row%s of %s also in %s\n", rows, rows == 1 ? "" : "s", of_name, in_name);
    if (prompts > rows)
        printf("  leak: %" PRIu64 " row%s of %s with a prompt that is also in %s\n", prompts,
               prompts == 1 ? "" : "s", of_name, in_name);
}

static void print_splits(const char *path, lrk_dataset *d, const lrk_check_report *r)
{
    const size_t n = lrk_dataset_splits(d);
    printf("%s: %" PRIu64 " row%s, %s\n", path, r->rows, r->rows == 1 ? "" : "s", lrk_dataset_kind(d));
    for (size_t a = 0; a < n; a++) {
        printf("  %-12s %8" PRIu64 " row%s", lrk_dataset_split_name(d, a), lrk_dataset_split_rows(d, a),
               lrk_dataset_split_rows(d, a) == 1 ? "" : "s");
        if (r->equal_rows[a][a]) printf(", %" PRIu64 " repeat an earlier one", r->equal_rows[a][a]);
        printf("\n");
    }
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++) {
            const uint64_t in_a = lrk_dataset_split_rows(d, a), in_b = lrk_dataset_split_rows(d, b);
            /* once a pair, from the side of the smaller split */
            if (a == b || in_b > in_a || (in_b == in_a && b < a)) continue;
            print_leaks(d, r, a, b);
        }
}

static void print_lengths(const lrk_check_report *r)
{
    uint64_t most = 1;
    if (!r->counted) return;
    printf("tokens: %" PRIu64 ", %" PRIu64 " trained (%.1f %%)\n", r->tokens, r->trained,
           100.0 * (double)r->trained / (double)r->tokens);
    printf("tokens a row: shortest %" PRIu32 ", median %" PRIu32 ", 90 %% %" PRIu32
           ", 99 %% %" PRIu32 ", longest %" PRIu32 "\n",
           r->shortest, r->median, r->p90, r->p99, r->longest);
    for (size_t i = 0; i < LRK_CHECK_BUCKETS; i++)
        if (r->bucket[i] > most) most = r->bucket[i];
    for (size_t i = 0; i < LRK_CHECK_BUCKETS; i++) {
        static const char bar[] = "##################################################";
        if (!r->bucket[i]) continue;
        const int width =
            (int)((double)r->bucket[i] / (double)most * (double)(sizeof bar - 1) + 0.5);
        printf("  %7lu-%-7lu %8" PRIu64 " %.*s\n", 1ul << i, (2ul << i) - 1, r->bucket[i], width,
               bar);
    }
    if (r->special_text)
        printf("%" PRIu64 " row%s a special token in %s text, which becomes that token\n", r->special_text,
               r->special_text == 1 ? " spells" : "s spell", r->special_text == 1 ? "its" : "their");
    if (r->across)
        printf("%" PRIu64 " row%s the end of the prompt into the first trained token; " LRK_ACROSS_WAY "\n", r->across,
               r->across == 1 ? " draws" : "s draw");
}

static void print_problems(const lrk_check_report *r)
{
    const struct {
        uint64_t n;
        const char *what;
    } kinds[] = {{r->no_answer, "without an answer"},
                 {r->failed, "refused by template or tokenizer"},
                 {r->untrained, "without a trained token"},
                 {r->too_long, "longer than sequence_len"}};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].n) printf("wrong: %" PRIu64 " row%s %s\n", kinds[i].n, kinds[i].n == 1 ? "" : "s", kinds[i].what);
        sum += kinds[i].n;
    }
    if (r->list.n) printf("%s", r->list.data);
    if (sum > LRK_CHECK_LISTED) printf("... and %" PRIu64 " more\n", sum - LRK_CHECK_LISTED);
}

static lrk_json *pairs(lrk_dataset *d, const uint64_t m[LRK_MAX_SPLITS][LRK_MAX_SPLITS])
{
    lrk_json *list = lrk_json_array();
    for (size_t a = 0; a < lrk_dataset_splits(d); a++)
        for (size_t b = 0; b < lrk_dataset_splits(d); b++) {
            if (a == b || !m[a][b]) continue;
            lrk_json *o = lrk_json_object();
            const char *of = lrk_dataset_split_name(d, b), *in = lrk_dataset_split_name(d, a);
            lrk_json_set(o, "of", lrk_json_c_string(of));
            lrk_json_set(o, "in", lrk_json_c_string(in));
            lrk_json_set_count(o, "rows", m[a][b]);
            lrk_json_add(list, o);
        }
    return list;
}

/* tokens: they were counted, by a model. */
static lrk_status print_json(lrk_dataset *d, const lrk_check_report *r, bool tokens, lrk_err *err)
{
    enum { OF_ROWS = 2 };
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"rows", r->rows},         {"no_answer", r->no_answer},
                  {"failed", r->failed},     {"untrained", r->untrained},
                  {"too_long", r->too_long}, {"special_text", r->special_text},
                  {"across", r->across},
                  {"counted", r->counted},   {"tokens", r->tokens},
                  {"trained", r->trained},   {"shortest", r->shortest},
                  {"median", r->median},     {"p90", r->p90},
                  {"p99", r->p99},           {"longest", r->longest}};
    lrk_json *o = lrk_json_object(), *splits = lrk_json_object(), *twice = lrk_json_object();
    for (size_t i = 0; i < lrk_dataset_splits(d); i++) {
        const char *name = lrk_dataset_split_name(d, i);
        lrk_json_set_count(splits, name, lrk_dataset_split_rows(d, i));
        lrk_json_set_count(twice, name, r->equal_rows[i][i]);
    }
    lrk_json_set(o, "kind", lrk_json_new_string(lrk_dataset_kind(d), strlen(lrk_dataset_kind(d))));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (i < OF_ROWS || tokens)
            lrk_json_set_count(o, counts[i].name, counts[i].value);
        else
            lrk_json_set(o, counts[i].name, lrk_json_new_null());
    }
    lrk_json_set(o, "splits", splits);
    lrk_json_set(o, "duplicates", twice);
    lrk_json_set(o, "equal_rows", pairs(d, r->equal_rows));
    lrk_json_set(o, "equal_prompts", pairs(d, r->equal_prompts));
    lrk_json *buckets = lrk_json_array();
    for (size_t i = 0; i < LRK_CHECK_BUCKETS; i++)
        lrk_json_add(buckets, lrk_json_new_integer((int64_t)r->bucket[i]));
    lrk_json_set(o, "lengths_by_power_of_two", buckets);
    lrk_json_set(o, "passed", lrk_json_new_bool(lrk_check_passed(r)));
    return lrk_print_json(o, err);
}

lrk_status lrk_data_check_run(int argc, char **argv, lrk_err *err)
{
    const char *model = NULL, *adapter = NULL, *chat_template = NULL, *thinking = NULL;
    lrk_data_input in = {.path = NULL};
    size_t sequence_len = 0;
    bool inputs = false, json = false;
    const lrk_option options[] = {{"model", LRK_OPTION_STRING, &model, false, NULL},
                                  {"adapter", LRK_OPTION_STRING, &adapter, false, NULL},
                                  {"chat-template", LRK_OPTION_STRING, &chat_template, false, NULL},
                                  {"sequence-len", LRK_OPTION_SIZE, &sequence_len, false, LRK_RANGE_TOKENS},
                                  LRK_DATA_INPUT_OPTIONS(in),
                                  {"train-on-inputs", LRK_OPTION_FLAG, &inputs, false, NULL},
                                  {"thinking-blocks", LRK_OPTION_STRING, &thinking, false, NULL},
                                  {"json", LRK_OPTION_FLAG, &json, false, NULL}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc == 1, LRK_EUSAGE, "data check: expected one data set, got %d", argc);
    LRK_REQUIRE(err, model || !adapter, LRK_EUSAGE, "data check: --adapter goes with --model");
    LRK_REQUIRE(err, model || !sequence_len, LRK_EUSAGE,
                "data check: --sequence-len counts tokens and needs --model");
    lrk_data_view v;
    lrk_check_report r = {0};
    lrk_thinking blocks;
    LRK_TRY(lrk_thinking_choose(thinking, &blocks, err));
    in.path = argv[0];
    LRK_TRY(lrk_data_view_open(&v, &in, model, adapter, chat_template, err));
    v.chat.train_on_inputs = inputs;
    v.chat.thinking = blocks;
    const lrk_check_options o = {v.model.tokenizer, v.chat, sequence_len};
    lrk_status s = lrk_data_check(v.data, &o, &r, err);
    if (s == LRK_OK && json)
        s = print_json(v.data, &r, model != NULL, err);
    else if (s == LRK_OK) {
        print_splits(argv[0], v.data, &r);
        print_lengths(&r);
        print_problems(&r);
    }
    if (s == LRK_OK && !lrk_check_passed(&r))
        s = lrk_fail(err, LRK_EINPUT, "%s: %" PRIu64 " of %" PRIu64 " rows cannot be trained as they are",
                     argv[0], r.no_answer + r.failed + r.untrained + r.too_long, r.rows);
    lrk_check_free(&r);
    lrk_data_view_close(&v);
    return s;
}
