/* train/verify_merge.c -- base and adapter merged here, against what the reference merged. */
#include "base/file.h"
#include "base/quant.h"
#include "checkpoint/merge.h"
#include "train/verify.h"

#include <math.h>
#include <string.h>

typedef struct lrk_merged {
    lrk_report *report;
    lrk_check *check;
    lrk_weights *want, *got;
} lrk_merged;

/* From 1 to the next number of the type. */
static double step_of(lrk_dtype t)
{
    return t == LRK_BF16 ? 0x1p-7 : t == LRK_F16 ? 0x1p-10 : 0x1p-23;
}

static lrk_status as_f32(lrk_arena *a, const lrk_tensor *t, const float **out, lrk_err *err)
{
    float *numbers;
    LRK_TRY(lrk_alloc(a, lrk_count(t), sizeof *numbers, t->name, &numbers, err));
    lrk_to_f32(t->dtype, t->data, lrk_count(t), numbers);
    *out = numbers;
    return LRK_OK;
}

/* Both sides round a sum once, to the stored type: they are a step apart at most. The unit is that step
 * at the largest weight, for where W and the update cancel the update's own rounding is left. DoRA rounds
 * the norm of a row, the quotient and the product with it too: three steps more. */
static lrk_status compare(lrk_merged *m, const lrk_tensor *want, lrk_err *err)
{
    lrk_tensor got;
    const float *w, *g;
    double worst = 0.0, largest = 0.0;
    LRK_REQUIRE(err, lrk_weights_find(m->got, want->name, &got), LRK_EINPUT,
                "%s: tensor '%s' is not in a merge made here", lrk_weights_path(m->want), want->name);
    LRK_REQUIRE(err, got.dtype == want->dtype && lrk_count(&got) == lrk_count(want), LRK_EINPUT,
                "%s: tensor '%s' is %zu numbers of %s, merged here %zu of %s",
                lrk_weights_path(m->want), want->name, lrk_count(want), lrk_dtype_name(want->dtype),
                lrk_count(&got), lrk_dtype_name(got.dtype));
    lrk_arena a = lrk_arena_growing("merged tensor");
    lrk_status status = as_f32(&a, want, &w, err);
    if (status == LRK_OK) status = as_f32(&a, &got, &g, err);
    for (size_t i = 0; status == LRK_OK && i < lrk_count(want); i++) {
        const double error = fabs((double)g[i] - (double)w[i]);
        worst = isnan(error) ? (double)INFINITY : fmax(worst, error);
        largest = fmax(largest, fabs((double)w[i]));
    }
    if (status == LRK_OK)
        lrk_report_error(m->report, m->check,
                         worst > 0.0 ? worst / (largest * step_of(want->dtype)) : 0.0, want->name);
    lrk_arena_free(&a);
    return status;
}

static lrk_status compare_all(lrk_merged *m, lrk_err *err)
{
    const size_t n = lrk_weights_count(m->want);
    LRK_REQUIRE(err, n == lrk_weights_count(m->got), LRK_EINPUT, "%s: %zu tensors, merged here %zu",
                lrk_weights_path(m->want), n, lrk_weights_count(m->got));
    for (size_t i = 0; i < n; i++) LRK_TRY(compare(m, lrk_weights_at(m->want, i), err));
    return LRK_OK;
}

lrk_status lrk_verify_merge(const lrk_weights *base, const lrk_adapter *adapter, const char *dir,
                            lrk_report *report, lrk_err *err)
{
    lrk_merged m = {.report = report, .check = lrk_report_check(report, "merged.weights",
                                                                adapter->dora ? 4.0 : 1.0)};
    lrk_merge_report ignored;
    char *scratch;
    LRK_TRY(lrk_scratch_dir(&report->arena, &scratch, err));
    const lrk_merge_options o = {.out = scratch};
    lrk_status status = lrk_merge(base, adapter, &o, &ignored, err);
    if (status == LRK_OK) status = lrk_weights_open(&m.got, scratch, err);
    if (status == LRK_OK) status = lrk_weights_open(&m.want, dir, err);
    if (status == LRK_OK) status = lrk_weights_align(m.want, err);
    if (status == LRK_OK) status = compare_all(&m, err);
    lrk_weights_close(m.want);
    lrk_weights_close(m.got);
    const lrk_status removed = lrk_scratch_remove(scratch, status == LRK_OK ? err : NULL);
    return status == LRK_OK ? removed : status;
}
