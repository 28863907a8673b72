/* Start methods: how a process comes to be that works for this one.
 *
 * "fork" makes a copy of this process, which must have one thread. "spawn" starts a program anew:
 * this one, where its main asks mp_role_main first, or else `moonpool`. "forkserver" forks a clean
 * process that was made before. The latter two play a role by a letter (role.h). */
#ifndef MP_PROCESS_LAUNCH_H
#define MP_PROCESS_LAUNCH_H

#include "base/error.h"
#include "base/letter.h"
#include "process/role.h"

#include <sys/types.h>

enum mp_start_method {
    MP_START_DEFAULT, /* "fork" while this process has one thread; else "forkserver" where one
                         runs; else "spawn" */
    MP_START_FORK,
    MP_START_SPAWN,
    MP_START_FORKSERVER, /* which is started where none runs */
};

/* A process that was launched. */
typedef struct mp_launched {
    pid_t pid;
    int pidfd;
    int status_fd; /* where the forkserver tells its status; -1: it is this process's own child */
    int voice;     /* the socket that the letter went through, or -1 */
} mp_launched;

#define MP_LAUNCHED_NONE ((mp_launched){.pid = -1, .pidfd = -1, .status_fd = -1, .voice = -1})

/* What `asked` comes to now: never MP_START_DEFAULT; or -EDEADLK with `error` set, where it is
 * MP_START_FORK and this process has several threads. */
int mp_start_choose(enum mp_start_method asked, mp_error *error);

/* Starts a process by MP_START_SPAWN or MP_START_FORKSERVER for the role of that name among
 * `roles`. `lifeline` is the read end of the one that it hangs on, or -1; `letter` the rest. Blocks
 * for milliseconds at most, but where a forkserver is to be started first. Returns 0 or a negative
 * errno with nothing left. */
int mp_launch(mp_launched *child, enum mp_start_method method, const mp_roles *roles,
              const char *role, int lifeline, const mp_letter *letter, mp_error *error);

/* Whether it has ended; as mp_pidfd_ended. */
bool mp_launched_ended(const mp_launched *child, int *status);

/* What it has said of why it cannot do what it was made for; "" for nothing. */
void mp_launched_reason(const mp_launched *child, char *text, size_t room);

/* Closes the descriptors. */
void mp_launched_close(mp_launched *child);

/* Starts the program anew, which finds `socket` where mp_role_main looks for it, with all signals
 * blocked and every other descriptor above 2 closed. *pid is a child of this process. */
int mp_spawn_program(pid_t *pid, const mp_roles *roles, int socket, mp_error *error);

#endif
