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

TEST(reads_items_one_after_another)
{
    static const char *const words[] = {"", "a", "", "four", "seventeen letters"};
    unsigned char bytes[64];
    size_t n = 0, size;
    for (int i = 0; i < 5; i++)
        n += put(bytes + n, words[i]);
    const unsigned char *at = bytes;
    for (int i = 0; i < 5; i++) {
        const unsigned char *item = mp_item_read(&at, &size);
        CHECK_EQ_INT(size, strlen(words[i]));
        CHECK_MEM(item, words[i], size);
    }
    CHECK(at == bytes + n);
}

TEST(reads_a_long_head)
{
    unsigned char bytes[64];
    size_t n = put(bytes, "ab"), size;
    n += put_long(bytes + n, "as if it were long");
    n += put(bytes + n, "c");
    const unsigned char *at = bytes;
    mp_item_read(&at, &size);
    const unsigned char *item = mp_item_read(&at, &size);
    CHECK_EQ_INT(size, 18);
    CHECK_MEM(item, "as if it were long", 18);
    item = mp_item_read(&at, &size);
    CHECK_EQ_INT(size, 1);
    CHECK_MEM(item, "c", 1);
    CHECK(at == bytes + n);
}

/* The compiler is to know the block's layout that workers of another build would see. */
TEST(has_no_holes_in_what_is_shared)
{
    CHECK_EQ_INT(sizeof(mp_call_block), 88);
    CHECK_EQ_INT(sizeof(mp_frame_row), 24);
    CHECK_EQ_INT(sizeof(mp_granule), 48);
}

CHECK_MAIN
