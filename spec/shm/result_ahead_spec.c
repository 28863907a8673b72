/* Several frames at once, and that they are the same that one after another gives. */
#include "spec/shm/result_fixture.h"

#include <stdlib.h>

enum { MOST = 64 };

static mp_result_frame ahead[MOST];

TEST(those_of_one_kind_behind_the_first)
{
    REQUIRE(make());
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ_INT(put(2, i * 5, 100, 0), 0);
    CHECK_EQ_INT(put(3, 4, 100, 0), 0);
    CHECK_EQ_INT(put(2, 4, 100, 0), 0);
    CHECK_EQ_INT(mp_result_ahead(&r, 2, ahead, MOST), 0); /* nothing was looked at */
    REQUIRE(mp_result_peek(&r, &frame));
    CHECK_EQ_INT(mp_result_ahead(&r, 4, ahead, MOST), 0);
    CHECK_EQ_INT(mp_result_ahead(&r, 2, ahead, 3), 3);
    REQUIRE(mp_result_ahead(&r, 2, ahead, MOST) == 9);
    for (unsigned i = 0; i < 9; i++)
        CHECK(ahead[i].size == (i + 1) * 5 && filled(ahead[i].data, (i + 1) * 5, 2));
    REQUIRE(mp_result_peek(&r, &frame));
    CHECK_EQ_INT(frame.size, 0);
    mp_result_consume_upto(&r, &ahead[4]);
    CHECK(take(2, 30));
    CHECK(take(2, 35) && take(2, 40) && take(2, 45) && take(3, 4) && take(2, 4));
    CHECK(!mp_result_peek(&r, &frame));
    drop();
}

TEST(not_past_a_damaged_word)
{
    REQUIRE(make());
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ_INT(put(2, 8, 100, 0), 0);
    REQUIRE(mp_result_peek(&r, &frame));
    unsigned char *third = (unsigned char *)(uintptr_t)frame.data + 2 * (4 + 8) - 4;
    third[1] ^= 0x10;
    CHECK_EQ_INT(mp_result_ahead(&r, 2, ahead, MOST), 1);
    drop();
}

/* Frames of 0 to 90 bytes, some of another kind, some spilled. */
static int put_some(uint64_t number)
{
    unsigned kind = number % 11 == 0 ? 3 : 2;
    size_t size = number % 97 == 0 ? 40000 : number * 7 % 91;
    return put(kind, size, 1000, 0);
}

static bool is_some(const mp_result_frame *f, uint64_t number)
{
    unsigned kind = number % 11 == 0 ? 3 : 2;
    size_t size = number % 97 == 0 ? 40000 : number * 7 % 91;
    return f->kind == kind && f->size == size && filled(f->data, size, kind);
}

TEST(nothing_is_passed_over_or_met_twice_around_the_ring)
{
    REQUIRE(make());
    uint64_t in = 0, out = 0;
    srand(1);
    while (out < 50000) {
        for (int i = rand() % 50; i > 0 && put_some(in) == 0; i--)
            in++;
        for (int i = rand() % 5; i > 0 && mp_result_peek(&r, &frame); i--) {
            unsigned n = mp_result_ahead(&r, 2, ahead, 1 + (unsigned)rand() % MOST);
            CHECK(is_some(&frame, out));
            for (unsigned k = 0; k < n; k++)
                CHECK(is_some(&ahead[k], out + 1 + k));
            unsigned taken = n > 0 ? (unsigned)rand() % (n + 1) : 0;
            if (taken > 0)
                mp_result_consume_upto(&r, &ahead[taken - 1]);
            else
                mp_result_consume(&r);
            out += 1 + taken;
        }
    }
    drop();
}

CHECK_MAIN
