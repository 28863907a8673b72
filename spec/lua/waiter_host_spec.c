/* A C host waits in the library's place. */
#include "moonpool_lua.h"
#include "spec/support/check.h"

#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>

static unsigned turns, ready;

static int wait_a_turn(lua_State *L, void *user, const struct pollfd *fds, unsigned n,
                       int64_t nanoseconds)
{
    struct pollfd copy[8];
    (void)L;
    CHECK(user == &turns);
    CHECK(n <= 8);
    for (unsigned i = 0; i < n && i < 8; i++)
        copy[i] = fds[i];
    turns++;
    int most = nanoseconds > 5000000 ? 5 : (int)(nanoseconds / 1000000);
    int found = poll(copy, n, most);
    ready += found > 0;
    return found > 0;
}

TEST(waits_in_place_of_the_library)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "moonpool", luaopen_moonpool, 1);
    lua_settop(L, 0);
    moonpool_lua_set_waiter(L, wait_a_turn, &turns);
    CHECK_EQ_INT(lua_gettop(L), 0);
    CHECK_EQ_INT(
        luaL_dostring(
            L, "local pool = moonpool.Pool(2)\n"
               "local r = pool:map(function(x) moonpool.sleep(0.02) return x end, {1, 2, 3})\n"
               "pool:close() pool:join() return #r"),
        LUA_OK);
    CHECK_EQ_INT(lua_tointeger(L, -1), 3);
    CHECK(turns > 0 && ready > 0);
    moonpool_lua_set_waiter(L, NULL, NULL);
    turns = 0;
    CHECK_EQ_INT(luaL_dostring(L, "moonpool.sleep(0.01)"), LUA_OK);
    CHECK_EQ_INT(turns, 0);
    lua_close(L);
}

CHECK_MAIN
