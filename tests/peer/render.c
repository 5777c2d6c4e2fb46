/* tests/peer/render.c -- many renderings in one process, for template_peer.py.
 *
 * A line of standard input is JSON: {"template": SOURCE} is the template from there on, {"context": {...}} a
 * rendering of it. Each context is answered by a line, {"text": ...} or {"status": EXIT-CODE, "error": ...}.
 * usage: peer_render NOW
 */
#include "base/json.h"
#include "data/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct state {
    lrk_template *template;
    lrk_status status; /* of compiling it */
    lrk_err err;
    lrk_render_options options;
} state;

static void compile(state *s, const lrk_json *source)
{
    size_t n;
    const char *text = lrk_json_string(source, &n);
    lrk_template_free(s->template);
    s->template = NULL;
    s->err = (lrk_err){0};
    s->status = lrk_template_compile(&s->template, text, n, "template", &s->err);
}

static void answer(state *s, const lrk_json *context)
{
    lrk_rendered r = {.n_spans = 0};
    lrk_err err = s->err;
    lrk_buf b = {0};
    const lrk_status status =
        s->status == LRK_OK ? lrk_template_render(s->template, context, &s->options, &r, &err) : s->status;
    if (status == LRK_OK) {
        lrk_buf_puts(&b, "{\"text\": ");
        lrk_json_quote(&b, r.text.data ? r.text.data : "", r.text.n);
    } else {
        lrk_buf_printf(&b, "{\"status\": %d, \"error\": ", lrk_exit_code(status));
        lrk_json_quote(&b, err.text, strlen(err.text));
    }
    printf("%s}\n", b.data);
    lrk_buf_free(&b);
    lrk_rendered_free(&r);
}

int main(int argc, char **argv)
{
    static const char *const ends[] = {"</s>"};
    state s = {.options = {.now = argc > 1 ? argv[1] : NULL, .end_tokens = ends, .n_end_tokens = 1}};
    char *line = NULL;
    size_t capacity = 0;
    for (ssize_t n; (n = getline(&line, &capacity, stdin)) > 0;) {
        lrk_json *v = NULL;
        lrk_err err = {0};
        if (lrk_json_parse(&v, line, (size_t)n, "standard input", &err) != LRK_OK) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        if (lrk_json_get(v, "template"))
            compile(&s, lrk_json_get(v, "template"));
        else
            answer(&s, lrk_json_get(v, "context"));
        lrk_json_free(v);
    }
    lrk_template_free(s.template);
    free(line);
    return 0;
}
