/* train/verify_limits.c -- how far each number of a golden directory may be off. */
#include "train/verify.h"

#include <math.h>

/* sqrt(20 * 56) roundings: about 20 products of up to 56 terms stand between a gradient and the loss */
#define GRADIENT_FLOOR 2e-6
/* of weights after ten steps, and of norms at them */
#define MOST_WEIGHTS 2e-3

const lrk_limit lrk_limit_logits = {2e-4, "max_abs_logits", 0x1p-22};
const lrk_limit lrk_limit_hidden = {2e-4, NULL, 0.0};
const lrk_limit lrk_limit_gradients = {1e-4, "max_rel_grad", GRADIENT_FLOOR};
/* vectors in f32: roundings of the largest value over the gap to the next one, of some hundredths */
const lrk_limit lrk_limit_start = {1e-4, NULL, 0.0};

static double number(const lrk_json *object, const char *key) { return lrk_json_number(lrk_json_get(object, key)); }

/* The reference's f32 has losses on a grid of this width, and a mean of numbers of either sign may be off by
 * nothing. */
static double grid(double loss) { return 0x1p-23 * fabs(loss); }

lrk_limit lrk_limit_loss(double want)
{
    return (lrk_limit){1e-5, "loss", grid(want)};
}

/* A norm is as good as what it is of. */
lrk_limit lrk_limit_norm(const lrk_report *r)
{
    return (lrk_limit){1e-4, "train_rel_grad_norm", fmax(number(r->f32_error, "max_rel_grad"), GRADIENT_FLOOR)};
}

/* The weights are off after a step, and by how much, the luck of one element decides (lrk_limit_final). The loss of
 * them is off by the gradient times that, the norm of their gradient by about the same share. */
lrk_limit lrk_limit_train_loss(const lrk_report *r, const lrk_json *step)
{
    const double by_weights = number(r->f32_error, "final_max_abs") * number(step, "grad_norm");
    return (lrk_limit){5e-5, "train_loss", fmax(grid(number(step, "loss")), by_weights)};
}

lrk_limit lrk_limit_train_norm(const lrk_report *r)
{
    const lrk_limit l = lrk_limit_norm(r);
    return (lrk_limit){MOST_WEIGHTS, l.recorded, fmax(l.floor, number(r->f32_error, "final_max_abs"))};
}

/* Adam divides a gradient by its own size: one that is the share s of the largest moves by 1 / s times the largest's
 * rounding, of the rates together. Among n numbers the smallest share is about 1 / n. */
lrk_limit lrk_limit_final(const lrk_report *r, const lrk_json *expected, const lrk_adapter *trained)
{
    const lrk_json *steps = lrk_json_get(lrk_json_get(expected, "train"), "steps");
    double rates = 0.0, n = 0.0;
    for (size_t i = 0; i < lrk_json_size(steps); i++) rates += number(lrk_json_at(steps, i), "lr");
    for (size_t i = 0; i < trained->n; i++)
        n += (double)(lrk_count(&trained->module[i].a) + lrk_count(&trained->module[i].b));
    for (size_t i = 0; i < trained->n_whole; i++) n += (double)lrk_count(&trained->whole[i].weight);
    return (lrk_limit){MOST_WEIGHTS, "final_max_abs", rates * n * number(r->f32_error, "max_rel_grad")};
}
