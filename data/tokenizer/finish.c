/* data/tokenizer/finish.c -- building a tokenizer: what all loaders share. */
#include "base/file.h"
#include "base/size.h"
#include "data/tokenizer/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_BYTES = 1 << 16 };

lrk_status lrk_tokenizer_new(lrk_tokenizer **out, size_t n_tokens, lrk_err *err)
{
    LRK_REQUIRE(err, n_tokens > 0 && n_tokens <= LRK_MAX_VOCAB, LRK_EINPUT,
                "vocabulary of %zu tokens, expected 1 to %d", n_tokens, LRK_MAX_VOCAB);
    lrk_tokenizer *t = lrk_heap_alloc(1, sizeof *t);
    LRK_REQUIRE(err, t, LRK_ENOMEM, "tokenizer: out of memory");
    *out = t;
    t->arena = lrk_arena_growing("tokenizer");
    t->n = n_tokens;
    t->unk = LRK_NO_ID;
    for (int i = 0; i < LRK_TOKEN_SPECIALS; i++) t->special[i] = LRK_NO_ID;
    lrk_classes_fill(&t->classes);
    LRK_TRY(lrk_alloc(&t->arena, t->n, sizeof *t->text, "token texts", &t->text, err));
    LRK_TRY(lrk_alloc(&t->arena, t->n, 1, "token flags", &t->flags, err));
    return lrk_alloc(&t->arena, t->n, sizeof *t->bytes, "token bytes", &t->bytes, err);
}

void lrk_tokenizer_free(lrk_tokenizer *t)
{
    if (!t) return;
    lrk_arena_free(&t->arena);
    lrk_heap_free(t);
}

lrk_status lrk_tokenizer_copy(lrk_tokenizer *t, const char *s, size_t n, lrk_piece *out,
                              lrk_err *err)
{
    char *to;
    if (n + 1 > POOL_BYTES / 4) {
        LRK_TRY(lrk_alloc(&t->arena, n + 1, 1, "text of a tokenizer", &to, err));
    } else {
        if (n + 1 > t->pool_left) {
            LRK_TRY(lrk_alloc(&t->arena, POOL_BYTES, 1, "texts of a tokenizer", &t->pool, err));
            t->pool_left = POOL_BYTES;
        }
        to = t->pool;
        t->pool += n + 1;
        t->pool_left -= n + 1;
    }
    if (n) memcpy(to, s, n);
    to[n] = '\0';
    *out = (lrk_piece){to, n};
    return LRK_OK;
}

lrk_status lrk_tokenizer_set(lrk_tokenizer *t, size_t id, const char *s, size_t n, const char *key,
                             lrk_err *err)
{
    LRK_REQUIRE(err, n > 0 && n <= LRK_MAX_TOKEN_BYTES, LRK_EINPUT,
                "%s: token %zu has %zu bytes, expected 1 to %d", key, id, n, LRK_MAX_TOKEN_BYTES);
    LRK_REQUIRE(err, lrk_utf8_check(s, n) == n, LRK_EINPUT, "%s: token %zu is not valid UTF-8", key,
                id);
    LRK_REQUIRE(err, id < t->n, LRK_EINPUT,
                "%s: '%.*s' has id %zu, but there are only %zu tokens: ids must leave no gap", key,
                (int)n, s, id, t->n);
    LRK_REQUIRE(err, !t->text[id].data, LRK_EINPUT, "%s: '%.*s' and '%s' have the same id %zu", key,
                (int)n, s, t->text[id].data, id);
    return lrk_tokenizer_copy(t, s, n, &t->text[id], err);
}

lrk_status lrk_tokenizer_index(lrk_tokenizer *t, lrk_err *err)
{
    LRK_TRY(lrk_strings_make(&t->by_text, &t->arena, t->n, t->text, err));
    for (uint32_t id = 0; id < t->n; id++) {
        uint32_t other = id;
        if (t->text[id].data) LRK_TRY(lrk_strings_add(&t->by_text, id, &other, err));
        LRK_REQUIRE(err, other == id, LRK_EINPUT, "vocabulary: ids %u and %u are both '%s'",
                    (unsigned)other, (unsigned)id, t->text[id].data);
    }
    return LRK_OK;
}

lrk_status lrk_tokenizer_complete(const lrk_tokenizer *t, lrk_err *err)
{
    size_t hole = 0;
    while (hole < t->n && t->text[hole].data) hole++;
    for (size_t id = hole; id < t->n; id++)
        LRK_REQUIRE(err, !t->text[id].data || t->flags[id] & LRK_IS_ADDED, LRK_EINPUT,
                    "vocabulary: id %zu is missing, '%s' has id %zu: ids must leave no gap", hole,
                    t->text[id].data, id);
    return LRK_OK;
}

lrk_status lrk_tokenizer_step(lrk_tokenizer *t, lrk_step step, const char *key, lrk_err *err)
{
    LRK_REQUIRE(err, t->n_steps < LRK_MAX_STAGES, LRK_ESUPPORT, "%s: more than %d steps", key,
                LRK_MAX_STAGES);
    if (step.splits && !step.split.literal && step.split.pattern >= LRK_SCANNERS) {
        lrk_regex *regex;
        LRK_TRY(lrk_regex_compile(&regex, &t->arena, lrk_patterns[step.split.pattern].text, err));
        step.split.regex = regex;
    }
    t->step[t->n_steps++] = step;
    return LRK_OK;
}

/* The token with this text, tried first at the ids that follow the one before: vocabularies are in
 * the order of their merges. */
static int64_t find_near(const lrk_tokenizer *t, size_t before, lrk_piece text)
{
    for (size_t id = before; id < before + 2 && id < t->n; id++)
        if (t->text[id].n == text.n && memcmp(t->text[id].data, text.data, text.n) == 0)
            return (int64_t)id;
    return lrk_strings_find(&t->by_text, text.data, text.n);
}

static lrk_status absent(size_t rank, lrk_piece p, const char *key, lrk_err *err)
{
    return lrk_fail(err, LRK_EINPUT,
                    "%s: merge %zu needs the token '%.*s', which the vocabulary does not have", key,
                    rank, (int)lrk_min(p.n, 200), p.data);
}

lrk_status lrk_tokenizer_merges(lrk_tokenizer *t, size_t rank, const lrk_piece *part, size_t n,
                                const char *key, lrk_err *err)
{
    int64_t id[LRK_FIND_MANY];
    size_t made = 0;
    lrk_strings_find_many(&t->by_text, part, 2 * n, id);
    for (size_t i = 0; i < n; i++, rank++) {
        char both[2 * LRK_MAX_TOKEN_BYTES];
        const lrk_piece left = part[2 * i], right = part[2 * i + 1];
        if (id[2 * i] == LRK_NO_ID) return absent(rank, left, key, err);
        if (id[2 * i + 1] == LRK_NO_ID) return absent(rank, right, key, err);
        memcpy(both, left.data, left.n);
        memcpy(both + left.n, right.data, right.n);
        const lrk_piece text = {both, left.n + right.n};
        const int64_t to = find_near(t, made, text);
        if (to == LRK_NO_ID) return absent(rank, text, key, err);
        made = (size_t)to;
        LRK_TRY(lrk_merges_add(&t->merges,
                               (lrk_merge){.left = (uint32_t)id[2 * i],
                                           .right = (uint32_t)id[2 * i + 1],
                                           .rank = (uint32_t)rank,
                                           .id = (uint32_t)to},
                               err));
    }
    return LRK_OK;
}

/* ---- derived ---- */

/* What `text` stands for when spelled in the byte alphabet; other texts stand for themselves. */
static lrk_status alphabet_bytes(lrk_tokenizer *t, lrk_piece text, lrk_piece *out, lrk_err *err)
{
    char bytes[LRK_MAX_TOKEN_BYTES];
    size_t n;
    *out = text;
    if (text.n > sizeof bytes || !lrk_alphabet_decode(text.data, text.n, bytes, &n)) return LRK_OK;
    if (n == text.n && memcmp(bytes, text.data, n) == 0) return LRK_OK;
    return lrk_tokenizer_copy(t, bytes, n, out, err);
}

static lrk_status replaced_bytes(lrk_tokenizer *t, lrk_piece text, lrk_piece *out, lrk_err *err)
{
    *out = text;
    if (!t->decode_from.n || !memmem(text.data, text.n, t->decode_from.data, t->decode_from.n))
        return LRK_OK;
    const lrk_transform f = {
        .kind = LRK_TRANSFORM_REPLACE, .from = t->decode_from, .to = t->decode_to};
    lrk_changed c[2] = {{.capacity = 0}, {.capacity = 0}};
    lrk_mapped m = {.s = text.data, .n = text.n};
    lrk_status status = lrk_transform_run(&f, 1, &m, c, err);
    if (status == LRK_OK) status = lrk_tokenizer_copy(t, m.s, m.n, out, err);
    for (int i = 0; i < 2; i++) {
        lrk_buf_free(&c[i].text);
        lrk_heap_free(c[i].from);
    }
    return status;
}

static lrk_status bytes_of(lrk_tokenizer *t, lrk_piece text, lrk_piece *out, lrk_err *err)
{
    return t->byte_level ? alphabet_bytes(t, text, out, err) : replaced_bytes(t, text, out, err);
}

static lrk_status token_bytes(lrk_tokenizer *t, uint32_t id, lrk_err *err)
{
    const lrk_piece text = t->text[id];
    const int byte = t->decode_bytes ? lrk_byte_token(text.data, text.n) : -1;
    if (byte >= 0) {
        const char b = (char)byte;
        t->flags[id] |= LRK_IS_BYTE;
        return lrk_tokenizer_copy(t, &b, 1, &t->bytes[id], err);
    }
    return bytes_of(t, text, &t->bytes[id], err);
}

/* Bytes of all tokens, and byte_level the table of those that merges can give. */
static lrk_status all_bytes(lrk_tokenizer *t, lrk_err *err)
{
    for (uint32_t id = 0; id < t->n; id++)
        if (t->text[id].data) LRK_TRY(token_bytes(t, id, err));
    if (!t->byte_level) return LRK_OK;
    LRK_TRY(lrk_strings_make(&t->by_bytes, &t->arena, t->n, t->bytes, err));
    for (uint32_t id = 0; id < t->n; id++) {
        uint32_t other;
        char bytes[LRK_MAX_TOKEN_BYTES];
        size_t n;
        if (!t->text[id].data) continue;
        if (lrk_alphabet_decode(t->text[id].data, t->text[id].n, bytes, &n))
            LRK_TRY(lrk_strings_add(&t->by_bytes, id, &other, err));
    }
    return LRK_OK;
}

/* The reference spells added tokens that are sought behind the normalizer as they look there. */
static lrk_status normalized_bytes(lrk_tokenizer *t, lrk_err *err)
{
    const lrk_added *set = &t->normalized;
    for (size_t i = 0; i < set->n; i++)
        LRK_TRY(bytes_of(t, set->text[i], &t->bytes[set->id[i]], err));
    return LRK_OK;
}

static void single_symbols(lrk_tokenizer *t)
{
    static const char digits[] = "0123456789ABCDEF";
    for (unsigned b = 0; b < 256; b++) {
        const char c = (char)b, name[6] = {'<', '0', 'x', digits[b >> 4], digits[b & 15], '>'};
        t->fallback[b] = (int32_t)lrk_strings_find(&t->by_text, name, 6);
        if (t->byte_level)
            t->start[b] = (int32_t)lrk_strings_find(&t->by_bytes, &c, 1);
        else
            t->start[b] = b < 128 ? (int32_t)lrk_strings_find(&t->by_text, &c, 1) : -1;
    }
}

static lrk_status find_ends(lrk_tokenizer *t, lrk_err *err)
{
    static const char *const known[] = {
        "<|im_end|>", "<|eot_id|>",    "<|eom_id|>", "<|end_of_text|>",      "<|endoftext|>",
        "<|end|>",    "<end_of_turn>", "<|return|>", "<｜end▁of▁sentence｜>"};
    static const lrk_special named[] = {LRK_TOKEN_EOS, LRK_TOKEN_EOT, LRK_TOKEN_EOM};
    for (int i = 0; i < 3; i++)
        if (t->special[named[i]] != LRK_NO_ID) t->flags[t->special[named[i]]] |= LRK_IS_END;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const int64_t id = lrk_strings_find(&t->by_text, known[i], strlen(known[i]));
        if (id != LRK_NO_ID && t->flags[id] & LRK_IS_SPECIAL) t->flags[id] |= LRK_IS_END;
    }
    for (size_t i = 0; i < t->n; i++) {
        t->n_ends += (t->flags[i] & LRK_IS_END) != 0;
        t->n_specials += (t->flags[i] & LRK_IS_SPECIAL) != 0;
    }
    LRK_TRY(lrk_alloc(&t->arena, t->n_ends, sizeof *t->ends, "end tokens", &t->ends, err));
    return lrk_alloc(&t->arena, t->n_ends, sizeof *t->end_texts, "end tokens", &t->end_texts, err);
}

static int longest_first(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    const size_t n = strlen(*x), m = strlen(*y);
    return n != m ? (n > m ? -1 : 1) : strcmp(*x, *y);
}

static lrk_status lists(lrk_tokenizer *t, lrk_err *err)
{
    LRK_TRY(find_ends(t, err));
    LRK_TRY(lrk_alloc(&t->arena, t->n_specials, sizeof *t->special_texts, "special tokens",
                      &t->special_texts, err));
    size_t ends = 0, specials = 0;
    for (uint32_t id = 0; id < t->n; id++) {
        if (t->flags[id] & LRK_IS_END) {
            t->end_texts[ends] = t->text[id].data;
            t->ends[ends++] = id;
        }
        if (t->flags[id] & LRK_IS_SPECIAL) t->special_texts[specials++] = t->text[id].data;
    }
    if (specials) qsort(t->special_texts, specials, sizeof *t->special_texts, longest_first);
    return LRK_OK;
}

static bool is_byte_token(const lrk_tokenizer *t, uint32_t id)
{
    return lrk_byte_token(t->text[id].data, t->text[id].n) >= 0;
}

/* Cuts are safe only where no character is unknown, since unknown ones are fused across them, and
 * where bytes of unknown characters do not merge. */
static lrk_status make_cuts(lrk_tokenizer *t, lrk_err *err)
{
    bool safe = !t->byte_level && !t->ignore_merges && t->byte_fallback && t->merges.slot;
    for (int b = 0; b < 256; b++) { /* an ASCII character may be a token instead */
        const int32_t own = t->start[b];
        safe = safe && (t->fallback[b] >= 0 || (own >= 0 && (size_t)own < t->n_model));
    }
    for (size_t i = 0; safe && i <= t->merges.mask; i++) {
        const lrk_merge *m = &t->merges.slot[i];
        safe = m->id == UINT32_MAX || (!is_byte_token(t, m->left) && !is_byte_token(t, m->right));
    }
    if (!safe) return LRK_OK;
    LRK_TRY(lrk_alloc(&t->arena, LRK_CUT_BITS / 64, 8, "cuts", &t->cuts.bit, err));
    for (size_t i = 0; i <= t->merges.mask; i++) {
        const lrk_merge *m = &t->merges.slot[i];
        if (m->id == UINT32_MAX) continue;
        size_t last = lrk_utf8_back(t->text[m->left].data, t->text[m->left].n), first = 0;
        const uint32_t left = lrk_utf8_next(t->text[m->left].data, &last);
        lrk_cuts_add(&t->cuts, left, lrk_utf8_next(t->text[m->right].data, &first));
    }
    return LRK_OK;
}

/* A Unigram: the trie, and what an unknown character costs. A score that is no number: the token
 * is never used. */
static lrk_status make_unigram(lrk_tokenizer *t, lrk_err *err)
{
    static const double penalty = 10.0;
    double lowest = HUGE_VAL;
    lrk_piece *used;
    LRK_TRY(lrk_alloc(&t->arena, t->n_model, sizeof *used, "token texts", &used, err));
    for (size_t i = 0; i < t->n_model; i++) {
        used[i] = isnan(t->score[i]) ? (lrk_piece){"", 0} : t->text[i];
        if (isnan(t->score[i])) continue;
        if (t->score[i] < lowest) lowest = t->score[i];
    }
    t->unknown_score = lowest - penalty;
    return lrk_trie_make(&t->trie, &t->arena, used, t->n_model, err);
}

lrk_status lrk_tokenizer_finish(lrk_tokenizer *t, lrk_err *err)
{
    LRK_TRY(lrk_alloc(&t->arena, t->n, 1, "token flags", &t->whole, err));
    LRK_TRY(all_bytes(t, err));
    single_symbols(t);
    for (unsigned b = 0; t->byte_level && t->byte_fallback && b < 256; b++)
        LRK_REQUIRE(
            err, t->start[b] >= 0, LRK_ESUPPORT,
            "model.byte_fallback: not known together with ByteLevel while byte 0x%02x has no "
            "token",
            b);
    LRK_TRY(make_cuts(t, err));
    if (t->score) LRK_TRY(make_unigram(t, err));
    LRK_TRY(lists(t, err));
    LRK_TRY(lrk_added_make(&t->raw, t, false, err));
    LRK_TRY(lrk_added_make(&t->normalized, t, true, err));
    return t->n_before ? normalized_bytes(t, err) : LRK_OK;
}
