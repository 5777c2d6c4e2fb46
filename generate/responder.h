/* generate/responder.h -- a model that answers: weights, adapter, tokenizer and template in one.
 *
 *   lrk_responder_open(&r, &options, err);
 *   lrk_responder_text(&r, "Question: ...", n, &answers[0].prompt, err);     for each prompt
 *   lrk_responder_answer(&r, answers, n, &how, err);
 *   ... answers[i].ids, lrk_responder_decode ...
 */
#ifndef LRK_GENERATE_RESPONDER_H
#define LRK_GENERATE_RESPONDER_H
#include "base/journal.h"
#include "generate/adapter_io.h"
#include "generate/base_model.h"
#include "generate/generate.h"
#include "generate/model_text.h"

enum {
    LRK_ANSWER_SLOTS = 16, /* sequences at a time where nobody says how many */
    LRK_ANSWER_RUN = 512   /* tokens of a flat run at least, if there are as many */
};

typedef struct lrk_responder_options {
    const char *model, *adapter; /* adapter: PEFT directory, or NULL */
    bool any_base;               /* see lrk_adapter_check_base */
    const char *chat_template;   /* as in a recipe; NULL: see lrk_text_choice */
    lrk_device device; /* open */
    lrk_compute compute;
} lrk_responder_options;

typedef struct lrk_responder {
    lrk_responder_options options;
    lrk_base_model base;
    lrk_model_text text;
    lrk_adapter adapter;
    lrk_template *chat; /* opened with the first conversation */
    lrk_chat_options chat_options;
    lrk_engine engine;
    bool engine_open;
    size_t slots, capacity, run_tokens; /* of the engine */
} lrk_responder;

typedef struct lrk_answer {
    lrk_ids prompt;
    uint32_t *ids; /* new tokens, without the end token */
    size_t n, capacity;
    bool finished; /* by an end token or a newline, not by length */
    bool begun;    /* holds more than blanks */
    bool known;    /* from the journal */
} lrk_answer;

typedef struct lrk_answering {
    lrk_sampler sampler;
    size_t max_tokens;
    size_t slots;       /* sequences at a time at most; 0: LRK_ANSWER_SLOTS */
    bool stop_at_newline; /* the first one behind anything but blanks */
    bool (*stop)(void); /* as in lrk_generation */
    /* Finished answers go there, and those that are there are not asked for again; NULL: none. Its key
     * holds lrk_responder_key, the prompts and what else is said here. */
    lrk_journal *journal;
    const char *part;
    /* Called for each new token where the answers are streamed; may be NULL. */
    void (*token)(void *ctx, size_t answer, uint32_t id);
    void *ctx;
} lrk_answering;

lrk_status lrk_responder_open(lrk_responder *r, const lrk_responder_options *o, lrk_err *err);
void lrk_responder_close(lrk_responder *r); /* may be called twice, and on a zeroed one */

/* The ids of a plain prompt, as training tokenizes it: bos in front where the tokenizer puts it. */
lrk_status lrk_responder_text(const lrk_responder *r, const char *text, size_t n, lrk_ids *ids,
                              lrk_err *err);
/* Of a conversation, through the chat template, with the generation prompt. LRK_EINPUT where it ends with
 * a turn of the assistant: it has its answer. */
lrk_status lrk_responder_messages(lrk_responder *r, lrk_json *messages, lrk_json *tools,
                                  lrk_ids *ids, lrk_err *err);
/* Of a conversation of one message, behind a system message where `system` is not NULL. LRK_EINPUT
 * where they are not UTF-8. */
lrk_status lrk_responder_message(lrk_responder *r, const char *system, const char *message,
                                 lrk_ids *ids, lrk_err *err);

/* Room for `slots` sequences at a time of up to `capacity` tokens each, and for flat runs of
 * `run_tokens`, made when the first token is computed. Answering makes the room it needs; who knows better
 * beforehand says it once, and the weights are prepared once. */
void lrk_responder_reserve(lrk_responder *r, size_t slots, size_t capacity, size_t run_tokens);
/* Sum of the losses of a flat run's trained tokens; the run fits the room reserved. */
lrk_status lrk_responder_loss(lrk_responder *r, const lrk_flat_run *run, double *loss, lrk_err *err);

lrk_status lrk_responder_answer(lrk_responder *r, lrk_answer *answers, size_t n,
                                const lrk_answering *how, lrk_err *err);
lrk_status lrk_responder_decode(const lrk_responder *r, const lrk_answer *a, lrk_buf *out,
                                lrk_err *err);
void lrk_answer_free(lrk_answer *a);

/* What answers depend on but for the prompts and lrk_answering: program, weights, adapter, arithmetic. */
lrk_status lrk_responder_key(const lrk_responder *r, lrk_json **key, lrk_err *err);

#endif /* LRK_GENERATE_RESPONDER_H */
