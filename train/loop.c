/* train/loop.c -- the training loop. */
#include "train/loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/signals.h"
#include "train/comm.h"
#include "train/curve.h"
#include "train/metrics.h"

#include <string.h>

/* Each micro-batch of a step draws its dropout from a seed of its own, far from the small numbers that
 * people count up in their recipes. */
static uint64_t dropout_seed(const lrk_session *s, size_t micro)
{
    const uint64_t apart = UINT64_C(1) << 40;
    return s->recipe->seed + (uint64_t)micro * apart;
}

static lrk_flat_run run_of(const lrk_micro_batch *m)
{
    return (lrk_flat_run){m->ids, m->targets, m->segments, m->n_tokens, m->n_segments};
}

/* TRAINING BEGIN: one optimizer step. The gradient is that of the mean loss over all trained tokens
 * of the step, however it is cut into micro-batches. A GPU is not waited for. */
static lrk_status train_step(lrk_training *t, const lrk_step *step, lrk_step_record *r, lrk_err *err)
{
    lrk_engine *e = t->engine;
    const double share = lrk_comm_share(step->n_trained);
    lrk_engine_begin(e);
    for (size_t i = 0; i < step->n_micro; i++) {
        const lrk_flat_run run = run_of(&step->micro[i]);
        lrk_model_set_dropout(&e->model, dropout_seed(t->session, i), (uint32_t)step->step);
        LRK_TRY(lrk_engine_add(e, &run, share, err));
    }
    r->learning_rate = lrk_schedule_rate(&t->session->schedule, step->step);
    lrk_optimizer_step(&t->optimizer, e, r->learning_rate);
    return LRK_OK;
}
/* TRAINING END */

lrk_status lrk_evaluate(lrk_training *t, double *loss, uint64_t *trained, lrk_err *err)
{
    lrk_batches *eval = t->session->eval;
    const lrk_step *step;
    double sum = 0.0, part;
    *trained = 0;
    LRK_TRY(lrk_batches_seek(eval, (lrk_batch_cursor){0}, err));
    for (;;) {
        LRK_TRY(lrk_batches_next(eval, &step, err));
        if (!step) break;
        for (size_t i = 0; i < step->n_micro; i++) {
            const lrk_flat_run run = run_of(&step->micro[i]);
            LRK_TRY(lrk_engine_loss(t->engine, &run, &part, err));
            sum += part;
        }
        *trained += step->n_trained;
        if (lrk_stop_requested()) break;
    }
    *loss = lrk_comm_mean(sum, *trained);
    return LRK_OK;
}

static double epoch_of(const lrk_training *t)
{
    const lrk_batch_limits *l = lrk_batches_limits(t->session->train);
    return l->first_epoch_steps ? (double)t->state.step / (double)l->first_epoch_steps : 0.0;
}

static lrk_status save(lrk_training *t, lrk_err *err)
{
    const char *path = lrk_run_dir_checkpoint(t->dir, t->state.step);
    LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
    t->state.cursor = lrk_batches_cursor(t->session->train);
    LRK_TRY(lrk_run_state_save(path, &t->state, t->session, t->engine, err));
    LRK_TRY(lrk_run_dir_rotate(t->dir, t->session->recipe->save_total_limit, err));
    return lrk_curve_write(t->dir->metrics, t->dir->curve, t->dir->path, err);
}

/* *better: this evaluation is the best so far. */
static lrk_status evaluate_and_note(lrk_training *t, bool *better, lrk_err *err)
{
    lrk_eval_record r = {.step = t->state.step, .epoch = epoch_of(t)};
    const double start = lrk_seconds();
    *better = false;
    lrk_model_enable_dropout(&t->engine->model, 0.0);
    const lrk_status status = lrk_evaluate(t, &r.loss, &r.trained_tokens, err);
    lrk_model_enable_dropout(&t->engine->model, t->session->lora.dropout);
    LRK_TRY(status);
    t->state.eval_pending = lrk_stop_requested();
    if (t->state.eval_pending) return LRK_OK; /* an unfinished evaluation says nothing */
    r.seconds = lrk_seconds() - start;
    LRK_TRY(lrk_metrics_eval(t->dir->metrics, &r, err));
    *better = !t->state.evaluated || r.loss < t->state.best_loss;
    t->state.worse = *better ? 0 : t->state.worse + 1;
    t->state.evaluated = true;
    if (*better) {
        t->state.best_loss = r.loss;
        t->state.best_step = t->state.step;
    }
    lrk_note("eval at step %llu: loss %.4f%s", (unsigned long long)t->state.step, r.loss,
             *better ? " (best)" : "");
    return LRK_OK;
}

static bool due(uint64_t step, uint64_t every, uint64_t total)
{
    return step == total || (every && step % every == 0);
}

/* The work of step t->state.step + 1 is handed to the device, and the step noted as under way. */
static lrk_status begin_step(lrk_training *t, const lrk_step *step, lrk_err *err)
{
    lrk_step_record *r = &t->under_way[t->n_under_way];
    *r = (lrk_step_record){.tokens = step->n_tokens, .trained_tokens = step->n_trained,
                           .computed_tokens = step->n_computed};
    LRK_TRY(train_step(t, step, r, err));
    r->step = ++t->state.step;
    r->epoch = epoch_of(t);
    t->n_under_way++;
    return LRK_OK;
}

/* Waits for the oldest step under way, and tells its numbers. */
static lrk_status finish_step(lrk_training *t, lrk_err *err)
{
    lrk_step_record *r = &t->under_way[0];
    lrk_step_result result;
    LRK_TRY(lrk_optimizer_result(&t->optimizer, t->engine, &result, err));
    const double now = lrk_seconds() - t->started;
    r->loss = lrk_comm_mean(result.loss, r->trained_tokens);
    r->grad_norm = result.grad_norm;
    r->seconds = now - t->last_elapsed;
    r->elapsed = t->last_elapsed = now;
    r->peak_bytes = lrk_memory_peak();
    lrk_progress_step(&t->progress, r);
    if (due(r->step, t->session->recipe->logging_steps, t->session->schedule.total))
        LRK_TRY(lrk_metrics_step(t->dir->metrics, r, err));
    t->n_under_way--;
    memmove(r, r + 1, t->n_under_way * sizeof *r);
    return LRK_OK;
}

/* `left` steps stay under way. */
static lrk_status finish_steps(lrk_training *t, size_t left, lrk_err *err)
{
    while (t->n_under_way > left) LRK_TRY(finish_step(t, err));
    return LRK_OK;
}

/* What step t->state.step is followed by. */
typedef struct lrk_pause {
    bool evaluate, save;
} lrk_pause;

static lrk_pause pause_after(const lrk_training *t)
{
    const lrk_session *s = t->session;
    const uint64_t step = t->state.step, total = s->schedule.total, eval = lrk_session_eval_steps(s);
    return (lrk_pause){.evaluate = eval && due(step, eval, total),
                       .save = due(step, lrk_session_save_steps(s), total) || lrk_stop_requested()};
}

/* No better evaluation for as long as the recipe waits for one. */
static bool ends_early(const lrk_training *t)
{
    const uint64_t patience = t->session->recipe->early_stopping_patience;
    return patience && t->state.worse >= patience;
}

/* Evaluation and checkpoint; LRK_STOPPED after a signal, which may come during the evaluation too. */
static lrk_status make_pause(lrk_training *t, lrk_pause p, lrk_err *err)
{
    bool better = false;
    if (p.evaluate) LRK_TRY(evaluate_and_note(t, &better, err));
    const bool stop = lrk_stop_requested();
    if (p.save || better || stop || ends_early(t)) LRK_TRY(save(t, err));
    if (better)
        LRK_TRY(lrk_run_dir_set_best(t->dir, t->state.best_step, t->state.best_loss, err));
    LRK_REQUIRE(err, !stop, LRK_STOPPED, "stopped after step %llu, saved; go on with --resume",
                (unsigned long long)t->state.step);
    t->last_elapsed = lrk_seconds() - t->started; /* no step took this time */
    return LRK_OK;
}

static lrk_status steps(lrk_training *t, lrk_err *err)
{
    /* A GPU gets its next step before the numbers of the last one are read. */
    const size_t ahead = t->engine->options.device == LRK_CPU ? 0 : 1;
    const lrk_step *step;
    if (t->state.eval_pending) LRK_TRY(make_pause(t, pause_after(t), err));
    while (!ends_early(t)) { /* a resumed run may have done so already */
        LRK_TRY(lrk_batches_next(t->session->train, &step, err));
        if (!step) break;
        LRK_TRY(begin_step(t, step, err));
        const lrk_pause pause = pause_after(t);
        const bool pauses = pause.evaluate || pause.save;
        LRK_TRY(finish_steps(t, pauses ? 0 : ahead, err));
        if (pauses) LRK_TRY(make_pause(t, pause, err));
    }
    LRK_ASSERT(t->n_under_way == 0); /* the last step pauses */
    if (ends_early(t))
        lrk_note("%llu evaluations without a better one: ending here",
                 (unsigned long long)t->state.worse);
    return LRK_OK;
}

/* The mean loss of a run that goes on begins where it was. */
static lrk_status begin_progress(lrk_training *t, lrk_err *err)
{
    lrk_curve c = {0};
    lrk_arena a = lrk_arena_growing("progress");
    lrk_progress_begin(&t->progress, t->session->schedule.total);
    const bool before = t->state.step && lrk_is_file(t->dir->metrics);
    const lrk_status status = before ? lrk_metrics_read(&c, &a, t->dir->metrics, err) : LRK_OK;
    for (size_t i = 0; i < c.n_train; i++) lrk_progress_recall(&t->progress, c.train[i].loss);
    lrk_arena_free(&a);
    return status;
}

lrk_status lrk_training_run(lrk_training *t, lrk_err *err)
{
    t->started = lrk_seconds();
    t->last_elapsed = 0.0;
    t->optimizer.steps = t->state.step;
    LRK_TRY(begin_progress(t, err));
    const lrk_status status = steps(t, err);
    lrk_progress_end();
    return status;
}
