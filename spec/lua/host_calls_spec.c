/* Pools of a state that a C host makes and uses. */
#include "moonpool_lua.h"
#include "spec/support/check.h"

#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>

static lua_State *open_state(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "moonpool", luaopen_moonpool, 1);
    lua_settop(L, 0);
    return L;
}

static void push_squaring(lua_State *L, int n)
{
    luaL_loadstring(L, "local x = ... return x * x");
    lua_createtable(L, n, 0);
    for (int i = 1; i <= n; i++) {
        lua_pushinteger(L, i);
        lua_rawseti(L, -2, i);
    }
}

TEST(maps_what_is_on_the_stack)
{
    lua_State *L = open_state();
    lua_pushliteral(L, "below");
    moonpool_lua_new(L, 2);
    CHECK(moonpool_lua_is(L, -1) && moonpool_lua_is(L, 2));
    CHECK(!moonpool_lua_is(L, 1));
    push_squaring(L, 100);
    moonpool_lua_map(L, 2);
    CHECK_EQ_INT(lua_gettop(L), 3);
    CHECK_EQ_INT(lua_rawlen(L, 3), 100);
    lua_rawgeti(L, 3, 100);
    CHECK_EQ_INT(lua_tointeger(L, -1), 10000);
    lua_close(L);
}

typedef struct answer {
    unsigned times, failed;
    lua_Integer length;
} answer;

static void note(lua_State *L, void *user, int failed)
{
    answer *a = user;
    a->times++;
    a->failed += failed != 0;
    a->length = failed ? 0 : (lua_Integer)lua_rawlen(L, 1);
}

static void await(lua_State *L, const answer *a, unsigned times)
{
    struct pollfd p = {.fd = moonpool_lua_fd(L, 1), .events = POLLIN};
    for (int i = 0; i < 1000 && a->times < times; i++) {
        poll(&p, 1, 20);
        moonpool_lua_dispatch(L, 1);
    }
}

TEST(tells_a_c_function_when_it_is_done)
{
    answer a = {0};
    lua_State *L = open_state();
    moonpool_lua_new(L, 2);
    push_squaring(L, 50);
    moonpool_lua_map_async(L, 1, note, &a);
    CHECK_EQ_INT(lua_gettop(L), 2);
    CHECK_EQ_INT(a.times, 0);
    await(L, &a, 1);
    CHECK_EQ_INT(a.times, 1);
    CHECK_EQ_INT(a.failed, 0);
    CHECK_EQ_INT(a.length, 50);
    luaL_loadstring(L, "error 'no'");
    lua_createtable(L, 1, 0);
    lua_pushinteger(L, 1);
    lua_rawseti(L, -2, 1);
    moonpool_lua_map_async(L, 1, note, &a);
    await(L, &a, 2);
    CHECK_EQ_INT(a.times, 2);
    CHECK_EQ_INT(a.failed, 1);
    lua_close(L);
}

/* A state whose pool has a call that goes on, and `a` waits for it. */
static lua_State *open_sleeping(answer *a)
{
    lua_State *L = open_state();
    moonpool_lua_new(L, 1);
    luaL_loadstring(L, "require 'moonpool'.sleep(1000)");
    lua_createtable(L, 1, 0);
    lua_pushinteger(L, 1);
    lua_rawseti(L, -2, 1);
    moonpool_lua_map_async(L, 1, note, a);
    return L;
}

TEST(tells_a_c_function_that_its_call_was_cancelled)
{
    answer a = {0};
    lua_State *L = open_sleeping(&a);
    lua_getfield(L, 1, "terminate");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 0);
    await(L, &a, 1);
    CHECK_EQ_INT(a.times, 1);
    CHECK_EQ_INT(a.failed, 1);
    lua_close(L);
    CHECK_EQ_INT(a.times, 1);
}

TEST(tells_nothing_where_its_state_is_closed)
{
    answer a = {0};
    lua_State *L = open_sleeping(&a);
    lua_close(L);
    CHECK_EQ_INT(a.times, 0);
}

static int map_wrongly(lua_State *L)
{
    moonpool_lua_new(L, 1);
    lua_pushinteger(L, 5);
    lua_newtable(L);
    moonpool_lua_map(L, 1);
    return 0;
}

TEST(raises_as_lua_call_does)
{
    lua_State *L = open_state();
    lua_pushcfunction(L, map_wrongly);
    CHECK_EQ_INT(lua_pcall(L, 0, 0, 0), LUA_ERRRUN);
    lua_getfield(L, -1, "kind");
    CHECK_STR(lua_tostring(L, -1), "argument");
    lua_close(L);
}

/* Two states of one host, each with a pool of its own, in turn. */
TEST(serves_two_states)
{
    lua_State *states[] = {open_state(), open_state()};
    for (int i = 0; i < 2; i++)
        moonpool_lua_new(states[i], 2);
    for (int round = 0; round < 5; round++)
        for (int i = 0; i < 2; i++) {
            push_squaring(states[i], 20);
            moonpool_lua_map(states[i], 1);
            CHECK_EQ_INT(lua_rawlen(states[i], -1), 20);
            lua_settop(states[i], 1);
        }
    lua_close(states[0]);
    push_squaring(states[1], 20);
    moonpool_lua_map(states[1], 1);
    CHECK_EQ_INT(lua_rawlen(states[1], -1), 20);
    lua_close(states[1]);
}

CHECK_MAIN
