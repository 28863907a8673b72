/* Lifelines: see lifeline.h. */
#include "process/lifeline.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static int open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    ends[0] = mp_fd_lift(ends[0]);
    int status = ends[0] < 0 ? -errno : 0;
    ends[1] = mp_fd_lift(ends[1]);
    if (ends[1] < 0 && status == 0)
        status = -errno;
    if (status < 0) {
        mp_fd_close(&ends[0]);
        mp_fd_close(&ends[1]);
    }
    return status;
}

/* The write end; the other one goes where the context says. */
static int make_pipe(void *read_end)
{
    int ends[2] = {-1, -1};
    int status = open_pipe(ends);
    if (status < 0)
        return status;
    *(int *)read_end = ends[0];
    return ends[1];
}

int mp_lifeline_open(mp_lifeline *line, int *read_end)
{
    return mp_unforked_hold(line, make_pipe, read_end);
}

void mp_lifeline_close(mp_lifeline *line)
{
    mp_unforked_close(line);
}

static bool is_cut(int read_end)
{
    struct pollfd p = {.fd = read_end, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

static int arm(int read_end, pid_t owner)
{
    if (fcntl(read_end, F_SETOWN, owner) < 0 || fcntl(read_end, F_SETSIG, SIGKILL) < 0 ||
        fcntl(read_end, F_SETFL, O_ASYNC | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

/* The holder may have died before there was anything to signal. */
int mp_lifeline_arm(int read_end)
{
    int status = arm(read_end, getpid());
    if (status == 0 && is_cut(read_end))
        raise(SIGKILL);
    return status;
}

int mp_lifeline_arm_group(int read_end)
{
    int status = arm(read_end, -getpid());
    if (status == 0 && is_cut(read_end))
        kill(-getpid(), SIGKILL);
    return status;
}

int mp_lifeline_reopen(int read_end)
{
    char path[sizeof "/proc/self/fd/" + 12];
    snprintf(path, sizeof path, "/proc/self/fd/%d", read_end);
    int fd = mp_fd_lift(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    return fd < 0 ? -errno : fd;
}
