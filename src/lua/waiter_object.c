/* moonpool_lua_set_waiter: a C function as the waiter of lua/moonpool/waiter.lua. */
#include "lua/state.h"
#include "moonpool_lua.h"

#include "base/clock.h"

#include <math.h>
#include <poll.h>

typedef struct host_waiter {
    moonpool_waiter wait;
    void *user;
} host_waiter;

/* (fds, seconds or nil); upvalue 1: the host_waiter */
static int wait_by_host(lua_State *L)
{
    const host_waiter *w = lua_touserdata(L, lua_upvalueindex(1));
    lua_Number seconds = luaL_optnumber(L, 2, HUGE_VAL);
    unsigned n = (unsigned)lua_rawlen(L, 1);
    struct pollfd *fds = lua_newuserdatauv(L, (n + 1) * sizeof *fds, 0);
    for (unsigned i = 0; i < n; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        fds[i] = (struct pollfd){.fd = (int)luaL_checkinteger(L, -2),
                                 .events = lua_tostring(L, -1)[0] == 'w' ? POLLOUT : POLLIN};
        lua_pop(L, 3);
    }
    int64_t most = seconds < (lua_Number)MP_NEVER / 1e9 ? (int64_t)(seconds * 1e9) : MOONPOOL_NEVER;
    lua_pushboolean(L, w->wait(L, w->user, fds, n, most));
    return 1;
}

void moonpool_lua_set_waiter(lua_State *L, moonpool_waiter waiter, void *user)
{
    if (mp_push_loaded(L, "moonpool.waiter") != LUA_TTABLE)
        luaL_error(L, "moonpool_lua_set_waiter: the module is not open in this state");
    lua_getfield(L, -1, "set");
    if (waiter == NULL) {
        lua_pushnil(L);
    } else {
        host_waiter *w = lua_newuserdatauv(L, sizeof *w, 0);
        *w = (host_waiter){waiter, user};
        lua_pushcclosure(L, wait_by_host, 1);
    }
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}
