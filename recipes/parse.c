/* recipes/parse.c -- YAML events into a tree. */
#include "recipes/parse.h"

#include <string.h>
#include <yaml.h>

enum { MOST_BYTES = 64 * 1024, MOST_EVENTS = 4096, DEEPEST = 16 };

typedef struct builder {
    yaml_parser_t parser;
    lrk_arena *arena;
    const char *name;
    lrk_err *err;
    lrk_yaml *open[DEEPEST];   /* maps and lists that have begun, outermost first */
    lrk_yaml *newest[DEEPEST]; /* the last child of each */
    size_t depth;
    lrk_yaml *root;
    lrk_yaml pending; /* in a map: the key whose value comes next; key NULL when there is none */
    size_t documents;
    bool done;
} builder;

static lrk_status fail_at(builder *b, yaml_mark_t at, const char *what)
{
    return lrk_fail(b->err, LRK_EUSAGE, "%s:%zu:%zu: %s", b->name, at.line + 1, at.column + 1,
                    what);
}

/* What libyaml could not read, at the place it names. */
static lrk_status syntax(builder *b)
{
    const yaml_parser_t *p = &b->parser;
    LRK_REQUIRE(b->err, p->error != YAML_MEMORY_ERROR, LRK_ENOMEM, "%s: out of memory", b->name);
    const char *problem = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_READER_ERROR)
        return lrk_fail(b->err, LRK_EUSAGE, "%s: byte %zu: %s", b->name, p->problem_offset,
                        problem);
    if (p->context)
        return lrk_fail(b->err, LRK_EUSAGE, "%s:%zu:%zu: %s, %s", b->name, p->problem_mark.line + 1,
                        p->problem_mark.column + 1, p->context, problem);
    return fail_at(b, p->problem_mark, problem);
}

/* A key is a plain scalar that no earlier key of its map equals; those of the recipe itself are compared when
 * they are read, with all other mistakes. */
static lrk_status take_key(builder *b, const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;
    if (strcmp(text, "<<") == 0)
        return fail_at(b, e->start_mark, "merge keys (<<) are not used in recipes; write it out");
    for (const lrk_yaml *k = b->open[b->depth - 1]->child; k && b->depth > 1; k = k->next)
        if (strcmp(k->key, text) == 0)
            return lrk_fail(b->err, LRK_EUSAGE, "%s:%zu:%zu: %s: given twice, first in line %zu",
                            b->name, e->start_mark.line + 1, e->start_mark.column + 1, text,
                            k->line);
    char *key = lrk_strdup(b->arena, text);
    LRK_REQUIRE(b->err, key, LRK_ENOMEM, "%s: out of memory", b->name);
    b->pending.key = key;
    b->pending.line = e->start_mark.line + 1;
    b->pending.column = e->start_mark.column + 1;
    return LRK_OK;
}

/* A new node as child of the innermost open one, or as root. */
static lrk_status add(builder *b, lrk_yaml_kind kind, const yaml_event_t *e, lrk_yaml **out)
{
    lrk_yaml *node;
    LRK_TRY(lrk_alloc(b->arena, 1, sizeof *node, "recipe", &node, b->err));
    *node = b->pending;
    b->pending = (lrk_yaml){0};
    node->kind = kind;
    if (!node->key) {
        node->line = e->start_mark.line + 1;
        node->column = e->start_mark.column + 1;
    }
    if (b->depth == 0) {
        b->root = node;
    } else {
        lrk_yaml **newest = &b->newest[b->depth - 1], *parent = b->open[b->depth - 1];
        *(*newest ? &(*newest)->next : &parent->child) = node;
        *newest = node;
        parent->n++;
    }
    *out = node;
    return LRK_OK;
}

static lrk_status begin(builder *b, lrk_yaml_kind kind, const yaml_event_t *e)
{
    lrk_yaml *node;
    if (b->depth == DEEPEST) return fail_at(b, e->start_mark, "nested deeper than 16 levels");
    LRK_TRY(add(b, kind, e, &node));
    b->open[b->depth] = node;
    b->newest[b->depth] = NULL;
    b->depth++;
    return LRK_OK;
}

static lrk_status scalar(builder *b, const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;
    const size_t length = e->data.scalar.length;
    if (memchr(text, '\0', length)) return fail_at(b, e->start_mark, "a NUL character in text");

    const bool in_map = b->depth > 0 && b->open[b->depth - 1]->kind == LRK_YAML_MAP;
    if (in_map && !b->pending.key) return take_key(b, e);

    lrk_yaml *node;
    LRK_TRY(add(b, LRK_YAML_SCALAR, e, &node));
    node->text = lrk_strndup(b->arena, text, length);
    LRK_REQUIRE(b->err, node->text, LRK_ENOMEM, "%s: out of memory", b->name);
    node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return LRK_OK;
}

static lrk_status refuse_extras(builder *b, const unsigned char *anchor, const unsigned char *tag,
                                yaml_mark_t at)
{
    if (anchor) return fail_at(b, at, "anchors (&name) are not used in recipes; write it out");
    if (tag) return fail_at(b, at, "tags (!name) are not used in recipes");
    return LRK_OK;
}

static bool awaits_key(const builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1]->kind == LRK_YAML_MAP && !b->pending.key;
}

static lrk_status take(builder *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_STREAM_START_EVENT:
        return LRK_OK;
    case YAML_STREAM_END_EVENT:
        b->done = true;
        return LRK_OK;
    case YAML_DOCUMENT_START_EVENT:
        if (b->documents++) return fail_at(b, e->start_mark, "a second document; a recipe has one");
        if (e->data.document_start.version_directive ||
            e->data.document_start.tag_directives.start !=
                e->data.document_start.tag_directives.end)
            return fail_at(b, e->start_mark, "directives (%) are not used in recipes");
        return LRK_OK;
    case YAML_DOCUMENT_END_EVENT:
        return LRK_OK;
    case YAML_ALIAS_EVENT:
        return fail_at(b, e->start_mark, "aliases (*name) are not used in recipes; write it out");
    case YAML_SCALAR_EVENT:
        LRK_TRY(refuse_extras(b, e->data.scalar.anchor, e->data.scalar.tag, e->start_mark));
        return scalar(b, e);
    case YAML_SEQUENCE_START_EVENT:
        LRK_TRY(refuse_extras(b, e->data.sequence_start.anchor, e->data.sequence_start.tag,
                              e->start_mark));
        if (awaits_key(b)) return fail_at(b, e->start_mark, "a list as a key");
        return begin(b, LRK_YAML_LIST, e);
    case YAML_MAPPING_START_EVENT:
        LRK_TRY(refuse_extras(b, e->data.mapping_start.anchor, e->data.mapping_start.tag,
                              e->start_mark));
        if (awaits_key(b)) return fail_at(b, e->start_mark, "a map as a key");
        return begin(b, LRK_YAML_MAP, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return LRK_OK;
    case YAML_NO_EVENT:
        break;
    }
    return fail_at(b, e->start_mark, "not understood");
}

lrk_status lrk_yaml_parse(lrk_yaml **root, lrk_arena *a, const char *text, size_t n,
                          const char *name, lrk_err *err)
{
    builder b = {.arena = a, .name = name, .err = err};
    LRK_REQUIRE(err, n <= MOST_BYTES, LRK_EUSAGE, "%s: %zu bytes; a recipe has at most %d", name, n,
                MOST_BYTES);
    LRK_REQUIRE(err, yaml_parser_initialize(&b.parser), LRK_ENOMEM, "%s: out of memory", name);
    const size_t mark = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* Notepad's */
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text + mark, n - mark);

    lrk_status s = LRK_OK;
    for (size_t events = 0; s == LRK_OK && !b.done; events++) {
        yaml_event_t e;
        if (!yaml_parser_parse(&b.parser, &e)) {
            s = syntax(&b);
            break;
        }
        s = events < MOST_EVENTS ? take(&b, &e)
                                 : fail_at(&b, e.start_mark, "more than 4096 YAML events");
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&b.parser);
    LRK_TRY(s);
    if (!b.root) {
        LRK_TRY(lrk_alloc(a, 1, sizeof **root, "recipe", &b.root, err));
        *b.root = (lrk_yaml){.kind = LRK_YAML_MAP, .line = 1, .column = 1};
    }
    *root = b.root;
    return LRK_OK;
}

const char *lrk_yaml_version(void) { return yaml_get_version_string(); }
