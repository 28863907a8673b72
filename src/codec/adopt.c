/* mp_metatables_adopt: a bounded walk, breadth first, from a function over
 * what it refers to.
 *
 * Values to be looked at wait in a queue; each enters it once. Bounded are the
 * values that enter, those that enter from one table, and the fields looked
 * at, so that data in bulk neither costs much nor hides what lies beside it. */
#include "codec/classes.h"
#include "codec/functions.h"
#include "codec/names.h"
#include "codec/proto_scan.h"
#include "codec/scratch.h"
#include "codec/stack.h"

#include <lauxlib.h>

enum {
    MOST_VALUES = 20000,
    MOST_OF_A_TABLE = 1000,
    MOST_FIELDS = 200000,
};

typedef struct walk {
    lua_State *L;
    mp_classes *classes;
    const mp_name_filter *names;
    int queue; /* stack index of the list of what entered */
    int met;   /* stack index of the set of it */
    int code;  /* stack indices that hold scratch memory */
    int named;
    lua_Integer entered;
    int fields;
} walk;

/* Pops the value on the top; it enters if it is new and of interest. */
static void enter(walk *w)
{
    lua_State *L = w->L;
    bool wanted = w->entered < MOST_VALUES &&
                  (lua_istable(L, -1) || (lua_isfunction(L, -1) && !lua_iscfunction(L, -1)));
    if (wanted) {
        lua_pushvalue(L, -1);
        wanted = lua_rawget(L, w->met) == LUA_TNIL;
        lua_pop(L, 1);
    }
    if (!wanted) {
        lua_pop(L, 1);
        return;
    }
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 1);
    lua_rawset(L, w->met);
    lua_rawseti(L, w->queue, ++w->entered);
}

/* Whether the value on the top goes by name and is of no interest. */
static bool is_named(walk *w)
{
    const char *name;
    size_t len;
    if (lua_istable(w->L, -1) && !mp_name_possible(w->names, lua_topointer(w->L, -1)))
        return false;
    if (!mp_name_of(w->L, -1, &name, &len))
        return false;
    lua_pop(w->L, 1);
    return true;
}

static void look_at_metatable(walk *w)
{
    lua_State *L = w->L;
    const char *name;
    size_t len;
    if (!lua_getmetatable(L, -1))
        return;
    if (mp_name_of_metatable(L, -1, &name, &len)) {
        lua_pop(L, 2);
        return;
    }
    mp_class_give(L, w->classes, -1);
    enter(w);
}

static bool is_class_field(lua_State *L, int key)
{
    size_t len;
    if (lua_type(L, key) != LUA_TSTRING)
        return false;
    const char *name = lua_tolstring(L, key, &len);
    return mp_class_field(name, len);
}

/* Pushes the key behind which the fields begin: nil, or the last index of a
 * sequence of numbers or strings. */
static void push_first_key(lua_State *L, int table)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, table);
    int type = lua_rawgeti(L, table, 1);
    lua_pop(L, 1);
    if (n > 0 && (type == LUA_TNUMBER || type == LUA_TSTRING))
        lua_pushinteger(L, n);
    else
        lua_pushnil(L);
}

static void look_at_table(walk *w)
{
    lua_State *L = w->L;
    int table = lua_gettop(L);
    lua_Integer most = w->entered + MOST_OF_A_TABLE;
    bool class = false;
    look_at_metatable(w);
    push_first_key(L, table);
    while (lua_next(L, table)) {
        if (w->entered >= most || ++w->fields > MOST_FIELDS)
            break;
        class = class || is_class_field(L, -2);
        enter(w);
        lua_pushvalue(L, -1);
        enter(w);
    }
    lua_settop(L, table);
    if (class)
        mp_class_give(L, w->classes, table);
}

static void look_at_globals(walk *w, const mp_buffer *names)
{
    lua_State *L = w->L;
    const char *name;
    size_t at = 0, len;
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    while (mp_proto_next_name(names, &at, &name, &len)) {
        lua_pushlstring(L, name, len);
        lua_rawget(L, -2);
        enter(w);
    }
    lua_pop(L, 1);
}

static void look_at_function(walk *w)
{
    lua_State *L = w->L;
    mp_buffer code, names;
    mp_scratch_lender code_lender = {L, w->code}, names_lender = {L, w->named};
    mp_scratch_buffer(&code, &code_lender);
    mp_scratch_buffer(&names, &names_lender);
    for (int i = 1; lua_getupvalue(L, -1, i) != NULL; i++)
        enter(w);
    if (mp_function_dump(L, &code) == 0 &&
        mp_function_globals(L, -1, code.data, code.len, &names) == 0)
        look_at_globals(w, &names);
}

void mp_metatables_adopt(lua_State *L, int function_idx)
{
    int top = lua_gettop(L);
    mp_check_stack(L, LUA_MINSTACK, "no room to look at a function");
    lua_pushvalue(L, function_idx);
    lua_settop(L, top + 5);
    lua_newtable(L);
    lua_replace(L, top + 2);
    lua_newtable(L);
    lua_replace(L, top + 3);
    walk w = {.L = L,
              .classes = mp_classes_of(L),
              .names = mp_names_filter(L),
              .queue = top + 2,
              .met = top + 3,
              .code = top + 4,
              .named = top + 5};
    lua_pushvalue(L, top + 1);
    enter(&w);
    for (lua_Integer i = 1; i <= w.entered; i++) {
        int type = lua_rawgeti(L, w.queue, i);
        if (!is_named(&w)) {
            if (type == LUA_TTABLE)
                look_at_table(&w);
            else
                look_at_function(&w);
        }
        lua_settop(L, w.named);
    }
    lua_settop(L, top);
}
