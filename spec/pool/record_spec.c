/* valgrind
 * The record of what items do: what goes in comes out, and no more than fits. */
#include "base/memory.h"
#include "spec/pool/desk.h"

#include <signal.h>

enum { MANY = 3000, WORKERS = 5 };

static uint64_t state = 88172645463325252u;

/* xorshift64 (Marsaglia 2003) */
static uint64_t below(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

static void open_calls(mp_record *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ_INT(mp_record_open(r, i, 0), i + 1);
}

/* Reads the record, whose items are `n`. */
static mp_record_item *read_all(const mp_record *r, size_t n)
{
    mp_record_item *items = calloc(n + 1, sizeof *items);
    int64_t *ended = calloc(r->lives.count, sizeof *ended);
    mp_record_reader reader;
    size_t count = 0;
    mp_record_read_from(&reader, r, ended);
    while (count <= n && mp_record_read(&reader, &items[count]))
        count++;
    CHECK_EQ_INT(count, n);
    free(ended);
    return items;
}

TEST(gives_back_what_it_was_told)
{
    static mp_record_news told[MANY];
    int64_t clock[WORKERS];
    mp_record *r = mp_record_new(MANY);
    open_calls(r, 9);
    for (unsigned i = 0; i < WORKERS; i++)
        clock[i] = r->began;
    for (unsigned i = 0; i < MANY; i++) {
        mp_record_news *t = &told[i];
        bool same = i > 0 && below(3) > 0;
        *t = same ? told[i - 1] : (mp_record_news){.seat = (unsigned)below(WORKERS)};
        t->index = same ? t->index + 1 : below(2) ? below(100) + 1 : below(UINT64_C(1) << 60) + 1;
        t->call = same ? t->call : (uint32_t)below(9) + 1;
        t->attempt = below(9) > 0 ? 1 : (unsigned)below(100000) + 1;
        t->outcome = below(9) > 0 ? MP_RECORD_DONE : (enum mp_record_outcome)below(5);
        t->times.pid = 100 + t->seat + (below(50) == 0 ? (int64_t)below(1000) : 0);
        t->times.began = clock[t->seat] + (below(2) ? 0 : (int64_t)below(UINT64_C(1) << 40));
        t->times.ended = t->times.began + (int64_t)below(UINT64_C(1) << (1 + below(50)));
        clock[t->seat] = t->times.ended;
        CHECK(mp_record_item_ran(r, t));
    }
    mp_record_item *found = read_all(r, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        const mp_record_item *f = &found[i];
        const mp_record_life *life = (const mp_record_life *)r->lives.entries + f->life;
        CHECK(f->index == told[i].index && f->call == told[i].call);
        CHECK(f->attempt == told[i].attempt && f->outcome == told[i].outcome);
        CHECK(f->began == told[i].times.began && f->length == told[i].times.ended - f->began);
        CHECK(life->seat == told[i].seat && life->pid == told[i].times.pid);
    }
    free(found);
    mp_record_free(r);
}

TEST(makes_sense_of_times_that_do_not)
{
    mp_record *r = mp_record_new(10);
    int64_t t = r->began;
    const mp_frame_times times[] = {{t + 50, t + 80, 7}, {0, t + 90, 7},     {t + 10, t + 95, 7},
                                    {t + 200, t + 5, 7}, {0, 0, 7},          {0, t + 300, 0},
                                    {-5, -9, 7},         {t + 10, t + 20, 7}};
    const int64_t began[] = {50, 90, 90, 200, 200, 300, 200, 200};
    const int64_t length[] = {30, 0, 5, 0, 0, 0, 0, 0};
    open_calls(r, 1);
    for (unsigned i = 0; i < 8; i++)
        mp_record_item_ran(r, &(mp_record_news){.call = 1,
                                                .index = i + 1,
                                                .attempt = 1,
                                                .seat = i == 5 ? MP_SEATS_MAX : 3,
                                                .times = times[i]});
    mp_record_item *found = read_all(r, 8);
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ_INT(found[i].began - t, began[i]);
        CHECK_EQ_INT(found[i].length, length[i]);
    }
    CHECK_EQ_INT(found[5].life, 0);
    free(found);
    mp_record_free(r);
}

TEST(counts_what_it_has_no_room_for)
{
    mp_record *r = mp_record_new(5);
    open_calls(r, 1);
    for (unsigned i = 1; i <= 8; i++) {
        mp_record_news news = {.call = 1, .index = i, .attempt = 1, .times = {1, 2, 3}};
        CHECK_EQ_INT(mp_record_item_ran(r, &news), i <= 5);
    }
    CHECK_EQ_INT(r->count, 5);
    CHECK_EQ_INT(r->cut, 3);
    mp_record_free(r);
}

static bool refuses;

static void *allocate(void *user, void *block, size_t size)
{
    (void)user;
    if (size == 0) {
        free(block);
        return NULL;
    }
    return refuses ? NULL : realloc(block, size);
}

TEST(counts_what_there_is_no_memory_for)
{
    mp_memory_by(allocate, NULL);
    mp_record *r = mp_record_new(1 << 20);
    refuses = true;
    CHECK(mp_record_new(1) == NULL);
    CHECK_EQ_INT(mp_record_open(r, 1, 1), 0);
    mp_record_wait(r, 5);
    mp_record_describe(r, (const unsigned char *)"x", 1);
    mp_record_failed(r, (const unsigned char *)"x", 1);
    CHECK(!mp_record_item_ran(r, &(mp_record_news){.call = 1, .index = 1, .attempt = 1}));
    refuses = false;
    CHECK_EQ_INT(r->count, 0);
    CHECK_EQ_INT(r->described, 0);
    CHECK_EQ_INT(r->failed.count, 0);
    CHECK_EQ_INT(r->cut, 1);
    mp_record_free(r);
    mp_memory_by(NULL, NULL);
}

TEST(keeps_the_beginning_of_long_arguments)
{
    unsigned char bytes[400];
    mp_record *r = mp_record_new(10);
    memset(bytes, 'x', sizeof bytes);
    mp_record_describe(r, bytes, 400);
    mp_record_describe(r, bytes, MP_RECORD_ITEM_BYTES);
    mp_record_describe(r, bytes, 0);
    CHECK_EQ_INT(r->bytes.len, 2 * MP_RECORD_ITEM_BYTES + 3);
    CHECK_EQ_INT(r->bytes.data[0], 255);
    CHECK_EQ_INT(r->bytes.data[MP_RECORD_ITEM_BYTES + 1], MP_RECORD_ITEM_BYTES);
    CHECK_EQ_INT(r->described, 3);
    mp_record_free(r);
}

/* ---- in a pool ---- */

static matter *recorded_call(uint64_t granule)
{
    matter *m = desk_call(granule);
    mp_call_record(m->call, 1, 0);
    return m;
}

static int64_t waiting(const mp_record *r)
{
    int64_t n = -(int64_t)r->count;
    for (size_t i = 0; i < r->steps.count; i++)
        n += ((const mp_record_step *)r->steps.entries)[i].change;
    return n;
}

TEST(has_each_outcome)
{
    mp_record *r = mp_record_new(100);
    desk_open(1);
    mp_pool_record(desk_pool, r);
    matter *m = recorded_call(2);
    desk_add(m, "d1");
    desk_add(m, "f2");
    desk_add(m, "d3");
    desk_add(m, "d4");
    desk_seal(m);
    desk_loop->no_room_at = 3;
    desk_loop->kill_at = 4;
    desk_loop->kill_when = LOOPBACK_BEGUN;
    desk_drain();
    mp_record_item *found = read_all(r, 4);
    CHECK_EQ_INT(found[0].outcome, MP_RECORD_DONE);
    CHECK_EQ_INT(found[1].outcome, MP_RECORD_FAILED);
    CHECK_EQ_INT(found[2].outcome, MP_RECORD_FAILED);
    CHECK_EQ_INT(found[3].outcome, MP_RECORD_LOST);
    const mp_record_life *life = (const mp_record_life *)r->lives.entries + found[3].life;
    CHECK(life->found != 0 && life->status == SIGKILL);
    CHECK_EQ_INT(r->failed.count, 1);
    CHECK_EQ_INT(r->described, 4);
    CHECK_EQ_INT(waiting(r), 0);
    free(found);
    mp_call_release(m->call);
    desk_close();
    mp_record_free(r);
}

TEST(has_each_attempt)
{
    mp_record *r = mp_record_new(100);
    mp_event e;
    desk_open(1);
    mp_pool_record(desk_pool, r);
    matter *m = recorded_call(1);
    desk_add(m, "f1");
    desk_seal(m);
    for (int turn = 0; turn < 10; turn++)
        while (mp_pool_next(desk_pool, &e))
            if (e.kind != MP_EVENT_FAILED || e.attempt == 3 ||
                mp_pool_again(desk_pool, 0, NULL) < 0)
                mp_pool_settle(desk_pool);
    mp_record_item *found = read_all(r, 3);
    for (unsigned i = 0; i < 3; i++)
        CHECK(found[i].attempt == i + 1 && found[i].index == 1);
    CHECK_EQ_INT(waiting(r), 0);
    free(found);
    mp_call_release(m->call);
    desk_close();
    mp_record_free(r);
}

TEST(has_what_nobody_wanted_any_more)
{
    mp_record *r = mp_record_new(100);
    desk_open(1);
    mp_pool_record(desk_pool, r);
    matter *m = recorded_call(3), *other = desk_call(1);
    desk_loop->by_hand = true;
    desk_add_many(m, 'd', 9);
    desk_add_many(other, 'd', 1);
    desk_seal(m);
    desk_seal(other);
    for (int i = 0; i < 3; i++)
        loopback_work(desk_loop); /* the claim, and two items */
    mp_call_limit(m->call, 2);
    desk_loop->by_hand = false;
    desk_drain();
    mp_record_item *found = read_all(r, 2);
    CHECK_EQ_INT(found[0].outcome, MP_RECORD_DONE);
    CHECK_EQ_INT(found[1].outcome, MP_RECORD_CANCELLED);
    CHECK_EQ_INT(waiting(r), 0);
    CHECK_EQ_INT(other->done, 1);
    free(found);
    desk_close();
    mp_record_free(r);
}

TEST(has_both_of_twins)
{
    mp_record *r = mp_record_new(100);
    desk_open(2);
    mp_pool_record(desk_pool, r);
    desk_loop->by_hand = true;
    matter *m = recorded_call(1);
    mp_call_duplicate(m->call);
    desk_add_many(m, 'd', 1);
    desk_seal(m);
    CHECK(loopback_work(desk_loop));
    desk_loop->idle = 1;
    mp_pool_wait(desk_pool, 0, MP_BELL_EAGER, NULL);
    desk_loop->idle = 0;
    loopback_work_all(desk_loop);
    desk_drain();
    mp_record_item *found = read_all(r, 2);
    CHECK_EQ_INT(found[0].outcome, MP_RECORD_DONE);
    CHECK_EQ_INT(found[1].outcome, MP_RECORD_CANCELLED);
    CHECK(found[0].life != found[1].life);
    CHECK_EQ_INT(waiting(r), 0);
    free(found);
    mp_call_release(m->call);
    desk_close();
    mp_record_free(r);
}

CHECK_MAIN
