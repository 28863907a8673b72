/* Errors into Lua by one door; see state.h. */
#include "lua/state.h"

#include <pthread.h>
#include <stdarg.h>
#include <string.h>

static unsigned generation;
static pthread_once_t generation_once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
    generation++;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

unsigned mp_fork_generation(void)
{
    pthread_once(&generation_once, watch_forks);
    return generation;
}

int mp_push_loaded(lua_State *L, const char *name)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    int type = lua_getfield(L, -1, name);
    lua_remove(L, -2);
    return type;
}

static void push_error(lua_State *L, const char *kind, const char *format, va_list args)
{
    char message[512];
    vsnprintf(message, sizeof message, format, args);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
    luaL_setmetatable(L, MP_ERROR_META);
}

void mp_error_new(lua_State *L, const char *kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    push_error(L, kind, format, args);
    va_end(args);
}

int mp_raise(lua_State *L, const char *kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    push_error(L, kind, format, args);
    va_end(args);
    lua_error(L);
    __builtin_unreachable();
}

int mp_raise_system(lua_State *L, const mp_error *error)
{
    mp_error_new(L, "system", "%s", error->text);
    lua_pushinteger(L, -error->code);
    lua_setfield(L, -2, "errno");
    lua_error(L);
    __builtin_unreachable();
}

void mp_error_codec(lua_State *L, const char *kind, const char *root)
{
    const char *path = lua_tostring(L, -1);
    bool relative = path[0] == '\0' || path[0] == '.' || path[0] == '[' || path[0] == '(';
    lua_createtable(L, 0, 4);
    lua_pushstring(L, kind);
    lua_setfield(L, -2, "kind");
    lua_pushfstring(L, "%s%s", relative ? root : "", path);
    lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), lua_tostring(L, -4));
    lua_setfield(L, -3, "message");
    lua_setfield(L, -2, "path");
    luaL_setmetatable(L, MP_ERROR_META);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* Objects know themselves by size and address: luaL_checkudata looks a name up each time, which
 * is as much as all the rest that many of the core's functions do. */
mp_lua_pool *mp_check_pool(lua_State *L, int index)
{
    mp_lua_pool *p = lua_touserdata(L, index);
    if (p == NULL || lua_rawlen(L, index) != sizeof *p || p->self != p) {
        luaL_typeerror(L, index, MP_POOL_META); /* does not return */
        return NULL;
    }
    if (p->pool == NULL)
        mp_raise(L, "closed", "the pool is closed");
    if (p->generation != mp_fork_generation())
        mp_raise(L, "closed",
                 "this pool belongs to the process that made it; make one of your own here");
    return p;
}

mp_lua_call *mp_check_call(lua_State *L, int index)
{
    mp_lua_call *c = lua_touserdata(L, index);
    if (c == NULL || lua_rawlen(L, index) != sizeof *c || c->self != c) {
        luaL_typeerror(L, index, MP_CALL_META); /* does not return */
        return NULL;
    }
    return c;
}

const char mp_call_plain_meta = 0;
