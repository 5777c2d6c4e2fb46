/* base/process.h -- another program that answers line by line: text out, text in, with a deadline.
 *
 * One door for programs that plug in. The program runs under `sh -c` in a process group of its own;
 * its standard error is ours. Nothing here can block for good: writing and reading go on together,
 * so a program that answers before it has read everything does no harm, and a deadline ends both.
 */
#ifndef LRK_BASE_PROCESS_H
#define LRK_BASE_PROCESS_H
#include "base/status.h"

#include <stddef.h>

typedef struct lrk_process lrk_process;

/* LRK_EIO where no process can be started. A command that does not exist shows at the first
 * exchange: the shell ends at once. */
lrk_status lrk_process_open(lrk_process **p, const char *command, lrk_err *err);

/* Sends n bytes and a newline, waits for one line. *answer is without its newline, NUL-terminated,
 * valid until the next call. LRK_EINPUT, which names the command: it ended (with its exit status),
 * said nothing for `seconds`, or said more than max_answer bytes without a newline. */
lrk_status lrk_process_exchange(lrk_process *p, const char *text, size_t n, double seconds,
                                size_t max_answer, char **answer, size_t *answer_n, lrk_err *err);

/* Closes its standard input, gives it two seconds to end, then kills the group. NULL is fine. */
void lrk_process_close(lrk_process *p);

#endif /* LRK_BASE_PROCESS_H */
