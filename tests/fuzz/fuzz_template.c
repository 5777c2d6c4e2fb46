/* tests/fuzz/fuzz_template.c -- a stranger's template, and behind a NUL byte a context. Whatever
 * renders must be UTF-8 of valid spans; whatever fails must say so. */
#include "base/file.h"
#include "data/template.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char usual[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", \"content\": "
    "\" \\u00e9 <|im_end|> \"}, {\"role\": \"assistant\", \"content\": \"a\\nb\", \"tool_calls\": "
    "[{\"function\": {\"name\": \"f\", \"arguments\": {\"x\": [1, 2.5, null, true]}}}]}, "
    "{\"role\": "
    "\"assistant\", \"content\": \"\"}], \"tools\": null, \"l\": [3, 1, 2], \"d\": {\"k\": \"v\"}, "
    "\"s\": \"Hello World\", \"i\": 7, \"eos_token\": \"</s>\", \"add_generation_prompt\": true}";

static void check(const lrk_rendered *t)
{
    size_t at = 0;
    if (t->text.n && lrk_utf8_check(t->text.data, t->text.n) != t->text.n &&
        !memchr(t->text.data, 0, t->text.n))
        LRK_BUG("text that is not UTF-8");
    for (size_t i = 0; i < t->n_spans; i++) {
        const lrk_span *s = &t->spans[i];
        if (s->begin < at || s->begin >= s->end || s->end > t->text.n || !s->role)
            LRK_BUG("spans out of order");
        at = s->end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *source = (const char *)data, *nul = size ? memchr(source, 0, size) : NULL;
    const size_t n = nul ? (size_t)(nul - source) : size;
    const char *json = nul ? nul + 1 : usual;
    const size_t n_json = nul ? size - n - 1 : sizeof usual - 1;
    lrk_err err = {0};
    lrk_json *context = NULL;
    lrk_template *t = NULL;
    lrk_rendered text = {.n_spans = 0};
    static const char *const ends[] = {"<|im_end|>", "</s>", "x"};
    const lrk_render_options o = {.now = "2026-03-01T12:00:00",
                                  .end_tokens = ends,
                                  .n_end_tokens = 3,
                                  .max_steps = 20000,
                                  .max_bytes = 4 << 20};
    lrk_status s = lrk_json_parse(&context, json, n_json, "context", &err);
    if (s == LRK_OK) s = lrk_template_compile(&t, source, n, "fuzz", &err);
    if (s == LRK_OK) s = lrk_template_render(t, context, &o, &text, &err);
    if (s == LRK_OK) check(&text);
    if (s != LRK_OK && err.status == LRK_OK) LRK_BUG("a failure without a message");
    lrk_rendered_free(&text);
    lrk_template_free(t);
    lrk_json_free(context);
    return 0;
}
