/* cli/options.c -- options of a command, and commands below a command. */
#include "base/arena.h"
#include "base/text.h"
#include "base/threads.h"
#include "cli/command.h"
#include "recipes/schema.h"

#include <stdio.h>
#include <string.h>

static const lrk_option *find(const lrk_option *options, size_t n, const char *name, size_t length)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

static lrk_status unknown(const lrk_option *options, size_t n, const char *name, size_t length,
                          lrk_err *err)
{
    char word[64] = "";
    snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1),
             name);
    lrk_nearest near = {.word = word};
    for (size_t i = 0; i < n; i++) lrk_nearest_offer(&near, options[i].name);
    if (near.best)
        return lrk_fail(err, LRK_EUSAGE, "--%s: unknown option, did you mean --%s?", word,
                        near.best);
    char key[sizeof word];
    for (size_t i = 0; i < sizeof word; i++) key[i] = word[i] == '-' ? '_' : word[i];
    if (lrk_key_meant(key))
        return lrk_fail(err, LRK_EUSAGE, "--%s: unknown option; a key of a recipe is given without dashes: %s=VALUE",
                        word, key);
    return lrk_fail(err, LRK_EUSAGE, "--%s: unknown option; --help lists those there are", word);
}

_Static_assert(LRK_MAX_THREADS == 256, "LRK_RANGE_THREADS says so");

/* value: NULL where the text is no number of this kind. */
static lrk_status check_range(const lrk_option *o, const char *text, const double *value, lrk_err *err)
{
    const lrk_key_kind kind = o->kind == LRK_OPTION_SIZE ? LRK_KEY_SIZE : LRK_KEY_REAL;
    const lrk_key k = {.kind = kind, .domain = o->range ? o->range : ""};
    if (value && lrk_domain_holds(k.domain, *value)) return LRK_OK;
    lrk_buf want = {0};
    lrk_domain_describe(&k, &want);
    const lrk_status s = lrk_fail(err, LRK_EUSAGE, "--%s: expected %s%s, got \"%s\"", o->name, o->range ? "" : "a ",
                                  want.data ? want.data : "number", text);
    lrk_buf_free(&want);
    return s;
}

static lrk_status store(const lrk_option *o, const char *value, lrk_err *err)
{
    size_t size = 0;
    double real = 0.0;
    switch (o->kind) {
    case LRK_OPTION_FLAG:
        *(bool *)o->target = true;
        return LRK_OK;
    case LRK_OPTION_STRING:
        *(const char **)o->target = value;
        return LRK_OK;
    case LRK_OPTION_SIZE:
        if (!lrk_text_size(value, &size)) return check_range(o, value, NULL, err);
        real = (double)size;
        LRK_TRY(check_range(o, value, &real, err));
        *(size_t *)o->target = size;
        return LRK_OK;
    case LRK_OPTION_REAL:
        LRK_TRY(check_range(o, value, lrk_text_real(value, &real) ? &real : NULL, err));
        *(double *)o->target = real;
        return LRK_OK;
    }
    LRK_BUG("option --%s has no known kind", o->name);
}

/* One option at argv[*i]; moves *i over a value that stands by itself. */
static lrk_status take(const lrk_option *options, size_t n, int argc, char **argv, int *i,
                       bool *seen, lrk_err *err)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    const size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const lrk_option *o = find(options, n, name, length);
    if (!o) return unknown(options, n, name, length, err);
    LRK_REQUIRE(err, !seen[o - options], LRK_EUSAGE, "--%s: given twice", o->name);
    seen[o - options] = true;

    if (o->kind == LRK_OPTION_FLAG) {
        LRK_REQUIRE(err, !equals, LRK_EUSAGE, "--%s: takes no value", o->name);
        return store(o, NULL, err);
    }
    if (equals) return store(o, equals + 1, err);
    LRK_REQUIRE(err, *i + 1 < argc, LRK_EUSAGE, "--%s: a value is missing after it", o->name);
    return store(o, argv[++*i], err);
}

lrk_status lrk_options_parse(const lrk_option *options, size_t n, int *argc, char **argv,
                             lrk_err *err)
{
    enum { MOST_OPTIONS = 64 };
    bool seen[MOST_OPTIONS] = {false};
    int kept = 0, i = 0;
    LRK_ASSERT(n <= MOST_OPTIONS);

    for (; i < *argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--") == 0) {
            i++;
            break;
        }
        if (strncmp(arg, "--", 2) == 0) {
            LRK_TRY(take(options, n, *argc, argv, &i, seen, err));
            continue;
        }
        /* "-" alone is standard input, "-0.5" a number; other single letters are not options here
         */
        const bool letter = arg[0] == '-' && arg[1] && !strchr(".0123456789", arg[1]);
        LRK_REQUIRE(err, !letter, LRK_EUSAGE,
                    "%s: unknown option; options have long names with two dashes, --help lists "
                    "them, and -- stands before a file name that begins with a dash",
                    arg);
        argv[kept++] = argv[i];
    }
    while (i < *argc) argv[kept++] = argv[i++];
    *argc = kept;

    for (size_t k = 0; k < n; k++)
        LRK_REQUIRE(err, seen[k] || !options[k].required, LRK_EUSAGE,
                    "--%s is missing; --help shows how it is used", options[k].name);
    return LRK_OK;
}

lrk_status lrk_subcommand(const lrk_command *table, size_t n, const char *parent, int argc,
                          char **argv, lrk_err *err)
{
    lrk_buf names = {0};
    for (size_t i = 0; i < n; i++) lrk_buf_printf(&names, "%s%s", i ? ", " : "", table[i].name);
    char known[512];
    snprintf(known, sizeof known, "%s", names.data ? names.data : "");
    lrk_buf_free(&names);

    LRK_REQUIRE(err, argc > 0, LRK_EUSAGE, "%s: which one? There are: %s", parent, known);
    lrk_nearest near = {.word = argv[0]};
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].name, argv[0]) == 0)
            return lrk_command_run(&table[i], argc - 1, argv + 1, err);
        lrk_nearest_offer(&near, table[i].name);
    }
    if (near.best)
        return lrk_fail(err, LRK_EUSAGE, "%s %s: unknown command, did you mean %s %s?", parent,
                        argv[0], parent, near.best);
    return lrk_fail(err, LRK_EUSAGE, "%s %s: unknown command; there are: %s", parent, argv[0],
                    known);
}

lrk_status lrk_command_run(const lrk_command *c, int argc, char **argv, lrk_err *err)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0) continue;
        if (c->group && i > 0) break; /* meant for the command below */
        fputs(c->help, stdout);
        return LRK_OK;
    }
    return c->run(argc, argv, err);
}
