/* valgrind */
#include "spec/pool/desk.h"

#include "base/clock.h"

#include <poll.h>

static int wait_now(void)
{
    return mp_pool_wait(desk_pool, mp_deadline(0), MP_BELL_EAGER, NULL);
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

TEST(is_busy_while_items_are_on_their_way)
{
    desk_open(1);
    CHECK(!mp_pool_busy(desk_pool));
    CHECK_EQ_INT(mp_pool_workers(desk_pool), 1);
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 2);
    CHECK(mp_pool_busy(desk_pool));
    desk_drain();
    CHECK(!mp_pool_busy(desk_pool));
    desk_close();
}

TEST(waits_for_news)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(1);
    CHECK_EQ_INT(wait_now(), 0);
    CHECK_EQ_INT(desk_loop->listens, 1);
    desk_add_many(m, 'd', 1);
    CHECK_EQ_INT(wait_now(), 0);
    loopback_work_all(desk_loop);
    CHECK_EQ_INT(wait_now(), 1);
    CHECK_EQ_INT(desk_loop->listens, 2);
    desk_drain();
    CHECK_EQ_INT(wait_now(), 0);
    desk_seal(m);
    CHECK_EQ_INT(wait_now(), 1); /* the call's end */
    desk_close();
}

TEST(hands_out_what_waits_before_it_sleeps)
{
    desk_open(1);
    desk_loop->by_hand = true;
    desk_loop->capacity = 1;
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 3);
    loopback_work(desk_loop);
    CHECK_EQ_INT(desk_loop->waiting, 0);
    CHECK_EQ_INT(wait_now(), 0);
    CHECK_EQ_INT(desk_loop->waiting, 1);
    desk_close();
}

TEST(has_a_descriptor_that_is_readable_when_there_is_news)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(1);
    int fd = mp_pool_fd(desk_pool);
    mp_pool_rest(desk_pool);
    CHECK(!readable(fd));
    desk_add_many(m, 'd', 2);
    mp_pool_rest(desk_pool);
    CHECK(!readable(fd));
    loopback_work_all(desk_loop);
    CHECK(readable(fd));
    CHECK(desk_take());
    mp_pool_rest(desk_pool);
    CHECK(readable(fd)); /* there is more */
    desk_drain();
    mp_pool_rest(desk_pool);
    CHECK(!readable(fd));
    desk_seal(m);
    mp_pool_rest(desk_pool);
    CHECK(readable(fd)); /* the call's end */
    desk_close();
}

TEST(starts_workers_when_asked)
{
    mp_error error = {0};
    desk_open(3);
    CHECK_EQ_INT(mp_pool_want(desk_pool, 2, &error), 0);
    CHECK_EQ_INT(desk_loop->births, 2);
    CHECK_EQ_INT(mp_pool_want(desk_pool, 1, &error), 0);
    CHECK_EQ_INT(desk_loop->births, 2);
    CHECK_EQ_INT(mp_pool_want(desk_pool, 100, &error), 0);
    CHECK_EQ_INT(desk_loop->births, 3);
    desk_close();
}

TEST(tries_again_to_start_workers_and_tells_once)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 3);
    desk_seal(m);
    loopback_lose_nursery(desk_loop);
    desk_loop->refuse_want = 10;
    desk_drain();
    CHECK_EQ_INT(desk_troubles, 1);
    CHECK_EQ_INT(desk_trouble.code, -EAGAIN);
    CHECK_EQ_INT(mp_pool_wait(desk_pool, MP_NEVER, MP_BELL_LAZY, NULL), 0);
    CHECK(desk_loop->slept_until < MP_NEVER);
    desk_loop->refuse_want = 0;
    desk_loop->by_hand = false;
    desk_drain();
    desk_drain();
    CHECK_EQ_INT(desk_troubles, 1);
    desk_check(m, 3);
    CHECK_EQ_INT(m->done, 3);
    desk_close();
}

TEST(finishes)
{
    mp_error error = {0};
    desk_open(2);
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 5);
    desk_seal(m);
    desk_drain();
    mp_call_release(m->call);
    CHECK(!mp_pool_join(desk_pool, 0));
    mp_pool_finish(desk_pool);
    CHECK(desk_loop->ended);
    CHECK(mp_pool_join(desk_pool, 0));
    CHECK_EQ_INT(mp_pool_want(desk_pool, 2, &error), -ESHUTDOWN);
    CHECK_EQ_INT(desk_loop->deaths, 0);
    desk_check_empty();
    desk_close();
}

/* ---- terminate ---- */

TEST(cancels_calls_of_all_kinds)
{
    mp_error error = {0};
    desk_open(2);
    desk_loop->by_hand = true;
    desk_loop->capacity = 6;
    matter *empty = desk_call(1), *over = desk_call(1), *told = desk_call(1), *half = desk_call(2),
           *filling = desk_call(10), *released = desk_call(1), *waiting = desk_call(1),
           *limited = desk_call(2);
    desk_add_many(told, 'd', 2);
    desk_seal(told);
    loopback_work_all(desk_loop);
    desk_drain();
    CHECK_EQ_INT(told->over, 1);
    desk_seal(over);
    desk_add_many(half, 'd', 6);
    for (int i = 0; i < 3; i++)
        loopback_work(desk_loop);
    desk_add_many(released, 'd', 1);
    mp_call_release(released->call);
    desk_add_many(limited, 'd', 4);
    mp_call_limit(limited->call, 2);
    desk_add_many(waiting, 'd', 10);
    desk_seal(waiting);
    desk_add_many(filling, 'd', 3);
    mp_call_begin_item(filling->call, &error);
    mp_pool_terminate(desk_pool);
    desk_drain();
    desk_check(empty, 0);
    desk_check(over, 0);
    desk_check(told, 2);
    desk_check(half, 6);
    desk_check(filling, 3);
    desk_check(waiting, 10);
    desk_check(limited, 4);
    CHECK_EQ_INT(released->over, 0);
    CHECK_EQ_INT(half->done + half->lost, 0);
    CHECK_EQ_INT(told->done, 2);
    CHECK(mp_pool_join(desk_pool, 0));
    matter *all[] = {empty, over, told, half, filling, waiting, limited};
    for (int i = 0; i < 7; i++)
        mp_call_release(all[i]->call);
    desk_check_empty();
    desk_close();
}

TEST(terminates_twice_and_after_the_end)
{
    desk_open(1);
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 1);
    mp_pool_terminate(desk_pool);
    mp_pool_terminate(desk_pool);
    desk_drain();
    mp_pool_finish(desk_pool);
    mp_pool_terminate(desk_pool);
    desk_drain();
    desk_check(m, 1);
    desk_close();
}

TEST(cancels_what_is_added_behind_the_end)
{
    desk_open(1);
    matter *m = desk_call(2);
    desk_add_many(m, 'd', 1);
    mp_pool_terminate(desk_pool);
    desk_add_many(m, 'd', 4);
    desk_drain();
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 5);
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

TEST(terminates_between_an_event_and_its_settling)
{
    mp_event e;
    desk_open(1);
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 3);
    REQUIRE(mp_pool_next(desk_pool, &e) && e.kind == MP_EVENT_DONE);
    mp_pool_terminate(desk_pool);
    desk_note(&e);
    mp_pool_settle(desk_pool);
    desk_drain();
    desk_check(m, 3);
    CHECK_EQ_INT(m->done, 1);
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 2);
    desk_close();
}

/* ---- the end of it all ---- */

TEST(frees_whatever_is_open)
{
    mp_error error = {0};
    mp_event e;
    desk_open(2);
    desk_loop->by_hand = true;
    desk_loop->capacity = 2;
    matter *a = desk_call(1), *b = desk_call(5);
    desk_add_many(a, 'd', 10);
    desk_add_many(b, 'd', 7);
    mp_pool_define(desk_pool, (const unsigned char *)"f", 1, &error);
    mp_call_begin_item(b->call, &error);
    for (int i = 0; i < 3; i++)
        loopback_work(desk_loop);
    CHECK(mp_pool_next(desk_pool, &e));
    desk_close();
}

TEST(frees_a_transport_that_it_cannot_use)
{
    static const mp_handler handler = {.run = desk_run};
    mp_error error = {0};
    loopback *l = loopback_new(1, &handler);
    mp_pool *pool = mp_pool_new(&l->base, 1, &error);
    REQUIRE(pool != NULL);
    mp_pool_free(pool);
}

CHECK_MAIN
