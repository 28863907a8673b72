/* The nursery: one child of the host that bears the workers and buries them.
 *
 * It is a fork of the host, or was launched by it, and runs a loop of its own: it forks a worker
 * for every seat that is wanted, waits for them, tells of each death, fills the seat again at once
 * (also while the host is busy elsewhere), and ends when the last is gone. In its loop it holds no
 * lock, allocates nothing and calls no Lua. What a seat, a death or a task means is its owner's
 * affair, told by mp_nursery_ops.
 *
 * Who dies with whom: the host holds the only write end of a lifeline pipe whose
 * read end kills the nursery (O_ASYNC with SIGKILL as its signal); the nursery's
 * death kills its workers. So no worker outlives its host, however it dies and
 * whatever the worker is doing. */
#ifndef MP_PROCESS_NURSERY_H
#define MP_PROCESS_NURSERY_H

#include "base/error.h"
#include "process/launch.h"
#include "process/lifeline.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum mp_wanted { MP_WANT_TERMINATE = -1, MP_WANT_END = 0, MP_WANT_WORK = 1 };

/* What the owner says of a death. */
enum mp_verdict {
    MP_BURIED,    /* noted: fill the seat again if it is wanted */
    MP_STILLBORN, /* noted; it died before it was ready for work: too many of
                     these in a row stop the births (ops->trouble) */
    MP_RETIRED,   /* it left because it was told to: the seat stays empty until nudged */
    MP_NO_ROOM,   /* cannot be noted yet: ask again (after a nudge or some milliseconds) */
};

typedef struct mp_nursery_ops {
    /* In the new worker process: does its work and never returns (_exit). Its
     * signals are as nursery.c's head says, stdin is empty, its name is set. */
    void (*work)(void *owner, unsigned seat, uint32_t incarnation);

    /* The rest run in the nursery and may only touch shared memory. */

    /* MP_WANT_WORK: seats are to be filled, those that `fills` names; MP_WANT_END:
     * none, and end when the last worker has gone and is noted; MP_WANT_TERMINATE:
     * kill all, wait for them without telling of their deaths, then end. */
    enum mp_wanted (*wanted)(void *owner);
    /* Whether this seat is to have a worker now. */
    bool (*fills)(void *owner, unsigned seat);
    /* Before the fork: the incarnation that the seat gets, never given before. If
     * the fork fails it is expected again, perhaps in another seat. */
    uint32_t (*expect)(void *owner, unsigned seat);
    /* After the fork. */
    void (*born)(void *owner, unsigned seat, uint32_t incarnation, pid_t pid);
    /* After waitpid said so. `status` as waitpid gives it. */
    enum mp_verdict (*died)(void *owner, unsigned seat, uint32_t incarnation, pid_t pid,
                            int status);
    /* Whether what the worker does is to be stopped; may be NULL. Asked behind a nudge: it
     * gets SIGURG then, again and again, and SIGKILL where a second of that did not help. */
    bool (*unwanted)(void *owner, unsigned seat);
    /* SIGSTOP and SIGCONT of a worker. */
    void (*paused)(void *owner, unsigned seat, bool stopped);
    /* Births fail: `code` is the negative errno of the fork for the seat `n`, which is tried
     * again with growing pauses; or 0 where n workers in a row were stillborn (`status` is the
     * last one's), and no more are born until the owner nudges. */
    void (*trouble)(void *owner, int code, unsigned n, int status);
} mp_nursery_ops;

/* The host's side. Must not move between start and close (its lifeline stands
 * in a list). In a fork of the host it holds the lifeline no more, and all that
 * is left to do with it is mp_nursery_close; in the workers its nudge_fd stays
 * good for mp_nursery_nudge. */
typedef struct mp_nursery {
    mp_launched process; /* whose pidfd is readable when the nursery has gone (for epoll) */
    int nudge_fd;        /* eventfd */
    mp_lifeline line;
    bool gone;
    int status; /* once gone, as waitpid gives it; -1: unknown (somebody else reaped it) */
} mp_nursery;

#define MP_NURSERY_STALE (INT64_C(500) * 1000 * 1000)

/* What a nursery fills. */
typedef struct mp_places {
    unsigned count;          /* of seats */
    const unsigned *numbers; /* by which the ops know them; NULL: 0, 1, ... */
    const char *name;        /* what ps shows for the nursery */
    const char *worker_name; /* for the workers: a printf format with one %u, the
                                seat's number plus 1 */
} mp_places;

/* How a nursery comes to be that is no fork of the host: its role, and what goes into that one's
 * letter before what mp_nursery_serve takes. */
typedef struct mp_cradle {
    const mp_roles *roles;
    const char *role;
    void (*fill)(void *owner, mp_letter *letter);
} mp_cradle;

/* Host: makes the nursery, by `method` (as mp_start_choose gives it). Buffered stdio output is
 * flushed first. Returns 0, or a negative errno with nothing left. Does not return in the child. */
int mp_nursery_start(mp_nursery *n, const mp_nursery_ops *ops, void *owner, const mp_places *places,
                     enum mp_start_method method, const mp_cradle *cradle, mp_error *error);

/* In a role: is the nursery of which the rest of the letter tells. Returns the exit code where it
 * cannot be. */
int mp_nursery_serve(mp_letter *letter, const mp_nursery_ops *ops, void *owner);

/* Host, of one that has gone: what it has said of why, "" for nothing. */
void mp_nursery_reason(const mp_nursery *n, char *text, size_t room);

/* Host or worker: makes the nursery look at what is wanted. One system call. */
void mp_nursery_nudge(const mp_nursery *n);

/* Host: true if the nursery has gone; reaps it then (waitid on the pidfd, so no
 * other child is ever reaped), tolerating that somebody else has. */
bool mp_nursery_gone(mp_nursery *n);

/* Host: waits until it has gone or the deadline (mp_now's clock) has passed. */
bool mp_nursery_wait(mp_nursery *n, int64_t deadline);

/* Host: kills the nursery, and with it the workers. Does not wait. Does nothing
 * in a process that is not the host. */
void mp_nursery_kill(mp_nursery *n);

/* Host: continues a nursery that somebody has stopped; else nothing. A stopped one tells of
 * no death, so who waits for its news calls this every MP_NURSERY_STALE nanoseconds. */
void mp_nursery_go_on(const mp_nursery *n);

/* Host: closes the descriptors. This kills what still lives; the nursery is
 * waited for then (some milliseconds), so that it leaves no zombie. May be
 * called again. In a process that is not the host, closes its copies and harms
 * nobody. */
void mp_nursery_close(mp_nursery *n);

#endif
