/* data/tokenizer/to_json.c -- a tokenizer as the text of a tokenizer.json.
 *
 * Written from what a tokenizer does, not from the file it came from: steps have the spelling that
 * from_json.c reads as the same. What only some spelling of a file leads to is refused.
 */
#include "data/tokenizer/internal.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct output {
    const lrk_tokenizer *t;
    lrk_buf *b;
} output;

static lrk_status no_spelling(const char *what, lrk_err *err)
{
    return lrk_fail(err, LRK_ESUPPORT, "tokenizer.json cannot be written: %s", what);
}

static void quote(const output *o, lrk_piece p) { lrk_json_quote(o->b, p.data, p.n); }

static const char *truth(bool b) { return b ? "true" : "false"; }

static void put_added(const output *o)
{
    const char *comma = "";
    lrk_buf_puts(o->b, "  \"added_tokens\": [");
    for (size_t id = 0; id < o->t->n; id++) {
        const unsigned f = o->t->flags[id];
        if (!(f & LRK_IS_ADDED)) continue;
        lrk_buf_printf(o->b, "%s\n    {\"id\": %zu, \"content\": ", comma, id);
        quote(o, o->t->text[id]);
        lrk_buf_printf(o->b,
                       ", \"single_word\": %s, \"lstrip\": %s, \"rstrip\": %s, \"normalized\": %s, "
                       "\"special\": %s}",
                       truth(f & LRK_IS_SINGLE_WORD), truth(f & LRK_IS_LSTRIP),
                       truth(f & LRK_IS_RSTRIP), truth(f & LRK_IS_NORMALIZED),
                       truth(f & LRK_IS_SPECIAL));
        comma = ",";
    }
    lrk_buf_puts(o->b, "\n  ],\n");
}

/* ---- normalizer ---- */

static void put_base64(lrk_buf *b, const unsigned char *s, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        const unsigned one = s[i], two = i + 1 < n ? s[i + 1] : 0, three = i + 2 < n ? s[i + 2] : 0;
        const unsigned bits = one << 16 | two << 8 | three;
        const char four[5] = {digit[bits >> 18], digit[bits >> 12 & 63],
                              i + 1 < n ? digit[bits >> 6 & 63] : '=',
                              i + 2 < n ? digit[bits & 63] : '=', '\0'};
        lrk_buf_puts(b, four);
    }
}

static void put_charsmap(const output *o, const lrk_charsmap *map)
{
    lrk_buf bytes = {.n = 0};
    const size_t trie = 4 * map->n_units;
    for (size_t i = 0; i < 4 + trie; i++) {
        const size_t word = i < 4 ? trie : map->unit[i / 4 - 1];
        const unsigned char byte = (unsigned char)(word >> (8 * (i % 4)));
        lrk_buf_append(&bytes, &byte, 1);
    }
    lrk_buf_append(&bytes, map->text, map->n_text);
    lrk_buf_puts(o->b, "{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"");
    if (bytes.failed)
        o->b->failed = true;
    else
        put_base64(o->b, (const unsigned char *)bytes.data, bytes.n);
    lrk_buf_puts(o->b, "\"}");
    lrk_buf_free(&bytes);
}

static lrk_status put_transform(const output *o, const lrk_transform *f, lrk_err *err)
{
    static const char *const plain[] = {[LRK_TRANSFORM_NFC] = "NFC",
                                        [LRK_TRANSFORM_NFD] = "NFD",
                                        [LRK_TRANSFORM_NFKC] = "NFKC",
                                        [LRK_TRANSFORM_NFKD] = "NFKD",
                                        [LRK_TRANSFORM_LOWERCASE] = "Lowercase",
                                        [LRK_TRANSFORM_STRIP_ACCENTS] = "StripAccents"};
    switch (f->kind) {
    case LRK_TRANSFORM_STRIP:
        lrk_buf_printf(o->b, "{\"type\": \"Strip\", \"strip_left\": %s, \"strip_right\": %s}",
                       truth(f->left), truth(f->right));
        return LRK_OK;
    case LRK_TRANSFORM_PREPEND:
        lrk_buf_puts(o->b, "{\"type\": \"Prepend\", \"prepend\": ");
        break;
    case LRK_TRANSFORM_REPLACE:
        lrk_buf_puts(o->b, "{\"type\": \"Replace\", \"pattern\": {\"String\": ");
        quote(o, f->from);
        lrk_buf_puts(o->b, "}, \"content\": ");
        break;
    case LRK_TRANSFORM_REPLACE_RUNS:
        lrk_buf_puts(o->b, "{\"type\": \"Replace\", \"pattern\": {\"Regex\": \" {2,}\"}, "
                           "\"content\": ");
        break;
    case LRK_TRANSFORM_CHARSMAP:
        put_charsmap(o, f->map);
        return LRK_OK;
    case LRK_TRANSFORM_PREPEND_ONCE:
    case LRK_TRANSFORM_PREPEND_FIRST:
        return no_spelling("a prefix among the steps of the normalizer", err);
    default:
        lrk_buf_printf(o->b, "{\"type\": \"%s\"}", plain[f->kind]);
        return LRK_OK;
    }
    quote(o, f->to);
    lrk_buf_puts(o->b, "}");
    return LRK_OK;
}

/* How many transforms at the end of the normalizer are a Metaspace that does not split: blanks
 * become U+2581, and one goes in front of the first text. */
static size_t metaspace_behind(const lrk_tokenizer *t)
{
    const size_t n = t->n_before;
    return n >= 2 && t->before[n - 1].kind == LRK_TRANSFORM_PREPEND_FIRST && !t->n_steps ? 2 : 0;
}

static lrk_status put_normalizer(const output *o, lrk_err *err)
{
    const size_t n = o->t->n_before - metaspace_behind(o->t);
    if (n == 0) {
        lrk_buf_puts(o->b, "  \"normalizer\": null,\n");
        return LRK_OK;
    }
    lrk_buf_puts(o->b, "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [");
    for (size_t i = 0; i < n; i++) {
        lrk_buf_puts(o->b, i ? ",\n    " : "\n    ");
        LRK_TRY(put_transform(o, &o->t->before[i], err));
    }
    lrk_buf_puts(o->b, "\n  ]},\n");
    return LRK_OK;
}

/* ---- pre-tokenizer ---- */

static const char *const behaviors[] = {[LRK_ISOLATED] = "Isolated",
                                        [LRK_REMOVED] = "Removed",
                                        [LRK_MERGED_PREVIOUS] = "MergedWithPrevious",
                                        [LRK_MERGED_NEXT] = "MergedWithNext",
                                        [LRK_CONTIGUOUS] = "Contiguous"};

static const char byte_level[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                                 "\"trim_offsets\": true, \"use_regex\": false}";

static lrk_status put_split(const output *o, const lrk_split *s, lrk_err *err)
{
    const char *text = s->literal ? NULL : lrk_patterns[s->pattern].text;
    if (text || s->literal) {
        const lrk_piece p =
            text ? (lrk_piece){text, strlen(text)} : (lrk_piece){s->literal, s->n_literal};
        lrk_buf_printf(o->b,
                       "{\"type\": \"Split\", \"pattern\": {\"%s\": ", text ? "Regex" : "String");
        quote(o, p);
        lrk_buf_printf(o->b, "}, \"behavior\": \"%s\", \"invert\": %s}", behaviors[s->behavior],
                       truth(s->invert));
        return LRK_OK;
    }
    const bool isolated = s->behavior == LRK_ISOLATED && !s->invert;
    if (s->pattern == LRK_PATTERN_PUNCTUATION && !s->invert)
        lrk_buf_printf(o->b, "{\"type\": \"Punctuation\", \"behavior\": \"%s\"}",
                       behaviors[s->behavior]);
    else if ((s->pattern == LRK_PATTERN_DIGIT || s->pattern == LRK_PATTERN_DIGITS) && isolated)
        lrk_buf_printf(o->b, "{\"type\": \"Digits\", \"individual_digits\": %s}",
                       truth(s->pattern == LRK_PATTERN_DIGIT));
    else if (s->pattern == LRK_PATTERN_WORDS && s->behavior == LRK_REMOVED && s->invert)
        lrk_buf_puts(o->b, "{\"type\": \"Whitespace\"}");
    else if (s->pattern == LRK_PATTERN_ONE_SPACE && s->behavior == LRK_REMOVED && !s->invert)
        lrk_buf_puts(o->b, "{\"type\": \"WhitespaceSplit\"}");
    else
        return no_spelling("a step of the pre_tokenizer", err);
    return LRK_OK;
}

static void put_metaspace(const output *o, const char *scheme, bool split)
{
    lrk_buf_printf(o->b,
                   "{\"type\": \"Metaspace\", \"replacement\": \"\xe2\x96\x81\", "
                   "\"prepend_scheme\": \"%s\", \"split\": %s}",
                   scheme, truth(split));
}

/* Steps from i on that make a Metaspace: blanks replaced, a prefix perhaps, a split perhaps. Their
 * number. */
static size_t try_metaspace(const output *o, size_t i)
{
    const lrk_step *s = &o->t->step[i];
    const size_t left = o->t->n_steps - i;
    size_t n = 1;
    const char *scheme = "never";
    if (left > 1 && !s[1].splits) {
        scheme = s[1].transform.kind == LRK_TRANSFORM_PREPEND_FIRST ? "first" : "always";
        n++;
    }
    const bool split = n < left && s[n].splits && s[n].split.pattern == LRK_PATTERN_METASPACE &&
                       !s[n].split.literal;
    put_metaspace(o, scheme, split);
    return n + split;
}

static lrk_status put_steps(const output *o, lrk_err *err)
{
    const lrk_tokenizer *t = o->t;
    bool spelled = false;
    for (size_t i = 0; i < t->n_steps;) {
        const lrk_step *s = &t->step[i];
        if (i) lrk_buf_puts(o->b, ",\n    ");
        if (s->splits && s->split.spelled && !spelled) {
            lrk_buf_printf(o->b, "%s,\n    ", byte_level);
            spelled = true;
        }
        if (s->splits) {
            LRK_TRY(put_split(o, &s->split, err));
            i++;
        } else if (s->transform.kind == LRK_TRANSFORM_REPLACE) {
            i += try_metaspace(o, i);
        } else {
            return no_spelling("a step of the pre_tokenizer that changes the text", err);
        }
    }
    if (t->byte_level && !spelled)
        lrk_buf_printf(o->b, "%s%s", t->n_steps ? ",\n    " : "", byte_level);
    return LRK_OK;
}

static lrk_status put_pre_tokenizer(const output *o, lrk_err *err)
{
    if (metaspace_behind(o->t)) {
        lrk_buf_puts(o->b, "  \"pre_tokenizer\": ");
        put_metaspace(o, "first", false);
        lrk_buf_puts(o->b, ",\n");
        return LRK_OK;
    }
    if (!o->t->n_steps && !o->t->byte_level) {
        lrk_buf_puts(o->b, "  \"pre_tokenizer\": null,\n");
        return LRK_OK;
    }
    lrk_buf_puts(o->b, "  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n    ");
    LRK_TRY(put_steps(o, err));
    lrk_buf_puts(o->b, "\n  ]},\n");
    return LRK_OK;
}

/* ---- post-processor, decoder ---- */

static void put_ids(const output *o, const uint32_t *id, size_t n, const char **comma)
{
    for (size_t i = 0; i < n; i++) {
        lrk_buf_printf(o->b, "%s{\"SpecialToken\": {\"id\": ", *comma);
        quote(o, o->t->text[id[i]]);
        lrk_buf_puts(o->b, ", \"type_id\": 0}}");
        *comma = ", ";
    }
}

static void put_template(const output *o, const char *second)
{
    const char *comma = "";
    put_ids(o, o->t->prefix, o->t->n_prefix, &comma);
    lrk_buf_printf(o->b, "%s{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}", comma);
    comma = ", ";
    put_ids(o, o->t->suffix, o->t->n_suffix, &comma);
    lrk_buf_puts(o->b, second);
}

static void put_special(const output *o, uint32_t id, const char *comma)
{
    lrk_buf_puts(o->b, comma);
    quote(o, o->t->text[id]);
    lrk_buf_puts(o->b, ": {\"id\": ");
    quote(o, o->t->text[id]);
    lrk_buf_printf(o->b, ", \"ids\": [%u], \"tokens\": [", (unsigned)id);
    quote(o, o->t->text[id]);
    lrk_buf_puts(o->b, "]}");
}

static bool listed(const uint32_t *id, size_t n, uint32_t wanted)
{
    for (size_t i = 0; i < n; i++)
        if (id[i] == wanted) return true;
    return false;
}

static void put_post_processor(const output *o)
{
    const lrk_tokenizer *t = o->t;
    const char *comma = "";
    if (!t->n_prefix && !t->n_suffix) {
        lrk_buf_puts(o->b, "  \"post_processor\": null,\n");
        return;
    }
    lrk_buf_puts(o->b,
                 "  \"post_processor\": {\"type\": \"TemplateProcessing\",\n    \"single\": [");
    put_template(o, "],\n    \"pair\": [");
    put_template(o,
                 ", {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}],\n    \"special_tokens\": {");
    for (size_t i = 0; i < t->n_prefix; i++, comma = ", ")
        if (!listed(t->prefix, i, t->prefix[i])) put_special(o, t->prefix[i], comma);
    for (size_t i = 0; i < t->n_suffix; i++)
        if (!listed(t->prefix, t->n_prefix, t->suffix[i]) && !listed(t->suffix, i, t->suffix[i])) {
            put_special(o, t->suffix[i], comma);
            comma = ", ";
        }
    lrk_buf_puts(o->b, "}},\n");
}

static void put_decoder(const output *o)
{
    const lrk_tokenizer *t = o->t;
    if (t->byte_level) {
        lrk_buf_puts(o->b, "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
                           "\"trim_offsets\": true, \"use_regex\": true},\n");
        return;
    }
    const char *fallback = t->decode_bytes ? "{\"type\": \"ByteFallback\"}, " : "";
    lrk_buf_puts(o->b, "  \"decoder\": {\"type\": \"Sequence\", \"decoders\": [");
    if (t->score) {
        lrk_buf_puts(o->b, fallback);
        put_metaspace(o, t->decode_drop ? "always" : "never", true);
    } else {
        if (t->decode_from.n) {
            lrk_buf_puts(o->b, "{\"type\": \"Replace\", \"pattern\": {\"String\": ");
            quote(o, t->decode_from);
            lrk_buf_puts(o->b, "}, \"content\": ");
            quote(o, t->decode_to);
            lrk_buf_puts(o->b, "}, ");
        }
        lrk_buf_printf(o->b, "%s{\"type\": \"Fuse\"}", fallback);
        if (t->decode_strip)
            lrk_buf_puts(o->b, ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, "
                               "\"stop\": 0}");
    }
    lrk_buf_puts(o->b, "]},\n");
}

/* ---- model ---- */

static int by_rank(const void *a, const void *b)
{
    const lrk_merge *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static lrk_status put_merges(const output *o, lrk_err *err)
{
    const lrk_merges *m = &o->t->merges;
    const size_t slots = m->slot ? m->mask + 1 : 0;
    size_t n = 0;
    lrk_merge *list = lrk_heap_alloc(slots ? slots : 1, sizeof *list);
    LRK_REQUIRE(err, list, LRK_ENOMEM, "merges: out of memory");
    for (size_t i = 0; i < slots; i++)
        if (m->slot[i].id != UINT32_MAX) list[n++] = m->slot[i];
    if (n) qsort(list, n, sizeof *list, by_rank);
    lrk_buf_puts(o->b, ",\n    \"merges\": [");
    for (size_t i = 0; i < n; i++) {
        lrk_buf_puts(o->b, i ? ",\n      [" : "\n      [");
        quote(o, o->t->text[list[i].left]);
        lrk_buf_puts(o->b, ", ");
        quote(o, o->t->text[list[i].right]);
        lrk_buf_puts(o->b, "]");
    }
    lrk_buf_puts(o->b, "]");
    lrk_heap_free(list);
    return LRK_OK;
}

/* Tokens but those at the end that stand for rows of an embedding without one (to_vocab.c). */
static size_t count_used(const lrk_tokenizer *t)
{
    size_t n = t->n_model;
    for (char pad[40]; n; n--) {
        snprintf(pad, sizeof pad, "[PAD%zu]", n - 1);
        if (t->flags[n - 1] || !t->text[n - 1].data || strcmp(t->text[n - 1].data, pad) != 0) break;
    }
    return n;
}

static void put_vocabulary(const output *o)
{
    const lrk_tokenizer *t = o->t;
    const char *comma = "";
    lrk_buf_puts(o->b, t->score ? ",\n    \"vocab\": [" : ",\n    \"vocab\": {");
    for (size_t id = 0, n = count_used(t); id < n; id++) {
        if (!t->text[id].data) continue;
        lrk_buf_printf(o->b, t->score ? "%s\n      [" : "%s\n      ", comma);
        quote(o, t->text[id]);
        if (t->score)
            lrk_buf_printf(o->b, ", %.17g]", t->score[id]);
        else
            lrk_buf_printf(o->b, ": %zu", id);
        comma = ",";
    }
    lrk_buf_puts(o->b, t->score ? "]" : "}");
}

static lrk_status put_model(const output *o, lrk_err *err)
{
    const lrk_tokenizer *t = o->t;
    if (t->score) {
        for (size_t i = 0, n = count_used(t); i < n; i++)
            if (isnan(t->score[i]))
                return no_spelling("a Unigram has tokens that are never used", err);
        lrk_buf_printf(o->b,
                       "  \"model\": {\"type\": \"Unigram\", \"unk_id\": %lld, "
                       "\"byte_fallback\": %s",
                       (long long)t->unk, truth(t->byte_fallback));
        put_vocabulary(o);
        return LRK_OK;
    }
    lrk_buf_puts(o->b, "  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": ");
    if (t->unk == LRK_NO_ID)
        lrk_buf_puts(o->b, "null");
    else
        quote(o, t->text[t->unk]);
    lrk_buf_printf(o->b,
                   ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, "
                   "\"fuse_unk\": %s, \"byte_fallback\": %s, \"ignore_merges\": %s",
                   truth(t->fuse_unk), truth(t->byte_fallback), truth(t->ignore_merges));
    put_vocabulary(o);
    return put_merges(o, err);
}

lrk_status lrk_tokenizer_to_json(const lrk_tokenizer *t, lrk_buf *out, lrk_err *err)
{
    const output o = {t, out};
    lrk_buf_puts(out,
                 "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    put_added(&o);
    LRK_TRY(put_normalizer(&o, err));
    LRK_TRY(put_pre_tokenizer(&o, err));
    put_post_processor(&o);
    put_decoder(&o);
    LRK_TRY(put_model(&o, err));
    lrk_buf_puts(out, "}\n}\n");
    return lrk_buf_check(out, err);
}
