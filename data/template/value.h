/* data/template/value.h -- the values of a rendering: Python's, as far as templates can tell.
 *
 * Everything lives in the arena of the rendering and is never changed once others can see it, but
 * for namespaces, scopes and the position of generators.
 */
#ifndef LRK_DATA_TEMPLATE_VALUE_H
#define LRK_DATA_TEMPLATE_VALUE_H
#include "data/template/ast.h"

/* Bytes [begin, end) of a string come from a message. origin: 4 * index in messages + field. */
typedef struct lrk_jmark {
    uint32_t begin, end, origin;
} lrk_jmark;

typedef struct lrk_jstr {
    const char *s; /* n bytes of UTF-8 */
    size_t n;
    const lrk_jmark *marks; /* in order, disjoint */
    size_t n_marks;
    bool safe; /* went through |safe: Python's Markup, whose operators behave otherwise */
} lrk_jstr;

typedef enum lrk_jkind {
    LRK_JV_MISSING, /* an argument that was not given; never seen by templates */
    LRK_JV_UNDEFINED,
    LRK_JV_NONE,
    LRK_JV_BOOL,
    LRK_JV_INT,
    LRK_JV_REAL,
    LRK_JV_STR,
    LRK_JV_LIST,
    LRK_JV_TUPLE,
    LRK_JV_RANGE,
    LRK_JV_VIEW, /* dict.keys(), values(), items() */
    LRK_JV_GENERATOR,
    LRK_JV_DICT,
    LRK_JV_NAMESPACE,
    LRK_JV_MACRO,
    LRK_JV_FUNCTION,
    LRK_JV_METHOD,
    LRK_JV_LOOP
} lrk_jkind;

typedef struct lrk_jvalue lrk_jvalue;

typedef struct lrk_jseq {
    lrk_jvalue *items;
    size_t n, capacity;
    size_t pos;             /* generators: the next item */
    struct lrk_jlazy *lazy; /* generators that work item by item; NULL: over items */
} lrk_jseq;

typedef struct lrk_jdict {
    struct lrk_jpair *pairs;
    size_t n, capacity;
} lrk_jdict;

struct lrk_jvalue {
    lrk_jkind kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
        const lrk_jstr *str;
        lrk_jseq *seq;
        lrk_jdict *dict; /* of namespaces too */
        const struct lrk_jmacro *macro;
        const struct lrk_jfunction *function;
        const struct lrk_jbound *method;
        struct lrk_jloop *loop;
        const char *hint; /* undefined: what a message about it says; never NULL */
    } as;
};

typedef struct lrk_jpair {
    lrk_jvalue key, value;
} lrk_jpair;

typedef struct lrk_jargs {
    const lrk_jvalue *at;
    size_t n;
    const struct lrk_jkeyword {
        const char *name;
        lrk_jvalue value;
    } * keywords;
    size_t n_keywords;
} lrk_jargs;

struct lrk_jrun;
typedef struct lrk_jfunction {
    const char *name;
    lrk_status (*call)(struct lrk_jrun *r, const lrk_jargs *args, lrk_jvalue *out);
} lrk_jfunction;

/* A method looked up on a value, not called yet. */
typedef struct lrk_jbound {
    lrk_jvalue self;
    const struct lrk_jmethod *method;
} lrk_jbound;

typedef struct lrk_jmethod {
    const char *name;
    lrk_status (*call)(struct lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, lrk_jvalue *out);
} lrk_jmethod;

typedef struct lrk_jscope {
    struct lrk_jscope *up;
    struct lrk_jslot {
        const char *name; /* interned */
        lrk_jvalue value;
    } * slots;
    size_t n, capacity;
    bool captured; /* a macro remembers it */
} lrk_jscope;

typedef struct lrk_jmacro {
    const lrk_jnode *node;
    lrk_jscope *scope; /* where it was defined */
} lrk_jmacro;

typedef struct lrk_jiter {
    lrk_jvalue over;
    size_t pos;
} lrk_jiter;

/* A generator of the reference: nothing happens, and nothing fails, before an item is asked for. */
typedef struct lrk_jlazy {
    lrk_jvalue over;
    lrk_jiter source; /* valid once begun */
    bool begun, attribute, want;
    lrk_jargs args;
    lrk_jseq *seen;
    lrk_status (*begin)(struct lrk_jrun *r, struct lrk_jlazy *l);
    lrk_status (*step)(struct lrk_jrun *r, struct lrk_jlazy *l, lrk_jvalue item, lrk_jvalue *out,
                       bool *keep);
} lrk_jlazy;

typedef struct lrk_jloop {
    lrk_jiter iter;
    const lrk_jnode *node; /* for the filter */
    lrk_jscope *scope;     /* around the loop */
    size_t index0;
    lrk_jvalue before, current, after; /* MISSING where there is none yet */
    lrk_jseq *rest;                    /* items fetched early because a length was asked for */
    size_t rest_pos;
    lrk_jvalue changed;
} lrk_jloop;

/* Text that grows, with the marks of what it was made of. */
typedef struct lrk_jout {
    char *s;
    size_t n, capacity;
    lrk_jmark *marks;
    size_t n_marks, marks_capacity;
} lrk_jout;

typedef struct lrk_jrun {
    const lrk_template *t;
    const lrk_render_options *o;
    const lrk_jdict *context;
    lrk_arena *arena;
    char *pool; /* the rest of the current block */
    size_t pool_left;
    size_t bytes, max_bytes, steps, max_steps;
    unsigned depth;
    lrk_jpos at; /* of the node under work, for messages */
    lrk_jscope *scope;
    lrk_jout *out, text;
    lrk_jmark *generations; /* runs of text, in order */
    size_t n_generations, generations_capacity;
    lrk_jvalue piped; /* what a filter without operand works on: the body of its block */
    int flow;         /* LRK_J_BREAK, LRK_J_CONTINUE while on the way out of a loop's body */
    lrk_err *err;
} lrk_jrun;

enum { LRK_J_GO, LRK_J_BREAK, LRK_J_CONTINUE };
/* Calls within calls; each costs a few hundred bytes of stack, a few thousand under sanitizers. */
enum { LRK_J_MAX_DEPTH = 700 };

/* LRK_EINPUT, LRK_ESUPPORT or another status at the current position. */
lrk_status lrk_j_fail(lrk_jrun *r, lrk_status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
lrk_status lrk_j_work(lrk_jrun *r, size_t steps); /* counts steps against the limit */
lrk_status lrk_j_take(lrk_jrun *r, size_t count, size_t size, void *out);
/* Grows an array of n elements so that one more fits. */
lrk_status lrk_j_room(lrk_jrun *r, size_t n, size_t *capacity, size_t size, void *array);

/* ---- making values ---- */
static inline lrk_jvalue lrk_j_none(void) { return (lrk_jvalue){.kind = LRK_JV_NONE}; }
static inline lrk_jvalue lrk_j_bool(bool b)
{
    return (lrk_jvalue){.kind = LRK_JV_BOOL, .as.boolean = b};
}
static inline lrk_jvalue lrk_j_int(int64_t i)
{
    return (lrk_jvalue){.kind = LRK_JV_INT, .as.integer = i};
}
static inline lrk_jvalue lrk_j_real(double d)
{
    return (lrk_jvalue){.kind = LRK_JV_REAL, .as.real = d};
}
static inline bool lrk_j_is_seq(lrk_jkind k) { return k >= LRK_JV_LIST && k <= LRK_JV_GENERATOR; }
lrk_jvalue lrk_j_undefined(lrk_jrun *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
lrk_status lrk_j_text(lrk_jrun *r, const char *s, size_t n, lrk_jvalue *out); /* copies */
lrk_status lrk_j_seq(lrk_jrun *r, lrk_jkind kind, lrk_jvalue *out);           /* empty */
lrk_status lrk_j_append(lrk_jrun *r, lrk_jseq *seq, lrk_jvalue v);
lrk_status lrk_j_pair(lrk_jrun *r, lrk_jvalue a, lrk_jvalue b, lrk_jvalue *out); /* a tuple */
lrk_status lrk_j_dict(lrk_jrun *r, lrk_jvalue *out);
lrk_status lrk_j_dict_set(lrk_jrun *r, lrk_jdict *d, lrk_jvalue key, lrk_jvalue value);
lrk_status lrk_j_dict_put(lrk_jrun *r, lrk_jdict *d, const char *key, lrk_jvalue value);
const lrk_jvalue *lrk_j_dict_find(const lrk_jdict *d, const char *key, size_t n);
lrk_status lrk_j_dict_get(lrk_jrun *r, const lrk_jdict *d, lrk_jvalue key, const lrk_jvalue **out);
/* A value of JSON; texts below get `origin` where it is not 0. */
lrk_status lrk_j_from_json(lrk_jrun *r, const lrk_json *v, uint32_t origin, lrk_jvalue *out);
lrk_status lrk_j_context(lrk_jrun *r, const lrk_json *context, lrk_jvalue *out);

/* ---- text ---- */
/* origin 0: of nobody. */
lrk_status lrk_j_put(lrk_jrun *r, lrk_jout *o, const char *s, size_t n, uint32_t origin);
lrk_status lrk_j_puts(lrk_jrun *r, lrk_jout *o, const char *s);
lrk_status lrk_j_put_part(lrk_jrun *r, lrk_jout *o, const lrk_jstr *s, size_t begin, size_t end);
lrk_status lrk_j_put_str(lrk_jrun *r, lrk_jout *o, const lrk_jstr *s);
lrk_status lrk_j_finish(lrk_jrun *r, lrk_jout *o, lrk_jvalue *out);
lrk_status lrk_j_part(lrk_jrun *r, const lrk_jstr *s, size_t begin, size_t end, lrk_jvalue *out);
uint32_t lrk_j_origin_at(const lrk_jstr *s, size_t byte); /* 0: nobody's */
static inline bool lrk_j_same(const lrk_jstr *s, const char *text, size_t n)
{
    return s->n == n && (n == 0 || __builtin_memcmp(s->s, text, n) == 0);
}

lrk_status lrk_j_put_value(lrk_jrun *r, lrk_jout *o, lrk_jvalue v); /* str(v) */
lrk_status lrk_j_put_repr(lrk_jrun *r, lrk_jout *o, lrk_jvalue v);  /* repr(v) */
lrk_status lrk_j_to_str(lrk_jrun *r, lrk_jvalue v, lrk_jvalue *out);

typedef struct lrk_jjson {
    bool ascii, sort;
    bool lines;         /* indent given */
    const char *indent; /* of one level */
    size_t indent_n;
    const char *item, *key; /* separators */
} lrk_jjson;
lrk_status lrk_j_put_json(lrk_jrun *r, lrk_jout *o, lrk_jvalue v, const lrk_jjson *f, size_t level);

/* ---- asking ---- */
const char *lrk_j_type(lrk_jvalue v); /* Python's name of the type */
bool lrk_j_true(lrk_jvalue v);
bool lrk_j_number(lrk_jvalue v, int64_t *i, double *d, bool *real); /* bool, int, float */
lrk_status lrk_j_length(lrk_jrun *r, lrk_jvalue v, size_t *n);
lrk_status lrk_j_equal(lrk_jrun *r, lrk_jvalue a, lrk_jvalue b, bool *out);
/* a < b, a <= b, ... by op. */
lrk_status lrk_j_compare(lrk_jrun *r, lrk_jop op, lrk_jvalue a, lrk_jvalue b, bool *out);
lrk_status lrk_j_contains(lrk_jrun *r, lrk_jvalue in, lrk_jvalue v, bool *out);
lrk_status lrk_j_iter(lrk_jrun *r, lrk_jvalue v, lrk_jiter *out);
lrk_status lrk_j_next(lrk_jrun *r, lrk_jiter *it, lrk_jvalue *out, bool *more);
lrk_status lrk_j_items(lrk_jrun *r, lrk_jvalue v, lrk_jseq **out); /* all at once, a new list */
lrk_status lrk_j_sort(lrk_jrun *r, lrk_jseq *items, const lrk_jvalue *keys, bool reverse);

/* ---- attributes, operators, calls ---- */
lrk_status lrk_j_attr(lrk_jrun *r, lrk_jvalue v, const char *name, lrk_jvalue *out);
lrk_status lrk_j_item(lrk_jrun *r, lrk_jvalue v, lrk_jvalue index, lrk_jvalue *out);
lrk_status lrk_j_slice(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue bounds[3], lrk_jvalue *out);
lrk_status lrk_j_loop_attr(lrk_jrun *r, lrk_jloop *loop, const char *name, lrk_jvalue *out,
                           bool *found);
lrk_status lrk_j_binary(lrk_jrun *r, lrk_jop op, lrk_jvalue a, lrk_jvalue b, lrk_jvalue *out);
lrk_status lrk_j_unary(lrk_jrun *r, bool negate, lrk_jvalue a, lrk_jvalue *out);
lrk_status lrk_j_call(lrk_jrun *r, lrk_jvalue f, const lrk_jargs *args, lrk_jvalue *out);
lrk_status lrk_j_call_macro(lrk_jrun *r, const lrk_jmacro *m, const lrk_jargs *args,
                            lrk_jvalue *out);
lrk_status lrk_j_filter(lrk_jrun *r, const char *name, lrk_jvalue v, const lrk_jargs *args,
                        lrk_jvalue *out);
lrk_status lrk_j_test(lrk_jrun *r, const char *name, lrk_jvalue v, const lrk_jargs *args,
                      bool *out);
/* The methods of a type's values; *out is NULL where there is none of that name. Names that Python
 * has and this renderer does not are LRK_ESUPPORT. */
lrk_status lrk_j_method(lrk_jrun *r, lrk_jvalue v, const char *name, const lrk_jmethod **out);
extern const lrk_jmethod lrk_jmethods_str[], lrk_jmethods_dict[], lrk_jmethods_seq[],
    lrk_jmethods_loop[];
const lrk_jfunction *lrk_j_function(const char *name); /* a global, or NULL */

/* Arguments to parameters. names: count of them, the first `required` must be given; *out keeps
 * MISSING where nothing was. A name that begins with '/' takes no keyword. */
lrk_status lrk_j_bind(lrk_jrun *r, const char *what, const lrk_jargs *args,
                      const char *const *names, size_t count, size_t required, lrk_jvalue *out);
lrk_status lrk_j_want_str(lrk_jrun *r, const char *what, lrk_jvalue v, const lrk_jstr **out);
lrk_status lrk_j_want_int(lrk_jrun *r, const char *what, lrk_jvalue v, int64_t *out);

/* ---- the tree ---- */
lrk_status lrk_j_eval(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out);
lrk_status lrk_j_exec(lrk_jrun *r, const lrk_jnode *list);
lrk_status lrk_j_assign(lrk_jrun *r, const lrk_jnode *target, lrk_jvalue v);
lrk_status lrk_j_scope_new(lrk_jrun *r, lrk_jscope *up, lrk_jscope **out);
lrk_status lrk_j_scope_set(lrk_jrun *r, lrk_jscope *s, const char *name, lrk_jvalue v);
lrk_status lrk_j_lookup(lrk_jrun *r, const char *name, lrk_jvalue *out);

/* ---- spans ---- */
/* Fields of an origin, as lrk_said_field. */
enum { LRK_J_SAYS = LRK_FIELD_CONTENT, LRK_J_CALLS = LRK_FIELD_CALLS, LRK_J_THINKS = LRK_FIELD_THINKING };
lrk_status lrk_j_spans(lrk_jrun *r, const lrk_json *messages, lrk_rendered *out);

#endif /* LRK_DATA_TEMPLATE_VALUE_H */
