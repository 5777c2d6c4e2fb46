/* train/signals.h -- Ctrl-C and kill: finish the step, save, leave with exit code 75.
 *
 * The handler only sets a flag, which is asked for after each optimizer step, step of an evaluation and
 * generated token: it is installed right before such a loop, so that a signal ends whatever comes
 * earlier (import, tokenizing, the check of the weights) at once, as it would without it. A second
 * signal has its usual effect too; the last checkpoint stands.
 */
#ifndef LRK_TRAIN_SIGNALS_H
#define LRK_TRAIN_SIGNALS_H
#include <stdbool.h>

void lrk_signals_install(void); /* SIGINT, SIGTERM */
bool lrk_stop_requested(void);
void lrk_stop_request(bool on); /* as a signal would, or taken back; safe in signal handlers */

#endif /* LRK_TRAIN_SIGNALS_H */
