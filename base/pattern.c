/* base/pattern.c -- regular expressions on PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/pattern.h"

#include "base/arena.h"

#include <pcre2.h>
#include <stdio.h>
#include <string.h>

struct lrk_pattern {
    pcre2_code *code;
    pcre2_match_context *limits;
    char *text;
};

enum { MATCH_LIMIT = 1000000, MAX_TEXT = 4096 };

lrk_status lrk_pattern_compile(lrk_pattern **out, const char *text, lrk_err *err)
{
    int code = 0;
    size_t at = 0;
    const size_t n = strlen(text);
    LRK_REQUIRE(err, n <= MAX_TEXT, LRK_EUSAGE, "pattern of %zu bytes, at most %d are accepted", n,
                MAX_TEXT);
    lrk_pattern *p = lrk_heap_alloc(1, sizeof *p);
    LRK_REQUIRE(err, p, LRK_ENOMEM, "memory: no room for a pattern");
    const uint32_t flags = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF;
    p->code = pcre2_compile((PCRE2_SPTR)text, n, flags, &code, &at, NULL);
    if (!p->code) {
        PCRE2_UCHAR reason[200];
        pcre2_get_error_message(code, reason, sizeof reason);
        lrk_pattern_free(p);
        return lrk_fail(err, LRK_EUSAGE, "pattern '%s': at character %zu: %s", text, at,
                        (const char *)reason);
    }
    p->limits = pcre2_match_context_create(NULL);
    p->text = lrk_heap_alloc(n + 1, 1);
    if (!p->limits || !p->text) {
        lrk_pattern_free(p);
        return lrk_fail(err, LRK_ENOMEM, "memory: no room for a pattern");
    }
    memcpy(p->text, text, n + 1);
    pcre2_set_match_limit(p->limits, MATCH_LIMIT);
    *out = p;
    return LRK_OK;
}

void lrk_pattern_free(lrk_pattern *p)
{
    if (!p) return;
    pcre2_code_free(p->code);
    pcre2_match_context_free(p->limits);
    lrk_heap_free(p->text);
    lrk_heap_free(p);
}

lrk_status lrk_pattern_match(const lrk_pattern *p, const char *subject, bool *matches, lrk_err *err)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(p->code, NULL);
    LRK_REQUIRE(err, data, LRK_ENOMEM, "memory: no room to match a pattern");
    const int rc = pcre2_match(p->code, (PCRE2_SPTR)subject, strlen(subject), 0, 0, data, p->limits);
    pcre2_match_data_free(data);
    LRK_REQUIRE(err, rc >= 0 || rc == PCRE2_ERROR_NOMATCH, LRK_EUSAGE,
                "pattern '%s': gives up on '%s': it backtracks too much", p->text, subject);
    *matches = rc >= 0;
    return LRK_OK;
}

void lrk_pattern_version(char *out, size_t size)
{
    snprintf(out, size, "%d.%d", PCRE2_MAJOR, PCRE2_MINOR);
}
