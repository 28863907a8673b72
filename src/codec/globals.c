/* Globals that arrive in a worker: see globals.h. */
#include "codec/globals.h"
#include "codec/stack.h"

#include <lauxlib.h>
#include <stdbool.h>

enum { STACK_ROOM = 8 };

static const char last_key; /* of the table of values inherited or last set */

/* The value itself, NaN too, which is not equal to itself. */
static bool is_same(lua_State *L, int a, int b)
{
    if (lua_rawequal(L, a, b))
        return true;
    return lua_type(L, a) == LUA_TNUMBER && !lua_rawequal(L, a, a) &&
           lua_type(L, b) == LUA_TNUMBER && !lua_rawequal(L, b, b);
}

void mp_globals_begin(lua_State *L)
{
    mp_check_stack(L, STACK_ROOM, NULL);
    lua_newtable(L);
    lua_pushglobaltable(L);
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -5);
    }
    lua_pop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &last_key);
}

/* Gives the global, of which the stack holds the name and the value from
 * `name` on, that value; in `table`, too. */
static void set(lua_State *L, int name, int table)
{
    lua_pushvalue(L, name);
    lua_pushvalue(L, name + 1);
    lua_rawset(L, table);
}

/* The stack: name, value, globals, the value that stands, the table of last
 * values or nil, the last value or nil. */
void mp_globals_set(lua_State *L)
{
    mp_check_stack(L, STACK_ROOM, NULL);
    int name = lua_gettop(L) - 1, globals = name + 2, last = name + 4;
    lua_pushglobaltable(L);
    lua_pushvalue(L, name);
    lua_rawget(L, globals);
    bool has_last = lua_rawgetp(L, LUA_REGISTRYINDEX, &last_key) == LUA_TTABLE;
    if (has_last) {
        lua_pushvalue(L, name);
        lua_rawget(L, last);
    } else {
        lua_pushnil(L);
    }
    if (is_same(L, globals + 1, last + 1)) {
        set(L, name, globals);
        if (has_last)
            set(L, name, last);
    }
    lua_settop(L, name - 1);
}
