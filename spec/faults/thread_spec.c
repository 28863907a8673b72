/* The thread that made a pool, and its workers, ends: they stay, and another one goes on. */
#include "spec/pool/workshop.h"

#include <pthread.h>

static void *make(void *arg)
{
    shop *s = arg;
    shop_open(s, 2);
    shop_call(s, 1);
    shop_add_many(s, 'd', 1, 100);
    return shop_finish_call(s) ? s : NULL;
}

static void end_thread(shop *s)
{
    pthread_t thread;
    void *made = NULL;
    CHECK_EQ_INT(pthread_create(&thread, NULL, make, s), 0);
    CHECK_EQ_INT(pthread_join(thread, &made), 0);
    REQUIRE(made == s);
    CHECK_EQ_INT((int)s->done, 100);
}

TEST(workers_outlive_the_thread_that_made_them)
{
    static shop s;
    end_thread(&s);
    pid_t first = shop_pid(&s, 0);
    usleep(200000);
    CHECK_EQ_INT(kill(first, 0), 0);
    shop_call(&s, 1);
    shop_add_many(&s, 'd', 1, 1000);
    CHECK(shop_finish_call(&s));
    CHECK_EQ_INT((int)s.done, 1000);
    CHECK_EQ_INT(shop_pid(&s, 0), first);
    shop_close(&s);
}

TEST(a_worker_lost_behind_that_thread_is_replaced)
{
    static shop s;
    end_thread(&s);
    shop_call(&s, 1);
    shop_add(&s, 'k', 1);
    shop_add_many(&s, 'd', 1, 100);
    CHECK(shop_finish_call(&s));
    CHECK_EQ_INT((int)s.lost, 1);
    CHECK_EQ_INT((int)s.done, 100);
    shop_close(&s);
}

CHECK_MAIN
