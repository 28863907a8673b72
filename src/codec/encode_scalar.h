/* Writing scalars, inline: the encoder's hot path. */
#ifndef MP_CODEC_ENCODE_SCALAR_H
#define MP_CODEC_ENCODE_SCALAR_H

#include "codec/encode.h"

_Static_assert(sizeof(lua_Number) == sizeof(double) && sizeof(lua_Integer) == sizeof(int64_t),
               "Lua's numbers are those of the wire");

/* Whether the bytes are well-formed UTF-8 (RFC 3629). */
bool mp_is_utf8(const unsigned char *s, size_t len);

/* Writes the number at idx; returns the place behind it. */
static inline unsigned char *mp_put_number(unsigned char *p, lua_State *L, int idx)
{
    if (lua_isinteger(L, idx)) {
        lua_Integer v = lua_tointegerx(L, idx, NULL);
        return v >= 0 ? mp_head_put(p, MP_MAJOR_UNSIGNED, (uint64_t)v)
                      : mp_head_put(p, MP_MAJOR_NEGATIVE, ~(uint64_t)v);
    }
    double v = lua_tonumberx(L, idx, NULL);
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    *p = MP_BYTE_DOUBLE;
    mp_store_be64(p + 1, bits);
    return p + 9;
}

/* Writes a string. Returns 0 or a negative errno. */
static inline int mp_put_string(mp_buffer *out, unsigned flags, const char *s, size_t len)
{
    int status = mp_buffer_reserve(out, MP_HEAD_MAX + len);
    if (__builtin_expect(status != 0, 0))
        return status;
    bool text = (flags & MP_CODEC_TEXT) != 0 && mp_is_utf8((const unsigned char *)s, len);
    unsigned char *p = out->data + out->len;
    p = mp_head_put(p, text ? MP_MAJOR_TEXT : MP_MAJOR_BYTES, len);
    memcpy(p, s, len);
    out->len = (size_t)(p + len - out->data);
    return 0;
}

/* Writes the value at idx, whose type is given: 0, a negative errno, or 1 if
 * it is no scalar. */
static inline int mp_put_scalar(mp_buffer *out, unsigned flags, lua_State *L, int idx, int type)
{
    if (type == LUA_TSTRING) {
        size_t len;
        const char *s = lua_tolstring(L, idx, &len);
        return mp_put_string(out, flags, s, len);
    }
    if (type > LUA_TNUMBER || type == LUA_TLIGHTUSERDATA)
        return 1;
    int status = mp_buffer_reserve(out, MP_HEAD_MAX);
    if (__builtin_expect(status != 0, 0))
        return status;
    unsigned char *p = out->data + out->len;
    if (type == LUA_TNUMBER)
        out->len += (size_t)(mp_put_number(p, L, idx) - p);
    else {
        *p = type == LUA_TNIL ? MP_BYTE_NULL : lua_toboolean(L, idx) ? MP_BYTE_TRUE : MP_BYTE_FALSE;
        out->len++;
    }
    return 0;
}

/* Writes the nil, boolean, number or string at idx. MP_WRITTEN leaves the
 * stack as it was; MP_ENTERED means that the value is none of these. */
static inline mp_progress mp_encode_scalar(mp_encoder *e, int idx, int type)
{
    int status = mp_put_scalar(e->out, e->flags, e->L, idx, type);
    return status == 0 ? MP_WRITTEN : status > 0 ? MP_ENTERED : mp_encode_full(e, status);
}

/* Writes the value on the top of the stack: MP_WRITTEN popped it. */
static inline mp_progress mp_encode_value(mp_encoder *e)
{
    int type = lua_type(e->L, -1);
    mp_progress progress = mp_encode_scalar(e, -1, type);
    if (progress == MP_ENTERED)
        return mp_encode_compound(e, type);
    if (progress == MP_WRITTEN)
        lua_settop(e->L, -2);
    return progress;
}

#endif
