/* Buffers in malloc'ed memory: contents survive growth, sizes that cannot be
 * had are refused and harm nothing. */
#include "base/buffer.h"
#include "spec/support/check.h"

#include <errno.h>

TEST(begins_empty)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    CHECK_EQ_INT(b.len, 0);
    CHECK_EQ_INT(b.cap, 0);
    mp_buffer_free(&b);
}

TEST(appends_keep_what_is_there)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    for (unsigned i = 0; i < 100000; i++)
        REQUIRE(mp_buffer_append(&b, &i, sizeof i) == 0);
    REQUIRE(b.len == 100000 * sizeof(unsigned));
    CHECK(b.cap >= b.len);
    for (unsigned i = 0; i < 100000; i++)
        REQUIRE(memcmp(b.data + i * sizeof i, &i, sizeof i) == 0);
    mp_buffer_free(&b);
}

TEST(appending_nothing_needs_no_memory)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    CHECK_EQ_INT(mp_buffer_append(&b, NULL, 0), 0);
    CHECK(b.data == NULL);
}

TEST(reserve_makes_the_room_asked_for)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    REQUIRE(mp_buffer_append(&b, "abc", 3) == 0);
    CHECK_EQ_INT(mp_buffer_reserve(&b, 5000), 0);
    CHECK(b.cap - b.len >= 5000);
    CHECK_EQ_INT(b.len, 3);
    CHECK_MEM(b.data, "abc", 3);
    mp_buffer_free(&b);
}

TEST(refuses_what_cannot_be)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    REQUIRE(mp_buffer_append(&b, "abc", 3) == 0);
    CHECK_EQ_INT(mp_buffer_reserve(&b, SIZE_MAX), -ENOMEM);
    CHECK_EQ_INT(mp_buffer_reserve(&b, SIZE_MAX / 2), -ENOMEM);
    CHECK_EQ_INT(mp_buffer_reserve(&b, SIZE_MAX / 4), -ENOMEM);
    CHECK_EQ_INT(b.len, 3);
    CHECK_MEM(b.data, "abc", 3);
    mp_buffer_free(&b);
}

TEST(may_be_used_again_once_freed)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    REQUIRE(mp_buffer_append(&b, "abc", 3) == 0);
    mp_buffer_free(&b);
    CHECK_EQ_INT(b.len, 0);
    CHECK_EQ_INT(mp_buffer_append(&b, "de", 2), 0);
    CHECK_MEM(b.data, "de", 2);
    mp_buffer_free(&b);
}

CHECK_MAIN
