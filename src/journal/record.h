/* The records of a journal, without Lua: a CBOR sequence (RFC 8742) of
 *
 *     55799([size, checksum, body])
 *
 * where size and checksum are integers of always eight bytes. The tag (RFC 8949, section 3.4.6)
 * and the two heads behind it are what a record is found by where bytes before it are damaged.
 * size: bytes of the body. checksum: the low 63 bits of their XXH3, seeded with the record's
 * position in the file, so that a copy of a record elsewhere, in a result say, is none.
 *
 * A body is a map whose first key says what it is:
 *
 *     "format"  a head: how the items behind it were computed; see lua/moonpool/journal.lua
 *     "item"    an item's index, behind it "args", 16 bytes, and "run", the number of the head
 *               that it belongs to; last "result", an array of values, "error", or "state", an
 *               array of what was saved and of where math.random was
 *
 * Readers skip keys that they do not know. */
#ifndef MP_JOURNAL_RECORD_H
#define MP_JOURNAL_RECORD_H

#include "base/buffer.h"

#include <stdbool.h>

enum { MP_JOURNAL_HEAD = 22, MP_DIGEST = 16 };

typedef struct mp_digest {
    unsigned char bytes[MP_DIGEST];
} mp_digest;

enum mp_journal_record_kind {
    MP_JOURNAL_OTHER, /* of no known form */
    MP_JOURNAL_RUN,   /* a head */
    MP_JOURNAL_RESULT,
    MP_JOURNAL_ERROR,
    MP_JOURNAL_STATE,
};

/* What a body says. */
typedef struct mp_journal_record {
    enum mp_journal_record_kind kind;
    uint64_t item, run;
    mp_digest args;
    size_t value; /* where in the body the last key's value begins */
} mp_journal_record;

/* Appends room for a record's head to `out`; the body follows. Returns 0 or a negative errno. */
int mp_journal_record_begin(mp_buffer *out);

/* The body behind the head at `start` of the buffer is whole; `position`: where in the file the
 * record will lie. */
void mp_journal_record_end(mp_buffer *out, size_t start, uint64_t position);

/* Appends a text and an integer, or a text and a byte string, as a key and its value. 0 or a
 * negative errno. */
int mp_journal_record_put(mp_buffer *out, const char *key, uint64_t value);
int mp_journal_record_put_digest(mp_buffer *out, const char *key, const mp_digest *digest);
int mp_journal_record_put_time(mp_buffer *out, const char *key, double seconds);
int mp_journal_record_put_key(mp_buffer *out, const char *key);

/* Appends the head of an array or a map of so many entries. */
int mp_journal_record_put_array(mp_buffer *out, uint64_t count);
int mp_journal_record_put_map(mp_buffer *out, uint64_t entries);

/* Where the next thing begins, at or behind `from`, that may be a record's head; `size` if
 * nowhere: then the last MP_JOURNAL_HEAD - 1 bytes may begin one. */
size_t mp_journal_record_seek(const unsigned char *bytes, size_t size, size_t from);

/* The size of the body that the head at `bytes` announces. */
uint64_t mp_journal_record_size(const unsigned char *head);

/* Whether head and body are those that were written for this position. */
bool mp_journal_record_is_whole(const unsigned char *head, uint64_t size, uint64_t position);

/* What the body says; bytes are not trusted. */
mp_journal_record mp_journal_record_read(const unsigned char *body, size_t size);

/* The number of values that a result's array at `at` has, and where they begin; false where
 * it is no array. */
bool mp_journal_record_values(const unsigned char *at, const unsigned char *end, uint64_t *count,
                              const unsigned char **values);

#endif
