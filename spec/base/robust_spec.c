/* Locks that outlive their holders. */
#include "base/robust.h"

#include "base/clock.h"
#include "spec/support/check.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNTERS = 4, ROUNDS = 20000 };

static struct shared {
    mp_robust lock;
    long count; /* under the lock */
    _Atomic int held;
} * shared;

static void new_shared(void)
{
    if (shared == NULL)
        shared =
            mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(shared, 0xff, sizeof *shared);
    shared->count = 0;
    shared->held = 0;
    CHECK_EQ_INT(mp_robust_init(&shared->lock), 0);
}

static pid_t fork_process(void (*run)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    check_failures = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run();
    _exit(check_failures != 0);
}

static int wait_for(pid_t pid)
{
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

static void hold_for_ever(void)
{
    CHECK_EQ_INT(mp_robust_lock(&shared->lock, MP_NEVER), 0);
    mp_store_relaxed(&shared->lock.note, 42);
    shared->held = 1;
    for (;;)
        pause();
}

static pid_t fork_holder(void)
{
    pid_t pid = fork_process(hold_for_ever);
    int64_t end = mp_deadline(20);
    while (!shared->held && mp_now() < end)
        usleep(500);
    CHECK(shared->held);
    return pid;
}

static void try_it(void)
{
    CHECK_EQ_INT(mp_robust_lock(&shared->lock, mp_now()), -ETIMEDOUT);
    CHECK_EQ_INT(mp_robust_lock(&shared->lock, mp_deadline(0.02)), -ETIMEDOUT);
}

TEST(locks_and_unlocks)
{
    new_shared();
    CHECK_EQ_INT(mp_load_relaxed(&shared->lock.note), 0);
    CHECK_EQ_INT(mp_robust_lock(&shared->lock, MP_NEVER), 0);
    CHECK_EQ_INT(wait_for(fork_process(try_it)), 0);
    mp_robust_unlock(&shared->lock);
    CHECK_EQ_INT(mp_robust_lock(&shared->lock, mp_now()), 0);
    mp_robust_unlock(&shared->lock);
}

static void count(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ_INT(mp_robust_lock(&shared->lock, i % 2 ? MP_NEVER : mp_deadline(20)), 0);
        shared->count++;
        mp_robust_unlock(&shared->lock);
    }
}

TEST(one_process_at_a_time)
{
    pid_t pids[COUNTERS];
    new_shared();
    for (int i = 0; i < COUNTERS; i++)
        pids[i] = fork_process(count);
    for (int i = 0; i < COUNTERS; i++)
        CHECK_EQ_INT(wait_for(pids[i]), 0);
    CHECK_EQ_INT(shared->count, (long)COUNTERS * ROUNDS);
}

TEST(the_holders_death_sets_it_free)
{
    new_shared();
    pid_t holder = fork_holder();
    CHECK_EQ_INT(mp_robust_lock(&shared->lock, mp_deadline(0.01)), -ETIMEDOUT);
    CHECK_EQ_INT(mp_load_relaxed(&shared->lock.note), 42);
    kill(holder, SIGKILL);
    CHECK_EQ_INT(mp_robust_lock(&shared->lock, mp_deadline(20)), 1);
    CHECK_EQ_INT(mp_load_relaxed(&shared->lock.note), 42);
    mp_robust_unlock(&shared->lock);
    CHECK_EQ_INT(mp_robust_lock(&shared->lock, MP_NEVER), 0);
    mp_robust_unlock(&shared->lock);
    wait_for(holder);
}

static void wait_for_death(void)
{
    CHECK_EQ_INT(mp_robust_lock(&shared->lock, MP_NEVER), 1);
    mp_robust_unlock(&shared->lock);
}

TEST(one_who_waits_already_gets_it)
{
    new_shared();
    pid_t holder = fork_holder();
    pid_t waiter = fork_process(wait_for_death);
    usleep(10000);
    kill(holder, SIGKILL);
    CHECK_EQ_INT(wait_for(waiter), 0);
    wait_for(holder);
}

CHECK_MAIN
