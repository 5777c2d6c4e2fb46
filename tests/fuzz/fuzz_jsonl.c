/* tests/fuzz/fuzz_jsonl.c -- lines of JSON through shape recognition into parts. The first byte
 * picks the shape; templates come from the first line. Whatever the parser accepts must be storable. */
#include "data/import.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_line(const lrk_shaping *given, const char *text, size_t n, size_t line)
{
    lrk_err err = {0};
    lrk_json *row = NULL;
    lrk_shaping s = *given;
    lrk_part *parts = NULL;
    size_t n_parts = 0;
    unsigned char hash[16];
    lrk_arena a = lrk_arena_growing("row");
    if (lrk_import_line(text, n, "fuzz", line, &row, &err) == LRK_OK && row) {
        lrk_status status = LRK_OK;
        if (s.shape == LRK_SHAPE_AUTO) status = lrk_shape_recognize(row, &s.shape, &err);
        if (status == LRK_OK) status = lrk_shape_apply(&s, row, &a, &parts, &n_parts, &err);
        if (status == LRK_OK) {
            lrk_record_hash(parts, n_parts, hash);
            if (!lrk_record_kind(parts, n_parts)) LRK_BUG("parts that make up no row");
        } else if (err.status == LRK_OK) {
            LRK_BUG("a failure without a message");
        }
    }
    lrk_json_free(row);
    lrk_arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    lrk_shaping s = {.shape = (lrk_shape)(data[0] % LRK_SHAPE_END)};
    lrk_arena a = lrk_arena_growing("fuzz");
    char *text = lrk_strndup(&a, (const char *)data + 1, size - 1), *rest = text;
    if (!text) return 0;
    for (size_t line = 1; rest; line++) {
        char *end = memchr(rest, '\n', size - 1 - (size_t)(rest - text));
        if (end) *end = '\0';
        const size_t n = end ? (size_t)(end - rest) : size - 1 - (size_t)(rest - text);
        if (s.shape == LRK_SHAPE_FIELDS && line == 1) {
            if (lrk_fields_parse(rest, "--prompt", &a, &s.prompt, NULL) != LRK_OK) break;
            s.completion = s.prompt;
        } else {
            one_line(&s, rest, n, line);
        }
        rest = end ? end + 1 : NULL;
    }
    lrk_arena_free(&a);
    return 0;
}
