/* data/template.h -- Jinja chat templates: rendered exactly as the reference renders them, or
 * refused by name.
 *
 * Reference: jinja2's ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks, loop controls
 * and generation blocks, the environment that Hugging Face transformers renders chat templates in.
 * Whatever this renderer does not know (a statement, a filter, a method, a corner of Python) is
 * LRK_ESUPPORT with "name:LINE:COLUMN: feature", at compile time where the text shows it, else
 * where the rendering reaches it. It never guesses.
 *
 * Every string that comes from the context remembers the message it came from, through slices,
 * filters, methods and concatenation, so the bytes of the output know whose words they are: loss
 * masks need no search in the text and cannot be fooled by what a message says.
 *
 * A template is a stranger's program. It can reach nothing but its context; steps, nesting, memory
 * and output are bounded.
 */
#ifndef LRK_DATA_TEMPLATE_H
#define LRK_DATA_TEMPLATE_H
#include "base/arena.h"
#include "base/json.h"

typedef struct lrk_template lrk_template;

/* Compiles n bytes of UTF-8. `name` stands before LINE:COLUMN in messages (lines and columns count
 * from 1, columns in code points); it is copied. Errors: LRK_ESUPPORT (a feature this renderer does
 * not have), LRK_EINPUT (a syntax error, for the reference too), LRK_ENOMEM. A compiled template is
 * never written to again: any number of threads may render it. */
lrk_status lrk_template_compile(lrk_template **out, const char *source, size_t n, const char *name,
                                lrk_err *err);
/* The same with a file, whose path is the name. */
lrk_status lrk_template_load(lrk_template **out, const char *path, lrk_err *err);
void lrk_template_free(lrk_template *t);                /* NULL is fine */
const char *lrk_template_sha256(const lrk_template *t); /* of the source: 64 hex digits */
const char *lrk_template_source(const lrk_template *t); /* lives as long as t */

/* Whether the template knows add_generation_prompt, the question for the next answer. */
bool lrk_template_asks(const lrk_template *t);

typedef enum lrk_span_kind {
    LRK_SPAN_CONTENT,   /* what a message says: from its first printed byte to its last */
    LRK_SPAN_END,       /* the end-of-turn token that follows it, with blanks between the two */
    LRK_SPAN_GENERATION /* a generation block; replaces the assistant's other spans */
} lrk_span_kind;

/* A run of bytes [begin, end) of the text. Spans are in order and do not overlap. */
typedef struct lrk_span {
    size_t begin, end;
    size_t message;   /* index in messages */
    const char *role; /* as the message names it, "" where it does not; lives in the lrk_rendered */
    lrk_span_kind kind;
} lrk_span;

typedef enum lrk_said_field { LRK_FIELD_CONTENT = 1, LRK_FIELD_CALLS, LRK_FIELD_THINKING } lrk_said_field;
const char *lrk_said_name(lrk_said_field f); /* "content", "tool_calls", "thinking" */

/* Bytes [begin, end) of the text that one field of a message says. In order; what the template puts between them is in
 * none. */
typedef struct lrk_said {
    size_t begin, end, message;
    lrk_said_field field;
} lrk_said;

typedef struct lrk_render_options {
    const char *now;               /* "2026-03-01T12:00:00" for strftime_now; NULL: UTC now */
    const char *const *end_tokens; /* texts of the tokens that may end a turn */
    size_t n_end_tokens;
    size_t max_steps, max_bytes; /* of work, and of memory and text; 0: 20 million, 256 MB */
} lrk_render_options;

typedef struct lrk_rendered {
    lrk_buf text;
    lrk_span *spans;
    size_t n_spans;
    lrk_said *said;
    size_t n_said;
    lrk_arena arena; /* holds spans, roles and said */
} lrk_rendered;

/* context: one object whose members are the template's variables as they stand (messages, tools,
 * add_generation_prompt, bos_token, ...); null is none. Nothing is added to it. o may be NULL.
 *
 * A message's content span covers its fields content, reasoning_content, reasoning, thinking, thought,
 * tool_plan and tool_calls, and what the template puts between their parts. The end token is taken only where one
 * of end_tokens stands at that very byte (after blanks that the template prints); the longest wins.
 * After a tool call the template may close its brackets first.
 *
 * Errors: LRK_EVALUE carries the text of the template's own raise_exception; LRK_EINPUT an
 * operation that the reference refuses too ("name:LINE:COLUMN: what"); LRK_ESUPPORT, LRK_ENOMEM as
 * above. On an error *out is empty. */
lrk_status lrk_template_render(const lrk_template *t, const lrk_json *context,
                               const lrk_render_options *o, lrk_rendered *out, lrk_err *err);
void lrk_rendered_free(lrk_rendered *r); /* may be called twice, and on a zeroed one */

#endif /* LRK_DATA_TEMPLATE_H */
