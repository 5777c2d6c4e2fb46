/* data/tokenizer/json_parts.c -- normalizer, post-processor and decoder of a tokenizer.json. */
#include "data/tokenizer/json_parts.h"

#include <string.h>

#define META "\xe2\x96\x81" /* U+2581 */

lrk_status lrk_json_only(const lrk_json *object, const char *known, const char *where, lrk_err *err)
{
    for (void *i = lrk_json_begin(object); i; i = lrk_json_next(object, i)) {
        size_t n, length;
        const char *key = lrk_json_key(i, &n), *word = known;
        for (; *word; word += length + (word[length] == ' ')) {
            length = strcspn(word, " ");
            if (length == n && memcmp(word, key, n) == 0) break;
        }
        LRK_REQUIRE(err, *word, LRK_ESUPPORT, "%s.%s: this member is not known", where, key);
    }
    return LRK_OK;
}

lrk_status lrk_json_part(const lrk_json *v, const char *where, const char *const *kinds,
                         const char **type, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_json_is(v, LRK_JSON_OBJECT), LRK_EINPUT, "%s: expected an object", where);
    *type = lrk_json_string(lrk_json_get(v, "type"), NULL);
    LRK_REQUIRE(err, *type, LRK_EINPUT, "%s.type: missing, or not a string", where);
    for (; *kinds; kinds++) {
        const size_t n = strcspn(*kinds, " ");
        if (strlen(*type) != n || memcmp(*kinds, *type, n) != 0) continue;
        lrk_buf known = {.n = 0};
        lrk_buf_printf(&known, "type %s", *kinds + n + ((*kinds)[n] == ' '));
        lrk_status status = lrk_buf_check(&known, err);
        if (status == LRK_OK) status = lrk_json_only(v, known.data, where, err);
        lrk_buf_free(&known);
        return status;
    }
    return lrk_fail(err, LRK_ESUPPORT, "%s.type: '%s' is not known", where, *type);
}

lrk_status lrk_json_text(lrk_tokenizer *t, const lrk_json *v, const char *key, const char *where,
                         lrk_piece *out, lrk_err *err)
{
    size_t n = 0;
    const char *s = lrk_json_string(lrk_json_get(v, key), &n);
    LRK_REQUIRE(err, s, LRK_EINPUT, "%s.%s: missing, or not a string", where, key);
    LRK_REQUIRE(err, n <= LRK_MAX_TOKEN_BYTES, LRK_EINPUT, "%s.%s: %zu bytes, at most %d", where,
                key, n, LRK_MAX_TOKEN_BYTES);
    return lrk_tokenizer_copy(t, s, n, out, err);
}

lrk_status lrk_json_each(lrk_tokenizer *t, const lrk_json *v, const char *list, const char *where,
                         lrk_json_step step, lrk_err *err)
{
    const char *type = lrk_json_string(lrk_json_get(v, "type"), NULL);
    if (!type || strcmp(type, "Sequence") != 0) return step(t, v, err);
    const lrk_json *members = lrk_json_get(v, list);
    LRK_REQUIRE(err, lrk_json_is(members, LRK_JSON_ARRAY), LRK_EINPUT,
                "%s.%s: missing, or not an array", where, list);
    for (size_t i = 0; i < lrk_json_size(members); i++)
        LRK_TRY(step(t, lrk_json_at(members, i), err));
    return LRK_OK;
}

/* {"pattern": {"String": from}, "content": to}; the regular expression of two blanks or more is
 * known where `runs` is given. */
static lrk_status replacement(lrk_tokenizer *t, const lrk_json *v, const char *where,
                              lrk_piece *from, lrk_piece *to, bool *runs, lrk_err *err)
{
    const lrk_json *pattern = lrk_json_get(v, "pattern");
    const char *regex = lrk_json_string(lrk_json_get(pattern, "Regex"), NULL);
    if (runs && regex && strcmp(regex, " {2,}") == 0) {
        *runs = true;
        *from = (lrk_piece){" ", 1};
        return lrk_json_text(t, v, "content", where, to, err);
    }
    LRK_REQUIRE(err, !regex, LRK_ESUPPORT,
                "%s.pattern: replacing by the regular expression '%s' is not known", where, regex);
    LRK_TRY(lrk_json_text(t, pattern, "String", where, from, err));
    LRK_REQUIRE(err, from->n, LRK_EINPUT, "%s.pattern.String: is empty", where);
    return lrk_json_text(t, v, "content", where, to, err);
}

/* ---- normalizer ---- */

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static lrk_status charsmap(lrk_tokenizer *t, const lrk_json *v, const lrk_charsmap **out,
                           lrk_err *err)
{
    size_t n = 0, made = 0;
    const char *s = lrk_json_string(lrk_json_get(v, "precompiled_charsmap"), &n);
    LRK_REQUIRE(err, s, LRK_EINPUT, "normalizer.precompiled_charsmap: missing, or not a string");
    char *bytes = lrk_heap_alloc(n + 1, 1);
    LRK_REQUIRE(err, bytes, LRK_ENOMEM, "normalizer.precompiled_charsmap: out of memory");
    while (n && s[n - 1] == '=') n--;
    unsigned held = 0, bits = 0;
    size_t i = 0;
    for (; i < n && base64_digit(s[i]) >= 0; i++) {
        held = (held << 6 | (unsigned)base64_digit(s[i])) & 0xffff;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        bytes[made++] = (char)(held >> bits);
    }
    lrk_charsmap *map = NULL;
    const lrk_status status =
        i == n ? lrk_charsmap_make(&map, &t->arena, bytes, made, err)
               : lrk_fail(err, LRK_EINPUT,
                          "normalizer.precompiled_charsmap: byte %zu is not base64", i);
    lrk_heap_free(bytes);
    *out = map;
    return status;
}

static lrk_status normalizer_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    static const char *const kinds[] = {"NFC",
                                        "NFD",
                                        "NFKC",
                                        "NFKD",
                                        "Lowercase",
                                        "StripAccents",
                                        "Strip strip_left strip_right",
                                        "Prepend prepend",
                                        "Replace pattern content",
                                        "Precompiled precompiled_charsmap",
                                        NULL};
    static const char where[] = "normalizer";
    lrk_transform f = {.kind = LRK_TRANSFORM_NFC};
    const char *type;
    bool runs = false;
    LRK_TRY(lrk_json_part(v, where, kinds, &type, err));
    if (strcmp(type, "NFD") == 0) f.kind = LRK_TRANSFORM_NFD;
    if (strcmp(type, "NFKC") == 0) f.kind = LRK_TRANSFORM_NFKC;
    if (strcmp(type, "NFKD") == 0) f.kind = LRK_TRANSFORM_NFKD;
    if (strcmp(type, "Lowercase") == 0) f.kind = LRK_TRANSFORM_LOWERCASE;
    if (strcmp(type, "StripAccents") == 0) f.kind = LRK_TRANSFORM_STRIP_ACCENTS;
    if (strcmp(type, "Strip") == 0) {
        f.kind = LRK_TRANSFORM_STRIP;
        LRK_TRY(lrk_json_opt_bool(v, "strip_left", &f.left, where, err));
        LRK_TRY(lrk_json_opt_bool(v, "strip_right", &f.right, where, err));
    } else if (strcmp(type, "Prepend") == 0) {
        f.kind = LRK_TRANSFORM_PREPEND;
        LRK_TRY(lrk_json_text(t, v, "prepend", where, &f.to, err));
    } else if (strcmp(type, "Replace") == 0) {
        LRK_TRY(replacement(t, v, where, &f.from, &f.to, &runs, err));
        f.kind = runs ? LRK_TRANSFORM_REPLACE_RUNS : LRK_TRANSFORM_REPLACE;
    } else if (strcmp(type, "Precompiled") == 0) {
        f.kind = LRK_TRANSFORM_CHARSMAP;
        LRK_TRY(charsmap(t, v, &f.map, err));
    }
    LRK_REQUIRE(err, t->n_before < LRK_MAX_STAGES, LRK_ESUPPORT, "%s: more than %d steps", where,
                LRK_MAX_STAGES);
    t->before[t->n_before++] = f;
    return LRK_OK;
}

lrk_status lrk_json_normalizer(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    return lrk_json_absent(v)
               ? LRK_OK
               : lrk_json_each(t, v, "normalizers", "normalizer", normalizer_step, err);
}

/* ---- post-processor ---- */

/* The ids of a SpecialToken piece, appended to what stands before or behind the text. */
static lrk_status template_token(lrk_tokenizer *t, const lrk_json *v, const char *name,
                                 uint32_t *list, size_t *n, lrk_err *err)
{
    const lrk_json *ids =
        lrk_json_get(lrk_json_get(lrk_json_get(v, "special_tokens"), name), "ids");
    LRK_REQUIRE(err, lrk_json_is(ids, LRK_JSON_ARRAY), LRK_EINPUT,
                "post_processor.special_tokens.%s.ids: missing, or not an array", name);
    for (size_t i = 0; i < lrk_json_size(ids); i++) {
        const lrk_json *id = lrk_json_at(ids, i);
        LRK_REQUIRE(
            err,
            lrk_json_is(id, LRK_JSON_INTEGER) && lrk_json_integer(id) >= 0 &&
                (uint64_t)lrk_json_integer(id) < t->n,
            LRK_EINPUT,
            "post_processor.special_tokens.%s.ids: expected ids inside the vocabulary of %zu", name,
            t->n);
        LRK_REQUIRE(err, *n < LRK_MAX_STAGES, LRK_ESUPPORT,
                    "post_processor.single: more than %d ids", LRK_MAX_STAGES);
        list[(*n)++] = (uint32_t)lrk_json_integer(id);
    }
    return LRK_OK;
}

/* ["text", id] of RobertaProcessing and BertProcessing. */
static lrk_status text_and_id(lrk_tokenizer *t, const lrk_json *v, const char *key, uint32_t *list,
                              size_t *n, lrk_err *err)
{
    const lrk_json *pair = lrk_json_get(v, key), *id = lrk_json_at(pair, 1);
    LRK_REQUIRE(err,
                lrk_json_is(id, LRK_JSON_INTEGER) && lrk_json_integer(id) >= 0 &&
                    (uint64_t)lrk_json_integer(id) < t->n,
                LRK_EINPUT, "post_processor.%s: expected a text and an id of the vocabulary", key);
    list[(*n)++] = (uint32_t)lrk_json_integer(id);
    return LRK_OK;
}

static lrk_status post_processor_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    /* Real files carry members of ByteLevel in a TemplateProcessing: nobody reads them there. */
    static const char *const kinds[] = {
        "ByteLevel add_prefix_space trim_offsets use_regex",
        "TemplateProcessing single pair special_tokens add_prefix_space trim_offsets use_regex",
        "RobertaProcessing sep cls trim_offsets add_prefix_space", "BertProcessing sep cls", NULL};
    const char *type;
    LRK_TRY(lrk_json_part(v, "post_processor", kinds, &type, err));
    if (strcmp(type, "ByteLevel") == 0) return LRK_OK;
    LRK_REQUIRE(err, !t->n_prefix && !t->n_suffix, LRK_ESUPPORT,
                "post_processor: more than one that adds tokens is not known");
    if (strcmp(type, "TemplateProcessing") != 0) {
        LRK_TRY(text_and_id(t, v, "cls", t->prefix, &t->n_prefix, err));
        return text_and_id(t, v, "sep", t->suffix, &t->n_suffix, err);
    }
    const lrk_json *single = lrk_json_get(v, "single");
    LRK_REQUIRE(err, lrk_json_is(single, LRK_JSON_ARRAY), LRK_EINPUT,
                "post_processor.single: missing, or not an array");
    bool text = false;
    for (size_t i = 0; i < lrk_json_size(single); i++) {
        const lrk_json *piece = lrk_json_at(single, i);
        const char *sequence =
            lrk_json_string(lrk_json_get(lrk_json_get(piece, "Sequence"), "id"), NULL);
        const char *name =
            lrk_json_string(lrk_json_get(lrk_json_get(piece, "SpecialToken"), "id"), NULL);
        if (sequence) {
            LRK_REQUIRE(err, !text && strcmp(sequence, "A") == 0, LRK_ESUPPORT,
                        "post_processor.single: expected the sequence A once");
            text = true;
            continue;
        }
        LRK_REQUIRE(err, name, LRK_EINPUT,
                    "post_processor.single: expected objects SpecialToken or Sequence");
        LRK_TRY(text ? template_token(t, v, name, t->suffix, &t->n_suffix, err)
                     : template_token(t, v, name, t->prefix, &t->n_prefix, err));
    }
    LRK_REQUIRE(err, text, LRK_ESUPPORT, "post_processor.single: expected the sequence A once");
    return LRK_OK;
}

lrk_status lrk_json_post_processor(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    return lrk_json_absent(v)
               ? LRK_OK
               : lrk_json_each(t, v, "processors", "post_processor", post_processor_step, err);
}

/* ---- decoder ---- */

static lrk_status strip_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    size_t start = 0, stop = 0;
    const char *content = lrk_json_string(lrk_json_get(v, "content"), NULL);
    LRK_TRY(lrk_json_opt_size(v, "start", 0, 1, &start, "decoder", err));
    LRK_TRY(lrk_json_opt_size(v, "stop", 0, 1, &stop, "decoder", err));
    LRK_REQUIRE(err, content && strcmp(content, " ") == 0 && stop == 0, LRK_ESUPPORT,
                "decoder: only a Strip of one blank at the beginning is known");
    t->decode_strip = start == 1;
    return LRK_OK;
}

/* The tokens' own U+2581 are blanks; those of the first token go, unless nothing was prepended. */
static lrk_status metaspace_decoder(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    bool prefix = true;
    const char *scheme = NULL;
    LRK_TRY(lrk_json_text(t, v, "replacement", "decoder", &t->decode_from, err));
    LRK_TRY(lrk_json_opt_bool(v, "add_prefix_space", &prefix, "decoder", err));
    LRK_TRY(lrk_json_opt_string(v, "prepend_scheme", &scheme, "decoder", err));
    LRK_REQUIRE(err, strcmp(t->decode_from.data, META) == 0, LRK_ESUPPORT,
                "decoder: Metaspace with replacement '%s' is not known", t->decode_from.data);
    t->decode_to = (lrk_piece){" ", 1};
    t->decode_drop = scheme ? strcmp(scheme, "never") != 0 : prefix;
    return LRK_OK;
}

/* A decoder is a ByteLevel, a Metaspace with a ByteFallback before it or none, or a Replace, a
 * ByteFallback, a Fuse and a Strip, in this order, each or none. */
lrk_status lrk_json_decoder(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    static const char *const kinds[] = {
        "Replace pattern content",
        "ByteFallback",
        "Metaspace replacement prepend_scheme split add_prefix_space str_rep",
        "Fuse",
        "Strip content start stop",
        "ByteLevel add_prefix_space trim_offsets use_regex",
        NULL};
    enum { REPLACE, FALLBACK, META_SPACE, FUSE, STRIP, BYTE_LEVEL };
    LRK_REQUIRE(err, !lrk_json_absent(v), LRK_ESUPPORT,
                "decoder: a tokenizer without one is not known");
    const lrk_json *list = lrk_json_get(v, "decoders");
    const size_t n = list ? lrk_json_size(list) : 1;
    LRK_REQUIRE(err, !list || lrk_json_is(list, LRK_JSON_ARRAY), LRK_EINPUT,
                "decoder.decoders: expected an array");
    int before = -1;
    for (size_t i = 0; i < n; i++) {
        const lrk_json *step = list ? lrk_json_at(list, i) : v;
        const char *type;
        LRK_TRY(lrk_json_part(step, "decoder", kinds, &type, err));
        int k = 0;
        while (strncmp(kinds[k], type, strlen(type)) != 0) k++;
        LRK_REQUIRE(err,
                    k > before && (k != STRIP || before == FUSE) && (k != BYTE_LEVEL || n == 1) &&
                        (k != META_SPACE || !t->decode_from.n) && (k != STRIP || !t->decode_drop) &&
                        (k == BYTE_LEVEL) == t->byte_level,
                    LRK_ESUPPORT, "decoder: %s is not known in this place", type);
        before = k;
        if (k == REPLACE)
            LRK_TRY(replacement(t, step, "decoder", &t->decode_from, &t->decode_to, NULL, err));
        if (k == FALLBACK) t->decode_bytes = true;
        if (k == META_SPACE) LRK_TRY(metaspace_decoder(t, step, err));
        if (k == STRIP) LRK_TRY(strip_step(t, step, err));
    }
    return LRK_OK;
}
