/* A transport within one process: the handler runs in the host, when the host
 * asks for news, an item at a time, the seats in turn. No processes, no
 * mappings: each piece of the task memory is malloc'ed for itself, so that
 * valgrind sees whoever reads beyond or behind its end.
 *
 * Its knobs make happen what is rare elsewhere: a ring of two granules, a worker
 * that dies at an exact place, memory that runs out. A misuse of the seam (bytes
 * of a piece that was dropped, a piece dropped twice) aborts with a message. */
#ifndef MP_SPEC_SUPPORT_LOOPBACK_H
#define MP_SPEC_SUPPORT_LOOPBACK_H

#include "pool/transport.h"

enum loopback_moment {
    LOOPBACK_CLAIMED,   /* it holds granules and has begun nothing but by the claim */
    LOOPBACK_BEGUN,     /* the item is begun, the handler has not run */
    LOOPBACK_RUN,       /* the handler has run, its result is not out */
    LOOPBACK_PUBLISHED, /* the result is out */
};

typedef struct loopback {
    mp_transport base;

    /* Knobs, to be turned at any time. */
    unsigned capacity;              /* granules that the ring takes; many at first */
    unsigned hold;                  /* granules that a worker claims at once; 1 at first */
    bool by_hand;                   /* workers work only in loopback_work */
    uint64_t kill_at;               /* whoever is at the n-th item of the run dies ... */
    enum loopback_moment kill_when; /* ... then (of a status of SIGKILL) */
    uint64_t no_room_at;            /* the n-th item of the run finds no memory for its result */
    unsigned refuse_open;           /* the n-th `open` from now on fails, once; 0: none */
    unsigned refuse_grow;           /* so does the n-th growth of an open piece */
    unsigned refuse_want;           /* so many times from now on `want` fails */
    uint32_t cost;                  /* what item_cost says */
    unsigned idle;                  /* what idle says */

    /* To be looked at. */
    uint64_t begun; /* items begun in all */
    uint64_t births, deaths;
    uint64_t stops;       /* calls of stop_unwanted and stop_item */
    uint64_t listens;     /* calls of `listen` */
    int64_t slept_until;  /* the deadline of the last of them */
    int64_t alarm;        /* when the descriptor was to be readable, as told last */
    size_t pieces, bytes; /* kept and not dropped */
    unsigned waiting;     /* granules in the ring that nobody has claimed */
    bool ended;           /* finished or terminated */

    struct loopback_inner *inner;
} loopback;

/* Seats for at most `seats` workers (16 at most), each running `handler`. */
loopback *loopback_new(unsigned seats, const mp_handler *handler);

/* The next worker in turn that has something to do does one step: a claim, or an
 * item. False if none has. */
bool loopback_work(loopback *l);

/* Steps until there is nothing to do. */
void loopback_work_all(loopback *l);

/* The worker in seat i dies and is replaced. Nothing happens in an empty seat. */
void loopback_kill(loopback *l, unsigned i, int status);

/* All workers die, and so does their parent. */
void loopback_lose_nursery(loopback *l);

/* The same, since what the worker in seat i has written cannot be read: news of it
 * that are not taken are lost, and behind all deaths comes the news of it. */
void loopback_damage(loopback *l, unsigned i);

/* Any news: a copy of it and of its data arrives behind what waits. */
void loopback_tell(loopback *l, const mp_arrival *told);

/* How many granules the worker in seat i holds. */
unsigned loopback_held(const loopback *l, unsigned i);

#endif
