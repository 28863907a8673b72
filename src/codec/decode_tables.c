/* Arrays and maps into tables, by raw access. */
#include "codec/decode.h"
#include "codec/decode_scalar.h"

#include <limits.h>

void mp_decode_new_table(mp_decoder *d, uint64_t items, bool map)
{
    lua_State *L = d->L;
    /* All containers of honest bytes together have no more items than bytes. */
    size_t room = items < d->budget ? (size_t)items : d->budget;
    d->budget -= room;
    int size = room < INT_MAX / 4 ? (int)room : INT_MAX / 4;
    lua_createtable(L, map ? 0 : size, map ? size : 0);
    if (d->waiting.count > 0)
        mp_decode_share(d, &d->waiting);
    if (d->class != 0) {
        mp_class_set(L, d->classes, -1, d->class);
        d->class = 0;
    }
}

/* Whether another item comes; a break is read. */
static inline bool more(mp_decoder *d, mp_open_frame *frame)
{
    if (!frame->endless)
        return frame->left-- > 0;
    if (d->p == d->end || *d->p != MP_BYTE_BREAK)
        return true;
    d->p++;
    return false;
}

mp_reading mp_decode_array_step(mp_decoder *d, bool ready)
{
    lua_State *L = d->L;
    mp_open_frame *frame = mp_decode_top(d);
    int table = d->levels.slot;
    if (ready)
        lua_rawseti(L, table, ++frame->at);
    while (more(d, frame)) {
        if (!mp_decode_scalar(d)) {
            mp_reading reading = mp_decode_item(d);
            if (reading != MP_READ)
                return reading;
        }
        lua_rawseti(L, table, ++frame->at);
    }
    return mp_decode_close(d);
}

static bool is_key(lua_State *L)
{
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        return true;
    case LUA_TNIL:
        return false;
    default:
        return lua_rawequal(L, -1, -1); /* NaN is not itself */
    }
}

/* Reads a key that is a short string; false where another thing comes. */
static bool read_key(mp_decoder *d)
{
    if (d->p == d->end)
        return false;
    unsigned major = *d->p >> 5;
    size_t len = *d->p & 31;
    if ((major != MP_MAJOR_BYTES && major != MP_MAJOR_TEXT) || len - 1 >= MP_KEY_MAX ||
        len >= (size_t)(d->end - d->p))
        return false;
    if (d->keys == NULL)
        d->keys = mp_keys_of(d->L, mp_decode_slot(d, MP_HELD_KEYS));
    mp_key_push(d->L, d->keys, mp_decode_slot(d, MP_HELD_KEYS), d->p + 1, len);
    d->p += 1 + len;
    return true;
}

mp_reading mp_decode_map_step(mp_decoder *d, bool ready)
{
    lua_State *L = d->L;
    mp_open_frame *frame = mp_decode_top(d);
    int table = d->levels.slot;
    mp_reading reading;
    if (ready && frame->value) {
        lua_pushvalue(L, table + 1);
        lua_insert(L, -2);
        lua_rawset(L, table);
        frame->value = false;
        ready = false;
    }
    while (ready || more(d, frame)) {
        bool there = ready || read_key(d) || mp_decode_scalar(d);
        if (!there && (reading = mp_decode_item(d)) != MP_READ)
            return reading;
        ready = false;
        if (!is_key(L))
            return mp_decode_fail(d, "a key that is nil or not a number");
        if (mp_decode_scalar(d)) {
            lua_rawset(L, table);
            continue;
        }
        lua_replace(L, table + 1);
        frame->value = true;
        reading = mp_decode_item(d);
        if (reading != MP_READ)
            return reading;
        lua_pushvalue(L, table + 1);
        lua_insert(L, -2);
        lua_rawset(L, table);
        frame->value = false;
    }
    return mp_decode_close(d);
}
