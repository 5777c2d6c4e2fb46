/* data/thinking.h -- what a turn thinks before it answers, and what becomes of it in training.
 *
 * The thinking of an answer (a message of no system, developer, user or tool) is its reasoning_content,
 * reasoning, thinking, thought or tool_plan, else what its content (a text, or pieces of it) holds
 * between tags that chat templates in use write: <think>, <thinking>, <seed:think> and <mm:think> with
 * their ends, [THINK] [/THINK], <|START_THINKING|> <|END_THINKING|>, <|inner_prefix|> <|inner_suffix|>,
 * <|channel>thought <channel|>, and turns of their own, <|channel|>analysis<|message|> <|end|> and <|think|> <|end|>.
 * Where a prompt may have opened the block its end is enough. Chat templates show it, or leave it out, or leave it out
 * of all turns but the last; training must not lose what the row says without a word.
 */
#ifndef LRK_DATA_THINKING_H
#define LRK_DATA_THINKING_H
#include "data/template.h"

typedef enum lrk_thinking {
    LRK_THINKING_KEEP,     /* the text of a trained turn must show it, else the row is an error */
    LRK_THINKING_TEMPLATE, /* the template decides */
    LRK_THINKING_STRIP,    /* removed before the template sees it */
    LRK_THINKING_REFUSE    /* a row that has any is an error */
} lrk_thinking;

/* By its name in recipes and on the command line, "keep" to "refuse"; NULL: keep. */
lrk_status lrk_thinking_choose(const char *name, lrk_thinking *out, lrk_err *err);

/* Whether a member of a message of this name is its thinking. */
bool lrk_thinking_field(const char *name);

/* The thinking without the blanks around it; NULL where there is none. Lives as long as `message`. */
const char *lrk_thinking_of(const lrk_json *message, size_t *n);

/* STRIP: *message becomes one without; LRK_EINPUT where nothing else is left of it. REFUSE:
 * LRK_EINPUT where it has any. Otherwise nothing happens. LRK_ENOMEM. */
lrk_status lrk_thinking_apply(lrk_thinking t, lrk_json **message, lrk_err *err);

/* Whether the thinking of message m, if it has any, is in what m says in the text. */
bool lrk_thinking_shown(const lrk_json *messages, size_t m, const lrk_rendered *r, const char *text);

#endif /* LRK_DATA_THINKING_H */
