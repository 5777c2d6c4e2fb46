/* cli/inspect_manifest.c -- what a person asks of a manifest or a certificate, a line each. */
#include "cli/inspect_manifest.h"

#include <string.h>

static void put_quoted(lrk_buf *out, const char *before, const char *text)
{
    if (!text) return;
    lrk_buf_puts(out, before);
    lrk_json_quote(out, text, strlen(text));
}

static void put_hash(lrk_buf *out, const lrk_json *object)
{
    const char *hash = lrk_json_word(object, "sha256");
    if (hash) lrk_buf_printf(out, ", sha256 %.64s", hash);
}

static void put_name(lrk_buf *out, const char *label, const lrk_json *object)
{
    const char *name = lrk_json_word(object, "name");
    lrk_buf_printf(out, "  %s:", label);
    put_quoted(out, " ", name ? name : "(no name)");
}

/* Of weights the hash is of samples (lrk_weights_sha256). */
static void put_model(lrk_buf *out, const char *label, const lrk_json *object)
{
    const char *hash = lrk_json_word(object, "sha256");
    put_name(out, label, object);
    if (hash) lrk_buf_printf(out, ", sampled sha256 %.64s", hash);
}

static void put_base(const lrk_json *m, lrk_buf *out)
{
    const lrk_json *base = lrk_json_get(m, "base"), *others = lrk_json_get(m, "trained_for");
    const lrk_json *before = lrk_json_get(lrk_json_get(base, "made_from"), "base");
    if (base) {
        put_model(out, "base", base);
        put_quoted(out, ", license ", lrk_json_word(base, "license"));
        lrk_buf_puts(out, "\n");
    }
    if (before) {
        put_model(out, "which was made of", before);
        lrk_buf_puts(out, "\n");
    }
    for (size_t i = 0; i < lrk_json_size(others); i++) {
        put_model(out, "trained for another base (--any-base)", lrk_json_at(others, i));
        lrk_buf_puts(out, "\n");
    }
    if (lrk_json_get(m, "source")) {
        put_model(out, "converted from", lrk_json_get(m, "source"));
        lrk_buf_puts(out, "\n");
    }
}

static void put_adapter(const lrk_json *m, lrk_buf *out)
{
    const lrk_json *a = lrk_json_get(m, "adapter"), *combined = lrk_json_get(m, "combined");
    const lrk_json *parts = lrk_json_get(combined, "adapters");
    if (a) {
        lrk_buf_printf(out, "  adapter: rank %lld, %lld modules", (long long)lrk_json_integer(lrk_json_get(a, "rank")),
                       (long long)lrk_json_integer(lrk_json_get(a, "modules")));
        put_hash(out, a);
        lrk_buf_puts(out, "\n");
    }
    if (lrk_json_get(m, "start")) {
        put_name(out, "begun from", lrk_json_get(m, "start"));
        put_hash(out, lrk_json_get(m, "start"));
        lrk_buf_puts(out, "\n");
    }
    if (!combined) return;
    put_quoted(out, "  combined by: ", lrk_json_word(combined, "method"));
    if (lrk_json_get(combined, "residual"))
        lrk_buf_printf(out, ", %.3g %% away from the sum", 100.0 * lrk_json_number(lrk_json_get(combined, "residual")));
    lrk_buf_puts(out, "\n");
    for (size_t i = 0; i < lrk_json_size(parts); i++) {
        const lrk_json *part = lrk_json_at(parts, i);
        lrk_buf_printf(out, "  %8g of:", lrk_json_number(lrk_json_get(part, "weight")));
        put_quoted(out, " ", lrk_json_word(part, "name"));
        put_hash(out, part);
        if (lrk_json_word(lrk_json_get(part, "recipe"), "sha256"))
            lrk_buf_printf(out, ", recipe %.64s", lrk_json_word(lrk_json_get(part, "recipe"), "sha256"));
        lrk_buf_puts(out, "\n");
    }
}

static void put_vocabulary(const lrk_json *m, lrk_buf *out)
{
    const lrk_json *v = lrk_json_get(m, "vocabulary"), *list = lrk_json_get(v, "new_tokens");
    const char *before = " ";
    if (!lrk_json_size(list)) return;
    lrk_buf_printf(out, "  new tokens: %zu,", lrk_json_size(list));
    for (size_t i = 0; i < lrk_json_size(list); i++, before = ", ")
        put_quoted(out, before, lrk_json_string(lrk_json_at(list, i), NULL));
    lrk_buf_printf(out, "; vocabulary %lld -> %lld\n", (long long)lrk_json_integer(lrk_json_get(v, "rows_before")),
                   (long long)lrk_json_integer(lrk_json_get(v, "rows")));
}

static void put_data(const lrk_json *m, lrk_buf *out)
{
    const lrk_json *data = lrk_json_get(m, "data");
    for (size_t i = 0; i < lrk_json_size(data); i++) {
        const lrk_json *d = lrk_json_at(data, i);
        put_quoted(out, "  data: ", lrk_json_word(d, "path"));
        put_quoted(out, ", split ", lrk_json_word(d, "split"));
        put_quoted(out, ", for ", lrk_json_word(d, "use"));
        lrk_buf_printf(out, ", rows %lld", (long long)lrk_json_integer(lrk_json_get(d, "rows")));
        put_hash(out, d);
        lrk_buf_puts(out, "\n");
    }
}

static void put_training(const lrk_json *m, lrk_buf *out)
{
    static const char *const figures[] = {"steps", "rows", "held_out_rows", "tokens", "trained_tokens",
                                          "first_loss", "last_loss", "eval_loss", "best_eval_loss", "seed"};
    const lrk_json *t = lrk_json_get(m, "training");
    const char *recipe = lrk_json_word(lrk_json_get(m, "recipe"), "sha256");
    if (recipe) lrk_buf_printf(out, "  recipe: sha256 %.64s\n", recipe);
    if (!t) return;
    const char *before = "  training: ";
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        const lrk_json *v = lrk_json_get(t, figures[i]);
        if (!v) continue;
        lrk_buf_printf(out, "%s%s %.9g", before, figures[i], lrk_json_number(v));
        before = ", ";
    }
    lrk_buf_puts(out, "\n");
}

void lrk_inspect_manifest(const lrk_json *m, lrk_buf *out)
{
    put_quoted(out, "  output: ", lrk_json_word(m, "output"));
    put_quoted(out, ", by lorikeet ", lrk_json_word(lrk_json_get(m, "program"), "version"));
    lrk_buf_puts(out, "\n");
    put_base(m, out);
    put_adapter(m, out);
    put_vocabulary(m, out);
    put_data(m, out);
    put_training(m, out);
}

static double number(const lrk_json *object, const char *key)
{
    return lrk_json_number(lrk_json_get(object, key));
}

void lrk_inspect_certificate(const lrk_json *c, lrk_buf *out)
{
    const lrk_json *outputs = lrk_json_get(c, "outputs");
    for (size_t i = 0; i < lrk_json_size(outputs); i++) {
        const lrk_json *o = lrk_json_at(outputs, i), *kl = lrk_json_get(o, "kl"), *top = lrk_json_get(o, "top1");
        const char *path = lrk_json_word(o, "path");
        put_quoted(out, "  ", path ? path : "(no name)");
        if (kl && top)
            lrk_buf_printf(out,
                           ": KL mean %.2g, 99 %% %.2g; same top token %.2f %% of %lld; loss %.4f, of base + adapter "
                           "%.4f",
                           number(kl, "mean"), number(kl, "p99"), 100.0 * number(top, "value"),
                           (long long)lrk_json_integer(lrk_json_get(top, "of")), number(o, "loss"),
                           number(o, "reference_loss"));
        else
            lrk_buf_puts(out, ": not measured");
        if (lrk_json_is(lrk_json_get(o, "kept"), LRK_JSON_BOOL) && !lrk_json_bool(lrk_json_get(o, "kept")))
            lrk_buf_puts(out, "; past the limit, not kept");
        lrk_buf_puts(out, "\n");
    }
}
