/* Modules go to workers by name: what a worker has of one is what it inherited, or
 * loaded itself. Here is noted what each looked like when the workers got it, so that one
 * who changes it afterwards can be told. See baggage.h.
 *
 * A note is {the module, the checksum of its scalar fields}, in a table of the pool's. */
#include "lua/baggage.h"

#include "base/checksum.h"
#include "codec/values.h"

#include <string.h>

#define NOTES "modules"

static const char *const own[] = {"_G",     "package", "coroutine", "table", "io",      "os",
                                  "string", "math",    "utf8",      "debug", "moonpool"};

static bool is_own(const char *name)
{
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(name, own[i]) == 0)
            return true;
    return strncmp(name, "moonpool.", 9) == 0;
}

/* Of a string or number at idx, told apart by type. */
static uint64_t sum_scalar(lua_State *L, int idx)
{
    size_t size;
    const char *bytes;
    lua_Number number;
    lua_Integer integer;
    switch (lua_type(L, idx)) {
    case LUA_TSTRING:
        bytes = lua_tolstring(L, idx, &size);
        return mp_checksum((const unsigned char *)bytes, size) + 1;
    case LUA_TNUMBER:
        integer = lua_tointeger(L, idx);
        number = lua_tonumber(L, idx);
        return lua_isinteger(L, idx)
                   ? mp_checksum((const unsigned char *)&integer, sizeof integer) + 2
                   : mp_checksum((const unsigned char *)&number, sizeof number) + 3;
    case LUA_TBOOLEAN:
        return lua_toboolean(L, idx) ? 5 : 4;
    default:
        return 0;
    }
}

/* Of the scalar fields of the table on top, whatever their order. */
static uint64_t sum_fields(lua_State *L)
{
    uint64_t sum = 0;
    if (!lua_istable(L, -1))
        return sum_scalar(L, -1);
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        uint64_t value = sum_scalar(L, -1);
        if (value != 0)
            sum += (sum_scalar(L, -2) * UINT64_C(0x9E3779B97F4A7C15)) ^
                   (value * UINT64_C(0xBF58476D1CE4E5B9));
    }
    return sum;
}

/* Notes the module on top, whose name stands below it, in the table at `notes`; pops it. */
static void note(lua_State *L, int notes)
{
    lua_Integer sum = (lua_Integer)sum_fields(L);
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, sum);
    lua_rawseti(L, -2, 2);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, notes);
}

static void push_loaded(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

void mp_modules_note(lua_State *L, const void *pool)
{
    int top = lua_gettop(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, pool);
    lua_newtable(L);
    push_loaded(L);
    for (lua_pushnil(L); lua_next(L, -2) != 0;)
        if (lua_type(L, -2) == LUA_TSTRING && !is_own(lua_tostring(L, -2)))
            note(L, top + 2);
        else
            lua_pop(L, 1);
    lua_settop(L, top + 2);
    lua_setfield(L, top + 1, NOTES);
    lua_settop(L, top);
}

void mp_modules_note_one(lua_State *L, const void *pool, const char *name)
{
    int top = lua_gettop(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, pool);
    luaL_getsubtable(L, top + 1, NOTES);
    push_loaded(L);
    lua_pushstring(L, name);
    if (lua_getfield(L, top + 3, name) != LUA_TNIL)
        note(L, top + 2);
    lua_settop(L, top);
}

/* How the module on top, whose name stands below it, differs from its note; NULL where it
 * does not, or was never noted. */
static const char *difference(lua_State *L, int notes)
{
    const char *what = NULL;
    lua_pushvalue(L, -2);
    if (lua_rawget(L, notes) == LUA_TTABLE) {
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        if (!lua_rawequal(L, -2, -4))
            what = "was loaded anew";
        lua_Integer sum = lua_tointeger(L, -1);
        lua_pop(L, 3);
        if (what == NULL && sum != (lua_Integer)sum_fields(L))
            what = "has other fields than it had";
        return what;
    }
    lua_pop(L, 1);
    return NULL;
}

static void warn_of(lua_State *L, const char *name, const char *what)
{
    lua_warning(L, "moonpool: module \"", 1);
    lua_warning(L, name, 1);
    lua_warning(L, "\" ", 1);
    lua_warning(L, what, 1);
    lua_warning(L, " since workers got it, and they have it as it was; mp.reload(\"", 1);
    lua_warning(L, name, 1);
    lua_warning(L, "\") or pool:refresh() gives them the new one", 0);
}

void mp_modules_check(lua_State *L, const void *pool)
{
    int top = lua_gettop(L);
    if (lua_getfield(L, LUA_REGISTRYINDEX, MP_NAMED_MODULES) == LUA_TNIL) {
        lua_settop(L, top);
        return;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, pool);
    luaL_getsubtable(L, top + 2, NOTES);
    push_loaded(L);
    for (lua_pushnil(L); lua_next(L, top + 1) != 0; lua_settop(L, top + 5)) {
        const char *name = lua_tostring(L, top + 5);
        lua_settop(L, top + 5);
        lua_pushvalue(L, top + 5);
        lua_pushvalue(L, top + 5);
        if (is_own(name) || lua_rawget(L, top + 4) == LUA_TNIL)
            continue;
        const char *what = difference(L, top + 3);
        note(L, top + 3);
        if (what != NULL)
            warn_of(L, name, what);
    }
    lua_settop(L, top);
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, MP_NAMED_MODULES);
}
