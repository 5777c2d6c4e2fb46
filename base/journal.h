/* base/journal.h -- finished pieces of a long command, kept while it runs.
 *
 * JSON Lines in "<stem>.partial-<hash>": the first line is the key, everything that the pieces depend
 * on, and the hash is the key's, so that the same command finds its pieces again and no other command
 * takes them for its own. Each further line is a piece:
 *     {"part": "answers", "number": 12, "value": ...}
 * The file appears with the first piece, each reaches the kernel before lrk_journal_add returns, and
 * the file goes when the command is done. A last line that was cut off is dropped.
 */
#ifndef LRK_BASE_JOURNAL_H
#define LRK_BASE_JOURNAL_H
#include "base/json.h"

typedef struct lrk_journal lrk_journal;

/* Takes over key. Says how many pieces there are already. LRK_EINPUT where the file holds anything else. */
lrk_status lrk_journal_open(lrk_journal **j, const char *stem, lrk_json *key, lrk_err *err);

/* Piece i of those that were there when the journal was opened; NULL behind the last one, and where j is
 * NULL. */
const lrk_json *lrk_journal_piece(const lrk_journal *j, size_t i, const char **part, size_t *number);

/* Takes over value. j may be NULL: nothing is kept. LRK_EIO where there is no space, for what is to be
 * written at the end will have none either. */
lrk_status lrk_journal_add(lrk_journal *j, const char *part, size_t number, lrk_json *value, lrk_err *err);

/* The message for a piece that is not what it should be. */
lrk_status lrk_journal_damaged(const lrk_journal *j, lrk_err *err);

/* done: nothing is needed any more, the file goes. Else it stays, and a note says so. NULL is fine. */
void lrk_journal_close(lrk_journal *j, bool done);

#endif /* LRK_BASE_JOURNAL_H */
