/* valgrind */
/* States that items save, and what their next attempts find of them. */
#include "base/memory.h"
#include "spec/pool/desk.h"

enum { LONGEST = 64 };

/* Of each item: how often it is to fail, what it has saved last, how often it ran. */
static struct {
    unsigned failures, runs, saves;
    char saved[LONGEST];
} items[DESK_ITEMS + 1];

static mp_birth births[16];
static unsigned states_told;

static void note_birth(void *ctx, const mp_birth *birth)
{
    (void)ctx;
    births[0] = *birth;
}

static void save(uint64_t index, unsigned attempt)
{
    snprintf(items[index].saved, LONGEST, "%llu by attempt %u, %u", (unsigned long long)index,
             attempt, ++items[index].saves);
    const char *text = items[index].saved;
    CHECK_EQ_INT(births[0].tell(births[0].teller, MP_FRAME_STATE, text, strlen(text)), 0);
}

/* Finds what was saved last, and saves as often as its letter says: 'a' never, 'b' once ... */
static int run_saving(void *ctx, mp_task *task, mp_buffer *out)
{
    (void)ctx;
    char letter = task->bytes != NULL ? (char)task->bytes[0] : 'b';
    const char *expected = items[task->index].saved;
    unsigned attempt = ++items[task->index].runs;
    CHECK_EQ_INT(task->attempt, attempt);
    CHECK_EQ_INT(task->state_size, strlen(expected));
    CHECK((task->state == NULL) == (expected[0] == '\0'));
    if (task->state_size == strlen(expected))
        CHECK_MEM(task->state, expected, task->state_size);
    for (char c = 'a'; c < letter; c++)
        save(task->index, attempt);
    if (mp_buffer_append(out, "d", 1) < 0)
        return -ENOMEM;
    if (attempt > items[task->index].failures)
        return MP_TASK_DONE;
    return task->index % 2 == 0 ? MP_TASK_FAILED : -ENOSPC;
}

static matter *open_saving(unsigned workers, uint64_t granule)
{
    static const mp_handler handler = {.start = note_birth, .run = run_saving};
    mp_error error = {0};
    memset(items, 0, sizeof items);
    states_told = 0;
    desk_loop = loopback_new(workers, &handler);
    desk_pool = mp_pool_new(&desk_loop->base, workers, &error);
    desk_count = desk_troubles = 0;
    return desk_call(granule);
}

static void note(matter *m, const mp_event *e)
{
    if (e->kind == MP_EVENT_STATE) {
        states_told++;
        CHECK(e->user == m && e->size > 0 && e->code == 0);
        CHECK_EQ_INT(atoi((const char *)e->data), (int)e->index);
    }
    m->done += e->kind == MP_EVENT_DONE;
    m->over += e->kind == MP_EVENT_CALL_OVER;
}

/* What runs again is handed out when there is nothing else. */
static bool next_event(mp_event *e)
{
    bool there = mp_pool_next(desk_pool, e);
    return there || mp_pool_next(desk_pool, e);
}

/* Takes all in; whatever is not done runs again. */
static void drain(matter *m)
{
    mp_event e;
    for (int left = NEVER_MANY; next_event(&e) && left > 0; left--) {
        bool bad =
            e.kind != MP_EVENT_DONE && e.kind != MP_EVENT_CALL_OVER && e.kind != MP_EVENT_STATE;
        note(m, &e);
        if (bad)
            CHECK_EQ_INT(mp_pool_again(desk_pool, 0, NULL), 0);
        else
            mp_pool_settle(desk_pool);
    }
}

static void finish(matter *m, uint64_t added)
{
    desk_seal(m);
    drain(m);
    CHECK_EQ_INT(m->done, added);
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(mp_call_count(m->call).settled, added);
    mp_call_release(m->call);
    desk_check_empty();
    desk_close();
}

TEST(the_next_attempt_finds_what_was_saved_last)
{
    for (uint64_t granule = 1; granule < 6; granule++) {
        unsigned saves = 0;
        matter *m = open_saving(2, granule);
        for (unsigned i = 1; i <= 40; i++) {
            items[i].failures = i % 4;
            saves += (i % 4 + 1) * (i % 3);
            CHECK_EQ_INT(desk_add(m, (char[]){(char)('a' + i % 3), '\0'}), 0);
        }
        finish(m, 40);
        CHECK_EQ_INT(states_told, saves);
    }
}

TEST(it_outlives_the_worker_that_saved_it)
{
    for (uint64_t at = 1; at <= 12; at++) {
        matter *m = open_saving(2, 4);
        desk_loop->kill_at = at;
        desk_loop->kill_when = LOOPBACK_RUN;
        for (unsigned i = 1; i <= 12; i++)
            desk_add(m, "c");
        finish(m, 12);
        unsigned runs = 0;
        for (unsigned i = 1; i <= 12; i++)
            runs += items[i].runs;
        CHECK_EQ_INT(runs, 13);
        CHECK_EQ_INT(states_told, 26);
    }
}

TEST(it_goes_on_through_attempts_that_save_nothing)
{
    matter *m = open_saving(1, 1);
    items[1].failures = 6;
    desk_add(m, "a");
    desk_seal(m);
    strcpy(items[1].saved, "");
    for (int i = 0; i < 3; i++) {
        mp_event e;
        REQUIRE(next_event(&e));
        CHECK_EQ_INT(mp_pool_again(desk_pool, 0, NULL), 0);
    }
    drain(m);
    CHECK_EQ_INT(items[1].runs, 7);
    CHECK_EQ_INT(m->done, 1);
    desk_close();
}

TEST(items_that_are_made_have_states_too)
{
    mp_error error = {0};
    matter *m = open_saving(2, 3);
    uint32_t added;
    for (unsigned i = 1; i <= 12; i++)
        items[i].failures = i % 3;
    for (unsigned n = 0; n < 12; n += added)
        CHECK_EQ_INT(mp_call_add_made(m->call, 12 - n, &added, &error), 0);
    finish(m, 12);
    for (unsigned i = 1; i <= 12; i++)
        CHECK_EQ_INT(items[i].saves, i % 3 + 1);
}

TEST(a_claimed_item_of_a_dead_worker_keeps_its_state)
{
    mp_event e;
    matter *m = open_saving(2, 1);
    desk_loop->by_hand = true;
    desk_loop->hold = 4;
    for (unsigned i = 1; i <= 4; i++) {
        items[i].failures = 1;
        desk_add(m, "b");
    }
    desk_seal(m);
    loopback_work_all(desk_loop);
    for (int left = 1000; mp_pool_next(desk_pool, &e) && left > 0; left--) {
        note(m, &e);
        if (e.kind == MP_EVENT_STATE)
            mp_pool_settle(desk_pool);
        else
            CHECK_EQ_INT(mp_pool_again(desk_pool, 0, NULL), 0);
    }
    loopback_work(desk_loop); /* claims all, and begins the first by that */
    loopback_kill(desk_loop, 0, 9);
    loopback_kill(desk_loop, 1, 9);
    items[1].runs++; /* the attempt that was lost before it ran */
    desk_loop->by_hand = false;
    drain(m);
    CHECK_EQ_INT(m->done, 4);
    CHECK_EQ_INT(m->over, 1);
    desk_close();
}

TEST(twins_share_it)
{
    mp_event e;
    matter *m = open_saving(2, 1);
    desk_loop->by_hand = true;
    mp_call_duplicate(m->call);
    items[1].failures = 1;
    desk_add(m, "b");
    desk_seal(m);
    loopback_work_all(desk_loop);
    REQUIRE(mp_pool_next(desk_pool, &e) && e.kind == MP_EVENT_STATE);
    mp_pool_settle(desk_pool);
    REQUIRE(mp_pool_next(desk_pool, &e) && e.kind == MP_EVENT_NO_ROOM);
    CHECK_EQ_INT(mp_pool_again(desk_pool, 0, NULL), 0);
    CHECK(!mp_pool_next(desk_pool, &e));
    loopback_work(desk_loop); /* claims the second attempt */
    desk_loop->idle = 1;
    mp_pool_wait(desk_pool, 0, MP_BELL_LAZY, NULL);
    CHECK_EQ_INT(desk_loop->waiting, 1);
    loopback_kill(desk_loop, 0, 9); /* the twin goes on, as the same attempt */
    loopback_kill(desk_loop, 1, 9);
    desk_loop->idle = 0;
    desk_loop->by_hand = false;
    drain(m);
    CHECK_EQ_INT(items[1].runs, 2);
    CHECK_EQ_INT(m->done, 1);
    CHECK_EQ_INT(m->over, 1);
    desk_close();
}

TEST(nobody_hears_of_one_whose_item_is_not_wanted)
{
    mp_event e;
    for (int released = 0; released < 2; released++) {
        matter *m = open_saving(1, 1);
        desk_loop->by_hand = true;
        desk_add(m, "d");
        desk_seal(m);
        loopback_work_all(desk_loop);
        if (released != 0)
            mp_call_release(m->call);
        else
            mp_call_limit(m->call, 0);
        while (mp_pool_next(desk_pool, &e)) {
            CHECK(e.kind == MP_EVENT_CALL_OVER);
            mp_pool_settle(desk_pool);
        }
        desk_close();
    }
}

TEST(a_call_may_be_released_at_the_event)
{
    mp_event e;
    matter *m = open_saving(1, 2);
    desk_add(m, "c");
    desk_add(m, "c");
    desk_seal(m);
    REQUIRE(mp_pool_next(desk_pool, &e) && e.kind == MP_EVENT_STATE);
    REQUIRE(mp_pool_next(desk_pool, &e) && e.kind == MP_EVENT_STATE);
    mp_call_release(m->call);
    mp_pool_settle(desk_pool);
    CHECK(!mp_pool_next(desk_pool, &e));
    desk_check_empty();
    desk_close();
}

static void *refuse(void *user, void *block, size_t size)
{
    (void)user;
    if (size == 0)
        free(block);
    return NULL;
}

TEST(where_memory_is_short_the_one_before_stands)
{
    mp_event e;
    matter *m = open_saving(1, 1);
    items[1].failures = 1;
    desk_add(m, "d");
    desk_seal(m);
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            mp_memory_by(refuse, NULL);
        REQUIRE(mp_pool_next(desk_pool, &e) && e.kind == MP_EVENT_STATE);
        CHECK_EQ_INT(e.code, i == 2 ? -ENOMEM : 0);
        mp_memory_by(NULL, NULL);
        mp_pool_settle(desk_pool);
    }
    strcpy(items[1].saved, "1 by attempt 1, 2");
    finish(m, 1);
}

/* ---- states from before ---- */

static void resume(matter *m, uint64_t index, const char *state)
{
    mp_error error = {0};
    strcpy(items[index].saved, state);
    CHECK_EQ_INT(mp_call_state(m->call, state, strlen(state), &error), 0);
}

TEST(an_item_starts_with_the_state_it_is_given)
{
    for (uint64_t granule = 1; granule < 5; granule++) {
        matter *m = open_saving(2, granule);
        for (unsigned i = 1; i <= 30; i++) {
            items[i].failures = i % 4;
            if (i % 3 == 0)
                resume(m, i, "from long ago");
            desk_add(m, i % 2 == 0 ? "a" : "b");
        }
        finish(m, 30);
    }
}

TEST(it_is_alone_in_its_granule)
{
    matter *m = open_saving(1, 10);
    desk_loop->by_hand = true;
    desk_add_many(m, 'a', 3);
    resume(m, 4, "x");
    CHECK_EQ_INT(desk_loop->waiting, 1);
    desk_add(m, "a");
    CHECK_EQ_INT(desk_loop->waiting, 2);
    desk_add_many(m, 'a', 2);
    CHECK_EQ_INT(desk_loop->waiting, 2);
    desk_loop->by_hand = false;
    finish(m, 6);
}

TEST(one_that_is_made_starts_with_it_too)
{
    mp_error error = {0};
    uint32_t added;
    matter *m = open_saving(1, 4);
    CHECK_EQ_INT(mp_call_add_made(m->call, 2, &added, &error), 0);
    resume(m, 3, "made of this");
    items[3].failures = 2;
    CHECK_EQ_INT(mp_call_add_made(m->call, 9, &added, &error), 0);
    CHECK_EQ_INT(added, 1);
    CHECK_EQ_INT(mp_call_add_made(m->call, 9, &added, &error), 0);
    CHECK_EQ_INT(added, 4);
    finish(m, 7);
}

TEST(it_waits_for_an_item_that_is_begun_anew)
{
    mp_error error = {0};
    matter *m = open_saving(1, 4);
    resume(m, 1, "first");
    resume(m, 1, "in its place");
    mp_buffer_append(mp_call_begin_item(m->call, &error), "wrong", 5);
    mp_definition *d = mp_pool_define(desk_pool, (const unsigned char *)"f", 1, &error);
    CHECK_EQ_INT(mp_call_end_item(m->call, &error), -EBUSY);
    mp_buffer_append(mp_call_begin_item(m->call, &error), "wrong", 5);
    desk_add(m, "b");
    desk_add(m, "b");
    mp_undefine(mp_pool_definitions(desk_pool), d);
    desk_seal(m);
    drain(m);
    CHECK_EQ_INT(m->done, 2);
    CHECK_EQ_INT(m->over, 1);
    desk_close();
}

TEST(it_may_come_while_the_item_is_made)
{
    mp_error error = {0};
    matter *m = open_saving(1, 4);
    desk_loop->by_hand = true;
    desk_add(m, "b");
    mp_buffer *b = mp_call_begin_item(m->call, &error);
    mp_buffer_append(b, "b and", 5);
    resume(m, 2, "found late");
    CHECK_EQ_INT(desk_loop->waiting, 1);
    mp_buffer_append(b, " more", 5);
    CHECK_EQ_INT(mp_call_end_item(m->call, &error), 0);
    CHECK_EQ_INT(desk_loop->waiting, 2);
    mp_call_begin_item(m->call, &error);
    resume(m, 3, "for nobody yet");
    CHECK_EQ_INT(mp_call_skip(m->call, &error), 0);
    b = mp_call_begin_item(m->call, &error);
    mp_buffer_append(b, "b", 1);
    resume(m, 4, "first");
    resume(m, 4, "second");
    CHECK_EQ_INT(mp_call_end_item(m->call, &error), 0);
    desk_add(m, "b");
    desk_seal(m);
    desk_loop->by_hand = false;
    items[4].failures = 1;
    drain(m);
    CHECK_EQ_INT(m->done, 4);
    CHECK_EQ_INT(items[3].runs, 0);
    desk_close();
}

TEST(a_skipped_item_takes_it_along)
{
    mp_error error = {0};
    matter *m = open_saving(1, 4);
    resume(m, 1, "nobody's");
    CHECK_EQ_INT(mp_call_skip(m->call, &error), 0);
    desk_add(m, "b");
    desk_seal(m);
    drain(m);
    CHECK_EQ_INT(items[1].runs, 0);
    CHECK_EQ_INT(m->done, 1);
    resume(m = desk_call(2), 1, "left over");
    mp_call_release(m->call);
    resume(desk_call(2), 1, "left over too");
    desk_close();
}

TEST(an_item_with_a_state_that_cannot_be_noted_is_noted_later)
{
    mp_error error = {0};
    matter *m = open_saving(1, 4);
    resume(m, 1, "kept");
    mp_buffer_append(mp_call_begin_item(m->call, &error), "b", 1);
    mp_memory_by(refuse, NULL);
    CHECK_EQ_INT(mp_call_end_item(m->call, &error), -ENOMEM);
    CHECK(mp_call_begin_item(m->call, &error) == NULL);
    CHECK_EQ_INT(mp_call_state(m->call, "y", 1, &error), -ENOMEM);
    mp_memory_by(NULL, NULL);
    resume(m, 2, "another");
    desk_add(m, "b");
    finish(m, 2);
}

/* ---- how far they are ---- */

static int run_showing(void *ctx, mp_task *task, mp_buffer *out)
{
    double fraction;
    (void)ctx;
    memcpy(&fraction, task->bytes, sizeof fraction);
    if (fraction >= 0)
        births[0].show(births[0].teller, fraction);
    return mp_buffer_append(out, "d", 1);
}

static void add_fraction(matter *m, double fraction)
{
    mp_error error = {0};
    mp_buffer_append(mp_call_begin_item(m->call, &error), &fraction, sizeof fraction);
    CHECK_EQ_INT(mp_call_end_item(m->call, &error), 0);
}

TEST(what_running_items_have_shown_adds_up)
{
    static const mp_handler handler = {.start = note_birth, .run = run_showing};
    mp_error error = {0};
    desk_loop = loopback_new(4, &handler);
    desk_pool = mp_pool_new(&desk_loop->base, 4, &error);
    desk_count = 0;
    desk_loop->by_hand = true;
    matter *m = desk_call(2), *other = desk_call(2);
    const double fractions[] = {0.25, -1, 0.5, 0, -1, 0.75};
    for (int i = 0; i < 6; i++)
        add_fraction(m, fractions[i]);
    add_fraction(other, 1);
    add_fraction(other, 1);
    for (int i = 0; i < 8; i++) /* each claims, and runs its first item */
        loopback_work(desk_loop);
    CHECK(mp_call_fractions(m->call) == 0.75);
    CHECK(mp_call_fractions(other->call) == 1);
    for (int i = 0; i < 4; i++)
        loopback_work(desk_loop);
    CHECK(mp_call_fractions(m->call) == 0);
    desk_close();
}

CHECK_MAIN
