/* base/log.h -- messages to standard error, and the one door to the environment.
 *
 * Results go to standard output and are written by cli/ alone; what the program has to say about
 * its work goes through here. Levels: 0 quiet (warnings only), 1 normal, 2 verbose.
 */
#ifndef LRK_BASE_LOG_H
#define LRK_BASE_LOG_H
#include <stdbool.h>

void lrk_log_level(int level);
void lrk_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));    /* always */
void lrk_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));    /* level 1 */
void lrk_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* level 2 */

/* The line at the bottom that changes as work goes on, at level 1. On a terminal it is rewritten in
 * place, cut to its width, and messages appear above it; elsewhere every call is a line of its own,
 * so callers say something only every few seconds there. */
bool lrk_log_terminal(void); /* standard error is one */
void lrk_log_line(const char *text);
void lrk_log_line_end(void); /* leaves it standing, goes to the next line */

/* An environment variable, or NULL. The program reads LRK_CPU, LRK_FAULT (test builds), NO_COLOR,
 * LRK_GPU_PRODUCTS, LRK_GPU_CACHE, TMPDIR, XDG_CACHE_HOME, HOME. */
const char *lrk_env(const char *name);

#endif /* LRK_BASE_LOG_H */
