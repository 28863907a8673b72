/* The heads of CBOR data items (RFC 8949, section 3), without Lua.
 *
 * A head is a major type and an argument of 0, 1, 2, 4 or 8 bytes. Written
 * ones are the shortest. Read ones are checked against the end of the bytes. */
#ifndef MP_CODEC_HEAD_H
#define MP_CODEC_HEAD_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum mp_major {
    MP_MAJOR_UNSIGNED = 0,
    MP_MAJOR_NEGATIVE = 1,
    MP_MAJOR_BYTES = 2,
    MP_MAJOR_TEXT = 3,
    MP_MAJOR_ARRAY = 4,
    MP_MAJOR_MAP = 5,
    MP_MAJOR_TAG = 6,
    MP_MAJOR_SIMPLE = 7,
};

enum mp_initial_byte {
    MP_BYTE_EMPTY_ARRAY = 0x80,
    MP_BYTE_EMPTY_MAP = 0xA0,
    MP_BYTE_ENDLESS_MAP = 0xBF,
    MP_BYTE_FALSE = 0xF4,
    MP_BYTE_TRUE = 0xF5,
    MP_BYTE_NULL = 0xF6,
    MP_BYTE_UNDEFINED = 0xF7,
    MP_BYTE_HALF = 0xF9,
    MP_BYTE_SINGLE = 0xFA,
    MP_BYTE_DOUBLE = 0xFB,
    MP_BYTE_BREAK = 0xFF,
};

enum {
    MP_HEAD_MAX = 9,      /* bytes of the longest head */
    MP_HEAD_SHORT = 24,   /* arguments below it lie in the initial byte */
    MP_HEAD_ENDLESS = 31, /* the info of an indefinite length, and of a break */
};

typedef struct mp_head {
    uint64_t argument; /* 0 for an indefinite length */
    uint8_t major;
    uint8_t info; /* the low five bits of the initial byte */
} mp_head;

static inline uint64_t mp_load_be64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

static inline void mp_store_be64(unsigned char *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof v);
}

/* Writes a head whose argument is at least MP_HEAD_SHORT; see mp_head_put. */
unsigned char *mp_head_put_long(unsigned char *p, unsigned major, uint64_t argument);

/* Writes a head at p, where MP_HEAD_MAX bytes may be written. Returns the
 * place behind it. */
static inline unsigned char *mp_head_put(unsigned char *p, unsigned major, uint64_t argument)
{
    if (argument >= MP_HEAD_SHORT)
        return mp_head_put_long(p, major, argument);
    *p = (unsigned char)(major << 5 | (unsigned)argument);
    return p + 1;
}

/* The argument that a head's initial byte announces by `info`, 24 to 27, and
 * that lies at p. */
static inline uint64_t mp_head_argument(const unsigned char *p, unsigned info)
{
    uint16_t two;
    uint32_t four;
    switch (info) {
    case 24:
        return *p;
    case 25:
        memcpy(&two, p, sizeof two);
        return be16toh(two);
    case 26:
        memcpy(&four, p, sizeof four);
        return be32toh(four);
    default:
        return mp_load_be64(p);
    }
}

/* Reads the head at p (p < end). Returns the place behind it; NULL if it is
 * cut short, of a reserved form, or of an indefinite length where its major
 * type has none: *problem then says which. */
const unsigned char *mp_head_read(const unsigned char *p, const unsigned char *end, mp_head *head,
                                  const char **problem);

/* The numbers that IEEE 754 half, single and quadruple precision bits stand
 * for; quadruple is rounded to double, high half first. */
double mp_half_value(uint16_t bits);
double mp_single_value(uint32_t bits);
double mp_quad_value(uint64_t high, uint64_t low);

#endif
