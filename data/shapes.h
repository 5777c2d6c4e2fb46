/* data/shapes.h -- the shapes of rows that people have, and how each becomes parts.
 *
 *   messages   {"messages": [{"role", "content", ...}], "system"?, "tools"?, "documents"?,
 *              "chat_template_kwargs"?}. A turn may say that it is trained, or not: "train" or
 *              "training" true or false, "weight" 0 or 1; one of the three (null is none). Further members
 *              (tool_calls, name, content in text pieces) are kept for the chat template. Roles are
 *              system, user (or human), assistant (or gpt), tool, developer, function, ipython
 *   sharegpt   {"conversations": [{"from", "value"}], "system"?, "tools"?}: human, gpt, system,
 *              tool; turns may say that they are trained, as above, and may be {"role", "content"} as above
 *   instruction  {"instruction", "input"?, "output", "system"?} (Alpaca): a user's and an
 *              assistant's turn; the user says instruction, an empty line, input. "context" and
 *              "response" (Dolly) are other names of "input" and "output"
 *   prompt_completion  {"prompt", "completion"}; also "response" for completion; also {"input",
 *              "output"} without "instruction"; both may be lists of messages
 *   text       {"text"}: all of it is trained
 *   fields     any row, by two templates: "Question: {nl}\nPlume:\n" and "{target}"
 *
 * In templates {name} is the member of that name (a string, number or boolean), {{ and }} are
 * braces, and \n \t \r \\ are what they are in C.
 */
#ifndef LRK_DATA_SHAPES_H
#define LRK_DATA_SHAPES_H
#include "base/json.h"
#include "data/dataset.h"

typedef enum lrk_shape {
    LRK_SHAPE_AUTO,
    LRK_SHAPE_MESSAGES,
    LRK_SHAPE_SHAREGPT,
    LRK_SHAPE_INSTRUCTION,
    LRK_SHAPE_PROMPT,
    LRK_SHAPE_TEXT,
    LRK_SHAPE_FIELDS,
    LRK_SHAPE_END
} lrk_shape;

const char *lrk_shape_name(lrk_shape s);
/* LRK_EUSAGE with the names there are. "fields" cannot be named: it follows from its templates. */
lrk_status lrk_shape_from_name(const char *name, lrk_shape *out, lrk_err *err);

/* The shape of a row by its members. LRK_EINPUT where none fits, or more than one. */
lrk_status lrk_shape_recognize(const lrk_json *row, lrk_shape *out, lrk_err *err);

/* A template cut into literal text and members. */
typedef struct lrk_fields {
    struct lrk_field {
        char *text; /* literal text, or the member's name */
        bool member;
    } *field;
    size_t n;
} lrk_fields;

/* Into a; `what` names the template in messages ("--prompt"). LRK_EUSAGE where a brace has no
 * partner, or an escape is unknown. */
lrk_status lrk_fields_parse(const char *text, const char *what, lrk_arena *a, lrk_fields *out,
                            lrk_err *err);

/* What this data calls the members above; NULL: as above. instruction and output stand for prompt
 * and completion too, in rows of that shape. role and content are inside messages. */
typedef struct lrk_member_names {
    const char *messages, *role, *content, *system, *instruction, *input, *output, *text;
    bool prompt; /* the two were named prompt and completion: the rows are of that shape */
} lrk_member_names;

/* "messages=talk,role=from": ours = theirs; prompt and completion are instruction and output. The
 * strings live in a. LRK_EUSAGE for names that aren't ours. */
lrk_status lrk_member_names_parse(const char *text, lrk_arena *a, lrk_member_names *out,
                                  lrk_err *err);

/* Notes in *seen, one bit a name, which names the row has; the first of which none has had, or NULL. */
void lrk_member_names_look(const lrk_member_names *m, const lrk_json *row, unsigned *seen);
const char *lrk_member_names_unseen(const lrk_member_names *m, unsigned seen);

typedef struct lrk_shaping {
    lrk_shape shape;
    const char *answer; /* what the first row calls its answer: "completion", "response"; NULL: not known */
    lrk_fields prompt, completion; /* for LRK_SHAPE_FIELDS */
    lrk_member_names names;
} lrk_shaping;

/* A row whose members are called as above, out of one with the names of s: a copy, or one more
 * reference to it where nothing is renamed. What had such a name and was not meant is left out. */
lrk_json *lrk_shape_rename(const lrk_shaping *s, lrk_json *row);

/* One row into parts, which live in a; texts live in a or in `row`. LRK_EINPUT for wrong types,
 * empty answers and rows in which nothing could be trained; the message begins with the member. */
lrk_status lrk_shape_apply(const lrk_shaping *s, const lrk_json *row, lrk_arena *a,
                           lrk_part **parts, size_t *n, lrk_err *err);

/* What the row calls its answer, in its shape; static, NULL where it has none. */
const char *lrk_shape_answer(lrk_shape shape, const lrk_json *row);

/* Whether a top-level member plays a part; the others are dropped by the import, which says so. */
bool lrk_shape_uses(const lrk_shaping *s, const char *member);

#endif /* LRK_DATA_SHAPES_H */
