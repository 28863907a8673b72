/* valgrind
 * What every worker does once, over the loopback: whose outcome counts, and what stays. */
#include "spec/pool/desk.h"

/* A call whose item is the word, for every worker. */
static matter *everywhere(const char *word)
{
    mp_error error = {0};
    matter *m = calloc(1, sizeof *m);
    desk_matters[desk_count] = m;
    mp_definition *d = mp_pool_define(desk_pool, (const unsigned char *)"by value", 8, &error);
    m->call = mp_call_open(desk_pool, d, desk_count++, m, &error);
    mp_call_granule(m->call, 2);
    CHECK_EQ_INT(desk_add(m, word), 0);
    CHECK_EQ_INT(mp_call_everywhere(m->call, &error), 0);
    return m;
}

TEST(has_an_outcome_for_each_worker)
{
    desk_open(3);
    matter *m = everywhere("d1");
    desk_drain();
    desk_check(m, 3);
    CHECK_EQ_INT(m->done, 3);
    mp_call_release(m->call);
    m = everywhere("f1");
    desk_drain();
    desk_check(m, 3);
    CHECK_EQ_INT(m->failed, 3);
    mp_call_release(m->call);
    CHECK(!mp_pool_busy(desk_pool));
    desk_close();
}

TEST(comes_before_what_is_handed_out_behind_it)
{
    desk_open(1);
    matter *m = everywhere("d1");
    matter *work = desk_call(1);
    desk_add_many(work, 'd', 5);
    desk_seal(work);
    while (work->done == 0)
        REQUIRE(desk_take());
    CHECK_EQ_INT(m->done, 1);
    desk_drain();
    desk_check(work, 5);
    desk_close();
}

TEST(stops_at_its_first_failure_with_the_rest_cancelled)
{
    desk_open(4);
    matter *m = everywhere("f1");
    mp_event e;
    REQUIRE(mp_pool_next(desk_pool, &e));
    CHECK_EQ_INT(e.kind, MP_EVENT_FAILED);
    mp_call_limit(m->call, e.index);
    mp_pool_settle(desk_pool);
    desk_drain();
    mp_call_counts counts = mp_call_count(m->call);
    CHECK_EQ_INT(counts.added, 4);
    CHECK_EQ_INT(counts.settled, 4);
    CHECK_EQ_INT(m->over, 1);
    mp_call_release(m->call);
    CHECK(!mp_pool_busy(desk_pool));
    desk_close();
}

TEST(is_lost_with_the_worker_that_does_it)
{
    desk_open(2);
    desk_loop->kill_at = 1;
    desk_loop->kill_when = LOOPBACK_BEGUN;
    matter *m = everywhere("d1");
    desk_drain();
    CHECK_EQ_INT(m->lost, 1);
    CHECK_EQ_INT(m->done, 1);
    CHECK_EQ_INT(m->over, 1);
    mp_call_release(m->call);
    desk_close();
}

TEST(is_done_by_a_successor_where_nobody_had_begun_it)
{
    desk_open(2);
    desk_loop->by_hand = true;
    matter *m = everywhere("d1");
    loopback_kill(desk_loop, 0, SIGKILL);
    loopback_lose_nursery(desk_loop);
    desk_loop->by_hand = false;
    desk_drain();
    desk_check(m, 2);
    CHECK_EQ_INT(m->done, 2);
    mp_call_release(m->call);
    desk_close();
}

TEST(goes_with_ranks_that_go)
{
    mp_error error = {0};
    desk_open(3);
    desk_loop->by_hand = true;
    matter *m = everywhere("d1");
    CHECK_EQ_INT(mp_pool_resize(desk_pool, 1, &error), 0);
    desk_loop->by_hand = false;
    desk_drain();
    desk_check(m, 3);
    CHECK_EQ_INT(m->done, 1);
    mp_call_release(m->call);
    desk_close();
}

TEST(ends_with_a_pool_that_is_terminated)
{
    desk_open(2);
    desk_loop->by_hand = true;
    matter *m = everywhere("d1");
    mp_pool_terminate(desk_pool);
    desk_drain();
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(desk_told(m), 0);
    mp_call_release(m->call);
    CHECK(!mp_pool_busy(desk_pool));
    desk_close();
}

TEST(changes_nothing_where_memory_is_short)
{
    mp_error error = {0};
    for (unsigned n = 1; n <= 6; n++) {
        desk_open(2);
        matter *m = calloc(1, sizeof *m);
        desk_matters[desk_count] = m;
        mp_definition *d = mp_pool_define(desk_pool, (const unsigned char *)"x", 1, &error);
        m->call = mp_call_open(desk_pool, d, desk_count++, m, &error);
        mp_call_granule(m->call, 2);
        CHECK_EQ_INT(desk_add(m, "d1"), 0);
        if (n <= 3)
            desk_loop->refuse_open = n;
        else
            desk_loop->refuse_grow = n - 3;
        int status = mp_call_everywhere(m->call, &error);
        desk_drain();
        CHECK_EQ_INT(m->done, status == 0 ? 2 : 0);
        CHECK_EQ_INT(m->over, 1);
        mp_call_release(m->call);
        CHECK(!mp_pool_busy(desk_pool));
        desk_close();
    }
}

TEST(gives_back_what_workers_that_leave_had_not_begun)
{
    mp_error error = {0};
    desk_open(2);
    desk_loop->hold = 3;
    desk_loop->by_hand = true;
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 20);
    desk_seal(m);
    for (int i = 0; i < 9; i++) {
        loopback_work(desk_loop);
        if (i % 2 == 0)
            CHECK_EQ_INT(mp_pool_refresh(desk_pool, &error), 0);
        desk_drain();
    }
    desk_loop->by_hand = false;
    desk_drain();
    desk_check(m, 20);
    CHECK_EQ_INT(m->done, 20);
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

CHECK_MAIN
