/* What this room offers to those who say what a process of this library can be. */
#ifndef MP_HOST_ROLES_H
#define MP_HOST_ROLES_H

#include "base/letter.h"

/* The role of the nursery of a pool of handlers, in a process that is no fork of the host. */
#define MP_HOST_ROLE "pool of handlers"
int mp_host_play(mp_letter *letter);

#endif
