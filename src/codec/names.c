/* Values that go by name: see names.h.
 *
 * In the registry, under the addresses of the variables below: the index made
 * by the survey, one like it for what modules keep to themselves (made when a
 * metatable is asked for), the standard C functions by name, the values of
 * package.loaded at the last survey (so that a module's address is not given
 * to another unnoticed), and `state`. */
#include "codec/names.h"

#include "codec/name_functions.h"
#include "codec/name_survey.h"
#include "codec/stack.h"

#include <lauxlib.h>
#include <string.h>

enum {
    STACK_ROOM = 10,
    STANDARD_FUNCTIONS = 150, /* about so many have Lua's own libraries */
};

typedef struct state {
    mp_name_filter filter;
    uint64_t signature;  /* of package.loaded when the index was made */
    const void *unnamed; /* the metatable that was looked for last in vain */
} state;

static const char index_key, private_key, functions_key, modules_key, state_key;

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 31) * 0x9E3779B97F4A7C15u;
    return x ^ x >> 29;
}

/* Pushes package.loaded, or nil. */
static bool push_loaded(lua_State *L)
{
    return lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) == LUA_TTABLE;
}

/* A sum over which module is under which key, in any order. */
static uint64_t signature_of_loaded(lua_State *L)
{
    uint64_t sum = 1;
    if (push_loaded(L))
        for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
            sum += mix(mix((uintptr_t)lua_topointer(L, -2)) + (uintptr_t)lua_topointer(L, -1));
    lua_pop(L, 1);
    return sum;
}

static state *get_state(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
    state *s = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return s;
}

static state *new_state(lua_State *L)
{
    state *s = lua_newuserdatauv(L, sizeof *s, 0);
    memset(s, 0, sizeof *s);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
    return s;
}

/* Its values are weak, which leaves those without upvalues in it for ever. */
void mp_push_named_functions(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &functions_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, STANDARD_FUNCTIONS);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &functions_key);
}

static void keep_modules(lua_State *L)
{
    lua_newtable(L);
    int kept = lua_gettop(L);
    lua_Integer n = 0;
    if (push_loaded(L)) {
        for (lua_pushnil(L); lua_next(L, kept + 1) != 0;)
            lua_rawseti(L, kept, ++n);
    }
    lua_settop(L, kept);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &modules_key);
}

/* The state's signature comes last: until then there is no index. */
static void survey(lua_State *L)
{
    state *s = get_state(L);
    mp_check_stack(L, STACK_ROOM, NULL);
    if (s == NULL)
        s = new_state(L);
    s->signature = 0;
    memset(&s->filter, 0, sizeof s->filter);
    keep_modules(L);
    uint64_t signature = signature_of_loaded(L);
    mp_push_named_functions(L);
    mp_survey(L, MP_SURVEY_PUBLIC, -1, &s->filter);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &index_key);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &private_key);
    lua_pop(L, 1);
    s->signature = signature;
}

/* True if the index was made just now. */
static bool refresh(lua_State *L)
{
    mp_check_stack(L, STACK_ROOM, NULL);
    const state *s = get_state(L);
    bool stale = s == NULL || s->signature != signature_of_loaded(L);
    if (stale)
        survey(L);
    return stale;
}

void mp_names_refresh(lua_State *L)
{
    refresh(L);
}

const mp_name_filter *mp_names_filter(lua_State *L)
{
    mp_check_stack(L, STACK_ROOM, NULL);
    const state *s = get_state(L);
    if (s != NULL && s->signature != 0)
        return &s->filter;
    survey(L);
    return &get_state(L)->filter;
}

/* Returns 1 with the name pushed, 0 if there is none, -1 if there is no such
 * index. */
static int look_up(lua_State *L, int idx, const void *key, const char **name, size_t *len)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TTABLE) {
        lua_pop(L, 1);
        return -1;
    }
    lua_pushvalue(L, idx);
    if (lua_rawget(L, -2) != LUA_TSTRING) {
        lua_pop(L, 2);
        return 0;
    }
    lua_replace(L, -2);
    *name = lua_tolstring(L, -1, len);
    return 1;
}

static int look_up_public(lua_State *L, int idx, const char **name, size_t *len)
{
    int found = look_up(L, idx, &index_key, name, len);
    if (found >= 0)
        return found;
    survey(L);
    return look_up(L, idx, &index_key, name, len);
}

int mp_name_of(lua_State *L, int idx, const char **name, size_t *len)
{
    int type = lua_type(L, idx);
    if (type != LUA_TTABLE && type != LUA_TFUNCTION && type != LUA_TUSERDATA)
        return 0;
    mp_check_stack(L, STACK_ROOM, NULL);
    idx = lua_absindex(L, idx);
    int found = look_up_public(L, idx, name, len);
    if (found == 0 && type != LUA_TTABLE && refresh(L))
        found = look_up_public(L, idx, name, len);
    if (found == 0 && lua_iscfunction(L, idx))
        found = mp_name_search(L, idx, name, len);
    return found;
}

static int look_up_metatable(lua_State *L, int idx, const char **name, size_t *len)
{
    int found = look_up_public(L, idx, name, len);
    if (found == 0)
        found = look_up(L, idx, &private_key, name, len);
    if (found < 0) {
        mp_push_named_functions(L);
        mp_survey(L, MP_SURVEY_PRIVATE, -1, NULL);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &private_key);
        lua_pop(L, 1);
        found = look_up(L, idx, &private_key, name, len);
    }
    return found;
}

int mp_name_of_metatable(lua_State *L, int idx, const char **name, size_t *len)
{
    mp_check_stack(L, STACK_ROOM, NULL);
    idx = lua_absindex(L, idx);
    int found = look_up_metatable(L, idx, name, len);
    state *s = get_state(L);
    const void *table = lua_topointer(L, idx);
    if (found == 0 && s->unnamed != table) {
        s->unnamed = table;
        if (refresh(L))
            found = look_up_metatable(L, idx, name, len);
    }
    return found;
}

/* What is found on globals enters the index, so that it is not searched for
 * again. */
static int search_globals(lua_State *L, int idx, const char **name, size_t *len)
{
    mp_push_named_functions(L);
    mp_survey(L, MP_SURVEY_GLOBALS, -1, NULL);
    lua_pushvalue(L, idx);
    if (lua_rawget(L, -2) != LUA_TSTRING) {
        lua_pop(L, 3);
        return 0;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &index_key);
    lua_pushvalue(L, idx);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
    *name = lua_tolstring(L, -1, len);
    return 1;
}

int mp_name_search(lua_State *L, int idx, const char **name, size_t *len)
{
    mp_check_stack(L, STACK_ROOM, NULL);
    idx = lua_absindex(L, idx);
    survey(L);
    int found = look_up(L, idx, &index_key, name, len);
    if (found <= 0 && lua_iscfunction(L, idx))
        found = search_globals(L, idx, name, len);
    return found > 0;
}
