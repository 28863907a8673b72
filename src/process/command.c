/* External programs: see command.h.
 *
 * Forked as posix_spawn does it (a clone that shares the memory, on a stack of its
 * own, while this thread waits) but not by that, which cannot tie the group before it
 * execs: a parent that is killed between the two would leave an orphan. What runs
 * between the clone and exec makes system calls only, and tells by `birth` why it failed.
 *
 * Invariant: `running` lists the commands of this process that were started and not
 * ended; after a fork the child's list is empty. */
#include "process/command.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "process/pidfd.h"
#include "process/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_SIZE = 64 << 10, STACK_ALIGN = 4096 };

static const double last_patience = 1; /* seconds that a killed program has to be gone */

static struct {
    mp_command *first;
    pid_t owner;
} running;

typedef struct birth {
    const mp_command_plan *plan;
    int streams[3]; /* the program's ends */
    int line;
    sigset_t mask;
    int failure; /* errno of `step` */
    const char *step;
} birth;

/* ---- between clone and exec ---- */

static _Noreturn void give_up(birth *b, const char *step)
{
    b->failure = errno;
    b->step = step;
    _exit(127);
}

static void take_streams(birth *b)
{
    for (int i = 0; i < 3; i++)
        if (dup2(b->streams[i], i) < 0)
            give_up(b, "dup2");
    close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC); /* since Linux 5.11 */
    if (fcntl(b->line, F_SETFD, 0) < 0)
        give_up(b, "fcntl");
}

static int become(void *arg)
{
    birth *b = arg;
    struct sigaction fresh = {.sa_handler = SIG_DFL};
    mp_signals_drop_handlers();
    sigaction(SIGPIPE, &fresh, NULL);
    setpgid(0, 0);
    if (mp_lifeline_arm_group(b->line) < 0)
        give_up(b, "fcntl");
    take_streams(b);
    if (b->plan->cwd != NULL && chdir(b->plan->cwd) < 0)
        give_up(b, b->plan->cwd);
    pthread_sigmask(SIG_SETMASK, &b->mask, NULL);
    if (b->plan->envp != NULL)
        execvpe(b->plan->argv[0], b->plan->argv, b->plan->envp);
    else
        execvp(b->plan->argv[0], b->plan->argv);
    give_up(b, b->plan->argv[0]);
}

/* execvpe puts a path and, for a script without an interpreter, the words on the stack. */
static size_t stack_size(const mp_command_plan *plan)
{
    size_t words = 0;
    while (plan->argv[words] != NULL)
        words++;
    return (STACK_SIZE + words * sizeof(char *)) / STACK_ALIGN * STACK_ALIGN;
}

static pid_t launch(birth *b)
{
    sigset_t all;
    size_t size = stack_size(b->plan);
    if (MP_FAILPOINT_ERROR("command.start")) {
        errno = EAGAIN;
        return -1;
    }
    char *stack = aligned_alloc(STACK_ALIGN, size);
    if (stack == NULL)
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &b->mask);
    pid_t pid = clone(become, stack + size, CLONE_VM | CLONE_VFORK | SIGCHLD, b);
    int saved = errno;
    pthread_sigmask(SIG_SETMASK, &b->mask, NULL);
    free(stack);
    errno = saved;
    return pid;
}

/* ---- this process ---- */

static mp_command **list(void)
{
    if (running.owner != getpid())
        running.first = NULL;
    running.owner = getpid();
    return &running.first;
}

/* False where it is a parent's of this process. */
static bool unlist(const mp_command *c)
{
    mp_command **at = list();
    while (*at != NULL && *at != c)
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    *at = c->next;
    return true;
}

/* A pipe; this process's end, which is ends[own], does not block. */
static int open_stream(int *own_end, int *its_end, int own)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *own_end = mp_fd_lift(ends[own]);
    *its_end = mp_fd_lift(ends[1 - own]);
    if (*own_end < 0 || *its_end < 0 || fcntl(*own_end, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

static int open_all(mp_command *c, birth *b)
{
    int status = open_stream(&c->in, &b->streams[0], 1);
    if (status == 0)
        status = open_stream(&c->out, &b->streams[1], 0);
    if (status == 0)
        status = open_stream(&c->err, &b->streams[2], 0);
    return status == 0 ? mp_lifeline_open(&c->line, &b->line) : status;
}

static void close_its_ends(birth *b)
{
    for (int i = 0; i < 3; i++)
        mp_fd_close(&b->streams[i]);
    mp_fd_close(&b->line);
}

static int launch_and_watch(mp_command *c, birth *b, mp_error *error)
{
    c->pid = launch(b);
    if (c->pid < 0)
        return mp_fail(error, -errno, "run: clone");
    if (b->failure != 0) {
        mp_pid_reap(c->pid);
        return mp_fail(error, -b->failure, "run: %s", b->step);
    }
    close_its_ends(b); /* which makes room */
    c->pidfd = mp_pidfd_open(c->pid);
    if (c->pidfd >= 0)
        return 0;
    int status = mp_fail(error, -errno, "run: pidfd_open");
    kill(-c->pid, SIGKILL);
    mp_pid_reap(c->pid);
    return status;
}

static void close_all(mp_command *c)
{
    mp_fd_close(&c->in);
    mp_fd_close(&c->out);
    mp_fd_close(&c->err);
    mp_fd_close(&c->pidfd);
    mp_lifeline_close(&c->line);
}

int mp_command_start(mp_command *c, const mp_command_plan *plan, mp_error *error)
{
    birth b = {.plan = plan, .streams = {-1, -1, -1}, .line = -1};
    *c = (mp_command){
        .pid = -1, .pidfd = -1, .in = -1, .out = -1, .err = -1, .gone = true, .line.fd = -1};
    int status = open_all(c, &b);
    if (status < 0)
        mp_fail(error, status, "run: no pipes");
    else
        status = launch_and_watch(c, &b, error);
    close_its_ends(&b);
    if (status < 0) {
        close_all(c);
        return status;
    }
    c->gone = false;
    c->next = *list();
    running.first = c;
    return 0;
}

bool mp_command_gone(mp_command *c)
{
    c->gone = c->gone || mp_pidfd_ended(c->pidfd, &c->status);
    return c->gone;
}

ssize_t mp_command_write(const mp_command *c, const void *bytes, size_t size)
{
    sigset_t pipe_signal, old, before;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
    sigpending(&before);
    ssize_t n = write(c->in, bytes, size);
    n = n < 0 ? -errno : n;
    if (n == -EPIPE && !sigismember(&before, SIGPIPE))
        sigtimedwait(&pipe_signal, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return n;
}

bool mp_command_leaves(const mp_command *c)
{
    return c->pid > 0 && c->gone && kill(-c->pid, 0) == 0;
}

static void await_death(mp_command *c)
{
    int64_t deadline = mp_deadline(last_patience);
    while (!mp_command_gone(c) && mp_now() < deadline) {
        struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
        poll(&p, 1, mp_poll_timeout(deadline));
    }
}

/* The group's number may be somebody else's once its leader is gone; the lifeline means this
 * group in any case. */
void mp_command_end(mp_command *c)
{
    if (c->pid <= 0)
        return;
    if (unlist(c) && !mp_command_gone(c)) {
        kill(-c->pid, SIGKILL);
        await_death(c);
    }
    close_all(c);
    c->pid = -1;
}

void mp_command_end_all(void)
{
    if (running.first == NULL)
        return;
    for (mp_command *c = *list(); c != NULL; c = *list())
        mp_command_end(c);
}
