/* The forkserver: a child of this process with one thread, early memory and no descriptors but the
 * first three, that forks those who work for this process.
 *
 * There is one a process at most; it ends with the process, when it is told to, or when those who
 * held it are gone. A process that it has forked is its child: it reaps it and tells its status.
 * Any thread may call these. */
#ifndef MP_PROCESS_FORKSERVER_H
#define MP_PROCESS_FORKSERVER_H

#include "process/launch.h"

/* Starts it, if none runs: by a fork where this process has one thread, whose children play
 * `roles`, else by the program of "spawn". Returns 0 or a negative errno. */
int mp_forkserver_start(const mp_roles *roles, mp_error *error);

/* Whether this process has one. */
bool mp_forkserver_runs(void);

/* Ends it, and waits for that. What it has forked goes on. */
void mp_forkserver_stop(void);

/* Somebody needs one; nobody does any more: it is ended behind the last. Else a host that waits for
 * all its children at its end would wait for ever. */
void mp_forkserver_hold(void);
void mp_forkserver_let_go(void);

/* For mp_launch: a process that reads its letter from `socket`. Starts a server where none runs.
 * Waits for the server's answer. */
int mp_forkserver_bear(mp_launched *child, const mp_roles *roles, int socket, mp_error *error);

#endif
