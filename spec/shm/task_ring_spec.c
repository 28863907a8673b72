/* The task ring: order, wraps, restarts, refusals, and what is left of a worker
 * that was killed anywhere: every granule is accounted for exactly once. */
#include "base/clock.h"
#include "shm/task_ring.h"
#include "spec/support/check.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS_AT = 4096 };

static mp_region region;
static mp_task_ring_shared *shared;
static mp_task_ring ring;
static mp_claim_note note;
static mp_granule out[MP_HOLD_MAX];
static uint64_t positions[MP_HOLD_MAX];

static bool make_ring(uint32_t capacity)
{
    mp_error error = {0};
    note.from = 0;
    if (mp_region_create(&region, "spec-ring", 64 << 20, 64 << 20, SLOTS_AT, &error) < 0)
        return false;
    shared = (mp_task_ring_shared *)(void *)region.base;
    return mp_task_ring_create(&ring, shared, &region, SLOTS_AT, capacity, &error) == 0;
}

static void drop_ring(void)
{
    mp_region_destroy(&region);
}

static int publish(uint64_t row, uint64_t *position)
{
    mp_error error = {0};
    uint64_t ignored;
    mp_granule g = {
        .row = row, .first = row * 3, .payload = ~row, .call = 7, .count = 2, .flags = 1};
    return mp_task_ring_publish(&ring, &g, position != NULL ? position : &ignored, &error);
}

static unsigned claim(unsigned max)
{
    return mp_task_ring_claim(&ring, &note, 5, max, out, positions);
}

static void release(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        mp_task_ring_release(&ring, positions[i]);
}

TEST(an_empty_ring_gives_nothing)
{
    REQUIRE(make_ring(64));
    CHECK_EQ_INT(claim(16), 0);
    CHECK_EQ_INT(mp_task_ring_waiting(&ring), 0);
    drop_ring();
}

TEST(what_goes_in_comes_out_whole_and_in_order)
{
    REQUIRE(make_ring(64));
    for (uint64_t row = 1; row <= 40; row++)
        CHECK_EQ_INT(publish(row, NULL), 0);
    CHECK_EQ_INT(mp_task_ring_waiting(&ring), 40);
    uint64_t next = 1;
    for (unsigned max = 1; next <= 40; max = max % MP_HOLD_MAX + 1) {
        unsigned n = claim(max);
        CHECK(n >= 1 && n <= max);
        for (unsigned i = 0; i < n; i++, next++) {
            CHECK_EQ_INT(out[i].row, next);
            CHECK(out[i].first == next * 3 && out[i].payload == ~next && out[i].call == 7);
            CHECK(out[i].count == 2 && out[i].flags == 1);
        }
        release(n);
    }
    CHECK_EQ_INT(claim(1), 0);
    drop_ring();
}

TEST(it_refuses_when_it_is_full_and_goes_on_when_slots_are_released)
{
    REQUIRE(make_ring(64));
    uint64_t row = 0;
    while (publish(row + 1, NULL) == 0)
        row++;
    CHECK_EQ_INT(row, 64);
    CHECK_EQ_INT(publish(65, NULL), -EAGAIN);
    CHECK_EQ_INT(claim(3), 3);
    CHECK_EQ_INT(publish(65, NULL), -EAGAIN);
    release(3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(publish(++row, NULL), 0);
    CHECK_EQ_INT(publish(row + 1, NULL), -EAGAIN);
    drop_ring();
}

TEST(it_wraps_for_ever)
{
    REQUIRE(make_ring(64));
    uint64_t in = 0, taken = 0;
    for (int i = 0; i < 30; i++)
        CHECK_EQ_INT(publish(++in, NULL), 0);
    for (int round = 0; round < 20000; round++) {
        unsigned n = claim((unsigned)round % MP_HOLD_MAX + 1);
        for (unsigned i = 0; i < n; i++)
            if (out[i].row != ++taken)
                CHECK_EQ_INT(out[i].row, taken);
        release(n);
        while (in - taken < 30)
            if (publish(++in, NULL) != 0)
                CHECK(false);
    }
    CHECK(in > 100000);
    drop_ring();
}

TEST(little_work_touches_little_memory)
{
    REQUIRE(make_ring(1 << 16));
    size_t before = region.size;
    uint64_t position = 0, last = 0;
    for (uint64_t row = 1; row <= 100000; row++) {
        CHECK_EQ_INT(publish(row, &position), 0);
        if (row > 1 && position <= last)
            CHECK(false);
        last = position;
        if (position % (1 << 16) != 0)
            CHECK_EQ_INT(position % (1 << 16), 0);
        if (claim(1) != 1 || out[0].row != row)
            CHECK_EQ_INT(out[0].row, row);
        release(1);
    }
    CHECK_EQ_INT(region.size, before);
    while (publish(1, NULL) == 0)
        ;
    CHECK(region.size >= SLOTS_AT + (64 << 16));
    drop_ring();
}

TEST(a_slot_that_is_not_released_blocks_nobody_else)
{
    REQUIRE(make_ring(64));
    CHECK_EQ_INT(publish(1, NULL), 0);
    CHECK_EQ_INT(claim(1), 1);
    uint64_t stuck = positions[0], position = 0;
    mp_claim_note other = {0};
    for (uint64_t row = 2; row < 500; row++) {
        CHECK_EQ_INT(publish(row, &position), 0);
        CHECK(position % 64 != stuck % 64);
        CHECK_EQ_INT(mp_task_ring_claim(&ring, &other, 6, 16, out, positions), 1);
        CHECK_EQ_INT(out[0].row, row);
        release(1);
    }
    mp_task_ring_release(&ring, stuck);
    CHECK_EQ_INT(publish(500, &position), 0);
    CHECK_EQ_INT(position % 64, 0);
    drop_ring();
}

TEST(revoked_is_not_claimed_and_claimed_is_not_revoked)
{
    REQUIRE(make_ring(64));
    uint64_t at[6];
    for (uint64_t row = 0; row < 6; row++)
        CHECK_EQ_INT(publish(row, &at[row]), 0);
    CHECK(mp_task_ring_revoke(&ring, at[0]));
    CHECK(mp_task_ring_revoke(&ring, at[2]));
    CHECK(!mp_task_ring_revoke(&ring, at[2]));
    CHECK_EQ_INT(claim(16), 1);
    CHECK_EQ_INT(out[0].row, 1);
    CHECK(!mp_task_ring_revoke(&ring, at[1]));
    release(1);
    CHECK(!mp_task_ring_revoke(&ring, at[1]));
    CHECK_EQ_INT(claim(16), 3);
    CHECK(out[0].row == 3 && out[2].row == 5);
    release(3);
    CHECK_EQ_INT(claim(16), 0);
    CHECK_EQ_INT(mp_task_ring_waiting(&ring), 0);
    drop_ring();
}

TEST(a_ring_whose_granules_are_all_revoked_is_empty)
{
    REQUIRE(make_ring(64));
    uint64_t at[64];
    for (uint64_t row = 0; row < 64; row++)
        CHECK_EQ_INT(publish(row, &at[row]), 0);
    for (uint64_t row = 63; row < 64; row--)
        CHECK(mp_task_ring_revoke(&ring, at[row]));
    CHECK_EQ_INT(mp_task_ring_waiting(&ring), 0);
    CHECK_EQ_INT(claim(1), 0);
    CHECK_EQ_INT(publish(64, NULL), 0);
    CHECK_EQ_INT(claim(1), 1);
    CHECK_EQ_INT(out[0].row, 64);
    drop_ring();
}

/* The words hold 32 bits of a position: 2^16 rounds of a ring of 2^16 slots. */
TEST(an_old_position_is_not_taken_for_a_new_one)
{
    REQUIRE(make_ring(1 << 16));
    uint64_t old = 0, now = 0;
    CHECK_EQ_INT(publish(1, &old), 0);
    CHECK_EQ_INT(claim(1), 1);
    release(1);
    do {
        if (publish(2, &now) != 0)
            CHECK(false);
        if ((uint32_t)now != (uint32_t)old) {
            claim(1);
            release(1);
        }
    } while ((uint32_t)now != (uint32_t)old);
    CHECK(now > old);
    CHECK(!mp_task_ring_revoke(&ring, old));
    CHECK(mp_task_ring_revoke(&ring, now));
    drop_ring();
}

TEST(a_sweep_finds_what_was_claimed_and_not_released)
{
    REQUIRE(make_ring(64));
    for (uint64_t row = 0; row < 20; row++)
        CHECK_EQ_INT(publish(row, NULL), 0);
    mp_claim_note other = {0};
    CHECK_EQ_INT(claim(5), 5);
    uint64_t first = positions[0];
    CHECK_EQ_INT(mp_task_ring_claim(&ring, &other, 6, 4, out, positions), 4);
    mp_task_ring_release(&ring, first);
    CHECK_EQ_INT(mp_task_ring_claimed_by(&ring, &note, 5, out), 4);
    CHECK(out[0].row == 1 && out[3].row == 4);
    CHECK_EQ_INT(mp_task_ring_claimed_by(&ring, &note, 4, out), 0);
    CHECK_EQ_INT(mp_task_ring_sweep(&ring, &note, 5), 4);
    CHECK_EQ_INT(mp_task_ring_sweep(&ring, &note, 5), 0);
    CHECK_EQ_INT(mp_task_ring_sweep(&ring, &other, 6), 4);
    CHECK_EQ_INT(claim(16), 11);
    drop_ring();
}

TEST(a_sweep_looks_only_where_memory_is)
{
    REQUIRE(make_ring(1 << 16));
    note.from = (1 << 16) - 100;
    CHECK_EQ_INT(mp_task_ring_sweep(&ring, &note, 5), 0);
    note.from = UINT64_MAX - 3;
    CHECK_EQ_INT(mp_task_ring_sweep(&ring, &note, 5), 0);
    drop_ring();
}

static int with_little_memory(void)
{
    if (!make_ring(1 << 16))
        return 1;
    struct rlimit limit = {.rlim_cur = region.size, .rlim_max = region.size};
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int round = 0; round < 3; round++) {
        uint64_t in = 0, taken = 0;
        int status;
        while ((status = publish(in + 1, NULL)) == 0)
            in++;
        CHECK_EQ_INT(status, -EFBIG);
        CHECK(in >= 60);
        unsigned n;
        while ((n = claim(16)) > 0) {
            for (unsigned i = 0; i < n; i++)
                CHECK_EQ_INT(out[i].row, ++taken);
            release(n);
        }
        CHECK_EQ_INT(taken, in);
    }
    return 0;
}

TEST(a_ring_that_cannot_grow_goes_on_when_it_is_empty)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        check_failures = 0;
        _exit(with_little_memory() + check_failures);
    }
    int status = -1;
    CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
    CHECK_EQ_INT(status, 0);
}

TEST(what_is_no_ring_is_refused)
{
    mp_error error = {0};
    REQUIRE(make_ring(64));
    mp_task_ring no;
    CHECK_EQ_INT(mp_task_ring_create(&no, shared, &region, SLOTS_AT, 48, &error), -EINVAL);
    CHECK_EQ_INT(mp_task_ring_create(&no, shared, &region, SLOTS_AT + 8, 64, &error), -EINVAL);
    drop_ring();
}

/* Workers that are killed at random instants. Each claims, writes down what it
 * holds, releases, and then "runs" every row by counting it, with a little time
 * between the steps. */
enum { WORKERS = 4, ROWS = 1000000, KILLS = 250 };

typedef struct seat {
    _Alignas(64) mp_claim_note note;
    _Atomic uint32_t held;
    uint64_t rows[MP_HOLD_MAX];
} seat;

typedef struct storm {
    _Atomic uint32_t stop;
    seat seats[WORKERS];
    _Atomic uint8_t runs[ROWS + 1];
} storm;

static storm *field;

static void linger(void)
{
    for (int i = 0; i < 500; i++)
        mp_relax();
}

static void work(unsigned number, uint32_t incarnation)
{
    seat *s = &field->seats[number];
    unsigned random = incarnation * 2654435761U;
    while (mp_load_acquire(&field->stop) == 0) {
        random = random * 1103515245U + 12345U;
        unsigned n = mp_task_ring_claim(&ring, &s->note, incarnation,
                                        (random >> 16) % MP_HOLD_MAX + 1, out, positions);
        if (n == 0)
            sched_yield();
        linger();
        for (unsigned i = 0; i < n; i++)
            s->rows[i] = out[i].row;
        mp_store_release(&s->held, n);
        linger();
        release(n);
        for (unsigned i = 0; i < n; i++) {
            linger();
            mp_add_relaxed(&field->runs[s->rows[i]], 1);
        }
        mp_store_release(&s->held, 0);
    }
    _exit(0);
}

static pid_t bear(unsigned number, uint32_t incarnation)
{
    pid_t pid = fork();
    if (pid == 0)
        work(number, incarnation);
    return pid;
}

static uint64_t again[WORKERS * MP_HOLD_MAX * 2];
static size_t again_count;
static uint64_t published_rows, returned, swept;

static void want_again(uint64_t row)
{
    for (size_t i = 0; i < again_count; i++)
        if (again[i] == row)
            return;
    if (mp_load_relaxed(&field->runs[row]) != 0)
        return;
    again[again_count++] = row;
    returned++;
}

/* Takes back what the dead one had claimed and not run. */
static void bury(unsigned number, uint32_t incarnation)
{
    seat *s = &field->seats[number];
    unsigned n = mp_task_ring_claimed_by(&ring, &s->note, incarnation, out);
    CHECK_EQ_INT(mp_task_ring_sweep(&ring, &s->note, incarnation), n);
    for (unsigned i = 0; i < n; i++)
        want_again(out[i].row);
    swept += n;
    uint32_t held = mp_load_acquire(&s->held);
    for (unsigned i = 0; i < held; i++)
        want_again(s->rows[i]);
    mp_store_relaxed(&s->held, 0);
}

/* False when there is nothing to publish, or no room. */
static bool feed(bool more)
{
    if (again_count > 0 && publish(again[again_count - 1], NULL) == 0) {
        again_count--;
        return true;
    }
    if (again_count > 0 || !more || published_rows == ROWS ||
        publish(published_rows + 1, NULL) != 0)
        return false;
    published_rows++;
    return true;
}

static uint64_t rows_not_run_once(void)
{
    uint64_t n = 0;
    for (uint64_t row = 1; row <= published_rows; row++)
        n += mp_load_relaxed(&field->runs[row]) != 1;
    return n;
}

/* Keeps the ring full for a while, so that nobody is idle when it ends. */
static void feed_for(int64_t nanoseconds)
{
    int64_t until = mp_now() + nanoseconds;
    while (feed(true) || mp_now() < until)
        ;
}

static void settle(void)
{
    int64_t deadline = mp_deadline(20);
    while (rows_not_run_once() > 0 && mp_now() < deadline)
        while (feed(false))
            ;
}

TEST(no_granule_is_lost_or_run_twice_however_workers_are_killed)
{
    REQUIRE(make_ring(256));
    field = mmap(NULL, sizeof *field, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(field != MAP_FAILED);
    fflush(NULL);
    pid_t pids[WORKERS];
    uint32_t incarnations[WORKERS], next = 0;
    for (unsigned i = 0; i < WORKERS; i++)
        pids[i] = bear(i, incarnations[i] = ++next);
    srand(1);
    for (int kills = 0; kills < KILLS; kills++) {
        unsigned i = (unsigned)rand() % WORKERS;
        feed_for(rand() % 2000000);
        kill(pids[i], SIGKILL);
        CHECK_EQ_INT(waitpid(pids[i], NULL, 0), pids[i]);
        bury(i, incarnations[i]);
        pids[i] = bear(i, incarnations[i] = ++next);
    }
    settle();
    mp_store_release(&field->stop, 1);
    for (unsigned i = 0; i < WORKERS; i++)
        waitpid(pids[i], NULL, 0);
    CHECK_EQ_INT(rows_not_run_once(), 0);
    CHECK(returned > 0);
    printf("       %d rows, %d returned, %d swept\n", (int)published_rows, (int)returned,
           (int)swept);
    munmap(field, sizeof *field);
    drop_ring();
}

#ifdef MP_TEST_BUILD
/* One that dies right behind the first compare-and-swap is found by the sweep. */
static void dies_at(const char *place, unsigned expected)
{
    REQUIRE(make_ring(64));
    for (uint64_t row = 0; row < 8; row++)
        CHECK_EQ_INT(publish(row, NULL), 0);
    mp_claim_note *left =
        mmap(NULL, sizeof *left, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(left != MAP_FAILED);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("MOONPOOL_FAILPOINTS", place, 1);
        mp_task_ring_claim(&ring, left, 9, 4, out, positions);
        _exit(0);
    }
    int status = 0;
    CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK_EQ_INT(mp_task_ring_sweep(&ring, left, 9), expected);
    CHECK_EQ_INT(claim(16), 8 - expected);
    munmap(left, sizeof *left);
    drop_ring();
}

TEST(a_death_before_the_claim_leaves_all)
{
    dies_at("claim.before:kill", 0);
}

TEST(a_death_behind_the_claim_leaves_one)
{
    dies_at("claim.after:kill", 1);
}

TEST(a_death_in_the_middle_of_a_claim_leaves_so_many)
{
    dies_at("claim.after:kill@3", 3);
}
#endif

CHECK_MAIN
