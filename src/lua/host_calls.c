/* What moonpool_lua.h offers beside the module and the waiter: pools in a state, from C. */
#include "lua/state.h"
#include "moonpool_lua.h"

typedef struct completion {
    moonpool_lua_completion done;
    void *user;
} completion;

void moonpool_lua_new(lua_State *L, unsigned workers)
{
    if (mp_push_loaded(L, "moonpool.pool") != LUA_TTABLE)
        luaL_error(L, "moonpool_lua_new: the module is not open in this state");
    lua_getfield(L, -1, "new");
    if (workers == 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, workers);
    lua_call(L, 1, 1);
    lua_remove(L, -2);
}

int moonpool_lua_is(lua_State *L, int index)
{
    int top = lua_gettop(L), is = 0;
    if (lua_getmetatable(L, index)) {
        mp_push_loaded(L, "moonpool.pool");
        is = lua_rawequal(L, -1, top + 1);
    }
    lua_settop(L, top);
    return is;
}

static int check_pool(lua_State *L, int pool, const char *call)
{
    if (!moonpool_lua_is(L, pool))
        mp_raise(L, "argument", "%s: the value at index %d must be a pool, got %s", call, pool,
                 luaL_typename(L, pool));
    return lua_absindex(L, pool);
}

void moonpool_lua_map(lua_State *L, int pool)
{
    pool = check_pool(L, pool, "moonpool_lua_map");
    int first = lua_gettop(L) - 1;
    lua_getfield(L, pool, "map");
    lua_insert(L, first);
    lua_pushvalue(L, pool);
    lua_insert(L, first + 1);
    lua_call(L, 3, 1);
}

/* (results) or (error); upvalue 1: the completion, 2: whether it is the error's */
static int complete(lua_State *L)
{
    const completion *c = lua_touserdata(L, lua_upvalueindex(1));
    c->done(L, c->user, lua_toboolean(L, lua_upvalueindex(2)));
    return 0;
}

void moonpool_lua_map_async(lua_State *L, int pool, moonpool_lua_completion done, void *user)
{
    pool = check_pool(L, pool, "moonpool_lua_map_async");
    int first = lua_gettop(L) - 1;
    completion *c = lua_newuserdatauv(L, sizeof *c, 0);
    *c = (completion){done, user};
    lua_createtable(L, 0, 2);
    for (int failed = 0; failed <= 1; failed++) {
        lua_pushvalue(L, -2);
        lua_pushboolean(L, failed);
        lua_pushcclosure(L, complete, 2);
        lua_setfield(L, -2, failed ? "error_callback" : "callback");
    }
    lua_remove(L, -2);
    lua_getfield(L, pool, "map_async");
    lua_insert(L, first);
    lua_pushvalue(L, pool);
    lua_insert(L, first + 1);
    lua_call(L, 4, 1);
}

int moonpool_lua_fd(lua_State *L, int pool)
{
    pool = check_pool(L, pool, "moonpool_lua_fd");
    lua_getfield(L, pool, "fileno");
    lua_pushvalue(L, pool);
    lua_call(L, 1, 1);
    int fd = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return fd;
}

void moonpool_lua_dispatch(lua_State *L, int pool)
{
    pool = check_pool(L, pool, "moonpool_lua_dispatch");
    lua_getfield(L, pool, "poll");
    lua_pushvalue(L, pool);
    lua_call(L, 1, 0);
}
