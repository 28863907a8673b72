/* valgrind
 * Records: what is written is read again, what is not whole is not, and no read outside of
 * damaged bytes. */
#include "journal/hash.h"
#include "journal/record.h"
#include "spec/support/check.h"

#include <stdlib.h>

static const mp_digest digest = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* A record of an item whose result is the number 7. */
static void put_item(mp_buffer *b, uint64_t index, const char *last, uint64_t position)
{
    size_t start = b->len;
    CHECK_EQ_INT(mp_journal_record_begin(b), 0);
    CHECK_EQ_INT(mp_journal_record_put_map(b, 6), 0);
    CHECK_EQ_INT(mp_journal_record_put(b, "item", index), 0);
    CHECK_EQ_INT(mp_journal_record_put_digest(b, "args", &digest), 0);
    CHECK_EQ_INT(mp_journal_record_put(b, "run", 3), 0);
    CHECK_EQ_INT(mp_journal_record_put_time(b, "time", 1.5), 0);
    CHECK_EQ_INT(mp_journal_record_put(b, "later", UINT64_MAX), 0);
    CHECK_EQ_INT(mp_journal_record_put_key(b, last), 0);
    CHECK_EQ_INT(mp_journal_record_put_array(b, 1), 0);
    CHECK_EQ_INT(mp_buffer_append(b, "\x07", 1), 0);
    mp_journal_record_end(b, start, position);
}

TEST(is_read_as_it_was_written)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    put_item(&b, 300, "result", 1000);
    uint64_t size = mp_journal_record_size(b.data);
    CHECK_EQ_INT((long long)size, (long long)(b.len - MP_JOURNAL_HEAD));
    CHECK(mp_journal_record_is_whole(b.data, size, 1000));
    CHECK(!mp_journal_record_is_whole(b.data, size, 1001));
    mp_journal_record r = mp_journal_record_read(b.data + MP_JOURNAL_HEAD, size);
    CHECK_EQ_INT(r.kind, MP_JOURNAL_RESULT);
    CHECK_EQ_INT((long long)r.item, 300);
    CHECK_EQ_INT((long long)r.run, 3);
    CHECK(memcmp(r.args.bytes, digest.bytes, MP_DIGEST) == 0);
    uint64_t count;
    const unsigned char *values, *end = b.data + b.len;
    CHECK(mp_journal_record_values(b.data + MP_JOURNAL_HEAD + r.value, end, &count, &values));
    CHECK_EQ_INT((long long)count, 1);
    CHECK_EQ_INT(*values, 7);
    mp_buffer_free(&b);
}

TEST(says_what_it_tells_of)
{
    static const struct {
        const char *key;
        enum mp_journal_record_kind kind;
    } kinds[] = {{"result", MP_JOURNAL_RESULT},
                 {"error", MP_JOURNAL_ERROR},
                 {"state", MP_JOURNAL_STATE},
                 {"rest", MP_JOURNAL_OTHER}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        mp_buffer b;
        mp_buffer_init_heap(&b);
        put_item(&b, 1, kinds[i].key, 0);
        mp_journal_record r =
            mp_journal_record_read(b.data + MP_JOURNAL_HEAD, b.len - MP_JOURNAL_HEAD);
        CHECK_EQ_INT(r.kind, kinds[i].kind);
        mp_buffer_free(&b);
    }
    CHECK_EQ_INT(mp_journal_record_read((const unsigned char *)"\xa1\x66"
                                                               "format\x01",
                                        9)
                     .kind,
                 MP_JOURNAL_RUN);
    CHECK_EQ_INT(mp_journal_record_read((const unsigned char *)"", 0).kind, MP_JOURNAL_OTHER);
}

TEST(is_found_behind_rubbish)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    CHECK_EQ_INT(mp_buffer_append(&b, "\xd9\xd9\xf7\x83 no record", 14), 0);
    put_item(&b, 1, "result", 14);
    CHECK_EQ_INT((long long)mp_journal_record_seek(b.data, b.len, 0), 14);
    CHECK_EQ_INT((long long)mp_journal_record_seek(b.data, b.len, 15), (long long)b.len);
    CHECK_EQ_INT((long long)mp_journal_record_seek(b.data, b.len, b.len + 5), (long long)b.len);
    mp_buffer_free(&b);
}

/* In memory of its own, so that a read behind it is seen. */
static mp_journal_record read_copy(const unsigned char *bytes, size_t size)
{
    unsigned char *copy = malloc(size + 1);
    memcpy(copy, bytes, size);
    mp_journal_record r = mp_journal_record_read(copy, size);
    CHECK(r.value <= size);
    free(copy);
    return r;
}

TEST(is_not_believed_where_it_is_damaged)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    put_item(&b, 1, "result", 0);
    size_t size = b.len - MP_JOURNAL_HEAD;
    for (size_t cut = 0; cut < size; cut++)
        read_copy(b.data + MP_JOURNAL_HEAD, cut);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 0x41;
        read_copy(b.data + MP_JOURNAL_HEAD, size);
        bool found =
            mp_journal_record_seek(b.data, b.len, 0) == 0 && mp_journal_record_size(b.data) == size;
        CHECK(!found || !mp_journal_record_is_whole(b.data, size, 0));
        b.data[i] ^= 0x41;
    }
    mp_buffer_free(&b);
}

TEST(has_the_digests_that_others_compute)
{
    /* XXH3_128bits("") and XXH3_64bits(""), from the specification's test vectors. */
    static const unsigned char empty[] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                          0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    mp_digest d = mp_digest_of("", 0);
    CHECK(memcmp(d.bytes, empty, sizeof empty) == 0);
    CHECK_EQ_INT((long long)mp_journal_record_sum("", 0, 0), 0x2D06800538D394C2);
}

CHECK_MAIN
