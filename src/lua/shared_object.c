/* Handles of shared things: their making, here or out of what was sent; see shared.h.
 *
 * Invariant: a process has one handle for a cell, in a weak table of the registry, and uses the
 * cell while it has that. */
#include "lua/shared.h"

#include "lua/state.h"

#include "base/clock.h"

#include <string.h>

static const char *const kinds[MP_SHARED_KINDS] = {
    "Lock",  "RLock", "Semaphore", "BoundedSemaphore", "Event",         "Condition", "Barrier",
    "Value", "Array", "Queue",     "SimpleQueue",      "JoinableQueue", "Shared",    "Manager"};

static const int64_t first_slice = 1000000, last_slice = 20000000; /* nanoseconds */

static const char handles = 0; /* the registry's key of the table of handles */

mp_shared *mp_check_shared(lua_State *L, int index, unsigned wanted, const char *method)
{
    mp_shared *s = lua_touserdata(L, index);
    if (s == NULL || lua_rawlen(L, index) != sizeof *s || s->self != s ||
        (wanted >> s->kind & 1) == 0)
        mp_raise(L, "argument", "%s: called without its object; write object:%s(...) with a colon",
                 method, method);
    return s;
}

int64_t mp_shared_slice(lua_State *L)
{
    int64_t n = luaL_checkinteger(L, 2), left = mp_at_deadline(L, 3) - mp_now();
    int64_t part = n < 5 ? first_slice << n : last_slice;
    if (mp_hook_waits(L) && part > first_slice)
        part = first_slice;
    return left < 0 ? 0 : left < part ? left : part;
}

uint32_t mp_shared_self(lua_State *L)
{
    uint32_t me = mp_session_self(NULL);
    if (me != 0)
        return me;
    mp_error error = {0};
    me = mp_session_self(&error);
    return me != 0 ? me : (uint32_t)mp_raise_system(L, &error);
}

lua_Integer mp_shared_key(mp_cell_name name)
{
    return (lua_Integer)((uint64_t)name.generation << 32 | name.index);
}

mp_cell_name mp_shared_named(lua_Integer key)
{
    return (mp_cell_name){(uint32_t)key, (uint32_t)((uint64_t)key >> 32)};
}

void mp_shared_let_go(mp_shared *s)
{
    if (s->uses)
        mp_cell_drop(s->name);
    s->uses = false;
}

/* Pushes a handle that uses nothing yet. */
static mp_shared *push_handle(lua_State *L, enum mp_shared_kind kind)
{
    mp_shared *s = lua_newuserdatauv(L, sizeof *s, 1);
    *s = (mp_shared){.kind = kind};
    luaL_getmetatable(L, kinds[kind]);
    lua_setmetatable(L, -2);
    return s;
}

static void register_handle(lua_State *L, mp_shared *s, mp_cell_name name)
{
    s->name = name;
    s->content = mp_cell_content(name);
    s->self = s;
    s->uses = true;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handles);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, mp_shared_key(name));
    lua_pop(L, 1);
}

/* core.shared(kind): a new one, its content zeroed */
static int shared_new(lua_State *L)
{
    mp_error error = {0};
    mp_cell_name name;
    enum mp_shared_kind kind = (enum mp_shared_kind)luaL_checkoption(L, 1, NULL, kinds);
    mp_shared *s = push_handle(L, kind);
    if (mp_cell_create(&name, &error) < 0)
        mp_raise_system(L, &error);
    register_handle(L, s, name);
    return 1;
}

/* core.shared_at(kind, index, generation): the one that another process has named so; nil
 * where it is gone */
static int shared_at(lua_State *L)
{
    enum mp_shared_kind kind = (enum mp_shared_kind)luaL_checkoption(L, 1, NULL, kinds);
    mp_cell_name name = {(uint32_t)luaL_checkinteger(L, 2), (uint32_t)luaL_checkinteger(L, 3)};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handles);
    if (lua_rawgeti(L, -1, mp_shared_key(name)) != LUA_TNIL)
        return 1;
    mp_shared *s = push_handle(L, kind);
    if (!mp_cell_use(name))
        return 0;
    register_handle(L, s, name);
    return 1;
}

/* core.shared_name(handle): kind, index, generation */
static int shared_name(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, ~0U, "__reduce");
    lua_pushstring(L, kinds[s->kind]);
    lua_pushinteger(L, s->name.index);
    lua_pushinteger(L, s->name.generation);
    return 3;
}

/* core.shared_keep(handle, value): the handle keeps it; core.shared_kept(handle) gives it */
static int shared_keep(lua_State *L)
{
    mp_check_shared(L, 1, ~0U, "keep");
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, 1);
    return 0;
}

static int shared_kept(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    return 1;
}

/* core.shared_give(handle, owner): it stays for as long as that does; core.shared_take(handle,
 * index, generation): for as long as it did without that owner */
static int shared_give(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, ~0U, "give");
    mp_cell_give(s->name, mp_check_shared(L, 2, ~0U, "give")->name, false);
    return 0;
}

static int shared_take(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, ~0U, "take");
    mp_cell_name owner = {(uint32_t)luaL_checkinteger(L, 2), (uint32_t)luaL_checkinteger(L, 3)};
    mp_cell_disown(s->name, owner);
    return 0;
}

/* core.shared_others(handle): how many other processes use it */
static int shared_others(lua_State *L)
{
    lua_pushinteger(L, mp_cell_others(mp_check_shared(L, 1, ~0U, "others")->name));
    return 1;
}

static int shared_collect(lua_State *L)
{
    mp_shared *s = lua_touserdata(L, 1);
    if (s->self == s)
        mp_shared_let_go(s);
    s->self = NULL;
    return 0;
}

/* core.shared_meta(kind): the metatable of its handles */
static int shared_meta(lua_State *L)
{
    luaL_getmetatable(L, luaL_checkstring(L, 1));
    return 1;
}

void mp_open_shared(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"shared", shared_new},           {"shared_at", shared_at},
        {"shared_name", shared_name},     {"shared_keep", shared_keep},
        {"shared_others", shared_others}, {"shared_give", shared_give},
        {"shared_take", shared_take},     {"shared_kept", shared_kept},
        {"shared_meta", shared_meta},     {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    for (int i = 0; i < MP_SHARED_KINDS; i++) {
        luaL_newmetatable(L, kinds[i]);
        lua_pushcfunction(L, shared_collect);
        lua_setfield(L, -2, "__gc");
        lua_pop(L, 1);
    }
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handles);
}
