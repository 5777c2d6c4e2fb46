/* generate/ollama_scene.h -- conversations with thoughts, calls and tools: to find pieces in, and to try them on.
 *
 * A letter a message: s, u, a what a system message, a user and an answer say; t the result of a call; answers e that
 * are empty, c with a call, d with two, b with content and a call, h with a thought and content, k with a thought and a
 * call, m with all three.
 */
#ifndef LRK_GENERATE_OLLAMA_SCENE_H
#define LRK_GENERATE_OLLAMA_SCENE_H
#include "generate/ollama_form_private.h"

enum { LRK_SCENE_ITEMS = 64 };

typedef struct lrk_scene_item {
    lrk_speaker who;
    size_t begin, end; /* in `shown` */
} lrk_scene_item;

/* Set the first four, the rest to zero; lrk_scene_free whatever was built. */
typedef struct lrk_scene {
    const char *talk;
    lrk_speaker padded; /* whose words have blanks around them */
    size_t n_tools;
    bool on_trial; /* else pieces are to be found in it: no arguments are empty */

    lrk_json *messages, *tools;
    lrk_buf shown; /* what the form shows of it, one after the other */
    lrk_scene_item items[LRK_SCENE_ITEMS];
    size_t n;
} lrk_scene;

lrk_status lrk_scene_build(const lrk_form_source *s, const lrk_form *f, lrk_scene *c, lrk_err *err);
void lrk_scene_free(lrk_scene *c);

/* The template's text of it, for the caller to free; *ok: the template takes the conversation. */
lrk_status lrk_scene_render(const lrk_form_source *s, const lrk_scene *c, lrk_buf *text, bool *ok, lrk_err *err);

/* The text that stands for the byte LRK_FORM_TOOLS, appended to b. */
lrk_status lrk_scene_say_tools(const lrk_form *f, const lrk_json *tools, lrk_buf *b, lrk_err *err);

/* Puts that byte where the list of two tools stands in the text, and keeps what separates them; *ok: it is there. */
lrk_status lrk_scene_cut_tools(lrk_form *f, const lrk_json *tools, lrk_buf *text, bool *ok, lrk_err *err);

/* NULL where the part is not in the text. */
const char *lrk_scene_find(const char *text, size_t n, const char *part, size_t m);

#endif /* LRK_GENERATE_OLLAMA_SCENE_H */
