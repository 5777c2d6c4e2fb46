/* generate/ollama_json.h -- templates of Go's text/template that print values and tools as Python's json.dumps does
 * without ensure_ascii: blanks behind commas and colons, and no character escaped that need not be.
 *
 * What no Go template for Ollama can tell, since Ollama does not keep it: the order of the members of arguments and
 * of a tool's properties, which are sorted by name; the order in a tool otherwise (type, function; name, description,
 * parameters; type, properties, required; type, description, enum, items, properties, required, anyOf); members beyond
 * these, and a description that is there but empty; 1.0 is 1, and numbers past 2^53 or written with an exponent may be
 * written otherwise.
 *
 * Facts: github.com/ollama/ollama, template/template.go (the function json, which escapes as Go does; templateTool)
 * and api/types.go (ToolProperty).
 */
#ifndef LRK_GENERATE_OLLAMA_JSON_H
#define LRK_GENERATE_OLLAMA_JSON_H
#include "base/arena.h"
#include "generate/ollama_form.h"

/* Template "object" prints a map, "string" a text. Where the form has tools, "tools" prints their list. */
void lrk_go_json(const lrk_form *f, lrk_buf *out);

/* A constant, so that no blank of it can be trimmed; nothing for no text. */
void lrk_go_constant(const char *text, size_t n, lrk_buf *out);

#endif /* LRK_GENERATE_OLLAMA_JSON_H */
