/* data/tokenizer/from_vocab.c -- a tokenizer from GGUF metadata.
 *
 * GGUF names the splitting (tokenizer.ggml.pre) instead of describing it; names stand for what the
 * tokenizer.json of these models says. Flags of added tokens are lost there: control and unknown
 * tokens are special, user-defined ones are added, and both are sought before the normalizer.
 */
#include "base/sha256.h"
#include "data/tokenizer/internal.h"

#include <string.h>

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };

typedef struct splitting {
    const char *name;
    lrk_pattern_id split[LRK_MAX_STAGES];
    size_t n;
    bool nfc, ignore_merges, add_bos; /* add_bos: where the file does not say */
} splitting;

static const splitting splittings[] = {
    {"smollm", {LRK_PATTERN_DIGIT, LRK_PATTERN_GPT2}, 2, false, false, false},
    {"starcoder", {LRK_PATTERN_DIGIT, LRK_PATTERN_GPT2}, 2, false, false, false},
    {"gpt-2", {LRK_PATTERN_GPT2}, 1, false, false, false},
    {"llama-bpe", {LRK_PATTERN_LLAMA3}, 1, false, true, true},
    {"llama3", {LRK_PATTERN_LLAMA3}, 1, false, true, true},
    {"llama-v3", {LRK_PATTERN_LLAMA3}, 1, false, true, true},
    {"qwen2", {LRK_PATTERN_QWEN2}, 1, true, false, false},
    {"tekken", {LRK_PATTERN_TEKKEN}, 1, false, true, true},
    {"deepseek-v3",
     {LRK_PATTERN_DIGITS_3, LRK_PATTERN_CJK, LRK_PATTERN_DEEPSEEK3},
     3,
     false,
     false,
     false},
    {"deepseek-coder",
     {LRK_PATTERN_NEWLINE, LRK_PATTERN_SPACE_LETTERS, LRK_PATTERN_SPACE_PUNCT,
      LRK_PATTERN_CJK_HANGUL, LRK_PATTERN_DIGIT},
     5,
     false,
     false,
     false},
};
enum { SPLITTINGS = sizeof splittings / sizeof *splittings };

static lrk_status find_splitting(const lrk_vocab *v, const splitting **out, lrk_err *err)
{
    LRK_REQUIRE(err, v->model, LRK_EINPUT,
                "tokenizer.ggml.model is missing: the file holds no tokenizer");
    LRK_REQUIRE(err, strcmp(v->model, "gpt2") == 0, LRK_ESUPPORT,
                "tokenizer.ggml.model '%s' is not known, only 'gpt2' (byte-level BPE) is: use the "
                "model's Hugging Face directory with its tokenizer.json",
                v->model);
    LRK_REQUIRE(err, v->pre, LRK_ESUPPORT,
                "tokenizer.ggml.pre is missing: how text is split is not known; convert the model "
                "again with a newer converter");
    for (int i = 0; i < SPLITTINGS; i++)
        if (strcmp(splittings[i].name, v->pre) == 0) {
            *out = &splittings[i];
            return LRK_OK;
        }
    lrk_buf known = {.n = 0};
    for (int i = 0; i < SPLITTINGS; i++)
        lrk_buf_printf(&known, "%s%s", i ? ", " : "", splittings[i].name);
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
                v->add_bos < 0 ? "pre" : "add_bos_token");
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
    for (size_t i = 0; i < v->n_merges; i++) {
        const lrk_piece m = v->merges[i];
        const char *blank = m.n ? memchr(m.data, ' ', m.n) : NULL;
        LRK_REQUIRE(err, blank, LRK_EINPUT, "%s: merge %zu is not two tokens with a blank between",
                    key, i);
        const size_t left = (size_t)(blank - m.data);
        LRK_TRY(lrk_tokenizer_merge(t, i, (lrk_piece){m.data, left},
                                    (lrk_piece){blank + 1, m.n - left - 1}, key, err));
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
    unsigned char digest[32];
    lrk_sha256_begin(&x.h);
    add_text(&x, v->pre, strlen(v->pre));
    for (size_t i = 0; i < t->n; i++) add_text(&x, t->text[i].data, t->text[i].n);
    add_text(&x, "", 0);
    for (size_t i = 0; i < v->n_merges; i++) add_text(&x, v->merges[i].data, v->merges[i].n);
    add_text(&x, "", 0);
    lrk_sha256_add(&x.h, x.block, x.n);
    lrk_sha256_add(&x.h, t->flags, t->n);
    lrk_sha256_add(&x.h, t->prefix, t->n_prefix * sizeof *t->prefix);
    lrk_sha256_add(&x.h, "|", 1);
    lrk_sha256_add(&x.h, t->suffix, t->n_suffix * sizeof *t->suffix);
    lrk_sha256_end(&x.h, digest);
    lrk_hex(digest, sizeof digest, t->sha256);
}

static lrk_status build(lrk_tokenizer *t, const lrk_vocab *v, const splitting *s, lrk_err *err)
{
    for (size_t i = 0; i < t->n; i++) {
        LRK_TRY(lrk_tokenizer_set(t, i, v->tokens[i].data, v->tokens[i].n, "tokenizer.ggml.tokens",
                                  err));
        if (v->types) LRK_TRY(flags_of(v->types[i], i, &t->flags[i], err));
    }
    LRK_TRY(lrk_tokenizer_index(t, err));
    LRK_TRY(add_merges(t, v, err));
    t->byte_level = true;
    t->ignore_merges = s->ignore_merges;
    if (s->nfc) t->before[t->n_before++].kind = LRK_TRANSFORM_NFC;
    for (size_t i = 0; i < s->n; i++) t->split[t->n_splits++] = &lrk_patterns[s->split[i]];
    const bool add_bos = v->add_bos < 0 ? s->add_bos : v->add_bos > 0;
    LRK_TRY(set_specials(t, v, add_bos, v->add_eos > 0, err));
    if (v->chat_template) {
        t->chat_template = lrk_strdup(&t->arena, v->chat_template);
        LRK_REQUIRE(err, t->chat_template, LRK_ENOMEM, "chat template: out of memory");
    }
    identify(t, v);
    return lrk_tokenizer_finish(t, err);
}

lrk_status lrk_tokenizer_from_vocab(lrk_tokenizer **out, const lrk_vocab *v, lrk_err *err)
{
    const splitting *s = NULL;
    lrk_tokenizer *t = NULL;
    lrk_status status = find_splitting(v, &s, err);
    if (status == LRK_OK) status = lrk_tokenizer_new(&t, v->n_tokens, err);
    if (status == LRK_OK) status = build(t, v, s, err);
    if (status != LRK_OK) {
        lrk_tokenizer_free(t);
        return lrk_err_prefix(err, status, "%s", v->where);
    }
    *out = t;
    return LRK_OK;
}
