/* valgrind */
#include "pool/ledger.h"

#include "spec/support/check.h"

TEST(finds_a_row_by_its_id)
{
    mp_ledger l = {0};
    mp_row *a = mp_ledger_add(&l), *b = mp_ledger_add(&l);
    REQUIRE(a != NULL && b != NULL);
    CHECK(a->id != b->id);
    CHECK(a->id != 0 && b->id != 0);
    CHECK(mp_row_step(a, MP_ROW_QUEUE));
    CHECK(mp_row_step(b, MP_ROW_QUEUE));
    CHECK(mp_ledger_find(&l, a->id) == a);
    CHECK(mp_ledger_find(&l, b->id) == b);
    CHECK_EQ_INT(l.live, 2);
    mp_ledger_destroy(&l);
}

TEST(does_not_find_a_row_that_is_in_no_state)
{
    mp_ledger l = {0};
    mp_row *a = mp_ledger_add(&l);
    CHECK_EQ_INT(a->state, MP_ROW_FREE);
    CHECK(mp_ledger_find(&l, a->id) == NULL);
    mp_ledger_destroy(&l);
}

TEST(does_not_find_what_never_was)
{
    mp_ledger l = {0};
    CHECK(mp_ledger_find(&l, 0) == NULL);
    CHECK(mp_ledger_find(&l, UINT64_MAX) == NULL);
    mp_row *a = mp_ledger_add(&l);
    mp_row_step(a, MP_ROW_QUEUE);
    CHECK(mp_ledger_find(&l, 0) == NULL);
    CHECK(mp_ledger_find(&l, a->id + 1) == NULL);
    mp_ledger_destroy(&l);
}

TEST(uses_a_slot_again_but_never_an_id)
{
    mp_ledger l = {0};
    uint64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        mp_row *row = mp_ledger_add(&l);
        CHECK(row->id != last);
        CHECK(last == 0 || mp_ledger_find(&l, last) == NULL);
        mp_row_step(row, MP_ROW_QUEUE);
        last = row->id;
        mp_ledger_remove(&l, row);
        CHECK(mp_ledger_find(&l, last) == NULL);
    }
    CHECK_EQ_INT(l.slots, 1);
    CHECK_EQ_INT(l.live, 0);
    mp_ledger_destroy(&l);
}

TEST(keeps_rows_where_they_are_while_it_grows)
{
    enum { N = 5000 };
    static mp_row *rows[N];
    mp_ledger l = {0};
    for (unsigned i = 0; i < N; i++) {
        rows[i] = mp_ledger_add(&l);
        mp_row_step(rows[i], MP_ROW_QUEUE);
        rows[i]->count = i;
    }
    for (unsigned i = 0; i < N; i++) {
        CHECK(mp_ledger_find(&l, rows[i]->id) == rows[i]);
        CHECK_EQ_INT(rows[i]->count, i);
    }
    CHECK_EQ_INT(l.live, N);
    mp_ledger_destroy(&l);
}

TEST(gives_a_fresh_row)
{
    mp_ledger l = {0};
    mp_row *a = mp_ledger_add(&l);
    mp_row_step(a, MP_ROW_QUEUE);
    a->done = a->count = 7;
    a->cursor_at = 9;
    a->queued = true;
    mp_ledger_remove(&l, a);
    mp_row *b = mp_ledger_add(&l);
    CHECK(a == b);
    CHECK_EQ_INT(b->done + b->count, 0);
    CHECK_EQ_INT(b->cursor_at, 0);
    CHECK(!b->queued);
    CHECK_EQ_INT(b->state, MP_ROW_FREE);
    mp_ledger_destroy(&l);
}

TEST(steps_as_its_table_says)
{
    enum { NO = -1 };
    static const int table[4][5] = {
        [MP_ROW_FREE] = {MP_ROW_BACKLOG, NO, NO, NO, MP_ROW_DELAYED},
        [MP_ROW_BACKLOG] = {NO, MP_ROW_PUBLISHED, MP_ROW_FREE, NO, NO},
        [MP_ROW_DELAYED] = {MP_ROW_BACKLOG, NO, MP_ROW_FREE, NO, NO},
        [MP_ROW_PUBLISHED] = {MP_ROW_BACKLOG, NO, MP_ROW_FREE, MP_ROW_FREE, NO},
    };
    for (int state = 0; state < 4; state++)
        for (int event = 0; event < 5; event++) {
            mp_row row = {.state = (enum mp_row_state)state};
            int next = table[state][event];
            CHECK_EQ_INT(mp_row_step(&row, (enum mp_row_event)event), next != NO);
            CHECK_EQ_INT(row.state, next != NO ? next : state);
        }
}

CHECK_MAIN
