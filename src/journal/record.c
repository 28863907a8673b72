/* A journal's records: see record.h.
 *
 * Invariant: nothing is read outside the bytes that were given. */
#include "journal/record.h"

#include "codec/head.h"
#include "journal/hash.h"

/* The tag, an array of three, an integer of eight bytes. */
static const unsigned char mark[] = {0xD9, 0xD9, 0xF7, 0x83, 0x1B};

enum { SIZE_AT = sizeof mark, SUM_HEAD = SIZE_AT + 8, SUM_AT = SUM_HEAD + 1, EIGHT_BYTES = 0x1B };

/* ---- writing ---- */

int mp_journal_record_begin(mp_buffer *out)
{
    int status = mp_buffer_reserve(out, MP_JOURNAL_HEAD);
    if (status == 0)
        out->len += MP_JOURNAL_HEAD;
    return status;
}

void mp_journal_record_end(mp_buffer *out, size_t start, uint64_t position)
{
    unsigned char *head = out->data + start;
    uint64_t size = out->len - start - MP_JOURNAL_HEAD;
    memcpy(head, mark, sizeof mark);
    mp_store_be64(head + SIZE_AT, size);
    head[SUM_HEAD] = EIGHT_BYTES;
    mp_store_be64(head + SUM_AT, mp_journal_record_sum(head + MP_JOURNAL_HEAD, size, position));
}

static int put_head(mp_buffer *out, unsigned major, uint64_t argument)
{
    int status = mp_buffer_reserve(out, MP_HEAD_MAX);
    if (status == 0)
        out->len = (size_t)(mp_head_put(out->data + out->len, major, argument) - out->data);
    return status;
}

static int put_bytes(mp_buffer *out, unsigned major, const void *bytes, size_t size)
{
    int status = put_head(out, major, size);
    return status == 0 ? mp_buffer_append(out, bytes, size) : status;
}

int mp_journal_record_put_key(mp_buffer *out, const char *key)
{
    return put_bytes(out, MP_MAJOR_TEXT, key, strlen(key));
}

int mp_journal_record_put(mp_buffer *out, const char *key, uint64_t value)
{
    int status = mp_journal_record_put_key(out, key);
    return status == 0 ? put_head(out, MP_MAJOR_UNSIGNED, value) : status;
}

int mp_journal_record_put_digest(mp_buffer *out, const char *key, const mp_digest *digest)
{
    int status = mp_journal_record_put_key(out, key);
    return status == 0 ? put_bytes(out, MP_MAJOR_BYTES, digest->bytes, MP_DIGEST) : status;
}

int mp_journal_record_put_time(mp_buffer *out, const char *key, double seconds)
{
    uint64_t bits;
    int status = mp_journal_record_put_key(out, key);
    if (status == 0)
        status = mp_buffer_reserve(out, MP_HEAD_MAX);
    if (status < 0)
        return status;
    memcpy(&bits, &seconds, sizeof bits);
    out->data[out->len] = MP_BYTE_DOUBLE;
    mp_store_be64(out->data + out->len + 1, bits);
    out->len += MP_HEAD_MAX;
    return 0;
}

int mp_journal_record_put_array(mp_buffer *out, uint64_t count)
{
    return put_head(out, MP_MAJOR_ARRAY, count);
}

int mp_journal_record_put_map(mp_buffer *out, uint64_t entries)
{
    return put_head(out, MP_MAJOR_MAP, entries);
}

/* ---- finding ---- */

size_t mp_journal_record_seek(const unsigned char *bytes, size_t size, size_t from)
{
    if (from >= size)
        return size;
    const unsigned char *at = memmem(bytes + from, size - from, mark, sizeof mark);
    return at != NULL ? (size_t)(at - bytes) : size;
}

uint64_t mp_journal_record_size(const unsigned char *head)
{
    return mp_load_be64(head + SIZE_AT);
}

bool mp_journal_record_is_whole(const unsigned char *head, uint64_t size, uint64_t position)
{
    return head[SUM_HEAD] == EIGHT_BYTES &&
           mp_load_be64(head + SUM_AT) ==
               mp_journal_record_sum(head + MP_JOURNAL_HEAD, size, position);
}

/* ---- reading ---- */

typedef struct reader {
    const unsigned char *at, *end;
} reader;

/* The next head; false where there is none. */
static bool take_head(reader *r, mp_head *head)
{
    const char *problem;
    const unsigned char *behind =
        r->at < r->end ? mp_head_read(r->at, r->end, head, &problem) : NULL;
    if (behind == NULL || head->info == MP_HEAD_ENDLESS)
        return false;
    r->at = behind;
    return true;
}

/* A head of that major type whose argument, for strings, does not reach past the end. */
static bool take(reader *r, unsigned major, uint64_t *argument)
{
    mp_head head;
    if (!take_head(r, &head) || head.major != major)
        return false;
    *argument = head.argument;
    bool string = major == MP_MAJOR_BYTES || major == MP_MAJOR_TEXT;
    return !string || head.argument <= (uint64_t)(r->end - r->at);
}

static bool take_key(reader *r, const char *key)
{
    uint64_t size;
    reader before = *r;
    if (take(r, MP_MAJOR_TEXT, &size) && size == strlen(key) && memcmp(r->at, key, size) == 0) {
        r->at += size;
        return true;
    }
    *r = before;
    return false;
}

/* A key of any name, and its value where that is a number. */
static bool skip_number(reader *r)
{
    mp_head head;
    uint64_t size;
    if (!take(r, MP_MAJOR_TEXT, &size))
        return false;
    r->at += size;
    return take_head(r, &head) &&
           (head.major == MP_MAJOR_UNSIGNED || head.major == MP_MAJOR_SIMPLE);
}

static bool take_digest(reader *r, mp_digest *digest)
{
    uint64_t size;
    if (!take(r, MP_MAJOR_BYTES, &size) || size != MP_DIGEST)
        return false;
    memcpy(digest->bytes, r->at, MP_DIGEST);
    r->at += MP_DIGEST;
    return true;
}

/* What the item came to, behind the numbers that are told of it. */
static enum mp_journal_record_kind take_outcome(reader *r)
{
    static const struct {
        const char *key;
        enum mp_journal_record_kind kind;
    } outcomes[] = {
        {"result", MP_JOURNAL_RESULT}, {"error", MP_JOURNAL_ERROR}, {"state", MP_JOURNAL_STATE}};
    do {
        for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
            if (take_key(r, outcomes[i].key))
                return outcomes[i].kind;
    } while (skip_number(r));
    return MP_JOURNAL_OTHER;
}

static bool take_item(reader *r, mp_journal_record *record)
{
    return take(r, MP_MAJOR_UNSIGNED, &record->item) && take_key(r, "args") &&
           take_digest(r, &record->args) && take_key(r, "run") &&
           take(r, MP_MAJOR_UNSIGNED, &record->run);
}

mp_journal_record mp_journal_record_read(const unsigned char *body, size_t size)
{
    mp_journal_record record = {.kind = MP_JOURNAL_OTHER};
    reader r = {body, body + size};
    uint64_t entries;
    if (!take(&r, MP_MAJOR_MAP, &entries))
        return record;
    if (take_key(&r, "format"))
        record.kind = MP_JOURNAL_RUN;
    else if (take_key(&r, "item") && take_item(&r, &record))
        record.kind = take_outcome(&r);
    record.value = (size_t)(r.at - body);
    return record;
}

bool mp_journal_record_values(const unsigned char *at, const unsigned char *end, uint64_t *count,
                              const unsigned char **values)
{
    reader r = {at, end};
    if (!take(&r, MP_MAJOR_ARRAY, count))
        return false;
    *values = r.at;
    return true;
}
