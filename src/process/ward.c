/* The nursery's loop: fill the seats, sleep, look who has died.
 *
 * Every signal stays blocked, so that what reaches the whole group (Ctrl-C, a
 * TERM) ends the workers or the host but never this process before them;
 * SIGCHLD is read from a signalfd. Invariants: a worker that has been waited for
 * is told to ops->died until it is noted, and its seat is filled only then;
 * nothing here allocates, locks or prints. */
#include "process/ward.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "process/newborn.h"
#include "process/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MAX_STILLBORN = 10,
    MILLISECOND = 1000000,
    NAME_SIZE = 16, /* of a thread's name, the kernel's limit */
    EXIT_RETURNED = 70,
    EXIT_NO_LIFELINE = 71,
};

static const int64_t first_pause = 10 * MILLISECOND, longest_pause = 1000 * MILLISECOND,
                     burial_pause = 5 * MILLISECOND, hunting_pause = 20 * MILLISECOND,
                     stop_grace = 1000 * MILLISECOND;

/* ---- births ---- */

static _Noreturn void live(mp_ward *w, const mp_place *s)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, w->worker_name, s->number + 1);
    mp_fd_close(&w->child_fd);
    mp_fd_close(&w->host_end);
    mp_newborn_tie(w->pid, w->worker_end, name);
    mp_newborn_signals();
    MP_FAILPOINT("worker.start");
    w->ops->work(w->owner, s->number, s->incarnation);
    _exit(EXIT_RETURNED);
}

static void fork_failed(mp_ward *w, const mp_place *s, int code)
{
    unsigned doublings = w->failed_forks < 7 ? w->failed_forks : 7;
    int64_t pause = first_pause << doublings;
    w->next_birth = mp_now() + (pause < longest_pause ? pause : longest_pause);
    if (w->failed_forks++ == 0)
        w->ops->trouble(w->owner, code, s->number, 0);
}

static pid_t fork_worker(void)
{
    if (MP_FAILPOINT_ERROR("nursery.fork.before")) {
        errno = EAGAIN;
        return -1;
    }
    return fork();
}

static bool bear(mp_ward *w, mp_place *s)
{
    s->incarnation = w->ops->expect(w->owner, s->number);
    pid_t pid = fork_worker();
    if (pid == 0)
        live(w, s);
    if (pid < 0) {
        fork_failed(w, s, -errno);
        return false;
    }
    MP_FAILPOINT("nursery.fork.after");
    w->failed_forks = 0;
    s->is = MP_SEAT_ALIVE;
    s->pid = pid;
    s->status = 0;
    s->unwanted_since = 0;
    w->ops->born(w->owner, s->number, s->incarnation, pid);
    return true;
}

static bool to_fill(const mp_ward *w, const mp_place *s)
{
    return s->is == MP_SEAT_EMPTY && w->ops->wanted(w->owner) == MP_WANT_WORK &&
           w->ops->fills(w->owner, s->number);
}

/* What is wanted is asked before each birth: it may change meanwhile. */
static void fill_seats(mp_ward *w)
{
    if (w->next_birth != 0 && mp_now() < w->next_birth)
        return;
    w->next_birth = 0;
    if (w->stillborn >= MAX_STILLBORN)
        return;
    for (unsigned i = 0; i < w->seats; i++)
        if (to_fill(w, &w->seat[i]) && !bear(w, &w->seat[i]))
            return;
    w->failed_forks = 0;
}

/* ---- deaths ---- */

static void count_stillborn(mp_ward *w, int status)
{
    if (++w->stillborn == MAX_STILLBORN)
        w->ops->trouble(w->owner, 0, w->stillborn, status);
}

static void bury(mp_ward *w, unsigned i)
{
    mp_place *s = &w->seat[i];
    MP_FAILPOINT("nursery.bury");
    enum mp_verdict verdict = w->ops->died(w->owner, s->number, s->incarnation, s->pid, s->status);
    if (verdict == MP_NO_ROOM) {
        s->is = MP_SEAT_UNBURIED;
        return;
    }
    s->is = verdict == MP_RETIRED ? MP_SEAT_VACATED : MP_SEAT_EMPTY;
    if (verdict == MP_STILLBORN)
        count_stillborn(w, s->status);
    else
        w->stillborn = 0;
}

static unsigned count_seats(const mp_ward *w, enum mp_occupancy is)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w->seats; i++)
        n += w->seat[i].is == is;
    return n;
}

static void bury_the_rest(mp_ward *w)
{
    for (unsigned i = 0; i < w->seats; i++)
        if (w->seat[i].is == MP_SEAT_UNBURIED)
            bury(w, i);
}

static void hear(mp_ward *w, unsigned i, int status)
{
    if (WIFSTOPPED(status) || WIFCONTINUED(status)) {
        w->ops->paused(w->owner, w->seat[i].number, WIFSTOPPED(status));
        return;
    }
    w->seat[i].status = status;
    bury(w, i);
}

static pid_t next_news(int *status)
{
    pid_t pid;
    do
        pid = waitpid(-1, status, WNOHANG | WUNTRACED | WCONTINUED);
    while (pid < 0 && errno == EINTR);
    return pid;
}

static void hear_of_children(mp_ward *w)
{
    int status;
    pid_t pid;
    while ((pid = next_news(&status)) > 0)
        for (unsigned i = 0; i < w->seats; i++)
            if (w->seat[i].is == MP_SEAT_ALIVE && w->seat[i].pid == pid)
                hear(w, i, status);
}

/* ---- the end ---- */

/* All get the signal before any is waited for. */
static _Noreturn void end_all(mp_ward *w)
{
    for (unsigned i = 0; i < w->seats; i++)
        if (w->seat[i].is == MP_SEAT_ALIVE)
            kill(w->seat[i].pid, SIGKILL);
    for (unsigned i = 0; i < w->seats; i++)
        while (w->seat[i].is == MP_SEAT_ALIVE && waitpid(w->seat[i].pid, NULL, 0) < 0)
            if (errno != EINTR)
                break;
    _exit(0);
}

static void end_if_wanted(mp_ward *w)
{
    enum mp_wanted n = w->ops->wanted(w->owner);
    if (n == MP_WANT_TERMINATE)
        end_all(w);
    if (n == MP_WANT_END && count_seats(w, MP_SEAT_ALIVE) == 0 &&
        count_seats(w, MP_SEAT_UNBURIED) == 0)
        _exit(0);
}

/* ---- what is to be stopped ---- */

static bool hunt_one(mp_ward *w, unsigned i)
{
    mp_place *s = &w->seat[i];
    if (s->is != MP_SEAT_ALIVE || !w->ops->unwanted(w->owner, s->number)) {
        s->unwanted_since = 0;
        return false;
    }
    int64_t now = mp_now();
    if (s->unwanted_since == 0)
        s->unwanted_since = now;
    kill(s->pid, now - s->unwanted_since < stop_grace ? SIGURG : SIGKILL);
    return true;
}

static void hunt(mp_ward *w)
{
    bool any = false;
    for (unsigned i = 0; i < w->seats; i++)
        any = hunt_one(w, i) || any;
    w->hunting = any;
}

/* ---- the loop ---- */

static int sleep_milliseconds(const mp_ward *w)
{
    int64_t until = w->next_birth != 0 ? w->next_birth : MP_NEVER;
    if (count_seats(w, MP_SEAT_UNBURIED) > 0 && mp_now() + burial_pause < until)
        until = mp_now() + burial_pause;
    if (w->hunting && mp_now() + hunting_pause < until)
        until = mp_now() + hunting_pause;
    return mp_poll_timeout(until);
}

/* Whatever kept seats empty is to be tried anew. */
static void take_nudge(mp_ward *w)
{
    eventfd_t count;
    eventfd_read(w->nudge_fd, &count);
    w->stillborn = 0;
    w->hunting = w->ops->unwanted != NULL;
    for (unsigned i = 0; i < w->seats; i++)
        if (w->seat[i].is == MP_SEAT_VACATED)
            w->seat[i].is = MP_SEAT_EMPTY;
}

static void sleep_until_news(mp_ward *w)
{
    struct pollfd p[] = {
        {.fd = w->host_end, .events = POLLIN},
        {.fd = w->nudge_fd, .events = POLLIN},
        {.fd = w->child_fd, .events = POLLIN},
    };
    struct signalfd_siginfo ignored;
    if (poll(p, sizeof p / sizeof p[0], sleep_milliseconds(w)) <= 0)
        return;
    if (p[0].revents != 0)
        end_all(w);
    if (p[1].revents != 0)
        take_nudge(w);
    if (p[2].revents != 0 && read(w->child_fd, &ignored, sizeof ignored) < 0)
        return;
}

/* Workers inherit this input; what the host had read ahead is the host's. */
static void empty_stdin(mp_ward *w)
{
    dup2(w->nothing_fd, STDIN_FILENO);
    mp_fd_close(&w->nothing_fd);
    __fpurge(stdin);
    clearerr(stdin);
}

/* The other tie is to the host's thread, which may end before the host does. */
static int tie_to_host(const mp_ward *w)
{
    if (mp_lifeline_arm(w->host_end) == 0)
        return 0;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    return getppid() == w->host ? 0 : -ESRCH;
}

static void move_in(mp_ward *w)
{
    w->pid = getpid();
    prctl(PR_SET_NAME, w->name);
    mp_signals_reset();
    empty_stdin(w);
    if ((w->host != 0 && tie_to_host(w) < 0) || mp_lifeline_open(&w->line, &w->worker_end) < 0)
        _exit(EXIT_NO_LIFELINE);
}

_Noreturn void mp_ward_run(mp_ward *w)
{
    move_in(w);
    for (;;) {
        end_if_wanted(w);
        fill_seats(w);
        sleep_until_news(w);
        hear_of_children(w);
        bury_the_rest(w);
        if (w->hunting)
            hunt(w);
    }
}
