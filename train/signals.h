/* train/signals.h -- Ctrl-C and kill: finish the step, save, leave with exit code 75.
 *
 * The handler only sets a flag, which loops ask for after each micro-batch, evaluation row or
 * imported row. A second signal has its usual effect at once; the last checkpoint stands.
 */
#ifndef LRK_TRAIN_SIGNALS_H
#define LRK_TRAIN_SIGNALS_H
#include <stdbool.h>

void lrk_signals_install(void); /* SIGINT, SIGTERM */
bool lrk_stop_requested(void);
void lrk_stop_request(bool on); /* as a signal would, or taken back; safe in signal handlers */

#endif /* LRK_TRAIN_SIGNALS_H */
