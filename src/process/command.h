/* External programs, with their three streams in hand: what mp.run is made of.
 *
 * Each leads a process group of its own, which hangs on a lifeline that the
 * program inherits: when this process dies, however it dies, the kernel kills
 * the group; mp_command_end does so at once. Who leaves the group, or closes
 * what it did not open, escapes that. */
#ifndef MP_PROCESS_COMMAND_H
#define MP_PROCESS_COMMAND_H

#include "base/error.h"
#include "process/lifeline.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What is to be run. All stays the caller's. */
typedef struct mp_command_plan {
    char *const *argv; /* ends with NULL; [0] is sought by PATH unless it has a slash */
    char *const *envp; /* "NAME=value", ends with NULL; or NULL: this process's */
    const char *cwd;   /* or NULL: this process's */
} mp_command_plan;

typedef struct mp_command {
    pid_t pid;        /* its group's number, too */
    int pidfd;        /* readable once it has ended; -1: closed */
    int in, out, err; /* this process's ends, non-blocking; -1: closed */
    bool gone;
    int status; /* once gone, as waitpid gives it; -1: unknown */
    mp_lifeline line;
    struct mp_command *next; /* of those that were not ended */
} mp_command;

/* Starts the program. *c stays where it is until mp_command_end. The program has no signals
 * blocked but those that this thread has, none handled, and no descriptors but its streams and
 * the lifeline. Returns 0 or a negative errno with `error` set, that of exec too. Blocks until
 * the program is loaded. */
int mp_command_start(mp_command *c, const mp_command_plan *plan, mp_error *error);

/* Whether the program itself has ended; it is no zombie then. Never blocks. */
bool mp_command_gone(mp_command *c);

/* Writes to its standard input, as much as it takes. Returns the number of bytes, or a negative
 * errno: -EPIPE, without a signal, when it reads no more. Never blocks. */
ssize_t mp_command_write(const mp_command *c, const void *bytes, size_t size);

/* Whether others of its group live on, though it is gone. */
bool mp_command_leaves(const mp_command *c);

/* Kills what is left of the group and closes everything. May be called again. Waits for the
 * program's end, a second at most. */
void mp_command_end(mp_command *c);

/* Ends all that this process has started and not ended. Costs nothing where there is none. */
void mp_command_end_all(void);

#endif
