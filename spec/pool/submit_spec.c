/* valgrind */
#include "spec/pool/desk.h"

/* All granules that the ring holds, as the worker claims them one by one. */
static unsigned granules(void)
{
    return desk_loop->waiting;
}

TEST(hands_out_granules_of_the_size_asked_for)
{
    static const struct {
        unsigned granule, items, granules;
    } cases[] = {{1, 7, 7}, {2, 7, 4}, {3, 7, 3}, {7, 7, 1}, {64, 7, 1}, {64, 640, 10}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        desk_open(2);
        desk_loop->by_hand = true;
        matter *m = desk_call(cases[i].granule);
        desk_add_many(m, 'd', cases[i].items);
        desk_seal(m);
        CHECK_EQ_INT(granules(), cases[i].granules);
        loopback_work_all(desk_loop);
        desk_drain();
        desk_check(m, cases[i].items);
        CHECK_EQ_INT(m->done, cases[i].items);
        desk_close();
    }
}

TEST(counts_a_granule_of_nothing_as_one)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(0);
    desk_add_many(m, 'd', 3);
    CHECK_EQ_INT(granules(), 3);
    desk_close();
}

TEST(changes_the_size_between_granules)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(2);
    desk_add_many(m, 'd', 4);
    mp_call_granule(m->call, 5);
    desk_add_many(m, 'd', 10);
    CHECK_EQ_INT(granules(), 4);
    loopback_work_all(desk_loop);
    desk_drain();
    CHECK_EQ_INT(m->done, 14);
    desk_close();
}

TEST(keeps_a_granule_that_is_not_full_until_flushed)
{
    mp_error error = {0};
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(10);
    desk_add_many(m, 'd', 4);
    CHECK_EQ_INT(granules(), 0);
    CHECK_EQ_INT(mp_call_flush(m->call, &error), 0);
    CHECK_EQ_INT(granules(), 1);
    CHECK_EQ_INT(mp_call_flush(m->call, &error), 0);
    CHECK_EQ_INT(granules(), 1);
    desk_close();
}

TEST(gives_items_of_all_lengths_whole)
{
    static const size_t sizes[] = {1, 2, 7, 100, 4096, 1 << 20, 5};
    mp_error error = {0};
    desk_open(1);
    matter *m = desk_call(3);
    for (unsigned i = 0; i < 7; i++) {
        mp_buffer *b = mp_call_begin_item(m->call, &error);
        REQUIRE(b != NULL && mp_buffer_reserve(b, sizes[i]) == 0);
        memset(b->data + b->len, 'a' + (int)i, sizes[i]);
        b->data[b->len] = 'd';
        b->len += sizes[i];
        CHECK_EQ_INT(mp_call_end_item(m->call, &error), 0);
    }
    desk_seal(m);
    mp_event e;
    for (unsigned i = 0; i < 7; i++) {
        REQUIRE(mp_pool_next(desk_pool, &e) && e.kind == MP_EVENT_DONE);
        CHECK_EQ_INT(e.size, sizes[i]);
        CHECK(sizes[i] == 1 || e.data[sizes[i] - 1] == 'a' + i);
        mp_pool_settle(desk_pool);
    }
    desk_close();
}

TEST(starts_an_item_anew)
{
    mp_error error = {0};
    desk_open(1);
    matter *m = desk_call(2);
    desk_add_many(m, 'd', 1);
    mp_buffer *b = mp_call_begin_item(m->call, &error);
    mp_buffer_append(b, "wrong", 5);
    b = mp_call_begin_item(m->call, &error);
    mp_buffer_append(b, "d", 1);
    CHECK_EQ_INT(mp_call_end_item(m->call, &error), 0);
    desk_seal(m);
    desk_drain();
    desk_check(m, 2);
    CHECK_EQ_INT(m->done, 2);
    desk_close();
}

TEST(leaves_out_an_item_that_was_not_ended)
{
    mp_error error = {0};
    desk_open(1);
    matter *m = desk_call(10);
    desk_add_many(m, 'd', 2);
    mp_buffer_append(mp_call_begin_item(m->call, &error), "wrong", 5);
    desk_seal(m);
    desk_drain();
    desk_check(m, 2);
    desk_close();
}

TEST(fills_the_granules_of_two_calls_in_turn)
{
    desk_open(2);
    matter *a = desk_call(3), *b = desk_call(5);
    for (int i = 0; i < 20; i++) {
        desk_add_many(a, 'd', 1);
        desk_add_many(b, 'f', 2);
    }
    desk_seal(a);
    desk_seal(b);
    desk_drain();
    desk_check(a, 20);
    desk_check(b, 40);
    CHECK_EQ_INT(a->done, 20);
    CHECK_EQ_INT(b->failed, 40);
    desk_close();
}

TEST(loses_no_item_to_a_definition_made_in_between)
{
    mp_error error = {0};
    desk_open(1);
    matter *m = desk_call(10);
    desk_add_many(m, 'd', 3);
    mp_definition *d = mp_pool_define(desk_pool, (const unsigned char *)"return", 6, &error);
    REQUIRE(d != NULL);
    desk_add_many(m, 'd', 3);
    desk_seal(m);
    desk_drain();
    desk_check(m, 6);
    CHECK_EQ_INT(m->done, 6);
    desk_close();
}

/* Whoever makes an item's bytes may be the user's code, and use the pool. */
TEST(refuses_an_item_in_whose_making_the_pool_was_used)
{
    for (int use = 0; use < 4; use++) {
        mp_error error = {0};
        desk_open(1);
        matter *m = desk_call(10), *other = desk_call(1);
        desk_add_many(m, 'd', 2);
        mp_buffer *b = mp_call_begin_item(m->call, &error);
        mp_buffer_append(b, "outer", 5);
        if (use == 0)
            desk_add_many(m, 'd', 1);
        else if (use == 1)
            desk_add_many(other, 'd', 1);
        else if (use == 2)
            mp_pool_define(desk_pool, (const unsigned char *)"f", 1, &error);
        else
            mp_call_flush(m->call, &error);
        mp_buffer_append(b, "again", 5);
        CHECK_EQ_INT(mp_call_end_item(m->call, &error), -EBUSY);
        desk_add_many(m, 'd', 1);
        desk_seal(m);
        desk_drain();
        desk_check(m, use == 0 ? 4 : 3);
        CHECK_EQ_INT(m->done, use == 0 ? 4 : 3);
        desk_close();
    }
}

TEST(loses_no_item_where_memory_is_refused)
{
    for (unsigned n = 1; n < 40; n++) {
        unsigned refused = 0, added = 0;
        desk_open(2);
        matter *m = desk_call(4);
        desk_loop->refuse_open = n % 2 != 0 ? n / 2 + 1 : 0;
        desk_loop->refuse_grow = n % 2 == 0 ? n / 2 : 0;
        while (added < 50) {
            int status = desk_add(m, "dozen of letters");
            refused += status == -ENOSPC || status == -ENOMEM;
            added += status == 0;
            CHECK(status == 0 || status == -ENOSPC || status == -ENOMEM);
        }
        desk_seal(m);
        desk_drain();
        CHECK_EQ_INT(refused, n % 2 == 0 || n / 2 + 1 <= 13);
        desk_check(m, 50);
        CHECK_EQ_INT(m->done, 50);
        desk_close();
    }
}

TEST(tells_where_no_call_can_be_opened)
{
    mp_error error = {0};
    desk_open(1);
    mp_definition *d = mp_define_in_hand(mp_pool_definitions(desk_pool), &error);
    desk_loop->refuse_open = 1;
    CHECK(mp_call_open(desk_pool, d, 0, NULL, &error) == NULL);
    CHECK_EQ_INT(error.code, -ENOSPC);
    CHECK_EQ_INT(mp_pool_definitions(desk_pool)->idle_count, 1);
    CHECK_EQ_INT(desk_loop->pieces, 0);
    desk_close();
}

TEST(holds_back_what_the_ring_does_not_take)
{
    enum { N = 10000 };
    desk_open(2);
    desk_loop->by_hand = true;
    desk_loop->capacity = 2;
    matter *m = desk_call(1);
    desk_add_many(m, 'd', N);
    desk_seal(m);
    CHECK_EQ_INT(granules(), 2);
    unsigned most = 0;
    for (int left = 10 * N; m->over == 0 && left > 0; left--) {
        loopback_work(desk_loop);
        desk_take();
        most = granules() > most ? granules() : most;
    }
    CHECK(most <= 2);
    desk_check(m, N);
    CHECK_EQ_INT(m->done, N);
    for (unsigned i = 0; i < m->ordered; i++)
        CHECK_EQ_INT(m->order[i], i + 1);
    desk_close();
}

TEST(wants_as_many_workers_as_there_are_granules)
{
    desk_open(4);
    desk_loop->by_hand = true;
    matter *m = desk_call(2);
    CHECK_EQ_INT(desk_loop->births, 0);
    desk_add_many(m, 'd', 2);
    CHECK_EQ_INT(desk_loop->births, 1);
    desk_add_many(m, 'd', 4);
    CHECK_EQ_INT(desk_loop->births, 3);
    desk_add_many(m, 'd', 20);
    CHECK_EQ_INT(desk_loop->births, 4);
    desk_close();
}

TEST(tells_that_no_worker_can_be_had_and_loses_nothing_by_it)
{
    desk_open(1);
    matter *m = desk_call(1);
    desk_loop->refuse_want = 1;
    CHECK_EQ_INT(desk_add(m, "d"), -EAGAIN);
    CHECK_EQ_INT(desk_add(m, "d"), 0);
    desk_seal(m);
    desk_drain();
    desk_check(m, 2);
    CHECK_EQ_INT(m->done, 2);
    desk_close();
}

TEST(does_not_run_what_was_withdrawn_in_time)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(2);
    desk_add_many(m, 'd', 11);
    mp_call_limit(m->call, 4);
    CHECK_EQ_INT(granules(), 2);
    desk_seal(m);
    loopback_work_all(desk_loop);
    desk_drain();
    desk_check(m, 11);
    CHECK_EQ_INT(m->done, 3);
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 8);
    CHECK_EQ_INT(m->runs[4] + m->runs[5] + m->runs[11], 0);
    desk_close();
}

TEST(withdraws_from_the_backlog_too)
{
    desk_open(1);
    desk_loop->by_hand = true;
    desk_loop->capacity = 2;
    matter *m = desk_call(1);
    desk_add_many(m, 'd', 100);
    mp_call_limit(m->call, 51);
    mp_call_limit(m->call, 70); /* never raised again */
    desk_add_many(m, 'd', 3);
    desk_seal(m);
    for (int left = 1000; m->over == 0 && left > 0; left--) {
        loopback_work(desk_loop);
        desk_take();
    }
    desk_check(m, 103);
    CHECK_EQ_INT(m->done, 50);
    desk_close();
}

TEST(counts_what_is_cancelled_at_once)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(4);
    desk_add_many(m, 'd', 10);
    loopback_work(desk_loop);
    mp_call_limit(m->call, 2);
    mp_call_counts counts = mp_call_count(m->call);
    CHECK_EQ_INT(counts.added, 10);
    CHECK_EQ_INT(counts.cancelled, 9);
    CHECK_EQ_INT(counts.settled, 9);
    desk_close();
}

TEST(sends_a_definition_with_its_call)
{
    mp_error error = {0};
    desk_open(1);
    desk_loop->by_hand = true;
    mp_definition *d = mp_pool_define(desk_pool, (const unsigned char *)"return", 6, &error);
    mp_call *call = mp_call_open(desk_pool, d, 0, NULL, &error);
    CHECK_EQ_INT(mp_call_kind(call), d->id);
    mp_pool_define(desk_pool, (const unsigned char *)"return", 6, &error);
    CHECK_EQ_INT(d->users, 2);
    mp_call_release(call);
    CHECK_EQ_INT(d->users, 1);
    desk_close();
}

CHECK_MAIN
