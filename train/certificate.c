/* train/certificate.c -- outputs measured, as a table and as JSON. */
#include "train/certificate.h"

#include "base/file.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

static bool is_past(const lrk_certificate *c, const lrk_fidelity *f)
{
    return (c->max_kl > 0.0 && f->kl_mean > c->max_kl) ||
           (c->min_top1 > 0.0 && f->top1.value < c->min_top1);
}

static lrk_status certify_output(const lrk_certificate *c, lrk_fidelity_model *reference,
                                 lrk_output *o, lrk_err *err)
{
    lrk_fidelity_model *model;
    char line[400];
    snprintf(line, sizeof line, "%s against base + adapter on %zu rows", o->name, c->exam->n);
    lrk_log_line(line);
    LRK_TRY(lrk_fidelity_open(&model, o->path, NULL, LRK_AS_STORED, c->device, c->exam, err));
    const lrk_status status =
        lrk_fidelity_measure(&o->fidelity, reference, model, c->exam, c->stop, err);
    lrk_fidelity_close(model);
    o->measured = status == LRK_OK;
    o->past_limit = o->measured && is_past(c, &o->fidelity);
    return status;
}

lrk_status lrk_certify(const lrk_certificate *c, lrk_err *err)
{
    lrk_fidelity_model *reference;
    if (!c->exam || c->n == 0) return LRK_OK;
    LRK_TRY(lrk_fidelity_open(&reference, c->model, c->adapter, c->bits, c->device, c->exam, err));
    lrk_status status = LRK_OK;
    for (size_t i = 0; status == LRK_OK && i < c->n; i++)
        status = certify_output(c, reference, &c->output[i], err);
    lrk_fidelity_close(reference);
    lrk_log_line_end();
    return status;
}

/* ---- the table ---- */

void lrk_certificate_table(const lrk_certificate *c, lrk_buf *out)
{
    int width = 6;
    for (size_t i = 0; i < c->n; i++)
        if ((int)strlen(c->output[i].name) > width) width = (int)strlen(c->output[i].name);
    if (!c->n || !c->output[0].measured) return;
    const lrk_fidelity *first = &c->output[0].fidelity;
    lrk_buf_printf(out, "against base%s + adapter (loss %.4f) on %zu rows, %zu tokens:\n",
                   c->bits == LRK_AS_STORED ? "" : " in NF4", first->reference_loss, first->rows, first->tokens);
    lrk_buf_printf(out, "%-*s  %9s  %9s  %11s  %7s\n", width, "output", "KL mean", "KL 99 %", "same top-1",
                   "loss");
    for (size_t i = 0; i < c->n; i++) {
        const lrk_output *o = &c->output[i];
        const lrk_fidelity *f = &o->fidelity;
        if (o->measured)
            lrk_buf_printf(out, "%-*s  %9.2g  %9.2g  %9.2f %%  %7.4f%s\n", width, o->name, f->kl_mean,
                           f->kl_high, 100.0 * f->top1.value, f->loss,
                           o->past_limit ? "  past the limit" : "");
    }
}

/* ---- JSON ---- */

static void put_real(lrk_json *o, const char *key, double value)
{
    lrk_json_set(o, key, lrk_json_new_real(value));
}

static void put_fidelity(lrk_json *o, const lrk_fidelity *f)
{
    lrk_json *kl = lrk_json_object(), *top1 = lrk_json_object();
    put_real(kl, "mean", f->kl_mean);
    put_real(kl, "p99", f->kl_high);
    put_real(kl, "max", f->kl_max);
    put_real(top1, "value", f->top1.value);
    put_real(top1, "low", f->top1.low);
    put_real(top1, "high", f->top1.high);
    lrk_json_set_count(top1, "count", f->same_top);
    lrk_json_set_count(top1, "of", f->tokens);
    lrk_json_set(o, "kl", kl);
    lrk_json_set(o, "top1", top1);
    put_real(o, "loss", f->loss);
    put_real(o, "reference_loss", f->reference_loss);
}

static lrk_json *output_json(const lrk_output *from)
{
    lrk_json *o = lrk_json_object();
    lrk_json_set_text(o, "path", from->name);
    if (from->report.merged) lrk_merge_report_put(&from->report, o);
    if (from->measured) put_fidelity(o, &from->fidelity);
    lrk_json_set(o, "kept", lrk_json_new_bool(!from->past_limit));
    return o;
}

lrk_json *lrk_certificate_json(const lrk_certificate *c)
{
    lrk_json *root = lrk_json_object(), *program = lrk_json_object(), *reference = lrk_json_object();
    lrk_json *limits = lrk_json_object(), *outputs = lrk_json_array();
    lrk_json_set_text(root, "format", "lorikeet-certificate");
    lrk_json_set(root, "version", lrk_json_new_integer(1));
    lrk_json_set_text(program, "name", "lorikeet");
    lrk_json_set_text(program, "version", LRK_VERSION);
    lrk_json_set(root, "program", program);
    lrk_json_set_text(reference, "model", c->model);
    lrk_json_set_text(reference, "adapter", c->adapter);
    if (c->bits != LRK_AS_STORED) lrk_json_set_text(reference, "held_in", "nf4");
    lrk_json_set(root, "reference", reference);
    if (c->n && c->output[0].measured) {
        lrk_json_set_count(root, "rows", c->output[0].fidelity.rows);
        lrk_json_set_count(root, "tokens", c->output[0].fidelity.tokens);
    }
    if (c->max_kl > 0.0) put_real(limits, "max_kl", c->max_kl);
    if (c->min_top1 > 0.0) put_real(limits, "min_top1", c->min_top1);
    lrk_json_set(root, "limits", limits);
    for (size_t i = 0; i < c->n; i++) lrk_json_add(outputs, output_json(&c->output[i]));
    lrk_json_set(root, "outputs", outputs);
    return root;
}

lrk_status lrk_certificate_write(const lrk_certificate *c, const char *path, lrk_err *err)
{
    lrk_json *v = lrk_certificate_json(c);
    const lrk_status status = lrk_json_save(v, path, err);
    lrk_json_free(v);
    return status;
}

lrk_status lrk_certificate_check(const lrk_certificate *c, lrk_err *err)
{
    const lrk_output *worst = NULL;
    for (size_t i = 0; i < c->n; i++)
        if (c->output[i].past_limit && (!worst || c->output[i].fidelity.kl_mean > worst->fidelity.kl_mean))
            worst = &c->output[i];
    if (!worst) return LRK_OK;
    const lrk_fidelity *f = &worst->fidelity;
    const bool by_kl = c->max_kl > 0.0 && f->kl_mean > c->max_kl;
    return lrk_fail(err, LRK_ENUMERIC,
                    by_kl ? "%s is %.3g nats a token away from base + adapter, the limit is %g: choose a type "
                            "with more bits (q8_0, q6_k, q5_k_m), or raise the limit"
                          : "%s has the same top-1 as base + adapter at a share of %.3g, the limit is %g: choose "
                            "a type with more bits (q8_0, q6_k, q5_k_m), or lower the limit",
                    worst->name, by_kl ? f->kl_mean : f->top1.value, by_kl ? c->max_kl : c->min_top1);
}
