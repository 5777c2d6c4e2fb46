/* generate/ollama_form_private.h -- what ollama_form.c, which finds the form of plain conversations, and
 * ollama_calls.c, which finds what answers with thoughts, calls and lists of tools add to it, share.
 */
#ifndef LRK_GENERATE_OLLAMA_FORM_PRIVATE_H
#define LRK_GENERATE_OLLAMA_FORM_PRIVATE_H
#include "generate/ollama_form.h"

typedef struct lrk_form_source {
    lrk_chat_options *chat;
    const char *where, *mark; /* the mark makes contents differ */
} lrk_form_source;

/* Two days to read pieces on, and a third to try them on, as lrk_chat_options has them. */
enum { LRK_FORM_DAYS = 2 };
const char *lrk_form_now(size_t i);

/* What `who` says in the i-th message: as the form leaves it, or, f NULL, as the message has it. */
void lrk_form_words(const lrk_form_source *s, lrk_speaker who, bool padded, size_t i, const lrk_form *f,
                    lrk_buf *b);

/* The text of a piece on the third day; tools NULL: it has none. */
void lrk_form_say(const lrk_buf *piece, const lrk_buf *tools, lrk_buf *b);

bool lrk_form_same(const lrk_buf *a, const lrk_buf *b); /* neither's data is NULL */
bool lrk_form_keep(lrk_buf *piece, const char *text, size_t n); /* false where it is another already */

/* Adds what `from` has; false, and nothing added, where they contradict each other. */
bool lrk_pieces_add(lrk_pieces to, lrk_pieces from);
/* What two days show; false where they differ by more than dates. */
bool lrk_pieces_join(lrk_pieces a, lrk_pieces b, lrk_pieces out);
lrk_status lrk_pieces_check(lrk_pieces p, lrk_err *err); /* LRK_ENOMEM where one of them did not fit */
void lrk_pieces_free(lrk_pieces p);                      /* empty afterwards */

/* Calls, thoughts and tools, in a form that is whole for conversations without. What the template shows
 * otherwise is no error: lost_calls, lost_thoughts, lost_tools say so. */
lrk_status lrk_form_find_more(lrk_form_source *s, lrk_form *f, lrk_err *err);

#endif /* LRK_GENERATE_OLLAMA_FORM_PRIVATE_H */
