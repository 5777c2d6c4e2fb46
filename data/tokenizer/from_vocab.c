/* data/tokenizer/from_vocab.c -- a tokenizer from GGUF metadata.
 *
 * GGUF names the splitting (tokenizer.ggml.pre) instead of describing it; names stand for what the
 * tokenizer.json of these models says. Flags of added tokens are lost there: control and unknown
 * tokens are special, user-defined ones are added, and both are sought before the normalizer.
 */
#include "base/sha256.h"
#include "data/tokenizer/splittings.h"

#include <math.h>
#include <string.h>

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };

enum { GPT2, LLAMA, GEMMA4, T5, MODELS };
static const char *const models[MODELS] = {"gpt2", "llama", "gemma4", "t5"};

static lrk_status find_model(const lrk_vocab *v, int *model, lrk_err *err)
{
    LRK_REQUIRE(err, v->model, LRK_EINPUT,
                "tokenizer.ggml.model is missing: the file holds no tokenizer");
    for (*model = 0; *model < MODELS; ++*model)
        if (strcmp(v->model, models[*model]) == 0) return LRK_OK;
    return lrk_fail(err, LRK_ESUPPORT,
                    "tokenizer.ggml.model '%s' is not known, only gpt2, llama, gemma4 and t5 are: "
                    "use the model's Hugging Face directory with its tokenizer.json",
                    v->model);
}

static lrk_status find_splitting(const lrk_vocab *v, const lrk_splitting **out, lrk_err *err)
{
    LRK_REQUIRE(err, v->pre, LRK_ESUPPORT,
                "tokenizer.ggml.pre is missing: how text is split is not known; convert the model "
                "again with a newer converter");
    *out = lrk_splitting_find(v->pre);
    if (*out) return LRK_OK;
    lrk_buf known = {.n = 0};
    lrk_splitting_names(&known);
    lrk_fail(err, LRK_ESUPPORT, "tokenizer.ggml.pre '%s' is not known; known are %s", v->pre,
             known.data ? known.data : "");
    lrk_buf_free(&known);
    return LRK_ESUPPORT;
}

static lrk_status flags_of(int32_t type, size_t id, unsigned char *flags, lrk_err *err)
{
    LRK_REQUIRE(err, type >= TYPE_NORMAL && type <= TYPE_BYTE, LRK_EINPUT,
                "tokenizer.ggml.token_type: token %zu has type %d, expected 1 to 6", id, (int)type);
    if (type == TYPE_UNKNOWN || type == TYPE_CONTROL) *flags = LRK_IS_ADDED | LRK_IS_SPECIAL;
    if (type == TYPE_USER) *flags = LRK_IS_ADDED;
    return LRK_OK;
}

static lrk_status set_special(lrk_tokenizer *t, lrk_special s, int64_t id, const char *key,
                              lrk_err *err)
{
    if (id == LRK_NO_ID) return LRK_OK;
    LRK_REQUIRE(err, id >= 0 && (uint64_t)id < t->n, LRK_EINPUT,
                "tokenizer.ggml.%s: %lld is outside the vocabulary of %zu tokens", key,
                (long long)id, t->n);
    t->special[s] = id;
    return LRK_OK;
}

static lrk_status set_specials(lrk_tokenizer *t, const lrk_vocab *v, bool add_bos, bool add_eos,
                               lrk_err *err)
{
    LRK_TRY(set_special(t, LRK_TOKEN_BOS, v->bos, "bos_token_id", err));
    LRK_TRY(set_special(t, LRK_TOKEN_EOS, v->eos, "eos_token_id", err));
    LRK_TRY(set_special(t, LRK_TOKEN_EOT, v->eot, "eot_token_id", err));
    LRK_TRY(set_special(t, LRK_TOKEN_EOM, v->eom, "eom_token_id", err));
    LRK_TRY(set_special(t, LRK_TOKEN_UNK, v->unk, "unknown_token_id", err));
    LRK_TRY(set_special(t, LRK_TOKEN_PAD, v->pad, "padding_token_id", err));
    LRK_REQUIRE(err, !add_bos || v->bos != LRK_NO_ID, LRK_EINPUT,
                "tokenizer.ggml.bos_token_id is missing, but tokenizer.ggml.%s asks for one",
                v->add_bos < 0 ? "model" : "add_bos_token");
    LRK_REQUIRE(err, !add_eos || v->eos != LRK_NO_ID, LRK_EINPUT,
                "tokenizer.ggml.eos_token_id is missing, but tokenizer.ggml.add_eos_token asks for "
                "one");
    if (add_bos) t->prefix[t->n_prefix++] = (uint32_t)v->bos;
    if (add_eos) t->suffix[t->n_suffix++] = (uint32_t)v->eos;
    return LRK_OK;
}

static lrk_status add_merges(lrk_tokenizer *t, const lrk_vocab *v, lrk_err *err)
{
    static const char key[] = "tokenizer.ggml.merges";
    LRK_REQUIRE(err, v->n_merges <= LRK_MAX_MERGES, LRK_EINPUT, "%s: %zu merges, at most %d", key,
                v->n_merges, LRK_MAX_MERGES);
    LRK_TRY(lrk_merges_make(&t->merges, &t->arena, v->n_merges, err));
    lrk_piece part[2 * LRK_MERGE_MANY];
    size_t n = 0;
    for (size_t i = 0; i < v->n_merges; i++) {
        const lrk_piece m = v->merges[i];
        const char *space = m.n ? memchr(m.data, ' ', m.n) : NULL;
        LRK_REQUIRE(err, space, LRK_EINPUT, "%s: merge %zu is not two tokens with a blank between",
                    key, i);
        const size_t left = (size_t)(space - m.data);
        part[2 * n] = (lrk_piece){m.data, left};
        part[2 * n++ + 1] = (lrk_piece){space + 1, m.n - left - 1};
        if (n < LRK_MERGE_MANY && i + 1 < v->n_merges) continue;
        LRK_TRY(lrk_tokenizer_merges(t, i + 1 - n, part, n, key, err));
        n = 0;
    }
    return LRK_OK;
}

/* Texts with a NUL behind each, which none of them contains. */
typedef struct hashing {
    lrk_sha256 h;
    char block[1 << 13];
    size_t n;
} hashing;

static void add_text(hashing *x, const char *s, size_t n)
{
    if (x->n + n + 1 > sizeof x->block) {
        lrk_sha256_add(&x->h, x->block, x->n);
        x->n = 0;
    }
    if (n + 1 > sizeof x->block) {
        lrk_sha256_add(&x->h, s, n);
        n = 0;
    }
    if (n) memcpy(x->block + x->n, s, n);
    x->n += n;
    x->block[x->n++] = '\0';
}

static void identify(lrk_tokenizer *t, const lrk_vocab *v)
{
    hashing x = {.n = 0};
    lrk_sha256_begin(&x.h);
    add_text(&x, v->model, strlen(v->model));
    add_text(&x, v->pre ? v->pre : "", v->pre ? strlen(v->pre) : 0);
    for (size_t i = 0; i < t->n; i++) add_text(&x, t->text[i].data, t->text[i].n);
    add_text(&x, "", 0);
    for (size_t i = 0; i < v->n_merges; i++) add_text(&x, v->merges[i].data, v->merges[i].n);
    add_text(&x, "", 0);
    lrk_sha256_add(&x.h, x.block, x.n);
    if (v->scores) lrk_sha256_add(&x.h, v->scores, v->n_tokens * sizeof *v->scores);
    if (v->charsmap.data) lrk_sha256_add(&x.h, v->charsmap.data, v->charsmap.n);
    const char space[] = {
        (char)('1' + v->add_space_prefix + 4 * v->prefix_first + 8 * v->merges_by_id), '|'};
    lrk_sha256_add(&x.h, space, sizeof space);
    lrk_sha256_add(&x.h, t->flags, t->n);
    lrk_sha256_add(&x.h, t->prefix, t->n_prefix * sizeof *t->prefix);
    lrk_sha256_add(&x.h, "|", 1);
    lrk_sha256_add(&x.h, t->suffix, t->n_suffix * sizeof *t->suffix);
    lrk_sha256_end_hex(&x.h, t->sha256);
}

/* GGUF has no place for the flags of added tokens; these are known by the architecture. */
static void swallow_blanks(lrk_tokenizer *t)
{
    static const char *const others[] = {"<unk>", "<s>", "<|endoftext|>"};
    for (size_t i = 0; i < t->n; i++)
        if (t->flags[i] & LRK_IS_ADDED) t->flags[i] |= LRK_IS_RSTRIP;
    for (int i = 0; i < 3; i++) {
        const int64_t id = lrk_token_id(t, others[i], strlen(others[i]));
        if (id != LRK_NO_ID) t->flags[id] &= (unsigned char)~LRK_IS_RSTRIP;
    }
}

static lrk_status set_tokens(lrk_tokenizer *t, const lrk_vocab *v, lrk_err *err)
{
    for (size_t i = 0; i < t->n; i++) {
        LRK_TRY(lrk_tokenizer_set(t, i, v->tokens[i].data, v->tokens[i].n, "tokenizer.ggml.tokens",
                                  err));
        if (v->types) LRK_TRY(flags_of(v->types[i], i, &t->flags[i], err));
    }
    t->n_model = t->n;
    return lrk_tokenizer_index(t, err);
}

static lrk_status split_by_name(lrk_tokenizer *t, const lrk_splitting *s, lrk_err *err)
{
    t->byte_level = true;
    t->ignore_merges = s->flags & LRK_SPLITTING_IGNORE_MERGES;
    if (s->flags & LRK_SPLITTING_NFC) t->before[t->n_before++].kind = LRK_TRANSFORM_NFC;
    for (size_t i = 0; i < s->n; i++)
        LRK_TRY(lrk_tokenizer_step(t, (lrk_step){.splits = true, .split = s->split[i]},
                                   "tokenizer.ggml.pre", err));
    return LRK_OK;
}

static const lrk_piece blank = {" ", 1}, meta = {"\xe2\x96\x81", 3};

static lrk_status need_scores(const lrk_vocab *v, lrk_err *err)
{
    LRK_REQUIRE(err, v->scores, LRK_EINPUT,
                "tokenizer.ggml.scores is missing: a vocabulary of kind '%s' has them", v->model);
    for (size_t i = 0; i < v->n_tokens; i++)
        LRK_REQUIRE(err, isfinite(v->scores[i]), LRK_EINPUT,
                    "tokenizer.ggml.scores: the one of token %zu is not a number", i);
    return LRK_OK;
}

static int32_t type_of(const lrk_vocab *v, size_t i)
{
    return v->types ? v->types[i] : TYPE_NORMAL;
}

/* The unknown token: named by the file, or the one of that type. */
static void find_unknown(lrk_tokenizer *t, const lrk_vocab *v)
{
    t->unk = v->unk >= 0 && (uint64_t)v->unk < t->n ? v->unk : LRK_NO_ID;
    for (size_t i = 0; i < t->n && t->unk == LRK_NO_ID; i++)
        if (type_of(v, i) == TYPE_UNKNOWN) t->unk = (int64_t)i;
}

/* SentencePiece's BPE, as the tokenizer.json made from it has it: blanks are U+2581, one stands in
 * front of the text, unknown characters are bytes. */
static lrk_status sentencepiece(lrk_tokenizer *t, const lrk_vocab *v, bool scores, lrk_err *err)
{
    const bool prefix = scores && v->add_space_prefix != 0;
    t->byte_fallback = t->fuse_unk = t->decode_bytes = true;
    find_unknown(t, v);
    if (prefix && !v->prefix_first)
        t->before[t->n_before++] = (lrk_transform){.kind = LRK_TRANSFORM_PREPEND, .to = meta};
    t->before[t->n_before++] =
        (lrk_transform){.kind = LRK_TRANSFORM_REPLACE, .from = blank, .to = meta};
    if (prefix && v->prefix_first) /* where the text does not begin with a blank */
        t->before[t->n_before++] = (lrk_transform){.kind = LRK_TRANSFORM_PREPEND_FIRST, .to = meta};
    t->decode_from = meta;
    t->decode_to = blank;
    t->decode_strip = prefix;
    if (!scores) return add_merges(t, v, err);
    LRK_TRY(need_scores(v, err));
    return lrk_merges_from_scores(t, v->scores, v->merges_by_id, err);
}

/* SentencePiece's Unigram, as the tokenizer.json made from it has it. */
static lrk_status unigram(lrk_tokenizer *t, const lrk_vocab *v, lrk_err *err)
{
    static const char key[] = "tokenizer.ggml.model";
    const lrk_split words = {.pattern = LRK_PATTERN_METASPACE};
    lrk_charsmap *map = NULL;
    LRK_REQUIRE(err, v->remove_extra_whitespaces == 1, LRK_ESUPPORT,
                "tokenizer.ggml.remove_extra_whitespaces: %s; a Unigram that keeps them is not "
                "known",
                v->remove_extra_whitespaces < 0 ? "is missing" : "is false");
    LRK_TRY(need_scores(v, err));
    find_unknown(t, v);
    LRK_REQUIRE(err, t->unk != LRK_NO_ID, LRK_EINPUT,
                "tokenizer.ggml.unknown_token_id is missing: a Unigram needs it");
    LRK_TRY(lrk_alloc(&t->arena, t->n, sizeof *t->score, "scores", &t->score, err));
    for (size_t i = 0; i < t->n; i++) {
        t->score[i] = type_of(v, i) == TYPE_UNUSED ? (double)NAN : (double)v->scores[i];
        t->byte_fallback |= type_of(v, i) == TYPE_BYTE;
    }
    if (v->charsmap.data) {
        LRK_TRY(lrk_charsmap_make(&map, &t->arena, v->charsmap.data, v->charsmap.n, err));
        t->before[t->n_before++] = (lrk_transform){.kind = LRK_TRANSFORM_CHARSMAP, .map = map};
    }
    t->before[t->n_before++] = (lrk_transform){.kind = LRK_TRANSFORM_STRIP, .right = true};
    t->before[t->n_before++] =
        (lrk_transform){.kind = LRK_TRANSFORM_REPLACE_RUNS, .from = blank, .to = meta};
    const lrk_transform blanks = {.kind = LRK_TRANSFORM_REPLACE, .from = blank, .to = meta};
    const lrk_transform prefix = {.kind = LRK_TRANSFORM_PREPEND_ONCE, .to = meta};
    LRK_TRY(lrk_tokenizer_step(t, (lrk_step){.transform = blanks}, key, err));
    if (v->add_space_prefix != 0)
        LRK_TRY(lrk_tokenizer_step(t, (lrk_step){.transform = prefix}, key, err));
    t->decode_from = meta;
    t->decode_to = blank;
    t->decode_drop = v->add_space_prefix != 0;
    return lrk_tokenizer_step(t, (lrk_step){.splits = true, .split = words}, key, err);
}

static lrk_status build(lrk_tokenizer *t, const lrk_vocab *v, int model, lrk_err *err)
{
    const lrk_splitting *s = NULL;
    if (model == GPT2) LRK_TRY(find_splitting(v, &s, err));
    LRK_TRY(set_tokens(t, v, err));
    bool bos = model == LLAMA, eos = model == T5; /* where the file does not say */
    if (model == GPT2) {
        LRK_TRY(add_merges(t, v, err));
        LRK_TRY(split_by_name(t, s, err));
        bos = s->flags & LRK_SPLITTING_ADD_BOS;
    } else if (model == T5) {
        LRK_TRY(unigram(t, v, err));
    } else {
        LRK_TRY(sentencepiece(t, v, model == LLAMA, err));
        if (v->blanks_behind) swallow_blanks(t);
    }
    if (v->add_bos >= 0) bos = v->add_bos;
    if (v->add_eos >= 0) eos = v->add_eos;
    LRK_TRY(set_specials(t, v, bos, eos, err));
    if (v->chat_template) {
        t->chat_template = lrk_strdup(&t->arena, v->chat_template);
        LRK_REQUIRE(err, t->chat_template, LRK_ENOMEM, "chat template: out of memory");
    }
    identify(t, v);
    return lrk_tokenizer_finish(t, err);
}

lrk_status lrk_tokenizer_from_vocab(lrk_tokenizer **out, const lrk_vocab *v, lrk_err *err)
{
    lrk_tokenizer *t = NULL;
    int model;
    lrk_status status = find_model(v, &model, err);
    if (status == LRK_OK) status = lrk_tokenizer_new(&t, v->n_tokens, err);
    if (status == LRK_OK) status = build(t, v, model, err);
    if (status != LRK_OK) {
        lrk_tokenizer_free(t);
        return lrk_err_prefix(err, status, "%s", v->where);
    }
    *out = t;
    return LRK_OK;
}
