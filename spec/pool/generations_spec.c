/* timeout: 120
 * Workers made anew, added and taken away while the pool works, with death around. */
#include "spec/pool/failpoints.h"
#include "spec/pool/workshop.h"

static unsigned nurseries(const shop *s)
{
    unsigned n = 0;
    const brood *b;
    LIST_FOREACH (b, &s->local->broods, link) {
        n++;
    }
    return n;
}

static int32_t pid_of_rank(const shop *s, unsigned rank)
{
    mp_worker_view view;
    return mp_pool_worker(s->pool, rank, &view) ? view.pid : 0;
}

static bool filled(const shop *s, unsigned workers)
{
    for (unsigned i = 0; i < workers; i++)
        if (pid_of_rank(s, i) == 0)
            return false;
    return true;
}

static void refresh(shop *s)
{
    mp_error error = {0};
    CHECK_EQ_INT(mp_pool_refresh(s->pool, &error), 0);
}

static void resize(shop *s, unsigned workers)
{
    mp_error error = {0};
    CHECK_EQ_INT(mp_pool_resize(s->pool, workers, &error), 0);
}

/* Taking in news, since those who ended are noticed then. */
static bool alone(shop *s)
{
    return SHOP_UNTIL(s, nurseries(s) <= 1, MP_BELL_EAGER);
}

TEST(refreshes_idle_workers)
{
    shop s;
    shop_open(&s, 3);
    REQUIRE(shop_start(&s, 3));
    int32_t before = pid_of_rank(&s, 0);
    CHECK(before != 0);
    refresh(&s);
    CHECK_EQ_INT(pid_of_rank(&s, 0), 0);
    CHECK(SHOP_UNTIL(&s, nurseries(&s) == 0, MP_BELL_EAGER));
    shop_check_works(&s);
    CHECK(pid_of_rank(&s, 0) != before);
    CHECK_EQ_INT(nurseries(&s), 1);
    shop_close(&s);
}

TEST(loses_nothing_by_refreshing_busy_workers)
{
    shop s;
    shop_open(&s, 3);
    shop_call(&s, 1);
    for (int round = 0; round < 30; round++) {
        shop_add_many(&s, 'w', 300, 30);
        mp_pool_wait(s.pool, mp_deadline(0.002), MP_BELL_EAGER, NULL);
        shop_turn(&s);
        refresh(&s);
    }
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done, 900);
    CHECK(SHOP_UNTIL(&s, nurseries(&s) <= 1, MP_BELL_EAGER));
    CHECK(s.local->seats < 60);
    shop_release(&s);
    shop_close(&s);
}

TEST(a_worker_that_is_to_leave_ends_its_item_first)
{
    shop s;
    shop_open(&s, 1);
    shop_call(&s, 1);
    shop_add(&s, 'w', 300000);
    shop_add_many(&s, 'd', 1, 20);
    CHECK(SHOP_SOON(shop_memory->runs[1] != 0));
    refresh(&s);
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done, 21);
    CHECK(shop_memory->pid[1] != shop_memory->pid[2]);
    shop_release(&s);
    CHECK(alone(&s));
    shop_close(&s);
}

TEST(grows_beside_the_workers_that_are_there)
{
    shop s;
    shop_open(&s, 2);
    REQUIRE(shop_start(&s, 2));
    int32_t first = pid_of_rank(&s, 0);
    resize(&s, 5);
    mp_error error = {0};
    CHECK_EQ_INT(mp_pool_want(s.pool, 5, &error), 0);
    CHECK(SHOP_UNTIL(&s, filled(&s, 5), MP_BELL_EAGER) || filled(&s, 5));
    CHECK_EQ_INT(pid_of_rank(&s, 0), first);
    CHECK_EQ_INT(nurseries(&s), 2);
    shop_check_works(&s);
    shop_close(&s);
}

TEST(shrinks_and_keeps_the_first_workers)
{
    shop s;
    shop_open(&s, 4);
    REQUIRE(shop_start(&s, 4));
    int32_t first = pid_of_rank(&s, 0), last = pid_of_rank(&s, 3);
    resize(&s, 1);
    CHECK(SHOP_SOON(kill(last, 0) < 0));
    CHECK_EQ_INT(pid_of_rank(&s, 0), first);
    CHECK_EQ_INT(pid_of_rank(&s, 1), 0);
    shop_call(&s, 1);
    shop_add_many(&s, 'w', 500, 40);
    CHECK(shop_finish_call(&s));
    for (unsigned i = 1; i <= 40; i++)
        CHECK_EQ_INT(shop_memory->pid[i], first);
    shop_release(&s);
    shop_close(&s);
}

TEST(loses_nothing_by_growing_and_shrinking)
{
    static const unsigned sizes[] = {1, 6, 2, 3, 8, 1, 4};
    shop s;
    shop_open(&s, 4);
    shop_call(&s, 2);
    for (unsigned round = 0; round < 42; round++) {
        shop_add_many(&s, 'w', 200, 30);
        shop_turn(&s);
        resize(&s, sizes[round % 7]);
        if (round % 5 == 4)
            refresh(&s);
    }
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done, 42 * 30);
    shop_release(&s);
    CHECK(s.local->seats < 100);
    shop_close(&s);
}

/* ---- death ---- */

static void refresh_under(const char *list, unsigned most)
{
    shop s;
    arm(list);
    shop_open(&s, 2);
    shop_call(&s, 1);
    for (int round = 0; round < 6; round++) {
        shop_add_many(&s, 'w', 300, 20);
        mp_pool_wait(s.pool, mp_deadline(0.003), MP_BELL_EAGER, NULL);
        shop_turn(&s);
        refresh(&s);
    }
    CHECK(shop_finish_call(&s));
    disarm();
    shop_check(&s);
    CHECK(s.lost <= most);
    CHECK_EQ_INT(s.done + s.lost, 120);
    shop_release(&s);
    shop_close(&s);
}

TEST(a_worker_that_dies_while_it_leaves_costs_nothing)
{
    if (!SHOP_FAILPOINTS)
        return;
    refresh_under("batch.aside:kill@1+", 0);
    refresh_under("batch.done:kill@3+", 0);
}

TEST(a_nursery_that_dies_with_another_beside_it_costs_the_begun_items)
{
    if (!SHOP_FAILPOINTS)
        return;
    refresh_under("nursery.log:kill@1,item.begun/3:kill@2", 12);
    refresh_under("nursery.logged:kill@1,item.begun/2:kill@4", 12);
    refresh_under("nursery.bury:kill@2", 12);
}

TEST(the_loss_of_one_nursery_leaves_the_others_in_peace)
{
    shop s;
    shop_open(&s, 2);
    REQUIRE(shop_start(&s, 2));
    pid_t old = shop_nursery(&s)->process.pid;
    resize(&s, 4);
    mp_error error = {0};
    CHECK_EQ_INT(mp_pool_want(s.pool, 4, &error), 0);
    CHECK(SHOP_SOON(filled(&s, 4)));
    int32_t second = pid_of_rank(&s, 2);
    CHECK(kill(old, SIGKILL) == 0);
    shop_call(&s, 1);
    shop_add_many(&s, 'w', 2000, 100);
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK(s.lost <= 2);
    CHECK_EQ_INT(pid_of_rank(&s, 2), second);
    CHECK(SHOP_SOON(filled(&s, 4)));
    shop_release(&s);
    shop_close(&s);
}

TEST(both_nurseries_lost_are_replaced)
{
    shop s;
    shop_open(&s, 2);
    REQUIRE(shop_start(&s, 2));
    resize(&s, 4);
    mp_error error = {0};
    CHECK_EQ_INT(mp_pool_want(s.pool, 4, &error), 0);
    CHECK(SHOP_SOON(filled(&s, 4)));
    shop_call(&s, 1);
    shop_add_many(&s, 'w', 2000, 200);
    brood *b;
    LIST_FOREACH (b, &s.local->broods, link) {
        kill(b->nursery.process.pid, SIGKILL);
    }
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK(s.lost <= 4);
    shop_release(&s);
    CHECK(SHOP_SOON(filled(&s, 4)));
    shop_close(&s);
}

CHECK_MAIN
