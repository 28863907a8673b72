/* valgrind */
#include "pool/wire.h"

#include "spec/support/check.h"

#include <stdlib.h>

static size_t put(unsigned char *at, const char *word)
{
    uint32_t length = (uint32_t)strlen(word);
    memcpy(at, &length, sizeof length);
    strcpy((char *)at + MP_ITEM_HEAD, word);
    return MP_ITEM_HEAD + length;
}

static size_t put_long(unsigned char *at, const char *word)
{
    uint32_t mark = MP_LONG_ITEM;
    uint64_t length = strlen(word);
    memcpy(at, &mark, sizeof mark);
    memcpy(at + MP_ITEM_HEAD, &length, sizeof length);
    strcpy((char *)at + MP_LONG_ITEM_HEAD, word);
    return MP_LONG_ITEM_HEAD + length;
}

/* The past of an item with a state of these letters ("": none). */
static size_t put_past(unsigned char *at, uint32_t attempt, bool made, const char *state)
{
    size_t size = strlen(state);
    mp_item_past past = {MP_ITEM_WITH_PAST, attempt, made, size};
    memcpy(at, &past, sizeof past);
    for (size_t i = 0; i < size; i++)
        at[sizeof past + i] = (unsigned char)state[i];
    return sizeof past + size;
}

static void check_item(const unsigned char **at, uint64_t left, const char *word)
{
    mp_item item;
    CHECK(mp_item_read(at, left, &item));
    CHECK_EQ_INT(item.size, strlen(word));
    CHECK_MEM(item.bytes, word, item.size);
    CHECK_EQ_INT(item.attempt, 1);
    CHECK(item.state == NULL && item.state_size == 0);
}

TEST(reads_items_one_after_another)
{
    static const char *const words[] = {"", "a", "", "four", "seventeen letters"};
    unsigned char bytes[64];
    size_t n = 0;
    for (int i = 0; i < 5; i++)
        n += put(bytes + n, words[i]);
    const unsigned char *at = bytes;
    for (int i = 0; i < 5; i++)
        check_item(&at, n - (size_t)(at - bytes), words[i]);
    CHECK(at == bytes + n);
}

TEST(reads_a_long_head)
{
    unsigned char bytes[64];
    size_t n = put(bytes, "ab");
    n += put_long(bytes + n, "as if it were long");
    n += put(bytes + n, "c");
    const unsigned char *at = bytes;
    check_item(&at, sizeof bytes, "ab");
    check_item(&at, sizeof bytes, "as if it were long");
    check_item(&at, sizeof bytes, "c");
    CHECK(at == bytes + n);
}

TEST(reads_what_stands_before_an_item_that_runs_again)
{
    for (int with = 0; with < 4; with++) {
        unsigned char bytes[80];
        bool made = with % 2 != 0, stated = with / 2 != 0;
        size_t n = put_past(bytes, 7, made, stated ? "a state" : "");
        if (!made)
            n += put_long(bytes + n, "an item");
        const unsigned char *at = bytes;
        mp_item item;
        REQUIRE(mp_item_read(&at, n, &item));
        CHECK(at == bytes + n);
        CHECK_EQ_INT(item.attempt, 7);
        CHECK_EQ_INT(item.state_size, stated ? 7 : 0);
        REQUIRE((item.state != NULL) == stated && (item.bytes == NULL) == made);
        CHECK_EQ_INT(item.size, made ? 0 : 7);
        if (stated)
            CHECK_MEM(item.state, "a state", 7);
        if (!made)
            CHECK_MEM(item.bytes, "an item", 7);
    }
}

TEST(reads_nothing_that_lies_beyond_the_end)
{
    for (int kind = 0; kind < 6; kind++) {
        unsigned char all[80];
        size_t n = kind >= 2 ? put_past(all, 2, kind >= 4, kind % 2 == 0 ? "state" : "") : 0;
        if (kind < 4)
            n += kind == 0 ? put(all, "short") : put_long(all + n, "long");
        for (size_t left = 0; left < n; left++) {
            unsigned char *bytes = malloc(left + 1);
            const unsigned char *at = bytes;
            mp_item item;
            memcpy(bytes, all, left);
            CHECK(!mp_item_read(&at, left, &item));
            CHECK(at == bytes);
            free(bytes);
        }
    }
}

TEST(believes_no_length_that_wraps_around)
{
    unsigned char bytes[64];
    uint64_t sizes[] = {UINT64_MAX, UINT64_MAX - 11, UINT64_MAX - 23, UINT64_MAX / 2};
    for (unsigned i = 0; i < 4; i++) {
        const unsigned char *at = bytes;
        mp_item item;
        put_long(bytes, "x");
        memcpy(bytes + MP_ITEM_HEAD, &sizes[i], sizeof sizes[i]);
        CHECK(!mp_item_read(&at, sizeof bytes, &item));
        mp_item_past past = {MP_ITEM_WITH_PAST, 1, 0, sizes[i]};
        memcpy(bytes, &past, sizeof past);
        CHECK(!mp_item_read(&at, sizeof bytes, &item));
        past.state_size = 0;
        memcpy(bytes, &past, sizeof past);
        memcpy(bytes + sizeof past, &past, sizeof past); /* a past behind a past */
        CHECK(!mp_item_read(&at, sizeof bytes, &item));
        CHECK(at == bytes);
    }
}

/* The compiler is to know the block's layout that workers of another build would see. */
TEST(has_no_holes_in_what_is_shared)
{
    CHECK_EQ_INT(sizeof(mp_call_block), 96);
    CHECK_EQ_INT(sizeof(mp_frame_row), 24);
    CHECK_EQ_INT(sizeof(mp_item_past), 24);
    CHECK_EQ_INT(sizeof(mp_granule), 48);
}

CHECK_MAIN
