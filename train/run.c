/* train/run.c -- opens, trains, finishes. */
#include "train/run.h"

#include "base/clock.h"
#include "base/log.h"
#include "train/finish.h"
#include "train/metrics.h"

static lrk_optimizer optimizer_of(const lrk_recipe *r)
{
    return (lrk_optimizer){.beta1 = r->adam_beta1, .beta2 = r->adam_beta2, .eps = r->adam_epsilon,
                           .decay = r->weight_decay, .max_norm = r->max_grad_norm,
                           .b_ratio = r->loraplus_lr_ratio};
}

/* The adapter's start values, or those of a checkpoint. */
static lrk_status begin(lrk_training *t, bool resume, lrk_err *err)
{
    lrk_session *s = t->session;
    bool found = false;
    if (s->start.n)
        LRK_TRY(lrk_adapter_into_model(&s->start, &t->engine->model, err));
    else
        LRK_TRY(lrk_model_start(&t->engine->model, s->recipe->seed, err));
    if (resume) LRK_TRY(lrk_run_state_newest(t->dir, &t->state, s, t->engine, &found, err));
    if (resume && !found) lrk_note("note: no checkpoint in %s: beginning at step 1", t->dir->path);
    if (found) {
        const unsigned long long step = t->state.step, total = s->schedule.total;
        LRK_REQUIRE(err, step <= total, LRK_EUSAGE,
                    "%s: the run in it is at step %llu, behind the end of this recipe, which is step %llu: a run can "
                    "become longer, not shorter; give another output_dir",
                    t->dir->path, step, total);
        LRK_TRY(lrk_batches_seek(s->train, t->state.cursor, err));
        if (step == total)
            lrk_note("%s: is finished (%llu of %llu steps)", t->dir->path, step, total);
        else
            lrk_note("going on after step %llu of %llu", step, total);
        /* The state is saved first and best.json after it; a run killed between the two has none. */
        if (t->state.evaluated && t->state.best_step == t->state.step)
            LRK_TRY(lrk_run_dir_set_best(t->dir, t->state.best_step, t->state.best_loss, err));
    }
    LRK_TRY(lrk_metrics_rewind(t->dir->metrics, t->state.step, t->state.eval_pending, err));
    return lrk_run_dir_begin(t->dir, s->recipe, err);
}

static void warn_of_disk(const lrk_plan *p, const lrk_recipe *r)
{
    const uint64_t free = lrk_disk_free(r->output_dir), need = lrk_plan_disk_total(&p->disk);
    if (free && free < need)
        lrk_warn("%s: the run leaves about %.1f MB there, and the file system has %.1f MB free", r->output_dir,
                 (double)need / 1e6, (double)free / 1e6);
}

static lrk_status sum_up(const lrk_training *t, uint64_t before, lrk_done_fn done, lrk_err *err)
{
    lrk_run_summary r = {.steps = t->state.step, .total = t->session->schedule.total,
                         .now = t->state.step - before, .tokens = t->progress.all_tokens,
                         .seconds = t->progress.all_seconds, .evaluated = t->state.evaluated,
                         .best_loss = t->state.best_loss, .best_step = t->state.best_step};
    lrk_arena a = lrk_arena_growing("summary");
    lrk_curve c = {0};
    const bool there = lrk_is_file(t->dir->metrics);
    lrk_status status = there ? lrk_metrics_read(&c, &a, t->dir->metrics, err) : LRK_OK;
    r.trained = c.n_train > 0;
    r.evaluated = r.evaluated && c.n_eval > 0;
    if (r.trained) r.first_loss = c.train[0].loss;
    if (r.trained) r.last_loss = c.train[c.n_train - 1].loss;
    if (r.evaluated) r.eval_loss = c.eval[c.n_eval - 1].loss;
    if (status == LRK_OK) status = done(&r, t->session, err);
    lrk_arena_free(&a);
    return status;
}

static lrk_status train(lrk_training *t, bool resume, void (*begins)(void), lrk_done_fn done, lrk_err *err)
{
    lrk_session *s = t->session;
    LRK_TRY(lrk_base_check_finite(&s->base, err)); /* reads what is on its way to a GPU meanwhile */
    if (!s->ahead.sending) LRK_TRY(lrk_device_open(s->device, NULL, err));
    LRK_TRY(lrk_engine_open(t->engine, &s->engine, err));
    if (begins) begins();
    LRK_TRY(begin(t, resume, err));
    lrk_verbose("first step begins %.2f s after the start", lrk_process_seconds());
    const uint64_t before = t->state.step;
    bool there = false;
    LRK_TRY(lrk_training_run(t, err));
    if (before && before == t->state.step) LRK_TRY(lrk_training_is_finished(t, &there, err));
    if (!there) LRK_TRY(lrk_training_finish(t, err));
    return done ? sum_up(t, before, done, err) : LRK_OK;
}

lrk_status lrk_run_recipe(const lrk_recipe *recipe, bool resume, lrk_plan_fn told,
                          void (*begins)(void), lrk_done_fn done, lrk_err *err)
{
    lrk_session s;
    lrk_engine e = {0};
    lrk_run_dir dir = {0};
    lrk_plan plan;
    LRK_TRY(lrk_session_open(&s, recipe, true, err));
    lrk_training t = {.session = &s, .engine = &e, .dir = &dir, .optimizer = optimizer_of(recipe)};
    lrk_status status = lrk_plan_make(&plan, &s, false, err);
    if (status == LRK_OK) status = lrk_run_dir_open(&dir, recipe->output_dir, recipe, resume, err);
    if (status == LRK_OK) {
        if (told) told(&plan, &s);
        warn_of_disk(&plan, recipe);
        status = train(&t, resume, begins, done, err);
        lrk_run_dir_close(&dir);
    }
    lrk_engine_close(&e);
    lrk_session_close(&s);
    return status;
}
