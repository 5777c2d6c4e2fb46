/* data/shapes_names.c -- rows that call their members otherwise. */
#include "data/shapes.h"

#include <string.h>

static lrk_status parse_name(char *pair, lrk_member_names *out, lrk_err *err)
{
    const struct {
        const char *ours;
        const char **theirs;
    } table[] = {{"messages", &out->messages},
                 {"role", &out->role},
                 {"content", &out->content},
                 {"system", &out->system},
                 {"instruction", &out->instruction},
                 {"prompt", &out->instruction},
                 {"input", &out->input},
                 {"output", &out->output},
                 {"completion", &out->output},
                 {"text", &out->text}};
    char *equals = strchr(pair, '=');
    LRK_REQUIRE(err, equals && equals[1], LRK_EUSAGE, "--names: '%.60s': expected ours=theirs",
                pair);
    *equals = '\0';
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].ours, pair) != 0) continue;
        LRK_REQUIRE(err, !*table[i].theirs, LRK_EUSAGE, "--names: %s: given twice", pair);
        *table[i].theirs = equals + 1;
        out->prompt |= strcmp(pair, "prompt") == 0 || strcmp(pair, "completion") == 0;
        return LRK_OK;
    }
    return lrk_fail(err, LRK_EUSAGE,
                    "--names: '%.60s' is unknown; there are messages, role, content, system, "
                    "instruction, input, output, prompt, completion, text",
                    pair);
}

lrk_status lrk_member_names_parse(const char *text, lrk_arena *a, lrk_member_names *out,
                                  lrk_err *err)
{
    char *next = lrk_strdup(a, text);
    LRK_REQUIRE(err, next, LRK_ENOMEM, "memory: no room for names");
    *out = (lrk_member_names){0};
    while (next) {
        char *comma = strchr(next, ',');
        if (comma) *comma = '\0';
        LRK_TRY(parse_name(next, out, err));
        next = comma ? comma + 1 : NULL;
    }
    return LRK_OK;
}

static bool in_turns(const lrk_json *row, const char *name)
{
    for (void *i = lrk_json_begin(row); i; i = lrk_json_next(row, i)) {
        const lrk_json *list = lrk_json_value(i);
        const size_t n = lrk_json_is(list, LRK_JSON_ARRAY) ? lrk_json_size(list) : 0;
        for (size_t k = 0; k < n; k++)
            if (lrk_json_get(lrk_json_at(list, k), name)) return true;
    }
    return false;
}

enum { NAMES = 8, OF_TURNS = 2 };

static void list_names(const lrk_member_names *m, const char *out[NAMES])
{
    const char *const all[NAMES] = {m->role,        m->content, m->messages, m->system,
                                    m->instruction, m->input,   m->output,   m->text};
    memcpy(out, all, sizeof all);
}

void lrk_member_names_look(const lrk_member_names *m, const lrk_json *row, unsigned *seen)
{
    const char *name[NAMES];
    list_names(m, name);
    for (unsigned i = 0; i < NAMES; i++)
        if (name[i] && (i < OF_TURNS ? in_turns(row, name[i]) : lrk_json_get(row, name[i]) != NULL))
            *seen |= 1u << i;
}

const char *lrk_member_names_unseen(const lrk_member_names *m, unsigned seen)
{
    const char *name[NAMES];
    list_names(m, name);
    for (unsigned i = 0; i < NAMES; i++)
        if (name[i] && !(seen & 1u << i)) return name[i];
    return NULL;
}

typedef struct rename_rule {
    const char *from, *to;
} rename_rule;

/* What a member is called: as a rule says; NULL where another has taken its name. */
static const char *renamed(const rename_rule *rules, size_t n, const char *key)
{
    for (size_t k = 0; k < n; k++)
        if (rules[k].from && strcmp(rules[k].from, key) == 0) return rules[k].to;
    for (size_t k = 0; k < n; k++)
        if (rules[k].from && strcmp(rules[k].to, key) == 0) return NULL;
    return key;
}

static lrk_json *rename_members(const rename_rule *rules, size_t n, lrk_json *object)
{
    lrk_json *copy = lrk_json_object();
    for (void *i = lrk_json_begin(object); i; i = lrk_json_next(object, i)) {
        const char *name = renamed(rules, n, lrk_json_key(i, NULL));
        if (name) lrk_json_set(copy, name, lrk_json_ref(lrk_json_value(i)));
    }
    return copy;
}

static void rename_turns(const lrk_member_names *names, lrk_json *row)
{
    const rename_rule rules[] = {{names->role, "role"}, {names->content, "content"}};
    const lrk_json *list = lrk_json_get(row, "messages");
    if (!lrk_json_is(list, LRK_JSON_ARRAY)) return;
    lrk_json *renamed_list = lrk_json_array();
    for (size_t i = 0; i < lrk_json_size(list); i++) {
        lrk_json *turn = lrk_json_at(list, i); /* what is no object is refused further on */
        lrk_json_add(renamed_list,
                     lrk_json_is(turn, LRK_JSON_OBJECT) ? rename_members(rules, 2, turn) : lrk_json_ref(turn));
    }
    lrk_json_set(row, "messages", renamed_list);
}

lrk_json *lrk_shape_rename(const lrk_shaping *shaping, lrk_json *row)
{
    const lrk_member_names *names = &shaping->names;
    const bool prompt = shaping->shape == LRK_SHAPE_PROMPT;
    const rename_rule rules[] = {{names->messages, "messages"},
                                 {names->system, "system"},
                                 {names->instruction, prompt ? "prompt" : "instruction"},
                                 {names->input, "input"},
                                 {names->output, prompt ? "completion" : "output"},
                                 {names->text, "text"}};
    bool any = names->role || names->content;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) any = any || rules[i].from;
    if (!any || !lrk_json_is(row, LRK_JSON_OBJECT)) return lrk_json_ref(row);
    lrk_json *copy = rename_members(rules, sizeof rules / sizeof *rules, row);
    if (names->role || names->content) rename_turns(names, copy);
    return copy;
}
