/* generate/ollama_form.h -- a chat template taken apart: the fixed pieces between what is said.
 *
 * The text of a conversation is  piece[nobody][s0] m0 piece[s0][s1] m1 ... piece[sn][next], with si who
 * says mi. The pieces are read off the template's own renderings of a few conversations on two days, and
 * tried on others on a third. Where they differ by the day, the parts of a date stand in them as bytes
 * that UTF-8 has not.
 *
 * An answer may say several things: what it thinks, its content, then for each call a name and
 * arguments; each is a speaker of its own here. Conversations with tools have pieces of their own, in
 * which the list of the tools is one byte.
 */
#ifndef LRK_GENERATE_OLLAMA_FORM_H
#define LRK_GENERATE_OLLAMA_FORM_H
#include "data/chat.h"

typedef enum lrk_speaker {
    LRK_NOBODY,
    LRK_SYSTEM,
    LRK_USER,
    LRK_ASSISTANT,
    LRK_THOUGHT,   /* of an answer, where it is shown */
    LRK_ANSWER,    /* the content behind a thought that is shown */
    LRK_CALL,      /* the name of the function */
    LRK_ARGUMENTS, /* as json.dumps has them */
    LRK_RESULT,    /* a message of a tool */
    LRK_NEXT,      /* the answer that is asked for */
    LRK_SPEAKERS
} lrk_speaker;
extern const char *const lrk_speaker_names[LRK_SPEAKERS]; /* of the first four: roles; "" for nobody and the next */

/* [before][who]: what stands between the two; data NULL: the template never has the one after the other. */
typedef lrk_buf lrk_pieces[LRK_SPEAKERS][LRK_SPEAKERS];

/* Bytes of a piece: the list of tools, and parts of a date, as strftime's %Y, %m, %d, %B, %b. */
enum { LRK_FORM_TOOLS = 0xfa, LRK_FORM_YEAR, LRK_FORM_MONTH, LRK_FORM_DAY, LRK_FORM_NAME, LRK_FORM_SHORT };

/* What is cut off the beginning and the end of what somebody says: nothing, line feeds, or all that is blank to
 * Python. */
typedef enum lrk_trim { LRK_TRIM_NONE, LRK_TRIM_LINES, LRK_TRIM_BLANKS, LRK_TRIMS } lrk_trim;

/* How the list of tools is printed: as json.dumps has it whole, or each tool or its function by itself. */
typedef enum lrk_tool_list {
    LRK_TOOLS_UNSEEN, /* the text is the same without tools, or the form does not know them */
    LRK_TOOLS_LIST,
    LRK_TOOLS_FUNCTIONS, /* a list of what their members "function" hold */
    LRK_TOOLS_EACH,
    LRK_TOOLS_EACH_FUNCTION
} lrk_tool_list;

typedef enum lrk_thoughts { LRK_THOUGHTS_UNSEEN, LRK_THOUGHTS_LAST, LRK_THOUGHTS_ALL } lrk_thoughts;

typedef struct lrk_form {
    lrk_pieces between;
    lrk_buf stop; /* the token that ends an answer */
    lrk_trim left[LRK_SPEAKERS], right[LRK_SPEAKERS];
    bool system; /* system messages are taken */
    bool forgets_thinking; /* <think> blocks of earlier answers are left out, for which Go has no form */
    bool late; /* the system message stands before what the user says last, wherever it came from */

    bool calls;            /* the form knows calls and results */
    bool speechless;       /* beside calls no content is shown */
    bool quoted;           /* results are JSON strings */
    lrk_thoughts thoughts; /* which are shown: none, those behind what the user says last, or all */
    lrk_tool_list tools;
    int indent;          /* of that list, as json.dumps has it; 0: one line */
    lrk_buf separator;   /* between tools that are printed each by itself */
    lrk_pieces equipped; /* between, where there are tools */
    lrk_buf quiet[LRK_SPEAKERS]; /* before the next answer with enable_thinking false, where that is all it changes */
    bool lost_calls, lost_thoughts, lost_tools; /* the template shows them in a way that this form cannot */
} lrk_form;

/* Zeroed *out; lrk_form_free whatever comes back. chat->add_generation_prompt is set; chat->now is used here.
 * adds_bos: the tokenizer puts bos in front, so that no piece has it. LRK_ESUPPORT where the text is no such form. */
lrk_status lrk_form_find(lrk_chat_options *chat, bool adds_bos, const char *where, lrk_form *out, lrk_err *err);
void lrk_form_free(lrk_form *f);

#endif /* LRK_GENERATE_OLLAMA_FORM_H */
