/* The ends of connections: who could still speak through one.
 *
 * Each end has a cell; the processes that use the cell have the end. An end that is
 * sent is under way until somebody has received it: meanwhile its sender keeps a copy
 * of the descriptor, whether it has closed its own or not, and the end counts as
 * spoken through. Who has closed it and whose sendings have all arrived does not
 * speak any more, though it may notice later that its copy can go. */
#ifndef MP_SHM_ENDPOINT_H
#define MP_SHM_ENDPOINT_H

#include "shm/session.h"

enum { MP_SENDERS = 8 };

/* The content of its cell: those that have sent it. */
typedef struct mp_endpoint {
    struct mp_sender {
        _Atomic uint32_t member;    /* 0: free */
        _Atomic uint32_t under_way; /* how often it was sent and not received yet */
        _Atomic uint32_t closed;    /* it has no connection of its own any more */
    } senders[MP_SENDERS];
} mp_endpoint;

_Static_assert(sizeof(mp_endpoint) <= MP_CELL_ROOM, "an endpoint fits into its cell");

/* Whether a living process but this one has the end, or is to receive it. */
bool mp_endpoint_is_spoken(mp_cell_name name);

/* This process, which has the end open as `fd`, sends it: what is kept is closed when it has
 * arrived. Returns the descriptor to fetch it by, or a negative errno (-EUSERS: too many have sent
 * it). */
int mp_endpoint_send(mp_cell_name name, int fd, mp_error *error);

/* This process, which uses the cell by now, has received it from that member. */
void mp_endpoint_received(mp_cell_name name, uint32_t member);

/* This process closes one of its connections of that end, and drops the cell behind this. */
void mp_endpoint_closed(mp_cell_name name);

/* Closes copies that have arrived. */
void mp_endpoint_sweep(void);

/* A fork keeps nothing that its parent has sent. For session.c. */
void mp_endpoints_forked(void);

#endif
