/* train/run_state.c -- saving and loading a run. */
#include "train/run_state.h"

#include "base/cpu.h"
#include "base/log.h"
#include "checkpoint/resume.h"

#include <stdio.h>
#include <string.h>

static lrk_tensor named(lrk_tensor t, const char *name)
{
    t.name = name;
    return t;
}

static void set_text(lrk_json *facts, const char *key, const char *text)
{
    lrk_json_set(facts, key, lrk_json_new_string(text, strlen(text)));
}

static void set_count(lrk_json *facts, const char *key, uint64_t n)
{
    lrk_json_set(facts, key, lrk_json_new_integer((int64_t)n));
}

/* What has to be the same when the run goes on. */
static void identity(lrk_json *facts, const lrk_session *s, const lrk_engine *e)
{
    set_text(facts, "recipe", s->recipe_sha256);
    set_text(facts, "base", s->base_sha256);
    set_text(facts, "tokenizer", lrk_tokenizer_sha256(s->text.tokenizer));
    for (size_t i = 0; i < s->train_data.n; i++) {
        char key[32];
        snprintf(key, sizeof key, "tokens.%zu", i);
        set_text(facts, key, lrk_tokens_key(s->train_data.set[i]));
    }
    set_text(facts, "compute", lrk_compute_name(e->options.compute));
    set_text(facts, "instructions", lrk_isa_name(lrk_cpu()));
}

lrk_status lrk_run_state_save(const char *path, const lrk_run_state *state, const lrk_session *s,
                              const lrk_engine *e, lrk_err *err)
{
    const lrk_tensor p = named(e->model.parameters, "adapter"), m = named(e->moment[0], "moment.1"),
                     v = named(e->moment[1], "moment.2");
    const lrk_tensor *const tensors[] = {&p, &m, &v};
    lrk_json *facts = lrk_json_object();
    identity(facts, s, e);
    set_count(facts, "step", state->step);
    set_count(facts, "epoch", state->cursor.epoch);
    set_count(facts, "position", state->cursor.position);
    lrk_json_set(facts, "evaluated", lrk_json_new_bool(state->evaluated));
    lrk_json_set(facts, "best_loss", lrk_json_new_real(state->best_loss));
    set_count(facts, "best_step", state->best_step);
    set_count(facts, "worse", state->worse);
    lrk_json_set(facts, "eval_pending", lrk_json_new_bool(state->eval_pending));
    const lrk_status status = lrk_state_save(path, tensors, 3, facts, err);
    lrk_json_free(facts);
    return status;
}

static lrk_status check_identity(const char *path, const lrk_json *facts, const lrk_session *s,
                                 const lrk_engine *e, lrk_err *err)
{
    lrk_json *now = lrk_json_object();
    lrk_status status = LRK_OK;
    identity(now, s, e);
    for (void *i = lrk_json_begin(now); status == LRK_OK && i; i = lrk_json_next(now, i)) {
        const char *key = lrk_json_key(i, NULL), *is = lrk_json_string(lrk_json_value(i), NULL);
        const char *was = lrk_json_string(lrk_json_get(facts, key), NULL);
        if (!was || strcmp(was, is) != 0)
            status = lrk_fail(err, LRK_EINPUT,
                              "%s: %s has changed since (%.16s, now %.16s): the run cannot go on; "
                              "start another in a new output_dir",
                              path, key, was ? was : "none", is);
    }
    lrk_json_free(now);
    return status;
}

static uint64_t count(const lrk_json *facts, const char *key)
{
    const int64_t n = lrk_json_integer(lrk_json_get(facts, key));
    return n > 0 ? (uint64_t)n : 0;
}

static lrk_status take(const lrk_state *file, const char *path, lrk_run_state *state,
                       const lrk_session *s, lrk_engine *e, lrk_err *err)
{
    LRK_TRY(check_identity(path, file->facts, s, e, err));
    const lrk_tensor p = named(e->model.parameters, "adapter"), m = named(e->moment[0], "moment.1"),
                     v = named(e->moment[1], "moment.2");
    LRK_TRY(lrk_state_read(file, &p, err));
    LRK_TRY(lrk_state_read(file, &m, err));
    LRK_TRY(lrk_state_read(file, &v, err));
    *state = (lrk_run_state){.step = count(file->facts, "step"),
                             .cursor = {count(file->facts, "epoch"), count(file->facts, "position"),
                                        count(file->facts, "step")},
                             .evaluated = lrk_json_bool(lrk_json_get(file->facts, "evaluated")),
                             .best_loss = lrk_json_number(lrk_json_get(file->facts, "best_loss")),
                             .best_step = count(file->facts, "best_step"),
                             .worse = count(file->facts, "worse"),
                             .eval_pending =
                                 lrk_json_bool(lrk_json_get(file->facts, "eval_pending"))};
    return LRK_OK;
}

lrk_status lrk_run_state_load(const char *path, lrk_run_state *state, const lrk_session *s,
                              lrk_engine *e, lrk_err *err)
{
    lrk_state file;
    LRK_TRY(lrk_state_load(&file, path, err));
    const lrk_status status = take(&file, path, state, s, e, err);
    lrk_state_close(&file);
    return status;
}

lrk_status lrk_run_state_newest(lrk_run_dir *d, lrk_run_state *state, const lrk_session *s,
                                lrk_engine *e, bool *found, lrk_err *err)
{
    lrk_checkpoint_file *files;
    size_t n;
    *found = false;
    LRK_TRY(lrk_run_dir_checkpoints(d, &files, &n, err));
    while (n-- > 0) {
        lrk_state file;
        lrk_err why = {0};
        const lrk_status status = lrk_state_load(&file, files[n].path, &why);
        if (status == LRK_EINPUT) {
            lrk_warn("%s; trying the one before", why.text);
            continue;
        }
        if (status != LRK_OK) return lrk_fail(err, status, "%s", why.text);
        const lrk_status taken = take(&file, files[n].path, state, s, e, err);
        lrk_state_close(&file);
        *found = taken == LRK_OK;
        return taken;
    }
    return LRK_OK;
}
