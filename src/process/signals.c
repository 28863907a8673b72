/* Signals of a child: see signals.h. */
#include "process/signals.h"

#include <signal.h>
#include <stddef.h>

void mp_signals_drop_handlers(void)
{
    struct sigaction now;
    const struct sigaction fresh = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_DFL &&
            now.sa_handler != SIG_IGN)
            sigaction(number, &fresh, NULL);
}

void mp_signals_reset(void)
{
    const struct sigaction fresh = {.sa_handler = SIG_DFL};
    for (int number = 1; number <= SIGRTMAX; number++)
        sigaction(number, &fresh, NULL);
}
