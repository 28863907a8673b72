/* What the files of this transport share; private to them. */
#ifndef MP_POOL_TRANSPORT_LOCAL_H
#define MP_POOL_TRANSPORT_LOCAL_H

#include "pool/transport.h"
#include "process/nursery.h"
#include "shm/payload.h"
#include "shm/result_ring.h"

#include <limits.h>
#include <sys/queue.h>

enum { TURN_FRAMES = 256 }; /* frames of one seat before another has its turn */

#define CURRENT_DEATH UINT_MAX
#define CURRENT_TROUBLE (UINT_MAX - 1)
#define CURRENT_DAMAGE (UINT_MAX - 2)

/* One nursery and the seats that it fills, for as long as it lives. */
typedef struct brood {
    struct local *local;
    mp_nursery nursery;
    LIST_ENTRY(brood) link;
    unsigned count;
    unsigned seats[];
} brood;

/* One seat's results and where its reader stands. */
typedef struct stream {
    brood *brood; /* whose nursery fills the seat, NULL: nobody's */
    mp_region region;
    mp_result_reader reader;
    uint64_t row;   /* of the ROW frame read last */
    uint64_t index; /* of the next item of that row */
    unsigned in_turn;
    uint32_t told; /* incarnation of the last worker of this seat whose death was told */
} stream;

typedef struct local {
    mp_transport base;
    unsigned seats;   /* that were made */
    unsigned size;    /* workers at most, those that are to leave apart */
    unsigned covered; /* ranks below it that have a seat */
    mp_handler handler;
    mp_segment segment;
    mp_payload *payload;              /* the host's */
    mp_region *tasks;                 /* the task memory */
    stream **streams;                 /* one a seat */
    unsigned by_rank[MP_WORKERS_MAX]; /* the seat of each rank below size, or NO_SEAT */
    LIST_HEAD(, brood) broods;
    bool suspect;    /* a nursery may have gone: to be looked at */
    int64_t look_at; /* when to look at them anyhow */
    bool damaged;    /* a result could not be read, and that was not told */
    int epoll_fd;
    int alarm_fd;           /* timerfd */
    unsigned turn;          /* the seat to be read first */
    unsigned current;       /* the seat of the arrival that `next` gave, or CURRENT_... */
    uint32_t current_items; /* how many items it tells of */
    mp_death *buried; /* deaths found by the host after a nursery's loss; room for all seats */
    unsigned buried_count, buried_told;
    const mp_death *telling; /* that `next` gave, in `buried` or in the log */
    uint32_t trouble_told, trouble_seen;
    uint64_t last_errand; /* 1 more than where it lies, 0: none */
    bool barren;          /* the trouble told last has ended all births */
    char reason[256];     /* what the nursery lost last has said of why it could not be */
    unsigned childless;   /* nurseries lost in a row before any of them had borne a worker */
} local;

#define NO_SEAT UINT_MAX

extern const mp_nursery_ops mp_local_nursery_ops;

static inline local *mp_local_of(mp_transport *t)
{
    return (local *)(void *)t;
}

/* ---- transport_arrivals.c: transport.h's next, taken, follow, pending, may_wait and condemn ----
 */

bool mp_local_next(mp_transport *t, mp_arrival *a);
void mp_local_taken(mp_transport *t);
bool mp_local_follow(mp_transport *t, mp_arrival *a);
unsigned mp_local_ahead(const mp_transport *t, mp_result_frame results[], unsigned max);
void mp_local_taken_ahead(mp_transport *t, const mp_result_frame results[], unsigned n);
bool mp_local_pending(mp_transport *t);
bool mp_local_may_wait(mp_transport *t);
void mp_local_condemn(mp_transport *t);

/* ---- transport_fresh.c ---- */

/* Puts all that the nursery of `owner`, a brood, needs into the letter: mp_cradle's fill. */
void mp_local_pack(void *owner, mp_letter *letter);

/* ---- transport_births.c ---- */

/* One more seat: its streams, and room for its death. */
int mp_local_add_seat(local *l, mp_error *error);

/* transport.h's want, refresh and resize. */
int mp_local_want(local *l, unsigned workers, mp_error *error);
void mp_local_refresh(local *l);
void mp_local_resize(local *l, unsigned size);

/* Looks which nurseries have gone: true if any has, whose workers' deaths are to be told. */
bool mp_local_bury_lost(local *l);

/* What the last nursery has left is told before there is a new one. */
bool mp_local_mourns(const local *l);

void mp_local_nudge(local *l);

/* Sleepers look what has changed. */
void mp_local_call_all(local *l);

/* Continues those that somebody has stopped. */
void mp_local_go_on(local *l);

void mp_local_kill(local *l);
bool mp_local_gone(local *l, int64_t deadline);

/* Forgets all that have gone or will be killed by that. */
void mp_local_close(local *l);

int mp_local_watch(const local *l, int fd, mp_error *error);

/* The oldest death that has not been told: the log's first, then what the host itself
 * buried. */
const mp_death *mp_local_oldest_death(const local *l);

#endif
