/* Signals of a child: see signals.h. */
#include "process/signals.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

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

pid_t mp_signals_fork(sigset_t *before)
{
    sigset_t all;
    fflush(NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
    pid_t pid = fork();
    if (pid == 0)
        return 0;
    int saved = errno;
    pthread_sigmask(SIG_SETMASK, before, NULL);
    errno = saved;
    return pid;
}
