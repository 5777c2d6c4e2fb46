/* generate/ollama.h -- the Modelfile of a model for Ollama: FROM, ADAPTER, TEMPLATE, stops.
 *
 * Ollama renders conversations with Go's text/template. A chat template has a form there when the
 * text of a conversation is its contents with fixed pieces between them, which depend on who spoke
 * before (ollama_form.h): most families' is. Contents are trimmed where the template trims them, and a
 * date is the day's own by Ollama's currentDate, as it is where the template is rendered with a clock. A
 * template that is not of this form is refused.
 *
 * Tools, calls, their results and thoughts are had where the template has them in fixed pieces too: tools and
 * arguments as json.dumps prints them (what Ollama does not keep of these: ollama_json.h; a comment in the Modelfile
 * says so), results as they are or as JSON strings, thoughts of all answers or of those behind the last question. The
 * text that calls begin with and those around a thought are no actions in the template, so that Ollama finds them. What
 * a template shows in another way (numbers of calls, arguments in XML) is refused by Ollama or by the Go template, and
 * a warning says it. With `think` off answers begin as with enable_thinking false, where that changes no more.
 *
 * What the form has not: documents, what a template does to contents beyond trimming; where it cuts <think> blocks out
 * of earlier answers a warning says so. Where the template takes no system turn, or none at some place, the Go template
 * fails there too, as it does on other roles. A bos that the tokenizer puts in front is left out: Ollama's tokenizer
 * does the same.
 *
 * Facts: github.com/ollama/ollama, docs/modelfile.mdx, docs/template.mdx and template/template.go
 * (currentDate; messages of one role in a row become one); tools/template.go and thinking/template.go (where calls
 * begin, and thoughts begin and end).
 */
#ifndef LRK_GENERATE_OLLAMA_H
#define LRK_GENERATE_OLLAMA_H
#include "generate/model_text.h"

#define LRK_MODELFILE "Modelfile"

/* Appends the text to out. choice: the template that was trained with, as in lrk_text_chat, or LRK_CHAT_TEMPLATE_NONE:
 * then the prompt stands as it is given; from: what stands behind FROM, a GGUF file or the name of a model; adapter: a
 * GGUF adapter, or NULL. `where` names the model in messages. LRK_ESUPPORT where its template has no such form,
 * LRK_EINPUT where it has none. */
lrk_status lrk_ollama_modelfile(const lrk_model_text *m, const char *where, const char *choice,
                                const char *from, const char *adapter, lrk_buf *out, lrk_err *err);

/* The Modelfile into a directory that is there; on an error none is left. */
lrk_status lrk_ollama_write(const lrk_model_text *m, const char *where, const char *choice,
                            const char *directory, const char *from, const char *adapter,
                            lrk_err *err);

/* How a model made of what has this manifest is asked: by "tokenizer_default", the template that is in it, or by
 * LRK_CHAT_TEMPLATE_NONE, where it was trained on plain prompts. */
const char *lrk_ollama_choice(const lrk_json *manifest);

/* Modelfile, manifest and model card of the model that lies there as model.gguf. choice: one of those two. */
#define LRK_OLLAMA_MODEL "model.gguf"
lrk_status lrk_ollama_complete(const char *directory, const char *choice, const lrk_json *manifest, lrk_err *err);

/* Removes what a bundle that did not come about has left, and the directory if nothing else is in it. */
void lrk_ollama_remove(const char *directory);

#endif /* LRK_GENERATE_OLLAMA_H */
