/* Processes that are no copies of this one: see launch.h. The program: spawn.c; the other way:
 * forkserver.c. */
#include "process/launch.h"

#include "base/fd.h"
#include "base/threads.h"
#include "process/forkserver.h"
#include "process/pidfd.h"
#include "process/post.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STATUS_PATIENCE = 200 }; /* milliseconds */

int mp_start_choose(enum mp_start_method asked, mp_error *error)
{
    unsigned threads =
        asked == MP_START_FORK || asked == MP_START_DEFAULT ? mp_threads_running() : 1;
    if (asked == MP_START_FORK && threads > 1)
        return mp_fail_plainly(
            error, -EDEADLK,
            "start method \"fork\" needs a process with one thread, this one has %u", threads);
    if (asked != MP_START_DEFAULT)
        return (int)asked;
    if (threads == 1)
        return MP_START_FORK;
    return mp_forkserver_runs() ? MP_START_FORKSERVER : MP_START_SPAWN;
}

/* ---- making ---- */

static int spawn(mp_launched *child, const mp_roles *roles, int *socket, mp_error *error)
{
    int status = mp_spawn_program(&child->pid, roles, *socket, error);
    mp_fd_close(socket);
    if (status < 0)
        return status;
    child->pidfd = mp_pidfd_open(child->pid);
    if (child->pidfd >= 0)
        return 0;
    status = mp_fail(error, -errno, "pidfd_open of a new process");
    kill(child->pid, SIGKILL);
    mp_pid_reap(child->pid);
    return status;
}

static int address(int socket, const char *role, int lifeline, const mp_letter *letter,
                   mp_error *error)
{
    mp_letter whole;
    mp_letter_init(&whole);
    mp_letter_put_text(&whole, role, __builtin_strlen(role));
    mp_letter_put_fd(&whole, lifeline);
    mp_letter_append(&whole, letter);
    int status = mp_post_send(socket, &whole, error);
    mp_letter_free(&whole);
    return status;
}

int mp_launch(mp_launched *child, enum mp_start_method method, const mp_roles *roles,
              const char *role, int lifeline, const mp_letter *letter, mp_error *error)
{
    int ends[2];
    *child = MP_LAUNCHED_NONE;
    int status = mp_post_pair(ends);
    if (status < 0)
        return mp_fail(error, status, "socketpair for a new process");
    child->voice = ends[0];
    status = address(ends[0], role, lifeline, letter, error);
    if (status == 0)
        status = method == MP_START_SPAWN ? spawn(child, roles, &ends[1], error)
                                          : mp_forkserver_bear(child, roles, ends[1], error);
    mp_fd_close(&ends[1]);
    if (status < 0)
        mp_launched_close(child);
    return status;
}

/* ---- afterwards ---- */

/* The forkserver has it first, and tells at once, unless it is gone or was stopped. */
static int told_status(int fd)
{
    int status;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    poll(&p, 1, STATUS_PATIENCE);
    return p.revents != 0 && read(fd, &status, sizeof status) == (ssize_t)sizeof status ? status
                                                                                        : -1;
}

/* A dead forkserver's children may have come to this process, which would keep them as zombies. */
static void adopt(const mp_launched *child)
{
    int unknown;
    mp_pidfd_ended(child->pidfd, &unknown);
}

bool mp_launched_ended(const mp_launched *child, int *status)
{
    struct pollfd p = {.fd = child->pidfd, .events = POLLIN};
    if (child->status_fd < 0)
        return mp_pidfd_ended(child->pidfd, status);
    if (poll(&p, 1, 0) <= 0)
        return false;
    *status = told_status(child->status_fd);
    if (*status < 0)
        adopt(child);
    return true;
}

void mp_launched_reason(const mp_launched *child, char *text, size_t room)
{
    ssize_t n = child->voice < 0 ? 0 : recv(child->voice, text, room - 1, MSG_DONTWAIT);
    text[n < 0 ? 0 : n] = '\0';
}

void mp_launched_close(mp_launched *child)
{
    mp_fd_close(&child->pidfd);
    mp_fd_close(&child->status_fd);
    mp_fd_close(&child->voice);
}
