/* data/shapes.c -- which shape a row has, and the shapes without turns; turns: shapes_chat.c. */
#include "data/shapes.h"

#include "base/text.h"
#include "data/shapes_private.h"

#include <string.h>

/* The recipe's names (recipes/dataset.def), and what others call them. */
static const char *const names[LRK_SHAPE_END] = {
    "auto", "messages", "sharegpt", "instruction", "prompt_completion", "text", "fields"};
static const struct {
    const char *name;
    lrk_shape shape;
} aliases[] = {{"chat_template", LRK_SHAPE_AUTO},
               {"alpaca", LRK_SHAPE_INSTRUCTION},
               {"prompt", LRK_SHAPE_PROMPT},
               {"completion", LRK_SHAPE_TEXT}};

const char *lrk_shape_name(lrk_shape s) { return names[s]; }

lrk_status lrk_shape_from_name(const char *name, lrk_shape *out, lrk_err *err)
{
    lrk_nearest near = {.word = name};
    for (int i = 0; i < LRK_SHAPE_FIELDS; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (lrk_shape)i;
            return LRK_OK;
        }
        lrk_nearest_offer(&near, names[i]);
    }
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        if (strcmp(aliases[i].name, name) != 0) continue;
        *out = aliases[i].shape;
        return LRK_OK;
    }
    if (near.best)
        return lrk_fail(err, LRK_EUSAGE, "shape '%s' is unknown, did you mean %s?", name,
                        near.best);
    return lrk_fail(err, LRK_EUSAGE,
                    "shape '%s' is unknown; there are messages, sharegpt, instruction, "
                    "prompt_completion, text; for other "
                    "members use --prompt and --completion",
                    name);
}

static bool has(const lrk_json *row, const char *key) { return lrk_json_get(row, key) != NULL; }

/* "id, nl, target": the members of a row, for messages. */
static void list_members(const lrk_json *row, lrk_buf *b)
{
    size_t n = 0;
    for (void *i = lrk_json_begin(row); i && n < 12; i = lrk_json_next(row, i), n++)
        lrk_buf_printf(b, "%s%.40s", n ? ", " : "", lrk_json_key(i, NULL));
    if (lrk_json_size(row) > n) lrk_buf_puts(b, ", ...");
    if (!n) lrk_buf_puts(b, "(none)");
}

static lrk_status unknown_shape(const lrk_json *row, lrk_err *err)
{
    lrk_buf members = {0};
    list_members(row, &members);
    const lrk_status s = lrk_fail(
        err, LRK_EINPUT,
        "the row has members %s; expected messages, conversations, prompt and completion, "
        "instruction "
        "and output, or text. Others need two templates, on the command line --prompt '{...}' --completion '{...}', "
        "in a recipe prompt: '{...}' and completion: '{...}' beside path",
        members.data ? members.data : "?");
    lrk_buf_free(&members);
    return s;
}

lrk_status lrk_shape_recognize(const lrk_json *row, lrk_shape *out, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_json_is(row, LRK_JSON_OBJECT), LRK_EINPUT, "expected an object, got %s",
                lrk_json_kind_name(lrk_json_type(row)));
    LRK_REQUIRE(err, !(has(row, "chosen") && has(row, "rejected")), LRK_ESUPPORT,
                "chosen and rejected: preference data is not supported; import one of the two as "
                "messages or completion");
    const bool answered = has(row, "output") || has(row, "response");
    const bool fits[LRK_SHAPE_END] = {
        [LRK_SHAPE_MESSAGES] = has(row, "messages"),
        [LRK_SHAPE_SHAREGPT] = has(row, "conversations"),
        [LRK_SHAPE_INSTRUCTION] = has(row, "instruction") && answered,
        [LRK_SHAPE_PROMPT] =
            (has(row, "prompt") && (has(row, "completion") || has(row, "response"))) ||
            (has(row, "input") && has(row, "output") && !has(row, "instruction")),
        [LRK_SHAPE_TEXT] = has(row, "text")};
    lrk_shape found = LRK_SHAPE_AUTO;
    for (int i = 1; i < LRK_SHAPE_END; i++) {
        if (!fits[i]) continue;
        LRK_REQUIRE(err, found == LRK_SHAPE_AUTO, LRK_EINPUT,
                    "the row could be of shape %s or %s; choose one: on the command line --shape, in a recipe type: "
                    "beside path",
                    names[found], names[i]);
        found = (lrk_shape)i;
    }
    if (found == LRK_SHAPE_AUTO) return unknown_shape(row, err);
    *out = found;
    return LRK_OK;
}

bool lrk_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r\n", s[i])) return false;
    return true;
}

lrk_status lrk_member_text(const lrk_json *object, const char *key, bool required, lrk_part *out,
                           lrk_err *err)
{
    const lrk_json *v = lrk_json_get(object, key);
    out->text = "";
    out->n = 0;
    if (!lrk_json_is_set(v)) {
        LRK_REQUIRE(err, !required, LRK_EINPUT, "%s: is %s, expected a string", key,
                    v ? "null" : "missing");
        return LRK_OK;
    }
    LRK_REQUIRE(err, lrk_json_is(v, LRK_JSON_STRING), LRK_EINPUT, "%s: expected a string, got %s",
                key, lrk_json_kind_name(lrk_json_type(v)));
    out->text = lrk_json_string(v, &out->n);
    LRK_REQUIRE(err, !required || !lrk_blank(out->text, out->n), LRK_EINPUT,
                "%s: is empty: nothing to learn from; mend or remove the row", key);
    return LRK_OK;
}

/* ---- templates over members ---- */

static lrk_status add_field(lrk_fields *f, size_t room, const lrk_buf *text, bool member,
                            lrk_arena *a, lrk_err *err)
{
    if (!text->n && !member) return LRK_OK;
    LRK_ASSERT(f->n < room);
    char *copy = lrk_strndup(a, text->data, text->n);
    LRK_REQUIRE(err, copy && !text->failed, LRK_ENOMEM, "memory: no room for a template");
    f->field[f->n++] = (struct lrk_field){copy, member};
    return LRK_OK;
}

static lrk_status parse_fields(const char *p, const char *what, size_t room, lrk_arena *a,
                               lrk_fields *out, lrk_buf *text, lrk_err *err)
{
    for (; *p; p++) {
        char c = *p;
        if ((c == '{' || c == '}') && p[1] == c) {
            p++;
        } else if (c == '{') {
            const char *end = strchr(p, '}');
            LRK_REQUIRE(err, end && end > p + 1, LRK_EUSAGE,
                        "%s: '{' without a name and '}'; write {{ for a brace", what);
            LRK_TRY(add_field(out, room, text, false, a, err));
            text->n = 0;
            lrk_buf_append(text, p + 1, (size_t)(end - p) - 1);
            LRK_TRY(add_field(out, room, text, true, a, err));
            text->n = 0;
            p = end;
            continue;
        } else if (c == '}') {
            return lrk_fail(err, LRK_EUSAGE, "%s: '}' without '{'; write }} for a brace", what);
        } else if (c == '\\') {
            LRK_REQUIRE(err, lrk_text_escape(*++p, &c), LRK_EUSAGE,
                        "%s: a backslash stands before n, t, r or another backslash", what);
        }
        lrk_buf_append(text, &c, 1);
    }
    return add_field(out, room, text, false, a, err);
}

lrk_status lrk_fields_parse(const char *text, const char *what, lrk_arena *a, lrk_fields *out,
                            lrk_err *err)
{
    lrk_buf piece = {0};
    const size_t room = strlen(text) + 1;
    *out = (lrk_fields){0};
    LRK_TRY(lrk_alloc(a, room, sizeof *out->field, "template", &out->field, err));
    const lrk_status s = parse_fields(text, what, room, a, out, &piece, err);
    lrk_buf_free(&piece);
    return s;
}

static lrk_status put_member(const lrk_json *row, const char *name, lrk_buf *b, lrk_err *err)
{
    const lrk_json *v = lrk_json_get(row, name);
    if (!v) {
        lrk_buf members = {0};
        list_members(row, &members);
        const lrk_status s =
            lrk_fail(err, LRK_EINPUT, "no member '%.60s' in this row, which has %s", name,
                     members.data ? members.data : "?");
        lrk_buf_free(&members);
        return s;
    }
    const lrk_json_kind kind = lrk_json_type(v);
    if (kind == LRK_JSON_STRING) {
        size_t n;
        const char *s = lrk_json_string(v, &n);
        lrk_buf_append(b, s, n);
        return LRK_OK;
    }
    LRK_REQUIRE(err, kind == LRK_JSON_INTEGER || kind == LRK_JSON_REAL || kind == LRK_JSON_BOOL,
                LRK_EINPUT, "%.60s: expected a string, a number or a boolean, got %s", name,
                lrk_json_kind_name(kind));
    return lrk_json_dump(v, 0, b, err);
}

static lrk_status fill(const lrk_fields *f, const lrk_json *row, lrk_arena *a, lrk_part *out,
                       lrk_err *err)
{
    lrk_buf b = {0};
    lrk_status s = LRK_OK;
    for (size_t i = 0; s == LRK_OK && i < f->n; i++) {
        if (f->field[i].member)
            s = put_member(row, f->field[i].text, &b, err);
        else
            lrk_buf_puts(&b, f->field[i].text);
    }
    if (s == LRK_OK) s = lrk_keep(a, &b, out, err);
    lrk_buf_free(&b);
    return s;
}

lrk_status lrk_keep(lrk_arena *a, const lrk_buf *b, lrk_part *out, lrk_err *err)
{
    char *copy = b->failed ? NULL : lrk_strndup(a, b->data ? b->data : "", b->n);
    LRK_REQUIRE(err, copy, LRK_ENOMEM, "memory: no room for a row of %zu bytes", b->n);
    out->text = copy;
    out->n = b->n;
    return LRK_OK;
}

static lrk_status apply_fields(const lrk_shaping *s, const lrk_json *row, lrk_arena *a,
                               lrk_part *parts, lrk_err *err)
{
    parts[0] = (lrk_part){.role = LRK_ROLE_PROMPT, .train = LRK_TRAIN_BY_ROLE};
    parts[1] = (lrk_part){.role = LRK_ROLE_COMPLETION, .train = LRK_TRAIN_BY_ROLE};
    LRK_TRY(fill(&s->prompt, row, a, &parts[0], err));
    LRK_TRY(fill(&s->completion, row, a, &parts[1], err));
    LRK_REQUIRE(err, !lrk_blank(parts[1].text, parts[1].n), LRK_EINPUT,
                "the completion is empty: nothing to learn from; mend or remove the row");
    return LRK_OK;
}

const char *lrk_shape_answer(lrk_shape shape, const lrk_json *row)
{
    static const char *const known[] = {"completion", "output", "response"};
    const bool prompts = shape == LRK_SHAPE_PROMPT;
    if (!prompts && shape != LRK_SHAPE_INSTRUCTION) return NULL;
    for (size_t i = prompts ? 0 : 1; i < sizeof known / sizeof *known; i++)
        if (has(row, known[i]) && (!prompts || (strcmp(known[i], "output") == 0) == !has(row, "prompt")))
            return known[i];
    return NULL;
}

static lrk_status apply_prompt(const lrk_shaping *s, const lrk_json *row, lrk_part *parts, lrk_err *err)
{
    const bool prompt = has(row, "prompt");
    const char *answer = lrk_shape_answer(LRK_SHAPE_PROMPT, row);
    if (!answer) answer = s->answer ? s->answer : prompt ? "completion" : "output";
    parts[0] = (lrk_part){.role = LRK_ROLE_PROMPT, .train = LRK_TRAIN_BY_ROLE};
    parts[1] = (lrk_part){.role = LRK_ROLE_COMPLETION, .train = LRK_TRAIN_BY_ROLE};
    LRK_REQUIRE(err, has(row, prompt ? "prompt" : "input"), LRK_EINPUT,
                "prompt: is missing, expected members prompt and completion");
    LRK_TRY(lrk_member_text(row, prompt ? "prompt" : "input", false, &parts[0], err));
    return lrk_member_text(row, answer, true, &parts[1], err);
}

lrk_status lrk_shape_apply(const lrk_shaping *s, const lrk_json *row, lrk_arena *a,
                           lrk_part **parts, size_t *n, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_json_is(row, LRK_JSON_OBJECT), LRK_EINPUT, "expected an object, got %s",
                lrk_json_kind_name(lrk_json_type(row)));
    const lrk_json *prompt = lrk_json_get(row, "prompt");
    if (s->shape == LRK_SHAPE_MESSAGES || s->shape == LRK_SHAPE_SHAREGPT ||
        s->shape == LRK_SHAPE_INSTRUCTION ||
        (s->shape == LRK_SHAPE_PROMPT && lrk_json_is(prompt, LRK_JSON_ARRAY)))
        return lrk_shape_turns(s, row, a, parts, n, err);
    LRK_TRY(lrk_alloc(a, 2, sizeof **parts, "parts", parts, err));
    *n = 2;
    if (s->shape == LRK_SHAPE_FIELDS) return apply_fields(s, row, a, *parts, err);
    if (s->shape == LRK_SHAPE_PROMPT) return apply_prompt(s, row, *parts, err);
    *n = 1;
    (*parts)[0] = (lrk_part){.role = LRK_ROLE_RAW, .train = LRK_TRAIN_BY_ROLE};
    return lrk_member_text(row, "text", true, &(*parts)[0], err);
}

bool lrk_shape_uses(const lrk_shaping *s, const char *member)
{
    static const char *const used[LRK_SHAPE_END] = {
        [LRK_SHAPE_MESSAGES] = " messages system tools documents chat_template_kwargs ",
        [LRK_SHAPE_SHAREGPT] = " conversations system tools ",
        [LRK_SHAPE_INSTRUCTION] = " instruction input context output response system history ",
        [LRK_SHAPE_PROMPT] = " prompt completion response input output ",
        [LRK_SHAPE_TEXT] = " text "};
    if (s->shape == LRK_SHAPE_FIELDS) {
        for (int k = 0; k < 2; k++) {
            const lrk_fields *f = k ? &s->completion : &s->prompt;
            for (size_t i = 0; i < f->n; i++)
                if (f->field[i].member && strcmp(f->field[i].text, member) == 0) return true;
        }
        return false;
    }
    const size_t n = strlen(member);
    for (const char *p = n ? used[s->shape] : NULL; p && (p = strstr(p, member)) != NULL; p += n)
        if (p[-1] == ' ' && p[n] == ' ') return true;
    return false;
}
