/* require "spec.readable": readable(fd, milliseconds) is true when poll(2) says
 * within that time that the descriptor can be read. */
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>

int luaopen_spec_readable(lua_State *L);

static int readable(lua_State *L)
{
    struct pollfd one = {.fd = (int)luaL_checkinteger(L, 1), .events = POLLIN};
    int n = poll(&one, 1, (int)luaL_checkinteger(L, 2));
    lua_pushboolean(L, n == 1 && (one.revents & POLLIN) != 0);
    return 1;
}

__attribute__((visibility("default"))) int luaopen_spec_readable(lua_State *L)
{
    lua_pushcfunction(L, readable);
    return 1;
}
