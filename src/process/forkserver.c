/* The forkserver as its host sees it: see forkserver.h. What it does itself is server.c. */
#include "process/forkserver.h"

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/threads.h"
#include "process/lifeline.h"
#include "process/pidfd.h"
#include "process/post.h"
#include "process/server.h"
#include "process/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ANSWER_PAUSE = 500, /* milliseconds, behind which one that was stopped is continued */
    ANSWER_PAUSES = 20,
    END_PATIENCE = 2000,
};

/* A fork by another thread comes between no two steps of the one that has it. */
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool inside;

static void before_fork(void)
{
    if (!inside)
        pthread_mutex_lock(&guard);
}

static void behind_fork(void)
{
    if (!inside)
        pthread_mutex_unlock(&guard);
}

static void in_the_child(void)
{
    pthread_mutex_init(&guard, NULL);
    inside = false;
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, behind_fork, in_the_child);
}

static void enter(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&guard);
    inside = true;
}

static void leave(void)
{
    inside = false;
    pthread_mutex_unlock(&guard);
}

static struct {
    pid_t owner; /* the process that wrote this; 0: there is none */
    bool own;    /* it is this program */
    unsigned holds;
    mp_launched child;
    mp_lifeline line;
} server;

/* ---- which there is; under the guard ---- */

static void drop(void)
{
    mp_lifeline_close(&server.line);
    mp_launched_close(&server.child);
    server.owner = 0;
}

static bool runs(void)
{
    struct pollfd p = {.fd = server.child.pidfd, .events = POLLIN};
    int status;
    if (server.owner == 0)
        return false;
    if (server.owner == getpid() && poll(&p, 1, 0) <= 0)
        return true;
    if (server.owner == getpid())
        mp_pidfd_ended(server.child.pidfd, &status);
    drop();
    return false;
}

/* Nothing of it is left, not even a zombie. */
static void end(void)
{
    int status;
    struct pollfd p = {.fd = server.child.pidfd, .events = POLLIN};
    mp_pidfd_signal(server.child.pidfd, SIGKILL);
    poll(&p, 1, END_PATIENCE);
    mp_pidfd_ended(server.child.pidfd, &status);
    drop();
}

static int fork_server(int socket, int read_end, const mp_roles *roles)
{
    sigset_t before;
    if (MP_FAILPOINT_ERROR("forkserver.start")) {
        errno = EAGAIN;
        return -1;
    }
    pid_t pid = mp_signals_fork(&before);
    if (pid == 0) {
        server.owner = 0;
        mp_server_move_in(socket, read_end, roles);
    }
    return pid;
}

static int start_by_fork(int read_end, const mp_roles *roles, mp_error *error)
{
    int ends[2];
    int status = mp_post_pair(ends);
    if (status < 0)
        return mp_fail(error, status, "socketpair for the forkserver");
    server.child = MP_LAUNCHED_NONE;
    server.child.voice = ends[0];
    server.child.pid = fork_server(ends[1], read_end, roles);
    status = server.child.pid < 0 ? mp_fail(error, -errno, "forkserver: fork") : 0;
    mp_fd_close(&ends[1]);
    if (status == 0 && (server.child.pidfd = mp_pidfd_open(server.child.pid)) < 0)
        status = mp_fail(error, -errno, "forkserver: pidfd_open");
    return status;
}

static int start_by_spawn(int read_end, const mp_roles *roles, mp_error *error)
{
    mp_letter nothing;
    mp_letter_init(&nothing);
    return mp_launch(&server.child, MP_START_SPAWN, roles, MP_FORKSERVER_ROLE, read_end, &nothing,
                     error);
}

static int start(const mp_roles *roles, mp_error *error)
{
    int read_end;
    bool copy = mp_threads_running() == 1;
    int status = mp_lifeline_open(&server.line, &read_end);
    if (status < 0)
        return mp_fail(error, status, "forkserver: no lifeline");
    status = copy ? start_by_fork(read_end, roles, error) : start_by_spawn(read_end, roles, error);
    mp_fd_close(&read_end);
    server.owner = getpid();
    server.own = copy || mp_role_has_main();
    if (status < 0)
        drop();
    return status;
}

/* ---- asking it ---- */

static int get_answer(mp_server_answer *answer, int fds[2])
{
    int came = -ETIMEDOUT;
    for (int i = 0; i < ANSWER_PAUSES && came == -ETIMEDOUT; i++) {
        unsigned n = 2;
        mp_pidfd_signal(server.child.pidfd, SIGCONT);
        came = mp_post_get(server.child.voice, answer, sizeof *answer, fds, &n, ANSWER_PAUSE);
        if (came == (int)sizeof *answer && answer->status == 0 && n != 2)
            came = -EPROTO;
    }
    return came == (int)sizeof *answer ? answer->status : came < 0 ? came : -EPIPE;
}

/* What is as it is here goes along: the folder, and where is written to. */
static int put_request(int socket)
{
    mp_server_request request = {.fds = 0};
    int fds[4] = {socket}, n = 1;
    int folder = mp_fd_lift(open(".", O_PATH | O_CLOEXEC));
    const int streams[] = {folder, STDOUT_FILENO, STDERR_FILENO};
    for (unsigned i = 0; i < 3; i++)
        if (streams[i] >= 0 && fcntl(streams[i], F_GETFD) >= 0) {
            request.fds |= 1U << i;
            fds[n++] = streams[i];
        }
    int status = mp_post_put(server.child.voice, &request, sizeof request, fds, (unsigned)n);
    mp_fd_close(&folder);
    return status;
}

static int ask(mp_launched *child, int socket)
{
    mp_server_answer answer;
    int fds[2] = {-1, -1};
    int status = put_request(socket);
    if (status == 0)
        status = get_answer(&answer, fds);
    if (status == 0) {
        child->pid = answer.pid;
        child->pidfd = fds[0];
        child->status_fd = fds[1];
    }
    return status;
}

/* One that has just gone is replaced once. */
static int bear(mp_launched *child, const mp_roles *roles, int socket, mp_error *error)
{
    int status = -EPIPE;
    for (int i = 0; i < 2 && status == -EPIPE; i++) {
        status = runs() ? 0 : start(roles, error);
        if (status < 0)
            return status;
        if (roles->own && !server.own)
            return mp_fail(error, -ENOEXEC, "the forkserver is another program than this");
        status = ask(child, socket);
        if (status == -EPIPE || status == -ECONNRESET || status == -ETIMEDOUT) {
            end();
            status = -EPIPE;
        }
    }
    return status < 0 ? mp_fail(error, status, "the forkserver cannot fork") : 0;
}

/* ---- for everybody ---- */

int mp_forkserver_start(const mp_roles *roles, mp_error *error)
{
    enter();
    int status = runs() ? 0 : start(roles, error);
    leave();
    return status;
}

bool mp_forkserver_runs(void)
{
    enter();
    bool there = runs();
    leave();
    return there;
}

int mp_forkserver_bear(mp_launched *child, const mp_roles *roles, int socket, mp_error *error)
{
    enter();
    int status = bear(child, roles, socket, error);
    leave();
    return status;
}

void mp_forkserver_stop(void)
{
    enter();
    if (runs())
        end();
    leave();
}

void mp_forkserver_hold(void)
{
    enter();
    server.holds++;
    leave();
}

void mp_forkserver_let_go(void)
{
    enter();
    if (server.holds > 0 && --server.holds == 0 && runs())
        end();
    leave();
}
