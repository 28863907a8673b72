/* timeout: 300
 * label: long
 *
 * A result of a gigabyte, written piece by piece, arrives whole. */
#include "shm/result_ring.h"
#include "spec/support/check.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static void arrives(size_t size)
{
    mp_region region;
    mp_error error = {0};
    mp_result_reader r;
    mp_result_writer w;
    mp_result_frame frame;
    REQUIRE(mp_result_create(&region, "spec-results", MIB, &error) == 0);
    mp_result_reader_init(&r, &region);
    REQUIRE(mp_result_writer_init(&w, &region, &error) == 0);
    mp_buffer *b = mp_result_open(&w, 0);
    REQUIRE(b != NULL);
    for (uint64_t i = 0; i < size / sizeof i; i++)
        if (mp_buffer_append(b, &i, sizeof i) != 0)
            REQUIRE(false);
    mp_result_publish(&w, 13);
    REQUIRE(mp_result_peek(&r, &frame));
    CHECK(frame.kind == 13 && frame.size == size);
    for (uint64_t i = 0; i < size / sizeof i; i++)
        if (memcmp(frame.data + i * sizeof i, &i, sizeof i) != 0)
            REQUIRE(false);
    mp_result_consume(&r);
    CHECK(!mp_result_peek(&r, &frame));
    mp_result_trim(&w, 0);
    CHECK(region.size < MIB);
    mp_result_writer_destroy(&w);
    mp_region_destroy(&region);
}

TEST(a_gigabyte_arrives_whole)
{
    arrives(GIB);
}

CHECK_MAIN
