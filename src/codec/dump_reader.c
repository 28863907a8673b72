/* The pieces of a dump: see dump_reader.h. The format is that of ldump.c and
 * lundump.c, the same from Lua 5.4.0 on. */
#include "codec/dump_reader.h"

#include <errno.h>

enum constant_tag {
    TAG_NIL = 0x00,
    TAG_FALSE = 0x01,
    TAG_TRUE = 0x11,
    TAG_INTEGER = 0x03,
    TAG_FLOAT = 0x13,
    TAG_SHORT_STRING = 0x04,
    TAG_LONG_STRING = 0x14,
};

const unsigned char *mp_dump_take(mp_dump *d, size_t n)
{
    if (n > d->left)
        return NULL;
    const unsigned char *bytes = d->at;
    d->at += n;
    d->left -= n;
    return bytes;
}

int mp_dump_skip(mp_dump *d, size_t count, size_t size)
{
    return count <= d->left / size && mp_dump_take(d, count * size) != NULL ? 0 : -EINVAL;
}

/* Seven bits a byte, the highest first; the last byte has its top bit set. */
int mp_dump_number(mp_dump *d, size_t *number)
{
    size_t n = 0;
    for (;;) {
        const unsigned char *byte = mp_dump_take(d, 1);
        if (byte == NULL || n > SIZE_MAX >> 7)
            return -EINVAL;
        n = n << 7 | (*byte & 0x7f);
        if ((*byte & 0x80) != 0)
            break;
    }
    *number = n;
    return 0;
}

int mp_dump_count(mp_dump *d, size_t least, size_t *count)
{
    int status = mp_dump_number(d, count);
    return status == 0 && *count > d->left / least ? -EINVAL : status;
}

int mp_dump_string(mp_dump *d, const char **text, size_t *len)
{
    size_t n;
    if (mp_dump_number(d, &n) != 0)
        return -EINVAL;
    *text = NULL;
    *len = n == 0 ? 0 : n - 1;
    if (n == 0)
        return 0;
    const unsigned char *bytes = mp_dump_take(d, n - 1);
    *text = (const char *)bytes;
    return bytes != NULL ? 0 : -EINVAL;
}

int mp_dump_skip_string(mp_dump *d)
{
    const char *text;
    size_t len;
    return mp_dump_string(d, &text, &len);
}

int mp_dump_skip_numbers(mp_dump *d, int count)
{
    size_t number;
    int status = 0;
    for (int i = 0; i < count && status == 0; i++)
        status = mp_dump_number(d, &number);
    return status;
}

/* What a header has behind the version: format 0, the bytes that text-mode
 * copying would damage, the sizes of an instruction, an integer and a float;
 * then one number of each kind. */
int mp_dump_header(mp_dump *d)
{
    static const unsigned char head[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08";
    int64_t integer;
    double number;
    const unsigned char *bytes = mp_dump_take(d, sizeof head - 1 + sizeof integer + sizeof number);
    if (bytes == NULL || memcmp(bytes, head, sizeof head - 1) != 0)
        return -EINVAL;
    memcpy(&integer, bytes + sizeof head - 1, sizeof integer);
    memcpy(&number, bytes + sizeof head - 1 + sizeof integer, sizeof number);
    return integer == 0x5678 && number == 370.5 ? 0 : -EINVAL;
}

static int take_constant(mp_dump *d, mp_dump_constant *c)
{
    const unsigned char *tag = mp_dump_take(d, 1);
    if (tag == NULL)
        return -EINVAL;
    *c = (mp_dump_constant){0};
    switch (*tag) {
    case TAG_NIL:
    case TAG_FALSE:
    case TAG_TRUE:
        return 0;
    case TAG_INTEGER:
    case TAG_FLOAT:
        return mp_dump_skip(d, 1, 8);
    case TAG_SHORT_STRING:
    case TAG_LONG_STRING:
        return mp_dump_string(d, &c->text, &c->len) == 0 && c->text != NULL ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

int mp_dump_constants(mp_dump *d, mp_buffer *constants, size_t *count)
{
    int status = mp_dump_count(d, 1, count);
    constants->len = 0;
    for (size_t i = 0; status == 0 && i < *count; i++) {
        mp_dump_constant c;
        status = take_constant(d, &c);
        if (status == 0)
            status = mp_buffer_append(constants, &c, sizeof c);
    }
    return status;
}

int mp_dump_skip_debug(mp_dump *d)
{
    size_t count;
    if (mp_dump_count(d, 1, &count) != 0 || mp_dump_skip(d, count, 1) != 0)
        return -EINVAL;
    int status = mp_dump_count(d, 2, &count);
    for (size_t i = 0; i < count && status == 0; i++)
        status = mp_dump_skip_numbers(d, 2);
    if (status == 0)
        status = mp_dump_count(d, 3, &count);
    for (size_t i = 0; i < count && status == 0; i++)
        status = mp_dump_skip_string(d) == 0 ? mp_dump_skip_numbers(d, 2) : -EINVAL;
    if (status == 0)
        status = mp_dump_count(d, 1, &count);
    for (size_t i = 0; i < count && status == 0; i++)
        status = mp_dump_skip_string(d);
    return status;
}
