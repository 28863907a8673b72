/* Moonpool for Lua 5.4. */
#ifndef MOONPOOL_LUA_H
#define MOONPOOL_LUA_H

#include "moonpool.h"

#include <lua.h>
#include <poll.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Pushes the module's table; what `require "moonpool"` calls, and what
 * luaL_requiref and package.preload take. Needs the base libraries only. Raises
 * a Lua error where memory is short. */
MOONPOOL_API int luaopen_moonpool(lua_State *L);

/* Waits in place of the library: until one of the n descriptors has what its `events` (POLLIN or
 * POLLOUT) say, or the nanoseconds (MOONPOOL_NEVER: for ever) are over. Returns 1 or 0. It may run
 * the host's loop, which must not call into the waiting state, and may raise an error in L. `fds`
 * is the library's, `user` what was given with it. */
typedef int (*moonpool_waiter)(lua_State *L, void *user, const struct pollfd *fds, unsigned n,
                               int64_t nanoseconds);

/* Every blocking call of the state, in which the module was opened, waits by `waiter` from now on;
 * NULL: by the library itself again. In a fork it does not hold. Raises a Lua error where memory is
 * short. */
MOONPOOL_API void moonpool_lua_set_waiter(lua_State *L, moonpool_waiter waiter, void *user);

#ifdef __cplusplus
}
#endif

#endif
