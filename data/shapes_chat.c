/* data/shapes_chat.c -- messages, sharegpt, alpaca and conversational prompts into turns. */
#include "data/shapes_private.h"

#include <string.h>

enum { MAX_TURNS = 1024 };

typedef struct turns {
    lrk_arena *a;
    lrk_part *parts;
    size_t n, room;
} turns;

static void add(turns *t, lrk_part p)
{
    LRK_ASSERT(t->n < t->room);
    t->parts[t->n++] = p;
}

static lrk_status add_json(turns *t, lrk_role role, lrk_train train, const lrk_json *v,
                           lrk_err *err)
{
    lrk_buf b = {0};
    lrk_part p = {.role = role, .train = train};
    lrk_status s = lrk_json_dump(v, 0, &b, err);
    if (s == LRK_OK) s = lrk_keep(t->a, &b, &p, err);
    lrk_buf_free(&b);
    LRK_TRY(s);
    add(t, p);
    return LRK_OK;
}

/* Members of a turn that only say whether it is trained: ours, Axolotl's, OpenAI's. */
static const char *const marks[] = {"train", "training", "weight"};
enum { MARKS = sizeof marks / sizeof *marks };

static size_t count_marks(const lrk_json *m, bool nulls)
{
    size_t n = 0;
    for (size_t i = 0; i < MARKS; i++) {
        const lrk_json *mark = lrk_json_get(m, marks[i]);
        n += nulls ? mark != NULL : lrk_json_is_set(mark);
    }
    return n;
}

static bool is_mark(const char *key)
{
    for (size_t i = 0; i < MARKS; i++)
        if (strcmp(key, marks[i]) == 0) return true;
    return false;
}

/* "train" or "training": true or false, or "weight": 0 or 1; null, which tables of rows write for what is absent, says
 * nothing. */
static lrk_status train_mark(const lrk_json *m, lrk_train *out, lrk_err *err)
{
    const lrk_json *weight = lrk_json_get(m, "weight");
    if (!lrk_json_is_set(weight)) weight = NULL;
    *out = LRK_TRAIN_BY_ROLE;
    LRK_REQUIRE(err, count_marks(m, false) <= 1, LRK_EINPUT,
                "train, training, weight: expected one of them");
    for (size_t i = 0; i < MARKS && !weight; i++) {
        const lrk_json *train = lrk_json_get(m, marks[i]);
        if (!lrk_json_is_set(train)) continue;
        LRK_REQUIRE(err, lrk_json_is(train, LRK_JSON_BOOL), LRK_EINPUT,
                    "%s: expected true or false, got %s", marks[i],
                    lrk_json_kind_name(lrk_json_type(train)));
        *out = lrk_json_bool(train) ? LRK_TRAIN_YES : LRK_TRAIN_NO;
    }
    if (weight) {
        const bool one = lrk_json_number(weight) >= 1.0, zero = lrk_json_number(weight) <= 0.0;
        const bool number =
            lrk_json_is(weight, LRK_JSON_INTEGER) || lrk_json_is(weight, LRK_JSON_REAL);
        LRK_REQUIRE(err,
                    number && (one || zero) && lrk_json_number(weight) <= 1.0 &&
                        lrk_json_number(weight) >= 0.0,
                    LRK_EINPUT, "weight: expected 0 or 1");
        *out = one ? LRK_TRAIN_YES : LRK_TRAIN_NO;
    }
    return LRK_OK;
}

/* Text, text pieces, or nothing beside tool calls. */
static lrk_status check_content(const lrk_json *content, bool calls, lrk_err *err)
{
    if (!lrk_json_is_set(content)) {
        LRK_REQUIRE(err, calls, LRK_EINPUT, "content: is %s, expected a string",
                    content ? "null" : "missing");
        return LRK_OK;
    }
    if (lrk_json_is(content, LRK_JSON_STRING)) return LRK_OK;
    LRK_REQUIRE(err, lrk_json_is(content, LRK_JSON_ARRAY), LRK_EINPUT,
                "content: expected a string, got %s", lrk_json_kind_name(lrk_json_type(content)));
    for (size_t i = 0; i < lrk_json_size(content); i++) {
        const lrk_json *piece = lrk_json_at(content, i);
        const char *type = lrk_json_string(lrk_json_get(piece, "type"), NULL);
        LRK_REQUIRE(err, type && strcmp(type, "text") == 0, LRK_ESUPPORT,
                    "content[%zu]: type '%.40s' is not supported, only text", i, type ? type : "?");
        LRK_REQUIRE(err, lrk_json_is(lrk_json_get(piece, "text"), LRK_JSON_STRING), LRK_EINPUT,
                    "content[%zu].text: expected a string", i);
    }
    return LRK_OK;
}

static bool simple_role(const char *name, lrk_role *out)
{
    if (strcmp(name, "human") == 0) name = "user";
    if (strcmp(name, "gpt") == 0) name = "assistant";
    const lrk_role roles[] = {LRK_ROLE_SYSTEM, LRK_ROLE_USER, LRK_ROLE_ASSISTANT, LRK_ROLE_TOOL};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (strcmp(name, lrk_role_name(roles[i])) != 0) continue;
        *out = roles[i];
        return true;
    }
    return false;
}

/* A message without the members that only concern training. */
static lrk_status keep_message(turns *t, const lrk_json *m, const char *role, lrk_train train,
                               lrk_err *err)
{
    lrk_json *copy = lrk_json_object();
    for (void *i = lrk_json_begin(m); i; i = lrk_json_next(m, i)) {
        const char *key = lrk_json_key(i, NULL);
        if (!is_mark(key))
            lrk_json_set(copy, key, lrk_json_ref(lrk_json_value(i)));
    }
    lrk_json_set(copy, "role", lrk_json_c_string(role));
    const lrk_status s = add_json(t, LRK_ROLE_MESSAGE, train, copy, err);
    lrk_json_free(copy);
    return s;
}

static lrk_status add_message(turns *t, const lrk_json *m, bool train, lrk_err *err)
{
    lrk_part p = {0};
    LRK_REQUIRE(err, lrk_json_is(m, LRK_JSON_OBJECT), LRK_EINPUT, "expected an object, got %s",
                lrk_json_kind_name(lrk_json_type(m)));
    const char *role = lrk_json_string(lrk_json_get(m, "role"), NULL);
    LRK_REQUIRE(err, role, LRK_EINPUT, "role: expected a string: system, user, assistant or tool");
    const bool simple = simple_role(role, &p.role);
    LRK_REQUIRE(err,
                simple || strcmp(role, "developer") == 0 || strcmp(role, "function") == 0 ||
                    strcmp(role, "ipython") == 0,
                LRK_EINPUT, "role: '%.40s' is unknown, expected system, user, assistant or tool",
                role);
    if (simple) role = lrk_role_name(p.role);
    LRK_TRY(train_mark(m, &p.train, err));
    if (!train) p.train = LRK_TRAIN_NO;
    const lrk_json *content = lrk_json_get(m, "content"), *calls = lrk_json_get(m, "tool_calls");
    LRK_TRY(check_content(content, lrk_json_size(calls) > 0, err));
    LRK_REQUIRE(err, !calls || lrk_json_is(calls, LRK_JSON_ARRAY) || lrk_json_is(calls, LRK_JSON_NULL),
                LRK_EINPUT, "tool_calls: expected a list, got %s",
                lrk_json_kind_name(lrk_json_type(calls)));
    const bool text = lrk_json_is(content, LRK_JSON_STRING);
    if (text) p.text = lrk_json_string(content, &p.n);
    const bool answers = strcmp(role, "assistant") == 0 && p.train != LRK_TRAIN_NO;
    LRK_REQUIRE(err, !answers || !text || !lrk_blank(p.text, p.n) || lrk_json_size(calls) > 0,
                LRK_EINPUT,
                "content: the assistant's answer is empty; mend or remove the row, or mark "
                "the turn \"train\": false");
    if (!simple || !text || lrk_json_size(m) > 2 + count_marks(m, true))
        return keep_message(t, m, role, p.train, err);
    add(t, p);
    return LRK_OK;
}

static lrk_status add_messages(turns *t, const lrk_json *list, const char *name, bool train,
                               lrk_err *err)
{
    LRK_REQUIRE(err, lrk_json_is(list, LRK_JSON_ARRAY), LRK_EINPUT, "%s: expected a list, got %s",
                name, list ? lrk_json_kind_name(lrk_json_type(list)) : "nothing");
    for (size_t i = 0; i < lrk_json_size(list); i++) {
        const lrk_status s = add_message(t, lrk_json_at(list, i), train, err);
        if (s != LRK_OK) return lrk_err_prefix(err, s, "%s[%zu]", name, i);
    }
    return LRK_OK;
}

/* tools, documents and chat_template_kwargs: what else the template may see. */
static lrk_status add_variables(turns *t, const lrk_json *row, lrk_err *err)
{
    static const char *const lists[] = {"tools", "documents"};
    lrk_json *v = lrk_json_object();
    lrk_status s = LRK_OK;
    for (size_t i = 0; s == LRK_OK && i < sizeof lists / sizeof *lists; i++) {
        lrk_json *list = lrk_json_get(row, lists[i]), *parsed = NULL;
        size_t n;
        const char *text = lrk_json_string(list, &n);
        /* LLaMA-Factory writes the list as a string of JSON */
        if (text && lrk_blank(text, n)) continue;
        if (text) s = lrk_json_parse(&parsed, text, n, lists[i], err);
        if (s == LRK_OK && text) list = parsed;
        if (s == LRK_OK && lrk_json_is_set(list)) {
            if (!lrk_json_is(list, LRK_JSON_ARRAY))
                s = lrk_fail(err, LRK_EINPUT, "%s: expected a list, got %s", lists[i],
                             lrk_json_kind_name(lrk_json_type(list)));
            else if (lrk_json_size(list))
                lrk_json_set(v, lists[i], lrk_json_ref(list));
        }
        lrk_json_free(parsed);
    }
    const lrk_json *more = lrk_json_get(row, "chat_template_kwargs");
    if (s == LRK_OK && more && !lrk_json_is(more, LRK_JSON_OBJECT) &&
        !lrk_json_is(more, LRK_JSON_NULL))
        s = lrk_fail(err, LRK_EINPUT, "chat_template_kwargs: expected an object, got %s",
                     lrk_json_kind_name(lrk_json_type(more)));
    for (void *i = s == LRK_OK ? lrk_json_begin(more) : NULL; i; i = lrk_json_next(more, i))
        lrk_json_set(v, lrk_json_key(i, NULL), lrk_json_ref(lrk_json_value(i)));
    if (s == LRK_OK && lrk_json_size(v)) s = add_json(t, LRK_ROLE_VARIABLES, LRK_TRAIN_NO, v, err);
    lrk_json_free(v);
    return s;
}

static lrk_status add_sharegpt_turn(turns *t, const lrk_json *m, lrk_err *err)
{
    static const struct {
        const char *from;
        lrk_role role;
    } table[] = {{"human", LRK_ROLE_USER},        {"user", LRK_ROLE_USER},
                 {"gpt", LRK_ROLE_ASSISTANT},     {"assistant", LRK_ROLE_ASSISTANT},
                 {"chatgpt", LRK_ROLE_ASSISTANT}, {"bot", LRK_ROLE_ASSISTANT},
                 {"system", LRK_ROLE_SYSTEM},     {"tool", LRK_ROLE_TOOL},
                 {"observation", LRK_ROLE_TOOL}};
    lrk_part p = {0};
    const char *from = lrk_json_string(lrk_json_get(m, "from"), NULL);
    LRK_REQUIRE(err, from, LRK_EINPUT,
                "from: expected a string: human, gpt, system or tool; or role and content as messages have them");
    size_t k = 0;
    while (k < sizeof table / sizeof *table && strcmp(table[k].from, from) != 0) k++;
    LRK_REQUIRE(err, k < sizeof table / sizeof *table, LRK_EINPUT,
                "from: '%.40s' is unknown, expected human, gpt, system or tool", from);
    p.role = table[k].role;
    LRK_TRY(train_mark(m, &p.train, err));
    const bool answers = p.role == LRK_ROLE_ASSISTANT && p.train != LRK_TRAIN_NO;
    LRK_REQUIRE(err, lrk_json_is(lrk_json_get(m, "value"), LRK_JSON_STRING), LRK_EINPUT,
                "value: expected a string");
    LRK_TRY(lrk_member_text(m, "value", answers, &p, err));
    add(t, p);
    return LRK_OK;
}

static lrk_status add_system(turns *t, const lrk_json *row, lrk_err *err)
{
    lrk_part p = {.role = LRK_ROLE_SYSTEM, .train = LRK_TRAIN_BY_ROLE};
    LRK_TRY(lrk_member_text(row, "system", false, &p, err));
    if (p.n) add(t, p);
    return LRK_OK;
}

/* A system prompt beside messages goes in front of them. */
static lrk_status add_system_beside(turns *t, const lrk_json *row, const lrk_json *list, lrk_err *err)
{
    const lrk_json *first = lrk_json_size(list) ? lrk_json_at(list, 0) : NULL;
    const char *role = lrk_json_string(lrk_json_get(first, "role"), NULL);
    const bool there = role && (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0);
    const size_t before = t->n;
    LRK_TRY(add_system(t, row, err));
    LRK_REQUIRE(err, !there || t->n == before, LRK_EINPUT, "system: the first of messages is one too; keep one");
    return LRK_OK;
}

static lrk_status add_sharegpt(turns *t, const lrk_json *row, lrk_err *err)
{
    const lrk_json *list = lrk_json_get(row, "conversations");
    LRK_REQUIRE(err, lrk_json_is(list, LRK_JSON_ARRAY), LRK_EINPUT,
                "conversations: expected a list");
    LRK_TRY(add_system(t, row, err));
    for (size_t i = 0; i < lrk_json_size(list); i++) {
        const lrk_json *m = lrk_json_at(list, i);
        const bool message = lrk_json_is_set(lrk_json_get(m, "role")) && !lrk_json_is_set(lrk_json_get(m, "from"));
        const lrk_status s = message ? add_message(t, m, true, err) : add_sharegpt_turn(t, m, err);
        if (s != LRK_OK) return lrk_err_prefix(err, s, "conversations[%zu]", i);
    }
    return LRK_OK;
}

static lrk_status add_alpaca(turns *t, const lrk_shaping *s, const lrk_json *row, lrk_err *err)
{
    const char *said = lrk_shape_answer(LRK_SHAPE_INSTRUCTION, row);
    lrk_part user = {.role = LRK_ROLE_USER, .train = LRK_TRAIN_BY_ROLE}, input = {0};
    lrk_part answer = {.role = LRK_ROLE_ASSISTANT, .train = LRK_TRAIN_BY_ROLE};
    LRK_REQUIRE(err, lrk_json_size(lrk_json_get(row, "history")) == 0, LRK_ESUPPORT,
                "history: is not supported; write the conversation as messages");
    LRK_TRY(add_system(t, row, err));
    LRK_TRY(lrk_member_text(row, "instruction", true, &user, err));
    LRK_TRY(
        lrk_member_text(row, lrk_json_get(row, "input") ? "input" : "context", false, &input, err));
    if (!said) said = s->answer ? s->answer : "output";
    LRK_TRY(lrk_member_text(row, said, true, &answer, err));
    if (!lrk_blank(input.text, input.n)) {
        lrk_buf b = {0};
        lrk_buf_append(&b, user.text, user.n);
        lrk_buf_puts(&b, "\n\n");
        lrk_buf_append(&b, input.text, input.n);
        const lrk_status kept = lrk_keep(t->a, &b, &user, err);
        lrk_buf_free(&b);
        LRK_TRY(kept);
    }
    add(t, user);
    add(t, answer);
    return LRK_OK;
}

/* Something an assistant says must be there to be learned. */
static lrk_status check_trainable(const turns *t, lrk_err *err)
{
    bool assistant = false, trained = false;
    for (size_t i = 0; i < t->n; i++) {
        const lrk_part *p = &t->parts[i];
        bool says = p->role == LRK_ROLE_ASSISTANT;
        if (p->role == LRK_ROLE_MESSAGE) {
            lrk_json *m = NULL;
            LRK_TRY(lrk_json_parse(&m, p->text, p->n, "message", err));
            const char *role = lrk_json_string(lrk_json_get(m, "role"), NULL);
            says = role && strcmp(role, "assistant") == 0;
            lrk_json_free(m);
        }
        assistant = assistant || says;
        trained = trained || p->train == LRK_TRAIN_YES || (says && p->train == LRK_TRAIN_BY_ROLE);
    }
    LRK_REQUIRE(err, assistant || trained, LRK_EINPUT,
                "no turn of an assistant: nothing to learn from; mend or remove the row");
    LRK_REQUIRE(err, trained, LRK_EINPUT,
                "every assistant's turn is marked as not trained; mend or remove the row");
    return LRK_OK;
}

lrk_status lrk_shape_turns(const lrk_shaping *s, const lrk_json *row, lrk_arena *a, lrk_part **parts,
                           size_t *n, lrk_err *err)
{
    const lrk_shape shape = s->shape;
    const lrk_json *list = lrk_json_get(row, shape == LRK_SHAPE_MESSAGES   ? "messages"
                                             : shape == LRK_SHAPE_SHAREGPT ? "conversations"
                                                                           : "prompt");
    const lrk_json *completion = lrk_json_get(row, "completion");
    const size_t count = lrk_json_size(list) + lrk_json_size(completion);
    LRK_REQUIRE(err, count <= MAX_TURNS, LRK_EINPUT, "%zu turns, at most %d are accepted", count,
                MAX_TURNS);
    turns t = {.a = a, .room = count + 4};
    LRK_TRY(lrk_alloc(a, t.room, sizeof *t.parts, "turns", &t.parts, err));
    if (shape != LRK_SHAPE_INSTRUCTION) LRK_TRY(add_variables(&t, row, err));
    if (shape == LRK_SHAPE_MESSAGES) {
        LRK_TRY(add_system_beside(&t, row, list, err));
        LRK_TRY(add_messages(&t, list, "messages", true, err));
    } else if (shape == LRK_SHAPE_SHAREGPT) {
        LRK_TRY(add_sharegpt(&t, row, err));
    } else if (shape == LRK_SHAPE_INSTRUCTION) {
        LRK_TRY(add_alpaca(&t, s, row, err));
    } else {
        LRK_TRY(add_messages(&t, list, "prompt", false, err));
        LRK_TRY(add_messages(&t, completion, "completion", true, err));
    }
    LRK_TRY(check_trainable(&t, err));
    *parts = t.parts;
    *n = t.n;
    return LRK_OK;
}
