/* train/progress.c -- the progress line. */
#include "train/progress.h"

#include "base/clock.h"
#include "base/log.h"

#include <math.h>
#include <stdio.h>

static const double keep = 0.9;           /* weight that a step loses to its successor */
static const double seconds_between = 10; /* lines, where there is no terminal */
static const double redraw = 0.1;         /* seconds between two drawings of the line */

void lrk_progress_begin(lrk_progress *p, uint64_t total)
{
    *p = (lrk_progress){.total = total, .shown = -HUGE_VAL};
}

void lrk_duration(double seconds, char *out, size_t size)
{
    const unsigned long s = seconds > 0 && seconds < 1e9 ? (unsigned long)(seconds + 0.5) : 0;
    if (s >= 86400)
        snprintf(out, size, "%lud %luh", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        snprintf(out, size, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%lu:%02lu", s / 60, s % 60);
}

void lrk_progress_format(const lrk_progress *p, const lrk_step_record *r, char *out, size_t size)
{
    char left[32];
    const double steps_left = r->step < p->total ? (double)(p->total - r->step) : 0.0;
    lrk_duration(p->steps > 0 ? steps_left * p->seconds / p->steps : 0.0, left, sizeof left);
    const double seconds = p->seconds > 0 ? p->seconds : 1.0;
    snprintf(out, size, "%llu/%llu  mean loss %.3f  lr %.1e  %.0f tok/s (%.0f trained)  ETA %s  %zu MB",
             (unsigned long long)r->step, (unsigned long long)p->total,
             p->loss_weight > 0 ? p->loss / p->loss_weight : r->loss, r->learning_rate,
             p->tokens / seconds, p->trained / seconds, left, r->peak_bytes / 1000000);
}

void lrk_progress_recall(lrk_progress *p, double loss)
{
    if (!p->any) p->first_loss = loss;
    p->any = true;
    p->loss = keep * p->loss + loss;
    p->loss_weight = keep * p->loss_weight + 1.0;
}

/* The rate is too high for this model where the loss has left the height it came from. */
static void watch(lrk_progress *p, const lrk_step_record *r)
{
    const double mean = p->loss / p->loss_weight;
    if (p->warned || p->loss_weight < 5.0 || mean < 1.0 + 2.0 * p->first_loss) return;
    p->warned = true;
    lrk_warn("step %llu: the mean loss is %.2f, it began at %.2f: the learning rate is probably too high",
             (unsigned long long)r->step, mean, p->first_loss);
}

void lrk_progress_step(lrk_progress *p, const lrk_step_record *r)
{
    p->tokens = keep * p->tokens + (double)r->tokens;
    p->trained = keep * p->trained + (double)r->trained_tokens;
    p->seconds = keep * p->seconds + r->seconds;
    p->steps = keep * p->steps + 1.0;
    p->all_tokens += r->tokens;
    p->all_seconds += r->seconds;
    lrk_progress_recall(p, r->loss);
    watch(p, r);

    const double now = lrk_seconds();
    const double wait = lrk_log_terminal() ? redraw : seconds_between;
    if (now - p->shown < wait && r->step < p->total) return;
    char line[160];
    lrk_progress_format(p, r, line, sizeof line);
    lrk_log_line(line);
    if (r->step == p->total) lrk_log_line_end();
    p->shown = now;
}

void lrk_progress_end(void)
{
    lrk_log_line_end();
}
