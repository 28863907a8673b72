/* When the items of a timed call began and ended, and who ran them. */
#include "spec/pool/workshop.h"

enum { TIMED = 400 };

static mp_event told[TIMED + 1]; /* the event of each item, by index */

static void open_timed(shop *s, uint64_t granule)
{
    shop_call(s, granule);
    mp_call_timed(s->call);
    memset(told, 0, sizeof told);
}

static void note(shop *s, const mp_event *e)
{
    shop_note(s, e);
    if (e->kind != MP_EVENT_CALL_OVER && e->kind != MP_EVENT_TROUBLE)
        told[e->index] = *e;
}

/* Notes the results that follow a DONE; all are settled. */
static void note_run(shop *s, mp_event *e)
{
    while (mp_pool_follow(s->pool, e))
        note(s, e);
}

/* Takes in what is there, by way of mp_pool_follow where `follows`. */
static void take_all(shop *s, bool follows)
{
    mp_event e;
    while (mp_pool_next(s->pool, &e)) {
        note(s, &e);
        if (follows && e.kind == MP_EVENT_DONE)
            note_run(s, &e);
        else
            mp_pool_settle(s->pool);
    }
}

static void finish(shop *s, bool follows)
{
    int64_t end = mp_deadline(SHOP_PATIENCE);
    shop_seal(s);
    while (take_all(s, follows), s->over == 0 && mp_now() < end)
        mp_pool_wait(s->pool, end, MP_BELL_LAZY, NULL);
    CHECK(s->over == 1);
}

/* That each item lies between the two instants, and no two of one worker overlap. */
static void check_times(const shop *s, int64_t from)
{
    int64_t now = mp_now();
    unsigned wrong = 0, crossing = 0;
    for (uint64_t i = 1; i <= s->added; i++) {
        const mp_event *e = &told[i];
        wrong += e->began < from || e->ended < e->began || e->ended > now;
        wrong += e->pid != shop_memory->pid[i];
        for (uint64_t k = 1; k < i; k++)
            crossing +=
                told[k].pid == e->pid && told[k].began < e->ended && e->began < told[k].ended;
    }
    CHECK_EQ_INT(wrong, 0);
    CHECK_EQ_INT(crossing, 0);
}

TEST(every_outcome_has_times)
{
    shop s;
    shop_open(&s, 2);
    int64_t from = mp_now();
    open_timed(&s, 3);
    for (int i = 0; i < 40; i++)
        shop_add(&s, "dfndw"[i % 5], 300);
    finish(&s, false);
    shop_check(&s);
    check_times(&s, from);
    CHECK_EQ_INT(told[3].code, -ENOSPC);
    CHECK_EQ_INT(told[3].size, 0);
    CHECK_EQ_INT(told[1].size, 5);
    CHECK(told[5].ended - told[5].began >= 300000);
    shop_release(&s);
    shop_close(&s);
}

TEST(results_that_are_taken_in_a_row_have_theirs)
{
    shop s;
    shop_open(&s, 2);
    int64_t from = mp_now();
    open_timed(&s, 50);
    shop_add_many(&s, 'd', 7, TIMED);
    finish(&s, true);
    shop_check(&s);
    check_times(&s, from);
    for (uint64_t i = 2; i <= 50; i++)
        CHECK(told[i].began >= told[i - 1].ended);
    shop_release(&s);
    shop_close(&s);
}

TEST(results_that_lie_ahead_are_cut)
{
    shop s;
    mp_event e;
    mp_result_frame ahead[64];
    shop_open(&s, 1);
    open_timed(&s, 60);
    shop_add_many(&s, 'd', 7, 60);
    shop_seal(&s);
    CHECK(SHOP_SOON(shop_memory->runs[60] > 0 && shop_all_idle(&s, 1)));
    REQUIRE(mp_pool_next(s.pool, &e));
    CHECK_EQ_INT(e.size, 5);
    unsigned n = mp_pool_ahead(s.pool, ahead, 64);
    CHECK_EQ_INT(n, 59);
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ_INT(ahead[i].size, 5);
        CHECK(memcmp(ahead[i].data + 1, &s.number[1], 4) == 0);
    }
    mp_pool_settle_ahead(s.pool, ahead, 20);
    REQUIRE(mp_pool_next(s.pool, &e));
    CHECK_EQ_INT(e.index, 22);
    s.done = 21;
    CHECK(SHOP_UNTIL(&s, s.over > 0, MP_BELL_LAZY));
    CHECK_EQ_INT(s.done, 60);
    shop_release(&s);
    shop_close(&s);
}

TEST(large_results_have_theirs)
{
    shop s;
    shop_open(&s, 2);
    int64_t from = mp_now();
    open_timed(&s, 1);
    for (int i = 0; i < 60; i++)
        shop_add(&s, 'g', (i + 1) * 37);
    finish(&s, false);
    CHECK_EQ_INT(s.done, 60);
    CHECK_EQ_INT(s.wrong, 0);
    check_times(&s, from);
    CHECK_EQ_INT(told[60].size, 60 * 37 << 10);
    shop_release(&s);
    shop_close(&s);
}

TEST(a_lost_one_has_what_is_known)
{
    shop s;
    shop_open(&s, 1);
    int64_t from = mp_now();
    open_timed(&s, 3);
    shop_add(&s, 'w', 3000);
    shop_add(&s, 'k', 0);
    shop_add(&s, 'd', 0);
    finish(&s, false);
    CHECK_EQ_INT(s.lost, 1);
    check_times(&s, from);
    CHECK(told[2].began >= told[1].began);
    shop_release(&s);
    shop_close(&s);
}

TEST(items_of_other_calls_have_none)
{
    shop s;
    shop_open(&s, 1);
    open_timed(&s, 2);
    shop_add_many(&s, 'd', 1, 20);
    finish(&s, true);
    shop_release(&s);
    shop_call(&s, 2);
    memset(told, 0, sizeof told);
    shop_add_many(&s, 'd', 1, 4);
    shop_add(&s, 'k', 1);
    shop_add(&s, 'f', 1);
    finish(&s, false);
    for (int i = 1; i <= 6; i++)
        CHECK(told[i].began == 0 && told[i].ended == 0);
    CHECK_EQ_INT(told[1].size, 5);
    shop_release(&s);
    shop_close(&s);
}

TEST(attempts_have_their_own)
{
    shop s;
    mp_event e;
    unsigned attempts = 0;
    int64_t last = 0;
    shop_open(&s, 2);
    open_timed(&s, 1);
    shop_add(&s, 'f', 0);
    shop_seal(&s);
    while (s.over == 0) {
        if (!mp_pool_next(s.pool, &e)) {
            mp_pool_wait(s.pool, mp_deadline(1), MP_BELL_EAGER, NULL);
            continue;
        }
        shop_note(&s, &e);
        if (e.kind == MP_EVENT_FAILED) {
            CHECK_EQ_INT(e.attempt, ++attempts);
            CHECK(e.began >= last && e.ended >= e.began);
            last = e.ended;
        }
        if (e.kind != MP_EVENT_FAILED || e.attempt == 3 || mp_pool_again(s.pool, 0, NULL) < 0)
            mp_pool_settle(s.pool);
    }
    CHECK_EQ_INT(attempts, 3);
    shop_release(&s);
    shop_close(&s);
}

TEST(what_all_workers_do_has_times)
{
    shop s;
    mp_error error = {0};
    shop_open(&s, 3);
    int64_t from = mp_now();
    mp_definition *d = mp_pool_define(s.pool, (const unsigned char *)"by value", 8, &error);
    s.call = mp_call_open(s.pool, d, 0, &s, &error);
    mp_call_granule(s.call, 2);
    mp_call_timed(s.call);
    memset(told, 0, sizeof told);
    shop_add(&s, 'w', 100);
    CHECK_EQ_INT(mp_call_everywhere(s.call, &error), 0);
    int64_t end = mp_deadline(SHOP_PATIENCE);
    while (take_all(&s, false), s.over == 0 && mp_now() < end)
        mp_pool_wait(s.pool, end, MP_BELL_EAGER, NULL);
    CHECK_EQ_INT(s.done, 3);
    for (int i = 1; i <= 3; i++) {
        CHECK(told[i].began >= from && told[i].ended >= told[i].began + 100000);
        CHECK(told[i].pid == told[1].pid ? i == 1 : told[i].pid > 0);
    }
    mp_call_release(s.call);
    shop_close(&s);
}

CHECK_MAIN
