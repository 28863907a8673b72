/* What transport_local.c and transport_nursery.c share; private to them. */
#ifndef MP_POOL_TRANSPORT_LOCAL_H
#define MP_POOL_TRANSPORT_LOCAL_H

#include "pool/transport.h"
#include "process/nursery.h"
#include "shm/payload.h"
#include "shm/result_ring.h"

#include <limits.h>

enum { TURN_FRAMES = 256 }; /* frames of one seat before another has its turn */

#define CURRENT_DEATH UINT_MAX
#define CURRENT_TROUBLE (UINT_MAX - 1)
#define CURRENT_DAMAGE (UINT_MAX - 2)

/* One seat's results and where its reader stands. */
typedef struct stream {
    mp_region region;
    mp_result_reader reader;
    uint64_t row;   /* of the ROW frame read last */
    uint64_t index; /* of the next item of that row */
    unsigned in_turn;
    uint32_t told; /* incarnation of the last worker of this seat, of those of the present
                      nursery, whose death was told */
} stream;

typedef struct local {
    mp_transport base;
    unsigned seats;
    mp_handler handler;
    mp_segment segment;
    mp_payload *payload;
    stream *streams; /* one a seat */
    unsigned regions_made;
    mp_nursery nursery;
    bool started;
    bool suspect;    /* the nursery may have gone: to be looked at */
    int64_t look_at; /* when to look at it anyhow */
    bool damaged;    /* a result could not be read, and that was not told */
    int epoll_fd;
    int alarm_fd; /* timerfd */
    long processors;
    unsigned turn;          /* the seat to be read first */
    unsigned current;       /* the seat of the arrival that `next` gave, or CURRENT_... */
    uint32_t current_items; /* how many items it tells of */
    mp_death *buried;       /* deaths found by the host after the nursery's loss */
    unsigned buried_count, buried_told;
    uint32_t trouble_told, trouble_seen;
    bool barren; /* the trouble told last has ended all births */
} local;

extern const mp_nursery_ops mp_local_nursery_ops;

#endif
