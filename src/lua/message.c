/* Values as the bytes of messages: see message.h. */
#include "lua/message.h"
#include "codec/stack.h"

#include "codec/values.h"
#include "lua/state.h"

static const char carriers = 0; /* the registry's key of what carries a message */

static int buffer_collect(lua_State *L)
{
    mp_buffer_free(lua_touserdata(L, 1));
    return 0;
}

mp_buffer *mp_message_buffer(lua_State *L)
{
    mp_buffer *b = lua_newuserdatauv(L, sizeof *b, 0);
    mp_buffer_init_heap(b);
    if (luaL_newmetatable(L, "moonpool.core.Buffer") != 0) {
        lua_pushcfunction(L, buffer_collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return b;
}

/* (buffer, values...) */
static int encode(lua_State *L)
{
    mp_buffer *out = lua_touserdata(L, 1);
    if (mp_encode(L, 2, lua_gettop(L) - 1, MP_CODEC_FUNCTIONS, out) == 0)
        return 0;
    if (out->error < 0)
        return mp_raise(L, "system", "no memory to encode a value");
    lua_pop(L, 1);
    mp_error_codec(L, "encode", "value");
    return lua_error(L);
}

void mp_message_encode(lua_State *L, int first, int count, mp_buffer *out, int carrier)
{
    out->len = 0;
    out->error = 0;
    mp_check_stack(L, count + LUA_MINSTACK, "too many values");
    lua_pushcfunction(L, encode);
    lua_pushlightuserdata(L, out);
    for (int i = 0; i < count; i++)
        lua_pushvalue(L, first + i);
    if (mp_message_call(L, count + 1, carrier) != LUA_OK)
        lua_error(L);
}

int mp_message_call(lua_State *L, int args, int carrier)
{
    int function = lua_gettop(L) - args;
    if (carrier == 0)
        lua_pushboolean(L, 1);
    else
        lua_pushvalue(L, carrier);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &carriers);
    lua_insert(L, function); /* what it was before */
    lua_rawsetp(L, LUA_REGISTRYINDEX, &carriers);
    int status = lua_pcall(L, args, 0, 0);
    lua_pushvalue(L, function);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &carriers);
    lua_remove(L, function);
    return status;
}

/* core.message_carrier(): what carries the message that is being encoded: a queue's or a shared
 * value's handle, or true; nil where none is */
static int message_carrier(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &carriers);
    return 1;
}

int mp_message_decode(lua_State *L, const unsigned char *bytes, size_t size)
{
    int n = mp_decode(L, bytes, size, NULL, -1, MP_CODEC_FUNCTIONS);
    if (n < 0)
        mp_error_codec(L, "decode", "value");
    return n;
}

int mp_message_skim(lua_State *L, const unsigned char *bytes, size_t size)
{
    int n = mp_decode(L, bytes, size, NULL, -1, MP_CODEC_FUNCTIONS | MP_CODEC_INERT);
    if (n < 0)
        lua_pop(L, 2);
    return n < 0 ? 0 : n;
}

void mp_open_message(lua_State *L)
{
    lua_pushcfunction(L, message_carrier);
    lua_setfield(L, -2, "message_carrier");
}
