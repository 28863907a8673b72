/* Names of functions: see label.h.
 *
 * Loops make many closures of one function, each with a definition of its own; so its name is
 * looked for once, and kept by where it stands. It is looked for among the globals and what they
 * and loaded modules have in them, then among the locals and upvalues of the functions that run;
 * those of the outermost one count first: inner ones may have it as a parameter.
 *
 * Invariants: no code of the script's runs; the time that a search takes is bounded. */
#include "lua/label.h"
#include "codec/stack.h"

#include <string.h>

static const char labels[] = "moonpool.labels";

enum {
    ENTRIES_MOST = 20000, /* of tables that are looked at, */
    LEVELS_MOST = 100,    /* and functions that run */
    LABELS_MOST = 1000,   /* that are kept */
    STACK_ROOM = 12,
};

typedef struct search {
    int index;   /* where the function stands */
    int entries; /* that may still be looked at */
} search;

/* Pushes the function's key in the table on top, where that is a string. */
static bool push_key(lua_State *L, search *s)
{
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (s->entries-- <= 0) {
            lua_pop(L, 2);
            return false;
        }
        if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, s->index)) {
            lua_pop(L, 1);
            return true;
        }
    }
    return false;
}

/* Pushes "name.key" of a table with a name in the table on top that has the function. */
static bool push_inner_key(lua_State *L, search *s)
{
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        bool named = lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1);
        if (s->entries-- <= 0) {
            lua_pop(L, 2);
            return false;
        }
        if (named && push_key(L, s)) {
            lua_pushfstring(L, "%s.%s", lua_tostring(L, -3), lua_tostring(L, -1));
            lua_copy(L, -1, -4);
            lua_pop(L, 3);
            return true;
        }
    }
    return false;
}

/* Leaves the name on top, in place of the table below it. */
static bool keep_name(lua_State *L, bool found)
{
    lua_remove(L, found ? -2 : -1);
    return found;
}

static bool push_global_name(lua_State *L, search *s)
{
    lua_pushglobaltable(L);
    if (push_key(L, s) || push_inner_key(L, s))
        return keep_name(L, true);
    lua_pop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    return keep_name(L, lua_istable(L, -1) && push_inner_key(L, s));
}

/* Pops a value; its name, if it is the function. */
static const char *name_if(lua_State *L, const search *s, const char *name)
{
    bool same = lua_rawequal(L, -1, s->index) && name[0] != '(' && name[0] != '\0';
    lua_pop(L, 1);
    return same ? name : NULL;
}

/* The name that a function which runs has for it, NULL if none. */
static const char *name_within(lua_State *L, const search *s, lua_Debug *at)
{
    const char *name, *found = NULL;
    for (int i = 1; found == NULL && (name = lua_getlocal(L, at, i)) != NULL; i++)
        found = name_if(L, s, name);
    lua_getinfo(L, "f", at);
    for (int i = 1; found == NULL && (name = lua_getupvalue(L, -1, i)) != NULL; i++)
        found = name_if(L, s, name);
    lua_pop(L, 1);
    return found;
}

/* The library has names of its own for what it is given. */
static bool push_local_name(lua_State *L, const search *s)
{
    lua_Debug at;
    const char *found = NULL;
    for (int level = 0; level < LEVELS_MOST && lua_getstack(L, level, &at) != 0; level++) {
        lua_getinfo(L, "S", &at);
        bool own = *at.what == 'C' || strncmp(at.source, "@moonpool/", 10) == 0;
        const char *name = own ? NULL : name_within(L, s, &at);
        found = name != NULL ? name : found;
    }
    if (found != NULL)
        lua_pushstring(L, found);
    return found != NULL;
}

/* Replaces the place on top, or, where there is none, the nil. */
static void add_name(lua_State *L, int index)
{
    search s = {.index = lua_absindex(L, index), .entries = ENTRIES_MOST};
    const char *place = lua_tostring(L, -1);
    mp_check_stack(L, STACK_ROOM, NULL);
    if (!push_global_name(L, &s) && !push_local_name(L, &s))
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

/* core.label(f, text): what it is called from now on, whichever closure of it is given */
static int set_label(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    push_place(L, 1);
    push_labels(L);
    lua_pushvalue(L, 2);
    keep_label(L);
    return 0;
}

void mp_open_label(lua_State *L)
{
    lua_pushcfunction(L, set_label);
    lua_setfield(L, -2, "label");
}
