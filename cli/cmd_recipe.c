/* cli/cmd_recipe.c -- lorikeet recipe schema | check | explain. */
#include "base/file.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/recipe_schema.h"
#include "recipes/recipe.h"
#include "train/session.h"

#include <stdio.h>

static lrk_status print(lrk_buf *b, lrk_status s, lrk_err *err)
{
    if (s == LRK_OK) s = lrk_buf_check(b, err);
    if (s == LRK_OK) fwrite(b->data, 1, b->n, stdout);
    lrk_buf_free(b);
    return s;
}

static lrk_status schema(int argc, char **argv, lrk_err *err)
{
    bool json = false, markdown = false;
    const lrk_option options[] = {{"json", LRK_OPTION_FLAG, &json, false, NULL},
                                  {"markdown", LRK_OPTION_FLAG, &markdown, false, NULL}};
    LRK_TRY(lrk_options_parse(options, 2, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "recipe schema: %s: nothing was expected here",
                argv[0]);
    LRK_REQUIRE(err, !json || !markdown, LRK_EUSAGE, "--json and --markdown: one of them");
    lrk_buf b = {0};
    lrk_status s = LRK_OK;
    if (json)
        s = lrk_schema_json(&b, err);
    else if (markdown)
        lrk_schema_markdown(&b);
    else
        lrk_schema_table(&b);
    return print(&b, s, err);
}

static bool base_is_there(const lrk_recipe *r) { return lrk_is_file(r->base_model) || lrk_is_dir(r->base_model); }

static void add_missing(lrk_json *list, const char *key, const char *path)
{
    lrk_json *o = lrk_json_object();
    lrk_json_set_text(o, "key", key);
    lrk_json_set_text(o, "path", path);
    lrk_json_add(list, o);
}

/* Paths are looked for where training would; a recipe may be written before they are there. */
static lrk_json *missing(const lrk_recipe *r)
{
    const lrk_recipe_datasets *const lists[] = {&r->datasets, &r->test_datasets};
    lrk_json *list = lrk_json_array();
    if (!base_is_there(r)) add_missing(list, "base_model", r->base_model);
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++)
            if (!lrk_is_file(lists[k]->item[i].path))
                add_missing(list, k ? "test_datasets" : "datasets", lists[k]->item[i].path);
    return list;
}

static lrk_status report(const lrk_recipe *r, const char *path, const char *hash, bool json, lrk_err *err)
{
    lrk_json *list = missing(r);
    if (json) {
        lrk_json *o = lrk_json_object();
        lrk_json_set_text(o, "recipe", path);
        lrk_json_set_text(o, "sha256", hash);
        lrk_json_set(o, "missing", list);
        return lrk_print_json(o, err);
    }
    printf("%s: fine (%s)\n", path, hash);
    for (size_t i = 0; i < lrk_json_size(list); i++)
        printf("not there: %s %s\n", lrk_json_string(lrk_json_get(lrk_json_at(list, i), "key"), NULL),
               lrk_json_string(lrk_json_get(lrk_json_at(list, i), "path"), NULL));
    lrk_json_free(list);
    return LRK_OK;
}

static lrk_status check(int argc, char **argv, lrk_err *err)
{
    bool resolved = false, json = false;
    const lrk_option options[] = {{"resolved", LRK_OPTION_FLAG, &resolved, false, NULL},
                                  {"json", LRK_OPTION_FLAG, &json, false, NULL}};
    LRK_TRY(lrk_options_parse(options, 2, &argc, argv, err));
    LRK_REQUIRE(err, argc > 0, LRK_EUSAGE, "recipe check: which recipe?");
    LRK_REQUIRE(err, !resolved || !json, LRK_EUSAGE, "--resolved and --json: one of them");

    lrk_arena a = lrk_arena_growing("recipe");
    lrk_recipe r;
    lrk_buf b = {0};
    char hash[65];
    lrk_status s;
    LRK_TRY_GOTO(
        s, out,
        lrk_recipe_load(&r, &a, argv[0], (const char *const *)argv + 1, (size_t)argc - 1, err));
    LRK_TRY_GOTO(s, out, lrk_recipe_sha256(&r, hash, err));
    if (!resolved && base_is_there(&r))
        LRK_TRY_GOTO(s, out, lrk_err_prefix(err, lrk_session_try_model(&r, err), "%s", argv[0]));
    if (resolved)
        s = print(&b, lrk_recipe_print(&r, &b, err), err);
    else
        s = report(&r, argv[0], hash, json, err);
out:
    lrk_arena_free(&a);
    return s;
}

static lrk_status explain(int argc, char **argv, lrk_err *err)
{
    bool json = false;
    const lrk_option options[] = {{"json", LRK_OPTION_FLAG, &json, false, NULL}};
    LRK_TRY(lrk_options_parse(options, 1, &argc, argv, err));
    LRK_REQUIRE(err, argc > 0, LRK_EUSAGE, "recipe explain: which key?");
    lrk_json *list = lrk_json_array();
    lrk_status s = LRK_OK;
    for (int i = 0; s == LRK_OK && i < argc; i++) s = lrk_schema_explain(argv[i], list, err);
    if (s == LRK_OK && json) return lrk_print_json(list, err);
    lrk_buf b = {0};
    if (s == LRK_OK) lrk_schema_explained(list, &b);
    lrk_json_free(list);
    return print(&b, s, err);
}

static const lrk_command table[] = {
    {.name = "schema",
     .summary = "list the keys",
     .help = "usage: lorikeet recipe schema [--json | --markdown]\n"
             "\n"
             "Lists every key with its default and its meaning.\n"
             "\n"
             "  --json       as JSON Schema, for editors that check and complete YAML\n"
             "  --markdown   as docs/recipe.md\n"
             "\n"
             "example: lorikeet recipe schema --json > recipe.schema.json\n",
     .run = schema},
    {.name = "check",
     .summary = "read a recipe, report every mistake",
     .help = "usage: lorikeet recipe check RECIPE.yaml [key=value ...] [--resolved | --json]\n"
             "\n"
             "Reads a recipe as training would and reports every mistake with line and column. Files that\n"
             "it names and that are not there are listed; that is no mistake. Where the model is there, its\n"
             "modules and the tokens that are added are looked for in it.\n"
             "\n"
             "  --resolved   print the recipe with every default filled in\n"
             "  --json       the recipe's hash and the files that are not there as JSON\n"
             "\n"
             "example: lorikeet recipe check recipes/plume.yaml lora_r=8 --resolved\n",
     .run = check},
    {.name = "explain",
     .summary = "say what a key means",
     .help = "usage: lorikeet recipe explain KEY ... [--json]\n"
             "\n"
             "Says what a key means, what it may be and what its default is; for a key of another\n"
             "tool, what to use instead.\n"
             "\n"
             "  --json   the same as JSON\n"
             "\n"
             "example: lorikeet recipe explain lora_alpha load_in_4bit\n",
     .run = explain},
};

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    return lrk_subcommand(table, sizeof table / sizeof *table, "recipe", argc, argv, err);
}

const lrk_command lrk_command_recipe = {
    .name = "recipe",
    .summary = "check a recipe, list or explain its keys",
    .help = "usage: lorikeet recipe COMMAND ...\n"
            "\n"
            "  schema   list the keys, as text, JSON Schema or Markdown\n"
            "  check    read a recipe, report every mistake\n"
            "  explain  say what a key means\n"
            "\n"
            "Each has --help of its own.\n"
            "\n"
            "example: lorikeet recipe check recipes/plume.yaml lora_r=8\n",
    .run = run,
    .group = true};
