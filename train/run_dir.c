/* train/run_dir.c -- the directory of a run. */
#include "train/run_dir.h"

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "recipes/schema.h"

#include <string.h>

static const char *const lock_name = "LOCK";
static const char *const prefix = "ckpt-", *const suffix = ".safetensors";

static bool is_checkpoint(const char *name, uint64_t *step)
{
    const size_t n = strlen(name), head = strlen(prefix), tail = strlen(suffix);
    char digits[24];
    size_t value;
    if (n <= head + tail || n - head - tail >= sizeof digits) return false;
    if (strncmp(name, prefix, head) != 0 || strcmp(name + n - tail, suffix) != 0) return false;
    memcpy(digits, name + head, n - head - tail);
    digits[n - head - tail] = '\0';
    if (!lrk_text_size(digits, &value)) return false;
    *step = value;
    return true;
}

const char *lrk_run_dir_file(lrk_run_dir *d, const char *name)
{
    return lrk_path_join(&d->arena, d->path, name);
}

const char *lrk_run_dir_checkpoint(lrk_run_dir *d, uint64_t step)
{
    lrk_buf name = {0};
    lrk_buf_printf(&name, "%s%08llu%s", prefix, (unsigned long long)step, suffix);
    const char *path = name.failed ? NULL : lrk_run_dir_file(d, name.data);
    lrk_buf_free(&name);
    return path;
}

static lrk_status need(const char *path, lrk_err *err)
{
    return path ? LRK_OK : lrk_fail(err, LRK_ENOMEM, "run directory: out of memory");
}

/* Does the directory hold anything? Temporary files of a process that was killed are removed: the
 * lock is ours, so nobody writes them now. */
static lrk_status survey(lrk_run_dir *d, bool *occupied, lrk_err *err)
{
    char **names;
    size_t n;
    *occupied = false;
    LRK_TRY(lrk_dir_list(&d->arena, d->path, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], lock_name) == 0) continue;
        bool left_behind; /* the lock is ours: whoever wrote it is no more */
        if (!lrk_is_temporary(names[i], &left_behind)) {
            *occupied = true;
            continue;
        }
        const char *path = lrk_run_dir_file(d, names[i]);
        LRK_TRY(need(path, err));
        LRK_TRY(lrk_remove(path, err));
    }
    return LRK_OK;
}

/* How a run of another length is had, where it cannot be this one. */
static void put_length_way(lrk_buf *way, lrk_run_dir *d)
{
    const char *adapter = lrk_run_dir_file(d, LRK_RUN_ADAPTER);
    lrk_buf_printf(way, "only one with lr_scheduler: constant and without warmup_ratio, load_best_model_at_end and "
                        "early_stopping_patience can have another length; to train on%s, begin another output_dir with "
                        "lora_model_dir=%s/" LRK_RUN_ADAPTER,
                   adapter && lrk_is_dir(adapter) ? "" : " when it is done", d->path);
}

/* A run that is resumed ends as one that was never stopped, so what changes the result cannot change. */
static lrk_status other_run(lrk_run_dir *d, const char *key, lrk_err *err)
{
    const bool length = strcmp(key, "max_steps") == 0 || strcmp(key, "num_epochs") == 0;
    lrk_buf way = {0};
    if (length)
        put_length_way(&way, d);
    else
        lrk_buf_puts(&way, "resume with the same recipe or give another output_dir");
    lrk_buf_puts(&way, "; free to change are");
    for (const lrk_key *k = lrk_recipe_keys; k->name; k++)
        if (!k->result && k->kind != LRK_KEY_SECTION) lrk_buf_printf(&way, " %s", k->name);
    lrk_status status = lrk_buf_check(&way, err);
    if (status == LRK_OK)
        status = lrk_fail(err, LRK_EUSAGE,
                          "%s: the run in it had another %s (see " LRK_RUN_RECIPE "), and one that is resumed ends "
                          "as if it had never stopped; %s",
                          d->path, key, way.data);
    lrk_buf_free(&way);
    return status;
}

/* A run that ended before its first checkpoint left nothing that another recipe could spoil. */
static lrk_status has_results(lrk_run_dir *d, bool *any, lrk_err *err)
{
    lrk_checkpoint_file *files;
    size_t n;
    const char *adapter = lrk_run_dir_file(d, LRK_RUN_ADAPTER);
    LRK_TRY(need(adapter, err));
    LRK_TRY(lrk_run_dir_checkpoints(d, &files, &n, err));
    *any = n > 0 || lrk_is_dir(adapter);
    return LRK_OK;
}

/* The run that is here must be the one that the recipe describes, or the beginning of it. */
static lrk_status same_run(lrk_run_dir *d, const lrk_recipe *recipe, lrk_err *err)
{
    const char *path = lrk_run_dir_file(d, LRK_RUN_RECIPE);
    lrk_recipe before;
    const char *key;
    bool any;
    LRK_TRY(need(path, err));
    LRK_REQUIRE(err, lrk_is_file(path), LRK_EUSAGE,
                "%s: there is no " LRK_RUN_RECIPE " in it, so no run that could be resumed; give "
                "another output_dir",
                d->path);
    LRK_TRY(has_results(d, &any, err));
    if (!any) return LRK_OK;
    LRK_TRY(lrk_recipe_load(&before, &d->arena, path, NULL, 0, err));
    if (lrk_recipe_open_ended(recipe)) { /* train/run.c sees that its end is not behind it */
        before.num_epochs = recipe->num_epochs;
        before.max_steps = recipe->max_steps;
    }
    LRK_TRY(lrk_recipe_difference(&before, recipe, &key, err));
    return key ? other_run(d, key, err) : LRK_OK;
}

static lrk_status settle(lrk_run_dir *d, const lrk_recipe *recipe, bool resume, lrk_err *err)
{
    bool occupied;
    LRK_TRY(survey(d, &occupied, err));
    d->fresh = !occupied;
    if (!occupied) return LRK_OK;
    LRK_REQUIRE(err, resume, LRK_EUSAGE,
                "%s: not empty; give another output_dir, or --resume to go on with the run in it",
                d->path);
    return same_run(d, recipe, err);
}

lrk_status lrk_run_dir_open(lrk_run_dir *d, const char *path, const lrk_recipe *recipe, bool resume,
                            lrk_err *err)
{
    *d = (lrk_run_dir){.arena = lrk_arena_growing("run directory"), .lock = {-1}};
    const bool there = lrk_is_dir(path);
    d->path = lrk_strdup(&d->arena, path);
    lrk_status s;
    LRK_TRY_GOTO(s, failed, need(d->path, err));
    LRK_TRY_GOTO(s, failed, lrk_mkdir(path, err));
    d->created = !there;
    const char *lock = lrk_run_dir_file(d, lock_name);
    LRK_TRY_GOTO(s, failed, need(lock, err));
    d->metrics = lrk_run_dir_file(d, LRK_RUN_METRICS);
    LRK_TRY_GOTO(s, failed, need(d->metrics, err));
    d->curve = lrk_run_dir_file(d, LRK_RUN_CURVE);
    LRK_TRY_GOTO(s, failed, need(d->curve, err));
    d->lock_new = !lrk_is_file(lock);
    LRK_TRY_GOTO(s, failed, lrk_lock_take(&d->lock, lock, err));
    LRK_TRY_GOTO(s, failed, settle(d, recipe, resume, err));
    return LRK_OK;
failed:
    lrk_run_dir_close(d);
    return s;
}

lrk_status lrk_run_dir_begin(lrk_run_dir *d, const lrk_recipe *recipe, lrk_err *err)
{
    lrk_buf b = {0};
    const char *path = lrk_run_dir_file(d, LRK_RUN_RECIPE);
    lrk_status s = need(path, err);
    if (s == LRK_OK) s = lrk_recipe_print(recipe, &b, err);
    if (s == LRK_OK) s = lrk_file_write(path, b.data, b.n, err);
    lrk_buf_free(&b);
    d->begun = s == LRK_OK;
    return s;
}

void lrk_run_dir_close(lrk_run_dir *d)
{
    if (!d->path) return;
    /* only the holder of the lock may clear up; the lock file of a run stays, unlocked */
    if (d->lock.fd >= 0 && (d->fresh || d->lock_new) && !d->begun) {
        const char *lock = lrk_run_dir_file(d, lock_name);
        if (lock) (void)lrk_remove(lock, NULL);
    }
    if (d->created && !d->begun) (void)lrk_remove(d->path, NULL); /* where it is empty */
    if (d->lock.fd >= 0) lrk_lock_release(&d->lock);
    lrk_arena_free(&d->arena);
    *d = (lrk_run_dir){.lock = {-1}};
}

lrk_status lrk_run_dir_checkpoints(lrk_run_dir *d, lrk_checkpoint_file **files, size_t *n,
                                   lrk_err *err)
{
    char **names;
    size_t n_names;
    LRK_TRY(lrk_dir_list(&d->arena, d->path, &names, &n_names, err));
    LRK_TRY(lrk_alloc(&d->arena, n_names + 1, sizeof **files, "checkpoints", files, err));
    *n = 0;
    for (size_t i = 0; i < n_names; i++) {
        lrk_checkpoint_file f;
        if (!is_checkpoint(names[i], &f.step)) continue;
        f.path = lrk_run_dir_file(d, names[i]);
        LRK_TRY(need(f.path, err));
        size_t at = (*n)++;
        for (; at > 0 && (*files)[at - 1].step > f.step; at--) (*files)[at] = (*files)[at - 1];
        (*files)[at] = f;
    }
    return LRK_OK;
}

lrk_status lrk_run_dir_rotate(lrk_run_dir *d, size_t keep, lrk_err *err)
{
    lrk_checkpoint_file *files;
    size_t n, left;
    bool best;
    uint64_t best_step = 0;
    double loss;
    LRK_TRY(lrk_run_dir_best(d, &best, &best_step, &loss, err));
    LRK_TRY(lrk_run_dir_checkpoints(d, &files, &n, err));
    if (keep < 2) keep = 2;
    left = n;
    for (size_t i = 0; i < n; i++) left -= best && files[i].step == best_step;
    for (size_t i = 0; i < n && left > keep; i++) {
        if (best && files[i].step == best_step) continue;
        LRK_TRY(lrk_remove(files[i].path, err));
        left--;
    }
    return LRK_OK;
}

lrk_status lrk_run_dir_set_best(lrk_run_dir *d, uint64_t step, double eval_loss, lrk_err *err)
{
    lrk_buf b = {0};
    const char *path = lrk_run_dir_file(d, LRK_RUN_BEST);
    LRK_TRY(need(path, err));
    lrk_buf_printf(&b, "{\"step\": %llu, \"eval_loss\": %.17g}\n", (unsigned long long)step,
                   eval_loss);
    lrk_status s = lrk_buf_check(&b, err);
    if (s == LRK_OK) s = lrk_file_write(path, b.data, b.n, err);
    lrk_buf_free(&b);
    return s;
}

lrk_status lrk_run_dir_best(lrk_run_dir *d, bool *found, uint64_t *step, double *eval_loss,
                            lrk_err *err)
{
    lrk_json *v;
    const char *path = lrk_run_dir_file(d, LRK_RUN_BEST);
    LRK_TRY(need(path, err));
    *found = lrk_is_file(path);
    if (!*found) return LRK_OK;
    LRK_TRY(lrk_json_load(&v, path, 4096, err));
    const lrk_json *s = lrk_json_get(v, "step"), *loss = lrk_json_get(v, "eval_loss");
    const bool good = lrk_json_is(s, LRK_JSON_INTEGER) && lrk_json_integer(s) >= 0 &&
                      (lrk_json_is(loss, LRK_JSON_REAL) || lrk_json_is(loss, LRK_JSON_INTEGER));
    if (good) {
        *step = (uint64_t)lrk_json_integer(s);
        *eval_loss = lrk_json_number(loss);
    }
    lrk_json_free(v);
    LRK_REQUIRE(err, good, LRK_EINPUT,
                "%s: expected step and eval_loss; remove the file, the next better evaluation writes it anew", path);
    return LRK_OK;
}
