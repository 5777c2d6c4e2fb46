/* Tokenizers: the reference's ids and texts for every golden tokenizer, streams, offsets, and what
 * is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "data/tokenizer.h"

#include <string.h>

#define DATA LRK_SOURCE_DIR "/tests/golden/data/"

static const char *const families[] = {"llama", "llama_gguf_f32", "mistral",
                                       "qwen2", "qwen3",          "gemma2"};
enum { FAMILIES = sizeof families / sizeof *families };

static lrk_tokenizer *open_family(const char *name)
{
    lrk_buf path = {.n = 0};
    lrk_err err = {.status = LRK_OK};
    lrk_tokenizer *t = NULL;
    lrk_buf_printf(&path, DATA "%s/tokenizer.json", name);
    if (lrk_tokenizer_from_json(&t, path.data, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_buf_free(&path);
    return t;
}

static lrk_json *cases_of(const char *name)
{
    lrk_buf path = {.n = 0};
    lrk_err err = {.status = LRK_OK};
    lrk_json *cases = NULL;
    lrk_buf_printf(&path, DATA "%s/text_cases.json", name);
    if (lrk_json_load(&cases, path.data, 16 << 20, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_buf_free(&path);
    return cases;
}

static void same_ids(const lrk_ids *got, const lrk_json *want, const char *family, const char *text)
{
    bool same = got->n == lrk_json_size(want);
    for (size_t i = 0; same && i < got->n; i++)
        same = got->id[i] == (uint32_t)lrk_json_integer(lrk_json_at(want, i));
    if (same) return;
    for (size_t i = 0; i < got->n; i++) print_message("%u ", (unsigned)got->id[i]);
    print_message("got; wanted\n");
    for (size_t i = 0; i < lrk_json_size(want); i++)
        print_message("%d ", (int)lrk_json_integer(lrk_json_at(want, i)));
    fail_msg("%s: ids of '%s'", family, text);
}

static uint32_t *ids_from(const lrk_json *list, size_t *n)
{
    *n = lrk_json_size(list);
    uint32_t *ids = lrk_heap_alloc(*n + 1, sizeof *ids);
    for (size_t i = 0; i < *n; i++) ids[i] = (uint32_t)lrk_json_integer(lrk_json_at(list, i));
    return ids;
}

static void same_text(const lrk_tokenizer *t, const lrk_json *list, bool skip, const lrk_json *want)
{
    size_t n, length;
    uint32_t *ids = ids_from(list, &n);
    const char *text = lrk_json_string(want, &length);
    lrk_buf out = {.n = 0};
    assert_int_equal(lrk_decode(t, ids, n, skip, &out, NULL), LRK_OK);
    assert_int_equal(out.n, length);
    if (length) assert_memory_equal(out.data, text, length);
    lrk_buf_free(&out);
    lrk_heap_free(ids);
}

static void golden(void **state)
{
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        lrk_tokenizer *t = open_family(families[f]);
        lrk_json *cases = cases_of(families[f]);
        lrk_ids ids = {.n = 0};
        assert_true(lrk_json_size(cases) > 100);
        for (size_t i = 0; i < lrk_json_size(cases); i++) {
            const lrk_json *c = lrk_json_at(cases, i);
            const lrk_json *plain = lrk_json_get(c, "ids"), *special = lrk_json_get(c, "ids_with_special");
            size_t n;
            const char *text = lrk_json_string(lrk_json_get(c, "text"), &n);
            assert_int_equal(lrk_encode(t, text, n, false, &ids, NULL), LRK_OK);
            same_ids(&ids, plain, families[f], text);
            assert_int_equal(lrk_encode(t, text, n, true, &ids, NULL), LRK_OK);
            same_ids(&ids, special, families[f], text);
            same_text(t, plain, false, lrk_json_get(c, "decoded"));
            same_text(t, special, true, lrk_json_get(c, "decoded_skip_special"));
        }
        lrk_ids_free(&ids);
        lrk_json_free(cases);
        lrk_tokenizer_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
