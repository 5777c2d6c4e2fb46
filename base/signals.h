/* base/signals.h -- Ctrl-C and kill: end what is at hand properly, leave with exit code 75.
 *
 * The handler only sets a flag. Loops that save what they have ask for it (after an optimizer step, a step of
 * an evaluation, a generated token), writers of whole outputs fail at it (lrk_writers_stop_on_signal). It is
 * installed right before such work, so that a signal ends whatever comes earlier (import, tokenizing, the
 * check of the weights) at once, as it would without it. A second signal has its usual effect.
 */
#ifndef LRK_BASE_SIGNALS_H
#define LRK_BASE_SIGNALS_H
#include <stdbool.h>

void lrk_signals_install(void); /* SIGINT, SIGTERM */
bool lrk_stop_requested(void);
void lrk_stop_request(bool on); /* as a signal would, or taken back; safe in signal handlers */

#endif /* LRK_BASE_SIGNALS_H */
