/* data/template/ast.h -- what a template is made of: tokens, and the tree that the parser builds of
 * them. Both live in the arena of the template; the tree is read-only once it is compiled.
 */
#ifndef LRK_DATA_TEMPLATE_AST_H
#define LRK_DATA_TEMPLATE_AST_H
#include "data/template.h"

#include <stdint.h>

typedef struct lrk_jpos {
    uint32_t line, column; /* from 1; columns in code points */
} lrk_jpos;

typedef enum lrk_jtoken_kind {
    LRK_JT_EOF,
    LRK_JT_DATA,      /* text between tags, whitespace control done */
    LRK_JT_PRINT,     /* {{ */
    LRK_JT_PRINT_END, /* }} */
    LRK_JT_BLOCK,     /* {% */
    LRK_JT_BLOCK_END, /* %} */
    LRK_JT_NAME,
    LRK_JT_STRING, /* escapes done */
    LRK_JT_INTEGER,
    LRK_JT_FLOAT,
    LRK_JT_OPERATOR /* its text in s */
} lrk_jtoken_kind;

typedef struct lrk_jtoken {
    lrk_jtoken_kind kind;
    lrk_jpos at;
    const char *s; /* n bytes, NUL after them */
    size_t n;
    int64_t integer;
    double real;
} lrk_jtoken;

typedef enum lrk_jnode_kind {
    /* expressions; in brackets which members of lrk_jnode they use */
    LRK_JN_NONE,
    LRK_JN_BOOL,    /* integer */
    LRK_JN_INTEGER, /* integer */
    LRK_JN_REAL,    /* real */
    LRK_JN_STRING,  /* s, n */
    LRK_JN_NAME,    /* s */
    LRK_JN_TUPLE,   /* list */
    LRK_JN_LIST,    /* list */
    LRK_JN_DICT,    /* list of PAIR */
    LRK_JN_PAIR,    /* a: b */
    LRK_JN_ATTR,    /* a.s */
    LRK_JN_ITEM,    /* a[b] */
    LRK_JN_SLICE,   /* a[b:c:d], each may be NULL but a */
    LRK_JN_CALL,    /* a(list) */
    LRK_JN_KEYWORD, /* s=a, in a list of arguments */
    LRK_JN_FILTER,  /* a|s(list); a is NULL at the start of a filter block */
    LRK_JN_TEST,    /* a is s(list) */
    LRK_JN_NOT,
    LRK_JN_NEG,
    LRK_JN_POS,
    LRK_JN_AND,
    LRK_JN_OR,
    LRK_JN_BINARY,  /* a op b */
    LRK_JN_CONCAT,  /* list */
    LRK_JN_COMPARE, /* a, list of OPERAND */
    LRK_JN_OPERAND, /* op a */
    LRK_JN_COND,    /* b if a else c; c may be NULL */
    /* statements */
    LRK_JN_TEXT,      /* s, n */
    LRK_JN_PRINT,     /* a */
    LRK_JN_FOR,       /* for a in b if c: list, else orelse */
    LRK_JN_IF,        /* if a: list, else orelse */
    LRK_JN_SET,       /* a = b */
    LRK_JN_SET_BLOCK, /* a = list, through filter b or NULL */
    LRK_JN_NS_TARGET, /* s.s2 on the left of a SET */
    LRK_JN_MACRO,     /* s, params, list */
    LRK_JN_PARAM,     /* s, default a or NULL */
    LRK_JN_WITH,      /* params are targets: SET nodes; list */
    LRK_JN_BREAK,
    LRK_JN_CONTINUE,
    LRK_JN_GENERATION,  /* list */
    LRK_JN_FILTER_BLOCK /* filter a, list */
} lrk_jnode_kind;

typedef enum lrk_jop {
    LRK_JOP_ADD,
    LRK_JOP_SUB,
    LRK_JOP_MUL,
    LRK_JOP_DIV,
    LRK_JOP_FLOORDIV,
    LRK_JOP_MOD,
    LRK_JOP_POW,
    LRK_JOP_EQ,
    LRK_JOP_NE,
    LRK_JOP_LT,
    LRK_JOP_LE,
    LRK_JOP_GT,
    LRK_JOP_GE,
    LRK_JOP_IN,
    LRK_JOP_NOT_IN
} lrk_jop;

typedef struct lrk_jnode lrk_jnode;
struct lrk_jnode {
    lrk_jnode_kind kind;
    lrk_jop op;
    lrk_jpos at;
    const char *s, *s2; /* names are interned: equal names have equal pointers */
    size_t n;
    int64_t integer;
    double real;
    lrk_jnode *a, *b, *c, *d;
    lrk_jnode *list, *orelse, *params;
    lrk_jnode *next; /* in a list */
};

typedef struct lrk_jname {
    struct lrk_jname *next;
    const char *s;
} lrk_jname;

struct lrk_template {
    lrk_arena arena;
    const char *name, *source;
    lrk_jnode *body;
    bool generation, asks; /* has generation blocks; reads add_generation_prompt */
    lrk_jname *names;
    const char *loop; /* the interned name "loop" */
    char sha256[65];  /* of the source */
};

/* "name:LINE:COLUMN: ..." with the given status. */
lrk_status lrk_jfail(const char *name, lrk_jpos at, lrk_status s, lrk_err *err, const char *fmt,
                     ...) __attribute__((format(printf, 5, 6)));

/* All tokens of the source, an EOF last, in the arena of t. */
lrk_status lrk_jlex(lrk_template *t, const char *source, size_t n, lrk_jtoken **tokens,
                    lrk_err *err);

/* What the parser's two files share. */
typedef struct lrk_jparser {
    lrk_template *t;
    const lrk_jtoken *tok; /* the current one */
    unsigned depth;        /* of nesting, bounded */
    lrk_err *err;
} lrk_jparser;

lrk_status lrk_jnode_new(lrk_jparser *p, lrk_jnode_kind kind, lrk_jpos at, lrk_jnode **out);
lrk_status lrk_jintern(lrk_jparser *p, const char *s, const char **out);
lrk_status lrk_jsyntax(lrk_jparser *p, const char *expected); /* LRK_EINPUT at the current token */
bool lrk_jis(const lrk_jtoken *t, const char *op);            /* an operator */
bool lrk_jis_name(const lrk_jtoken *t, const char *name);
bool lrk_jskip(lrk_jparser *p, const char *op);
bool lrk_jskip_name(lrk_jparser *p, const char *name);
lrk_status lrk_jexpect(lrk_jparser *p, const char *op);

lrk_status lrk_jparse_expr(lrk_jparser *p, bool with_cond, lrk_jnode **out);
/* Expressions up to a comma-less end; a tuple where commas are. */
lrk_status lrk_jparse_tuple(lrk_jparser *p, bool with_cond, bool parentheses, const char *end,
                            lrk_jnode **out);
lrk_status lrk_jparse_primary(lrk_jparser *p, lrk_jnode **out);
/* One filter or more, applied to `on`, the current token being "|" or, with inline_start, a name.
 */
lrk_status lrk_jparse_filters(lrk_jparser *p, lrk_jnode *on, bool inline_start, lrk_jnode **out);

lrk_status lrk_jparse(lrk_template *t, const lrk_jtoken *tokens, lrk_err *err);

/* What the reference finds wrong while it compiles, and names that nobody may use. */
lrk_status lrk_jcheck(lrk_template *t, lrk_err *err);

/* Filters and tests by name: 2 known here, 1 only to the reference, 0 to nobody. */
int lrk_jfilter_known(const char *name);
int lrk_jtest_known(const char *name);

enum { LRK_J_MAX_NESTING = 100 };

#endif /* LRK_DATA_TEMPLATE_AST_H */
