/* A queue of messages that any number of processes put into and take out of, in cells
 * of the session.
 *
 * Its messages lie in a chain of segments, cells that its own cell owns: so what was
 * put outlives its writer, and all goes with the queue's last user. A guard is held
 * for moments; what its holder leaves half done when it dies, the next one sets
 * right. A message that was taken stays where it is until its reader says that it is
 * done with it: if the reader dies before, another one gets it.
 *
 * A process that was stopped while it had the guard does not keep others from putting.
 *
 * Nothing here waits for longer than milliseconds: waiting is the caller's loop of
 * attempts and sleeps. */
#ifndef MP_SHM_QUEUE_H
#define MP_SHM_QUEUE_H

#include "shm/sync.h"

#include <stddef.h>

/* Those that wait for something to happen. All zero at first. */
typedef struct mp_waiters {
    _Atomic uint32_t events; /* futex: changes with every one */
    _Atomic uint32_t slept;  /* how many began to wait, ever */
    _Atomic uint32_t woken;  /* `slept` when nobody was found asleep */
} mp_waiters;

/* The content of its cell. */
typedef struct mp_queue {
    mp_lock guard;
    uint32_t head; /* 1 + the cell of the first segment, 0 none */
    uint32_t tail; /* the last one, to which messages are added */
    uint32_t next; /* the first that may hold one that can be taken */
    uint32_t spares;
    _Atomic uint32_t count; /* messages that can be taken */
    uint32_t most;          /* that it takes; 0: no bound */
    _Atomic uint32_t watched;
    _Atomic uint32_t
        beside;           /* segments that were put while the guard could not be had, last first */
    _Atomic uint64_t put; /* messages ever */
    _Atomic uint64_t finished; /* of those, that mp_queue_finish was called for */
    mp_waiters messages, room, finish;
} mp_queue;

_Static_assert(sizeof(mp_queue) <= MP_CELL_ROOM, "a queue fits into its cell");

enum mp_queue_status {
    MP_QUEUE_NOT_NOW = 0, /* full or empty */
    MP_QUEUE_DONE = 1,
    MP_QUEUE_BUSY = 2, /* the guard's holder does not come to an end: try again */
};

/* A message that was taken. */
typedef struct mp_message {
    const unsigned char *bytes;
    size_t size;
    uint32_t segment;
    uint64_t at;
} mp_message;

/* Puts a copy of the bytes behind the last message. An mp_queue_status, or a negative errno with
 * `error` set: nothing was put then. */
int mp_queue_put(mp_cell_name name, const void *bytes, size_t size, mp_error *error);

/* Takes the first message: its bytes stay until mp_queue_done or mp_queue_give_back, of which one
 * must follow. An mp_queue_status. */
int mp_queue_take(mp_cell_name name, mp_message *message);

/* Whether there is something to take, as far as can be seen from outside. */
bool mp_queue_has(const mp_queue *q);

/* How many can be taken: also of those that dead processes have taken. */
uint32_t mp_queue_look(mp_cell_name name);

/* Whether all that were put up to that number are done. */
bool mp_queue_arrived(mp_cell_name name, uint64_t number);

/* The reader is done with it. */
void mp_queue_done(mp_cell_name name, const mp_message *message);

/* It can be taken again, before those behind it. */
void mp_queue_give_back(mp_cell_name name, const mp_message *message);

/* One that was taken is finished; false where all are. */
bool mp_queue_finish(mp_queue *q);

/* Whether all that were put are finished. */
bool mp_queue_is_finished(const mp_queue *q);

/* ---- waiting ---- */

/* This process waits from now on: it looks once more, then sleeps with what this returns. */
uint32_t mp_waiters_enter(mp_waiters *w);

/* Sleeps until something has happened since, until a signal came or the nanoseconds are over. */
void mp_waiters_sleep(mp_waiters *w, uint32_t since, int64_t nanoseconds);

#endif
