/* Descriptors that stay with this process: close-on-exec, and closed in every child that fork()
 * makes of it (by pthread_atfork; clone and _Fork know nothing of it).
 *
 * Any thread. */
#ifndef MP_BASE_UNFORKED_H
#define MP_BASE_UNFORKED_H

/* Stands in a list of all that this process holds: must not move while it is held. */
typedef struct mp_unforked {
    int fd; /* -1: not held, or not by this process */
    struct mp_unforked *next;
} mp_unforked;

/* Calls make(ctx), which opens the descriptor and returns it or a negative errno, and holds it.
 * No fork falls in between. Returns 0 or a negative errno with held->fd -1. */
int mp_unforked_hold(mp_unforked *held, int (*make)(void *ctx), void *ctx);

/* Closes it. Does nothing where it is not held. */
void mp_unforked_close(mp_unforked *held);

#endif
