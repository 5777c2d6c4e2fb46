/* train/verify.c -- the report, and which parts a directory calls for. */
#include "train/verify.h"

#include "base/file.h"

#include <math.h>
#include <string.h>

lrk_check *lrk_report_check(lrk_report *r, const char *name, double tolerance)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->check[i].name, name) == 0) return &r->check[i];
    }
    if (r->n == LRK_MAX_CHECKS) return &r->check[LRK_MAX_CHECKS - 1];
    lrk_check *c = &r->check[r->n++];
    *c = (lrk_check){.name = lrk_strdup(&r->arena, name), .tolerance = tolerance};
    if (!c->name) c->name = "?";
    if (r->n == LRK_MAX_CHECKS)
        *c = (lrk_check){.name = "more", .unsupported = true, .note = "more checks than a report holds"};
    return c;
}

lrk_check *lrk_report_limit(lrk_report *r, const char *name, lrk_limit limit)
{
    const lrk_json *v = limit.recorded ? lrk_json_get(r->f32_error, limit.recorded) : NULL;
    const double recorded = lrk_json_number(v);
    const double allowed = v ? fmin(limit.most, 2.0 * fmax(recorded, limit.floor)) : limit.most;
    lrk_check *c = lrk_report_check(r, name, allowed);
    if (c->unsupported) return c;
    c->tolerance = fmax(c->tolerance, allowed);
    c->recorded = recorded;
    return c;
}

void lrk_report_unsupported(lrk_report *r, const char *name, const char *why)
{
    lrk_check *c = lrk_report_check(r, name, 0.0);
    c->unsupported = true;
    c->note = lrk_strdup(&r->arena, why);
}

lrk_status lrk_report_view(lrk_report *r, const lrk_safetensors *file, const lrk_st_entry *entry,
                           lrk_tensor *out, lrk_err *err)
{
    LRK_TRY(lrk_st_view(file, entry, out, err));
    return lrk_st_align(out, &r->arena, err);
}

void lrk_report_error(lrk_report *r, lrk_check *c, double error, const char *note)
{
    if (isnan(error)) error = (double)INFINITY;
    c->compared++;
    if (c->compared > 1 && error <= c->error) return;
    c->error = error;
    if (note) c->note = lrk_strdup(&r->arena, note);
}

static bool has(lrk_arena *a, const char *dir, const char *name)
{
    const char *path = lrk_path_join(a, dir, name);
    return path && lrk_is_file(path);
}

/* A text side that is not known keeps nobody from checking the model. */
static lrk_status text(const char *dir, lrk_report *r, lrk_err *err)
{
    lrk_err why = {.status = LRK_OK};
    const lrk_status status = lrk_verify_text(dir, r, &why);
    if (status == LRK_OK) return LRK_OK;
    if (status != LRK_ESUPPORT) return lrk_fail(err, status, "%s", why.text);
    lrk_report_unsupported(r, "text", why.text);
    return LRK_OK;
}

lrk_status lrk_verify(const char *dir, lrk_device device, lrk_report *r, lrk_err *err)
{
    *r = (lrk_report){.device = device, .arena = lrk_arena_growing("report")};
    LRK_REQUIRE(err, lrk_is_dir(dir), LRK_EINPUT, "%s: not a directory", dir);
    lrk_arena *a = &r->arena;
    if (has(a, dir, "vectors.safetensors")) LRK_TRY(lrk_verify_dequant(dir, r, err));
    if (has(a, dir, "tokenizer.json")) LRK_TRY(text(dir, r, err));
    if (has(a, dir, "expected.json")) LRK_TRY(lrk_verify_model(dir, r, err));
    LRK_REQUIRE(err, r->n, LRK_EINPUT,
                "%s: nothing to verify; expected expected.json, text_cases.json or "
                "vectors.safetensors",
                dir);
    return LRK_OK;
}

void lrk_report_free(lrk_report *r)
{
    lrk_arena_free(&r->arena);
    r->n = 0;
}

lrk_status lrk_report_status(const lrk_report *r, lrk_err *err)
{
    for (size_t i = 0; i < r->n; i++) {
        const lrk_check *c = &r->check[i];
        LRK_REQUIRE(err, c->unsupported || c->error <= c->tolerance, LRK_ENUMERIC,
                    "%s: error %.3g exceeds %.3g%s%s", c->name, c->error, c->tolerance,
                    c->note ? ", at " : "", c->note ? c->note : "");
    }
    for (size_t i = 0; i < r->n; i++) {
        const lrk_check *c = &r->check[i];
        LRK_REQUIRE(err, !c->unsupported, LRK_ESUPPORT, "%s: %s", c->name,
                    c->note ? c->note : "not supported");
    }
    return LRK_OK;
}
