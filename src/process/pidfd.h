/* A child known by a descriptor, so that a number that the system has given to
 * somebody else since is never waited for nor signalled. */
#ifndef MP_PROCESS_PIDFD_H
#define MP_PROCESS_PIDFD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A descriptor (3 or more, close-on-exec) of the process that has the number `pid` now: this
 * process's own child, for which nobody has waited, or its parent. It becomes readable when that
 * has ended. Returns -1 with errno. */
int mp_pidfd_open(pid_t pid);

/* Whether the child has ended; it is no zombie then. Sets *status, as waitpid gives it, or to -1
 * where somebody else took it, or SIGCHLD is ignored. Never blocks. */
bool mp_pidfd_ended(int pidfd, int *status);

/* Waits for this process's child to end, which it is about to do. */
void mp_pid_reap(pid_t pid);

/* Whether the children of children that have died become this process's own: it has asked for them
 * (PR_SET_CHILD_SUBREAPER), or is the first of its PID namespace. */
bool mp_pid_adopts(void);

/* Waits for such a one, which was killed, so that it is no zombie then; nothing where it is not
 * this process's child. The number must not have been given back yet as far as this process knows.
 */
void mp_pid_bury(pid_t pid, int64_t deadline);

/* A copy (3 or more, close-on-exec) of that process's descriptor, by the right to trace it. Returns
 * -1 with errno: ESRCH, EBADF, EPERM. */
int mp_pidfd_fetch(pid_t pid, int fd);

/* Sends the signal; nothing where the process is gone. */
void mp_pidfd_signal(int pidfd, int signal);

#endif
