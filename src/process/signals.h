/* What a child does first with the signals that it has inherited. */
#ifndef MP_PROCESS_SIGNALS_H
#define MP_PROCESS_SIGNALS_H

/* Child, all signals blocked: handlers, which are the parent's and work on what is the parent's,
 * become defaults; what is ignored stays so. Async-signal-safe. */
void mp_signals_drop_handlers(void);

/* New process, all signals blocked: every signal has its default. */
void mp_signals_reset(void);

#endif
