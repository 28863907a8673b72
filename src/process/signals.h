/* What a child does first with the signals that it has inherited. */
#ifndef MP_PROCESS_SIGNALS_H
#define MP_PROCESS_SIGNALS_H

#include <signal.h>
#include <sys/types.h>

/* Child, all signals blocked: handlers, which are the parent's and work on what is the parent's,
 * become defaults; what is ignored stays so. Async-signal-safe. */
void mp_signals_drop_handlers(void);

/* Forks with all signals blocked, so that no handler of the parent's runs in the child, which has
 * them blocked still; *before gets the parent's mask, which it has again. What the streams hold is
 * written first. Returns as fork. */
pid_t mp_signals_fork(sigset_t *before);

/* New process, all signals blocked: every signal has its default. */
void mp_signals_reset(void);

#endif
