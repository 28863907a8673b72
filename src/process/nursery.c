/* The nursery as its host sees it: see nursery.h. What runs in the nursery
 * itself is ward.c.
 *
 * The host may be anybody's program: with handlers for any signal, SIGCHLD
 * ignored, children reaped behind our back, descriptors 0 to 2 closed. So all
 * signals are blocked around the fork (no handler of the host runs in the
 * child), the nursery is known by its pidfd, and its status may stay unknown.
 * Whatever can fail is done before the fork, where it can be told; the two
 * descriptors that the nursery opens later take the place of two that it closes. */
#include "process/nursery.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/memory.h"
#include "process/pidfd.h"
#include "process/signals.h"
#include "process/ward.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { SEATS_MOST = 1 << 16, NAME_ROOM = 32 };

/* ---- start ---- */

/* A descriptor that reads as empty: /dev/null, or where there is none a pipe
 * that nobody writes to. */
static int open_nothing(void)
{
    int ends[2];
    int fd = mp_fd_lift(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (fd >= 0)
        return fd;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    close(ends[1]);
    return mp_fd_lift(ends[0]);
}

static int open_signalfd(void)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    return mp_fd_lift(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
}

/* What the host and the nursery have between them. */
static int open_between(mp_nursery *n, mp_ward *w, mp_error *error)
{
    int status = mp_lifeline_open(&n->line, &w->host_end);
    if (status < 0)
        return mp_fail(error, status, "nursery: no lifeline");
    n->nudge_fd = mp_fd_lift(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (n->nudge_fd < 0)
        return mp_fail(error, -errno, "nursery: eventfd");
    w->nudge_fd = n->nudge_fd;
    return 0;
}

static int open_own(mp_ward *w, mp_error *error)
{
    w->child_fd = open_signalfd();
    if (w->child_fd < 0)
        return mp_fail(error, -errno, "nursery: signalfd");
    w->nothing_fd = open_nothing();
    if (w->nothing_fd < 0)
        return mp_fail(error, -errno, "nursery: no input for workers");
    return 0;
}

/* The nursery gone, or never there: ends what was opened for it. */
static void close_nursery_side(mp_ward *w)
{
    mp_fd_close(&w->host_end);
    mp_fd_close(&w->child_fd);
    mp_fd_close(&w->nothing_fd);
    mp_free(w->seat);
}

static pid_t fork_nursery(mp_ward *w)
{
    sigset_t before;
    if (MP_FAILPOINT_ERROR("nursery.start")) {
        errno = EAGAIN;
        return -1;
    }
    pid_t pid = mp_signals_fork(&before);
    if (pid == 0)
        mp_ward_run(w);
    return pid;
}

static int fork_and_watch(mp_nursery *n, mp_ward *w, mp_error *error)
{
    int status = open_own(w, error);
    if (status < 0)
        return status;
    n->process.pid = fork_nursery(w);
    if (n->process.pid < 0)
        return mp_fail(error, -errno, "nursery: fork");
    /* The nursery's ends make room for the pidfd. */
    mp_fd_close(&w->host_end);
    mp_fd_close(&w->child_fd);
    n->process.pidfd = mp_pidfd_open(n->process.pid);
    if (n->process.pidfd >= 0)
        return 0;
    status = mp_fail(error, -errno, "nursery: pidfd_open");
    mp_lifeline_close(&n->line);
    mp_pid_reap(n->process.pid);
    return status;
}

/* ---- one that is no fork ---- */

static void describe(mp_letter *l, const mp_ward *w)
{
    mp_letter_put_number(l, w->seats);
    for (unsigned i = 0; i < w->seats; i++)
        mp_letter_put_number(l, w->seat[i].number);
    mp_letter_put_text(l, w->name, strlen(w->name));
    mp_letter_put_text(l, w->worker_name, strlen(w->worker_name));
    mp_letter_put_fd(l, w->nudge_fd);
}

static int launch(mp_nursery *n, const mp_ward *w, enum mp_start_method method,
                  const mp_cradle *cradle, mp_error *error)
{
    mp_letter letter;
    mp_letter_init(&letter);
    cradle->fill(w->owner, &letter);
    describe(&letter, w);
    int status =
        mp_launch(&n->process, method, cradle->roles, cradle->role, w->host_end, &letter, error);
    mp_letter_free(&letter);
    return status;
}

static int be_told(mp_ward *w, mp_letter *l, char *name, char *worker_name, mp_error *error)
{
    uint64_t seats = mp_letter_take_number(l);
    w->seat = seats < SEATS_MOST ? mp_calloc(seats, sizeof *w->seat) : NULL;
    if (w->seat == NULL)
        return mp_fail(error, -ENOMEM, "nursery: %llu seats", (unsigned long long)seats);
    w->seats = (unsigned)seats;
    for (unsigned i = 0; i < w->seats; i++)
        w->seat[i].number = (unsigned)mp_letter_take_number(l);
    mp_letter_take_name(l, name, NAME_ROOM);
    mp_letter_take_name(l, worker_name, NAME_ROOM);
    w->nudge_fd = mp_letter_take_fd(l);
    return l->status < 0 ? mp_fail(error, l->status, "nursery: its letter") : open_own(w, error);
}

int mp_nursery_serve(mp_letter *letter, const mp_nursery_ops *ops, void *owner)
{
    char name[NAME_ROOM], worker_name[NAME_ROOM];
    mp_error error = {0};
    mp_ward w = {
        .ops = ops,
        .owner = owner,
        .name = name,
        .worker_name = worker_name,
        .host_end = mp_role_lifeline(),
        .child_fd = -1,
        .nothing_fd = -1,
    };
    if (be_told(&w, letter, name, worker_name, &error) < 0)
        return mp_role_fail("%s", error.text);
    mp_role_begun();
    mp_ward_run(&w);
}

/* ---- both ---- */

static void number_seats(mp_ward *w, const unsigned *numbers)
{
    for (unsigned i = 0; i < w->seats; i++)
        w->seat[i].number = numbers != NULL ? numbers[i] : i;
}

int mp_nursery_start(mp_nursery *n, const mp_nursery_ops *ops, void *owner, const mp_places *places,
                     enum mp_start_method method, const mp_cradle *cradle, mp_error *error)
{
    mp_ward w = {
        .ops = ops,
        .owner = owner,
        .host = getpid(),
        .seat = mp_calloc(places->count, sizeof *w.seat),
        .seats = places->count,
        .name = places->name,
        .worker_name = places->worker_name,
        .host_end = -1,
        .child_fd = -1,
        .nothing_fd = -1,
    };
    *n = (mp_nursery){.process = MP_LAUNCHED_NONE, .nudge_fd = -1, .line.fd = -1};
    if (w.seat == NULL)
        return mp_fail(error, -ENOMEM, "nursery: %u seats", places->count);
    number_seats(&w, places->numbers);
    int status = open_between(n, &w, error);
    if (status == 0)
        status = method == MP_START_FORK ? fork_and_watch(n, &w, error)
                                         : launch(n, &w, method, cradle, error);
    close_nursery_side(&w);
    if (status < 0) {
        n->gone = true;
        mp_nursery_close(n);
    }
    return status;
}

/* ---- afterwards ---- */

void mp_nursery_nudge(const mp_nursery *n)
{
    eventfd_write(n->nudge_fd, 1); /* EAGAIN: it has nudges enough to read */
}

bool mp_nursery_gone(mp_nursery *n)
{
    n->gone = n->gone || mp_launched_ended(&n->process, &n->status);
    return n->gone;
}

void mp_nursery_reason(const mp_nursery *n, char *text, size_t room)
{
    mp_launched_reason(&n->process, text, room);
}

static bool is_host(const mp_nursery *n)
{
    return n->line.fd >= 0;
}

static void send(const mp_nursery *n, int signal)
{
    if (!n->gone)
        mp_pidfd_signal(n->process.pidfd, signal);
}

void mp_nursery_go_on(const mp_nursery *n)
{
    if (is_host(n))
        send(n, SIGCONT);
}

void mp_nursery_kill(mp_nursery *n)
{
    if (is_host(n))
        send(n, SIGKILL);
}

bool mp_nursery_wait(mp_nursery *n, int64_t deadline)
{
    while (!mp_nursery_gone(n)) {
        struct pollfd p = {.fd = n->process.pidfd, .events = POLLIN};
        int64_t now = mp_now();
        if (now >= deadline)
            return false;
        send(n, SIGCONT);
        poll(
            &p, 1,
            mp_poll_timeout(deadline - now > MP_NURSERY_STALE ? now + MP_NURSERY_STALE : deadline));
    }
    return true;
}

void mp_nursery_close(mp_nursery *n)
{
    bool mine = is_host(n);
    mp_lifeline_close(&n->line);
    if (mine && !n->gone)
        mp_nursery_wait(n, mp_deadline(1));
    mp_fd_close(&n->nudge_fd);
    mp_launched_close(&n->process);
}
