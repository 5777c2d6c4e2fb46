/* data/chat.h -- rows to text, and which bytes of it are trained.
 *
 * A conversation goes through a chat template, whose renderer says whose words each byte is; an
 * answer is trained from where the template's head of an answer (add_generation_prompt) ends, so that
 * a "<think>" which serving leaves to the model is learned. A prompt with its completion, and plain
 * text, need no template: the bytes one after the other, then the end token's text. What is trained is
 * never searched for in the text.
 */
#ifndef LRK_DATA_CHAT_H
#define LRK_DATA_CHAT_H
#include "base/json.h"
#include "data/dataset.h"
#include "data/template.h"
#include "data/thinking.h"

typedef enum lrk_train_eos {
    LRK_TRAIN_EOS_TURN, /* end tokens of the turns that are trained */
    LRK_TRAIN_EOS_ALL,  /* of every turn */
    LRK_TRAIN_EOS_LAST, /* of the last trained turn alone */
    LRK_TRAIN_EOS_NONE
} lrk_train_eos;

typedef struct lrk_chat_options {
    const lrk_template *template; /* for conversations */
    /* Texts of special tokens, variables of the template; NULL where the model has none. eos also
     * ends completions and plain texts. */
    const char *bos, *eos, *pad, *unk;
    const char *const *end_tokens; /* texts that may end a turn; NULL: eos and the usual ones */
    size_t n_end_tokens;
    const char *now;                   /* for strftime_now, as in lrk_render_options */
    const char *const *roles_to_train; /* NULL: assistant */
    size_t n_roles_to_train;
    lrk_train_eos train_on_eos;
    lrk_thinking thinking; /* of the turns of rows */
    bool train_on_inputs; /* everything is trained */
    bool add_generation_prompt;
    bool no_thinking; /* enable_thinking is false; else templates have no such variable */
} lrk_chat_options;

typedef struct lrk_chat_range {
    size_t begin, end;
} lrk_chat_range;

/* A token is trained when one of its bytes is in a trained range. */
typedef struct lrk_chat_text {
    lrk_buf text;
    lrk_chat_range *trained; /* ascending, disjoint, none empty */
    size_t n_trained;
    bool add_bos; /* a tokenizer that puts bos in front may do so; a template writes its own */
    lrk_rendered rendered; /* of a conversation: spans of all turns; its text has moved to `text` */
} lrk_chat_text;

/* A row as data sets keep it. Conversations: LRK_EUSAGE without a template, else the renderer's
 * errors. The marks of parts (LRK_TRAIN_YES, LRK_TRAIN_NO) go before roles_to_train. That nothing
 * is trained is no error here; LRK_EINPUT where trained turns have thinking that the template leaves
 * out, against `thinking`, or where no end token follows any of them though train_on_eos wants them
 * trained. On an error *out is empty. */
lrk_status lrk_chat_row(const lrk_chat_options *o, const lrk_part *parts, size_t n,
                        lrk_chat_text *out, lrk_err *err);

/* A context of template variables as it stands, nothing added. */
lrk_status lrk_chat_context(const lrk_chat_options *o, const lrk_json *context, lrk_chat_text *out,
                            lrk_err *err);

/* A list of objects that have a role, and content that is text, pieces of it, null or missing. */
lrk_status lrk_chat_check_messages(const lrk_json *messages, lrk_err *err);

/* Messages (checked as above), and tools or NULL, with the variables that every template may expect: messages, tools,
 * documents, add_generation_prompt and the special tokens. */
lrk_status lrk_chat_messages(const lrk_chat_options *o, lrk_json *messages, lrk_json *tools,
                             lrk_chat_text *out, lrk_err *err);

void lrk_chat_text_free(lrk_chat_text *t); /* may be called twice, and on a zeroed one */

/* The template that a recipe's chat_template means: "tokenizer_default" (`own`, the tokenizer's,
 * which may be NULL), a name of ours (chatml, alpaca, llama3) or the path of a file. `where` names
 * the model in messages. */
lrk_status lrk_chat_template(lrk_template **out, const char *choice, const char *own,
                             const char *where, lrk_err *err);

#endif /* LRK_DATA_CHAT_H */
