/* Children that are copies of this process: see offspring.h.
 *
 * All that are tied hang on one lifeline, which is there while any of them may live:
 * from the first fork until the last was seen to be gone, so for good where one was
 * closed while it ran. A child opens one of its own when it ties children itself. */
#include "process/offspring.h"

#include "base/failpoint.h"
#include "base/fd.h"
#include "process/input.h"
#include "process/lifeline.h"
#include "process/pidfd.h"
#include "process/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct {
    mp_lifeline line;
    int read_end;
    unsigned living; /* not seen to be gone */
    pid_t owner;     /* the process that wrote this: this one or one before it */
} line;

/* What a parent has left here is not this process's. */
static void forget_parents_line(void)
{
    if (line.owner == getpid())
        return;
    if (line.living > 0)
        mp_fd_close(&line.read_end);
    line.living = 0;
    line.owner = getpid();
}

static int hold_line(void)
{
    forget_parents_line();
    int status = line.living == 0 ? mp_lifeline_open(&line.line, &line.read_end) : 0;
    if (status == 0)
        line.living++;
    return status;
}

static void let_line_go(const mp_offspring *o)
{
    if (!o->tied || line.owner != getpid() || --line.living > 0)
        return;
    mp_lifeline_close(&line.line);
    mp_fd_close(&line.read_end);
}

/* ---- the child ---- */

/* Without /proc there is the tie to the parent's thread. */
static void tie(pid_t parent)
{
    int own_end = mp_lifeline_reopen(line.read_end);
    if (own_end < 0 || mp_lifeline_arm(own_end) < 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        raise(SIGKILL);
}

static _Noreturn void live(bool tied, pid_t parent, const sigset_t *mask, int (*body)(void *ctx),
                           void *ctx)
{
    mp_signals_drop_handlers();
    if (tied)
        tie(parent);
    forget_parents_line();
    mp_input_empty();
    pthread_sigmask(SIG_SETMASK, mask, NULL);
    int code = body(ctx);
    fflush(NULL);
    _exit(code);
}

/* ---- the parent ---- */

static pid_t fork_quietly(bool tied, int (*body)(void *ctx), void *ctx)
{
    sigset_t before;
    if (MP_FAILPOINT_ERROR("process.start")) {
        errno = EAGAIN;
        return -1;
    }
    pid_t parent = getpid();
    pid_t pid = mp_signals_fork(&before);
    if (pid == 0)
        live(tied, parent, &before, body, ctx);
    return pid;
}

static void end_unwatched(mp_offspring *o)
{
    kill(o->process.pid, SIGKILL);
    mp_pid_reap(o->process.pid);
}

static int begin(mp_offspring *o, bool tied, mp_error *error)
{
    *o = (mp_offspring){.process = MP_LAUNCHED_NONE, .tied = tied, .gone = true};
    int status = tied ? hold_line() : 0;
    return status < 0 ? mp_fail(error, status, "process: no lifeline") : 0;
}

int mp_offspring_start(mp_offspring *o, bool tied, int (*body)(void *ctx), void *ctx,
                       mp_error *error)
{
    int status = begin(o, tied, error);
    if (status < 0)
        return status;
    o->process.pid = fork_quietly(tied, body, ctx);
    if (o->process.pid < 0) {
        status = mp_fail(error, -errno, "process: fork");
        let_line_go(o);
        return status;
    }
    o->process.pidfd = mp_pidfd_open(o->process.pid);
    if (o->process.pidfd < 0) {
        status = mp_fail(error, -errno, "process: pidfd_open");
        end_unwatched(o);
        let_line_go(o);
        return status;
    }
    o->gone = false;
    return 0;
}

int mp_offspring_launch(mp_offspring *o, bool tied, enum mp_start_method method,
                        const mp_roles *roles, const char *role, const mp_letter *letter,
                        mp_error *error)
{
    int status = begin(o, tied, error);
    if (status < 0)
        return status;
    status = mp_launch(&o->process, method, roles, role, tied ? line.read_end : -1, letter, error);
    if (status < 0)
        let_line_go(o);
    else
        o->gone = false;
    return status;
}

bool mp_offspring_gone(mp_offspring *o)
{
    if (!o->gone && mp_launched_ended(&o->process, &o->status)) {
        o->gone = true;
        let_line_go(o);
    }
    return o->gone;
}

void mp_offspring_signal(const mp_offspring *o, int signal)
{
    if (!o->gone)
        mp_pidfd_signal(o->process.pidfd, signal);
}

void mp_offspring_close(mp_offspring *o)
{
    mp_launched_close(&o->process);
    o->gone = true;
}
