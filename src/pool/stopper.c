/* The timers and the signal of a worker: see stopper.h.
 *
 * Invariants: the handler acts only while `running`, which the worker sets behind the
 * item's deadline and clears before it disarms the timers; kill_at in the seat stands
 * while the second timer is armed, so that whoever finds the worker killed by it knows
 * why. The handler runs on the worker's own thread and touches this file's state alone. */
#include "pool/stopper.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

static const int64_t millisecond = 1000000;

static struct {
    mp_seat *seat;
    const unsigned char *tasks;
    const mp_handler *handler;
    timer_t polite, deadly;
    volatile sig_atomic_t running, late;
    volatile uint32_t answered;   /* the last question that was passed on */
    volatile int64_t deadline;    /* 0: none */
    volatile int64_t interrupted; /* when first; 0: not yet */
} self;

bool mp_seat_unwanted(const mp_seat *seat, const unsigned char *tasks)
{
    uint32_t held = mp_load_acquire(&seat->held), begun = mp_load_relaxed(&seat->begun);
    if (held == 0 || begun >= held || mp_load_relaxed(&seat->aside) != 0)
        return false;
    const mp_call_block *block = (const void *)(tasks + mp_load_relaxed(&seat->call));
    uint64_t index = mp_load_relaxed(&seat->begun_item);
    return index >= mp_load_relaxed(&block->limit) ||
           (seat->rows[begun] == mp_load_relaxed(&seat->stop_row) &&
            index == mp_load_relaxed(&seat->stop_index));
}

static void interrupt(int64_t now)
{
    bool insist = self.interrupted != 0 && now - self.interrupted >= MP_INSIST_MS * millisecond;
    if (self.interrupted != 0 && !insist)
        return;
    if (self.interrupted == 0)
        self.interrupted = now;
    if (self.handler->interrupt != NULL)
        self.handler->interrupt(self.handler->ctx, self.late, insist);
}

static void on_signal(int number)
{
    int saved = errno;
    int64_t now = mp_now();
    (void)number;
    if (self.running && self.deadline != 0 && now >= self.deadline)
        self.late = 1;
    if (self.running && (self.late || mp_seat_unwanted(self.seat, self.tasks)))
        interrupt(now);
    errno = saved;
}

static void on_question(int number)
{
    int saved = errno;
    uint32_t asked = mp_load_acquire(&self.seat->asked);
    (void)number;
    if (self.running && asked != self.answered && self.handler->explain != NULL) {
        self.answered = asked;
        self.handler->explain(self.handler->ctx, asked);
    }
    errno = saved;
}

static int make_timer(int signal_number, timer_t *timer)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal_number};
    return timer_create(CLOCK_MONOTONIC, &event, timer) < 0 ? -errno : 0;
}

int mp_stopper_open(mp_seat *seat, const unsigned char *tasks, const mp_handler *handler)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction question = {.sa_handler = on_question, .sa_flags = SA_RESTART};
    self.seat = seat;
    self.tasks = tasks;
    self.handler = handler;
    self.running = 0;
    mp_store_relaxed(&seat->kill_at, 0);
    self.answered = mp_load_acquire(&seat->asked);
    sigaction(SIGURG, &action, NULL);
    sigaction(MP_ASK_SIGNAL, &question, NULL);
    int status = make_timer(SIGURG, &self.polite);
    return status == 0 ? make_timer(SIGKILL, &self.deadly) : status;
}

/* `at` 0 disarms. */
static void set(timer_t timer, int64_t at, int64_t interval)
{
    struct itimerspec when = {.it_value = {at / 1000000000, at % 1000000000},
                              .it_interval = {interval / 1000000000, interval % 1000000000}};
    timer_settime(timer, TIMER_ABSTIME, &when, NULL);
}

static void arm(int64_t timeout)
{
    int64_t now = mp_now(), latest = MP_NEVER - MP_GRACE_MS * millisecond;
    self.deadline = timeout < latest - now ? now + timeout : latest;
    int64_t kill_at = self.deadline + MP_GRACE_MS * millisecond;
    mp_store_release(&self.seat->kill_at, kill_at);
    self.running = 1;
    set(self.deadly, kill_at, 0);
    set(self.polite, self.deadline, MP_INSIST_MS * millisecond);
}

/* True if its time was over. */
static bool disarm(void)
{
    if (mp_now() >= self.deadline)
        self.late = 1;
    self.running = 0;
    set(self.deadly, 0, 0);
    set(self.polite, 0, 0);
    mp_store_release(&self.seat->kill_at, 0);
    bool late = self.late;
    self.deadline = self.late = 0;
    return late;
}

void mp_stopper_begin(int64_t timeout)
{
    self.interrupted = 0;
    if (timeout > 0)
        arm(timeout);
    self.running = 1;
}

bool mp_stopper_end(void)
{
    if (self.deadline != 0)
        return disarm();
    self.running = 0;
    return false;
}
