/* Descriptors on their way from one process of the tree to another, where the kernel does
 * not let the one fetch them from the other (pidfd_getfd needs the right to trace, which
 * Yama restricts): they lie in a socket that all have inherited, each under a number.
 *
 * Where that is not so there is no such socket, and nothing here does anything. */
#ifndef MP_SHM_PASSING_H
#define MP_SHM_PASSING_H

#include "base/letter.h"
#include "shm/session.h"

/* Makes the socket if it is needed; with the session. */
void mp_passing_open(void);

/* The socket in a letter to a process that has not inherited it, and out of it there; nothing where
 * there is none. */
void mp_passing_send(mp_letter *letter);
void mp_passing_receive(mp_letter *letter);

/* Closes this process's copy. */
void mp_passing_close(void);

/* A number for a descriptor that goes with that cell, which lies in the socket from now on; 0 where
 * it is not needed. A negative errno in *status where it could not be put there. */
uint64_t mp_passing_put(mp_cell_name cell, int fd, int *status);

/* Takes it out: a descriptor (3 or more, close-on-exec), or a negative errno (-ENOENT: it is not
 * there). */
int mp_passing_take(uint64_t number);

#endif
