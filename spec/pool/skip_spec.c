/* valgrind */
/* Items that are not run: they count, and nothing comes of them. */
#include "base/memory.h"
#include "spec/pool/desk.h"

static void skip(matter *m, unsigned n)
{
    mp_error error = {0};
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ_INT(mp_call_skip(m->call, &error), 0);
}

/* Each letter of the plan is an item: 's' is skipped, any other is the item's word. */
static void follow(matter *m, const char *plan)
{
    for (; *plan != '\0'; plan++) {
        if (*plan == 's')
            skip(m, 1);
        else
            desk_add_many(m, *plan, 1);
    }
}

/* The items of the plan have run once, each at its index, and those skipped never. */
static void check_plan(const matter *m, const char *plan)
{
    mp_call_counts counts = mp_call_count(m->call);
    CHECK_EQ_INT(counts.added, strlen(plan));
    CHECK_EQ_INT(counts.settled, strlen(plan));
    CHECK_EQ_INT(counts.cancelled, 0);
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(m->twice + m->wrong + m->late, 0);
    for (uint64_t i = 1; i <= counts.added; i++) {
        CHECK_EQ_INT(m->runs[i], plan[i - 1] != 's');
        CHECK_EQ_INT(m->seen[i], plan[i - 1] != 's');
    }
}

TEST(items_behind_those_skipped_keep_their_indexes)
{
    static const char *const plans[] = {"s",      "ss",   "sd",       "ds",         "dsd",
                                        "sdsdsd", "dddd", "ddsdddsd", "sssdddsssf", "dsssssssssd"};
    for (uint64_t granule = 1; granule < 5; granule++)
        for (unsigned i = 0; i < sizeof plans / sizeof plans[0]; i++) {
            desk_open(2);
            matter *m = desk_call(granule);
            follow(m, plans[i]);
            desk_seal(m);
            desk_drain();
            check_plan(m, plans[i]);
            mp_call_release(m->call);
            desk_check_empty();
            desk_close();
        }
}

TEST(a_call_of_nothing_else_is_over_once_it_is_sealed)
{
    desk_open(1);
    matter *m = desk_call(3);
    skip(m, 10);
    desk_drain();
    CHECK_EQ_INT(m->over, 0);
    CHECK_EQ_INT(mp_call_count(m->call).settled, 10);
    CHECK(!mp_pool_busy(desk_pool));
    desk_seal(m);
    desk_drain();
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(desk_loop->births, 0);
    desk_close();
}

TEST(the_granule_before_one_that_is_skipped_goes_out)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(10);
    follow(m, "ddd");
    CHECK_EQ_INT(desk_loop->waiting, 0);
    skip(m, 1);
    CHECK_EQ_INT(desk_loop->waiting, 1);
    skip(m, 1);
    CHECK_EQ_INT(desk_loop->waiting, 1);
    follow(m, "dd");
    desk_seal(m);
    CHECK_EQ_INT(desk_loop->waiting, 2);
    loopback_work_all(desk_loop);
    desk_drain();
    check_plan(m, "dddssdd");
    desk_close();
}

TEST(one_that_was_begun_is_skipped_and_leaves_nothing)
{
    mp_error error = {0};
    desk_open(1);
    matter *m = desk_call(2);
    follow(m, "d");
    for (int i = 0; i < 3; i++) {
        mp_buffer *b = mp_call_begin_item(m->call, &error);
        mp_buffer_append(b, "wrong", 5);
        skip(m, 1);
        CHECK_EQ_INT(mp_call_end_item(m->call, &error), -EBUSY);
    }
    follow(m, "dd");
    desk_seal(m);
    desk_drain();
    check_plan(m, "dsssdd");
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

TEST(items_that_are_made_may_be_skipped_too)
{
    mp_error error = {0};
    uint32_t added;
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(4);
    skip(m, 2);
    CHECK_EQ_INT(mp_call_add_made(m->call, 9, &added, &error), 0);
    CHECK_EQ_INT(added, 4);
    skip(m, 1);
    CHECK_EQ_INT(mp_call_count(m->call).added, 7);
    CHECK_EQ_INT(mp_call_count(m->call).settled, 3);
    CHECK_EQ_INT(desk_loop->waiting, 1);
    desk_close();
}

TEST(another_call_goes_on_beside_it)
{
    desk_open(2);
    matter *a = desk_call(4), *b = desk_call(4);
    for (int i = 0; i < 10; i++) {
        follow(a, "ds");
        follow(b, "ddd");
    }
    desk_seal(a);
    desk_seal(b);
    desk_drain();
    check_plan(a, "dsdsdsdsdsdsdsdsdsds");
    CHECK_EQ_INT(b->done, 30);
    CHECK_EQ_INT(b->over, 1);
    desk_close();
}

TEST(a_limit_cancels_none_of_those_skipped)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(2);
    follow(m, "ddsdsddd");
    mp_call_limit(m->call, 4);
    mp_call_counts counts = mp_call_count(m->call);
    CHECK_EQ_INT(counts.cancelled, 4);
    CHECK_EQ_INT(counts.settled, 6);
    follow(m, "sds");
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 5);
    desk_seal(m);
    CHECK_EQ_INT(m->over, 0);
    loopback_work_all(desk_loop);
    desk_drain();
    counts = mp_call_count(m->call);
    CHECK_EQ_INT(counts.added, 11);
    CHECK_EQ_INT(counts.settled, 11);
    CHECK_EQ_INT(counts.cancelled, 5);
    CHECK_EQ_INT(m->done, 2);
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(m->late, 0);
    desk_close();
}

TEST(a_call_may_be_released_with_some_skipped)
{
    for (int when = 0; when < 3; when++) {
        desk_open(1);
        desk_loop->by_hand = true;
        matter *m = desk_call(3);
        follow(m, "dsdds");
        if (when > 0)
            desk_seal(m);
        if (when > 1)
            loopback_work(desk_loop);
        mp_call_release(m->call);
        loopback_work_all(desk_loop);
        desk_drain();
        CHECK_EQ_INT(m->over + m->done, 0);
        desk_check_empty();
        desk_close();
    }
}

TEST(a_pool_that_is_terminated_ends_it_once)
{
    desk_open(1);
    desk_loop->by_hand = true;
    matter *m = desk_call(3);
    follow(m, "sdds");
    mp_pool_terminate(desk_pool);
    desk_drain();
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 2);
    CHECK_EQ_INT(mp_call_count(m->call).settled, 4);
    desk_close();
}

TEST(a_lost_worker_s_items_go_on_behind_it)
{
    desk_open(1);
    matter *m = desk_call(4);
    desk_loop->kill_at = 4;
    desk_loop->kill_when = LOOPBACK_BEGUN;
    follow(m, "ddssddddsd");
    desk_seal(m);
    desk_drain();
    CHECK_EQ_INT(m->lost, 1);
    CHECK_EQ_INT(m->done, 6);
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(m->seen[6], 1);
    CHECK_EQ_INT(m->runs[6], 0);
    CHECK_EQ_INT(mp_call_count(m->call).settled, 10);
    desk_close();
}

TEST(that_no_worker_can_be_had_is_told_and_skips_all_the_same)
{
    mp_error error = {0};
    desk_open(1);
    matter *m = desk_call(4);
    follow(m, "dd");
    desk_loop->refuse_want = 1;
    CHECK_EQ_INT(mp_call_skip(m->call, &error), 0);
    follow(m, "d");
    desk_seal(m);
    desk_drain();
    check_plan(m, "ddsd");
    desk_close();
}

static void *refuse(void *user, void *block, size_t size)
{
    (void)user;
    if (size == 0)
        free(block);
    return NULL;
}

TEST(where_the_granule_before_it_cannot_be_noted_nothing_is_skipped)
{
    mp_error error = {0};
    desk_open(1);
    matter *m = desk_call(4);
    follow(m, "dd");
    mp_memory_by(refuse, NULL);
    CHECK_EQ_INT(mp_call_skip(m->call, &error), -ENOMEM);
    mp_memory_by(NULL, NULL);
    CHECK_EQ_INT(mp_call_count(m->call).added, 2);
    follow(m, "sd");
    desk_seal(m);
    desk_drain();
    check_plan(m, "ddsd");
    desk_close();
}

CHECK_MAIN
