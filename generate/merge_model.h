/* generate/merge_model.h -- a whole model merged or converted: weights, configuration and text.
 *
 * lrk_merge (checkpoint/merge.h) with the text side that the output needs:
 *   directory to GGUF   the keys of the tokenizer, made from its tokenizer.json and what is beside
 *                       it, or those of options.tokenizer. Read back they give the same ids; a
 *                       tokenizer that GGUF has no place for is LRK_ESUPPORT. Flags of added tokens
 *                       that swallow blanks are lost, with a warning
 *   GGUF to directory   tokenizer.json, tokenizer_config.json, generation_config.json and
 *                       chat_template.jinja, made from the metadata, unless options.tokenizer names
 *                       a directory that has the originals. Of a vocabulary that is not known
 *                       nothing is made: report.needs_tokenizer says so
 * and with another chat_template, in a directory, chat_template.jinja, the member of tokenizer_config.json where
 * it has one, and in generation_config.json the ids of the end tokens that this template names: serving stops there.
 */
#ifndef LRK_GENERATE_MERGE_MODEL_H
#define LRK_GENERATE_MERGE_MODEL_H
#include "checkpoint/merge.h"

/* options.text is set here. */
lrk_status lrk_merge_model(const lrk_weights *base, const lrk_adapter *adapter,
                           const lrk_merge_options *options, lrk_merge_report *report,
                           lrk_err *err);

/* What a model that stands by itself is made of, beside base and adapter. */
typedef struct lrk_merge_request {
    const char *adapter;       /* its path; NULL: a model is converted */
    const char *chat_template; /* as lrk_text_choice takes it; NULL: what was trained with */
    const char *bundle;        /* for Ollama, the directory that options.out lies in; NULL: no bundle */
} lrk_merge_request;

/* lrk_merge_model with manifest and card, the template that is asked for and, where options.tokenizer is NULL,
 * the tokenizer that was trained with; a bundle gets its Modelfile. options.extra and origin are set here. adapter:
 * NULL where request.adapter is. */
lrk_status lrk_merge_described(const lrk_weights *base, const lrk_adapter *adapter, const lrk_merge_request *request,
                               const lrk_merge_options *options, lrk_merge_report *report, lrk_err *err);

#endif /* LRK_GENERATE_MERGE_MODEL_H */
