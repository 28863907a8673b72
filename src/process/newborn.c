/* A worker's first steps: see newborn.h. */
#include "process/newborn.h"

#include "process/lifeline.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Two ties, for each has a hole: the first is cut by setuid, the second needs
 * /proc. The first is sound here, where the parent has but one thread. */
void mp_newborn_tie(pid_t nursery, int read_end, const char *name)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != nursery)
        raise(SIGKILL);
    int own_end = mp_lifeline_reopen(read_end);
    if (own_end >= 0)
        mp_lifeline_arm(own_end);
    close(read_end);
    prctl(PR_SET_NAME, name);
}

static void do_nothing(int signal_number)
{
    (void)signal_number;
}

void mp_newborn_signals(void)
{
    struct sigaction empty = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
    sigset_t none;
    sigaction(SIGINT, &empty, NULL);
    sigaction(SIGPIPE, &empty, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}
