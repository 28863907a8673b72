/* timeout: 120
 * What every worker does once: its rows, its order, and death in it. Over real workers. */
#include "spec/pool/failpoints.h"
#include "spec/pool/workshop.h"

/* The shop's items are letters; a definition that is not in hand is what an errand needs. */
static int everywhere(shop *s, char letter, int32_t number)
{
    mp_error error = {0};
    mp_definition *d = mp_pool_define(s->pool, (const unsigned char *)"x", 1, &error);
    memset(s->seen, 0, sizeof s->seen);
    s->added = s->done = s->failed = s->lost = s->no_room = s->damaged = s->over = 0;
    s->call = mp_call_open(s->pool, d, 0, s, &error);
    mp_call_granule(s->call, 2);
    mp_buffer *b = mp_call_begin_item(s->call, &error);
    if (b == NULL)
        return error.code;
    mp_buffer_append(b, &letter, 1);
    mp_buffer_append(b, &number, sizeof number);
    CHECK_EQ_INT(mp_call_end_item(s->call, &error), 0);
    for (unsigned i = 1; i <= SHOP_ITEMS; i++)
        s->number[i] = number;
    return mp_call_everywhere(s->call, &error);
}

/* Workers that are born meanwhile do errands, so that runs are not to be counted. */
static void check_works(shop *s)
{
    shop_call(s, 3);
    shop_add_many(s, 'd', 7, 50);
    CHECK(shop_finish_call(s));
    CHECK_EQ_INT(s->done, 50);
    shop_release(s);
}

static void hear_out(shop *s)
{
    CHECK(SHOP_UNTIL(s, s->over > 0, MP_BELL_LAZY));
    CHECK_EQ_INT(s->twice + s->wrong, 0);
}

TEST(each_worker_does_it_once)
{
    shop s;
    shop_open(&s, 3);
    CHECK_EQ_INT(everywhere(&s, 'd', 5), 0);
    hear_out(&s);
    CHECK_EQ_INT(s.done, 3);
    for (unsigned i = 1; i <= 3; i++) {
        CHECK_EQ_INT(shop_memory->runs[i], 1);
        CHECK_EQ_INT(shop_memory->pid[i], shop_pid(&s, i - 1));
    }
    shop_release(&s);
    CHECK(!mp_pool_busy(s.pool));
    CHECK_EQ_INT(everywhere(&s, 'f', 6), 0);
    hear_out(&s);
    CHECK_EQ_INT(s.failed, 3);
    shop_release(&s);
    check_works(&s);
    mp_pool_finish(s.pool);
    CHECK(mp_pool_join(s.pool, mp_deadline(SHOP_PATIENCE)));
    shop_close(&s);
}

TEST(those_born_later_do_it_too)
{
    mp_error error = {0};
    shop s;
    shop_open(&s, 2);
    CHECK_EQ_INT(everywhere(&s, 'd', 5), 0);
    hear_out(&s);
    shop_release(&s);
    kill(shop_pid(&s, 0), SIGKILL);
    CHECK(SHOP_SOON(shop_memory->runs[1] == 2));
    CHECK_EQ_INT(mp_pool_resize(s.pool, 3, &error), 0);
    CHECK_EQ_INT(mp_pool_want(s.pool, 3, &error), 0);
    CHECK(SHOP_SOON(shop_memory->runs[3] == 1));
    CHECK_EQ_INT(mp_pool_refresh(s.pool, &error), 0);
    CHECK_EQ_INT(mp_pool_want(s.pool, 1, &error), 0);
    CHECK(SHOP_SOON(shop_memory->runs[1] == 3));
    check_works(&s);
    shop_close(&s);
}

TEST(a_released_one_is_still_done)
{
    shop s;
    shop_open(&s, 2);
    REQUIRE(shop_start(&s, 2));
    CHECK_EQ_INT(everywhere(&s, 'w', 1000), 0);
    shop_release(&s);
    CHECK(!mp_pool_busy(s.pool));
    CHECK(SHOP_SOON(shop_memory->runs[1] == 1 && shop_memory->runs[2] == 1));
    check_works(&s);
    shop_close(&s);
}

TEST(an_item_that_was_handed_out_is_refused)
{
    mp_error error = {0};
    shop s;
    shop_open(&s, 1);
    shop_call(&s, 1);
    shop_add(&s, 'd', 1);
    CHECK_EQ_INT(mp_call_everywhere(s.call, &error), -EBUSY);
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    shop_release(&s);
    shop_close(&s);
}

/* ---- death ---- */

TEST(who_dies_in_it_has_lost_its_row)
{
    if (!SHOP_FAILPOINTS)
        return;
    shop s;
    arm("errand.begun/1:kill@1");
    shop_open(&s, 3);
    REQUIRE(shop_start(&s, 3));
    CHECK_EQ_INT(everywhere(&s, 'd', 5), 0);
    hear_out(&s);
    CHECK_EQ_INT(disarm(), 1);
    CHECK_EQ_INT(s.lost, 1);
    CHECK_EQ_INT(s.done, 2);
    CHECK(WIFSIGNALED(s.last_lost.status));
    shop_release(&s);
    CHECK_EQ_INT(s.troubles, 0);
    check_works(&s);
    shop_close(&s);
}

TEST(what_was_claimed_runs_elsewhere)
{
    if (!SHOP_FAILPOINTS)
        return;
    static const char *const places[] = {"errand.begun/1:kill@1", "errand.done/1:kill@1",
                                         "batch.aside/1:kill@1"};
    for (unsigned i = 0; i < 3; i++) {
        shop s, work;
        arm(places[i]);
        shop_open(&s, 1);
        work = s;
        shop_call(&work, 1);
        shop_add_many(&work, 'w', 1000, 100);
        CHECK(SHOP_SOON(shop_memory->runs[2] != 0));
        mp_call *call = work.call;
        CHECK_EQ_INT(everywhere(&s, 'd', 5), 0);
        hear_out(&s);
        unsigned acted = disarm();
        CHECK(acted == 1 || i == 2); /* a claim just as the errand comes is a matter of luck */
        CHECK_EQ_INT(s.done + s.lost, 1);
        CHECK(i == 0 ? s.lost == 1 : s.done == 1);
        shop_release(&s);
        work.call = call;
        CHECK(shop_finish_call(&work));
        CHECK(work.lost <= 1); /* the item that a worker has claimed is begun by that */
        CHECK_EQ_INT(work.done + work.lost, 100);
        shop_release(&work);
        shop_close(&s);
    }
}

TEST(lost_with_the_nursery_it_is_done_by_others)
{
    shop s;
    shop_open(&s, 2);
    REQUIRE(shop_start(&s, 2));
    for (int i = 0; i < 5; i++) {
        CHECK_EQ_INT(everywhere(&s, 'w', 300), 0);
        shop_kill_nursery(&s);
        hear_out(&s);
        CHECK_EQ_INT(s.done + s.lost, 2);
        shop_release(&s);
    }
    check_works(&s);
    shop_close(&s);
}

TEST(refreshing_and_resizing_in_the_middle_end_well)
{
    static const unsigned sizes[] = {3, 1, 4, 2};
    mp_error error = {0};
    shop s;
    shop_open(&s, 2);
    for (int i = 0; i < 12; i++) {
        CHECK_EQ_INT(everywhere(&s, 'w', 300), 0);
        uint64_t rows = mp_call_count(s.call).added;
        if (i % 3 == 0)
            CHECK_EQ_INT(mp_pool_refresh(s.pool, &error), 0);
        else
            CHECK_EQ_INT(mp_pool_resize(s.pool, sizes[i % 4], &error), 0);
        hear_out(&s);
        CHECK_EQ_INT(s.done + mp_call_count(s.call).cancelled, rows);
        shop_release(&s);
    }
    check_works(&s);
    CHECK(SHOP_UNTIL(&s, !mp_pool_busy(s.pool), MP_BELL_LAZY));
    shop_close(&s);
}

TEST(one_that_kills_every_worker_ends_the_births)
{
    shop s;
    shop_open(&s, 2);
    CHECK_EQ_INT(everywhere(&s, 'k', 0), 0);
    hear_out(&s);
    CHECK_EQ_INT(s.lost, 2);
    CHECK(SHOP_UNTIL(&s, s.troubles == 1, MP_BELL_EAGER));
    CHECK_EQ_INT(s.trouble.code, 0);
    shop_release(&s);
    shop_close(&s);
}

CHECK_MAIN
