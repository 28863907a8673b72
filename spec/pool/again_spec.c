/* valgrind
 * Items that run again: counted once, whatever becomes of them in between. */
#include "base/clock.h"
#include "spec/pool/desk.h"

#include <signal.h>

/* Takes events in; whatever has failed or is lost runs again up to attempt `last`. */
static void drain_once(unsigned last, int64_t delay)
{
    mp_event e;
    while (mp_pool_next(desk_pool, &e)) {
        bool failed = e.kind >= MP_EVENT_FAILED && e.kind <= MP_EVENT_DAMAGED;
        if (failed && e.attempt < last &&
            mp_pool_again(desk_pool, delay > 0 ? mp_now() + delay : 0, NULL) == 0)
            continue;
        desk_note(&e);
        mp_pool_settle(desk_pool);
    }
}

static void drain_again(unsigned last, int64_t delay)
{
    do
        drain_once(last, delay);
    while (mp_pool_wait(desk_pool, 0, MP_BELL_EAGER, NULL) > 0);
}

static void check_ended(matter *m, uint64_t added)
{
    mp_call_counts counts = mp_call_count(m->call);
    CHECK_EQ_INT(counts.settled, added);
    CHECK_EQ_INT(desk_told(m) + counts.cancelled, added);
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(m->twice + m->wrong + m->late, 0);
    mp_call_release(m->call);
    desk_check_empty();
}

TEST(runs_what_failed_so_many_times)
{
    desk_open(2);
    matter *m = desk_call(4);
    desk_add_many(m, 'd', 5);
    desk_add_many(m, 'f', 3);
    desk_add_many(m, 'n', 2);
    desk_seal(m);
    drain_again(3, 0);
    CHECK_EQ_INT(m->done, 5);
    CHECK_EQ_INT(m->failed, 3);
    CHECK_EQ_INT(m->no_room, 2);
    CHECK_EQ_INT(m->runs[1], 1);
    CHECK_EQ_INT(m->runs[6], 3);
    CHECK_EQ_INT(m->runs[10], 3);
    check_ended(m, 10);
    desk_close();
}

TEST(runs_what_a_death_took)
{
    desk_open(2);
    matter *m = desk_call(3);
    desk_loop->kill_at = 2;
    desk_add_many(m, 'd', 7);
    desk_seal(m);
    drain_again(2, 0);
    CHECK_EQ_INT(m->done, 7);
    CHECK_EQ_INT(m->lost, 0);
    check_ended(m, 7);
    desk_close();
}

TEST(runs_what_was_damaged)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(2);
    desk_add_many(m, 'd', 4);
    desk_seal(m);
    CHECK(loopback_work(desk_loop));
    loopback_damage(desk_loop, 0);
    desk_loop->by_hand = false;
    drain_again(3, 0);
    loopback_work_all(desk_loop);
    drain_again(3, 0);
    CHECK_EQ_INT(m->done, 4);
    check_ended(m, 4);
    desk_close();
}

TEST(waits_until_it_is_due)
{
    mp_event e;
    desk_open(1);
    matter *m = desk_call(1);
    desk_add(m, "f");
    desk_seal(m);
    REQUIRE(mp_pool_next(desk_pool, &e));
    int64_t due = mp_now() + 20000000;
    CHECK_EQ_INT(mp_pool_again(desk_pool, due, NULL), 0);
    CHECK(!mp_pool_next(desk_pool, &e));
    CHECK(mp_pool_busy(desk_pool));
    mp_pool_wait(desk_pool, MP_NEVER, MP_BELL_EAGER, NULL);
    CHECK(desk_loop->slept_until == due);
    while (mp_now() < due)
        continue;
    mp_pool_wait(desk_pool, 0, MP_BELL_EAGER, NULL);
    REQUIRE(mp_pool_next(desk_pool, &e));
    CHECK_EQ_INT(e.attempt, 2);
    CHECK_EQ_INT(e.index, 1);
    desk_drain();
    check_ended(m, 1);
    desk_close();
}

TEST(tells_the_descriptor_when_it_is_due)
{
    mp_event e;
    desk_open(1);
    matter *m = desk_call(1);
    desk_add(m, "f");
    desk_seal(m);
    mp_pool_fd(desk_pool);
    REQUIRE(mp_pool_next(desk_pool, &e));
    int64_t due = mp_now() + 1000000000;
    CHECK_EQ_INT(mp_pool_again(desk_pool, due, NULL), 0);
    mp_pool_rest(desk_pool);
    CHECK(desk_loop->alarm == due);
    mp_call_limit(m->call, 0);
    mp_pool_rest(desk_pool);
    CHECK(desk_loop->alarm == MP_NEVER);
    desk_drain();
    check_ended(m, 1);
    desk_close();
}

TEST(cancels_what_waits_for_its_time)
{
    desk_open(2);
    matter *m = desk_call(1);
    desk_add_many(m, 'f', 5);
    desk_add_many(m, 'd', 5);
    desk_seal(m);
    drain_again(9, 3600 * INT64_C(1000000000));
    CHECK_EQ_INT(m->over, 0);
    CHECK_EQ_INT(m->done, 5);
    mp_call_limit(m->call, 3);
    CHECK_EQ_INT(mp_call_count(m->call).settled, 8);
    mp_pool_terminate(desk_pool);
    drain_again(9, 1);
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 5);
    CHECK_EQ_INT(m->over, 1);
    desk_close();
}

TEST(does_not_run_again_what_nobody_wants)
{
    mp_event e;
    desk_open(1);
    matter *m = desk_call(1);
    desk_add_many(m, 'f', 2);
    desk_seal(m);
    REQUIRE(mp_pool_next(desk_pool, &e));
    mp_call_limit(m->call, 1);
    CHECK_EQ_INT(mp_pool_again(desk_pool, 0, NULL), -ECANCELED);
    mp_pool_settle(desk_pool);
    desk_drain();
    CHECK_EQ_INT(m->runs[1], 1);
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

TEST(leaves_the_event_where_memory_is_short)
{
    mp_event e;
    desk_open(1);
    matter *m = desk_call(1);
    desk_add(m, "f");
    desk_seal(m);
    REQUIRE(mp_pool_next(desk_pool, &e));
    desk_loop->refuse_open = 1;
    CHECK(mp_pool_again(desk_pool, 0, NULL) < 0);
    desk_note(&e);
    mp_pool_settle(desk_pool);
    desk_drain();
    CHECK_EQ_INT(m->failed, 1);
    check_ended(m, 1);
    desk_close();
}

CHECK_MAIN
