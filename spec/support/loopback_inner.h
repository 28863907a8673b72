/* What the loopback transport remembers; private to its files. */
#ifndef MP_SPEC_SUPPORT_LOOPBACK_INNER_H
#define MP_SPEC_SUPPORT_LOOPBACK_INNER_H

#include "spec/support/loopback.h"

#include <sys/queue.h>

enum { MAX_SEATS = 16, MANY = 1 << 20, FIRST_PID = 100000 };

typedef struct slot {
    mp_granule granule;
    uint64_t position;
} slot;

typedef struct news {
    mp_arrival arrival;
    mp_death death;
    unsigned char *data;
    TAILQ_ENTRY(news) link;
} news;

typedef struct seat {
    uint32_t incarnation; /* 0: empty */
    mp_granule held[MP_HOLD_MAX];
    unsigned holding, begun;
    uint64_t begun_item;
    uint32_t item;           /* of held[begun]: the one to be begun next */
    const unsigned char *at; /* its bytes */
    uint64_t doing;          /* the row of the errand it does, 0: none */
    uint64_t errand;         /* the last it has done, 1 more than where it lies; 0: none */
    double shown;            /* by the item begun last; below 0: nothing */
} seat;

typedef struct piece {
    unsigned char *data;
    size_t size;
} piece;

struct loopback_inner {
    mp_handler handler;
    unsigned seats, turn;
    seat seat[MAX_SEATS];
    uint32_t incarnations;
    bool started, damaged;
    slot *ring; /* of `room`; those that wait stand from `first` on */
    size_t first, room;
    TAILQ_HEAD(, news) queue;
    uint64_t position;
    uint64_t first_errand, last_errand;
    mp_buffer out; /* the open piece */
    bool opened;
    piece *pieces; /* piece i begins at offset (i + 1) << 32; never used again */
    size_t piece_count, piece_room;
    int fd;
    enum mp_bell_mode armed;
    const mp_arrival *running; /* what would come of the item that runs */
};

/* The ops of its memory: loopback_memory.c. */
mp_buffer *loopback_open(mp_transport *t, mp_error *error);
uint64_t loopback_keep(mp_transport *t);
void loopback_drop(mp_transport *t, uint64_t at, size_t size);
size_t loopback_kept(mp_transport *t);
unsigned char *loopback_bytes(mp_transport *t, uint64_t at);
void loopback_post(mp_transport *t, uint64_t at);

/* What its workers do: loopback_workers.c. mp_birth's tell, for a state, and its show; whether the
 * one in seat i has anything to do. */
int loopback_say(void *teller, unsigned kind, const char *bytes, size_t size);
void loopback_show(void *teller, double fraction);
bool loopback_can_work(loopback *l, unsigned i);

static inline int32_t loopback_pid(const seat *s)
{
    return FIRST_PID + (int32_t)s->incarnation;
}

/* The next errand of the worker in seat i, 1 more than where it lies; 0: none. */
uint64_t loopback_next_errand(loopback *l, unsigned i);

#endif
