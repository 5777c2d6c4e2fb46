/* base/signals.c -- one flag. */
#include "base/signals.h"

#include <signal.h>

static volatile sig_atomic_t stop;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stop = 1;
    signal(SIGINT, SIG_DFL); /* the second signal, of either kind, ends the process */
    signal(SIGTERM, SIG_DFL);
}

void lrk_signals_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    stop = 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool lrk_stop_requested(void) { return stop != 0; }

void lrk_stop_request(bool on)
{
    stop = on;
}
