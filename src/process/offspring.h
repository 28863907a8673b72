/* A process that this one has made, a copy of it or a fresh one, and that runs something else: what
 * mp.Process is made of.
 *
 * One that is tied ends with its parent, whatever that dies of (lifeline.h); another
 * goes on without it. It is known by its pidfd. It has its parent's signal mask and ignored
 * signals; handlers of the parent's are not run in it. Its standard input is empty. */
#ifndef MP_PROCESS_OFFSPRING_H
#define MP_PROCESS_OFFSPRING_H

#include "base/error.h"
#include "process/launch.h"

#include <stdbool.h>
#include <sys/types.h>

typedef struct mp_offspring {
    mp_launched process; /* its pidfd is readable once it has ended; -1: closed */
    bool tied;
    bool gone;
    int status; /* once gone, as waitpid gives it; -1: unknown (somebody else took it) */
} mp_offspring;

/* Forks. The child calls body(ctx), flushes its streams and ends with what that returned as its
 * exit code, or by an exit of its own; it never returns from here. The caller has one thread and
 * keeps *o until mp_offspring_close. Returns 0 or a negative errno with `error` set. */
int mp_offspring_start(mp_offspring *o, bool tied, int (*body)(void *ctx), void *ctx,
                       mp_error *error);

/* The same of a process that is no copy: mp_launch's role, with `letter`. */
int mp_offspring_launch(mp_offspring *o, bool tied, enum mp_start_method method,
                        const mp_roles *roles, const char *role, const mp_letter *letter,
                        mp_error *error);

/* Whether it has ended. Never blocks; it is a zombie until this or mp_offspring_close was
 * called. Parent only. */
bool mp_offspring_gone(mp_offspring *o);

/* Sends the signal; nothing where it is gone. Parent only. */
void mp_offspring_signal(const mp_offspring *o, int signal);

/* Gives up the descriptors; one that runs goes on, and is waited for by nobody. Harmless in a
 * copy of the parent. */
void mp_offspring_close(mp_offspring *o);

#endif
