/* Every step of a tokenizer by itself: the reference's ids and texts for the small tokenizers of
 * tests/peer/small.py, scanners against the patterns that they stand for, SentencePiece's scores.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "data/tokenizer.h"
#include "data/tokenizer/scan.h"

#include <string.h>

#define DATA LRK_SOURCE_DIR "/tests/unit/data/tokenizers.json"

static void same_ids(const lrk_tokenizer *t, const char *name, const lrk_json *c, const char *key,
                     bool special)
{
    size_t n;
    const lrk_json *want = lrk_json_get(c, key);
    const char *text = lrk_json_string(lrk_json_get(c, "text"), &n);
    lrk_ids ids = {.n = 0};
    assert_int_equal(lrk_encode(t, text, n, special, &ids, NULL), LRK_OK);
    bool same = ids.n == lrk_json_size(want);
    for (size_t i = 0; same && i < ids.n; i++)
        same = ids.id[i] == (uint32_t)lrk_json_integer(lrk_json_at(want, i));
    if (!same) {
        for (size_t i = 0; i < ids.n; i++) print_message("%u ", (unsigned)ids.id[i]);
        fail_msg("%s: ids of '%s'", name, text);
    }
    for (size_t i = 0; i < ids.n; i++) assert_true(ids.begin[i] <= n);
    lrk_ids_free(&ids);
}

/* Decoded at once, and token by token where the bytes are UTF-8. */
static void same_text(const lrk_tokenizer *t, const char *name, const lrk_json *c, const char *ids,
                      const char *key, bool skip)
{
    size_t n;
    const lrk_json *list = lrk_json_get(c, ids);
    const char *want = lrk_json_string(lrk_json_get(c, key), &n);
    lrk_buf out = {.n = 0}, parts = {.n = 0};
    lrk_stream stream = {.begun = false};
    uint32_t *id = lrk_heap_alloc(lrk_json_size(list) + 1, sizeof *id);
    for (size_t i = 0; i < lrk_json_size(list); i++) {
        id[i] = (uint32_t)lrk_json_integer(lrk_json_at(list, i));
        assert_int_equal(lrk_stream_push(t, &stream, id[i], skip, &parts, NULL), LRK_OK);
    }
    lrk_stream_end(&stream, &parts);
    assert_int_equal(lrk_decode(t, id, lrk_json_size(list), skip, &out, NULL), LRK_OK);
    if (out.n != n || (n && memcmp(out.data, want, n) != 0))
        fail_msg("%s: '%s', expected '%s'", name, out.n ? out.data : "", want);
    assert_int_equal(parts.n, n);
    if (n) assert_memory_equal(parts.data, want, n);
    lrk_heap_free(id);
    lrk_buf_free(&out);
    lrk_buf_free(&parts);
}

static void reference(void **state)
{
    (void)state;
    lrk_json *root = NULL;
    lrk_err err = {.status = LRK_OK};
    if (lrk_json_load(&root, DATA, 16 << 20, &err) != LRK_OK) fail_msg("%s", err.text);
    const lrk_json *list = lrk_json_get(root, "tokenizers");
    assert_true(lrk_json_size(list) > 50);
    for (size_t k = 0; k < lrk_json_size(list); k++) {
        const lrk_json *one = lrk_json_at(list, k), *cases = lrk_json_get(one, "cases");
        const char *name = lrk_json_string(lrk_json_get(one, "name"), NULL);
        lrk_buf text = {.n = 0};
        lrk_tokenizer *t = NULL;
        assert_int_equal(lrk_json_dump(lrk_json_get(one, "tokenizer"), 0, &text, &err), LRK_OK);
        if (lrk_tokenizer_parse(&t, text.data, text.n, name, &err) != LRK_OK)
            fail_msg("%s", err.text);
        for (size_t i = 0; i < lrk_json_size(cases); i++) {
            const lrk_json *c = lrk_json_at(cases, i);
            same_ids(t, name, c, "ids", false);
            same_ids(t, name, c, "ids_with_special", true);
            same_text(t, name, c, "ids", "decoded", false);
            same_text(t, name, c, "ids_with_special", "decoded_skip_special", true);
        }
        lrk_buf_free(&text);
        lrk_tokenizer_free(t);
    }
    lrk_json_free(root);
}

/* ---- patterns ---- */

/* Text of the characters that patterns tell apart. */
static size_t mixed_text(uint32_t *seed, char *s, size_t most)
{
    static const char *const pieces[] = {"a",
                                         "B",
                                         "'",
                                         "s",
                                         "re",
                                         "\xc5\xbf",
                                         " ",
                                         "  ",
                                         "\n",
                                         "\r",
                                         "/",
                                         "7",
                                         "42",
                                         "!",
                                         "$",
                                         "\xc3\xa9",
                                         "LL",
                                         "\xcc\x81",
                                         "_",
                                         "\xe3\x80\x80",
                                         "\xe6\x88\x91",
                                         "\xca\xb0",
                                         "\xc7\x85",
                                         "\xe1\x84\x80",
                                         "\xf0\x9f\x98\x80",
                                         "\xc2\xbd",
                                         "\t",
                                         "S"};
    size_t n = 0;
    for (*seed = *seed * 1664525 + 1013904223; n + 8 < most;) {
        *seed = *seed * 1664525 + 1013904223;
        const char *p = pieces[(*seed >> 20) % (sizeof pieces / sizeof *pieces)];
        memcpy(s + n, p, strlen(p));
        n += strlen(p);
        if ((*seed >> 8) % 16 == 0) break;
    }
    return n;
}

/* A scanner and the pattern it stands for cut every text alike; those that only GGUF names have no
 * spelling. */
static void scanners(void **state)
{
    (void)state;
    lrk_classes *k = lrk_heap_alloc(1, sizeof *k);
    lrk_arena a = lrk_arena_growing("patterns");
    uint32_t seed = 7;
    int compared = 0;
    lrk_classes_fill(k);
    for (int id = 0; id < LRK_PATTERNS; id++) {
        lrk_regex *regex = NULL;
        lrk_err err = {.status = LRK_OK};
        if (!lrk_patterns[id].text) continue;
        if (lrk_regex_compile(&regex, &a, lrk_patterns[id].text, &err) != LRK_OK)
            fail_msg("%s", err.text);
        assert_int_equal(lrk_pattern_find(lrk_patterns[id].text), id);
        for (int round = 0; round < 2000 && id < LRK_SCANNERS; round++) {
            char s[96];
            const size_t n = mixed_text(&seed, s, sizeof s);
            for (size_t i = 0; i < n; lrk_utf8_next(s, &i)) {
                const size_t got = lrk_scan[id](k, s, n, i),
                             want = lrk_regex_match(regex, k, s, n, i);
                if (got != want)
                    fail_msg("'%s' at %zu of '%.*s': %zu, expected %zu", lrk_patterns[id].text, i,
                             (int)n, s, got, want);
                compared++;
            }
        }
    }
    assert_true(compared > 100000);
    lrk_arena_free(&a);
    lrk_heap_free(k);
}

static void unknown_patterns(void **state)
{
    static const char *const texts[] = {"(a",    "a)",       "[a",  "a**",  "\\d+",    "(?=a)",
                                        "a+?",   "(ab)+",    ".",   "(?i:", "[^[^a]]", "^a",
                                        "[b-a]", "\\p{Han}", "a{2", "\\"};
    (void)state;
    lrk_arena a = lrk_arena_growing("patterns");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        lrk_regex *regex = NULL;
        lrk_err err = {.status = LRK_OK};
        if (lrk_regex_compile(&regex, &a, texts[i], &err) != LRK_ESUPPORT)
            fail_msg("'%s' was compiled", texts[i]);
        assert_non_null(strstr(err.text, texts[i]));
    }
    lrk_arena_free(&a);
}

/* ---- vocabularies of GGUF ---- */

enum { TOKENS = 10 };

/* The score decides, then the longer left part: "aaa" is "aa" + "a". A blank stands before the
 * text, and unknown characters are nothing here, since there are no byte tokens. */
static void scores(void **state)
{
    static const lrk_piece tokens[TOKENS] = {{"<unk>", 5},
                                             {"\xe2\x96\x81", 3},
                                             {"a", 1},
                                             {"b", 1},
                                             {"aa", 2},
                                             {"aaa", 3},
                                             {"ab", 2},
                                             {"\xe2\x96\x81"
                                              "a",
                                              4},
                                             {"<s>", 3},
                                             {"bb", 2}};
    static const int32_t types[TOKENS] = {2, 1, 1, 1, 1, 1, 1, 1, 3, 4};
    static const float score[TOKENS] = {0, -9, -9, -9, -2, -3, -1, -8, 0, 0};
    static const struct {
        const char *text;
        uint32_t ids[8];
        size_t n;
    } cases[] = {{"aaa", {1, 5}, 2},  {"ab", {1, 6}, 2},        {"aaab", {1, 4, 6}, 3},
                 {"a", {7}, 1},       {"b a", {1, 3, 7}, 3},    {"bb", {9}, 1},
                 {"<s>a", {8, 7}, 2}, {"abbb", {7, 9, 1, 3}, 4}};
    (void)state;
    lrk_vocab v = {.where = "v.gguf",
                   .model = "llama",
                   .tokens = tokens,
                   .types = types,
                   .n_tokens = TOKENS,
                   .scores = score,
                   .bos = 8,
                   .eos = -1,
                   .eot = -1,
                   .eom = -1,
                   .unk = 0,
                   .pad = -1,
                   .add_bos = 0,
                   .add_eos = -1,
                   .add_space_prefix = -1};
    lrk_tokenizer *t = NULL;
    lrk_err err = {.status = LRK_OK};
    lrk_ids ids = {.n = 0};
    if (lrk_tokenizer_from_vocab(&t, &v, &err) != LRK_OK) fail_msg("%s", err.text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(lrk_encode(t, cases[i].text, strlen(cases[i].text), true, &ids, NULL),
                         LRK_OK);
        if (ids.n != cases[i].n) fail_msg("'%s' has %zu ids", cases[i].text, ids.n);
        assert_memory_equal(ids.id, cases[i].ids, ids.n * sizeof *ids.id);
    }
    lrk_ids_free(&ids);
    lrk_tokenizer_free(t);
    v.blanks_behind = true; /* "bb" swallows them, "<s>" does not */
    if (lrk_tokenizer_from_vocab(&t, &v, &err) != LRK_OK) fail_msg("%s", err.text);
    const uint32_t want[] = {9, 7, 8, 1, 7};
    assert_int_equal(lrk_encode(t, "bb  a<s> a", 10, true, &ids, NULL), LRK_OK);
    assert_int_equal(ids.n, 5);
    assert_memory_equal(ids.id, want, sizeof want);
    lrk_ids_free(&ids);
    lrk_tokenizer_free(t);
    t = NULL;
    v.model = "t5";
    assert_int_equal(lrk_tokenizer_from_vocab(&t, &v, &err), LRK_ESUPPORT);
    assert_non_null(strstr(err.text, "remove_extra_whitespaces"));
}

static void broken_charsmaps(void **state)
{
    static const char *const maps[] = {"", "AAAA", "////", "BAAAAA==", "!AAA"};
    (void)state;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        lrk_buf text = {.n = 0};
        lrk_tokenizer *t = NULL;
        lrk_err err = {.status = LRK_OK};
        lrk_buf_printf(&text,
                       "{\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": "
                       "\"%s\"}, \"decoder\": {\"type\": \"Fuse\"}, \"model\": {\"type\": "
                       "\"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\", -1]]}}",
                       maps[i]);
        assert_int_equal(lrk_tokenizer_parse(&t, text.data, text.n, "x", &err), LRK_EINPUT);
        assert_non_null(strstr(err.text, "precompiled_charsmap"));
        lrk_buf_free(&text);
    }
}

/* Integers beyond 64 bits, as tokenizer_config.json has them, are numbers. */
static void long_integers(void **state)
{
    static const char text[] = "{\"a\": 1000000000000000019884624838656, \"b\": "
                               "\"1000000000000000019884624838656\", \"c\": 7}";
    (void)state;
    lrk_json *v = NULL;
    lrk_err err = {.status = LRK_OK};
    if (lrk_json_parse(&v, text, sizeof text - 1, "x", &err) != LRK_OK) fail_msg("%s", err.text);
    assert_true(lrk_json_number(lrk_json_get(v, "a")) > 9.9e29);
    assert_int_equal(strlen(lrk_json_string(lrk_json_get(v, "b"), NULL)), 31);
    assert_true(lrk_json_is(lrk_json_get(v, "c"), LRK_JSON_INTEGER));
    lrk_json_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference),        cmocka_unit_test(scanners),
        cmocka_unit_test(unknown_patterns), cmocka_unit_test(scores),
        cmocka_unit_test(broken_charsmaps), cmocka_unit_test(long_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
