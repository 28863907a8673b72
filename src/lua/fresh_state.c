/* A Lua state for a process that has inherited none, as the host wants it to be. */
#include "lua/fresh.h"

#include "codec/values.h"
#include "lua/threads.h"
#include "moonpool_lua.h"

#include <errno.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

/* A program that carries Lua without these may still load the module. */
#pragma weak luaL_openlibs
#pragma weak luaL_newstate

static struct {
    moonpool_lua_setup open_libs, worker_init;
    void *user;
} host;

void moonpool_lua_fresh(moonpool_lua_setup open_libs, moonpool_lua_setup worker_init, void *user)
{
    host.open_libs = open_libs;
    host.worker_init = worker_init;
    host.user = user;
}

static void set_field(lua_State *L, const char *name, mp_letter *letter)
{
    size_t size;
    const char *text = mp_letter_take_text(letter, &size);
    if (mp_push_loaded(L, LUA_LOADLIBNAME) == LUA_TTABLE && size > 0) {
        lua_pushlstring(L, text, size);
        lua_setfield(L, -2, name);
    }
    lua_pop(L, 1);
}

static void set_text(lua_State *L, const char *name, mp_letter *letter)
{
    size_t size;
    const char *text = mp_letter_take_text(letter, &size);
    lua_pushlstring(L, text, size);
    lua_setfield(L, LUA_REGISTRYINDEX, name);
}

static void set_number(lua_State *L, const char *name, mp_letter *letter)
{
    lua_Integer n = (lua_Integer)mp_letter_take_number(letter);
    if (n == 0)
        return;
    lua_pushinteger(L, n);
    lua_setfield(L, LUA_REGISTRYINDEX, name);
}

/* (light userdata of a place that holds the function) */
static int call_setup(lua_State *L)
{
    const moonpool_lua_setup *setup = lua_touserdata(L, 1);
    lua_settop(L, 0);
    (*setup)(L, host.user);
    return 0;
}

/* On a stack of its own, whatever it leaves there. */
static void call_host(lua_State *L, moonpool_lua_setup setup)
{
    lua_pushcfunction(L, call_setup);
    lua_pushlightuserdata(L, &setup);
    lua_call(L, 1, 0);
}

/* The libraries, warnings and collector as in `moonpool`. */
static int furnish(lua_State *L)
{
    mp_letter *letter = lua_touserdata(L, 1);
    if (host.open_libs != NULL)
        call_host(L, host.open_libs);
    else if (luaL_openlibs != NULL)
        luaL_openlibs(L);
    else
        luaL_error(L, "this program has no luaL_openlibs: give an open_libs to moonpool_lua_fresh");
    lua_warning(L, "@on", 0);
    lua_gc(L, LUA_GCGEN, 0, 0);
    set_field(L, "path", letter);
    set_field(L, "cpath", letter);
    set_number(L, MP_DEFAULT_PROCESSES, letter);
    set_number(L, MP_DEFAULT_METHOD, letter);
    set_text(L, MP_MAKER_NAME, letter);
    luaL_requiref(L, "moonpool", luaopen_moonpool, 0);
    return 0;
}

/* (error) */
static int describe(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

lua_State *mp_fresh_open(mp_letter *letter, mp_error *error)
{
    mp_threads_forget();
    lua_State *L = luaL_newstate != NULL ? luaL_newstate() : NULL;
    if (L == NULL) {
        mp_fail(error, -ENOMEM, "cannot make a Lua state");
        return NULL;
    }
    lua_pushcfunction(L, furnish);
    lua_pushlightuserdata(L, letter);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK && letter->status == 0)
        return L;
    lua_pushcfunction(L, describe);
    lua_insert(L, -2);
    bool damaged = letter->status < 0 || lua_pcall(L, 1, 1, 0) != LUA_OK;
    const char *text = damaged ? "its letter is damaged" : lua_tostring(L, -1);
    snprintf(error->text, sizeof error->text, "cannot furnish a Lua state: %s", text);
    return NULL;
}

void mp_fresh_init(lua_State *L)
{
    if (host.worker_init != NULL)
        call_host(L, host.worker_init);
}

void mp_fresh_begin(lua_State *L, const mp_lua_pool *p)
{
    mp_fresh_init(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, p);
    if (mp_decode(L, p->start.data, p->start.len, NULL, 2, MP_CODEC_FUNCTIONS) < 0) {
        mp_error_codec(L, "decode", "initializer");
        lua_error(L);
    }
    lua_setfield(L, -3, "initargs");
    lua_setfield(L, -2, "initializer");
    lua_pop(L, 1);
}
