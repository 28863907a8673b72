/* CBOR heads, and the small floats. */
#include "codec/head.h"
#include "spec/support/check.h"

#include <math.h>

static void check_round(uint64_t argument, size_t expected)
{
    unsigned char bytes[MP_HEAD_MAX];
    for (unsigned major = 0; major < 7; major++) {
        mp_head head;
        const char *problem = NULL;
        unsigned char *end = mp_head_put(bytes, major, argument);
        CHECK_EQ_INT(end - bytes, expected);
        CHECK(mp_head_read(bytes, end, &head, &problem) == end);
        CHECK_EQ_INT(head.major, major);
        CHECK(head.argument == argument);
        for (const unsigned char *cut = bytes + 1; cut < end; cut++)
            CHECK(mp_head_read(bytes, cut, &head, &problem) == NULL);
    }
}

TEST(written_heads_are_the_shortest_and_read_back)
{
    check_round(0, 1);
    check_round(23, 1);
    check_round(24, 2);
    check_round(255, 2);
    check_round(256, 3);
    check_round(65535, 3);
    check_round(65536, 5);
    check_round(UINT32_MAX, 5);
    check_round((uint64_t)UINT32_MAX + 1, 9);
    check_round(UINT64_MAX, 9);
}

TEST(longer_heads_than_needed_are_read)
{
    static const unsigned char bytes[] = {0x1B, 0, 0, 0, 0, 0, 0, 0, 5};
    mp_head head;
    const char *problem;
    CHECK(mp_head_read(bytes, bytes + sizeof bytes, &head, &problem) == bytes + sizeof bytes);
    CHECK(head.argument == 5);
}

TEST(reserved_and_indefinite_forms)
{
    mp_head head;
    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned char bytes[MP_HEAD_MAX] = {(unsigned char)byte};
        const char *problem = NULL;
        bool read = mp_head_read(bytes, bytes + sizeof bytes, &head, &problem) != NULL;
        unsigned major = byte >> 5, info = byte & 31;
        bool good = info < 28 || (info == 31 && major != 0 && major != 1 && major != 6);
        CHECK(read == good);
        CHECK(good || problem != NULL);
    }
}

TEST(half_precision)
{
    CHECK(mp_half_value(0x3C00) == 1.0);
    CHECK(mp_half_value(0xC000) == -2.0);
    CHECK(mp_half_value(0x7BFF) == 65504.0);
    CHECK(mp_half_value(0x0001) == ldexp(1, -24));
    CHECK(mp_half_value(0x0400) == ldexp(1, -14));
    CHECK(isinf(mp_half_value(0x7C00)));
    CHECK(isnan(mp_half_value(0x7E00)));
    CHECK(signbit(mp_half_value(0x8000)));
}

TEST(quadruple_precision)
{
    const uint64_t one = UINT64_C(0x3FFF) << 48;
    CHECK(mp_quad_value(one, 0) == 1.0);
    CHECK(mp_quad_value(one | UINT64_C(1) << 63, 0) == -1.0);
    CHECK(mp_quad_value(one, 1) == 1.0);
    CHECK(mp_quad_value(one | 0xF, UINT64_MAX) == 1.0 + 0x1p-44);
    CHECK(mp_quad_value(0, 1) == 0.0);
    CHECK(isinf(mp_quad_value(UINT64_C(0x7FFF) << 48, 0)));
    CHECK(isnan(mp_quad_value(UINT64_C(0x7FFF) << 48, 1)));
    CHECK(isinf(mp_quad_value(UINT64_C(0x7FFE) << 48, 0)));
}

CHECK_MAIN
