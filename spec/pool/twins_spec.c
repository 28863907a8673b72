/* valgrind
 * Items given twice: one outcome each, whoever has it first. */
#include "spec/pool/desk.h"

#include <signal.h>

/* A call of one granule of `n` items whose first worker has begun none of them yet; a
 * second worker is idle, so that the next item has a twin. */
static matter *open_twins(unsigned n)
{
    desk_open(2);
    desk_loop->by_hand = true;
    matter *m = desk_call(n);
    mp_call_duplicate(m->call);
    desk_add_many(m, 'd', n);
    desk_seal(m);
    CHECK(loopback_work(desk_loop)); /* the claim */
    desk_loop->idle = 1;
    mp_pool_wait(desk_pool, 0, MP_BELL_EAGER, NULL);
    desk_loop->idle = 0;
    CHECK_EQ_INT(desk_loop->waiting, 1);
    return m;
}

static void check_end(matter *m, unsigned n)
{
    desk_loop->by_hand = false;
    loopback_work_all(desk_loop);
    desk_drain();
    mp_call_counts counts = mp_call_count(m->call);
    CHECK_EQ_INT(counts.settled, n);
    CHECK_EQ_INT(desk_told(m) + counts.cancelled, n);
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(m->twice + m->wrong + m->late, 0);
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

TEST(either_may_be_first)
{
    for (int steps = 0; steps < 8; steps++) {
        matter *m = open_twins(1);
        for (int i = 0; i < steps; i++)
            loopback_work(desk_loop);
        desk_drain();
        check_end(m, 1);
    }
}

TEST(only_one_item_of_a_granule_is_twice)
{
    for (int steps = 0; steps < 12; steps++) {
        matter *m = open_twins(4);
        for (int i = 0; i < steps; i++) {
            loopback_work(desk_loop);
            desk_drain();
        }
        check_end(m, 4);
    }
}

TEST(one_may_die)
{
    for (unsigned seat = 0; seat < 2; seat++)
        for (int steps = 0; steps < 5; steps++) {
            matter *m = open_twins(3);
            for (int i = 0; i < steps; i++)
                loopback_work(desk_loop);
            loopback_kill(desk_loop, seat, SIGKILL);
            desk_drain();
            check_end(m, 3);
            CHECK(true);
        }
}

TEST(both_may_die)
{
    for (int steps = 0; steps < 5; steps++) {
        matter *m = open_twins(3);
        for (int i = 0; i < steps; i++)
            loopback_work(desk_loop);
        loopback_kill(desk_loop, 0, SIGKILL);
        loopback_kill(desk_loop, 1, SIGKILL);
        desk_drain();
        check_end(m, 3);
    }
}

TEST(both_may_be_cancelled)
{
    for (int steps = 0; steps < 5; steps++) {
        matter *m = open_twins(3);
        for (int i = 0; i < steps; i++)
            loopback_work(desk_loop);
        mp_call_limit(m->call, 1);
        CHECK(desk_loop->stops > 0);
        desk_drain();
        check_end(m, 3);
    }
}

TEST(the_nursery_may_be_lost_or_a_result_damaged)
{
    for (int steps = 0; steps < 5; steps++)
        for (int damage = 0; damage < 2; damage++) {
            matter *m = open_twins(3);
            for (int i = 0; i < steps; i++)
                loopback_work(desk_loop);
            if (damage)
                loopback_damage(desk_loop, 0);
            else
                loopback_lose_nursery(desk_loop);
            desk_drain();
            check_end(m, 3);
        }
}

TEST(a_call_that_does_not_ask_for_it_has_none)
{
    desk_open(2);
    desk_loop->by_hand = true;
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 1);
    desk_seal(m);
    CHECK(loopback_work(desk_loop));
    desk_loop->idle = 1;
    mp_pool_wait(desk_pool, 0, MP_BELL_EAGER, NULL);
    CHECK_EQ_INT(desk_loop->waiting, 0);
    check_end(m, 1);
}

CHECK_MAIN
