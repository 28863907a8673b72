/* A pool over the transport of this machine, with real workers that run a tiny
 * handler, and what came of one call at a time.
 *
 * An item is a letter and a number: d it is done; f it fails; n no memory for its
 * result; k the worker is killed, x it exits with that code, a it aborts; w waits
 * for so many microseconds; s spins for ever; p stops itself; g gives a result of
 * so many KiB. What was run is counted in memory shared with the workers. */
#ifndef MP_SPEC_POOL_WORKSHOP_H
#define MP_SPEC_POOL_WORKSHOP_H

#include "base/clock.h"
#include "pool/pool.h"
#include "pool/transport_local.h"
#include "spec/support/check.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHOP_ITEMS = 5000, SHOP_PATIENCE = 40 };

#ifdef MP_TEST_BUILD
enum { SHOP_FAILPOINTS = 1 };
#else
enum { SHOP_FAILPOINTS = 0 };
#endif

typedef struct shop_shared {
    _Atomic unsigned runs[SHOP_ITEMS + 1];
    _Atomic int32_t pid[SHOP_ITEMS + 1]; /* who ran it last */
} shop_shared;

typedef struct shop {
    mp_pool *pool;
    local *local; /* its transport */
    mp_call *call;
    uint64_t added;
    uint64_t done, failed, lost, no_room, damaged, over, twice, wrong;
    unsigned troubles;
    mp_event trouble, last_lost;
    unsigned char seen[SHOP_ITEMS + 1];
    int32_t number[SHOP_ITEMS + 1];
} shop;

static shop_shared *shop_memory;
static size_t shop_padding; /* bytes that each item has beyond its letter and number */
static int shop_descriptors;

static inline void shop_stay(int32_t number)
{
    for (;;)
        if (number < 0)
            return;
}

static inline int shop_run(void *ctx, mp_task *task, mp_buffer *out)
{
    (void)ctx;
    int32_t number;
    memcpy(&number, task->bytes + 1, sizeof number);
    shop_memory->runs[task->index]++;
    shop_memory->pid[task->index] = getpid();
    size_t size = task->size;
    switch (task->bytes[0]) {
    case 'n':
        return -ENOSPC;
    case 'k':
        raise(SIGKILL);
        break;
    case 'x':
        _exit(number);
    case 'a':
        abort();
    case 's':
        shop_stay(number);
        break;
    case 'p':
        raise(SIGSTOP);
        break;
    case 'w':
        usleep((useconds_t)number);
        break;
    case 'g':
        size = (size_t)number << 10;
        break;
    default:
        break;
    }
    int status = mp_buffer_reserve(out, size);
    if (status < 0)
        return status;
    memset(out->data, task->bytes[0], size);
    memcpy(out->data, task->bytes, task->size);
    out->len = size;
    return task->bytes[0] == 'f' ? MP_TASK_FAILED : MP_TASK_DONE;
}

static inline void shop_begin(void *ctx, const mp_birth *birth)
{
    (void)ctx;
    (void)birth;
}

static inline void shop_leave(void *ctx)
{
    (void)ctx;
}

static inline int shop_count_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

/* What is orphaned below this process becomes its child, so that none gets lost. */
static inline void shop_open_with(shop *s, unsigned workers, const mp_handler *handler)
{
    mp_error error = {0};
    mp_transport *t = NULL;
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    shop_descriptors = shop_count_descriptors();
    if (shop_memory == NULL)
        shop_memory = mmap(NULL, sizeof *shop_memory, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(shop_memory, 0, sizeof *shop_memory);
    *s = (shop){0};
    CHECK_EQ_INT(mp_transport_local(&t, workers, handler, &error), 0);
    s->local = (local *)(void *)t;
    s->pool = mp_pool_new(t, workers, &error);
}

static inline void shop_open(shop *s, unsigned workers)
{
    static const mp_handler handler = {.start = shop_begin, .run = shop_run, .finish = shop_leave};
    shop_open_with(s, workers, &handler);
}

static inline void shop_call(shop *s, uint64_t granule)
{
    mp_error error = {0};
    mp_definition *d = mp_define_in_hand(mp_pool_definitions(s->pool), &error);
    memset(s->seen, 0, sizeof s->seen);
    memset(shop_memory, 0, sizeof *shop_memory);
    s->added = s->done = s->failed = s->lost = s->no_room = s->damaged = s->over = 0;
    s->call = mp_call_open(s->pool, d, 0, s, &error);
    mp_call_granule(s->call, granule);
}

static inline int shop_add(shop *s, char letter, int32_t number)
{
    mp_error error = {0};
    mp_buffer *b = mp_call_begin_item(s->call, &error);
    if (b == NULL)
        return error.code;
    int status = mp_buffer_reserve(b, 1 + sizeof number + shop_padding);
    if (status < 0)
        return status;
    mp_buffer_append(b, &letter, 1);
    mp_buffer_append(b, &number, sizeof number);
    memset(b->data + b->len, letter, shop_padding);
    b->len += shop_padding;
    s->number[++s->added] = number;
    return mp_call_end_item(s->call, &error);
}

static inline void shop_add_many(shop *s, char letter, int32_t number, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ_INT(shop_add(s, letter, number), 0);
}

static inline void shop_seal(shop *s)
{
    mp_error error = {0};
    CHECK_EQ_INT(mp_call_seal(s->call, &error), 0);
}

/* Several shops may share a pool: one of them takes the events of all. */
static inline void shop_note(shop *s, const mp_event *e)
{
    if (e->kind == MP_EVENT_TROUBLE) {
        s->troubles++;
        s->trouble = *e;
        return;
    }
    s = e->user;
    if (e->kind == MP_EVENT_CALL_OVER) {
        s->over++;
        return;
    }
    s->done += e->kind == MP_EVENT_DONE;
    s->failed += e->kind == MP_EVENT_FAILED;
    s->lost += e->kind == MP_EVENT_LOST;
    s->no_room += e->kind == MP_EVENT_NO_ROOM;
    s->damaged += e->kind == MP_EVENT_DAMAGED;
    s->twice += e->index > SHOP_ITEMS || s->seen[e->index]++ > 0;
    if (e->kind == MP_EVENT_LOST)
        s->last_lost = *e;
    if (e->kind == MP_EVENT_DONE)
        s->wrong += e->size < 5 || memcmp(e->data + 1, &s->number[e->index], 4) != 0 ||
                    (e->size > 5 && e->data[e->size - 1] != e->data[0]);
}

/* Takes in what is there; true if anything was. */
static inline bool shop_turn(shop *s)
{
    mp_event e;
    bool any = false;
    while (mp_pool_next(s->pool, &e)) {
        shop_note(s, &e);
        mp_pool_settle(s->pool);
        any = true;
    }
    return any;
}

/* Until `condition` holds, waiting for news; false where that took for ever, even if
 * the news was there all the time. */
#define SHOP_UNTIL(s, condition, mode)                                                             \
    __extension__({                                                                                \
        int64_t end_ = mp_deadline(SHOP_PATIENCE);                                                 \
        while (shop_turn(s), !(condition) && mp_now() < end_)                                      \
            mp_pool_wait((s)->pool, end_, (mode), NULL);                                           \
        (condition) && mp_now() < end_;                                                            \
    })

/* Until it holds, without a call of the pool. */
#define SHOP_SOON(condition)                                                                       \
    __extension__({                                                                                \
        int64_t end_ = mp_deadline(SHOP_PATIENCE);                                                 \
        while (!(condition) && mp_now() < end_)                                                    \
            usleep(500);                                                                           \
        (condition);                                                                               \
    })

static inline bool shop_finish_call(shop *s)
{
    shop_seal(s);
    return SHOP_UNTIL(s, s->over > 0, MP_BELL_LAZY);
}

static inline uint64_t shop_told(const shop *s)
{
    return s->done + s->failed + s->lost + s->no_room + s->damaged;
}

/* Each item was told of once, and begun once at most. */
static inline void shop_check(const shop *s)
{
    mp_call_counts counts = mp_call_count(s->call);
    unsigned again = 0;
    for (uint64_t i = 1; i <= s->added && i <= SHOP_ITEMS; i++)
        again += shop_memory->runs[i] > 1;
    CHECK_EQ_INT(again, 0);
    CHECK_EQ_INT(s->over, 1);
    CHECK_EQ_INT(counts.added, s->added);
    CHECK_EQ_INT(shop_told(s) + counts.cancelled, s->added);
    CHECK_EQ_INT(s->twice + s->wrong, 0);
}

static inline void shop_release(shop *s)
{
    mp_call_release(s->call);
    s->call = NULL;
}

/* A further call of plain items is complete. */
static inline void shop_check_works(shop *s)
{
    shop_call(s, 3);
    shop_add_many(s, 'd', 7, 50);
    CHECK(shop_finish_call(s));
    shop_check(s);
    CHECK_EQ_INT(s->done, 50);
    shop_release(s);
}

/* No process below this one, but for a moment. */
static inline bool shop_nobody_left(void)
{
    return SHOP_SOON(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static inline void shop_close(shop *s)
{
    mp_pool_free(s->pool);
    CHECK(shop_nobody_left());
    CHECK_EQ_INT(shop_count_descriptors(), shop_descriptors);
}

/* The one made last, or NULL. */
static inline mp_nursery *shop_nursery(const shop *s)
{
    brood *b = LIST_FIRST(&s->local->broods);
    return b != NULL ? &b->nursery : NULL;
}

/* Its pid; 0: there is none. */
static inline pid_t shop_kill_nursery(const shop *s)
{
    const mp_nursery *n = shop_nursery(s);
    if (n != NULL)
        kill(n->process.pid, SIGKILL);
    return n != NULL ? n->process.pid : 0;
}

static inline pid_t shop_pid(const shop *s, unsigned seat)
{
    return mp_load_acquire(&s->local->segment.seats[seat].pid);
}

/* All of the first n seats have workers that are ready and sleep. */
static inline bool shop_all_idle(const shop *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (mp_load_acquire(&s->local->segment.seats[i].bed.state) != MP_BED_ASLEEP ||
            mp_load_acquire(&s->local->segment.seats[i].phase) != MP_PHASE_READY ||
            shop_pid(s, i) == 0)
            return false;
    return mp_segment_sleepers(&s->local->segment) >= n;
}

static inline bool shop_start(shop *s, unsigned workers)
{
    mp_error error = {0};
    return mp_pool_want(s->pool, workers, &error) == 0 && SHOP_SOON(shop_all_idle(s, workers));
}

#endif
