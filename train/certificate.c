/* train/certificate.c -- outputs measured, as a table and as JSON. */
#include "train/certificate.h"

#include "base/file.h"
#include "base/log.h"
#include "generate/manifest.h"

#include <stdio.h>
#include <string.h>

#define FORMAT "lorikeet-certificate"

static bool is_past(const lrk_certificate *c, const lrk_fidelity *f)
{
    return (c->max_kl > 0.0 && f->kl_mean > c->max_kl) ||
           (c->min_top1 > 0.0 && f->top1.value < c->min_top1);
}

static const char *plural(size_t n) { return n == 1 ? "" : "s"; }

static lrk_status certify_output(const lrk_certificate *c, lrk_fidelity_model *reference,
                                 lrk_output *o, lrk_err *err)
{
    lrk_fidelity_model *model;
    char line[400];
    snprintf(line, sizeof line, "%s against base + adapter on %zu row%s", o->name, c->exam->n, plural(c->exam->n));
    lrk_log_line(line);
    LRK_TRY(lrk_fidelity_open(&model, o->path, NULL, LRK_AS_STORED, c->device, c->exam, err));
    const lrk_status status =
        lrk_fidelity_measure(&o->fidelity, reference, model, c->exam, c->stop, err);
    lrk_fidelity_close(model);
    o->measured = status == LRK_OK;
    o->past_limit = o->measured && is_past(c, &o->fidelity);
    return status;
}

/* ---- what is there ---- */

static lrk_status count_bytes(lrk_output *o, lrk_err *err)
{
    lrk_weights *w;
    LRK_TRY(lrk_weights_open(&w, o->path, err));
    const lrk_gguf *g = lrk_weights_gguf(w);
    o->bytes = 0;
    for (size_t i = 0; g && i < g->n_tensors; i++) o->bytes += g->tensor[i].bytes;
    for (size_t i = 0; !g && i < lrk_weights_count(w); i++) o->bytes += lrk_bytes(lrk_weights_at(w, i));
    lrk_weights_close(w);
    return LRK_OK;
}

static lrk_status check_adapter(const lrk_certificate *c, const lrk_output *o, const char *hash, lrk_err *err)
{
    lrk_json *m;
    LRK_TRY(lrk_manifest_of_model(&m, o->path, err));
    const char *made_of = lrk_json_string(lrk_json_get(lrk_json_get(m, "adapter"), "sha256"), NULL);
    lrk_status status = LRK_OK;
    if (made_of && strcmp(made_of, hash) != 0)
        status = lrk_fail(err, LRK_EINPUT,
                          "%s: by its manifest it was made of another adapter, with hash %.16s..., and not of %s, with "
                          "hash %.16s...; name the one that is in it with --adapter, or measure all the same with "
                          "--any-adapter", o->name, made_of, c->adapter, hash);
    lrk_json_free(m);
    return status;
}

lrk_status lrk_certificate_look(const lrk_certificate *c, bool any_adapter, lrk_err *err)
{
    lrk_adapter a = {0};
    char hash[65] = "";
    if (c->adapter) {
        LRK_TRY(lrk_adapter_load(&a, c->adapter, err));
        /* of one that has begun, or that was trained on a resized base, the hash is known beside its base alone */
        if (!a.begun && !a.resized[0].rank && !a.resized[1].rank) lrk_adapter_sha256(&a, hash);
        lrk_adapter_free(&a);
    }
    for (size_t i = 0; i < c->n; i++) {
        const char *path = c->output[i].path;
        LRK_REQUIRE(err, lrk_is_file(path) || lrk_is_dir(path), LRK_EINPUT, "%s: no such file or directory", path);
        LRK_TRY(count_bytes(&c->output[i], err));
        if (*hash && !any_adapter) LRK_TRY(check_adapter(c, &c->output[i], hash, err));
    }
    return LRK_OK;
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
    lrk_buf_printf(out, "against base%s + adapter (loss %.4f) on %zu row%s, %zu token%s:\n",
                   c->bits == LRK_AS_STORED ? "" : " in NF4", first->reference_loss, first->rows, plural(first->rows),
                   first->tokens, plural(first->tokens));
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

/* What an earlier certificate knows of an output that was not made now. */
static void keep_ledger(lrk_json *o, const char *name, const lrk_json *before)
{
    static const char *const kept[] = {"merged", "carried", "change"};
    const lrk_json *outputs = lrk_json_get(before, "outputs");
    for (size_t i = 0; i < lrk_json_size(outputs); i++) {
        const lrk_json *from = lrk_json_at(outputs, i);
        const char *path = lrk_json_string(lrk_json_get(from, "path"), NULL);
        for (size_t k = 0; path && strcmp(path, name) == 0 && k < sizeof kept / sizeof *kept; k++) {
            lrk_json *v = lrk_json_get(from, kept[k]);
            if (v) lrk_json_set(o, kept[k], lrk_json_ref(v));
        }
    }
}

static lrk_json *output_json(const lrk_output *from, const lrk_json *before)
{
    lrk_json *o = lrk_json_object();
    lrk_json_set_text(o, "path", from->name);
    lrk_json_set_count(o, "bytes", from->bytes);
    if (from->report.merged)
        lrk_merge_report_put(&from->report, o);
    else
        keep_ledger(o, from->name, before);
    if (from->measured) put_fidelity(o, &from->fidelity);
    lrk_json_set(o, "kept", lrk_json_new_bool(!from->past_limit));
    return o;
}

static lrk_json *to_json(const lrk_certificate *c, const lrk_json *before)
{
    lrk_json *root = lrk_json_object(), *program = lrk_json_object(), *reference = lrk_json_object();
    lrk_json *limits = lrk_json_object(), *outputs = lrk_json_array();
    lrk_json_set_text(root, "format", FORMAT);
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
    for (size_t i = 0; i < c->n; i++) lrk_json_add(outputs, output_json(&c->output[i], before));
    lrk_json_set(root, "outputs", outputs);
    return root;
}

lrk_json *lrk_certificate_json(const lrk_certificate *c) { return to_json(c, NULL); }

lrk_status lrk_certificate_load(lrk_json **out, const char *path, lrk_err *err)
{
    enum { MAX_CERTIFICATE = 64 << 20 };
    *out = NULL;
    if (!lrk_is_file(path)) return LRK_OK;
    lrk_map map;
    LRK_TRY(lrk_map_open(&map, path, err));
    const bool empty = map.size == 0; /* as mktemp makes them */
    lrk_map_close(&map);
    if (empty) return LRK_OK;
    const lrk_status status = lrk_json_load(out, path, MAX_CERTIFICATE, NULL);
    const char *format = lrk_json_string(lrk_json_get(*out, "format"), NULL);
    if (status == LRK_OK && format && strcmp(format, FORMAT) == 0) return LRK_OK;
    lrk_json_free(*out);
    *out = NULL;
    return lrk_fail(err, LRK_EUSAGE, "%s: is there and no certificate; remove it or name another file", path);
}

lrk_status lrk_certificate_write(const lrk_certificate *c, const char *path, lrk_err *err)
{
    lrk_json *before;
    LRK_TRY(lrk_certificate_load(&before, path, err));
    lrk_json *v = to_json(c, before);
    const lrk_status status = lrk_json_save(v, path, err);
    if (status == LRK_OK && before) lrk_note("%s: replaces the certificate of an earlier call", path);
    lrk_json_free(before);
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
