/* A Lua state with the codec in it, for C specs whose cases are Lua files.
 *
 * Such a file gets a table t (local t = ...) with
 *     t.enc(flags, ...)         the bytes; or nil, message, path, which value
 *     t.dec(flags, bytes)       all values of them; error {message, path}
 *     t.decn(flags, bytes, n)   bytes used, then up to n values
 *     t.adopt(f), t.begin_globals(), t.refresh_names()
 *     t.far(source, ...)        runs Lua source, with t before the strings that
 *                               are its arguments, in a second state that
 *                               lives as long as this one; its strings
 * and what spec/support/codec_cases.lua puts there. Flags are letters:
 * "f" functions, "t" text. */
#ifndef MP_SPEC_SUPPORT_CODEC_STATE_H
#define MP_SPEC_SUPPORT_CODEC_STATE_H

#include "codec/classes.h"
#include "codec/globals.h"
#include "codec/names.h"
#include "codec/values.h"
#include "spec/support/check.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

/* A buffer that a collected userdata holds, so that errors leak nothing. */
static int codec_free_buffer(lua_State *L)
{
    mp_buffer_free(luaL_checkudata(L, 1, "codec.buffer"));
    return 0;
}

static mp_buffer *codec_new_buffer(lua_State *L)
{
    mp_buffer *b = lua_newuserdatauv(L, sizeof *b, 0);
    mp_buffer_init_heap(b);
    if (luaL_newmetatable(L, "codec.buffer")) {
        lua_pushcfunction(L, codec_free_buffer);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return b;
}

static unsigned codec_flags(lua_State *L)
{
    const char *flags = luaL_checkstring(L, 1);
    return (strchr(flags, 'f') != NULL ? MP_CODEC_FUNCTIONS : 0u) |
           (strchr(flags, 't') != NULL ? MP_CODEC_TEXT : 0u) |
           (strchr(flags, 'i') != NULL ? MP_CODEC_INERT : 0u);
}

static int codec_enc(lua_State *L)
{
    unsigned flags = codec_flags(L);
    int count = lua_gettop(L) - 1;
    mp_buffer *b = codec_new_buffer(L);
    lua_insert(L, 1);
    int top = lua_gettop(L);
    mp_buffer_append(b, "x", 1);
    if (mp_encode(L, 3, count, flags, b) != 0) {
        CHECK_EQ_INT(lua_gettop(L), top + 3);
        CHECK_EQ_INT(b->len, 1);
        lua_pushnil(L);
        lua_insert(L, -4);
        return 4;
    }
    CHECK_EQ_INT(lua_gettop(L), top);
    lua_pushlstring(L, (const char *)b->data + 1, b->len - 1);
    return 1;
}

static int codec_decode(lua_State *L, int max, bool count)
{
    size_t size, used = 0;
    unsigned flags = codec_flags(L);
    const char *bytes = luaL_checklstring(L, 2, &size);
    int top = lua_gettop(L);
    /* A copy of the very size, so that tools see a read behind the end. */
    unsigned char *copy = lua_newuserdatauv(L, size, 0);
    memcpy(copy, bytes, size);
    int n = mp_decode(L, copy, size, &used, max, flags);
    if (n < 0) {
        CHECK_EQ_INT(lua_gettop(L), top + 3);
        lua_createtable(L, 2, 0);
        lua_insert(L, -3);
        lua_rawseti(L, -3, 2);
        lua_rawseti(L, -2, 1);
        return lua_error(L);
    }
    CHECK_EQ_INT(lua_gettop(L), top + 1 + n);
    if (!count)
        return n;
    lua_pushinteger(L, (lua_Integer)used);
    lua_insert(L, -1 - n);
    return 1 + n;
}

static int codec_dec(lua_State *L)
{
    return codec_decode(L, -1, false);
}

static int codec_decn(lua_State *L)
{
    return codec_decode(L, (int)luaL_checkinteger(L, 3), true);
}

static int codec_adopt(lua_State *L)
{
    mp_metatables_adopt(L, 1);
    return 0;
}

static int codec_begin_globals(lua_State *L)
{
    mp_globals_begin(L);
    return 0;
}

static int codec_refresh_names(lua_State *L)
{
    mp_names_refresh(L);
    return 0;
}

static inline void codec_push(lua_State *L);

/* Pushes the state of t.far, made where there is none. */
static lua_State *codec_second_state(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, "codec.far") == LUA_TNIL) {
        lua_State *second = luaL_newstate();
        luaL_openlibs(second);
        mp_names_refresh(second);
        lua_pushlightuserdata(L, second);
        lua_setfield(L, LUA_REGISTRYINDEX, "codec.far");
        codec_push(second);
        lua_setfield(second, LUA_REGISTRYINDEX, "codec.t");
        lua_pop(L, 1);
        return second;
    }
    lua_State *second = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return second;
}

static void codec_copy_strings(lua_State *from, int first, lua_State *to)
{
    luaL_checkstack(to, lua_gettop(from), NULL);
    for (int i = first; i <= lua_gettop(from); i++) {
        size_t len;
        const char *s = lua_tolstring(from, i, &len);
        lua_pushlstring(to, s != NULL ? s : luaL_typename(from, i), s != NULL ? len : 5);
    }
}

static int codec_far(lua_State *L)
{
    lua_State *second = codec_second_state(L);
    lua_settop(second, 0);
    int status = luaL_loadstring(second, luaL_checkstring(L, 1));
    if (status == LUA_OK) {
        lua_getfield(second, LUA_REGISTRYINDEX, "codec.t");
        codec_copy_strings(L, 2, second);
        status = lua_pcall(second, lua_gettop(L), LUA_MULTRET, 0);
    }
    lua_settop(L, 0);
    codec_copy_strings(second, 1, L);
    return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* Pushes the table t without codec_cases.lua. */
static inline void codec_push(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"enc", codec_enc},
        {"dec", codec_dec},
        {"decn", codec_decn},
        {"adopt", codec_adopt},
        {"begin_globals", codec_begin_globals},
        {"refresh_names", codec_refresh_names},
        {"far", codec_far},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
}

static int codec_traceback(lua_State *L)
{
    const char *message = lua_tostring(L, 1);
    if (lua_istable(L, 1)) {
        lua_rawgeti(L, 1, 1);
        lua_rawgeti(L, 1, 2);
        message = lua_pushfstring(L, "%s (at \"%s\")", lua_tostring(L, -2), lua_tostring(L, -1));
    }
    luaL_traceback(L, L, message, 1);
    return 1;
}

/* Loads a file of this source tree and calls it with the table on the top. */
static inline bool codec_call(lua_State *L, const char *path)
{
    int top = lua_gettop(L);
    lua_pushcfunction(L, codec_traceback);
    bool good = luaL_loadfile(L, path) == LUA_OK;
    if (good) {
        lua_pushvalue(L, top);
        good = lua_pcall(L, 1, 0, top + 1) == LUA_OK;
    }
    if (!good)
        check_that(false, path, 0, lua_tostring(L, -1));
    lua_settop(L, top);
    return good;
}

/* Closes the state and that of t.far. */
static inline void codec_close(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "codec.far");
    lua_State *second = lua_touserdata(L, -1);
    lua_close(L);
    if (second != NULL)
        lua_close(second);
}

/* A state with all libraries, the table t on its stack. */
static inline lua_State *codec_open(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    mp_names_refresh(L);
    codec_push(L);
    codec_call(L, "spec/support/codec_cases.lua");
    return L;
}

/* Runs a file of cases in a state of its own; an error is a failed check. */
static inline void codec_run(const char *path)
{
    lua_State *L = codec_open();
    codec_call(L, path);
    codec_close(L);
}

#endif
