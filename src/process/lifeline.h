/* Lifelines: pipes that nothing is ever written to. Their write end closes when
 * the process that holds it dies, however it dies, and the kernel then kills
 * each process that has armed a read end: stopped, blocking every signal or
 * deep in a C call.
 *
 * A copy of the write end in another process would defeat that, so the holder keeps it from
 * its children (base/unforked.h). */
#ifndef MP_PROCESS_LIFELINE_H
#define MP_PROCESS_LIFELINE_H

#include "base/unforked.h"

typedef mp_unforked mp_lifeline; /* of the write end */

/* Makes a pipe; this process holds it from now on, *read_end is for those who
 * are to die with it. Both are above 2 and close-on-exec. Returns 0 or a
 * negative errno with nothing open. */
int mp_lifeline_open(mp_lifeline *line, int *read_end);

/* Lets go: whoever has armed it dies. Does nothing where it is not held. */
void mp_lifeline_close(mp_lifeline *line);

/* Ties this process's life to the pipe behind `read_end`, which it must keep
 * open. Only one process can arm an open file (what is inherited by fork is
 * one): the others go through mp_lifeline_reopen. Returns 0 or a negative
 * errno. */
int mp_lifeline_arm(int read_end);

/* The same for the process group that this process leads: `read_end` is to be kept open by
 * somebody of the group, and there is no need of /proc where nobody else arms it.
 * Async-signal-safe. */
int mp_lifeline_arm_group(int read_end);

/* Another open file for the pipe, for this process alone to arm. Needs /proc.
 * Returns the descriptor or a negative errno. */
int mp_lifeline_reopen(int read_end);

#endif
