/* tests/unit/journal.c -- finished pieces that outlive their process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/journal.h"
#include "scratch.h"

static lrk_json *key(const char *what)
{
    lrk_json *o = lrk_json_object();
    lrk_json_set_text(o, "what", what);
    return o;
}

static lrk_journal *open_it(const char *what)
{
    lrk_err err = {0};
    lrk_journal *j = NULL;
    if (lrk_journal_open(&j, "out", key(what), &err) != LRK_OK) fail_msg("%s", err.text);
    return j;
}

static void add(lrk_journal *j, const char *part, size_t number, double value)
{
    assert_int_equal(lrk_journal_add(j, part, number, lrk_json_new_real(value), NULL), LRK_OK);
}

static void expect(const lrk_journal *j, size_t i, const char *part, size_t number, double value)
{
    const char *said;
    size_t at;
    const lrk_json *v = lrk_journal_piece(j, i, &said, &at);
    assert_non_null(v);
    assert_string_equal(said, part);
    assert_int_equal(at, number);
    assert_true(lrk_json_number(v) == value);
}

static void nothing_behind(const lrk_journal *j, size_t i)
{
    const char *part;
    size_t number;
    assert_null(lrk_journal_piece(j, i, &part, &number));
}

/* The name of the one file that is kept. */
static void kept_name(char name[256])
{
    FILE *f = popen("ls -d out.partial-*", "r");
    assert_non_null(f);
    assert_non_null(fgets(name, 256, f));
    name[strcspn(name, "\n")] = '\0';
    pclose(f);
}

static void pieces_are_found_again(void **state)
{
    (void)state;
    const double third = 1.0 / 3.0;
    lrk_journal *j = open_it("a");
    lrk_journal_close(j, false);
    assert_int_equal(scratch_count("partial"), 0); /* without a piece there is nothing to keep */

    j = open_it("a");
    add(j, "losses", 3, third);
    add(j, "answers", 0, -2.0);
    lrk_journal_close(j, false);
    j = open_it("b"); /* another command finds nothing, and harms nothing */
    nothing_behind(j, 0);
    add(j, "losses", 0, 1.0);
    lrk_journal_close(j, true);

    j = open_it("a");
    expect(j, 0, "losses", 3, third);
    expect(j, 1, "answers", 0, -2.0);
    nothing_behind(j, 2);
    add(j, "losses", 4, 5.0);
    lrk_journal_close(j, false);
    j = open_it("a");
    expect(j, 2, "losses", 4, 5.0);
    lrk_journal_close(j, true);
    assert_int_equal(scratch_count("partial"), 0);
}

static void a_line_that_was_cut_off_is_dropped(void **state)
{
    (void)state;
    char name[256];
    lrk_journal *j = open_it("a");
    add(j, "losses", 0, 1.0);
    add(j, "losses", 1, 2.0);
    lrk_journal_close(j, false);
    kept_name(name);
    assert_int_equal(lrk_file_append(name, "{\"part\": \"lo", 12, NULL), LRK_OK);
    j = open_it("a");
    expect(j, 1, "losses", 1, 2.0);
    nothing_behind(j, 2);
    add(j, "losses", 2, 3.0); /* on a line of its own */
    lrk_journal_close(j, false);
    j = open_it("a");
    expect(j, 2, "losses", 2, 3.0);
    lrk_journal_close(j, true);

    scratch_text(name, "{\"what\":"); /* not even the key is whole */
    j = open_it("a");
    nothing_behind(j, 0);
    add(j, "losses", 0, 4.0);
    lrk_journal_close(j, false);
    j = open_it("a");
    expect(j, 0, "losses", 0, 4.0);
    lrk_journal_close(j, true);
}

static void other_contents_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"what\": \"b\"}\n",
        "{\"what\": \"a\"}\nnonsense\n",
        "{\"what\": \"a\"}\n{\"part\": 1, \"number\": 1, \"value\": 1}\n",
        "{\"what\": \"a\"}\n{\"part\": \"x\", \"number\": -1, \"value\": 1}\n",
        "{\"what\": \"a\"}\n{\"part\": \"x\", \"number\": 1}\n",
        "{\"what\": \"a\"}\n[]\n\n",
    };
    char name[256];
    lrk_journal *j = open_it("a");
    add(j, "losses", 0, 1.0);
    lrk_journal_close(j, false);
    kept_name(name);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        lrk_err err = {0};
        scratch_text(name, lines[i]);
        assert_int_equal(lrk_journal_open(&j, "out", key("a"), &err), LRK_EINPUT);
        if (!strstr(err.text, name)) fail_msg("\"%s\" does not name the file", err.text);
    }
    assert_int_equal(lrk_remove(name, NULL), LRK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_found_again),
        cmocka_unit_test(a_line_that_was_cut_off_is_dropped),
        cmocka_unit_test(other_contents_are_refused),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
