/* timeout: 120
 *
 * Births that fail: what is tried again, what is given up, and what is said of it. */
#include "spec/pool/failpoints.h"

static void die_at_birth(void *ctx, const mp_birth *birth)
{
    (void)ctx;
    (void)birth;
    _exit(9);
}

TEST(gives_up_on_workers_that_are_never_ready)
{
    static const mp_handler handler = {
        .start = die_at_birth, .run = shop_run, .finish = shop_leave};
    shop s;
    shop_open_with(&s, 3, &handler);
    shop_call(&s, 1);
    shop_add_many(&s, 'd', 0, 10);
    CHECK(SHOP_UNTIL(&s, s.troubles > 0, MP_BELL_LAZY));
    CHECK_EQ_INT(s.trouble.code, 0);
    CHECK(s.trouble.count >= 10);
    CHECK_EQ_INT(s.trouble.status, 9 << 8);
    mp_pool_terminate(s.pool);
    CHECK(SHOP_UNTIL(&s, s.over > 0, MP_BELL_LAZY));
    shop_check(&s);
    CHECK_EQ_INT(shop_told(&s), 0);
    CHECK(mp_pool_join(s.pool, mp_deadline(SHOP_PATIENCE)));
    shop_close(&s);
}

TEST(gets_over_some_that_are_not_ready)
{
    if (!SHOP_FAILPOINTS)
        return;
    CHECK_EQ_INT(map_under("worker.start/8:exit@1", 60, 0), 8);
}

TEST(tries_again_when_asked_after_it_gave_up)
{
    if (!SHOP_FAILPOINTS)
        return;
    mp_error error = {0};
    shop s;
    arm("worker.start/10:exit@1");
    shop_open(&s, 1);
    shop_call(&s, 3);
    shop_add_many(&s, 'd', 1, 60);
    CHECK(SHOP_UNTIL(&s, s.troubles > 0, MP_BELL_LAZY));
    CHECK_EQ_INT(disarm(), 10);
    CHECK_EQ_INT(mp_pool_want(s.pool, 1, &error), 0);
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done, 60);
    CHECK_EQ_INT(s.troubles, 1);
    shop_close(&s);
}

TEST(tells_of_births_that_fail_and_tries_again)
{
    if (!SHOP_FAILPOINTS)
        return;
    shop s;
    arm("nursery.fork.before/3:error@1+");
    shop_open(&s, 2);
    shop_call(&s, 3);
    shop_add_many(&s, 'd', 1, 60);
    CHECK(shop_finish_call(&s));
    CHECK_EQ_INT(disarm(), 3);
    shop_check(&s);
    CHECK_EQ_INT(s.done, 60);
    CHECK_EQ_INT(s.troubles, 1);
    CHECK_EQ_INT(s.trouble.code, -EAGAIN);
    shop_close(&s);
}

CHECK_MAIN
