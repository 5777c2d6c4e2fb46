/* generate/model_text.h -- the text side of the model that a path names: tokenizer and chat
 * template.
 *
 * The path is a GGUF file (also one with a vocabulary and no weights), a Hugging Face directory, or
 * a tokenizer.json.
 */
#ifndef LRK_GENERATE_MODEL_TEXT_H
#define LRK_GENERATE_MODEL_TEXT_H
#include "base/json.h"
#include "checkpoint/gguf.h"
#include "data/chat.h"
#include "data/tokenizer.h"

/* Our own key, a bool: lrk_vocab.prefix_first. Others put the blank behind special tokens too. */
#define LRK_KEY_PREFIX_FIRST "lorikeet.tokenizer.prefix_first"
/* The same for lrk_vocab.merges_by_id: others order these merges in ways of their own. */
#define LRK_KEY_MERGES_BY_ID "lorikeet.tokenizer.merges_by_id"

/* Beside an adapter or a merged model. */
#define LRK_CHAT_TEMPLATE_FILE "chat_template.jinja"
/* In place of a template's name, of what was trained on plain prompts: text as it stands. Manifests say it, and
 * lrk_ollama_modelfile takes it. */
#define LRK_CHAT_TEMPLATE_NONE "none"

typedef struct lrk_model_text {
    lrk_tokenizer *tokenizer;
    const char *chat_template; /* NULL: the model has none */
} lrk_model_text;

lrk_status lrk_text_open(lrk_model_text *m, const char *path, lrk_err *err);
/* From a GGUF file that is open already; it may be closed afterwards. */
lrk_status lrk_text_from_gguf(lrk_model_text *m, const lrk_gguf *g, lrk_err *err);
void lrk_text_close(lrk_model_text *m); /* may be called twice, and on a zeroed one */

/* Sets bos_token, eos_token, pad_token and unk_token, as far as the model has them, in an object of
 * template variables; members that are there already stay. */
void lrk_text_variables(const lrk_model_text *m, lrk_json *variables);

/* Sets special tokens, end tokens and, by `choice` (a recipe's chat_template), the template in o;
 * the rest of o stays. Without `conversations` no template is looked for. *t is the template for
 * the caller to free, or NULL; texts live as long as m. */
lrk_status lrk_text_chat(const lrk_model_text *m, const char *choice, const char *where,
                         bool conversations, lrk_template **t, lrk_chat_options *o, lrk_err *err);

/* The choice that goes with an adapter: `given` where it is not NULL; else the template that lies beside
 * the adapter (a PEFT directory, or NULL), which conversations were trained with; else the model's own. A
 * path is in a. */
lrk_status lrk_text_choice(const char *given, const char *adapter, lrk_arena *a, const char **choice,
                           lrk_err *err);
/* The text of that template, in a; NULL where it is the model's own. */
lrk_status lrk_text_chosen(const char *choice, lrk_arena *a, const char **text, lrk_err *err);

/* What an id outside means: a tokenizer larger than the model's embedding of `rows` rows. */
lrk_status lrk_text_check_rows(const lrk_model_text *m, size_t rows, const char *path,
                               lrk_err *err);

#endif /* LRK_GENERATE_MODEL_TEXT_H */
