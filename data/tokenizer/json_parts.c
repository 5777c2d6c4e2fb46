/* data/tokenizer/json_parts.c -- normalizer, pre-tokenizer, post-processor and decoder of a
 * tokenizer.json. */
#include "data/tokenizer/json_parts.h"

#include <string.h>

#define META "\xe2\x96\x81" /* U+2581 */

static bool absent(const lrk_json *v) { return !v || lrk_json_is(v, LRK_JSON_NULL); }

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

/* The type of a part, whose members must be among those of its kind in `kinds`, a list of "Kind
 * member member ..." that ends with NULL. */
static lrk_status kind_of(const lrk_json *v, const char *where, const char *const *kinds,
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

static lrk_status string_of(lrk_tokenizer *t, const lrk_json *v, const char *key, const char *where,
                            lrk_piece *out, lrk_err *err)
{
    size_t n = 0;
    const char *s = lrk_json_string(lrk_json_get(v, key), &n);
    LRK_REQUIRE(err, s, LRK_EINPUT, "%s.%s: missing, or not a string", where, key);
    LRK_REQUIRE(err, n <= LRK_MAX_TOKEN_BYTES, LRK_EINPUT, "%s.%s: %zu bytes, at most %d", where,
                key, n, LRK_MAX_TOKEN_BYTES);
    return lrk_tokenizer_copy(t, s, n, out, err);
}

static lrk_status transform(lrk_transform *list, size_t *n, lrk_transform f, const char *where,
                            lrk_err *err)
{
    LRK_REQUIRE(err, *n < LRK_MAX_STAGES, LRK_ESUPPORT, "%s: more than %d steps", where,
                LRK_MAX_STAGES);
    list[(*n)++] = f;
    return LRK_OK;
}

static lrk_status split_by(lrk_tokenizer *t, const lrk_pattern *p, const char *where, lrk_err *err)
{
    LRK_REQUIRE(err, t->n_splits < LRK_MAX_STAGES, LRK_ESUPPORT, "%s: more than %d steps", where,
                LRK_MAX_STAGES);
    t->split[t->n_splits++] = p;
    return LRK_OK;
}

/* {"pattern": {"String": from}, "content": to} */
static lrk_status replacement(lrk_tokenizer *t, const lrk_json *v, const char *where,
                              lrk_piece *from, lrk_piece *to, lrk_err *err)
{
    const lrk_json *pattern = lrk_json_get(v, "pattern");
    const char *regex = lrk_json_string(lrk_json_get(pattern, "Regex"), NULL);
    LRK_REQUIRE(err, !regex, LRK_ESUPPORT,
                "%s.pattern: replacing by the regular expression '%s' is not known", where, regex);
    LRK_TRY(string_of(t, pattern, "String", where, from, err));
    LRK_REQUIRE(err, from->n, LRK_EINPUT, "%s.pattern.String: is empty", where);
    return string_of(t, v, "content", where, to, err);
}

/* ---- normalizer ---- */

static lrk_status normalizer_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    static const char *const kinds[] = {"NFC", "Prepend prepend", "Replace pattern content", NULL};
    static const char where[] = "normalizer";
    lrk_transform f = {.kind = LRK_TRANSFORM_NFC};
    const char *type;
    LRK_TRY(kind_of(v, where, kinds, &type, err));
    if (strcmp(type, "Prepend") == 0) {
        f.kind = LRK_TRANSFORM_PREPEND;
        LRK_TRY(string_of(t, v, "prepend", where, &f.to, err));
    } else if (strcmp(type, "Replace") == 0) {
        f.kind = LRK_TRANSFORM_REPLACE;
        LRK_TRY(replacement(t, v, where, &f.from, &f.to, err));
    }
    return transform(t->before, &t->n_before, f, where, err);
}

/* v itself, or the members of v[list] when v is a Sequence. */
static lrk_status each(lrk_tokenizer *t, const lrk_json *v, const char *list, const char *where,
                       lrk_status (*step)(lrk_tokenizer *, const lrk_json *, lrk_err *),
                       lrk_err *err)
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

lrk_status lrk_json_normalizer(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    return absent(v) ? LRK_OK : each(t, v, "normalizers", "normalizer", normalizer_step, err);
}

/* ---- pre-tokenizer ---- */

static lrk_status split_step(lrk_tokenizer *t, const lrk_json *v, const char *where, lrk_err *err)
{
    const lrk_json *pattern = lrk_json_get(v, "pattern");
    const char *regex = lrk_json_string(lrk_json_get(pattern, "Regex"), NULL);
    const char *string = lrk_json_string(lrk_json_get(pattern, "String"), NULL);
    const char *behavior = lrk_json_string(lrk_json_get(v, "behavior"), NULL);
    bool invert = false;
    LRK_REQUIRE(err, (regex || string) && behavior, LRK_EINPUT,
                "%s: a Split needs pattern.Regex or pattern.String, and behavior", where);
    LRK_TRY(lrk_json_opt_bool(v, "invert", &invert, where, err));
    if (string) {
        LRK_REQUIRE(
            err, strcmp(string, " ") == 0 && strcmp(behavior, "MergedWithPrevious") == 0 && !invert,
            LRK_ESUPPORT, "%s: splitting at the string '%s' (%s) is not known", where, string,
            behavior);
        return split_by(t, &lrk_patterns[LRK_PATTERN_BLANK], where, err);
    }
    const lrk_pattern *p = lrk_pattern_find(regex);
    LRK_REQUIRE(err, p, LRK_ESUPPORT, "%s: the pattern '%s' is not known", where, regex);
    const bool isolated = strcmp(behavior, "Isolated") == 0 && !invert;
    const bool matches = strcmp(behavior, "Removed") == 0 && invert && p->whole;
    LRK_REQUIRE(err, isolated || matches, LRK_ESUPPORT,
                "%s: Split behavior '%s'%s is not known, only Isolated is", where, behavior,
                invert ? " with invert" : "");
    return split_by(t, p, where, err);
}

static lrk_status byte_level_step(lrk_tokenizer *t, const lrk_json *v, const char *where,
                                  lrk_err *err)
{
    bool prefix = true, regex = true;
    LRK_TRY(lrk_json_opt_bool(v, "add_prefix_space", &prefix, where, err));
    LRK_TRY(lrk_json_opt_bool(v, "use_regex", &regex, where, err));
    LRK_REQUIRE(err, !prefix || !t->n_splits, LRK_ESUPPORT,
                "%s: ByteLevel with add_prefix_space behind another step is not known", where);
    const lrk_transform f = {.kind = LRK_TRANSFORM_PREPEND_ONCE, .to = {" ", 1}};
    if (prefix) LRK_TRY(transform(t->after, &t->n_after, f, where, err));
    t->byte_level = true;
    return regex ? split_by(t, &lrk_patterns[LRK_PATTERN_GPT2], where, err) : LRK_OK;
}

static lrk_status metaspace_step(lrk_tokenizer *t, const lrk_json *v, const char *where,
                                 lrk_err *err)
{
    bool prefix = true, split = true;
    const char *scheme = NULL;
    lrk_transform blanks = {.kind = LRK_TRANSFORM_REPLACE, .from = {" ", 1}};
    LRK_TRY(string_of(t, v, "replacement", where, &blanks.to, err));
    LRK_TRY(lrk_json_opt_bool(v, "add_prefix_space", &prefix, where, err));
    LRK_TRY(lrk_json_opt_bool(v, "split", &split, where, err));
    LRK_TRY(lrk_json_opt_string(v, "prepend_scheme", &scheme, where, err));
    if (!scheme) scheme = prefix ? "always" : "never";
    LRK_REQUIRE(err, strcmp(blanks.to.data, META) == 0, LRK_ESUPPORT,
                "%s: Metaspace with replacement '%s' is not known", where, blanks.to.data);
    LRK_REQUIRE(err, !t->n_splits, LRK_ESUPPORT, "%s: Metaspace behind another step is not known",
                where);
    LRK_TRY(transform(t->after, &t->n_after, blanks, where, err));
    lrk_transform first = {.kind = LRK_TRANSFORM_PREPEND_ONCE, .to = blanks.to};
    if (strcmp(scheme, "first") == 0)
        first.kind = LRK_TRANSFORM_PREPEND_FIRST;
    else
        LRK_REQUIRE(err, strcmp(scheme, "always") == 0 || strcmp(scheme, "never") == 0,
                    LRK_ESUPPORT, "%s.prepend_scheme: '%s' is not known", where, scheme);
    if (strcmp(scheme, "never") != 0) LRK_TRY(transform(t->after, &t->n_after, first, where, err));
    return split ? split_by(t, &lrk_patterns[LRK_PATTERN_METASPACE], where, err) : LRK_OK;
}

static lrk_status pre_tokenizer_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    static const char *const kinds[] = {
        "ByteLevel add_prefix_space trim_offsets use_regex", "Digits individual_digits",
        "Split pattern behavior invert",
        "Metaspace replacement prepend_scheme split add_prefix_space str_rep", NULL};
    static const char where[] = "pre_tokenizer";
    const char *type;
    LRK_TRY(kind_of(v, where, kinds, &type, err));
    LRK_REQUIRE(err, !t->byte_level, LRK_ESUPPORT, "%s: %s behind ByteLevel is not known", where,
                type);
    if (strcmp(type, "ByteLevel") == 0) return byte_level_step(t, v, where, err);
    if (strcmp(type, "Split") == 0) return split_step(t, v, where, err);
    if (strcmp(type, "Metaspace") == 0) return metaspace_step(t, v, where, err);
    bool individual = false;
    LRK_TRY(lrk_json_opt_bool(v, "individual_digits", &individual, where, err));
    const lrk_pattern_id id = individual ? LRK_PATTERN_DIGIT : LRK_PATTERN_DIGITS;
    return split_by(t, &lrk_patterns[id], where, err);
}

lrk_status lrk_json_pre_tokenizer(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    return absent(v) ? LRK_OK
                     : each(t, v, "pretokenizers", "pre_tokenizer", pre_tokenizer_step, err);
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

static lrk_status post_processor_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    static const char *const kinds[] = {"ByteLevel add_prefix_space trim_offsets use_regex",
                                        "TemplateProcessing single pair special_tokens", NULL};
    const char *type;
    LRK_TRY(kind_of(v, "post_processor", kinds, &type, err));
    if (strcmp(type, "ByteLevel") == 0) return LRK_OK;
    LRK_REQUIRE(err, !t->n_prefix && !t->n_suffix, LRK_ESUPPORT,
                "post_processor: more than one TemplateProcessing is not known");
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
    return absent(v) ? LRK_OK
                     : each(t, v, "processors", "post_processor", post_processor_step, err);
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

/* A decoder is a Replace, a ByteFallback, a Fuse and a Strip, in this order, each or none. */
lrk_status lrk_json_decoder(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    static const char *const kinds[] = {"Replace pattern content",
                                        "ByteFallback",
                                        "Fuse",
                                        "Strip content start stop",
                                        "ByteLevel add_prefix_space trim_offsets use_regex",
                                        NULL};
    enum { REPLACE, FALLBACK, FUSE, STRIP, BYTE_LEVEL };
    LRK_REQUIRE(err, !absent(v), LRK_ESUPPORT, "decoder: a tokenizer without one is not known");
    const lrk_json *list = lrk_json_get(v, "decoders");
    const size_t n = list ? lrk_json_size(list) : 1;
    LRK_REQUIRE(err, !list || lrk_json_is(list, LRK_JSON_ARRAY), LRK_EINPUT,
                "decoder.decoders: expected an array");
    int before = -1;
    for (size_t i = 0; i < n; i++) {
        const lrk_json *step = list ? lrk_json_at(list, i) : v;
        const char *type;
        LRK_TRY(kind_of(step, "decoder", kinds, &type, err));
        int k = 0;
        while (strncmp(kinds[k], type, strlen(type)) != 0) k++;
        LRK_REQUIRE(err,
                    k > before && (k != STRIP || before == FUSE) && (k != BYTE_LEVEL || n == 1) &&
                        (k == BYTE_LEVEL) == t->byte_level,
                    LRK_ESUPPORT, "decoder: %s is not known in this place", type);
        before = k;
        if (k == REPLACE)
            LRK_TRY(replacement(t, step, "decoder", &t->decode_from, &t->decode_to, err));
        if (k == FALLBACK) t->decode_bytes = true;
        if (k == STRIP) LRK_TRY(strip_step(t, step, err));
    }
    return LRK_OK;
}
