/* valgrind */
#include "spec/pool/desk.h"

#include <signal.h>

/* ---- what becomes of items ---- */

TEST(tells_of_each_item_what_became_of_it)
{
    desk_open(3);
    matter *m = desk_call(2);
    desk_add_many(m, 'd', 5);
    desk_add_many(m, 'f', 4);
    desk_add_many(m, 'n', 3);
    desk_seal(m);
    desk_drain();
    desk_check(m, 12);
    CHECK_EQ_INT(m->done, 5);
    CHECK_EQ_INT(m->failed, 4);
    CHECK_EQ_INT(m->no_room, 3);
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

TEST(gives_the_bytes_of_result_and_item)
{
    mp_event e;
    desk_open(1);
    matter *m = desk_call(3);
    desk_add(m, "f first");
    desk_add(m, "d second");
    desk_add(m, "n third");
    desk_seal(m);
    REQUIRE(mp_pool_next(desk_pool, &e));
    CHECK_EQ_INT(e.kind, MP_EVENT_FAILED);
    CHECK_EQ_INT(e.index, 1);
    CHECK(e.user == m);
    CHECK(e.size == 7 && memcmp(e.data, "f first", 7) == 0);
    CHECK(e.item_size == 7 && memcmp(e.item, "f first", 7) == 0);
    CHECK(e.pid > 0);
    mp_pool_settle(desk_pool);
    REQUIRE(mp_pool_next(desk_pool, &e));
    CHECK_EQ_INT(e.kind, MP_EVENT_DONE);
    CHECK(e.size == 8 && memcmp(e.data, "d second", 8) == 0);
    mp_pool_settle(desk_pool);
    REQUIRE(mp_pool_next(desk_pool, &e));
    CHECK_EQ_INT(e.kind, MP_EVENT_NO_ROOM);
    CHECK_EQ_INT(e.code, -ENOSPC);
    CHECK(e.item_size == 7 && memcmp(e.item, "n third", 7) == 0);
    mp_pool_settle(desk_pool);
    desk_drain();
    CHECK_EQ_INT(m->over, 1);
    desk_close();
}

TEST(says_nothing_where_there_is_nothing)
{
    mp_event e;
    desk_open(1);
    CHECK(!mp_pool_next(desk_pool, &e));
    mp_pool_settle(desk_pool);
    CHECK(!mp_pool_next(desk_pool, &e));
    desk_close();
}

TEST(ends_an_empty_call)
{
    desk_open(1);
    matter *m = desk_call(1);
    desk_drain();
    CHECK_EQ_INT(m->over, 0);
    desk_seal(m);
    desk_seal(m);
    desk_drain();
    desk_check(m, 0);
    desk_close();
}

TEST(ends_a_call_only_when_it_is_sealed)
{
    desk_open(1);
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 3);
    desk_drain();
    CHECK_EQ_INT(m->done, 3);
    CHECK_EQ_INT(m->over, 0);
    desk_add_many(m, 'd', 1);
    desk_drain();
    desk_seal(m);
    desk_drain();
    desk_check(m, 4);
    desk_close();
}

TEST(gives_an_event_again_until_it_is_settled)
{
    mp_event e;
    desk_open(1);
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 1);
    desk_add_many(m, 'f', 1);
    desk_seal(m);
    for (int kind = MP_EVENT_DONE; kind <= MP_EVENT_FAILED; kind++) {
        for (int i = 0; i < 3; i++) {
            REQUIRE(mp_pool_next(desk_pool, &e));
            CHECK_EQ_INT(e.kind, kind);
            CHECK_EQ_INT(e.index, kind + 1);
        }
        mp_pool_settle(desk_pool);
        mp_pool_settle(desk_pool); /* once is enough */
    }
    for (int i = 0; i < 3; i++) {
        REQUIRE(mp_pool_next(desk_pool, &e));
        CHECK_EQ_INT(e.kind, MP_EVENT_CALL_OVER);
    }
    mp_pool_settle(desk_pool);
    CHECK(!mp_pool_next(desk_pool, &e));
    desk_close();
}

TEST(gives_no_other_event_in_between)
{
    mp_event e;
    desk_open(1);
    matter *m = desk_call(1), *other = desk_call(1);
    desk_add_many(m, 'd', 1);
    REQUIRE(mp_pool_next(desk_pool, &e));
    desk_seal(other);
    REQUIRE(mp_pool_next(desk_pool, &e));
    CHECK_EQ_INT(e.kind, MP_EVENT_DONE);
    mp_pool_settle(desk_pool);
    desk_seal(m);
    desk_drain();
    CHECK_EQ_INT(m->over + other->over, 2);
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 0);
    desk_close();
}

/* ---- deaths ---- */

/* One worker, so many granules of `granule` items, killed at item `at`. */
static matter *killed_at(unsigned hold, unsigned granule, unsigned items, uint64_t at,
                         enum loopback_moment when)
{
    desk_open(2);
    desk_loop->hold = hold;
    desk_loop->kill_at = at;
    desk_loop->kill_when = when;
    matter *m = desk_call(granule);
    desk_add_many(m, 'd', items);
    desk_seal(m);
    desk_drain();
    desk_check(m, items);
    return m;
}

TEST(loses_the_begun_item_and_no_other)
{
    for (unsigned hold = 1; hold <= 4; hold++)
        for (uint64_t at = 1; at <= 12; at++)
            for (int when = LOOPBACK_CLAIMED; when <= LOOPBACK_RUN; when++) {
                matter *m = killed_at(hold, 3, 24, at, (enum loopback_moment)when);
                CHECK(desk_loop->deaths == 1 || when == LOOPBACK_CLAIMED);
                if (desk_loop->deaths == 1) {
                    CHECK_EQ_INT(m->lost, 1);
                    CHECK_EQ_INT(m->done, 23);
                    CHECK_EQ_INT(m->lost_status, SIGKILL);
                    CHECK(m->lost_pid > 0);
                }
                desk_close();
            }
}

TEST(loses_nothing_behind_a_result)
{
    for (uint64_t at = 1; at <= 12; at++) {
        matter *m = killed_at(2, 3, 24, at, LOOPBACK_PUBLISHED);
        CHECK_EQ_INT(desk_loop->deaths, 1);
        CHECK_EQ_INT(m->lost, 0);
        CHECK_EQ_INT(m->done, 24);
        desk_close();
    }
}

TEST(runs_elsewhere_what_was_claimed_and_not_begun)
{
    desk_open(1);
    desk_loop->by_hand = true;
    desk_loop->hold = 4;
    matter *m = desk_call(2);
    desk_add_many(m, 'd', 20);
    desk_seal(m);
    loopback_work(desk_loop); /* the claim */
    CHECK_EQ_INT(loopback_held(desk_loop, 0), 4);
    CHECK_EQ_INT(desk_loop->waiting, 6);
    loopback_kill(desk_loop, 0, SIGSEGV);
    CHECK(desk_take());
    CHECK_EQ_INT(m->lost, 1);
    CHECK_EQ_INT(m->lost_status, SIGSEGV);
    CHECK_EQ_INT(desk_loop->waiting, 10);
    desk_loop->by_hand = false;
    desk_drain();
    desk_check(m, 20);
    CHECK_EQ_INT(m->done, 19);
    CHECK_EQ_INT(m->runs[1], 0);
    desk_close();
}

TEST(gives_a_lost_row_back_to_a_full_ring_before_what_waits)
{
    desk_open(1);
    desk_loop->by_hand = true;
    desk_loop->capacity = 2;
    desk_loop->kill_at = 2;
    desk_loop->kill_when = LOOPBACK_BEGUN;
    matter *m = desk_call(3);
    desk_add_many(m, 'd', 30);
    desk_seal(m);
    loopback_work(desk_loop); /* claims items 1 to 3 */
    desk_take();              /* refills the ring: 4 to 9 */
    loopback_work(desk_loop); /* item 1 */
    loopback_work(desk_loop); /* item 2, of which it dies */
    CHECK_EQ_INT(desk_loop->deaths, 1);
    for (int left = 1000; m->over == 0 && left > 0; left--) {
        loopback_work(desk_loop);
        desk_take();
    }
    desk_check(m, 30);
    CHECK_EQ_INT(m->done, 29);
    CHECK_EQ_INT(m->lost, 1);
    unsigned place[31] = {0};
    for (unsigned i = 0; i < m->ordered; i++)
        place[m->order[i]] = i;
    CHECK(place[3] > place[9]); /* the ring was full */
    CHECK(place[3] < place[10]);
    desk_close();
}

TEST(survives_any_number_of_deaths)
{
    desk_open(2);
    desk_loop->by_hand = true;
    matter *m = desk_call(4);
    desk_add_many(m, 'd', 40);
    desk_seal(m);
    for (unsigned i = 0; i < 400 && m->over == 0; i++) {
        loopback_work(desk_loop);
        if (i % 3 == 0)
            loopback_kill(desk_loop, i % 2, 9);
        desk_take();
    }
    desk_loop->by_hand = false;
    desk_drain();
    desk_check(m, 40);
    CHECK_EQ_INT(m->done + m->lost, 40);
    CHECK(m->lost <= desk_loop->deaths);
    CHECK(m->lost > 0);
    desk_close();
}

TEST(tells_of_nothing_when_an_idle_worker_dies)
{
    mp_event e;
    desk_open(2);
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 2);
    desk_drain();
    loopback_kill(desk_loop, 0, 9);
    loopback_kill(desk_loop, 1, 9);
    CHECK(!mp_pool_next(desk_pool, &e));
    desk_add_many(m, 'd', 2);
    desk_seal(m);
    desk_drain();
    desk_check(m, 4);
    desk_close();
}

TEST(gets_a_new_nursery_where_one_is_lost)
{
    desk_open(3);
    desk_loop->by_hand = true;
    desk_loop->hold = 2;
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 30);
    desk_seal(m);
    for (int lost = 0; lost < 3; lost++) {
        for (int i = 0; i < 4; i++)
            loopback_work(desk_loop);
        loopback_lose_nursery(desk_loop);
        desk_drain();
    }
    desk_loop->by_hand = false;
    desk_drain();
    desk_check(m, 30);
    CHECK(m->lost > 0 && m->lost <= 9);
    CHECK_EQ_INT(m->done + m->lost, 30);
    desk_close();
}

TEST(cancels_what_comes_back_beyond_the_limit)
{
    desk_open(1);
    desk_loop->by_hand = true;
    desk_loop->hold = 3;
    matter *m = desk_call(2);
    desk_add_many(m, 'd', 8);
    desk_seal(m);
    loopback_work(desk_loop); /* claims 1 to 6 */
    mp_call_limit(m->call, 4);
    loopback_kill(desk_loop, 0, 9); /* 1 lost; 2, 3 (and 4) come back; 5 to 8 are cancelled */
    desk_drain();
    CHECK_EQ_INT(m->lost, 1);
    CHECK_EQ_INT(desk_loop->waiting, 2);
    loopback_work_all(desk_loop);
    desk_drain();
    desk_check(m, 8);
    CHECK_EQ_INT(m->done, 2);
    CHECK_EQ_INT(m->runs[4] + m->runs[5], 0);
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

/* ---- news that mean nothing ---- */

TEST(ignores_stale_news)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(3);
    desk_add_many(m, 'd', 3);
    desk_seal(m);
    mp_event e;
    loopback_work(desk_loop);
    loopback_work(desk_loop);
    REQUIRE(mp_pool_next(desk_pool, &e));
    mp_arrival first = ((const mp_arrival[]){{.kind = MP_ARRIVAL_DONE,
                                              .row = UINT64_C(1) << 32,
                                              .index = 1,
                                              .count = 1,
                                              .data = (const unsigned char *)"d",
                                              .size = 1}})[0];
    mp_pool_settle(desk_pool);
    m->done++;
    mp_arrival stale[] = {first, first, first, first, first, first};
    stale[1].index = 3;                 /* not yet its turn */
    stale[2].row = UINT64_C(7) << 32;   /* no such row */
    stale[3].kind = MP_ARRIVAL_SKIPPED; /* settled already */
    stale[4].kind = MP_ARRIVAL_SKIPPED; /* more than there are */
    stale[4].index = 2;
    stale[4].count = 3;
    stale[5].kind = MP_ARRIVAL_NO_ROOM;
    for (unsigned i = 0; i < 6; i++)
        loopback_tell(desk_loop, &stale[i]);
    mp_death death = {.held = 1, .begun = 0, .begun_item = 1, .rows = {UINT64_C(9) << 32}};
    loopback_tell(desk_loop, &(mp_arrival){.kind = MP_ARRIVAL_DEATH, .death = &death});
    death.begun = 5;
    loopback_tell(desk_loop, &(mp_arrival){.kind = MP_ARRIVAL_DEATH, .death = &death});
    CHECK(!mp_pool_next(desk_pool, &e));
    loopback_work_all(desk_loop);
    desk_drain();
    CHECK_EQ_INT(m->done, 3);
    CHECK_EQ_INT(m->over, 1);
    desk_close();
}

TEST(ignores_news_of_a_row_that_waits)
{
    desk_open(1);
    desk_loop->by_hand = true;
    desk_loop->capacity = 0;
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 1);
    loopback_tell(
        desk_loop,
        &(mp_arrival){.kind = MP_ARRIVAL_DONE, .row = UINT64_C(1) << 32, .index = 1, .count = 1});
    mp_death death = {.held = 1, .begun = 0, .begun_item = 1, .rows = {UINT64_C(1) << 32}};
    loopback_tell(desk_loop, &(mp_arrival){.kind = MP_ARRIVAL_DEATH, .death = &death});
    desk_drain();
    CHECK_EQ_INT(desk_told(m), 0);
    desk_loop->capacity = 1;
    desk_loop->by_hand = false;
    desk_seal(m);
    desk_drain(); /* fills the ring */
    desk_drain();
    desk_check(m, 1);
    CHECK_EQ_INT(m->done, 1);
    desk_close();
}

/* ---- damage ---- */

TEST(fails_what_nobody_has_any_more)
{
    desk_open(2);
    desk_loop->by_hand = true;
    desk_loop->hold = 2;
    matter *m = desk_call(2), *released = desk_call(1);
    desk_add_many(m, 'd', 20);
    desk_add_many(released, 'd', 3);
    desk_seal(m);
    desk_seal(released);
    while (desk_loop->begun < 12)
        loopback_work(desk_loop);
    mp_call_release(released->call);
    loopback_damage(desk_loop, 0);
    desk_drain();
    CHECK(m->damaged > 0);
    CHECK(m->damaged + m->lost < 20);
    desk_loop->by_hand = false;
    desk_drain();
    desk_check(m, 20);
    CHECK_EQ_INT(m->done + m->damaged + m->lost, 20);
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

TEST(cancels_what_is_damaged_beyond_the_limit)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(5);
    desk_add_many(m, 'd', 10);
    desk_seal(m);
    for (int i = 0; i < 7; i++)
        loopback_work(desk_loop);
    mp_call_limit(m->call, 4);
    loopback_damage(desk_loop, 0);
    desk_drain();
    desk_check(m, 10);
    CHECK_EQ_INT(m->damaged, 3);
    CHECK_EQ_INT(m->done + m->lost, 0);
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

/* ---- trouble ---- */

TEST(tells_of_trouble)
{
    mp_event e;
    desk_open(1);
    loopback_tell(desk_loop,
                  &(mp_arrival){.kind = MP_ARRIVAL_TROUBLE, .count = 10, .status = 0x700});
    for (int i = 0; i < 2; i++) {
        REQUIRE(mp_pool_next(desk_pool, &e));
        CHECK_EQ_INT(e.kind, MP_EVENT_TROUBLE);
        CHECK_EQ_INT(e.count, 10);
        CHECK_EQ_INT(e.status, 0x700);
        CHECK_EQ_INT(e.code, 0);
    }
    mp_pool_settle(desk_pool);
    CHECK(!mp_pool_next(desk_pool, &e));
    desk_close();
}

CHECK_MAIN
