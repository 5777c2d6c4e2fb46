/* data/tokenizer/json_pre.c -- the pre-tokenizer of a tokenizer.json. */
#include "data/tokenizer/json_parts.h"

#include <string.h>

#define META "\xe2\x96\x81" /* U+2581 */

static const char where[] = "pre_tokenizer";

static lrk_status add_step(lrk_tokenizer *t, lrk_step step, lrk_err *err)
{
    step.split.spelled = t->byte_level;
    return lrk_tokenizer_step(t, step, where, err);
}

static lrk_status split_by(lrk_tokenizer *t, lrk_pattern_id pattern, lrk_behavior behavior,
                           lrk_err *err)
{
    return add_step(
        t, (lrk_step){.splits = true, .split = {.pattern = pattern, .behavior = behavior}}, err);
}

static lrk_status transform_by(lrk_tokenizer *t, lrk_transform f, lrk_err *err)
{
    return add_step(t, (lrk_step){.transform = f}, err);
}

static lrk_status behavior_of(const lrk_json *v, lrk_behavior *out, lrk_err *err)
{
    static const char *const names[] = {[LRK_ISOLATED] = "Isolated",
                                        [LRK_REMOVED] = "Removed",
                                        [LRK_MERGED_PREVIOUS] = "MergedWithPrevious",
                                        [LRK_MERGED_NEXT] = "MergedWithNext",
                                        [LRK_CONTIGUOUS] = "Contiguous"};
    const char *name = lrk_json_string(lrk_json_get(v, "behavior"), NULL);
    for (int i = 0; name && i <= LRK_CONTIGUOUS; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (lrk_behavior)i;
            return LRK_OK;
        }
    LRK_REQUIRE(err, !name, LRK_ESUPPORT, "%s: behavior '%s' is not known", where, name);
    return lrk_fail(err, LRK_EINPUT, "%s.behavior: missing, or not a string", where);
}

static lrk_status split_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    const lrk_json *pattern = lrk_json_get(v, "pattern");
    const char *regex = lrk_json_string(lrk_json_get(pattern, "Regex"), NULL);
    lrk_step step = {.splits = true};
    LRK_TRY(behavior_of(v, &step.split.behavior, err));
    LRK_TRY(lrk_json_opt_bool(v, "invert", &step.split.invert, where, err));
    if (!regex) {
        lrk_piece text;
        LRK_TRY(lrk_json_text(t, pattern, "String", where, &text, err));
        LRK_REQUIRE(err, text.n, LRK_EINPUT, "%s.pattern.String: is empty", where);
        step.split.literal = text.data;
        step.split.n_literal = text.n;
        return add_step(t, step, err);
    }
    const int known = lrk_pattern_find(regex);
    LRK_REQUIRE(err, known >= 0, LRK_ESUPPORT, "%s: the pattern '%s' is not known", where, regex);
    step.split.pattern = (lrk_pattern_id)known;
    return add_step(t, step, err);
}

static lrk_status byte_level_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    bool prefix = true, regex = true;
    LRK_TRY(lrk_json_opt_bool(v, "add_prefix_space", &prefix, where, err));
    LRK_TRY(lrk_json_opt_bool(v, "use_regex", &regex, where, err));
    LRK_REQUIRE(err, !t->byte_level, LRK_ESUPPORT, "%s: a second ByteLevel is not known", where);
    const lrk_transform f = {.kind = LRK_TRANSFORM_PREPEND_ONCE, .to = {" ", 1}};
    if (prefix) LRK_TRY(transform_by(t, f, err));
    if (regex) LRK_TRY(split_by(t, LRK_PATTERN_GPT2, LRK_ISOLATED, err));
    t->byte_level = true;
    return LRK_OK;
}

static lrk_status metaspace_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    bool prefix = true, split = true;
    const char *scheme = NULL;
    lrk_transform blanks = {.kind = LRK_TRANSFORM_REPLACE, .from = {" ", 1}};
    LRK_TRY(lrk_json_text(t, v, "replacement", where, &blanks.to, err));
    LRK_TRY(lrk_json_opt_bool(v, "add_prefix_space", &prefix, where, err));
    LRK_TRY(lrk_json_opt_bool(v, "split", &split, where, err));
    LRK_TRY(lrk_json_opt_string(v, "prepend_scheme", &scheme, where, err));
    if (!scheme) scheme = prefix ? "always" : "never";
    LRK_REQUIRE(err, strcmp(blanks.to.data, META) == 0, LRK_ESUPPORT,
                "%s: Metaspace with replacement '%s' is not known", where, blanks.to.data);
    LRK_TRY(transform_by(t, blanks, err));
    lrk_transform first = {.kind = LRK_TRANSFORM_PREPEND_ONCE, .to = blanks.to};
    if (strcmp(scheme, "first") == 0)
        first.kind = LRK_TRANSFORM_PREPEND_FIRST;
    else
        LRK_REQUIRE(err, strcmp(scheme, "always") == 0 || strcmp(scheme, "never") == 0,
                    LRK_ESUPPORT, "%s.prepend_scheme: '%s' is not known", where, scheme);
    if (strcmp(scheme, "never") != 0) LRK_TRY(transform_by(t, first, err));
    return split ? split_by(t, LRK_PATTERN_METASPACE, LRK_ISOLATED, err) : LRK_OK;
}

static lrk_status delimiter_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    lrk_piece text;
    LRK_TRY(lrk_json_text(t, v, "delimiter", where, &text, err));
    LRK_REQUIRE(err, text.n, LRK_EINPUT, "%s.delimiter: is empty", where);
    const lrk_split split = {.literal = text.data, .n_literal = text.n, .behavior = LRK_REMOVED};
    return add_step(t, (lrk_step){.splits = true, .split = split}, err);
}

static lrk_status pre_tokenizer_step(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    static const char *const kinds[] = {
        "ByteLevel add_prefix_space trim_offsets use_regex",
        "Digits individual_digits",
        "Split pattern behavior invert",
        "Metaspace replacement prepend_scheme split add_prefix_space str_rep",
        "Punctuation behavior",
        "Whitespace",
        "WhitespaceSplit",
        "CharDelimiterSplit delimiter",
        NULL};
    const char *type;
    LRK_TRY(lrk_json_part(v, where, kinds, &type, err));
    LRK_REQUIRE(err, !t->byte_level || strcmp(type, "Metaspace") != 0, LRK_ESUPPORT,
                "%s: Metaspace behind ByteLevel is not known", where);
    if (strcmp(type, "ByteLevel") == 0) return byte_level_step(t, v, err);
    if (strcmp(type, "Split") == 0) return split_step(t, v, err);
    if (strcmp(type, "Metaspace") == 0) return metaspace_step(t, v, err);
    if (strcmp(type, "CharDelimiterSplit") == 0) return delimiter_step(t, v, err);
    if (strcmp(type, "Whitespace") == 0) /* keeps the words, drops what is between */
        return add_step(
            t,
            (lrk_step){
                .splits = true,
                .split = {.pattern = LRK_PATTERN_WORDS, .behavior = LRK_REMOVED, .invert = true}},
            err);
    if (strcmp(type, "WhitespaceSplit") == 0)
        return split_by(t, LRK_PATTERN_ONE_SPACE, LRK_REMOVED, err);
    if (strcmp(type, "Punctuation") == 0) {
        lrk_behavior behavior = LRK_ISOLATED;
        if (lrk_json_get(v, "behavior")) LRK_TRY(behavior_of(v, &behavior, err));
        return split_by(t, LRK_PATTERN_PUNCTUATION, behavior, err);
    }
    bool individual = false;
    LRK_TRY(lrk_json_opt_bool(v, "individual_digits", &individual, where, err));
    return split_by(t, individual ? LRK_PATTERN_DIGIT : LRK_PATTERN_DIGITS, LRK_ISOLATED, err);
}

lrk_status lrk_json_pre_tokenizer(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    return lrk_json_absent(v)
               ? LRK_OK
               : lrk_json_each(t, v, "pretokenizers", where, pre_tokenizer_step, err);
}
