/* cli/exam_args.c -- from options to a recipe. */
#include "cli/exam_args.h"

#include "base/file.h"
#include "generate/model_text.h"
#include "train/run_dir.h"

#include <string.h>

static bool is_run(lrk_arena *a, const char *directory)
{
    const char *path = lrk_path_join(a, directory, LRK_RUN_RECIPE);
    return path && lrk_is_file(path);
}

/* The run that this directory is in, or the first one in it; NULL where there is none. */
static const char *run_nearby(lrk_arena *a, const char *directory)
{
    char **name;
    size_t n = strlen(directory);
    while (n && directory[n - 1] == '/') n--;
    while (n && directory[n - 1] != '/') n--;
    while (n > 1 && directory[n - 1] == '/') n--;
    const char *parent = n ? lrk_strndup(a, directory, n) : ".";
    if (parent && is_run(a, parent)) return parent;
    if (lrk_dir_list(a, directory, &name, &n, NULL) != LRK_OK) return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *path = lrk_path_join(a, directory, name[i]);
        if (path && is_run(a, path)) return path;
    }
    return NULL;
}

static lrk_status from_run(lrk_exam_args *a, lrk_err *err)
{
    const char *path = lrk_path_join(&a->arena, a->run, LRK_RUN_RECIPE);
    const char *adapter = lrk_path_join(&a->arena, a->run, LRK_RUN_ADAPTER);
    LRK_REQUIRE(err, path && adapter, LRK_ENOMEM, "memory: no room for a path");
    const char *near = lrk_is_file(path) ? NULL : run_nearby(&a->arena, a->run);
    LRK_REQUIRE(err, !near, LRK_EINPUT, "%s: no " LRK_RUN_RECIPE " in it, so it is no run directory; did you mean %s?",
                a->run, near);
    LRK_REQUIRE(err, lrk_is_file(path), LRK_EINPUT,
                "%s: no " LRK_RUN_RECIPE " in it, so it is no run directory", a->run);
    LRK_TRY(lrk_recipe_load(&a->recipe, &a->arena, path, NULL, 0, err));
    if (!a->adapter) {
        LRK_REQUIRE(err, lrk_is_dir(adapter), LRK_EINPUT,
                    "%s: no adapter yet: the run has not finished; go on with `lorikeet train %s "
                    "--resume`, or name one with --adapter",
                    a->run, path);
        a->adapter = adapter;
    }
    if (a->model) return LRK_OK;
    a->model = a->recipe.base_model;
    LRK_REQUIRE(err, lrk_is_file(a->model) || lrk_is_dir(a->model), LRK_EINPUT,
                "%s: its base model %s is not there, seen from this directory; name it with --model", a->run, a->model);
    return LRK_OK;
}

static lrk_status from_options(lrk_exam_args *a, lrk_err *err)
{
    static const char defaults[] = "base_model: model\ndatasets: [{path: data}]\n";
    LRK_REQUIRE(err, a->model && a->data, LRK_EUSAGE,
                "expected a run directory, or --model and --data");
    return lrk_recipe_parse(&a->recipe, &a->arena, defaults, sizeof defaults - 1, "defaults", NULL,
                            0, err);
}

/* --data goes before what the run was evaluated on; its rows are read as the run's are. */
static void choose_data(lrk_exam_args *a)
{
    if (!a->data) {
        const lrk_recipe_datasets *d =
            a->recipe.test_datasets.n ? &a->recipe.test_datasets : &a->recipe.datasets;
        a->data = d->n ? d->item[0].path : NULL;
        return;
    }
    if (a->run && a->recipe.datasets.n) a->entry = a->recipe.datasets.item[0];
    a->entry.path = a->data;
    a->entry.split = a->split;
    if (a->prompt || a->completion) {
        a->entry.prompt = a->prompt;
        a->entry.completion = a->completion;
    }
    a->recipe.test_datasets = (lrk_recipe_datasets){&a->entry, 1};
}

lrk_status lrk_exam_args_resolve(lrk_exam_args *a, lrk_err *err)
{
    LRK_TRY(a->run ? from_run(a, err) : from_options(a, err));
    LRK_REQUIRE(err, a->data || a->recipe.test_datasets.n || a->recipe.val_set_size > 0.0, LRK_EUSAGE,
                "%s: the run had no rows to evaluate on; name some with --data", a->run);
    LRK_REQUIRE(err, a->data || (!a->split && !a->prompt && !a->completion), LRK_EUSAGE,
                "--split, --prompt and --completion go with --data");
    choose_data(a);
    a->recipe.base_model = a->model;
    if (a->run && !a->chat_template) return LRK_OK;
    return lrk_text_choice(a->chat_template, a->adapter, &a->arena, &a->recipe.chat_template, err);
}
