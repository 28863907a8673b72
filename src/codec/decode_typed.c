/* Typed arrays (RFC 8746, tags 64 to 87): byte strings of numbers side by
 * side, all forms of them, into tables.
 *
 * The tag's low five bits say which: float, signed, little-endian, and two
 * bits of length (1, 2, 4, 8 bytes an integer, 2, 4, 8, 16 a float). */
#include "codec/decode.h"

enum {
    KIND_FLOAT = 16,
    KIND_SIGNED = 8,
    KIND_LITTLE = 4,
    KIND_LENGTH = 3,
    TAG_CLAMPED = 68, /* uint8 whose arithmetic is clamped: the same bytes as 64 */
    TAG_RESERVED = 76,
};

typedef struct numbers {
    const unsigned char *bytes;
    unsigned kind;
    size_t size; /* bytes of one */
} numbers;

/* The element at p as an unsigned number of `size` <= 8 bytes. */
static uint64_t load(const unsigned char *p, size_t size, bool little)
{
    uint64_t v = 0;
    if (little) {
        memcpy(&v, p, size);
        return le64toh(v);
    }
    memcpy((unsigned char *)&v + (8 - size), p, size);
    return be64toh(v);
}

static double load_float(const unsigned char *p, size_t size, bool little)
{
    if (size == 16)
        return mp_quad_value(load(p + (little ? 8 : 0), 8, little),
                             load(p + (little ? 0 : 8), 8, little));
    uint64_t bits = load(p, size, little);
    if (size == 2)
        return mp_half_value((uint16_t)bits);
    if (size == 4)
        return mp_single_value((uint32_t)bits);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Pushes element i; false if it does not fit. */
static bool push_element(lua_State *L, const numbers *from, size_t i)
{
    const unsigned char *p = from->bytes + i * from->size;
    bool little = (from->kind & KIND_LITTLE) != 0;
    if ((from->kind & KIND_FLOAT) != 0) {
        lua_pushnumber(L, load_float(p, from->size, little));
        return true;
    }
    uint64_t v = load(p, from->size, little);
    if ((from->kind & KIND_SIGNED) != 0) {
        unsigned spare = 64 - 8 * (unsigned)from->size;
        lua_pushinteger(L, (lua_Integer)(v << spare) >> spare);
        return true;
    }
    lua_pushinteger(L, (lua_Integer)v);
    return v <= INT64_MAX;
}

static void read_doubles(lua_State *L, const unsigned char *p, size_t count)
{
    for (size_t i = 0; i < count; i++, p += sizeof(double)) {
        uint64_t bits;
        double v;
        memcpy(&bits, p, sizeof bits);
        bits = le64toh(bits);
        memcpy(&v, &bits, sizeof v);
        lua_pushnumber(L, v);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void read_int64s(lua_State *L, const unsigned char *p, size_t count)
{
    for (size_t i = 0; i < count; i++, p += sizeof(uint64_t)) {
        uint64_t bits;
        memcpy(&bits, p, sizeof bits);
        lua_pushinteger(L, (lua_Integer)le64toh(bits));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static bool read_any(lua_State *L, const numbers *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!push_element(L, from, i))
            return false;
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return true;
}

mp_reading mp_decode_typed(mp_decoder *d, uint64_t tag)
{
    size_t len;
    numbers from = {.kind = (unsigned)tag & 31};
    if (tag == TAG_RESERVED)
        return mp_decode_fail(d, "a reserved typed array");
    if (tag == TAG_CLAMPED)
        from.kind = 0;
    from.size = (size_t)1 << (from.kind & KIND_LENGTH) << ((from.kind & KIND_FLOAT) != 0);
    from.bytes = mp_decode_bytes(d, "the bytes of a typed array", &len);
    if (from.bytes == NULL)
        return MP_BROKEN;
    if (len % from.size != 0)
        return mp_decode_fail(d, "a typed array that ends within a number");
    size_t count = len / from.size;
    mp_decode_new_table(d, count, false);
    if (tag == MP_TAG_FLOAT64_LE)
        read_doubles(d->L, from.bytes, count);
    else if (tag == MP_TAG_INT64_LE)
        read_int64s(d->L, from.bytes, count);
    else if (!read_any(d->L, &from, count))
        return mp_decode_fail(d, "an integer that does not fit 64 bits");
    return MP_READ;
}
