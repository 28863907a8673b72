/* Reading scalars, inline: the decoder's hot path. */
#ifndef MP_CODEC_DECODE_SCALAR_H
#define MP_CODEC_DECODE_SCALAR_H

#include "codec/decode.h"

/* Pushes the simple value or float; false if it is an unknown one. */
static inline bool mp_push_simple(lua_State *L, unsigned info, uint64_t argument)
{
    double v;
    switch (info) {
    case MP_BYTE_FALSE & 31:
    case MP_BYTE_TRUE & 31:
        lua_pushboolean(L, info == (MP_BYTE_TRUE & 31));
        return true;
    case MP_BYTE_NULL & 31:
    case MP_BYTE_UNDEFINED & 31:
        lua_pushnil(L);
        return true;
    case MP_BYTE_HALF & 31:
        lua_pushnumber(L, mp_half_value((uint16_t)argument));
        return true;
    case MP_BYTE_SINGLE & 31:
        lua_pushnumber(L, mp_single_value((uint32_t)argument));
        return true;
    case MP_BYTE_DOUBLE & 31:
        memcpy(&v, &argument, sizeof v);
        lua_pushnumber(L, v);
        return true;
    default:
        return false;
    }
}

/* Pushes the scalar at *p < end and moves *p behind it. False if there is none
 * or it is wrong, and in the rarer forms. */
static inline bool mp_push_scalar(lua_State *L, const unsigned char **p, const unsigned char *end)
{
    const unsigned char *next = *p + 1;
    unsigned major = **p >> 5, info = **p & 31;
    uint64_t argument = info;
    if (info >= MP_HEAD_SHORT) {
        if (info > 27 || (size_t)(end - next) < (size_t)1 << (info - 24))
            return false;
        argument = mp_head_argument(next, info);
        next += (size_t)1 << (info - 24);
    }
    switch (major) {
    case MP_MAJOR_UNSIGNED:
    case MP_MAJOR_NEGATIVE:
        if (argument > INT64_MAX)
            return false;
        lua_pushinteger(L, (lua_Integer)(major == MP_MAJOR_UNSIGNED ? argument : ~argument));
        break;
    case MP_MAJOR_BYTES:
    case MP_MAJOR_TEXT:
        if (argument > (size_t)(end - next))
            return false;
        lua_pushlstring(L, (const char *)next, argument);
        next += argument;
        break;
    case MP_MAJOR_SIMPLE:
        if (!mp_push_simple(L, info, argument))
            return false;
        break;
    default:
        return false;
    }
    *p = next;
    return true;
}

/* Pushes the scalar at d->p, if one is there. */
static inline bool mp_decode_scalar(mp_decoder *d)
{
    return d->p < d->end && mp_push_scalar(d->L, &d->p, d->end);
}

#endif
