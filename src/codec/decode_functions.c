/* Lua functions: code into a closure, its upvalues, the globals of its code.
 *
 * A closure exists before its upvalues are read, so that they may refer to it.
 * Globals are kept until the whole message is read, and set then. */
#include "base/checksum.h"
#include "codec/decode.h"
#include "codec/functions.h"
#include "codec/globals.h"
#include "codec/proto_scan.h"

#include <lauxlib.h>

/* Pushes the function that the code at d->p makes. */
static mp_reading load_code(mp_decoder *d)
{
    lua_State *L = d->L;
    size_t len;
    const unsigned char *code = mp_decode_bytes(d, "the code of a function", &len);
    if (code == NULL)
        return MP_BROKEN;
    if (len < MP_CHECKSUM_SIZE)
        return mp_decode_fail(d, "a function without code");
    const unsigned char *dump = code + MP_CHECKSUM_SIZE;
    len -= MP_CHECKSUM_SIZE;
    if (mp_proto_check(dump, len) != 0)
        return mp_decode_fail(d, "a function of another version of Lua");
    if (mp_load_be64(code) != mp_checksum(dump, len))
        return mp_decode_fail(d, "a damaged function");
    int status = luaL_loadbufferx(L, (const char *)dump, len, "=?", "b");
    if (status == LUA_ERRMEM)
        return (mp_reading)lua_error(L);
    if (status != LUA_OK)
        return mp_decode_fail(d, "%s", lua_tostring(L, -1));
    return MP_READ;
}

/* The same, where the code may stand earlier in the message. */
static mp_reading load_function(mp_decoder *d)
{
    mp_head head;
    if (d->p == d->end || *d->p >> 5 != MP_MAJOR_UNSIGNED)
        return load_code(d);
    if (!mp_decode_head(d, MP_MAJOR_UNSIGNED, "the place of a function's code", &head))
        return MP_BROKEN;
    const unsigned char *behind = d->p;
    if (head.argument >= (size_t)(behind - d->begin))
        return mp_decode_fail(d, "a function whose code is not there");
    d->p = d->begin + head.argument;
    mp_reading reading = load_code(d);
    if (reading == MP_READ)
        d->p = behind;
    return reading;
}

mp_reading mp_decode_function(mp_decoder *d)
{
    lua_State *L = d->L;
    mp_head parts;
    if (!mp_decode_head(d, MP_MAJOR_ARRAY, "the parts of a function", &parts))
        return MP_BROKEN;
    if (load_function(d) != MP_READ)
        return MP_BROKEN;
    uint64_t upvalues = (uint64_t)mp_function_upvalues(L, -1);
    if (parts.argument < 1 + upvalues || (parts.argument - 1 - upvalues) % 2 != 0)
        return mp_decode_fail(d, "a function whose upvalues are not there");
    if (d->waiting.count > 0)
        mp_decode_share(d, &d->waiting);
    if (lua_isnil(L, mp_decode_slot(d, MP_HELD_CELLS))) {
        lua_newtable(L);
        lua_replace(L, mp_decode_slot(d, MP_HELD_CELLS));
    }
    mp_open_frame *frame = mp_decode_open(d, MP_OPEN_FUNCTION);
    frame->upvalues = (int)upvalues;
    frame->left = parts.argument - 1;
    return MP_OPENED;
}

/* Makes the function's next upvalue the one that the reference at d->p says. */
static mp_reading join_upvalue(mp_decoder *d, mp_open_frame *frame)
{
    lua_State *L = d->L;
    mp_head head;
    int cells = mp_decode_slot(d, MP_HELD_CELLS);
    if (!mp_decode_head(d, MP_MAJOR_UNSIGNED, "the number of an upvalue", &head))
        return MP_BROKEN;
    if (head.argument >= (uint64_t)d->cells)
        return mp_decode_fail(d, "an upvalue that is not there");
    lua_rawgeti(L, cells, 2 * (lua_Integer)head.argument + 1);
    lua_rawgeti(L, cells, 2 * (lua_Integer)head.argument + 2);
    int which = (int)lua_tointeger(L, -1);
    lua_upvaluejoin(L, d->levels.slot, (int)++frame->at, -2, which);
    lua_pop(L, 2);
    frame->left--;
    return MP_READ;
}

/* Reads the tag of a reference to an upvalue, if that is what comes. */
static bool is_upvalue_reference(mp_decoder *d)
{
    mp_head head;
    const char *problem;
    if (d->p == d->end || *d->p >> 5 != MP_MAJOR_TAG)
        return false;
    const unsigned char *next = mp_head_read(d->p, d->end, &head, &problem);
    if (next == NULL || head.argument != MP_TAG_UPVALUE)
        return false;
    d->p = next;
    return true;
}

/* Begins the function's next upvalue. MP_OTHER: its value is to be read. */
static mp_reading begin_upvalue(mp_decoder *d, mp_open_frame *frame)
{
    lua_State *L = d->L;
    int cells = mp_decode_slot(d, MP_HELD_CELLS);
    if (is_upvalue_reference(d))
        return join_upvalue(d, frame);
    lua_pushvalue(L, d->levels.slot);
    lua_rawseti(L, cells, 2 * d->cells + 1);
    lua_pushinteger(L, frame->at + 1);
    lua_rawseti(L, cells, 2 * d->cells + 2);
    d->cells++;
    return MP_OTHER;
}

static void keep_global(mp_decoder *d)
{
    lua_State *L = d->L;
    int globals = mp_decode_slot(d, MP_HELD_GLOBALS);
    if (lua_isnil(L, globals)) {
        lua_newtable(L);
        lua_replace(L, globals);
    }
    lua_rawseti(L, globals, 2 * d->globals + 2);
    lua_pushvalue(L, d->levels.slot + 1);
    lua_rawseti(L, globals, 2 * d->globals + 1);
    d->globals++;
}

/* Puts the value on the top where it belongs, and pops it. */
static mp_reading place(mp_decoder *d, mp_open_frame *frame)
{
    lua_State *L = d->L;
    frame->left--;
    frame->at++;
    if (frame->at <= frame->upvalues) {
        lua_setupvalue(L, d->levels.slot, (int)frame->at);
    } else if (!frame->value) {
        if (lua_type(L, -1) != LUA_TSTRING)
            return mp_decode_fail(d, "a global without a name");
        lua_replace(L, d->levels.slot + 1);
        frame->value = true;
    } else {
        if (d->skipped == 0)
            keep_global(d);
        else
            lua_pop(L, 1);
        frame->value = false;
    }
    return MP_READ;
}

mp_reading mp_decode_function_step(mp_decoder *d, bool ready)
{
    mp_open_frame *frame = mp_decode_top(d);
    for (;; ready = true) {
        if (ready && place(d, frame) != MP_READ)
            return MP_BROKEN;
        mp_reading reading = MP_READ;
        while (reading == MP_READ && frame->at < frame->upvalues)
            reading = begin_upvalue(d, frame);
        if (reading == MP_BROKEN)
            return MP_BROKEN;
        if (frame->left == 0)
            return mp_decode_close(d);
        reading = mp_decode_item(d);
        if (reading != MP_READ)
            return reading;
    }
}

void mp_decode_set_globals(mp_decoder *d)
{
    lua_State *L = d->L;
    int globals = mp_decode_slot(d, MP_HELD_GLOBALS);
    for (lua_Integer i = 1; i <= 2 * d->globals; i += 2) {
        lua_rawgeti(L, globals, i);
        lua_rawgeti(L, globals, i + 1);
        mp_globals_set(L);
    }
}
