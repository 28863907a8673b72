/* An owner for nurseries under test: what it wants and what it is told lies in
 * one shared mapping, `world`. The process that runs the cases is made the
 * reaper of whatever is orphaned below it, so that nothing can get lost: see
 * nobody_left. */
#ifndef MP_SPEC_PROCESS_WORLD_H
#define MP_SPEC_PROCESS_WORLD_H

#include "base/clock.h"
#include "process/nursery.h"
#include "spec/support/check.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEATS = 8, MAX_DEATHS = 64 };

typedef struct death {
    unsigned seat;
    uint32_t incarnation;
    pid_t pid;
    int status;
} death;

typedef struct world_state {
    _Atomic int wanted; /* how many seats, or an mp_wanted */
    _Atomic uint32_t incarnations;
    _Atomic int verdict;  /* of each death, once it can be noted */
    _Atomic int refusals; /* how many deaths are still to be told that there is no room */
    _Atomic int leave;    /* workers in leave_when_told go when it is set */
    _Atomic int reported; /* what a worker has found out: the case's affair */
    _Atomic unsigned expected, births, deaths, refused, stopped, continued, troubles;
    _Atomic int trouble_code, trouble_status;
    _Atomic unsigned trouble_n;
    _Atomic int nursery; /* pid, where another process is the host */
    _Atomic int pid[SEATS];
    _Atomic uint32_t incarnation[SEATS];
    death death[MAX_DEATHS];
} world_state;

static world_state *world;
static mp_nursery nursery;
static const mp_places places = {
    .count = SEATS, .name = "mp-nursery", .worker_name = "PoolWorker-%u"};

/* ---- the owner ---- */

static inline enum mp_wanted owner_wanted(void *owner)
{
    (void)owner;
    int wanted = world->wanted;
    return wanted > 0 ? MP_WANT_WORK : (enum mp_wanted)wanted;
}

static inline bool owner_fills(void *owner, unsigned seat)
{
    (void)owner;
    return (int)seat < world->wanted;
}

static inline uint32_t owner_expect(void *owner, unsigned seat)
{
    (void)owner;
    world->expected++;
    uint32_t incarnation = ++world->incarnations;
    world->incarnation[seat] = incarnation;
    return incarnation;
}

static inline void owner_born(void *owner, unsigned seat, uint32_t incarnation, pid_t pid)
{
    (void)owner;
    if (world->incarnation[seat] != incarnation)
        abort();
    world->pid[seat] = pid;
    world->births++;
}

static inline enum mp_verdict owner_died(void *owner, unsigned seat, uint32_t incarnation,
                                         pid_t pid, int status)
{
    (void)owner;
    if (world->refusals > 0) {
        world->refusals--;
        world->refused++;
        return MP_NO_ROOM;
    }
    world->pid[seat] = 0;
    world->death[world->deaths % MAX_DEATHS] = (death){seat, incarnation, pid, status};
    world->deaths++;
    return (enum mp_verdict)world->verdict;
}

static inline void owner_paused(void *owner, unsigned seat, bool stopped)
{
    (void)owner;
    (void)seat;
    if (stopped)
        world->stopped++;
    else
        world->continued++;
}

static inline void owner_trouble(void *owner, int code, unsigned n, int status)
{
    (void)owner;
    world->trouble_code = code;
    world->trouble_n = n;
    world->trouble_status = status;
    world->troubles++;
}

/* ---- kinds of work ---- */

typedef void work_function(void *owner, unsigned seat, uint32_t incarnation);

static inline void sleep_for_ever(void *owner, unsigned seat, uint32_t incarnation)
{
    (void)owner;
    (void)seat;
    (void)incarnation;
    for (;;)
        pause();
}

static inline void leave_when_told(void *owner, unsigned seat, uint32_t incarnation)
{
    (void)owner;
    (void)seat;
    (void)incarnation;
    while (world->leave == 0)
        usleep(500);
    _exit(0);
}

/* ---- the host ---- */

static inline void new_world(int wanted)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (world == NULL)
        world =
            mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(world, 0, sizeof *world);
    world->wanted = wanted;
    world->verdict = MP_BURIED;
}

static inline int start_nursery(work_function *work)
{
    static mp_nursery_ops ops;
    mp_error error = {.code = 0};
    ops = (mp_nursery_ops){work,       owner_wanted, owner_fills,  owner_expect, owner_born,
                           owner_died, NULL,         owner_paused, owner_trouble};
    int status = mp_nursery_start(&nursery, &ops, world, &places, MP_START_FORK, NULL, &error);
    world->nursery = nursery.process.pid;
    return status;
}

static inline void want(int wanted)
{
    world->wanted = wanted;
    mp_nursery_nudge(&nursery);
}

/* Until `condition` holds, but not for ever: a test that would hang fails. */
#define HOLDS_SOON(condition)                                                                      \
    __extension__({                                                                                \
        int64_t end_ = mp_deadline(20);                                                            \
        bool holds_;                                                                               \
        while (!(holds_ = (condition)) && mp_now() < end_)                                         \
            usleep(500);                                                                           \
        holds_;                                                                                    \
    })

static inline bool is_alive(pid_t pid)
{
    return pid > 0 && kill(pid, 0) == 0;
}

static inline bool all_seats_filled(int n)
{
    for (int i = 0; i < n; i++)
        if (world->pid[i] == 0)
            return false;
    return true;
}

/* Waits until this process has neither children nor orphans below it; what does
 * not go by itself is killed and counted as a failure. */
static inline bool nobody_left(void)
{
    if (HOLDS_SOON(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD))
        return true;
    for (int i = 0; i < SEATS; i++)
        if (world->pid[i] > 0)
            kill(world->pid[i], SIGKILL);
    if (world->nursery > 0)
        kill(world->nursery, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    return false;
}

static inline bool end_nursery(void)
{
    want(MP_WANT_TERMINATE);
    bool ended = mp_nursery_wait(&nursery, mp_deadline(20));
    mp_nursery_close(&nursery);
    return nobody_left() && ended;
}

/* Runs `host` in a process of its own, which dies with this one. */
static inline pid_t fork_host(void (*host)(void))
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    check_failures = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        host();
    fflush(NULL);
    _exit(check_failures != 0);
}

/* Its exit code, or -1 if it did not exit. */
static inline int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int count_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

#endif
