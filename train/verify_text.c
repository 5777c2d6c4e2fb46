/* train/verify_text.c -- token ids, decoded texts and rendered chats against recorded ones. */
#include "base/file.h"
#include "base/json.h"
#include "data/template.h"
#include "data/tokenizer.h"
#include "train/verify.h"

#include <stdio.h>
#include <string.h>

typedef struct lrk_text_check {
    lrk_tokenizer *tokenizer;
    lrk_report *report;
    lrk_ids ids;
    lrk_buf text;
} lrk_text_check;

static void report_case(const lrk_text_check *t, const char *name, size_t number, bool equal)
{
    char note[32];
    snprintf(note, sizeof note, "case %zu", number);
    lrk_report_error(t->report, lrk_report_check(t->report, name, 0.0), equal ? 0.0 : 1.0, note);
}

static lrk_status compare_ids(lrk_text_check *t, const char *name, size_t number,
                              const lrk_json *text, const lrk_json *want, bool special, lrk_err *err)
{
    size_t n;
    const char *bytes = lrk_json_string(text, &n);
    if (!bytes || !lrk_json_is(want, LRK_JSON_ARRAY)) return LRK_OK;
    LRK_TRY(lrk_encode(t->tokenizer, bytes, n, special, &t->ids, err));
    bool equal = t->ids.n == lrk_json_size(want);
    for (size_t i = 0; equal && i < t->ids.n; i++)
        equal = lrk_json_integer(lrk_json_at(want, i)) == (int64_t)t->ids.id[i];
    report_case(t, name, number, equal);
    return LRK_OK;
}

static lrk_status compare_text(lrk_text_check *t, const char *name, size_t number,
                               const lrk_json *ids, const lrk_json *want, bool skip, lrk_err *err)
{
    size_t n;
    const char *expected = lrk_json_string(want, &n);
    if (!expected || !lrk_json_is(ids, LRK_JSON_ARRAY)) return LRK_OK;
    t->text.n = 0;
    const size_t count = lrk_json_size(ids);
    uint32_t *list;
    LRK_TRY(lrk_alloc(&t->report->arena, count, sizeof *list, "ids", &list, err));
    for (size_t i = 0; i < count; i++) list[i] = (uint32_t)lrk_json_integer(lrk_json_at(ids, i));
    LRK_TRY(lrk_decode(t->tokenizer, list, count, skip, &t->text, err));
    const bool equal = t->text.n == n && (n == 0 || memcmp(t->text.data, expected, n) == 0);
    report_case(t, name, number, equal);
    return LRK_OK;
}

static lrk_status text_cases(lrk_text_check *t, const lrk_json *cases, lrk_err *err)
{
    for (size_t i = 0; i < lrk_json_size(cases); i++) {
        const lrk_json *c = lrk_json_at(cases, i), *text = lrk_json_get(c, "text");
        const lrk_json *ids = lrk_json_get(c, "ids"), *all = lrk_json_get(c, "ids_with_special");
        LRK_TRY(compare_ids(t, "ids", i, text, ids, false, err));
        LRK_TRY(compare_ids(t, "ids.with_special", i, text, all, true, err));
        LRK_TRY(compare_text(t, "decoded", i, ids, lrk_json_get(c, "decoded"), false, err));
        LRK_TRY(compare_text(t, "decoded.skip_special", i, all,
                             lrk_json_get(c, "decoded_skip_special"), true, err));
    }
    return LRK_OK;
}

/* The variables that the reference gives a template. */
static lrk_json *chat_context(const lrk_text_check *t, const lrk_json *c)
{
    lrk_json *context = lrk_json_object();
    for (void *i = lrk_json_begin(c); i; i = lrk_json_next(c, i)) {
        const char *key = lrk_json_key(i, NULL);
        if (strcmp(key, "text") != 0 && strcmp(key, "ids") != 0)
            lrk_json_set(context, key, lrk_json_ref(lrk_json_value(i)));
    }
    for (int s = 0; s < LRK_TOKEN_SPECIALS; s++) {
        const int64_t id = lrk_tokenizer_special(t->tokenizer, (lrk_special)s);
        size_t n;
        const char *text = id < 0 ? NULL : lrk_token_text(t->tokenizer, (uint32_t)id, &n);
        if (text) lrk_json_set(context, lrk_special_name((lrk_special)s), lrk_json_new_string(text, n));
    }
    return context;
}

static lrk_status chat_case(lrk_text_check *t, const lrk_template *chat, size_t number,
                            const lrk_json *c, lrk_err *err)
{
    size_t n;
    const char *want = lrk_json_string(lrk_json_get(c, "text"), &n);
    if (!want) return LRK_OK;
    lrk_json *context = chat_context(t, c);
    lrk_rendered r = {0};
    const lrk_status status = lrk_template_render(chat, context, NULL, &r, err);
    lrk_json_free(context);
    if (status == LRK_OK)
        report_case(t, "chat.text", number,
                    r.text.n == n && (n == 0 || memcmp(r.text.data, want, n) == 0));
    lrk_rendered_free(&r);
    LRK_TRY(status);
    return compare_ids(t, "chat.ids", number, lrk_json_get(c, "text"), lrk_json_get(c, "ids"), false,
                       err);
}

static lrk_status chat_cases(lrk_text_check *t, const lrk_json *cases, lrk_err *err)
{
    const char *source = lrk_tokenizer_chat_template(t->tokenizer);
    LRK_REQUIRE(err, source, LRK_EINPUT, "chat_cases.json is there, but no chat template");
    lrk_template *chat;
    LRK_TRY(lrk_template_compile(&chat, source, strlen(source), "chat_template", err));
    lrk_status status = LRK_OK;
    for (size_t i = 0; status == LRK_OK && i < lrk_json_size(cases); i++)
        status = chat_case(t, chat, i, lrk_json_at(cases, i), err);
    lrk_template_free(chat);
    return status;
}

static lrk_status cases_in(lrk_text_check *t, const char *dir, const char *name,
                           lrk_status (*run)(lrk_text_check *, const lrk_json *, lrk_err *),
                           lrk_err *err)
{
    lrk_json *cases = NULL;
    const char *path = lrk_path_join(&t->report->arena, dir, name);
    LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
    if (!lrk_is_file(path)) return LRK_OK;
    LRK_TRY(lrk_json_load(&cases, path, 64 << 20, err));
    const lrk_status status = run(t, cases, err);
    lrk_json_free(cases);
    return lrk_err_prefix(err, status, "%s", path);
}

lrk_status lrk_verify_text(const char *dir, lrk_report *report, lrk_err *err)
{
    lrk_text_check t = {.report = report};
    const char *path = lrk_path_join(&report->arena, dir, "tokenizer.json");
    LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(lrk_tokenizer_from_json(&t.tokenizer, path, err));
    lrk_status status = cases_in(&t, dir, "text_cases.json", text_cases, err);
    if (status == LRK_OK) status = cases_in(&t, dir, "chat_cases.json", chat_cases, err);
    lrk_tokenizer_free(t.tokenizer);
    lrk_ids_free(&t.ids);
    lrk_buf_free(&t.text);
    return status;
}
