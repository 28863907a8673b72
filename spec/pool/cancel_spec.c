/* valgrind
 *
 * What is cancelled: items at or above a call's limit, and calls that are released
 * in any state; the counts always add up. */
#include "spec/pool/desk.h"

/* ---- limits ---- */

TEST(stops_at_the_first_failure)
{
    mp_event e;
    desk_open(2);
    matter *m = desk_call(3);
    desk_add_many(m, 'd', 10);
    desk_add_many(m, 'f', 1);
    desk_add_many(m, 'd', 30);
    desk_seal(m);
    while (mp_pool_next(desk_pool, &e)) {
        if (e.kind == MP_EVENT_FAILED)
            mp_call_limit(m->call, e.index);
        desk_note(&e);
        mp_pool_settle(desk_pool);
    }
    desk_check(m, 41);
    CHECK_EQ_INT(m->failed, 1);
    CHECK(m->done >= 10);
    CHECK_EQ_INT(m->order[0] + m->seen[11], 2);
    for (unsigned i = 1; i <= 11; i++)
        CHECK_EQ_INT(m->seen[i], 1);
    desk_close();
}

TEST(lets_those_below_a_failure_finish_and_finds_a_lower_one)
{
    mp_event e;
    desk_open(2);
    desk_loop->by_hand = true;
    matter *m = desk_call(4);
    desk_add_many(m, 'd', 2);
    desk_add_many(m, 'f', 1); /* 3, found later */
    desk_add_many(m, 'd', 1);
    desk_add_many(m, 'f', 1); /* 5, found first */
    desk_add_many(m, 'd', 15);
    desk_seal(m);
    for (int i = 0; i < 4; i++)
        loopback_work(desk_loop); /* two claims, items 1 and 5 */
    for (int i = 0; i < 200 && m->over == 0; i++) {
        if (mp_pool_next(desk_pool, &e)) {
            if (e.kind == MP_EVENT_FAILED)
                mp_call_limit(m->call, e.index);
            desk_note(&e);
            mp_pool_settle(desk_pool);
        } else {
            loopback_work(desk_loop);
        }
    }
    desk_check(m, 20);
    CHECK_EQ_INT(m->failed, 2);
    CHECK_EQ_INT(m->done, 2);
    CHECK_EQ_INT(m->runs[4], 0);
    desk_close();
}

TEST(skips_what_lies_beyond_the_limit_in_a_claimed_granule)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(10);
    desk_add_many(m, 'd', 10);
    desk_seal(m);
    for (int i = 0; i < 3; i++)
        loopback_work(desk_loop); /* the claim, items 1 and 2 */
    mp_call_limit(m->call, 6);
    loopback_work_all(desk_loop);
    desk_drain();
    desk_check(m, 10);
    CHECK_EQ_INT(m->done, 5);
    CHECK_EQ_INT(m->runs[6], 0);
    CHECK(!mp_pool_busy(desk_pool));
    desk_close();
}

TEST(is_over_before_those_beyond_the_limit_have_ended)
{
    desk_open(2);
    desk_loop->by_hand = true;
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 2);
    desk_seal(m);
    loopback_work(desk_loop);
    loopback_work(desk_loop); /* both claimed */
    mp_call_limit(m->call, 1);
    desk_drain();
    desk_check(m, 2);
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 2);
    CHECK(mp_pool_busy(desk_pool));
    loopback_work_all(desk_loop);
    desk_drain();
    CHECK(!mp_pool_busy(desk_pool));
    CHECK_EQ_INT(m->late, 0);
    desk_close();
}

/* ---- release ---- */

/* A call of five items is released after so many steps; nothing of it is told any
 * more and nothing stays. */
TEST(releases_a_call_in_any_state)
{
    for (int seal = 0; seal < 2; seal++)
        for (int steps = 0; steps < 8; steps++)
            for (int takes = 0; takes < 8; takes++) {
                desk_open(1);
                desk_loop->by_hand = true;
                matter *m = desk_call(2), *other = desk_call(1);
                desk_add_many(m, 'd', 5);
                if (seal != 0)
                    desk_seal(m);
                for (int i = 0; i < steps; i++)
                    loopback_work(desk_loop);
                for (int i = 0; i < takes; i++)
                    desk_take();
                uint64_t told = desk_told(m) + m->over;
                mp_call_release(m->call);
                desk_add_many(other, 'd', 2);
                desk_seal(other);
                desk_loop->by_hand = false;
                desk_drain();
                CHECK_EQ_INT(desk_told(m) + m->over, told);
                CHECK_EQ_INT(m->twice + m->late + m->wrong, 0);
                desk_check(other, 2);
                mp_call_release(other->call);
                desk_check_empty();
                desk_close();
            }
}

TEST(releases_a_call_in_the_middle_of_an_item)
{
    mp_error error = {0};
    desk_open(1);
    matter *m = desk_call(4), *other = desk_call(1);
    desk_add_many(m, 'd', 2);
    mp_buffer_append(mp_call_begin_item(m->call, &error), "half", 4);
    mp_call_release(m->call);
    desk_add_many(other, 'd', 1);
    desk_seal(other);
    desk_drain();
    desk_check(other, 1);
    CHECK_EQ_INT(desk_told(m), 0);
    mp_call_release(other->call);
    desk_check_empty();
    desk_close();
}

TEST(releases_a_call_whose_event_is_given)
{
    for (int kind = MP_EVENT_DONE; kind <= MP_EVENT_CALL_OVER; kind++) {
        mp_event e;
        if (kind == MP_EVENT_TIMEOUT || kind == MP_EVENT_OUTPUT || kind == MP_EVENT_LOG ||
            kind == MP_EVENT_ANSWER || kind == MP_EVENT_STATE)
            continue; /* the loopback's workers have no clock and say nothing */
        desk_open(1);
        desk_loop->by_hand = true;
        matter *m = desk_call(2), *other = desk_call(1);
        if (kind != MP_EVENT_CALL_OVER)
            desk_add_many(m,
                          kind == MP_EVENT_FAILED    ? 'f'
                          : kind == MP_EVENT_NO_ROOM ? 'n'
                                                     : 'd',
                          2);
        desk_seal(m);
        loopback_work(desk_loop);
        if (kind == MP_EVENT_LOST)
            loopback_kill(desk_loop, 0, 9);
        loopback_work(desk_loop);
        if (kind == MP_EVENT_DAMAGED) {
            loopback_work(desk_loop);
            loopback_damage(desk_loop, 0);
        }
        desk_seal(other);
        /* The other's end is told first but where m's event was given before. */
        do
            REQUIRE(mp_pool_next(desk_pool, &e));
        while (e.user == other && (desk_note(&e), mp_pool_settle(desk_pool), true));
        CHECK_EQ_INT(e.kind, kind);
        mp_call_release(m->call);
        mp_pool_settle(desk_pool);
        desk_loop->by_hand = false;
        desk_drain();
        desk_check(other, 0);
        CHECK_EQ_INT(desk_told(m) + m->over, 0);
        mp_call_release(other->call);
        desk_check_empty();
        desk_close();
    }
}

TEST(keeps_the_count_right_where_the_limit_falls_on_a_given_event)
{
    mp_event e;
    desk_open(1);
    matter *m = desk_call(1);
    desk_add_many(m, 'f', 3);
    desk_seal(m);
    REQUIRE(mp_pool_next(desk_pool, &e) && e.kind == MP_EVENT_FAILED);
    mp_call_limit(m->call, 1);
    desk_note(&e);
    mp_pool_settle(desk_pool);
    desk_drain();
    desk_check(m, 3);
    CHECK_EQ_INT(m->failed, 1);
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 2);
    desk_close();
}

/* An event that was not settled when the limit came down is not given again. */
TEST(cancels_an_item_whose_event_was_given_and_not_settled)
{
    mp_event e;
    desk_open(1);
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 3);
    desk_seal(m);
    REQUIRE(mp_pool_next(desk_pool, &e) && e.kind == MP_EVENT_DONE);
    mp_call_limit(m->call, 1);
    desk_drain();
    desk_check(m, 3);
    CHECK_EQ_INT(desk_told(m), 0);
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 3);
    desk_close();
}

CHECK_MAIN
