/* timeout: 120
 *
 * Wakes: none is lost between processes, none is made where nobody sleeps. */
#include "base/clock.h"
#include "shm/wake.h"
#include "spec/support/check.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 200000, RINGERS = 3, RINGS = 30000 };

typedef struct table {
    mp_bed beds[2];
    _Alignas(64) _Atomic uint32_t turn; /* whose it is */
    mp_bell_shared bell;
    _Alignas(64) _Atomic uint32_t results[RINGERS];
} table;

static table *lay(void)
{
    table *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return t == MAP_FAILED ? NULL : t;
}

static bool readable(int fd, int milliseconds)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, milliseconds) == 1;
}

/* Sleeps until the turn is one's own. A wake that is lost ends by the time limit. */
static void await_turn(table *t, uint32_t me)
{
    while (mp_load_acquire(&t->turn) != me) {
        mp_bed_lie_down(&t->beds[me]);
        if (mp_load_acquire(&t->turn) == me)
            break;
        mp_bed_sleep(&t->beds[me], -1);
    }
    mp_bed_rise(&t->beds[me]);
}

static void play(table *t, uint32_t me)
{
    for (int i = 0; i < ROUNDS; i++) {
        await_turn(t, me);
        mp_store_release(&t->turn, 1 - me);
        mp_bed_call(&t->beds[1 - me]);
    }
}

TEST(no_call_is_lost_between_two_that_sleep)
{
    table *t = lay();
    REQUIRE(t != NULL);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        play(t, 1);
        _exit(0);
    }
    play(t, 0);
    int status = -1;
    CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
    CHECK_EQ_INT(status, 0);
    CHECK_EQ_INT(t->turn, 0);
    munmap(t, sizeof *t);
}

static uint32_t all_results(table *t)
{
    uint32_t n = 0;
    for (int i = 0; i < RINGERS; i++)
        n += mp_load_acquire(&t->results[i]);
    return n;
}

TEST(no_ring_is_lost_between_many_and_one)
{
    table *t = lay();
    mp_bell bell;
    mp_error error = {0};
    REQUIRE(t != NULL && mp_bell_create(&bell, &t->bell, &error) == 0);
    CHECK(bell.fd >= 3);
    fflush(NULL);
    pid_t pids[RINGERS];
    for (int i = 0; i < RINGERS; i++) {
        pids[i] = fork();
        for (uint32_t n = 1; pids[i] == 0; n++) {
            mp_store_release(&t->results[i], n);
            mp_bell_ring(&bell, n == RINGS);
            if (n == RINGS)
                _exit(0);
        }
    }
    uint32_t seen = 0;
    for (int sleeps = 0; seen < RINGERS * RINGS; sleeps++) {
        seen = all_results(t);
        mp_bell_arm(&bell, MP_BELL_EAGER);
        if (all_results(t) == seen && seen < RINGERS * RINGS && !readable(bell.fd, 20000)) {
            CHECK(false);
            break;
        }
        mp_bell_disarm(&bell);
    }
    CHECK_EQ_INT(seen, RINGERS * RINGS);
    for (int i = 0; i < RINGERS; i++)
        CHECK_EQ_INT(waitpid(pids[i], NULL, 0), pids[i]);
    mp_bell_destroy(&bell);
    munmap(t, sizeof *t);
}

TEST(a_bell_rings_once_an_arming_and_as_it_is_armed)
{
    table *t = lay();
    mp_bell bell;
    mp_error error = {0};
    uint64_t rings = 0;
    REQUIRE(t != NULL && mp_bell_create(&bell, &t->bell, &error) == 0);
    mp_bell_ring(&bell, true);
    CHECK(!readable(bell.fd, 0));
    mp_bell_arm(&bell, MP_BELL_LAZY);
    mp_bell_ring(&bell, false);
    CHECK(!readable(bell.fd, 0));
    mp_bell_ring(&bell, true);
    mp_bell_ring(&bell, true);
    CHECK_EQ_INT(read(bell.fd, &rings, sizeof rings), 8);
    CHECK_EQ_INT(rings, 1);
    mp_bell_arm(&bell, MP_BELL_EAGER);
    mp_bell_ring(&bell, false);
    CHECK(readable(bell.fd, 0));
    mp_bell_disarm(&bell);
    CHECK(!readable(bell.fd, 0));
    mp_bell_ring(&bell, true);
    CHECK(!readable(bell.fd, 0));
    mp_bell_force(&bell);
    CHECK(readable(bell.fd, 0));
    mp_bell_disarm(&bell);
    mp_bell_disarm(&bell);
    CHECK(!readable(bell.fd, 0));
    mp_bell_destroy(&bell);
    mp_bell_destroy(&bell);
    munmap(t, sizeof *t);
}

/* One that dies between disarming and writing leaves an unarmed, silent bell. */
TEST(a_forced_ring_needs_no_arming)
{
    table *t = lay();
    mp_bell bell;
    mp_error error = {0};
    REQUIRE(t != NULL && mp_bell_create(&bell, &t->bell, &error) == 0);
    mp_bell_arm(&bell, MP_BELL_EAGER);
    mp_exchange(&t->bell.armed, MP_BELL_OFF);
    mp_bell_force(&bell);
    CHECK(readable(bell.fd, 0));
    mp_bell_destroy(&bell);
    munmap(t, sizeof *t);
}

TEST(a_bed_says_whether_it_was_called)
{
    table *t = lay();
    REQUIRE(t != NULL);
    mp_bed *bed = &t->beds[0];
    CHECK(!mp_bed_call(bed) && !mp_bed_asleep(bed));
    mp_bed_lie_down(bed);
    CHECK(mp_bed_asleep(bed));
    CHECK(!mp_bed_sleep(bed, 1000));
    CHECK_EQ_INT(bed->state, MP_BED_AWAKE);
    mp_bed_lie_down(bed);
    CHECK(mp_bed_call(bed));
    CHECK(!mp_bed_call(bed));
    CHECK(mp_bed_sleep(bed, -1));
    CHECK_EQ_INT(bed->state, MP_BED_CALLED);
    mp_bed_rise(bed);
    CHECK_EQ_INT(bed->state, MP_BED_AWAKE);
    munmap(t, sizeof *t);
}

/* One that died between calling and waking leaves a sleeper that is CALLED. */
TEST(a_call_can_be_made_again_for_a_dead_caller)
{
    table *t = lay();
    REQUIRE(t != NULL);
    mp_bed *bed = &t->beds[0];
    mp_bed_lie_down(bed);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(mp_bed_sleep(bed, -1) ? 0 : 1);
    /* The child may sleep or not; either way it must come back. */
    usleep(2000);
    CHECK(mp_cas_u32(&bed->state, MP_BED_ASLEEP, MP_BED_CALLED));
    int status = -1;
    while (waitpid(pid, &status, WNOHANG) == 0)
        mp_bed_call_again(bed);
    CHECK_EQ_INT(status, 0);
    munmap(t, sizeof *t);
}

static void nothing(int signal)
{
    (void)signal;
}

TEST(a_signal_ends_a_sleep_early_and_awake)
{
    table *t = lay();
    REQUIRE(t != NULL);
    struct sigaction action = {.sa_handler = nothing}, before;
    sigaction(SIGALRM, &action, &before);
    struct itimerval every = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000}, never = {0};
    mp_bed_lie_down(&t->beds[0]);
    setitimer(ITIMER_REAL, &every, NULL);
    CHECK(!mp_bed_sleep(&t->beds[0], -1));
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    CHECK_EQ_INT(t->beds[0].state, MP_BED_AWAKE);
    munmap(t, sizeof *t);
}

TEST(futexes_tell_why_they_return)
{
    table *t = lay();
    REQUIRE(t != NULL);
    struct timespec soon = {.tv_nsec = 1000};
    CHECK_EQ_INT(mp_futex_wait(&t->turn, 1, NULL), -EAGAIN);
    CHECK_EQ_INT(mp_futex_wait(&t->turn, 0, &soon), -ETIMEDOUT);
    CHECK_EQ_INT(mp_futex_wake(&t->turn, 1), 0);
    munmap(t, sizeof *t);
}

CHECK_MAIN
