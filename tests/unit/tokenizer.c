/* Tokenizers: the reference's ids and texts for every golden tokenizer, streams, offsets, and what
 * is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
            const lrk_json *plain = lrk_json_get(c, "ids"),
                           *special = lrk_json_get(c, "ids_with_special");
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

/* Streams give what decoding gives; the offsets of tokens cut the text into their bytes. */
static void streams_and_offsets(void **state)
{
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        lrk_tokenizer *t = open_family(families[f]);
        lrk_json *cases = cases_of(families[f]);
        lrk_ids ids = {.n = 0};
        lrk_buf whole = {.n = 0}, parts = {.n = 0};
        for (size_t i = 0; i < lrk_json_size(cases); i++) {
            size_t n;
            const char *text = lrk_json_string(lrk_json_get(lrk_json_at(cases, i), "text"), &n);
            assert_int_equal(lrk_encode(t, text, n, true, &ids, NULL), LRK_OK);
            whole.n = parts.n = 0;
            lrk_stream stream = {.begun = false};
            for (size_t k = 0; k < ids.n; k++) {
                const size_t end = k + 1 < ids.n ? ids.begin[k + 1] : n;
                assert_true(ids.begin[k] <= end && end <= n);
                assert_int_equal(lrk_stream_push(t, &stream, ids.id[k], true, &parts, NULL),
                                 LRK_OK);
                if (strncmp(families[f], "llama", 5) != 0 || lrk_token_is_added(t, ids.id[k]))
                    continue;
                lrk_buf bytes = {.n = 0};
                assert_int_equal(lrk_token_bytes(t, ids.id[k], &bytes, NULL), LRK_OK);
                assert_int_equal(bytes.n, end - ids.begin[k]);
                assert_memory_equal(bytes.data, text + ids.begin[k], bytes.n);
                lrk_buf_free(&bytes);
            }
            lrk_stream_end(&stream, &parts);
            assert_int_equal(lrk_decode(t, ids.id, ids.n, true, &whole, NULL), LRK_OK);
            assert_int_equal(whole.n, parts.n);
            if (whole.n) assert_memory_equal(whole.data, parts.data, whole.n);
        }
        lrk_buf_free(&whole);
        lrk_buf_free(&parts);
        lrk_ids_free(&ids);
        lrk_json_free(cases);
        lrk_tokenizer_free(t);
    }
}

/* A character that comes in several tokens is held back, and no longer than needed. */
static void stream_holds_back(void **state)
{
    (void)state;
    lrk_tokenizer *t = open_family("llama");
    lrk_ids ids = {.n = 0};
    lrk_buf out = {.n = 0};
    lrk_stream s = {.begun = false};
    assert_int_equal(lrk_encode(t, "\xf0\x9f\xa6\x99", 4, false, &ids, NULL), LRK_OK);
    assert_int_equal(ids.n, 4);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lrk_stream_push(t, &s, ids.id[i], false, &out, NULL), LRK_OK);
        assert_int_equal(out.n, 0);
    }
    lrk_stream cut = s;
    assert_int_equal(lrk_stream_push(t, &s, ids.id[3], false, &out, NULL), LRK_OK);
    assert_string_equal(out.data, "\xf0\x9f\xa6\x99");
    out.n = 0;
    lrk_stream_end(&cut, &out);
    assert_string_equal(out.data, "\xef\xbf\xbd");
    out.n = 0;
    cut = (lrk_stream){.begun = false};
    for (int i = 0; i < 2; i++) /* a lead byte twice: the first is known to be broken */
        assert_int_equal(lrk_stream_push(t, &cut, ids.id[0], false, &out, NULL), LRK_OK);
    assert_string_equal(out.data, "\xef\xbf\xbd");
    assert_int_equal(lrk_stream_push(t, &cut, 1u << 30, false, &out, NULL), LRK_EVALUE);
    lrk_buf_free(&out);
    lrk_ids_free(&ids);
    lrk_tokenizer_free(t);
}

/* ---- long pieces against the plain rule ---- */

enum { LONG = 400 };

static size_t find_merge(const lrk_json *merges, const char *left, size_t n, const char *right,
                         size_t m)
{
    for (size_t i = 0; i < lrk_json_size(merges); i++) {
        size_t a, b;
        const char *l = lrk_json_string(lrk_json_at(lrk_json_at(merges, i), 0), &a);
        const char *r = lrk_json_string(lrk_json_at(lrk_json_at(merges, i), 1), &b);
        if (a == n && b == m && memcmp(l, left, n) == 0 && memcmp(r, right, m) == 0) return i;
    }
    return SIZE_MAX;
}

/* Ends of the symbols of s after all merges, by searching the lowest rank again and again. */
static size_t plain_rule(const lrk_json *merges, const char *s, size_t n, size_t *end)
{
    size_t count = n;
    for (size_t i = 0; i < n; i++) end[i] = i + 1;
    for (;;) {
        size_t best = SIZE_MAX, at = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            const size_t begin = i ? end[i - 1] : 0;
            const size_t rank =
                find_merge(merges, s + begin, end[i] - begin, s + end[i], end[i + 1] - end[i]);
            if (rank < best) {
                best = rank;
                at = i;
            }
        }
        if (best == SIZE_MAX) return count;
        memmove(end + at, end + at + 1, (count - at - 1) * sizeof *end);
        count--;
    }
}

static void long_pieces(void **state)
{
    (void)state;
    lrk_json *root = NULL;
    lrk_err err = {.status = LRK_OK};
    assert_int_equal(lrk_json_load(&root, DATA "mistral/tokenizer.json", 16 << 20, &err), LRK_OK);
    lrk_json_set(root, "normalizer", lrk_json_new_null());
    lrk_buf text = {.n = 0};
    assert_int_equal(lrk_json_dump(root, 0, &text, NULL), LRK_OK);
    lrk_tokenizer *t = NULL;
    assert_int_equal(lrk_tokenizer_parse(&t, text.data, text.n, "x", &err), LRK_OK);
    const lrk_json *merges = lrk_json_get(lrk_json_get(root, "model"), "merges");
    uint32_t seed = 1;
    char s[LONG];
    size_t end[LONG];
    lrk_ids ids = {.n = 0};
    for (size_t round = 0; round < 60; round++) {
        const size_t n = 30 + round % 40; /* both sides of the change from scan to heap */
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            s[i] = "ethsanrio"[(seed >> 24) % 9];
        }
        const size_t count = plain_rule(merges, s, n, end);
        assert_int_equal(lrk_encode(t, s, n, false, &ids, NULL), LRK_OK);
        assert_int_equal(ids.n, count);
        for (size_t i = 1; i < count; i++) assert_int_equal(ids.begin[i], end[i - 1]);
    }
    lrk_ids_free(&ids);
    lrk_buf_free(&text);
    lrk_json_free(root);
    lrk_tokenizer_free(t);
}

static lrk_tokenizer *parse(const char *text)
{
    lrk_tokenizer *t = NULL;
    lrk_err err = {.status = LRK_OK};
    if (lrk_tokenizer_parse(&t, text, strlen(text), "x", &err) != LRK_OK) fail_msg("%s", err.text);
    return t;
}

/* When b c has merged, a b is gone: "a bc" must wait for its own turn, which "bc d" comes before.
 */
static void stale_pairs(void **state)
{
    (void)state;
    lrk_tokenizer *t =
        parse("{\"decoder\": {\"type\": \"Fuse\"}, \"model\": {\"type\": \"BPE\", "
              "\"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"d\": 3, \"bc\": 4, \"ab\": 5, "
              "\"bcd\": 6, \"abc\": 7}, "
              "\"merges\": [\"b c\", \"a b\", \"bc d\", \"a bc\"]}}");
    char s[4 * 60];
    lrk_ids ids = {.n = 0};
    for (size_t times = 1; times <= 60; times++) {
        for (size_t i = 0; i < times; i++) memcpy(s + 4 * i, "abcd", 4);
        assert_int_equal(lrk_encode(t, s, 4 * times, false, &ids, NULL), LRK_OK);
        assert_int_equal(ids.n, 2 * times);
        for (size_t i = 0; i < ids.n; i++) assert_int_equal(ids.id[i], i % 2 ? 6 : 0);
    }
    lrk_ids_free(&ids);
    lrk_tokenizer_free(t);
}

/* Longest first, blanks swallowed, whole words only, before and behind the normalizer. The ids are
 * the reference's. */
static void added_tokens(void **state)
{
    static const struct {
        const char *text;
        uint32_t ids[6];
        size_t n;
    } cases[] = {
        {"abcd", {10, 3}, 2},
        {"ab cd", {9, 6, 2, 3}, 4},
        {"d  <l> a", {3, 11, 6, 0}, 4},
        {"d <r>  <l>a", {3, 6, 12, 11, 0}, 5},
        {"a<w>", {0}, 1}, /* characters without a token vanish, there as here */
        {"a <w>b <w>", {0, 6, 1, 6, 13}, 5},
        {"<w>", {13}, 1},
        {"<w><w>", {13, 13}, 2},
        {"de\xcc\x81"
         "a\xc3\xa9",
         {3, 14, 0, 14},
         4},
        {"ddd", {8, 3}, 2},
    };
    (void)state;
    lrk_tokenizer *t = parse(
        "{\"added_tokens\": [{\"id\": 9, \"content\": \"ab\"}, {\"id\": 10, \"content\": \"abc\"}, "
        "{\"id\": 11, \"content\": \"<l>\", \"lstrip\": true}, "
        "{\"id\": 12, \"content\": \"<r>\", \"rstrip\": true}, "
        "{\"id\": 13, \"content\": \"<w>\", \"single_word\": true}, "
        "{\"id\": 14, \"content\": \"e\\u0301\", \"normalized\": true}], "
        "\"normalizer\": {\"type\": \"NFC\"}, \"decoder\": {\"type\": \"Fuse\"}, "
        "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"d\": 3, "
        "\"bc\": 4, "
        "\"bcd\": 5, \" \": 6, \"e\": 7, \"dd\": 8}, \"merges\": [\"b c\", \"d d\", \"bc d\"]}}");
    lrk_ids ids = {.n = 0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(lrk_encode(t, cases[i].text, strlen(cases[i].text), false, &ids, NULL),
                         LRK_OK);
        assert_int_equal(ids.n, cases[i].n);
        assert_memory_equal(ids.id, cases[i].ids, ids.n * sizeof *ids.id);
    }
    lrk_ids_free(&ids);
    lrk_tokenizer_free(t);
}

/* A lot of one thing, in every family: quadratic work would not end. */
static void hostile_texts(void **state)
{
    static const char *const units[] = {
        "a", " ", " \n", "<|", "e\xcc\x81\xcc\xa3", "\xcc\xa3\xcc\x81", "A\xc2\xaa"};
    enum { SIZE = 1 << 18 };
    (void)state;
    char *s = lrk_heap_alloc(SIZE, 1);
    lrk_ids ids = {.n = 0};
    for (int f = 0; f < FAMILIES; f++) {
        lrk_tokenizer *t = open_family(families[f]);
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            const size_t n = strlen(units[u]);
            for (size_t i = 0; i + n <= SIZE; i += n) memcpy(s + i, units[u], n);
            assert_int_equal(lrk_encode(t, s, SIZE / n * n, false, &ids, NULL), LRK_OK);
            assert_true(ids.n > 1000);
        }
        lrk_tokenizer_free(t);
    }
    lrk_ids_free(&ids);
    lrk_heap_free(s);
}

/* ---- what is refused ---- */

/* The llama tokenizer with `from` replaced by `to`, or NULL where `from` is not in it. */
static char *changed(const char *from, const char *to, lrk_buf *b)
{
    lrk_arena a = lrk_arena_growing("test");
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(lrk_file_read(&a, DATA "llama/tokenizer.json", 1 << 20, &text, &n, NULL),
                     LRK_OK);
    const char *at = strstr(text, from);
    b->n = 0;
    if (at) {
        lrk_buf_append(b, text, (size_t)(at - text));
        lrk_buf_puts(b, to);
        lrk_buf_puts(b, at + strlen(from));
    }
    lrk_arena_free(&a);
    return at ? b->data : NULL;
}

static void refused(void **state)
{
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"\"normalizer\": null", "\"normalizer\": {\"type\": \"Nmt\"}", "normalizer.type: 'Nmt'"},
        {"\"normalizer\": null",
         "\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \" +\"}, \"content\": "
         "\"\"}",
         "' +' is not known"},
        {"\\\\p{N}{1,3}", "\\\\p{N}{1,4}", "pre_tokenizer: the pattern '(?i:'s"},
        {"\"Isolated\"", "\"Odd\"", "behavior 'Odd' is not known"},
        {"\"type\": \"Split\"", "\"type\": \"UnicodeScripts\"",
         "pre_tokenizer.type: 'UnicodeScripts'"},
        {"\"type\": \"Split\"", "\"type\": \"Split\", \"odd\": 1", "pre_tokenizer.odd"},
        {"\"type\": \"TemplateProcessing\"", "\"type\": \"Odd\"", "post_processor.type: 'Odd'"},
        {"\"type\": \"BPE\"", "\"type\": \"WordPiece\"", "model.type: 'WordPiece'"},
        {"\"type\": \"BPE\"", "\"type\": \"Unigram\"", "model.vocab: missing, or not an array"},
        {"\"dropout\": null", "\"dropout\": 0.1", "model.dropout"},
        {"\"unk_token\": null", "\"unk_token\": \"nothing\"", "model.unk_token: 'nothing'"},
        {"\"version\": \"1.0\"", "\"version\": \"1.0\", \"more\": 1", "tokenizer.more"},
        {"\"id\": 377", "\"id\": 378",
         "added_tokens[1]: '<|end_of_text|>' has id 378, expected 377"},
        {"\"content\": \"<|end_of_text|>\"", "\"content\": \"<|begin_of_text|>\"",
         "ids 376 and 377 are both '<|begin_of_text|>'"},
        {"\"content\": \"<|end_of_text|>\"", "\"content\": \"a\"", "in model.vocab it has"},
        {"\"content\": \"<|end_of_text|>\"", "\"content\": \"\"", "has 0 bytes"},
        {"\"merges\": [", "\"merges\": [[\"h\", \"zzz\"],", "merge 0 needs the token 'zzz'"},
        {"\"merges\": [", "\"merges\": [\"h e l\",", "merge 0 is neither"},
        {"\"merges\": [", "\"merges\": [\"h !\",", "merge 0 needs the token 'h!'"},
        {"\"!\": 0", "\"!\": 1", "have the same id 1"},
        {"\"!\": 0", "\"!\": 5000", "leave no gap"},
        {"\"!\": 0", "\"!\": -1", "not a number from 0 on"},
    };
    (void)state;
    lrk_buf b = {.n = 0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lrk_err err = {.status = LRK_OK};
        lrk_tokenizer *t = NULL;
        assert_non_null(changed(cases[i].from, cases[i].to, &b));
        const lrk_status status = lrk_tokenizer_parse(&t, b.data, b.n, "t.json", &err);
        if (!strstr(err.text, cases[i].message) || strncmp(err.text, "t.json: ", 8) != 0)
            fail_msg("%s: '%s'", cases[i].to, err.text);
        assert_int_equal(lrk_exit_code(status), 3);
        assert_null(t);
    }
    lrk_buf_free(&b);
}

static void bad_text(void **state)
{
    (void)state;
    lrk_tokenizer *t = open_family("llama");
    lrk_ids ids = {.n = 0};
    lrk_err err = {.status = LRK_OK};
    assert_int_equal(lrk_encode(t, "ab\xff", 3, false, &ids, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "byte 2 (0xff)"));
    assert_int_equal(lrk_encode(t, NULL, 0, true, &ids, NULL), LRK_OK);
    assert_int_equal(ids.n, 1);
    lrk_ids_free(&ids);
    lrk_tokenizer_free(t);
}

/* ---- what it knows, and vocabularies ---- */

static void accessors(void **state)
{
    (void)state;
    lrk_tokenizer *t = open_family("llama");
    size_t n;
    const uint32_t *ends = lrk_tokenizer_ends(t, &n);
    assert_int_equal(n, 3); /* <|end_of_text|>, <|eot_id|>, <|im_end|> */
    assert_int_equal(ends[1], lrk_tokenizer_special(t, LRK_TOKEN_EOS));
    assert_string_equal(lrk_tokenizer_end_texts(t, &n)[1], "<|eot_id|>");
    assert_true(lrk_token_is_end(t, ends[0]) && lrk_token_is_special(t, ends[0]));
    assert_string_equal(lrk_tokenizer_special_texts(t, &n)[0], "<|finetune_right_pad_id|>");
    assert_int_equal(n, 8);
    assert_true(lrk_tokenizer_adds_bos(t) && !lrk_tokenizer_adds_eos(t));
    assert_int_equal(lrk_tokenizer_size(t), 384);
    assert_int_equal(lrk_token_id(t, "nothing", 7), LRK_NO_ID);
    assert_null(lrk_token_text(t, 384, &n));
    assert_non_null(strstr(lrk_tokenizer_chat_template(t), "<|start_header_id|>"));
    assert_int_equal(strlen(lrk_tokenizer_sha256(t)), 64);
    lrk_tokenizer_free(t);
}

enum { BYTES = 256, TOKENS = BYTES + 3 };

/* All bytes, "ab", and two special tokens. */
static void small_vocab(lrk_vocab *v, lrk_piece tokens[TOKENS], int32_t types[TOKENS],
                        char pool[3 * BYTES])
{
    static const lrk_piece merges[] = {{"a b", 3}};
    size_t used = 0;
    for (unsigned b = 0, other = 256; b < BYTES; b++) {
        const bool itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        const unsigned c = itself ? b : other++;
        tokens[b] = (lrk_piece){pool + used, c < 128 ? 1 : 2};
        if (c >= 128) pool[used++] = (char)(0xc0 | c >> 6);
        pool[used++] = (char)(c < 128 ? c : 0x80 | (c & 63));
        types[b] = 1;
    }
    tokens[BYTES] = (lrk_piece){"ab", 2};
    tokens[BYTES + 1] = (lrk_piece){"<s>", 3};
    tokens[BYTES + 2] = (lrk_piece){"<|im_end|>", 10};
    types[BYTES] = 1;
    types[BYTES + 1] = types[BYTES + 2] = 3;
    *v = (lrk_vocab){.where = "v.gguf",
                     .model = "gpt2",
                     .pre = "llama-bpe",
                     .tokens = tokens,
                     .types = types,
                     .n_tokens = TOKENS,
                     .merges = merges,
                     .n_merges = 1,
                     .bos = BYTES + 1,
                     .eos = BYTES + 2,
                     .eot = -1,
                     .eom = -1,
                     .unk = -1,
                     .pad = -1,
                     .add_bos = -1,
                     .add_eos = 1};
}

static void vocab_refused(lrk_vocab v, const char *message)
{
    lrk_err err = {.status = LRK_OK};
    lrk_tokenizer *t = NULL;
    assert_int_not_equal(lrk_tokenizer_from_vocab(&t, &v, &err), LRK_OK);
    if (!strstr(err.text, message)) fail_msg("'%s' is not in '%s'", message, err.text);
    assert_null(t);
}

static void vocabularies(void **state)
{
    (void)state;
    lrk_vocab v;
    lrk_piece tokens[TOKENS];
    int32_t types[TOKENS];
    char pool[3 * BYTES];
    lrk_tokenizer *t = NULL;
    lrk_ids ids = {.n = 0};
    lrk_err err = {.status = LRK_OK};
    small_vocab(&v, tokens, types, pool);
    if (lrk_tokenizer_from_vocab(&t, &v, &err) != LRK_OK) fail_msg("%s", err.text);
    assert_int_equal(lrk_encode(t, "ab <|im_end|>", 13, true, &ids, NULL), LRK_OK);
    const uint32_t want[] = {BYTES + 1, BYTES, ' ', BYTES + 2, BYTES + 2};
    assert_int_equal(ids.n, 5);
    assert_memory_equal(ids.id, want, sizeof want);
    assert_int_equal(ids.begin[3], 3);
    assert_int_equal(ids.begin[4], 13);
    lrk_ids_free(&ids);
    lrk_tokenizer_free(t);

    lrk_vocab w = v;
    w.model = "bert";
    vocab_refused(w, "v.gguf: tokenizer.ggml.model 'bert' is not known");
    w = v, w.model = "llama";
    vocab_refused(w, "tokenizer.ggml.scores is missing");
    w = v, w.pre = "default";
    vocab_refused(w, "tokenizer.ggml.pre 'default' is not known; known are gpt-2, ");
    w = v, w.eos = TOKENS;
    vocab_refused(w, "tokenizer.ggml.eos_token_id: 259 is outside the vocabulary of 259");
    w = v, w.bos = LRK_NO_ID;
    vocab_refused(w, "bos_token_id is missing");
    w = v, w.merges = (const lrk_piece[]){{"ab", 2}};
    vocab_refused(w, "merge 0 is not two tokens");
    w = v, w.merges = (const lrk_piece[]){{"b a", 3}};
    vocab_refused(w, "needs the token 'ba'");
    types[3] = 7;
    vocab_refused(v, "token 3 has type 7");
    types[3] = 1;
    tokens[5] = tokens[4];
    vocab_refused(v, "ids 4 and 5 are both");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(streams_and_offsets),
        cmocka_unit_test(stream_holds_back),
        cmocka_unit_test(long_pieces),
        cmocka_unit_test(stale_pairs),
        cmocka_unit_test(added_tokens),
        cmocka_unit_test(hostile_texts),
        cmocka_unit_test(refused),
        cmocka_unit_test(bad_text),
        cmocka_unit_test(accessors),
        cmocka_unit_test(vocabularies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
