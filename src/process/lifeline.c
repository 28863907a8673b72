/* Lifelines: see lifeline.h.
 *
 * Invariant: `held` lists the lines that this process holds; it is changed
 * under `guard` with all signals blocked, and `guard` is held over every fork,
 * so that a child finds the list whole and empties it. */
#include "process/lifeline.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static mp_lifeline *held;

static void before_fork(void)
{
    pthread_mutex_lock(&guard);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&guard);
}

static void in_the_child(void)
{
    while (held != NULL) {
        mp_lifeline *line = held;
        held = line->next;
        line->next = NULL;
        mp_fd_close(&line->fd);
    }
    pthread_mutex_unlock(&guard);
}

static int watch_error;

static void watch_forks(void)
{
    watch_error = pthread_atfork(before_fork, after_fork, in_the_child);
}

/* A handler that forks while its thread is in here would wait for itself. */
static void enter(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
    pthread_mutex_lock(&guard);
}

static void leave(const sigset_t *before)
{
    pthread_mutex_unlock(&guard);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

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

int mp_lifeline_open(mp_lifeline *line, int *read_end)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int ends[2] = {-1, -1};
    sigset_t before;
    *line = (mp_lifeline){.fd = -1};
    pthread_once(&once, watch_forks);
    if (watch_error != 0)
        return -watch_error;
    /* Another thread's fork must not fall between the pipe and the list. */
    enter(&before);
    int status = open_pipe(ends);
    if (status == 0) {
        *line = (mp_lifeline){.fd = ends[1], .next = held};
        held = line;
        *read_end = ends[0];
    }
    leave(&before);
    return status;
}

static void unlist(const mp_lifeline *line)
{
    mp_lifeline **at = &held;
    while (*at != NULL && *at != line)
        at = &(*at)->next;
    if (*at != NULL)
        *at = line->next;
}

void mp_lifeline_close(mp_lifeline *line)
{
    sigset_t before;
    enter(&before);
    unlist(line);
    mp_fd_close(&line->fd);
    leave(&before);
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
