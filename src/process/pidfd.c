/* Children by their pidfds: see pidfd.h. */
#include "process/pidfd.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BURIAL_PAUSE = 1 }; /* milliseconds */

int mp_pidfd_open(pid_t pid)
{
    return mp_fd_lift((int)syscall(SYS_pidfd_open, pid, 0));
}

int mp_pidfd_fetch(pid_t pid, int fd)
{
    if (MP_FAILPOINT_ERROR("pidfd.fetch")) {
        errno = EPERM;
        return -1;
    }
    int pidfd = mp_pidfd_open(pid);
    if (pidfd < 0)
        return -1;
    int copy = mp_fd_lift((int)syscall(SYS_pidfd_getfd, pidfd, fd, 0));
    mp_fd_close(&pidfd);
    return copy;
}

static int wait_status(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return W_EXITCODE(info->si_status, 0);
    return info->si_status | (info->si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

bool mp_pidfd_ended(int pidfd, int *status)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    siginfo_t info = {.si_pid = 0};
    if (poll(&p, 1, 0) <= 0)
        return false;
    int waited = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
    if (waited < 0 && errno == EINTR)
        return false;
    if (waited == 0 && info.si_pid == 0)
        return false; /* a tracer has it first */
    *status = waited < 0 ? -1 : wait_status(&info);
    return true;
}

void mp_pidfd_signal(int pidfd, int signal)
{
    syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

bool mp_pid_adopts(void)
{
    int adopts = 0;
    return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &adopts) == 0 && adopts != 0);
}

void mp_pid_bury(pid_t pid, int64_t deadline)
{
    while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0 && mp_now() < deadline)
        poll(NULL, 0, BURIAL_PAUSE);
}

void mp_pid_reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}
