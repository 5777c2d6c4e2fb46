/* train/validator.c -- JSON lines to a validator and back. */
#include "train/validator.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/process.h"

#include <string.h>

enum { MAX_ANSWER = 1 << 20 };

struct lrk_validator {
    lrk_process *process;
};

lrk_status lrk_validator_open(lrk_validator **out, const char *command, lrk_err *err)
{
    lrk_validator *v = lrk_heap_alloc(1, sizeof *v);
    *out = NULL;
    LRK_REQUIRE(err, v, LRK_ENOMEM, "validator: out of memory");
    const lrk_status s = lrk_process_open(&v->process, command, err);
    if (s == LRK_OK)
        *out = v;
    else
        lrk_heap_free(v);
    return lrk_err_prefix(err, s, "validator");
}

void lrk_validator_close(lrk_validator *v)
{
    if (!v) return;
    lrk_process_close(v->process);
    lrk_heap_free(v);
}

static lrk_status boolean(const lrk_json *answer, const char *key, int *out, lrk_err *err)
{
    const lrk_json *value = lrk_json_get(answer, key);
    *out = -1;
    if (!lrk_json_is_set(value)) return LRK_OK;
    LRK_REQUIRE(err, lrk_json_is(value, LRK_JSON_BOOL), LRK_EINPUT,
                "%s: expected true or false, got %s", key,
                lrk_json_kind_name(lrk_json_type(value)));
    *out = lrk_json_bool(value);
    return LRK_OK;
}

static lrk_status text(const lrk_json *answer, const char *key, char *out, size_t size, lrk_err *err)
{
    size_t n;
    const lrk_json *value = lrk_json_get(answer, key);
    out[0] = '\0';
    if (!lrk_json_is_set(value)) return LRK_OK;
    const char *s = lrk_json_string(value, &n);
    LRK_REQUIRE(err, s, LRK_EINPUT, "%s: expected a string, got %s", key,
                lrk_json_kind_name(lrk_json_type(value)));
    if (n >= size) {
        n = size - 1;
        while (n && ((unsigned char)s[n] & 0xc0) == 0x80) n--; /* no half character */
    }
    memcpy(out, s, n);
    out[n] = '\0';
    return LRK_OK;
}

static lrk_status same_id(const lrk_json *answer, const char *id, lrk_err *err)
{
    lrk_buf got = {0};
    const lrk_json *value = lrk_json_get(answer, "id");
    LRK_REQUIRE(err, value, LRK_EINPUT, "the answer has no id");
    lrk_status s = lrk_json_dump(value, 0, &got, err);
    if (s == LRK_OK && strcmp(got.data, id) != 0)
        s = lrk_fail(err, LRK_EINPUT, "the answer's id is %.80s: one line out for each line in, in "
                                      "the same order",
                     got.data);
    lrk_buf_free(&got);
    return s;
}

static lrk_status read_answer(const char *line, size_t n, const char *id, lrk_verdict *verdict,
                              lrk_err *err)
{
    lrk_json *answer = NULL;
    lrk_err why = {0};
    if (lrk_json_parse(&answer, line, n, "answer", &why) != LRK_OK ||
        !lrk_json_is(answer, LRK_JSON_OBJECT)) {
        lrk_json_free(answer);
        return lrk_fail(err, LRK_EINPUT, "expected one JSON object in a line, got '%.120s'", line);
    }
    lrk_status s = same_id(answer, id, err);
    if (s == LRK_OK) s = boolean(answer, "parse", &verdict->parse, err);
    if (s == LRK_OK) s = boolean(answer, "valid", &verdict->valid, err);
    if (s == LRK_OK) s = boolean(answer, "equal", &verdict->equal, err);
    if (s == LRK_OK) s = text(answer, "class", verdict->class, sizeof verdict->class, err);
    if (s == LRK_OK) s = text(answer, "note", verdict->note, sizeof verdict->note, err);
    lrk_json_free(answer);
    return s;
}

lrk_status lrk_validator_ask(lrk_validator *v, const char *id, const char *pred, const char *gold,
                             lrk_verdict *verdict, lrk_err *err)
{
    char *answer;
    size_t n;
    lrk_buf line = {0};
    lrk_buf_printf(&line, "{\"id\": %s, \"pred\": ", id);
    lrk_json_quote(&line, pred, strlen(pred));
    lrk_buf_puts(&line, ", \"gold\": ");
    lrk_json_quote(&line, gold, strlen(gold));
    lrk_buf_puts(&line, "}");
    lrk_status s = lrk_buf_check(&line, err);
    if (s == LRK_OK)
        s = lrk_process_exchange(v->process, line.data, line.n, LRK_VALIDATOR_SECONDS, MAX_ANSWER,
                                 &answer, &n, err);
    if (s == LRK_OK) s = read_answer(answer, n, id, verdict, err);
    lrk_buf_free(&line);
    return lrk_err_prefix(err, s, "validator: row %s", id);
}
