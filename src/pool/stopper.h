/* Ends, in a worker, an item that runs too long or that nobody wants any more; and lets one tell
 * what it is doing.
 *
 * At an item's deadline a timer sends SIGURG, and a second later another one SIGKILL,
 * which no task can block; the same SIGURG comes from the nursery for an item that was
 * cancelled, and its SIGKILL a second later. The signal's handler asks the pool's handler
 * to interrupt what it runs. One for each process; a signal for an item that has ended
 * meanwhile does nothing. MP_ASK_SIGNAL comes from the host, whose question's number stands in the
 * seat; what it interrupts goes on, as far as the system can see to that. */
#ifndef MP_POOL_STOPPER_H
#define MP_POOL_STOPPER_H

#include "pool/worker.h"

#include <signal.h>

#define MP_ASK_SIGNAL SIGWINCH /* of those that nobody minds who does not expect them */

enum {
    MP_GRACE_MS = 1000, /* from the request to stop to the kill */
    MP_INSIST_MS = 250, /* from the first interrupt to those that do not let go */
};

/* Whether the item that the seat's worker runs has been cancelled or is to be stopped.
 * `tasks` is the task memory. Nursery or worker; async-signal-safe. */
bool mp_seat_unwanted(const mp_seat *seat, const unsigned char *tasks);

/* Worker: takes the signal and makes the timers. 0 or a negative errno. */
int mp_stopper_open(mp_seat *seat, const unsigned char *tasks, const mp_handler *handler);

/* Worker: an item begins; `timeout` in nanoseconds, 0: none. */
void mp_stopper_begin(int64_t timeout);

/* Worker: it has ended. True if it had been stopped for its time. */
bool mp_stopper_end(void);

#endif
