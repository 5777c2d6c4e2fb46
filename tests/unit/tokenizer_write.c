/* tests/unit/tokenizer_write.c -- tokenizers written as tokenizer.json and as GGUF metadata, and
 * read again: the same ids and texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "generate/model_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL LRK_SOURCE_DIR "/tests/unit/data/tokenizers.json"
#define GOLDEN LRK_SOURCE_DIR "/tests/golden/data/"

static const char *const texts[] = {
    "",
    " ",
    "  two  blanks  ",
    "The quick brown fox; it's 1234 o'clock!\n\n\tNEXT",
    "na\xc3\xafve caf\xc3\xa9 e\xcc\x81 \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x99\x82 \xe2\x96\x81x",
    "<s>a</s> b<|im_start|>user\nhi<|im_end|><tool><start_of_turn>model<eos> c<unk>",
    "aaaa abab abba baba the theme",
};
enum { TEXTS = sizeof texts / sizeof *texts };

/* skips: special tokens are left out alike. GGUF marks some as special that JSON does not. */
static void same_ids(const lrk_tokenizer *a, const lrk_tokenizer *b, const char *text,
                     const char *what, bool skips)
{
    lrk_ids x = {.n = 0}, y = {.n = 0};
    lrk_buf s = {.n = 0}, u = {.n = 0};
    for (int special = 0; special < 2; special++) {
        assert_int_equal(lrk_encode(a, text, strlen(text), special, &x, NULL), LRK_OK);
        assert_int_equal(lrk_encode(b, text, strlen(text), special, &y, NULL), LRK_OK);
        if (x.n != y.n || (x.n && memcmp(x.id, y.id, x.n * sizeof *x.id) != 0))
            fail_msg("%s: other ids of '%s'", what, text);
        s.n = u.n = 0;
        assert_int_equal(lrk_decode(a, x.id, x.n, special && skips, &s, NULL), LRK_OK);
        assert_int_equal(lrk_decode(b, x.id, x.n, special && skips, &u, NULL), LRK_OK);
        if (s.n != u.n || (s.n && memcmp(s.data, u.data, s.n) != 0))
            fail_msg("%s: another text of '%s'", what, text);
    }
    lrk_ids_free(&x);
    lrk_ids_free(&y);
    lrk_buf_free(&s);
    lrk_buf_free(&u);
}

static void same(const lrk_tokenizer *a, const lrk_tokenizer *b, const char *what, bool skips)
{
    assert_true(lrk_tokenizer_size(a) <= lrk_tokenizer_size(b));
    for (int i = 0; i < TEXTS; i++) same_ids(a, b, texts[i], what, skips);
    for (uint32_t id = 0; id < lrk_tokenizer_size(a); id++) { /* each token's own text */
        const char *s = lrk_token_text(a, id, NULL);
        if (s) same_ids(a, b, s, what, skips);
    }
}

/* As JSON and back; NULL where JSON has no spelling for it. */
static lrk_tokenizer *by_json(const lrk_tokenizer *t, const char *what)
{
    lrk_buf b = {.n = 0};
    lrk_tokenizer *back = NULL;
    lrk_err err = {.status = LRK_OK};
    const lrk_status s = lrk_tokenizer_to_json(t, &b, &err);
    if (s == LRK_ESUPPORT)
        assert_non_null(strstr(err.text, "tokenizer.json cannot be written: "));
    else if (s != LRK_OK || lrk_tokenizer_parse(&back, b.data, b.n, what, &err) != LRK_OK)
        fail_msg("%s: %s", what, err.text);
    lrk_buf_free(&b);
    return back;
}

/* As GGUF metadata and back; NULL: GGUF has no place for it. */
static lrk_tokenizer *by_vocab(const lrk_tokenizer *t, size_t rows, const char *what,
                               char model[16])
{
    lrk_arena a = lrk_arena_growing("vocab");
    lrk_vocab v;
    lrk_tokenizer *back = NULL;
    lrk_err err = {.status = LRK_OK};
    const lrk_status s = lrk_tokenizer_to_vocab(t, rows, &a, &v, &err);
    if (s == LRK_ESUPPORT) {
        assert_non_null(strstr(err.text, "GGUF has no place for this tokenizer: "));
    } else {
        v.where = what;
        if (s == LRK_OK) snprintf(model, 16, "%s", v.model);
        if (s != LRK_OK || lrk_tokenizer_from_vocab(&back, &v, &err) != LRK_OK)
            fail_msg("%s: %s", what, err.text);
    }
    lrk_arena_free(&a);
    return back;
}

/* model: what GGUF calls it, "" where it has no place for it; NULL: nobody knows. */
static void there_and_back(const lrk_tokenizer *t, const char *what, const char *model)
{
    char found[16] = "";
    lrk_tokenizer *json = by_json(t, what);
    assert_true(json || !model);
    if (json) same(t, json, what, true);
    lrk_tokenizer_free(json);
    lrk_tokenizer *vocab = by_vocab(t, lrk_tokenizer_size(t) + 5, what, found);
    if (model) assert_string_equal(found, model);
    if (!vocab) return;
    same(t, vocab, what, false);
    json = by_json(vocab, what); /* rows without a token are left out again */
    if (json) {
        assert_int_equal(lrk_tokenizer_size(json), lrk_tokenizer_size(t));
        same(t, json, what, false);
    }
    lrk_tokenizer_free(json);
    lrk_tokenizer_free(vocab);
}

static void golden(void **state)
{
    (void)state;
    const struct {
        const char *name, *model;
    } cases[] = {{"llama", "gpt2"},
                 {"qwen2", "gpt2"},
                 {"qwen3", "gpt2"},
                 {"mistral", ""}, /* trained merges and a prefix */
                 {"gemma2", "gemma4"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[400];
        lrk_tokenizer *t = NULL;
        lrk_err err = {.status = LRK_OK};
        snprintf(path, sizeof path, GOLDEN "%s/tokenizer.json", cases[i].name);
        if (lrk_tokenizer_from_json(&t, path, &err) != LRK_OK) fail_msg("%s", err.text);
        there_and_back(t, cases[i].name, cases[i].model);
        lrk_tokenizer_free(t);
    }
}

/* A golden tokenizer with `from` written as `to`. */
static lrk_tokenizer *altered(const char *name, const char *const *from_to)
{
    char path[400], *text;
    size_t n;
    lrk_arena a = lrk_arena_growing("altered");
    lrk_buf b = {.n = 0};
    lrk_tokenizer *t = NULL;
    lrk_err err = {.status = LRK_OK};
    snprintf(path, sizeof path, GOLDEN "%s/tokenizer.json", name);
    assert_int_equal(lrk_file_read(&a, path, 16 << 20, &text, &n, &err), LRK_OK);
    const char *rest = text;
    for (; *from_to; from_to += 2) { /* in the order of the file */
        const char *at = strstr(rest, from_to[0]);
        assert_non_null(at);
        lrk_buf_append(&b, rest, (size_t)(at - rest));
        lrk_buf_puts(&b, from_to[1]);
        rest = at + strlen(from_to[0]);
    }
    lrk_buf_puts(&b, rest);
    if (lrk_tokenizer_parse(&t, b.data, b.n, name, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_buf_free(&b);
    lrk_arena_free(&a);
    return t;
}

/* What is spelled otherwise than a name of GGUF and means the same is written under that name, what means something
 * else is refused. */
static void spelled_otherwise(void **state)
{
    (void)state;
    static const char isolated[] = "\"behavior\": \"Isolated\",\n    \"invert\": false";
    static const char plain[] = "\"ignore_merges\": false", ignored[] = "\"ignore_merges\": true";
    static const char first_merge[] = "\"merges\": [\n   [\n    \"h\",\n    \"e\"\n   ],";
    const struct {
        const char *name, *from_to[5], *refusal; /* NULL: the same ids as before */
    } cases[] = {
        {"llama", {isolated, "\"behavior\": \"Removed\",\n    \"invert\": true"}, NULL},
        {"llama", {isolated, "\"behavior\": \"Removed\",\n    \"invert\": false"}, "its pre_tokenizer has no name"},
        {"llama", {"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFKC\"}"}, "its normalizer has no name"},
        {"qwen2", {plain, ignored}, NULL},
        {"qwen2", {plain, ignored, first_merge, "\"merges\": ["}, "what its ignore_merges changes"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lrk_arena a = lrk_arena_growing("vocab");
        lrk_vocab v;
        lrk_err err = {.status = LRK_OK};
        lrk_tokenizer *t = altered(cases[i].name, cases[i].from_to);
        if (!cases[i].refusal) {
            lrk_tokenizer *as_it_was = altered(cases[i].name, &(const char *){NULL});
            there_and_back(t, cases[i].name, "gpt2");
            same(t, as_it_was, cases[i].name, true);
            lrk_tokenizer_free(as_it_was);
        } else {
            assert_int_equal(lrk_tokenizer_to_vocab(t, lrk_tokenizer_size(t), &a, &v, &err), LRK_ESUPPORT);
            assert_non_null(strstr(err.text, cases[i].refusal));
        }
        lrk_tokenizer_free(t);
        lrk_arena_free(&a);
    }
}

/* The tokenizers of tests/peer/small.py, each with a step of its own. */
static void small(void **state)
{
    (void)state;
    lrk_json *root = NULL;
    size_t to_json = 0, to_vocab = 0;
    lrk_err err = {.status = LRK_OK};
    if (lrk_json_load(&root, SMALL, 16 << 20, &err) != LRK_OK) fail_msg("%s", err.text);
    const lrk_json *list = lrk_json_get(root, "tokenizers");
    for (size_t k = 0; k < lrk_json_size(list); k++) {
        const char *name = lrk_json_string(lrk_json_get(lrk_json_at(list, k), "name"), NULL);
        char model[16];
        lrk_buf text = {.n = 0};
        lrk_tokenizer *t = NULL;
        assert_int_equal(
            lrk_json_dump(lrk_json_get(lrk_json_at(list, k), "tokenizer"), 0, &text, &err), LRK_OK);
        assert_int_equal(lrk_tokenizer_parse(&t, text.data, text.n, name, &err), LRK_OK);
        lrk_tokenizer *json = by_json(t, name);
        if (json) same(t, json, name, true);
        to_json += json != NULL;
        lrk_tokenizer_free(json);
        lrk_tokenizer *back =
            lrk_tokenizer_swallowing(t) ? NULL : by_vocab(t, lrk_tokenizer_size(t), name, model);
        if (back) {
            same(t, back, name, false);
            to_vocab++;
        }
        lrk_tokenizer_free(back);
        lrk_tokenizer_free(t);
        lrk_buf_free(&text);
    }
    print_message("%zu tokenizers, %zu written as JSON, %zu as GGUF\n", lrk_json_size(list),
                  to_json, to_vocab);
    assert_true(to_json > 40 && to_vocab > 5);
    lrk_json_free(root);
}

#define META "\xe2\x96\x81"

/* A vocabulary of SentencePiece: bytes, and tokens with scores. */
typedef struct vocabulary {
    lrk_piece token[300];
    int32_t type[300];
    float score[300];
    char byte[256][8];
    size_t n;
} vocabulary;

static void put(vocabulary *v, const char *s, int32_t type, float score)
{
    v->token[v->n] = (lrk_piece){s, strlen(s)};
    v->type[v->n] = type;
    v->score[v->n++] = score;
}

static void fill(vocabulary *v)
{
    static const char *const words[] = {META, "a",      "b",      "t",       "h",        "e",
                                        "th", META "t", "the",    META "th", META "the", "ab",
                                        "ba", "aa",     META "a", "abab"};
    v->n = 0;
    put(v, "<unk>", 2, 0);
    put(v, "<s>", 3, 0);
    put(v, "</s>", 3, 0);
    for (int b = 0; b < 256; b++) {
        snprintf(v->byte[b], 8, "<0x%02X>", b);
        put(v, v->byte[b], 6, 0);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        put(v, words[i], 1, -(float)i - 1 + (i > 8 ? 3.5f : 0)); /* not in the order of ids */
    put(v, "<tool>", 4, 0);
}

static void sentencepiece(void **state)
{
    (void)state;
    vocabulary list;
    fill(&list);
    for (int prefix = 0; prefix < 3; prefix++) {
        lrk_vocab v = {.where = "made",
                       .model = "llama",
                       .pre = "default",
                       .tokens = list.token,
                       .types = list.type,
                       .n_tokens = list.n,
                       .scores = list.score,
                       .bos = 1,
                       .eos = 2,
                       .eot = LRK_NO_ID,
                       .eom = LRK_NO_ID,
                       .unk = 0,
                       .pad = LRK_NO_ID,
                       .add_bos = 1,
                       .add_eos = 0,
                       .add_space_prefix = prefix != 0,
                       .prefix_first = prefix == 2,
                       .remove_extra_whitespaces = -1};
        lrk_tokenizer *t = NULL;
        lrk_err err = {.status = LRK_OK};
        if (lrk_tokenizer_from_vocab(&t, &v, &err) != LRK_OK) fail_msg("%s", err.text);
        there_and_back(t, "SentencePiece", "llama");
        /* and from the JSON of it, as published models have it */
        lrk_tokenizer *json = by_json(t, "SentencePiece");
        there_and_back(json, "SentencePiece from JSON", "llama");
        lrk_tokenizer_free(json);
        lrk_tokenizer_free(t);
    }
}

static void unigram(void **state)
{
    (void)state;
    vocabulary list;
    fill(&list);
    for (int prefix = 0; prefix < 2; prefix++) {
        lrk_vocab v = {.where = "made",
                       .model = "t5",
                       .pre = "default",
                       .tokens = list.token,
                       .types = list.type,
                       .n_tokens = list.n,
                       .scores = list.score,
                       .bos = LRK_NO_ID,
                       .eos = 2,
                       .eot = LRK_NO_ID,
                       .eom = LRK_NO_ID,
                       .unk = 0,
                       .pad = LRK_NO_ID,
                       .add_bos = 0,
                       .add_eos = 1,
                       .add_space_prefix = prefix,
                       .remove_extra_whitespaces = 1};
        lrk_tokenizer *t = NULL;
        lrk_err err = {.status = LRK_OK};
        if (lrk_tokenizer_from_vocab(&t, &v, &err) != LRK_OK) fail_msg("%s", err.text);
        there_and_back(t, "Unigram", "t5");
        lrk_tokenizer_free(t);
    }
}

/* Real ones, where LRK_TEXTS names the folder of tests/peer/fetch_texts. */
static void vocabularies(void **state)
{
    (void)state;
    const char *folders = getenv("LRK_TEXTS");
    lrk_arena a = lrk_arena_growing("test");
    char **name, path[600];
    size_t n = 0, tried = 0;
    if (!folders) skip();
    for (int gguf = 0; gguf < 2; gguf++) {
        snprintf(path, sizeof path, "%s%s", folders, gguf ? "/gguf" : "");
        if (lrk_dir_list(&a, path, &name, &n, NULL) != LRK_OK) continue;
        for (size_t i = 0; i < n; i++) {
            lrk_model_text m;
            lrk_err err = {.status = LRK_OK};
            char model[16] = "none";
            snprintf(path, sizeof path, "%s/%s%s", folders, gguf ? "gguf/" : "", name[i]);
            if (lrk_text_open(&m, path, &err) != LRK_OK) continue;
            lrk_tokenizer *back =
                by_vocab(m.tokenizer, lrk_tokenizer_size(m.tokenizer), name[i], model);
            print_message("%s: %s\n", name[i], model);
            lrk_tokenizer_free(back);
            if (!lrk_tokenizer_swallowing(m.tokenizer)) there_and_back(m.tokenizer, name[i], NULL);
            lrk_text_close(&m);
            tried++;
        }
    }
    assert_true(tried > 20);
    lrk_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden), cmocka_unit_test(spelled_otherwise),
                                       cmocka_unit_test(small),
                                       cmocka_unit_test(sentencepiece), cmocka_unit_test(unigram),
                                       cmocka_unit_test(vocabularies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
