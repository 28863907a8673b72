/* A worker's first steps, between the nursery's fork and its work. */
#ifndef MP_PROCESS_NEWBORN_H
#define MP_PROCESS_NEWBORN_H

#include <sys/types.h>

/* In a fork of the nursery, whose one thread `nursery` is, and `read_end` the
 * read end of the lifeline that it holds: ties the worker's life to it, and
 * names the worker. */
void mp_newborn_tie(pid_t nursery, int read_end, const char *name);

/* All signals to their defaults and unblocked, but for SIGINT, which a Ctrl-C
 * sends to workers too while it is the host that has to decide, and SIGPIPE,
 * which is an error of the write: both have an empty handler (to be ignored
 * would pass on to the programs that a worker starts). */
void mp_newborn_signals(void);

#endif
