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

enum { MP_SENDERS = 6, MP_TICKETS = 64 };

/* The content of its cell: those that have sent it. */
typedef struct mp_endpoint {
    struct mp_sender {
        _Atomic uint32_t member;    /* 0: free */
        _Atomic uint32_t closed;    /* it has no connection of its own any more */
        _Atomic uint64_t under_way; /* the tickets of those sendings that nobody has received yet */
    } senders[MP_SENDERS];
} mp_endpoint;

_Static_assert(sizeof(mp_endpoint) <= MP_CELL_ROOM, "an endpoint fits into its cell");

/* Whether a living process but this one has the end, or is to receive it. */
bool mp_endpoint_is_spoken(mp_cell_name name);

/* Whether this process has it, and not only a copy that it keeps for others. */
bool mp_endpoint_is_here(mp_cell_name name);

/* This process, which has the end open as `fd`, sends it: what is kept is closed when it has
 * arrived. Returns the descriptor to fetch it by, with the sending's ticket, or a negative errno
 * (-EUSERS: too many have sent it; -EAGAIN: it is under way too often). */
int mp_endpoint_send(mp_cell_name name, int fd, bool pin, unsigned *ticket, mp_error *error);

/* It was pinned when it was sent: from then on until this call its copy stays open, arrived or not.
 */
void mp_endpoint_unpin(mp_cell_name name);

/* That sending has arrived, or never will: the first word on it counts. `member` has sent it; this
 * process uses the cell. */
void mp_endpoint_arrived(mp_cell_name name, uint32_t member, unsigned ticket);

/* This process has a connection of that end again. */
void mp_endpoint_opened(mp_cell_name name);

/* This process closes one of its connections of that end, and drops the cell behind this. */
void mp_endpoint_closed(mp_cell_name name);

/* Closes copies that have arrived. */
void mp_endpoint_sweep(void);

/* A fork keeps nothing that its parent has sent. For session.c. */
void mp_endpoints_forked(void);

#endif
