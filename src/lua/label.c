/* Names of functions: see label.h.
 *
 * Loops make many closures of one function, each with a definition of its own; so its name is
 * looked for once, and kept by where it stands. */
#include "lua/label.h"

static const char labels[] = "moonpool.labels";

enum { GLOBALS_MOST = 1000, LABELS_MOST = 1000 }; /* that are looked at; that are kept */

/* Pushes the name of the global that has the function at `index`; false where none has. */
static bool push_global_name(lua_State *L, int index)
{
    int top = lua_gettop(L);
    lua_pushglobaltable(L);
    lua_pushnil(L);
    for (int n = 0; n < GLOBALS_MOST && lua_next(L, top + 1) != 0; n++) {
        if (lua_rawequal(L, -1, index) && lua_type(L, -2) == LUA_TSTRING) {
            lua_pop(L, 1);
            lua_replace(L, top + 1);
            lua_settop(L, top + 1);
            return true;
        }
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    return false;
}

/* Replaces the place on top, or, where there is none, the nil. */
static void add_name(lua_State *L, int index)
{
    const char *place = lua_tostring(L, -1);
    if (!push_global_name(L, index))
        return;
    if (place != NULL)
        lua_pushfstring(L, "%s (%s)", lua_tostring(L, -1), place);
    else
        lua_pushvalue(L, -1);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* Pushes where it is defined, nil where that is in C. */
static void push_place(lua_State *L, int index)
{
    lua_Debug ar;
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &ar);
    if (ar.linedefined >= 0)
        lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
    else
        lua_pushnil(L);
}

/* Pushes the table of labels by their places; its entry 0 is how many it has. */
static void push_labels(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, labels) == LUA_TTABLE) {
        bool full = lua_rawgeti(L, -1, 0) == LUA_TNUMBER && lua_tointeger(L, -1) >= LABELS_MOST;
        lua_pop(L, 1);
        if (!full)
            return;
    }
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, labels);
}

/* On top: a place, the table, its label. */
static void keep_label(lua_State *L)
{
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
    lua_rawgeti(L, -2, 0);
    lua_Integer n = lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_pushinteger(L, n + 1);
    lua_rawseti(L, -3, 0);
}

/* Pushes the label of a function by its place, which stands on top. */
static void find_label(lua_State *L, int index)
{
    if (lua_isnil(L, -1)) {
        add_name(L, index);
        return;
    }
    push_labels(L);
    lua_pushvalue(L, -2);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pushvalue(L, -3);
        add_name(L, index);
        lua_replace(L, -2);
        keep_label(L);
    }
}

void mp_label_definition(lua_State *L, mp_lua_pool *p, mp_definition *d, int index)
{
    size_t size;
    if (d->label != 0)
        return;
    int top = lua_gettop(L);
    if (lua_isfunction(L, index)) {
        push_place(L, index);
        find_label(L, index);
    } else {
        lua_pushstring(L, luaL_typename(L, index));
    }
    const char *text = lua_tolstring(L, -1, &size);
    if (text != NULL)
        mp_pool_label(p->pool, d, text, size);
    lua_settop(L, top);
}
