/* data/template/template.c -- compiling and rendering, from outside to inside. */
#include "data/template.h"

#include "base/file.h"
#include "base/sha256.h"
#include "data/template/value.h"

#include <string.h>

enum { MAX_SOURCE = 4 << 20, STEPS = 20000000, BYTES = 256 << 20 };

static bool mentions(const char *source, size_t n, const char *name)
{
    const size_t length = strlen(name);
    for (size_t i = 0; i + length <= n; i++)
        if (memcmp(source + i, name, length) == 0) return true;
    return false;
}

lrk_status lrk_template_compile(lrk_template **out, const char *source, size_t n, const char *name,
                                lrk_err *err)
{
    *out = NULL;
    LRK_REQUIRE(err, n <= MAX_SOURCE, LRK_ESUPPORT, "%s: a template of %zu bytes, at most %d", name,
                n, MAX_SOURCE);
    const size_t bad = lrk_utf8_check(source, n);
    LRK_REQUIRE(err, bad == n, LRK_EINPUT, "%s: byte %zu is not valid UTF-8", name, bad);
    lrk_template *t = lrk_heap_alloc(1, sizeof *t);
    LRK_REQUIRE(err, t, LRK_ENOMEM, "%s: out of memory", name);
    t->arena = lrk_arena_growing("template");
    lrk_sha256_hex(source, n, t->sha256);
    t->asks = mentions(source, n, "add_generation_prompt");
    t->name = lrk_strdup(&t->arena, name);
    t->source = lrk_strndup(&t->arena, source, n);
    lrk_jtoken *tokens;
    lrk_status s = t->name && t->source ? LRK_OK : lrk_fail(err, LRK_ENOMEM, "%s: out of memory", name);
    if (s == LRK_OK) s = lrk_jlex(t, source, n, &tokens, err);
    if (s == LRK_OK) s = lrk_jparse(t, tokens, err);
    if (s == LRK_OK) s = lrk_jcheck(t, err);
    if (s != LRK_OK) {
        lrk_template_free(t);
        return s;
    }
    *out = t;
    return LRK_OK;
}

lrk_status lrk_template_load(lrk_template **out, const char *path, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("template file");
    char *text;
    size_t n;
    lrk_status s = lrk_file_read(&a, path, MAX_SOURCE, &text, &n, err);
    if (s == LRK_OK) s = lrk_template_compile(out, text, n, path, err);
    lrk_arena_free(&a);
    return s;
}

void lrk_template_free(lrk_template *t)
{
    if (!t) return;
    lrk_arena_free(&t->arena);
    lrk_heap_free(t);
}

const char *lrk_template_sha256(const lrk_template *t) { return t->sha256; }

const char *lrk_template_source(const lrk_template *t) { return t->source; }

bool lrk_template_asks(const lrk_template *t) { return t->asks; }

static lrk_status render(lrk_jrun *r, const lrk_json *context, lrk_rendered *out)
{
    lrk_jvalue variables;
    r->at = (lrk_jpos){1, 1};
    LRK_REQUIRE(r->err, lrk_json_is(context, LRK_JSON_OBJECT), LRK_EINPUT,
                "%s: the context must be an object", r->t->name);
    LRK_TRY(lrk_j_context(r, context, &variables));
    r->context = variables.as.dict;
    LRK_TRY(lrk_j_scope_new(r, NULL, &r->scope));
    r->out = &r->text;
    LRK_TRY(lrk_j_exec(r, r->t->body));
    lrk_buf_append(&out->text, r->text.s ? r->text.s : "", r->text.n);
    LRK_TRY(lrk_buf_check(&out->text, r->err));
    return lrk_j_spans(r, lrk_json_get(context, "messages"), out);
}

lrk_status lrk_template_render(const lrk_template *t, const lrk_json *context,
                               const lrk_render_options *o, lrk_rendered *out, lrk_err *err)
{
    lrk_arena arena = lrk_arena_growing("rendering");
    lrk_jrun r = {.t = t,
                  .o = o,
                  .arena = &arena,
                  .max_bytes = o && o->max_bytes ? o->max_bytes : BYTES,
                  .max_steps = o && o->max_steps ? o->max_steps : STEPS,
                  .err = err};
    *out = (lrk_rendered){.arena = lrk_arena_growing("spans")};
    const lrk_status s = render(&r, context, out);
    lrk_arena_free(&arena);
    if (s != LRK_OK) lrk_rendered_free(out);
    return s;
}

void lrk_rendered_free(lrk_rendered *r)
{
    lrk_buf_free(&r->text);
    lrk_arena_free(&r->arena);
    r->spans = NULL;
    r->n_spans = 0;
}
