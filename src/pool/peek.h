/* What another process's pool is doing, read out of its shared memory by whoever looks on.
 *
 * Nothing is mapped: the memory is another's, who may shorten it, damage it or die at any
 * instant, so it is copied by reading its descriptors, which can at worst give too little.
 * Nothing is written. What is copied is believed to the letter but in what it would do to the
 * reader: sizes and counts have bounds. The layout that is read is that of control.h and of the
 * call blocks and labels of wire.h; MP_CONTROL_VERSION changes with these. */
#ifndef MP_POOL_PEEK_H
#define MP_POOL_PEEK_H

#include "pool/control.h"
#include "pool/wire.h"

/* The names of the descriptors by which a host has its segments. */
#define MP_PEEK_MAIN "moonpool"
#define MP_PEEK_SEATS "moonpool-seats"
#define MP_PEEK_TASKS "moonpool-tasks"

typedef struct mp_peek_pool {
    uint32_t version;
    int32_t host_pid;
    int32_t seats_fd, tasks_fd; /* the host's */
    int32_t wanted;             /* workers that are to be there; 0 and less: it ends */
    uint32_t method;            /* mp_start_method, 0: no nursery was made yet */
    uint32_t seats;             /* MP_SEATS_MAX at most */
    uint64_t waiting;           /* granules in the ring that nobody has claimed */
} mp_peek_pool;

typedef struct mp_peek_worker {
    uint32_t seat;        /* its number, from 0 */
    uint32_t incarnation; /* 0: it is not born yet */
    int32_t pid;
    enum mp_worker_state state;
    bool paused;     /* somebody has stopped it */
    bool errand;     /* what it runs, every worker runs */
    uint64_t begun;  /* items begun in its life */
    uint64_t item;   /* index within its call of the one it runs, 0: none */
    uint64_t call;   /* where the block of that lies */
    int64_t since;   /* mp_now's clock: when that item began, */
    bool exact;      /* or, unless this, when what it came with did; 0: unknown */
    double fraction; /* how much of it is done, below 0: unknown */
    uint32_t held;   /* granules it has claimed, MP_HOLD_MAX at most */
} mp_peek_worker;

/* Reads the main segment behind the descriptor. 0; -EAGAIN: there is no pool yet, or it is damaged;
 * -EPROTO: it is laid out as another version has it (p->version, p->host_pid are there);
 * or another negative errno. */
int mp_peek_pool_read(int fd, mp_peek_pool *p);

/* Reads the seats from `from` on, up to `max` (MP_PEEK_AT_ONCE at most) of them, out of the segment
 * of the seats; enters those that have or are to have a worker. *next gets the seat to go on with.
 * How many; 0 behind the last: *next is p->seats then, or there is nothing there. */
enum { MP_PEEK_AT_ONCE = 32 };
unsigned mp_peek_workers_read(int fd, const mp_peek_pool *p, uint32_t from,
                              mp_peek_worker out[MP_PEEK_AT_ONCE], uint32_t *next);

/* Reads, out of the task memory, the label of the call whose block lies there: the text's size, 0
 * where there is none. */
size_t mp_peek_label_read(int fd, uint64_t call, char text[MP_LABEL_MOST]);

#endif
