/* Births, deaths and ends, with the case itself as the host. */
#include "spec/process/world.h"

static void exit_with_7(void *owner, unsigned seat, uint32_t incarnation)
{
    (void)owner;
    (void)seat;
    (void)incarnation;
    _exit(7);
}

static void read_name(pid_t pid, char *name, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *f = fopen(path, "re");
    name[0] = '\0';
    if (f == NULL)
        return;
    if (fgets(name, (int)size, f) != NULL)
        name[strcspn(name, "\n")] = '\0';
    fclose(f);
}

static bool is_named(pid_t pid, const char *expected)
{
    char name[32];
    read_name(pid, name, sizeof name);
    return strcmp(name, expected) == 0;
}

TEST(fills_the_seats_that_are_wanted)
{
    new_world(3);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(HOLDS_SOON(world->births == 3));
    CHECK(world->pid[0] != world->pid[1] && world->pid[1] != world->pid[2]);
    CHECK_EQ_INT(world->incarnation[0], 1);
    CHECK_EQ_INT(world->incarnation[2], 3);
    CHECK_EQ_INT(world->pid[3], 0);
    CHECK(HOLDS_SOON(is_named(nursery.process.pid, "mp-nursery")));
    CHECK(HOLDS_SOON(is_named(world->pid[0], "PoolWorker-1")));
    CHECK(HOLDS_SOON(is_named(world->pid[2], "PoolWorker-3")));
    CHECK(end_nursery());
    CHECK_EQ_INT(world->births, 3);
}

TEST(starts_without_a_worker)
{
    new_world(MP_WANT_END);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
    CHECK_EQ_INT(nursery.status, 0);
    CHECK(end_nursery());
    CHECK_EQ_INT(world->expected, 0);
}

TEST(grows_when_nudged)
{
    new_world(1);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(HOLDS_SOON(world->births == 1));
    int first = world->pid[0];
    want(SEATS + 5);
    CHECK(HOLDS_SOON(all_seats_filled(SEATS)));
    CHECK_EQ_INT(world->pid[0], first);
    CHECK(end_nursery());
    CHECK_EQ_INT(world->births, SEATS);
}

static void nudge_once(void *owner, unsigned seat, uint32_t incarnation)
{
    if (incarnation == 1) {
        world->wanted = 2;
        mp_nursery_nudge(&nursery);
    }
    sleep_for_ever(owner, seat, incarnation);
}

TEST(a_worker_may_nudge)
{
    new_world(1);
    REQUIRE(start_nursery(nudge_once) == 0);
    CHECK(HOLDS_SOON(all_seats_filled(2)));
    CHECK(end_nursery());
}

TEST(replaces_a_killed_worker_by_itself)
{
    new_world(2);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(HOLDS_SOON(all_seats_filled(2)));
    int killed = world->pid[1], other = world->pid[0];
    kill(killed, SIGKILL);
    CHECK(HOLDS_SOON(world->births == 3 && all_seats_filled(2)));
    CHECK(world->pid[1] != killed);
    CHECK_EQ_INT(world->pid[0], other);
    CHECK_EQ_INT(world->incarnation[1], 3);
    CHECK_EQ_INT(world->deaths, 1);
    CHECK_EQ_INT(world->death[0].pid, killed);
    CHECK_EQ_INT(world->death[0].seat, 1);
    CHECK_EQ_INT(world->death[0].incarnation, 2);
    CHECK_EQ_INT(world->death[0].status, SIGKILL);
    CHECK(end_nursery());
}

TEST(replaces_all_of_many_that_die_at_once)
{
    new_world(SEATS);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    for (unsigned round = 1; round <= 5; round++) {
        CHECK(HOLDS_SOON(world->births == round * SEATS && all_seats_filled(SEATS)));
        for (int i = 0; i < SEATS; i++)
            kill(world->pid[i], SIGKILL);
        CHECK(HOLDS_SOON(world->deaths == round * SEATS));
    }
    CHECK(end_nursery());
}

TEST(tells_of_stops_and_continues)
{
    new_world(1);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(HOLDS_SOON(all_seats_filled(1)));
    kill(world->pid[0], SIGSTOP);
    CHECK(HOLDS_SOON(world->stopped == 1));
    kill(world->pid[0], SIGCONT);
    CHECK(HOLDS_SOON(world->continued == 1));
    CHECK_EQ_INT(world->deaths, 0);
    CHECK(end_nursery());
}

TEST(a_retired_seat_stays_empty_until_nudged)
{
    new_world(2);
    world->verdict = MP_RETIRED;
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(HOLDS_SOON(all_seats_filled(2)));
    kill(world->pid[0], SIGTERM);
    CHECK(HOLDS_SOON(world->deaths == 1));
    /* The death of the other gives the nursery a reason to look at its seats. */
    world->verdict = MP_BURIED;
    kill(world->pid[1], SIGTERM);
    CHECK(HOLDS_SOON(world->births == 3));
    CHECK_EQ_INT(world->pid[0], 0);
    mp_nursery_nudge(&nursery);
    CHECK(HOLDS_SOON(all_seats_filled(2)));
    CHECK(end_nursery());
}

TEST(a_death_without_room_is_told_again)
{
    new_world(1);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(HOLDS_SOON(all_seats_filled(1)));
    int killed = world->pid[0];
    world->refusals = 1000000;
    kill(killed, SIGKILL);
    CHECK(HOLDS_SOON(world->refused >= 3));
    CHECK_EQ_INT(world->births, 1);
    world->refusals = 0;
    CHECK(HOLDS_SOON(world->births == 2));
    CHECK_EQ_INT(world->deaths, 1);
    CHECK_EQ_INT(world->death[0].pid, killed);
    CHECK_EQ_INT(world->death[0].status, SIGKILL);
    CHECK(end_nursery());
}

TEST(too_many_stillborn_end_the_births_until_nudged)
{
    new_world(1);
    world->verdict = MP_STILLBORN;
    REQUIRE(start_nursery(exit_with_7) == 0);
    CHECK(HOLDS_SOON(world->troubles == 1));
    CHECK_EQ_INT(world->births, 10);
    CHECK_EQ_INT(world->trouble_code, 0);
    CHECK_EQ_INT(world->trouble_n, 10);
    CHECK_EQ_INT(WEXITSTATUS(world->trouble_status), 7);
    mp_nursery_nudge(&nursery);
    CHECK(HOLDS_SOON(world->troubles == 2));
    CHECK_EQ_INT(world->births, 20);
    CHECK(end_nursery());
}

static void stillborn_or_not(void *owner, unsigned seat, uint32_t incarnation)
{
    (void)owner;
    (void)seat;
    _exit(incarnation < 100 ? 0 : 1);
}

static enum mp_verdict died_in_turns(void *owner, unsigned seat, uint32_t incarnation, pid_t pid,
                                     int status)
{
    owner_died(owner, seat, incarnation, pid, status);
    return status != 0 || incarnation % 8 != 0 ? MP_STILLBORN : MP_BURIED;
}

TEST(only_stillborn_in_a_row_count)
{
    static const mp_nursery_ops ops = {.work = stillborn_or_not,
                                       .wanted = owner_wanted,
                                       .fills = owner_fills,
                                       .expect = owner_expect,
                                       .born = owner_born,
                                       .died = died_in_turns,
                                       .paused = owner_paused,
                                       .trouble = owner_trouble};
    new_world(1);
    REQUIRE(mp_nursery_start(&nursery, &ops, NULL, &places, MP_START_FORK, NULL, NULL) == 0);
    CHECK(HOLDS_SOON(world->troubles == 1));
    CHECK_EQ_INT(world->births, 96 + 10);
    CHECK(end_nursery());
}

#ifdef MP_TEST_BUILD
TEST(a_fork_that_fails_is_told_once_and_tried_again)
{
    setenv("MOONPOOL_FAILPOINTS",
           "nursery.fork.before:error@2,nursery.fork.before:error@3,nursery.fork.before:error@4,"
           "nursery.fork.before:error@6",
           1);
    new_world(3);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(HOLDS_SOON(all_seats_filled(3)));
    CHECK_EQ_INT(world->troubles, 2);
    CHECK_EQ_INT(world->trouble_code, -EAGAIN);
    CHECK_EQ_INT(world->trouble_n, 2); /* its seat */
    CHECK_EQ_INT(world->expected, 7);
    CHECK_EQ_INT(world->incarnation[2], 7);
    unsetenv("MOONPOOL_FAILPOINTS");
    CHECK(end_nursery());
}

TEST(terminate_does_not_wait_for_a_fork_to_succeed)
{
    setenv("MOONPOOL_FAILPOINTS", "nursery.fork.before:error@1+", 1);
    new_world(3);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(HOLDS_SOON(world->expected >= 3));
    CHECK_EQ_INT(world->troubles, 1);
    unsetenv("MOONPOOL_FAILPOINTS");
    CHECK(end_nursery());
}

TEST(a_host_that_cannot_fork_is_told)
{
    mp_error error = {.code = 0};
    int before = count_descriptors();
    new_world(1);
    setenv("MOONPOOL_FAILPOINTS", "nursery.start:error", 1);
    CHECK_EQ_INT(mp_nursery_start(&nursery, NULL, NULL, &places, MP_START_FORK, NULL, &error),
                 -EAGAIN);
    unsetenv("MOONPOOL_FAILPOINTS");
    CHECK_EQ_INT(error.code, -EAGAIN);
    CHECK(strstr(error.text, "fork") != NULL);
    CHECK_EQ_INT(count_descriptors(), before);
    CHECK(nobody_left());
}

TEST(a_nursery_killed_while_burying_is_gone)
{
    new_world(2);
    setenv("MOONPOOL_FAILPOINTS", "nursery.bury:kill", 1);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    unsetenv("MOONPOOL_FAILPOINTS");
    CHECK(HOLDS_SOON(all_seats_filled(2)));
    kill(world->pid[0], SIGKILL);
    CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
    CHECK_EQ_INT(nursery.status, SIGKILL);
    CHECK(end_nursery());
    CHECK_EQ_INT(world->deaths, 0);
}
#endif

static void stop_or_block(void *owner, unsigned seat, uint32_t incarnation)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    if (seat == 1)
        raise(SIGSTOP);
    sleep_for_ever(owner, seat, incarnation);
}

TEST(terminate_ends_stopped_and_blocking_workers)
{
    new_world(3);
    REQUIRE(start_nursery(stop_or_block) == 0);
    CHECK(HOLDS_SOON(world->stopped == 1 && all_seats_filled(3)));
    int worker = world->pid[1];
    want(MP_WANT_TERMINATE);
    CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
    CHECK_EQ_INT(nursery.status, 0);
    /* It has waited for them: none is left to be reaped by anybody. */
    CHECK(!is_alive(worker));
    CHECK_EQ_INT(world->deaths, 0);
    CHECK(end_nursery());
}

TEST(ends_when_the_last_worker_has_gone)
{
    new_world(3);
    REQUIRE(start_nursery(leave_when_told) == 0);
    CHECK(HOLDS_SOON(all_seats_filled(3)));
    want(MP_WANT_END);
    kill(world->pid[0], SIGKILL);
    CHECK(HOLDS_SOON(world->deaths == 1));
    CHECK(!mp_nursery_gone(&nursery));
    world->refusals = 3;
    world->leave = 1;
    CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
    CHECK_EQ_INT(nursery.status, 0);
    CHECK_EQ_INT(world->deaths, 3);
    CHECK_EQ_INT(world->births, 3);
    CHECK(end_nursery());
}

TEST(waiting_ends_at_the_deadline)
{
    new_world(1);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(!mp_nursery_wait(&nursery, mp_deadline(0.01)));
    CHECK(!mp_nursery_gone(&nursery));
    CHECK(end_nursery());
}

TEST(kill_and_close_end_nursery_and_workers)
{
    for (int killing = 0; killing < 2; killing++) {
        new_world(4);
        REQUIRE(start_nursery(stop_or_block) == 0);
        CHECK(HOLDS_SOON(world->stopped == 1 && all_seats_filled(4)));
        if (killing) {
            mp_nursery_kill(&nursery);
            CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
            CHECK_EQ_INT(nursery.status, SIGKILL);
        }
        mp_nursery_close(&nursery);
        CHECK(!is_alive(nursery.process.pid));
        CHECK(nobody_left());
        mp_nursery_close(&nursery);
    }
}

TEST(two_hundred_nurseries_leave_nothing)
{
    new_world(2);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(end_nursery());
    int before = count_descriptors();
    for (int i = 0; i < 200 && check_failures == 0; i++) {
        new_world(2);
        REQUIRE(start_nursery(sleep_for_ever) == 0);
        if (i % 2 == 0)
            CHECK(HOLDS_SOON(all_seats_filled(1)));
        CHECK(end_nursery());
    }
    CHECK_EQ_INT(count_descriptors(), before);
}

TEST(several_nurseries_live_side_by_side)
{
    enum { MANY = 3 };
    static mp_nursery many[MANY];
    static const mp_nursery_ops ops = {.work = sleep_for_ever,
                                       .wanted = owner_wanted,
                                       .fills = owner_fills,
                                       .expect = owner_expect,
                                       .born = owner_born,
                                       .died = owner_died,
                                       .paused = owner_paused,
                                       .trouble = owner_trouble};
    static const unsigned numbers[MANY][2] = {{4, 1}, {2, 3}, {0, 5}};
    new_world(2 * MANY);
    for (int i = 0; i < MANY; i++) {
        mp_places two = {2, numbers[i], "n", "w%u"};
        REQUIRE(mp_nursery_start(&many[i], &ops, NULL, &two, MP_START_FORK, NULL, NULL) == 0);
    }
    CHECK(HOLDS_SOON(world->births == 2 * MANY));
    CHECK(all_seats_filled(2 * MANY));
    /* The later ones were forked while the first one's lifeline was held. */
    mp_nursery_close(&many[0]);
    CHECK(many[0].gone);
    CHECK(!mp_nursery_gone(&many[1]) && !mp_nursery_gone(&many[2]));
    mp_nursery_close(&many[2]);
    mp_nursery_close(&many[1]);
    CHECK(nobody_left());
}

CHECK_MAIN
