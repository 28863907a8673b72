/* timeout: 120
 * The pool over real workers: what they give, and how it stops and goes on. */
#include "spec/pool/workshop.h"

#include <poll.h>

TEST(runs_items_in_workers)
{
    shop s;
    shop_open(&s, 3);
    shop_call(&s, 4);
    shop_add_many(&s, 'd', 1, 1000);
    shop_add_many(&s, 'f', 2, 50);
    shop_add_many(&s, 'n', 3, 20);
    shop_add_many(&s, 'g', 300, 20);
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done, 1020);
    CHECK_EQ_INT(s.failed, 50);
    CHECK_EQ_INT(s.no_room, 20);
    for (unsigned i = 1; i <= 1090; i++)
        if (shop_memory->pid[i] == getpid())
            CHECK(shop_memory->pid[i] != getpid());
    shop_release(&s);
    CHECK(!mp_pool_busy(s.pool));
    mp_pool_finish(s.pool);
    CHECK(mp_pool_join(s.pool, mp_deadline(SHOP_PATIENCE)));
    shop_close(&s);
}

TEST(keeps_chunks_in_one_worker)
{
    shop s;
    shop_open(&s, 4);
    shop_call(&s, 5);
    shop_add_many(&s, 'w', 500, 100);
    CHECK(shop_finish_call(&s));
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ_INT(shop_memory->pid[i + 1], shop_memory->pid[i / 5 * 5 + 1]);
    shop_release(&s);
    shop_close(&s);
}

TEST(cancels_in_time)
{
    shop s;
    shop_open(&s, 2);
    shop_call(&s, 1);
    shop_add_many(&s, 'w', 2000, 2000);
    CHECK(SHOP_UNTIL(&s, s.done > 10, MP_BELL_EAGER));
    mp_call_limit(s.call, 60);
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done, 59);
    shop_release(&s);
    CHECK(SHOP_UNTIL(&s, !mp_pool_busy(s.pool), MP_BELL_EAGER));
    unsigned ran = 0;
    for (unsigned i = 1; i <= 2000; i++)
        ran += shop_memory->runs[i];
    CHECK(ran < 200);
    shop_close(&s);
}

TEST(terminates_workers_that_spin)
{
    shop s;
    shop_open(&s, 3);
    shop_call(&s, 1);
    shop_add_many(&s, 's', 0, 20);
    CHECK(SHOP_SOON(shop_memory->runs[1] != 0));
    mp_pool_terminate(s.pool);
    CHECK(SHOP_UNTIL(&s, s.over > 0, MP_BELL_EAGER));
    shop_check(&s);
    CHECK_EQ_INT(shop_told(&s), 0);
    CHECK(mp_pool_join(s.pool, mp_deadline(SHOP_PATIENCE)));
    shop_release(&s);
    CHECK(SHOP_UNTIL(&s, !mp_pool_busy(s.pool), MP_BELL_LAZY));
    shop_close(&s);
}

TEST(stays_terminated_when_it_is_finished_as_well)
{
    shop s;
    shop_open(&s, 1);
    shop_call(&s, 1);
    shop_add_many(&s, 's', 0, 1);
    CHECK(SHOP_SOON(shop_memory->runs[1] != 0));
    mp_pool_terminate(s.pool);
    mp_pool_finish(s.pool);
    CHECK(mp_pool_join(s.pool, mp_deadline(SHOP_PATIENCE)));
    shop_close(&s);
}

TEST(is_freed_with_work_going_on)
{
    shop s;
    shop_open(&s, 2);
    shop_call(&s, 1);
    shop_add_many(&s, 's', 0, 4);
    CHECK(SHOP_SOON(shop_memory->runs[1] != 0));
    shop_close(&s);
}

TEST(runs_several_pools_side_by_side)
{
    enum { POOLS = 3 };
    static shop s[POOLS];
    int before = shop_count_descriptors();
    for (int i = 0; i < POOLS; i++) {
        shop_open(&s[i], 2);
        shop_call(&s[i], 2);
    }
    for (int n = 0; n < 100; n++)
        for (int i = 0; i < POOLS; i++)
            shop_add(&s[i], n == 50 ? 'k' : 'd', i);
    mp_pool_free(s[1].pool);
    CHECK(shop_finish_call(&s[0]));
    CHECK(shop_finish_call(&s[2]));
    for (int i = 0; i < POOLS; i += 2) {
        CHECK_EQ_INT(s[i].lost, 1);
        CHECK_EQ_INT(s[i].done, 99);
        mp_pool_free(s[i].pool);
    }
    CHECK(shop_nobody_left());
    CHECK_EQ_INT(shop_count_descriptors(), before);
}

TEST(can_be_dropped_by_a_fork_of_its_host)
{
    shop s;
    shop_open(&s, 2);
    shop_call(&s, 1);
    shop_add_many(&s, 'w', 1000, 100);
    pid_t child = fork();
    if (child == 0) {
        mp_pool_free(s.pool);
        _exit(0);
    }
    int status = -1;
    CHECK_EQ_INT(waitpid(child, &status, 0), child);
    CHECK_EQ_INT(status, 0);
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done, 100);
    shop_close(&s);
}

TEST(has_a_descriptor_that_tells)
{
    shop s;
    shop_open(&s, 1);
    struct pollfd p = {.fd = mp_pool_fd(s.pool), .events = POLLIN};
    mp_pool_rest(s.pool);
    CHECK_EQ_INT(poll(&p, 1, 0), 0);
    shop_call(&s, 1);
    shop_add_many(&s, 'w', 20000, 1);
    for (int rings = 0; s.done == 0 && rings < 10; rings++) {
        mp_pool_rest(s.pool);
        CHECK_EQ_INT(poll(&p, 1, SHOP_PATIENCE * 1000), 1);
        shop_turn(&s);
    }
    CHECK_EQ_INT(s.done, 1);
    CHECK(SHOP_SOON(shop_all_idle(&s, 1)));
    shop_turn(&s);
    mp_pool_rest(s.pool);
    CHECK_EQ_INT(poll(&p, 1, 0), 0);
    shop_close(&s);
}

TEST(waits_with_results_for_a_host_that_is_elsewhere)
{
    shop s;
    shop_open(&s, 2);
    shop_call(&s, 1);
    shop_add_many(&s, 'g', 1024, 200); /* more than a worker may leave unread */
    shop_seal(&s);
    usleep(300000);
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done, 200);
    shop_close(&s);
}

/* Its worker goes on with another call, whose item does not end. */
TEST(tells_a_lazy_host_of_a_call_that_is_over)
{
    shop s, other;
    shop_open(&s, 1);
    REQUIRE(shop_start(&s, 1));
    other = s;
    shop_call(&s, 1);
    shop_add_many(&s, 'w', 20000, 3);
    shop_seal(&s);
    shop_call(&other, 1);
    shop_add_many(&other, 's', 0, 1);
    CHECK(SHOP_UNTIL(&s, s.over > 0, MP_BELL_LAZY));
    CHECK_EQ_INT(s.done, 3);
    shop_close(&s);
}

/* ---- memory ---- */

TEST(says_that_there_is_no_memory_for_a_pool)
{
    if (!SHOP_FAILPOINTS)
        return;
    static const mp_handler handler = {.start = shop_begin, .run = shop_run, .finish = shop_leave};
    int before = shop_count_descriptors(), made = 0;
    for (int n = 1; n <= 8; n++) {
        mp_error error = {0};
        mp_transport *t = NULL;
        char list[40];
        snprintf(list, sizeof list, "region.create:error@%d", n);
        setenv("MOONPOOL_FAILPOINTS", list, 1);
        /* Counted anew for each process. */
        pid_t child = fork();
        if (child == 0) {
            int status = mp_transport_local(&t, 3, &handler, &error);
            if (status == 0)
                t->ops->destroy(t);
            bool clean = shop_count_descriptors() == before && (status == 0) == (error.code == 0);
            _exit(!clean ? 2 : status == 0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        CHECK(status == 0 || status == 1 << 8);
        made += status != 0;
    }
    unsetenv("MOONPOOL_FAILPOINTS");
    CHECK(made > 0 && made < 8);
}

TEST(loses_nothing_while_memory_is_refused)
{
    if (!SHOP_FAILPOINTS)
        return;
    shop s;
    shop_open(&s, 2);
    REQUIRE(shop_start(&s, 2));
    shop_call(&s, 1);
    setenv("MOONPOOL_FAILPOINTS", "region.grow:error@1+", 1);
    shop_padding = 5000;
    unsigned refused = 0;
    while (s.added < 4000) {
        int status = shop_add(&s, 'd', (int32_t)s.added);
        if (status == 0)
            continue;
        CHECK(status == -ENOMEM || status == -ENOSPC);
        if (++refused == 3)
            unsetenv("MOONPOOL_FAILPOINTS");
    }
    CHECK_EQ_INT(refused, 3);
    shop_padding = 0;
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done, 4000);
    shop_close(&s);
}

/* ---- stopped workers ---- */

TEST(goes_on_without_a_worker_that_is_stopped_asleep)
{
    shop s;
    shop_open(&s, 2);
    REQUIRE(shop_start(&s, 2));
    for (unsigned i = 0; i < 40; i++) {
        pid_t stopped = shop_pid(&s, i % 2);
        kill(stopped, SIGSTOP);
        if (i % 4 < 2)
            usleep(1000); /* else it may be called before anybody knows that it is stopped */
        shop_call(&s, 1);
        shop_add_many(&s, 'd', 1, 1 + i % 3);
        CHECK(shop_finish_call(&s));
        CHECK_EQ_INT(s.done, 1 + i % 3);
        shop_release(&s);
        kill(stopped, SIGCONT);
        CHECK(SHOP_SOON(shop_all_idle(&s, 2)));
    }
    shop_close(&s);
}

TEST(calls_a_worker_that_was_stopped_when_work_came)
{
    shop s;
    shop_open(&s, 2);
    REQUIRE(shop_start(&s, 2));
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned seat = 0; seat < 2; seat++)
            kill(shop_pid(&s, seat), SIGSTOP);
        if (i % 2 == 0)
            CHECK(SHOP_SOON(mp_load_acquire(&s.local->segment.seats[0].paused) != 0 &&
                            mp_load_acquire(&s.local->segment.seats[1].paused) != 0));
        shop_call(&s, 1);
        shop_add_many(&s, 'd', 1, 3);
        kill(shop_pid(&s, i / 2 % 2), SIGCONT);
        CHECK(shop_finish_call(&s));
        CHECK_EQ_INT(s.done, 3);
        shop_release(&s);
        kill(shop_pid(&s, 1 - i / 2 % 2), SIGCONT);
        CHECK(SHOP_SOON(shop_all_idle(&s, 2)));
    }
    shop_close(&s);
}

TEST(waits_for_a_worker_that_is_stopped_at_work)
{
    shop s;
    shop_open(&s, 2);
    shop_call(&s, 1);
    shop_add_many(&s, 'p', 0, 1);
    shop_add_many(&s, 'd', 0, 100);
    shop_seal(&s);
    CHECK(SHOP_UNTIL(&s, s.done == 100, MP_BELL_EAGER));
    CHECK_EQ_INT(s.over, 0);
    kill(shop_memory->pid[1], SIGCONT);
    CHECK(shop_finish_call(&s));
    CHECK_EQ_INT(s.done, 101);
    shop_close(&s);
}

TEST(loses_a_stopped_worker_that_is_killed)
{
    shop s;
    shop_open(&s, 1);
    shop_call(&s, 3);
    shop_add_many(&s, 'p', 0, 1);
    shop_add_many(&s, 'd', 0, 11);
    CHECK(SHOP_SOON(shop_memory->pid[1] != 0));
    kill(shop_memory->pid[1], SIGKILL);
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.lost, 1);
    CHECK_EQ_INT(s.done, 11);
    shop_close(&s);
}

CHECK_MAIN
