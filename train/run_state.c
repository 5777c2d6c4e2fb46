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

/* What has to be the same when the run goes on. */
static void identity(lrk_json *facts, const lrk_session *s, const lrk_engine *e)
{
    char instructions[32];
    lrk_device_info info;
    snprintf(instructions, sizeof instructions, "%s", lrk_isa_name(lrk_cpu()));
    if (e->options.device == LRK_CUDA && lrk_device_open(LRK_CUDA, &info, NULL) == LRK_OK)
        snprintf(instructions, sizeof instructions, "cuda %d", info.chip);
    lrk_json_set_text(facts, "recipe", s->steps_sha256);
    lrk_json_set_text(facts, "base", s->base_sha256);
    lrk_json_set_text(facts, "tokenizer", lrk_tokenizer_sha256(s->text.tokenizer));
    for (size_t i = 0; i < s->train_data.n; i++) {
        char key[32];
        snprintf(key, sizeof key, "tokens.%zu", i);
        lrk_json_set_text(facts, key, lrk_tokens_key(s->train_data.set[i]));
    }
    lrk_json_set_text(facts, "compute", lrk_compute_name(e->options.compute));
    lrk_json_set_text(facts, "order of the adapters", "2"); /* models/places.h; 1, not written: A, B, M of each */
    lrk_json_set_text(facts, "instructions", instructions);
}

/* The adapter and both moments in this process's memory, as one file holds them. */
typedef struct lrk_saved_state {
    lrk_tensor tensor[3];
    lrk_arena arena;
} lrk_saved_state;

static lrk_status saved_state_new(lrk_saved_state *s, const lrk_engine *e, lrk_err *err)
{
    *s = (lrk_saved_state){.tensor = {named(e->model.parameters, "adapter"),
                                      named(e->moment[0], "moment.1"),
                                      named(e->moment[1], "moment.2")},
                           .arena = lrk_arena_growing("state")};
    if (e->options.device == LRK_CPU) return LRK_OK;
    for (int i = 0; i < 3; i++)
        LRK_TRY(lrk_alloc(&s->arena, lrk_bytes(&s->tensor[i]), 1, "state", &s->tensor[i].data, err));
    return LRK_OK;
}

static const lrk_tensor *on_device(const lrk_engine *e, int i)
{
    return i == 0 ? &e->model.parameters : &e->moment[i - 1];
}

static lrk_status save(const char *path, const lrk_run_state *state, const lrk_session *s,
                       const lrk_engine *e, lrk_saved_state *saved, lrk_err *err)
{
    const lrk_tensor *const tensors[] = {&saved->tensor[0], &saved->tensor[1], &saved->tensor[2]};
    for (int i = 0; e->options.device != LRK_CPU && i < 3; i++)
        LRK_TRY(lrk_device_download(e->options.device, tensors[i]->data, on_device(e, i)->data,
                                    lrk_bytes(tensors[i]), err));
    lrk_json *facts = lrk_json_object();
    identity(facts, s, e);
    lrk_json_set_count(facts, "step", state->step);
    lrk_json_set_count(facts, "epoch", state->cursor.epoch);
    lrk_json_set_count(facts, "position", state->cursor.position);
    lrk_json_set(facts, "evaluated", lrk_json_new_bool(state->evaluated));
    lrk_json_set(facts, "best_loss", lrk_json_new_real(state->best_loss));
    lrk_json_set_count(facts, "best_step", state->best_step);
    lrk_json_set_count(facts, "worse", state->worse);
    lrk_json_set(facts, "eval_pending", lrk_json_new_bool(state->eval_pending));
    const lrk_status status = lrk_state_save(path, tensors, 3, facts, err);
    lrk_json_free(facts);
    return status;
}

lrk_status lrk_run_state_save(const char *path, const lrk_run_state *state, const lrk_session *s,
                              const lrk_engine *e, lrk_err *err)
{
    lrk_saved_state saved;
    lrk_status status = saved_state_new(&saved, e, err);
    if (status == LRK_OK) status = save(path, state, s, e, &saved, err);
    lrk_arena_free(&saved.arena);
    return status;
}

/* The file's tensors, to where the engine has them. */
static lrk_status read_state(const lrk_state *file, lrk_engine *e, lrk_err *err)
{
    lrk_saved_state saved;
    lrk_status status = saved_state_new(&saved, e, err);
    for (int i = 0; status == LRK_OK && i < 3; i++)
        status = lrk_state_read(file, &saved.tensor[i], err);
    for (int i = 0; status == LRK_OK && e->options.device != LRK_CPU && i < 3; i++)
        lrk_device_upload(e->options.device, on_device(e, i)->data, saved.tensor[i].data,
                          lrk_bytes(&saved.tensor[i]));
    lrk_arena_free(&saved.arena);
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
        const bool tokens = strncmp(key, "tokens.", 7) == 0;
        if (tokens && (!was || strcmp(was, is) != 0))
            status = lrk_fail(err, LRK_EINPUT,
                              "%s: the rows of datasets.%s are other ones, or have other tokens (tokenizer, template, "
                              "what is trained), than when it was saved: the run cannot go on; start another in a new "
                              "output_dir",
                              path, key + 7);
        else if (!was || strcmp(was, is) != 0)
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
    LRK_TRY(read_state(file, e, err));
    lrk_model_settle(&e->model, false);
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
    const char *newest = n ? files[n - 1].path : NULL;
    while (n-- > 0) {
        lrk_state file;
        lrk_err why = {0};
        const lrk_status status = lrk_state_load(&file, files[n].path, &why);
        if (status == LRK_EINPUT) {
            lrk_warn("%s%s", why.text, n ? "; trying the one before" : "");
            continue;
        }
        if (status != LRK_OK) return lrk_fail(err, status, "%s", why.text);
        const lrk_status taken = take(&file, files[n].path, state, s, e, err);
        lrk_state_close(&file);
        *found = taken == LRK_OK;
        return taken;
    }
    LRK_REQUIRE(err, !newest, LRK_EINPUT,
                "%s: neither this nor an older checkpoint is whole; remove them to begin anew", newest);
    return LRK_OK;
}
