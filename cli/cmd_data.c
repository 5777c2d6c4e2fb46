/* cli/cmd_data.c -- lorikeet data: import, show (data_show.c), check (data_check.c). */
#include "base/file.h"
#include "cli/command.h"
#include "cli/data_commands.h"
#include "data/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "val=rows.jsonl" is split and path; a plain path has no split. Names never hold a slash or a dot,
 * so that "./a=b.jsonl" is a path. */
static lrk_import_input input_of(const char *arg, lrk_arena *a, lrk_status *s, lrk_err *err)
{
    lrk_import_input in = {arg, NULL};
    const char *equals = strchr(arg, '=');
    const size_t n = strspn(arg, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (equals && n == (size_t)(equals - arg) && n > 0) {
        in.path = equals + 1;
        in.split = lrk_strndup(a, arg, n);
        if (!in.split) *s = lrk_fail(err, LRK_ENOMEM, "memory: no room for a name");
    }
    return in;
}

static void print_report(const lrk_import_options *o, const lrk_import_report *r)
{
    for (size_t i = 0; i < o->n_inputs; i++) {
        printf("%s: %" PRIu64 " row%s, %s", o->inputs[i].path, r->input_rows[i],
               r->input_rows[i] == 1 ? "" : "s", lrk_shape_name(r->shape[i]));
        if (o->inputs[i].split) printf(", split %s", o->inputs[i].split);
        printf("\n");
    }
    if (r->blank_lines) printf("blank lines: %" PRIu64 "\n", r->blank_lines);
    lrk_buf unused = {0};
    lrk_import_put_unused(r, &unused);
    if (unused.n) printf("%s\n", unused.data);
    lrk_buf_free(&unused);
    printf("%s: %" PRIu64 " row%s\n", o->out, r->rows, r->rows == 1 ? "" : "s");
}

static lrk_status print_report_json(const lrk_import_options *o, const lrk_import_report *r,
                                    lrk_err *err)
{
    lrk_json *v = lrk_json_object(), *inputs = lrk_json_array(), *unused = lrk_json_array();
    for (size_t i = 0; i < o->n_inputs; i++) {
        lrk_json *in = lrk_json_object();
        const char *shape = lrk_shape_name(r->shape[i]), *split = o->inputs[i].split;
        lrk_json_set(in, "path", lrk_json_new_string(o->inputs[i].path, strlen(o->inputs[i].path)));
        lrk_json_set_count(in, "rows", r->input_rows[i]);
        lrk_json_set(in, "shape", lrk_json_c_string(shape));
        lrk_json_set(in, "split",
                     lrk_json_c_string(split));
        lrk_json_add(inputs, in);
    }
    for (size_t i = 0; i < r->n_unused; i++)
        lrk_json_add(unused, lrk_json_new_string(r->unused[i], strlen(r->unused[i])));
    lrk_json_set(v, "out", lrk_json_c_string(o->out));
    lrk_json_set_count(v, "rows", r->rows);
    lrk_json_set_count(v, "blank_lines", r->blank_lines);
    lrk_json_set(v, "inputs", inputs);
    lrk_json_set(v, "unused", unused);
    return lrk_print_json(v, err);
}

static lrk_status run_import(int argc, char **argv, lrk_err *err)
{
    lrk_import_options o = {0};
    lrk_import_input inputs[LRK_MAX_INPUTS];
    lrk_import_report report;
    const char *shape = "auto", *names = NULL;
    bool json = false;
    const lrk_option options[] = {{"out", LRK_OPTION_STRING, &o.out, true, NULL},
                                  {"shape", LRK_OPTION_STRING, &shape, false, NULL},
                                  {"prompt", LRK_OPTION_STRING, &o.prompt, false, NULL},
                                  {"completion", LRK_OPTION_STRING, &o.completion, false, NULL},
                                  {"names", LRK_OPTION_STRING, &names, false, NULL},
                                  {"val-fraction", LRK_OPTION_REAL, &o.val_fraction, false, "[0,1)"},
                                  {"json", LRK_OPTION_FLAG, &json, false, NULL}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc >= 1 && argc <= LRK_MAX_INPUTS, LRK_EUSAGE,
                "data import: expected 1 to %d input files (\"-\" for standard input), got %d",
                LRK_MAX_INPUTS, argc);
    LRK_TRY(lrk_shape_from_name(shape, &o.shape, err));
    lrk_arena a = lrk_arena_growing("names");
    lrk_status s = names ? lrk_member_names_parse(names, &a, &o.names, err) : LRK_OK;
    for (int i = 0; i < argc; i++) inputs[i] = input_of(argv[i], &a, &s, err);
    o.inputs = inputs;
    o.n_inputs = (size_t)argc;
    lrk_writers_stop_on_signal();
    if (s == LRK_OK && lrk_is_file(o.out))
        s = lrk_fail(err, LRK_EUSAGE, "%s: exists already; remove it or name another file", o.out);
    if (s == LRK_OK) s = lrk_import(&o, &report, err);
    if (s == LRK_OK && json)
        s = print_report_json(&o, &report, err);
    else if (s == LRK_OK)
        print_report(&o, &report);
    lrk_arena_free(&a);
    return s;
}

static const lrk_command table[] = {
    {.name = "import",
     .summary = "JSON Lines into a data set",
     .help =
         "usage: lorikeet data import [SPLIT=]ROWS.jsonl ... --out DATA.h5 [OPTIONS]\n"
         "\n"
         "  --out FILE         the data set, a new file; appears when all rows are in it, or not at all\n"
         "  --shape NAME       messages, sharegpt, instruction, prompt_completion, text;\n"
         "                     default: recognised by the members of the first row\n"
         "  --prompt TEXT      for rows with other members: what comes before the answer, where\n"
         "  --completion TEXT  {name} is a member of the row; {{ and }} are braces, \\n is a new "
         "line\n"
         "  --names OURS=THEIRS,...  members that are called otherwise: messages=talk,role=from\n"
         "  --val-fraction F   this share of the rows goes to split val, chosen by their hash;\n"
         "                     rows of files with SPLIT= stay in that one; default split: train\n"
         "  --json             the report as JSON\n"
         "\n"
         "\"-\" is standard input. Rows are kept as text: tokens are made for each model when "
         "needed,\n"
         "and kept in DATA.h5.tokens-*.h5 beside it, or where that folder cannot be written in\n"
         "lorikeet/ of XDG_CACHE_HOME, ~/.cache or TMPDIR. Those files may be deleted.\n"
         "\n"
         "examples: lorikeet data import chats.jsonl --out chats.h5 --val-fraction 0.05\n"
         "          lorikeet data import train=a.jsonl test=b.jsonl --out plume.h5 \\\n"
         "              --prompt 'Question: {nl}\\nPlume:\\n' --completion '{target}'\n",
     .run = run_import},
    {.name = "show",
     .summary = "a row's tokens, the trained ones marked",
     .help = "usage: lorikeet data show DATA --model M [--row N] [OPTIONS]\n"
             "\n"
             "  --model M          GGUF file, Hugging Face directory or tokenizer.json\n"
             "  --adapter A        a PEFT directory: its tokenizer, where it has another one, and its\n"
             "                     chat template go before those of M\n"
             "  --row N            which row, counted from 0 (default 0), in the split if one is "
             "named\n"
             "  --split NAME       train, val, ...; default: all rows\n"
             "  --chat-template T  tokenizer_default, chatml, or a .jinja file\n"
             "  --sequence-len N   marks what a run with this length would cut off\n"
             "  --train-on-inputs  as in the recipe\n"
             "  --thinking-blocks W  keep, template, strip or refuse, as in the recipe\n"
             LRK_DATA_INPUT_HELP
             "  --tokens           one token a line: its number, id and text\n"
             "  --json             text, ids, mask and turns as JSON\n"
             "\n"
             "DATA is a data set or JSON Lines, read as training reads them and kept in the same cache.\n"
             "Trained tokens are green and bold on a terminal, elsewhere between [[ and ]].\n"
             "\n"
             "example: lorikeet data show plume.h5 --model models/smollm2.gguf --row 12\n",
     .run = lrk_data_show_run},
    {.name = "check",
     .summary = "counts, lengths, duplicates, leaks, rows that can't be trained",
     .help =
         "usage: lorikeet data check DATA [--model M] [OPTIONS]\n"
         "\n"
         "  --model M          GGUF file, Hugging Face directory or tokenizer.json: also counts\n"
         "                     tokens and finds rows without a trained one\n"
         "  --adapter A        a PEFT directory: its tokenizer, where it has another one, and its\n"
         "                     chat template go before those of M\n"
         "  --sequence-len N   rows with more tokens fail the check\n"
         "  --chat-template T  tokenizer_default, chatml, or a .jinja file\n"
         "  --train-on-inputs  as in the recipe\n"
         "  --thinking-blocks W  keep, template, strip or refuse, as in the recipe\n"
         LRK_DATA_INPUT_HELP
         "  --json             the figures as JSON\n"
         "\n"
         "DATA is a data set or JSON Lines, read as training reads them and kept in the same cache.\n"
         "Exit code 3 where the file is damaged or a row cannot be trained. Duplicates and\n"
         "leaks between splits are reported and no error.\n"
         "\n"
         "example: lorikeet data check plume.h5 --model models/smollm2.gguf --sequence-len 512\n",
     .run = lrk_data_check_run}};

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    return lrk_subcommand(table, sizeof table / sizeof *table, "data", argc, argv, err);
}

const lrk_command lrk_command_data = {
    .name = "data",
    .summary = "import, show and check data sets",
    .help = "usage: lorikeet data COMMAND ...\n"
            "\n"
            "  import  JSON Lines into a data set\n"
            "  show    a row's tokens, the trained ones marked\n"
            "  check   counts, lengths, duplicates, leaks, rows that can't be trained\n"
            "\n"
            "Each has --help of its own.\n"
            "\n"
            "example: lorikeet data import chats.jsonl --out chats.h5\n",
    .run = run,
    .group = true};
