/* valgrind
 * What a worker leaves of its tasks: all of it, in little room, whatever happens to the writer. */
#include "pool/spans.h"
#include "spec/support/check.h"

static mp_spans spans;
static mp_span found[MP_SPANS];

static void fill(unsigned tasks)
{
    spans = (mp_spans){0};
    for (unsigned i = 0; i < tasks; i++)
        mp_spans_add(&spans, 100 + i * 10, 107 + i * 10, 3, 42);
}

TEST(has_each_task_while_there_is_room)
{
    fill(MP_SPANS);
    CHECK_EQ_INT(mp_spans_read(&spans, found), MP_SPANS);
    for (int i = 0; i < MP_SPANS; i++)
        CHECK(found[i].from == 100 + i * 10 && found[i].to == 107 + i * 10 && found[i].busy == 7 &&
              found[i].items == 3 && found[i].pid == 42);
}

TEST(leaves_out_nothing)
{
    for (unsigned tasks = 1; tasks < 100000; tasks = tasks * 5 / 4 + 1) {
        fill(tasks);
        unsigned n = mp_spans_read(&spans, found);
        int64_t busy = 0, items = 0;
        for (unsigned i = 0; i < n; i++) {
            busy += found[i].busy;
            items += found[i].items;
        }
        CHECK(n == tasks || n >= MP_SPANS / 2);
        CHECK_EQ_INT(busy, 7 * (int64_t)tasks);
        CHECK_EQ_INT(items, 3 * (int64_t)tasks);
        CHECK_EQ_INT(found[0].from, 100);
        CHECK_EQ_INT(found[n - 1].to, 97 + 10 * (int64_t)tasks);
    }
}

TEST(keeps_workers_apart_while_it_can)
{
    spans = (mp_spans){0};
    mp_spans_add(&spans, 10, 20, 1, 7);
    mp_spans_add(&spans, 20, 30, 1, 8);
    CHECK_EQ_INT(mp_spans_read(&spans, found), 2);
    CHECK(found[0].pid == 7 && found[1].pid == 8);
    for (int i = 0; i < 1000; i++)
        mp_spans_add(&spans, 30 + i, 31 + i, 1, 100 + i);
    unsigned n = mp_spans_read(&spans, found);
    CHECK(n >= MP_SPANS / 2 && n <= MP_SPANS);
    CHECK_EQ_INT(found[0].pid, 0);
}

TEST(goes_on_behind_a_writer_that_died)
{
    fill(5);
    spans.version |= 1;
    CHECK_EQ_INT(mp_spans_read(&spans, found), 5);
    mp_spans_add(&spans, 1000, 1001, 1, 43);
    CHECK(spans.version % 2 == 0);
    CHECK_EQ_INT(mp_spans_read(&spans, found), 6);
}

TEST(believes_no_nonsense)
{
    uint64_t state = 88172645463325252u;
    for (int round = 0; round < 2000; round++) {
        unsigned char *bytes = (unsigned char *)&spans;
        for (size_t i = 0; i < sizeof spans; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes[i] = (unsigned char)(round % 2 == 0     ? state
                                       : state % 256 == 0 ? state >> 8
                                                          : bytes[i]);
        }
        unsigned n = mp_spans_read(&spans, found);
        CHECK(n <= MP_SPANS);
        for (unsigned i = 0; i < n; i++)
            CHECK(found[i].from >= 0 && found[i].to >= found[i].from && found[i].busy >= 0 &&
                  found[i].busy <= found[i].to - found[i].from);
        mp_spans_add(&spans, 1, 2, 3, 4);
    }
}

CHECK_MAIN
