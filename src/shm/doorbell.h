/* How a process that waits for something with a descriptor is called by others of its
 * tree: each that waits so has a socket under a name of its own, which nothing but the
 * kernel knows and which goes with it. What is rung for is looked for by who was rung. */
#ifndef MP_SHM_DOORBELL_H
#define MP_SHM_DOORBELL_H

#include "base/error.h"

/* This process is to be rung from now on: its descriptor, readable when it was (and quiet now), or
 * a negative errno. It looks at what it waits for behind this call. */
int mp_doorbell_listen(mp_error *error);

/* It is not waiting any more. */
void mp_doorbell_rest(void);

/* Rings all that listen. Never blocks. */
void mp_doorbell_ring(void);

#endif
