/* valgrind */
/* Items that have no bytes: the handler makes them. */
#include "spec/pool/desk.h"

enum { FIRST = 1000, STEP = 7 };

/* What an item is made of; 'f' where its number says that it fails for the first time. */
static int run_made(void *ctx, mp_task *task, mp_buffer *out)
{
    (void)ctx;
    matter *m = desk_matters[task->block->flags & 63];
    uint64_t value = task->block->recipe[0] + (task->index - 1) * task->block->recipe[1];
    CHECK(task->bytes == NULL && task->size == 0);
    CHECK((task->block->flags & 64) != 0);
    m->runs[task->index]++;
    if (mp_buffer_append(out, &value, sizeof value) < 0)
        return -ENOMEM;
    return task->index % 10 == 3 && m->runs[task->index] == 1 ? MP_TASK_FAILED : MP_TASK_DONE;
}

static uint64_t sum;

/* Takes all in; failed items run again if asked to. */
static void drain(matter *m, bool again)
{
    mp_event e;
    while (mp_pool_next(desk_pool, &e)) {
        uint64_t value;
        m->over += e.kind == MP_EVENT_CALL_OVER;
        m->done += e.kind == MP_EVENT_DONE;
        m->failed += e.kind == MP_EVENT_FAILED;
        m->lost += e.kind == MP_EVENT_LOST;
        if (e.kind != MP_EVENT_DONE && e.kind != MP_EVENT_CALL_OVER)
            CHECK(e.item == NULL && e.item_size == 0);
        if (e.kind == MP_EVENT_DONE) {
            memcpy(&value, e.data, sizeof value);
            CHECK_EQ_INT(value, FIRST + (e.index - 1) * STEP);
            sum += value;
        }
        if (again && e.kind == MP_EVENT_FAILED)
            CHECK_EQ_INT(mp_pool_again(desk_pool, 0, NULL), 0);
        else
            mp_pool_settle(desk_pool);
    }
}

static matter *open_made(uint64_t granule)
{
    static const mp_handler handler = {.run = run_made};
    mp_error error = {0};
    desk_loop = loopback_new(2, &handler);
    desk_pool = mp_pool_new(&desk_loop->base, 2, &error);
    desk_count = 0;
    sum = 0;
    matter *m = desk_call(granule);
    mp_call_recipe(m->call, FIRST, STEP, 64);
    return m;
}

static void add(matter *m, uint64_t n)
{
    mp_error error = {0};
    uint32_t added = 0;
    for (; n > 0; n -= added)
        REQUIRE(mp_call_add_made(m->call, n, &added, &error) == 0 && added > 0 && added <= n);
}

TEST(each_is_run_once_and_told_its_index)
{
    matter *m = open_made(7);
    add(m, 1000);
    desk_seal(m);
    loopback_work_all(desk_loop);
    drain(m, false);
    CHECK_EQ_INT(m->done + m->failed, 1000);
    CHECK_EQ_INT(m->failed, 100);
    CHECK_EQ_INT(m->over, 1);
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

TEST(one_that_failed_is_made_again)
{
    matter *m = open_made(16);
    add(m, 200);
    desk_seal(m);
    for (int round = 0; round < 3; round++) {
        loopback_work_all(desk_loop);
        drain(m, true);
    }
    CHECK_EQ_INT(m->done, 200);
    CHECK_EQ_INT(m->failed, 20);
    CHECK_EQ_INT(sum, 200 * FIRST + STEP * (199 * 200 / 2));
    CHECK_EQ_INT(m->over, 1);
    desk_close();
}

TEST(what_a_dead_worker_had_not_begun_goes_on_where_it_was)
{
    matter *m = open_made(10);
    desk_loop->kill_at = 6;
    desk_loop->kill_when = LOOPBACK_BEGUN;
    add(m, 10);
    desk_seal(m);
    drain(m, false);
    CHECK_EQ_INT(m->lost, 1);
    CHECK_EQ_INT(m->done + m->failed, 9);
    CHECK_EQ_INT(m->runs[6], 0);
    CHECK_EQ_INT(m->runs[7], 1);
    CHECK_EQ_INT(m->over, 1);
    desk_close();
}

TEST(those_above_the_limit_are_cancelled)
{
    matter *m = open_made(4);
    desk_loop->by_hand = true;
    mp_call_limit(m->call, 8);
    add(m, 40);
    desk_seal(m);
    mp_call_counts counts = mp_call_count(m->call);
    CHECK_EQ_INT(counts.added, 40);
    loopback_work_all(desk_loop);
    drain(m, false);
    CHECK_EQ_INT(m->done + m->failed, 7);
    CHECK_EQ_INT(mp_call_count(m->call).cancelled, 33);
    CHECK_EQ_INT(m->over, 1);
    desk_close();
}

TEST(they_stand_behind_those_that_have_bytes)
{
    mp_error error = {0};
    uint32_t added;
    desk_open(1);
    matter *m = desk_call(5);
    desk_loop->by_hand = true;
    desk_add_many(m, 'd', 3);
    CHECK_EQ_INT(desk_loop->waiting, 0);
    CHECK_EQ_INT(mp_call_add_made(m->call, 100, &added, &error), 0);
    CHECK_EQ_INT(added, 5);
    CHECK_EQ_INT(desk_loop->waiting, 2);
    CHECK_EQ_INT(mp_call_count(m->call).added, 8);
    desk_close();
}

CHECK_MAIN
