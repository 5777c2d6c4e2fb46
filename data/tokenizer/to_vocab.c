/* data/tokenizer/to_vocab.c -- a tokenizer as GGUF metadata hold it, the inverse of from_vocab.c.
 *
 * GGUF names a splitting and a kind of model; a tokenizer that is none of them is refused with what
 * it differs by. SentencePiece's BPE has a score for each token instead of merges: the scores that
 * are written give the merges back, pair by pair in the same order, or "gemma4" is written, which
 * has merges, or nothing.
 */
#include "data/tokenizer/splittings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };

static const char meta[] = "\xe2\x96\x81"; /* U+2581 */

static bool is(lrk_piece p, const char *s)
{
    return p.n == strlen(s) && memcmp(p.data, s, p.n) == 0;
}

static lrk_status no_place(const char *what, lrk_err *err)
{
    return lrk_fail(err, LRK_ESUPPORT,
                    "GGUF has no place for this tokenizer: %s; a Hugging Face directory has", what);
}

/* ---- tokens ---- */

/* Texts that llama.cpp's converter takes for control tokens whatever their flag says. */
static bool looks_special(const char *s)
{
    const size_t n = strlen(s);
    return strcmp(s, "<pad>") == 0 || strcmp(s, "<mask>") == 0 || strcmp(s, "<2mass>") == 0 ||
           strcmp(s, "[@BOS@]") == 0 || strncmp(s, "<unused", 7) == 0 ||
           (n >= 4 && strncmp(s, "<|", 2) == 0 && strcmp(s + n - 2, "|>") == 0);
}

static int32_t type_of(const lrk_tokenizer *t, size_t id)
{
    const unsigned flags = t->flags[id];
    if ((int64_t)id == t->unk && !t->byte_level) return TYPE_UNKNOWN;
    if (flags & LRK_IS_ADDED)
        return flags & LRK_IS_SPECIAL || looks_special(t->text[id].data) ? TYPE_CONTROL : TYPE_USER;
    if (t->byte_fallback && lrk_byte_token(t->text[id].data, t->text[id].n) >= 0) return TYPE_BYTE;
    return t->score && isnan(t->score[id]) ? TYPE_UNUSED : TYPE_NORMAL;
}

/* Rows of the embedding without a token get a text that no token has. */
static lrk_status put_tokens(const lrk_tokenizer *t, size_t rows, lrk_arena *a, lrk_vocab *v,
                             lrk_err *err)
{
    lrk_piece *text;
    int32_t *type;
    LRK_TRY(lrk_alloc(a, rows, sizeof *text, "tokens", &text, err));
    LRK_TRY(lrk_alloc(a, rows, sizeof *type, "token types", &type, err));
    for (size_t id = 0; id < rows; id++) {
        char pad[40];
        snprintf(pad, sizeof pad, "[PAD%zu]", id);
        const bool there = id < t->n && t->text[id].data;
        text[id] = there ? t->text[id] : (lrk_piece){lrk_strdup(a, pad), strlen(pad)};
        LRK_REQUIRE(err, text[id].data, LRK_ENOMEM, "tokens: out of memory");
        type[id] = there ? type_of(t, id) : TYPE_UNUSED;
    }
    v->tokens = text;
    v->types = type;
    v->n_tokens = rows;
    return LRK_OK;
}

/* ---- merges ---- */

static int by_rank(const void *a, const void *b)
{
    const lrk_merge *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* All merges, best first; those that make a token that the model does not know are left out. */
static lrk_status list_merges(const lrk_tokenizer *t, lrk_arena *a, lrk_merge **list, size_t *n,
                              lrk_err *err)
{
    const size_t slots = t->merges.slot ? t->merges.mask + 1 : 0;
    LRK_TRY(lrk_alloc(a, slots, sizeof **list, "merges", list, err));
    *n = 0;
    for (size_t i = 0; i < slots; i++)
        if (t->merges.slot[i].id < t->n_model) (*list)[(*n)++] = t->merges.slot[i];
    if (*n) qsort(*list, *n, sizeof **list, by_rank);
    return LRK_OK;
}

/* A blank inside a half would end it, and is written as byte-level BPE writes blanks. */
static void put_half(lrk_buf *b, lrk_piece s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.data[i] == ' ')
            lrk_buf_puts(b, "\xc4\xa0");
        else
            lrk_buf_append(b, s.data + i, 1);
    }
}

static lrk_status put_merges(const lrk_tokenizer *t, lrk_arena *a, lrk_vocab *v, lrk_err *err)
{
    lrk_merge *list;
    lrk_piece *text;
    lrk_buf b = {.n = 0};
    LRK_TRY(list_merges(t, a, &list, &v->n_merges, err));
    LRK_TRY(lrk_alloc(a, v->n_merges, sizeof *text, "merges", &text, err));
    lrk_status status = LRK_OK;
    for (size_t i = 0; i < v->n_merges && status == LRK_OK; i++) {
        b.n = 0;
        put_half(&b, t->text[list[i].left]);
        lrk_buf_puts(&b, " ");
        put_half(&b, t->text[list[i].right]);
        status = lrk_buf_check(&b, err);
        if (status == LRK_OK) text[i] = (lrk_piece){lrk_strndup(a, b.data, b.n), b.n};
        if (status == LRK_OK && !text[i].data)
            status = lrk_fail(err, LRK_ENOMEM, "merges: out of memory");
    }
    lrk_buf_free(&b);
    v->merges = text;
    return status;
}

/* ---- byte-level BPE ---- */

/* Patterns whose matches leave no character out: to keep what matches alone is to keep everything. */
static bool leaves_no_gap(lrk_pattern_id p)
{
    return p == LRK_PATTERN_GPT2 || p == LRK_PATTERN_LLAMA3 || p == LRK_PATTERN_QWEN2 || p == LRK_PATTERN_QWEN35 ||
           p == LRK_PATTERN_TEKKEN || p == LRK_PATTERN_O200K;
}

static bool same_split(const lrk_split *x, const lrk_split *y)
{
    const bool matches = x->behavior == LRK_REMOVED && x->invert && !x->literal && leaves_no_gap(x->pattern);
    return !x->literal && !y->literal && x->pattern == y->pattern && x->spelled == y->spelled &&
           (matches ? LRK_ISOLATED : x->behavior) == y->behavior && (x->invert && !matches) == y->invert;
}

static bool same_steps(const lrk_tokenizer *t, const lrk_splitting *s)
{
    if (t->n_steps != s->n) return false;
    for (size_t i = 0; i < s->n; i++)
        if (!t->step[i].splits || !same_split(&t->step[i].split, &s->split[i])) return false;
    return true;
}

static bool same_normalizer(const lrk_tokenizer *t, const lrk_splitting *s)
{
    const bool nfc = t->n_before == 1 && t->before[0].kind == LRK_TRANSFORM_NFC;
    return t->n_before == nfc && nfc == !!(s->flags & LRK_SPLITTING_NFC);
}

/* Whether merges make every token of the model out of its bytes. Then ignore_merges, which takes a piece that is a
 * token for that token, changes nothing. */
static lrk_status merges_make_all(const lrk_tokenizer *t, bool *all, lrk_err *err)
{
    lrk_tokenizer plain = *t; /* its tables are only read */
    lrk_work w = {.n_heap = 0};
    lrk_ids ids = {.n = 0};
    lrk_status status = LRK_OK;
    plain.ignore_merges = false;
    *all = true;
    for (size_t id = 0; id < t->n_model && *all && status == LRK_OK; id++) {
        const lrk_mapped text = {.s = t->bytes[id].data, .n = t->bytes[id].n};
        if (!text.n || t->flags[id] & LRK_IS_ADDED) continue;
        ids.n = 0;
        status = lrk_bpe(&plain, &text, 0, text.n, &w, &ids, err);
        *all = ids.n == 1 && ids.id[0] == id;
    }
    lrk_work_free(&w);
    lrk_ids_free(&ids);
    return status;
}

/* The first name that stands for t's way to split text; NULL: none, and *lacks says why. */
static lrk_status find_splitting(const lrk_tokenizer *t, const lrk_splitting **out, const char **lacks, lrk_err *err)
{
    const lrk_splitting *other = NULL, *s;
    bool all = false;
    *out = NULL;
    *lacks = "its pre_tokenizer has no name there";
    for (size_t i = 0; (s = lrk_splitting_at(i)) != NULL; i++) {
        if (!same_steps(t, s)) continue;
        if (!other) *lacks = "its normalizer has no name there beside its pre_tokenizer";
        if (!same_normalizer(t, s)) continue;
        *lacks = "what its ignore_merges changes has no name there beside its pre_tokenizer";
        if (!other) other = s;
        if (t->ignore_merges != !!(s->flags & LRK_SPLITTING_IGNORE_MERGES)) continue;
        *out = s;
        return LRK_OK;
    }
    if (other) LRK_TRY(merges_make_all(t, &all, err));
    if (all) *out = other;
    return LRK_OK;
}

static lrk_status byte_level(const lrk_tokenizer *t, lrk_arena *a, lrk_vocab *v, lrk_err *err)
{
    const lrk_splitting *s;
    const char *lacks;
    LRK_TRY(find_splitting(t, &s, &lacks, err));
    if (!s) return no_place(lacks, err);
    for (int b = 0; b < 256; b++)
        if (t->start[b] < 0 && (t->unk != LRK_NO_ID || t->byte_fallback))
            return no_place("bytes without a token become its unk_token", err);
    v->model = "gpt2";
    v->pre = s->name;
    return put_merges(t, a, v, err);
}

/* ---- SentencePiece's BPE ---- */

/* What stands before and behind a replacement of blanks by U+2581, which must be there once. Where
 * a U+2581 goes in front: of each text, or (*first) of the first one alone. */
static bool reads_blanks(const lrk_tokenizer *t, bool *prefix, bool *first)
{
    bool replaced = false;
    const size_t n = t->n_before + t->n_steps;
    *prefix = *first = false;
    for (size_t i = 0; i < n; i++) {
        const lrk_step *step = i < t->n_before ? NULL : &t->step[i - t->n_before];
        const lrk_transform *f = step ? &step->transform : &t->before[i];
        if (step && step->splits) { /* at blanks, of which none is left */
            if (!replaced || !step->split.literal || strcmp(step->split.literal, " ") != 0)
                return false;
        } else if (f->kind == LRK_TRANSFORM_REPLACE && is(f->from, " ") && is(f->to, meta)) {
            if (replaced) return false;
            replaced = true;
        } else if ((f->kind == LRK_TRANSFORM_PREPEND && !step) ||
                   (f->kind == LRK_TRANSFORM_PREPEND_FIRST && replaced)) {
            if (*prefix || !is(f->to, meta)) return false;
            *prefix = true;
            *first = f->kind == LRK_TRANSFORM_PREPEND_FIRST;
        } else {
            return false;
        }
    }
    return replaced;
}

/* Whether these scores give the merges of t, and in the same order. */
static lrk_status gives_merges(const lrk_tokenizer *t, const float *score, bool by_id, bool *same,
                               lrk_err *err)
{
    lrk_tokenizer from = *t; /* its tables are only read */
    lrk_merge *x = NULL, *y = NULL;
    size_t n = 0, m = 0;
    from.arena = lrk_arena_growing("merges from scores");
    from.merges = (lrk_merges){.slot = NULL};
    lrk_status status = lrk_merges_from_scores(&from, score, by_id, err);
    if (status == LRK_OK) status = list_merges(t, &from.arena, &x, &n, err);
    if (status == LRK_OK) status = list_merges(&from, &from.arena, &y, &m, err);
    *same = status == LRK_OK && n == m;
    for (size_t i = 0; *same && i < n; i++)
        *same = x[i].left == y[i].left && x[i].right == y[i].right;
    lrk_arena_free(&from.arena);
    return status;
}

/* The score of a token is minus the place of the first merge that makes it. Tokens whose merges
 * stand among each other had the same score, and get it again. */
static lrk_status put_scores(const lrk_tokenizer *t, lrk_arena *a, lrk_vocab *v, bool *same,
                             lrk_err *err)
{
    lrk_merge *list;
    float *score;
    size_t n, *last, from = 0, to = 0; /* merges of tokens of one score */
    LRK_TRY(list_merges(t, a, &list, &n, err));
    LRK_TRY(lrk_alloc(a, v->n_tokens, sizeof *score, "scores", &score, err));
    LRK_TRY(lrk_alloc(a, v->n_tokens, sizeof *last, "scores", &last, err));
    for (size_t i = 0; i < n; i++) last[list[i].id] = i;
    for (size_t i = 0; i < n; i++) {
        if (i > to) from = i;
        if (last[list[i].id] > to || from == i) to = last[list[i].id];
        score[list[i].id] = -(float)(from + 1);
    }
    v->scores = score;
    LRK_TRY(gives_merges(t, score, false, same, err));
    if (!*same) LRK_TRY(gives_merges(t, score, true, &v->merges_by_id, err));
    *same = *same || v->merges_by_id;
    return LRK_OK;
}

static lrk_status sentencepiece(const lrk_tokenizer *t, lrk_arena *a, lrk_vocab *v, lrk_err *err)
{
    bool prefix, first, same;
    if (!reads_blanks(t, &prefix, &first))
        return no_place("its normalizer is not SentencePiece's", err);
    if (!t->byte_fallback || t->ignore_merges || !t->decode_bytes)
        return no_place("a BPE without ByteLevel must have byte_fallback, also in its decoder",
                        err);
    if (t->decode_drop || t->decode_strip != prefix || !is(t->decode_from, meta))
        return no_place("its decoder is not SentencePiece's", err);
    for (int b = 0; b < 256; b++)
        if (t->fallback[b] < 0 && !t->fuse_unk)
            return no_place("bytes without a token become one unk_token each", err);
    LRK_TRY(put_scores(t, a, v, &same, err));
    if (same) {
        v->model = "llama";
        v->pre = "default";
        v->add_space_prefix = prefix;
        v->prefix_first = first;
        return LRK_OK;
    }
    if (prefix) return no_place("its merges are not those that scores give", err);
    v->scores = NULL;
    v->model = "gemma4";
    v->pre = "default";
    return put_merges(t, a, v, err);
}

/* ---- SentencePiece's Unigram ---- */

static bool transforms(const lrk_transform *f, int kind, const char *from, const char *to)
{
    return (int)f->kind == kind && (!from || is(f->from, from)) && (!to || is(f->to, to));
}

static bool reads_words(const lrk_tokenizer *t, const lrk_charsmap **map, bool *prefix)
{
    const lrk_transform *f = t->before;
    const lrk_step *s = t->step;
    const bool mapped = t->n_before && f->kind == LRK_TRANSFORM_CHARSMAP;
    *map = mapped ? f->map : NULL;
    f += mapped;
    if (t->n_before != 2 + (size_t)mapped || f->kind != LRK_TRANSFORM_STRIP || f->left ||
        !f->right || !transforms(f + 1, LRK_TRANSFORM_REPLACE_RUNS, " ", meta))
        return false;
    *prefix = t->n_steps == 3;
    if (t->n_steps != 2 + (size_t)*prefix || s[0].splits ||
        !transforms(&s[0].transform, LRK_TRANSFORM_REPLACE, " ", meta))
        return false;
    if (*prefix &&
        (s[1].splits || !transforms(&s[1].transform, LRK_TRANSFORM_PREPEND_ONCE, NULL, meta)))
        return false;
    const lrk_step *last = &s[t->n_steps - 1];
    return last->splits && !last->split.literal && last->split.pattern == LRK_PATTERN_METASPACE &&
           last->split.behavior == LRK_ISOLATED;
}

static lrk_status put_charsmap(const lrk_charsmap *map, lrk_arena *a, lrk_vocab *v, lrk_err *err)
{
    const size_t trie = 4 * map->n_units;
    unsigned char *b;
    v->charsmap.n = 4 + trie + map->n_text;
    LRK_TRY(lrk_alloc(a, v->charsmap.n, 1, "precompiled_charsmap", &b, err));
    v->charsmap.data = (const char *)b;
    for (size_t i = 0; i < 4; i++) b[i] = (unsigned char)(trie >> (8 * i));
    for (size_t i = 0; i < trie; i++) b[4 + i] = (unsigned char)(map->unit[i / 4] >> (8 * (i % 4)));
    memcpy(b + 4 + trie, map->text, map->n_text);
    return LRK_OK;
}

static lrk_status unigram(const lrk_tokenizer *t, lrk_arena *a, lrk_vocab *v, lrk_err *err)
{
    const lrk_charsmap *map;
    bool prefix;
    float *score;
    if (!reads_words(t, &map, &prefix))
        return no_place("its normalizer and pre_tokenizer are not those of T5", err);
    LRK_TRY(lrk_alloc(a, v->n_tokens, sizeof *score, "scores", &score, err));
    for (size_t i = 0; i < t->n_model; i++) {
        score[i] = isnan(t->score[i]) ? 0.0f : (float)t->score[i];
        if (!isnan(t->score[i]) && (double)score[i] != t->score[i])
            return no_place("its scores need more than 32 bits", err);
    }
    v->scores = score;
    v->model = "t5";
    v->pre = "default";
    v->add_space_prefix = prefix;
    v->remove_extra_whitespaces = 1;
    return map ? put_charsmap(map, a, v, err) : LRK_OK;
}

/* ---- all ---- */

static lrk_status put_added(const lrk_tokenizer *t, lrk_vocab *v, lrk_err *err)
{
    v->bos = t->special[LRK_TOKEN_BOS];
    v->eos = t->special[LRK_TOKEN_EOS];
    v->eot = t->special[LRK_TOKEN_EOT];
    v->eom = t->special[LRK_TOKEN_EOM];
    v->unk = t->special[LRK_TOKEN_UNK] != LRK_NO_ID ? t->special[LRK_TOKEN_UNK] : t->unk;
    v->pad = t->special[LRK_TOKEN_PAD];
    if (t->unk != LRK_NO_ID && !t->byte_level && !(t->flags[t->unk] & LRK_IS_ADDED))
        return no_place("text that spells its unknown token is not that token", err);
    if (t->n_prefix > 1 || t->n_suffix > 1)
        return no_place("its post_processor adds more than one token at an end", err);
    /* said in any case: readers have defaults of their own for some kinds */
    v->add_bos = t->n_prefix != 0;
    v->add_eos = t->n_suffix != 0;
    if (v->add_bos && v->bos == LRK_NO_ID) v->bos = t->prefix[0];
    if (v->add_eos && v->eos == LRK_NO_ID) v->eos = t->suffix[0];
    if ((v->add_bos && v->bos != t->prefix[0]) || (v->add_eos && v->eos != t->suffix[0]))
        return no_place("its post_processor adds another token than bos and eos", err);
    v->chat_template = t->chat_template;
    return LRK_OK;
}

size_t lrk_tokenizer_swallowing(const lrk_tokenizer *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += (t->flags[i] & (LRK_IS_LSTRIP | LRK_IS_RSTRIP | LRK_IS_SINGLE_WORD)) != 0;
    return n;
}

lrk_status lrk_tokenizer_to_vocab(const lrk_tokenizer *t, size_t rows, lrk_arena *a, lrk_vocab *v,
                                  lrk_err *err)
{
    *v = (lrk_vocab){.add_space_prefix = -1, .remove_extra_whitespaces = -1};
    LRK_REQUIRE(err, rows >= t->n, LRK_EINPUT,
                "the tokenizer has %zu tokens, the embedding of the model %zu rows: they do not "
                "belong together",
                t->n, rows);
    LRK_TRY(put_tokens(t, rows, a, v, err));
    LRK_TRY(put_added(t, v, err));
    if (t->byte_level) return byte_level(t, a, v, err);
    return t->score ? unigram(t, a, v, err) : sentencepiece(t, a, v, err);
}
