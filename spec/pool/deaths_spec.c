/* timeout: 180
 * Death anywhere in the pool over real workers: the sum always comes out, a kill
 * costs one item at most, and nobody stays behind. */
#include "shm/result_frame.h"
#include "spec/pool/failpoints.h"

#include <poll.h>
#include <sys/stat.h>

/* ---- failpoints ---- */

static const char *const worker_places[] = {
    "claim.before",     "claim.after",  "claim.recorded", "claim.noted",
    "item.begun",       "result.write", "spill.write",    "result.before",
    "result.published", "result.after", "batch.done",     "worker.start",
};

enum { WORKER_PLACES = sizeof worker_places / sizeof worker_places[0] };

TEST(costs_one_item_at_most_wherever_a_worker_dies)
{
    if (!SHOP_FAILPOINTS)
        return;
    for (unsigned i = 0; i < WORKER_PLACES; i++)
        for (unsigned n = 1; n <= 7; n += 3) {
            char list[100];
            snprintf(list, sizeof list, "%s/1:kill@%u", worker_places[i], n);
            unsigned acted = map_under(list, 60, 1);
            if (n == 1)
                CHECK_EQ_INT(acted, 1);
        }
}

TEST(costs_one_item_for_each_of_many_deaths)
{
    if (!SHOP_FAILPOINTS)
        return;
    for (unsigned i = 0; i < WORKER_PLACES; i++) {
        char list[100];
        snprintf(list, sizeof list, "%s/8:%s@%u", worker_places[i],
                 i % 4 == 0   ? "segv"
                 : i % 4 == 1 ? "exit"
                 : i % 4 == 2 ? "abort"
                              : "kill",
                 1 + i % 2);
        map_under(list, 300, 1);
    }
}

TEST(costs_one_item_for_each_of_all_kinds_of_death)
{
    if (!SHOP_FAILPOINTS)
        return;
    char list[WORKER_PLACES * 40] = "";
    for (unsigned i = 0; i < WORKER_PLACES; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s/3:kill@%u", i > 0 ? "," : "",
                 worker_places[i], 1 + i % 4);
    }
    CHECK(map_under(list, 500, 1) >= 20);
}

/* With the nursery go those of its two workers that are at an item. */
TEST(costs_the_begun_items_where_the_nursery_dies)
{
    if (!SHOP_FAILPOINTS)
        return;
    static const char *const places[] = {"nursery.bury", "nursery.log", "nursery.logged",
                                         "nursery.fork.after"};
    static const char *const deaths[] = {"item.begun", "claim.after", "claim.recorded",
                                         "result.published", "worker.start"};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < 5; j++) {
            char list[100];
            snprintf(list, sizeof list, "%s/1:kill@%u,%s/1:kill", deaths[j], j == 4 ? 1 : 3,
                     places[i]);
            CHECK(map_under(list, 60, 2) >= 1);
        }
}

TEST(costs_the_begun_items_where_one_nursery_after_another_dies)
{
    if (!SHOP_FAILPOINTS)
        return;
    map_under("item.begun/12:kill@2,nursery.log/4:kill,nursery.logged/4:kill@1,"
              "nursery.bury/4:kill@1,nursery.fork.after/2:kill@3",
              300, 2);
}

TEST(fails_a_result_for_which_a_worker_gets_no_memory)
{
    if (!SHOP_FAILPOINTS)
        return;
    shop s;
    shop_open(&s, 2);
    arm("region.grow:error@1+");
    CHECK(shop_start(&s, 2));
    disarm();
    shop_call(&s, 2);
    for (int i = 0; i < 20; i++) {
        shop_add(&s, 'd', i);
        shop_add(&s, 'g', 4000);
    }
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done, 20);
    CHECK_EQ_INT(s.no_room, 20);
    shop_close(&s);
}

/* ---- tasks that end their worker ---- */

TEST(says_of_what_a_worker_died)
{
    static const struct {
        char letter;
        int number, status;
    } cases[] = {{'k', 0, SIGKILL}, {'a', 0, SIGABRT}, {'x', 0, 0}, {'x', 7, 7 << 8}};
    for (unsigned i = 0; i < 4; i++) {
        shop s;
        shop_open(&s, 1);
        shop_call(&s, 4);
        shop_add_many(&s, 'd', 1, 5);
        shop_add_many(&s, cases[i].letter, cases[i].number, 1);
        shop_add_many(&s, 'd', 1, 5);
        CHECK(shop_finish_call(&s));
        shop_check(&s);
        CHECK_EQ_INT(s.lost, 1);
        CHECK_EQ_INT(s.last_lost.index, 6);
        CHECK_EQ_INT(s.last_lost.pid, shop_memory->pid[6]);
        CHECK_EQ_INT(s.last_lost.status, cases[i].status);
        CHECK_EQ_INT(s.last_lost.item[0], cases[i].letter);
        shop_close(&s);
    }
}

TEST(replaces_workers_while_the_host_is_elsewhere)
{
    shop s;
    shop_open(&s, 2);
    shop_call(&s, 1);
    for (int i = 0; i < 600; i++)
        shop_add(&s, i % 6 == 5 ? 'k' : 'd', i);
    shop_seal(&s);
    mp_control *c = s.local->segment.control;
    CHECK(SHOP_SOON(mp_load_acquire(&c->deaths_written) >= 50));
    CHECK_EQ_INT(mp_load_acquire(&c->deaths_read), 0);
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.lost, 100);
    CHECK_EQ_INT(s.done, 500);
    shop_close(&s);
}

TEST(waits_with_deaths_for_a_host_that_is_elsewhere)
{
    enum { DEATHS = MP_DEATHS + 150 };
    shop s;
    shop_open(&s, 3);
    shop_call(&s, 1);
    shop_add_many(&s, 'k', 0, DEATHS);
    shop_add_many(&s, 'd', 0, 50);
    shop_seal(&s);
    mp_control *c = s.local->segment.control;
    CHECK(SHOP_SOON(mp_load_acquire(&c->deaths_written) == MP_DEATHS));
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.lost, DEATHS);
    CHECK_EQ_INT(s.done, 50);
    CHECK_EQ_INT(s.troubles, 0);
    shop_close(&s);
}

TEST(ends_with_more_deaths_than_it_has_noted)
{
    shop s;
    shop_open(&s, 3);
    REQUIRE(shop_start(&s, 3));
    mp_control *c = s.local->segment.control;
    for (unsigned i = 1; i <= MP_DEATHS; i++) {
        REQUIRE(SHOP_SOON(shop_all_idle(&s, 3)));
        kill(shop_pid(&s, i % 3), SIGKILL);
        REQUIRE(SHOP_SOON(mp_load_acquire(&c->deaths_written) == i));
    }
    REQUIRE(SHOP_SOON(shop_all_idle(&s, 3)));
    kill(shop_pid(&s, 1), SIGKILL);
    usleep(20000);
    mp_pool_finish(s.pool);
    CHECK(mp_pool_join(s.pool, mp_deadline(SHOP_PATIENCE)));
    shop_close(&s);
}

TEST(keeps_results_of_workers_that_died_waiting_for_room)
{
    for (int kill_nursery = 0; kill_nursery < 2; kill_nursery++) {
        shop s;
        shop_open(&s, 2);
        shop_call(&s, 1);
        shop_add_many(&s, 'g', 1024, 150);
        shop_seal(&s);
        for (unsigned i = 0; i < 2; i++)
            CHECK(
                SHOP_SOON(mp_load_acquire(&s.local->streams[i]->reader.shared->writer_waits) != 0));
        uint64_t before = mp_result_unread(&s.local->streams[0]->reader);
        CHECK(before > 0);
        if (kill_nursery != 0)
            shop_kill_nursery(&s);
        else
            for (unsigned i = 0; i < 2; i++)
                kill(shop_pid(&s, i), SIGKILL);
        CHECK(shop_finish_call(&s));
        shop_check(&s);
        CHECK(s.lost <= 2);
        CHECK_EQ_INT(s.done + s.lost, 150);
        shop_release(&s);
        shop_check_works(&s);
        shop_close(&s);
    }
}

/* ---- the nursery ---- */

/* A worker may begin an item just before it goes the same way. */
TEST(replaces_a_nursery_that_was_killed_idle)
{
    shop s;
    shop_open(&s, 2);
    REQUIRE(shop_start(&s, 2));
    for (int i = 0; i < 5; i++) {
        shop_kill_nursery(&s);
        if (i % 2 == 0)
            CHECK(SHOP_SOON(shop_nursery(&s) == NULL || mp_nursery_gone(shop_nursery(&s))));
        shop_call(&s, 3);
        shop_add_many(&s, 'd', 7, 50);
        CHECK(shop_finish_call(&s));
        shop_check(&s);
        CHECK(s.lost <= 2);
        shop_release(&s);
    }
    shop_check_works(&s);
    shop_close(&s);
}

TEST(loses_no_more_than_the_begun_items_with_its_nursery)
{
    enum { WORKERS = 3 };
    shop s;
    shop_open(&s, WORKERS);
    shop_call(&s, 2);
    shop_add_many(&s, 'w', 500, 600);
    shop_seal(&s);
    unsigned killed = 0;
    for (uint64_t done = 50; killed < 6; done += 50) {
        CHECK(SHOP_UNTIL(&s, shop_told(&s) >= done, MP_BELL_EAGER));
        shop_kill_nursery(&s);
        killed++;
    }
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK(s.lost <= killed * WORKERS);
    CHECK_EQ_INT(s.done + s.lost, 600);
    CHECK(s.lost == 0 || s.last_lost.status == -1);
    shop_close(&s);
}

/* The second before anything of the first was told. */
TEST(survives_the_loss_of_two_nurseries_in_a_row)
{
    shop s;
    shop_open(&s, 3);
    shop_call(&s, 2);
    shop_add_many(&s, 'w', 1000, 200);
    shop_seal(&s);
    for (unsigned round = 0; round < 10; round++) {
        mp_event e;
        pid_t first = shop_kill_nursery(&s);
        int64_t end = mp_deadline(SHOP_PATIENCE);
        while ((shop_nursery(&s) == NULL || shop_nursery(&s)->process.pid == first) &&
               mp_now() < end && s.over == 0)
            if (mp_pool_next(s.pool, &e)) {
                shop_note(&s, &e);
                mp_pool_settle(s.pool);
            }
        shop_kill_nursery(&s);
    }
    CHECK(shop_finish_call(&s));
    shop_check(&s);
    CHECK_EQ_INT(s.done + s.lost, 200);
    CHECK(s.lost <= 60);
    shop_close(&s);
}

TEST(notices_the_loss_of_its_nursery_without_ever_waiting)
{
    shop s;
    shop_open(&s, 2);
    shop_call(&s, 1);
    shop_add_many(&s, 'w', 1000, 50);
    shop_seal(&s);
    CHECK(SHOP_SOON(shop_memory->runs[1] != 0));
    shop_kill_nursery(&s);
    int64_t end = mp_deadline(SHOP_PATIENCE);
    while (s.over == 0 && mp_now() < end)
        shop_turn(&s);
    shop_check(&s);
    shop_close(&s);
}

TEST(tells_of_the_loss_of_its_nursery_by_its_descriptor)
{
    shop s;
    shop_open(&s, 2);
    struct pollfd p = {.fd = mp_pool_fd(s.pool), .events = POLLIN};
    shop_call(&s, 1);
    shop_add_many(&s, 'w', 1000, 50);
    shop_seal(&s);
    shop_kill_nursery(&s);
    int64_t end = mp_deadline(SHOP_PATIENCE);
    while (s.over == 0 && mp_now() < end) {
        shop_turn(&s);
        mp_pool_rest(s.pool);
        if (s.over == 0)
            poll(&p, 1, mp_poll_timeout(end));
    }
    shop_check(&s);
    shop_close(&s);
}

TEST(leaves_nobody_when_its_host_is_killed)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < 4; i++) {
        int ready[2];
        CHECK_EQ_INT(pipe(ready), 0);
        pid_t host = fork();
        if (host == 0) {
            shop s;
            shop_open(&s, 4);
            shop_call(&s, 1);
            shop_add_many(&s, i % 2 == 0 ? 's' : 'p', 0, i < 2 ? 4 : 2);
            for (unsigned seat = 1; seat <= s.added; seat++)
                while (shop_memory->runs[seat] == 0)
                    usleep(500);
            if (write(ready[1], "", 1) == 1)
                pause();
            _exit(1);
        }
        char byte;
        CHECK_EQ_INT(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        close(ready[1]);
        int64_t killed = mp_now();
        kill(host, SIGKILL);
        CHECK(shop_nobody_left());
        CHECK(mp_now() < killed + 20 * INT64_C(1000000000));
    }
}

/* ---- damage ---- */

/* The n-th frame that the host has not read, of small ones. */
static unsigned char *unread_frame(const shop *s, unsigned seat, unsigned n)
{
    const mp_result_reader *r = &s->local->streams[seat]->reader;
    unsigned char *at = r->region->base + MP_RING_AT + (r->at & (r->capacity - 1));
    for (; n > 0; n--) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        at += mp_frame_taken(word >> 8);
    }
    return at;
}

TEST(fails_items_whose_results_were_damaged)
{
    for (int how = 0; how < 3; how++) {
        shop s;
        shop_open(&s, 2);
        REQUIRE(shop_start(&s, 2));
        shop_call(&s, how == 0 ? 20 : 2);
        for (int i = 0; i < 200; i++)
            shop_add(&s, 'w', 100 + i);
        shop_seal(&s);
        CHECK(SHOP_SOON(mp_result_unread(&s.local->streams[0]->reader) > 400));
        if (how == 1)
            CHECK(SHOP_SOON(shop_all_idle(&s, 2)));
        if (how == 2)
            unread_frame(&s, 0, 0)[0] = 77; /* a kind that there is not */
        else
            memset(unread_frame(&s, 0, 9), 0xFF, 40);
        CHECK(shop_finish_call(&s));
        shop_check(&s);
        CHECK(s.damaged > 0);
        CHECK(s.lost <= 2);
        CHECK_EQ_INT(s.done + s.damaged + s.lost, 200);
        CHECK_EQ_INT(s.troubles, 0);
        shop_release(&s);
        shop_check_works(&s);
        shop_close(&s);
    }
}

/* ---- storms ---- */

typedef struct storm {
    _Atomic unsigned kills;
    _Atomic int32_t killed[SHOP_ITEMS];
} storm;

/* Kills a worker every now and then for as long as it lives. */
static pid_t raise_storm(const shop *s, unsigned seats, storm *out)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned n = 0; out->kills < SHOP_ITEMS; n++) {
        usleep(1500);
        pid_t pid = shop_pid(s, n * 7 % seats);
        if (pid <= 0)
            continue;
        out->killed[out->kills] = pid;
        if (kill(pid, SIGKILL) == 0)
            out->kills++;
    }
    _exit(0);
}

static void end_storm(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static storm *new_storm(void)
{
    storm *out = mmap(NULL, sizeof *out, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(out, 0, sizeof *out);
    return out;
}

static bool was_killed(const storm *out, int32_t pid)
{
    for (unsigned i = 0; i <= out->kills && i < SHOP_ITEMS; i++)
        if (out->killed[i] == pid)
            return true;
    return false;
}

TEST(weathers_a_storm)
{
    for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
        shop s;
        mp_event e;
        storm *out = new_storm();
        shop_open(&s, 3);
        REQUIRE(shop_start(&s, 3));
        shop_call(&s, 2);
        shop_add_many(&s, 'w', 200, 3000);
        shop_seal(&s);
        pid_t child = raise_storm(&s, 3, out);
        if (elsewhere != 0)
            usleep(200000);
        int64_t end = mp_deadline(SHOP_PATIENCE);
        while (s.over == 0 && mp_now() < end) {
            while (mp_pool_next(s.pool, &e)) {
                shop_note(&s, &e);
                if (e.kind == MP_EVENT_LOST)
                    CHECK(was_killed(out, e.pid));
                mp_pool_settle(s.pool);
            }
            if (s.over == 0)
                mp_pool_wait(s.pool, end, MP_BELL_LAZY, NULL);
        }
        end_storm(child);
        shop_check(&s);
        CHECK(out->kills > 20);
        CHECK(s.lost <= out->kills + 1);
        CHECK_EQ_INT(s.done + s.lost, 3000);
        shop_release(&s);
        SHOP_UNTIL(&s, !mp_pool_busy(s.pool), MP_BELL_EAGER);
        shop_check_works(&s);
        shop_close(&s);
        munmap(out, sizeof *out);
    }
}

CHECK_MAIN
