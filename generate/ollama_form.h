/* generate/ollama_form.h -- a chat template taken apart: the fixed pieces between what is said.
 *
 * The text of a conversation is  piece[nobody][s0] m0 piece[s0][s1] m1 ... piece[sn][next], with si who
 * says mi. The pieces are read off the template's own renderings of a few conversations on two days, and
 * tried on others on a third. Where they differ by the day, the parts of a date stand in them as bytes
 * that UTF-8 has not.
 */
#ifndef LRK_GENERATE_OLLAMA_FORM_H
#define LRK_GENERATE_OLLAMA_FORM_H
#include "data/chat.h"

typedef enum lrk_speaker {
    LRK_NOBODY,
    LRK_SYSTEM,
    LRK_USER,
    LRK_ASSISTANT,
    LRK_NEXT, /* the answer that is asked for */
    LRK_SPEAKERS
} lrk_speaker;
extern const char *const lrk_speaker_roles[LRK_SPEAKERS]; /* "" for those that have none */

/* Parts of a date in a piece, as strftime's %Y, %m, %d, %B, %b. */
enum { LRK_FORM_YEAR = 0xfb, LRK_FORM_MONTH, LRK_FORM_DAY, LRK_FORM_NAME, LRK_FORM_SHORT };

/* What is cut off the beginning and the end of what somebody says: nothing, line feeds, or all that is blank to Python. */
typedef enum lrk_trim { LRK_TRIM_NONE, LRK_TRIM_LINES, LRK_TRIM_BLANKS, LRK_TRIMS } lrk_trim;

typedef struct lrk_form {
    lrk_buf between[LRK_SPEAKERS][LRK_SPEAKERS]; /* data NULL: the template never has the one after the other */
    lrk_buf stop;                                /* the token that ends an answer */
    lrk_trim left[LRK_SPEAKERS], right[LRK_SPEAKERS];
    bool system; /* system messages are taken */
    bool forgets_thinking; /* <think> blocks of earlier answers are left out, for which Go has no form */
    bool late; /* the system message stands before what the user says last, wherever it came from */
} lrk_form;

/* Zeroed *out; lrk_form_free whatever comes back. chat->add_generation_prompt is set; chat->now is used here.
 * adds_bos: the tokenizer puts bos in front, so that no piece has it. LRK_ESUPPORT where the text is no such form. */
lrk_status lrk_form_find(lrk_chat_options *chat, bool adds_bos, const char *where, lrk_form *out, lrk_err *err);
void lrk_form_free(lrk_form *f);

#endif /* LRK_GENERATE_OLLAMA_FORM_H */
