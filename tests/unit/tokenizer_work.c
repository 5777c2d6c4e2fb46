/* tests/unit/tokenizer_work.c -- the work of a tokenizer grows with the text as n log n at most, whatever the text.
 *
 * The tokenizer is compiled for this program so that each basic block it enters calls us: the blocks are counted for
 * a text of one thing over and over, and for twice as much of it. That is no measurement: the counts are always the
 * same. n log n is 2 (1 + 1 / log2 n) times as much, n squared 4 times. What the C library does in a call is not seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "data/tokenizer/splittings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SMALL LRK_SOURCE_DIR "/tests/unit/data/tokenizers.json"
#define GOLDEN LRK_SOURCE_DIR "/tests/golden/data/"

void __sanitizer_cov_trace_pc(void);

static uint64_t blocks;
void __sanitizer_cov_trace_pc(void) { blocks++; }

static const char *const units[] = {
    "a", "A", "Ab", "ab", "1", " ", "\n", " \n", "\r\n", "\t ", ".", "'", "'s", " 's", "a ",
    "aA1. \n", "<", "<|", "<|im_end|", "</s", "\xe2\x96\x81", "e\xcc\x81\xcc\xa3",
    "\xcc\xa3\xcc\x81", "\xcc\x81", "A\xc2\xaa", "\xe4\xb8\xad", "\xe3\x81\x8b\xe3\x82\x99",
    "\xf0\x9f\x99\x82\xe2\x80\x8d", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xc2\xa0",
    "\xe3\x80\x80", "\x01", "[UNK]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"};
enum { UNITS = sizeof units / sizeof *units, BYTES = 1 << 11 };

static uint64_t work(const lrk_tokenizer *t, const char *text, size_t n, lrk_ids *ids)
{
    lrk_err err = {.status = LRK_OK};
    lrk_buf back = {.n = 0};
    blocks = 0;
    if (lrk_encode(t, text, n, true, ids, &err) != LRK_OK) fail_msg("%s", err.text);
    if (lrk_decode(t, ids->id, ids->n, false, &back, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_buf_free(&back);
    return blocks;
}

static double worst;

/* `tail` behind it: a run of blanks that something ends is another thing to patterns. */
static double growth(const lrk_tokenizer *t, const char *unit, const char *tail, uint64_t *once)
{
    static char text[2 * BYTES + 2];
    lrk_ids ids = {.n = 0};
    const size_t n = strlen(unit), times = BYTES / n, end = strlen(tail);
    uint64_t blocks_of[3];
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < k * times; i++) memcpy(text + i * n, unit, n);
        memcpy(text + k * times * n, tail, end);
        (void)work(t, text, k ? n : end, &ids); /* what is found out once is found out */
        blocks_of[k] = work(t, text, k * times * n + end, &ids);
    }
    lrk_ids_free(&ids);
    *once = blocks_of[1] - blocks_of[0];
    return (double)(blocks_of[2] - blocks_of[0]) / (double)*once;
}

static void grows_with_the_text(const lrk_tokenizer *t, const char *name)
{
    for (size_t u = 0; u < 2 * UNITS; u++) {
        const char *unit = units[u / 2], *tail = u % 2 ? "x" : "";
        const bool blank = strchr(" \t\r\n\xc2\xe3", unit[0]) != NULL;
        uint64_t once;
        if (*tail && !blank) continue;
        const double ratio = growth(t, unit, tail, &once);
        if (ratio > worst) worst = ratio;
        if (ratio > 2.0 * (1.0 + 1.0 / log2((double)BYTES)) * 1.05)
            fail_msg("%s: '%s' twice as often, then '%s': %.3f times the work of %llu blocks", name, unit, tail, ratio,
                     (unsigned long long)once);
    }
}

static void golden(void **state)
{
    static const char *const names[] = {"llama", "qwen2", "mistral", "gemma2"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[400];
        lrk_tokenizer *t = NULL;
        lrk_err err = {.status = LRK_OK};
        snprintf(path, sizeof path, GOLDEN "%s/tokenizer.json", names[i]);
        if (lrk_tokenizer_from_json(&t, path, &err) != LRK_OK) fail_msg("%s", err.text);
        grows_with_the_text(t, names[i]);
        lrk_tokenizer_free(t);
    }
}

/* The tokenizers of tests/peer/small.py, each with a step of its own. */
static void small(void **state)
{
    (void)state;
    lrk_json *root = NULL;
    lrk_err err = {.status = LRK_OK};
    if (lrk_json_load(&root, SMALL, 16 << 20, &err) != LRK_OK) fail_msg("%s", err.text);
    const lrk_json *list = lrk_json_get(root, "tokenizers");
    for (size_t k = 0; k < lrk_json_size(list); k++) {
        const char *name = lrk_json_string(lrk_json_get(lrk_json_at(list, k), "name"), NULL);
        lrk_buf text = {.n = 0};
        lrk_tokenizer *t = NULL;
        assert_int_equal(lrk_json_dump(lrk_json_get(lrk_json_at(list, k), "tokenizer"), 0, &text, &err), LRK_OK);
        if (lrk_tokenizer_parse(&t, text.data, text.n, name, &err) != LRK_OK) fail_msg("%s", err.text);
        grows_with_the_text(t, name);
        lrk_tokenizer_free(t);
        lrk_buf_free(&text);
    }
    assert_true(blocks > 0 && lrk_json_size(list) > 40);
    lrk_json_free(root);
}

static bool seen_before(size_t i)
{
    const lrk_splitting *s = lrk_splitting_at(i);
    for (size_t k = 0; k < i; k++)
        if (lrk_splitting_at(k)->n == s->n && memcmp(lrk_splitting_at(k)->split, s->split, sizeof s->split) == 0)
            return true;
    return false;
}

/* Every way to split that GGUF has a name for, around bytes and a few merges. */
static void named(void **state)
{
    enum { TOKENS = 256 + 4, MERGES = 4 };
    static const char *const merges[MERGES] = {"a a", "a b", "\xc4\xa0 \xc4\xa0", "\xc4\xa0 a"};
    static const char *const merged[MERGES] = {"aa", "ab", "\xc4\xa0\xc4\xa0", ("\xc4\xa0" "a")};
    static char letter[256][3];
    lrk_piece token[TOKENS], merge[MERGES];
    size_t tried = 0;
    (void)state;
    for (size_t b = 0; b < 256; b++) {
        const uint32_t c = lrk_alphabet_point((unsigned char)b);
        letter[b][0] = (char)(c < 128 ? c : 0xc0 | c >> 6);
        letter[b][1] = (char)(c < 128 ? 0 : 0x80 | (c & 63));
        token[b] = (lrk_piece){letter[b], strlen(letter[b])};
    }
    for (size_t i = 0; i < MERGES; i++) {
        merge[i] = (lrk_piece){merges[i], strlen(merges[i])};
        token[256 + i] = (lrk_piece){merged[i], strlen(merged[i])};
    }
    for (size_t i = 0; lrk_splitting_at(i); i++) {
        lrk_vocab v = {.where = "made", .model = "gpt2", .pre = lrk_splitting_at(i)->name, .tokens = token,
                       .n_tokens = TOKENS, .merges = merge, .n_merges = MERGES, .bos = LRK_NO_ID, .eos = LRK_NO_ID,
                       .eot = LRK_NO_ID, .eom = LRK_NO_ID, .unk = LRK_NO_ID, .pad = LRK_NO_ID,
                       .add_space_prefix = -1, .remove_extra_whitespaces = -1};
        lrk_tokenizer *t = NULL;
        lrk_err err = {.status = LRK_OK};
        if (seen_before(i)) continue;
        if (lrk_tokenizer_from_vocab(&t, &v, &err) != LRK_OK) fail_msg("%s", err.text);
        grows_with_the_text(t, v.pre);
        lrk_tokenizer_free(t);
        tried++;
    }
    print_message("%zu ways to split; at most %.3f times the work\n", tried, worst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden), cmocka_unit_test(small), cmocka_unit_test(named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
