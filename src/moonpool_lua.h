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
 * luaL_requiref and package.preload take. Needs Lua's basic functions and its
 * libraries table, string, math, io and debug. Raises a Lua error where one of them is not open, or
 * memory is short. */
MOONPOOL_API int luaopen_moonpool(lua_State *L);

/* ---- fresh states ---- */

typedef void (*moonpool_lua_setup)(lua_State *L, void *user);

/* How the states of workers and processes are made that are no forks of this process (start methods
 * "spawn" and "forkserver"): open_libs opens the libraries in a new state (NULL: luaL_openlibs),
 * before the module is opened in it; worker_init (or NULL) is called once in each such process
 * behind that. Both may raise Lua errors, which the first call of a pool then does. Before
 * moonpool_worker_main and moonpool_forkserver_start; not by two threads at a time. */
MOONPOOL_API void moonpool_lua_fresh(moonpool_lua_setup open_libs, moonpool_lua_setup worker_init,
                                     void *user);

/* ---- pools of a state ----
 *
 * Each may raise a Lua error, as lua_call does: of the kinds that scripts get, or memory. `pool` is
 * the index of a pool. The thread that runs the state calls them. */

/* Pushes a new pool of so many workers; 0: one for each processor that this process may use. The
 * module must be open in the state. It is the state's: collected, closed by a `<close>` variable or
 * its methods. Its workers are made with its first work, as mp.set_start_method says. */
MOONPOOL_API void moonpool_lua_new(lua_State *L, unsigned workers);

/* Whether that value is a pool: 1 or 0. Raises nothing. */
MOONPOOL_API int moonpool_lua_is(lua_State *L, int index);

/* Takes a function and something to iterate over from the stack (the function below) and pushes the
 * table of the function's results, as pool:map. Blocks until all are there. */
MOONPOOL_API void moonpool_lua_map(lua_State *L, int pool);

/* Called once: the table of results, or the error, where `failed`, is at index 1 of L; of a pool
 * that was terminated the error "cancelled". Of a call that is under way when the pool is
 * collected, or its state closed, nothing is heard: what `user` stands for is the caller's to give
 * up then. */
typedef void (*moonpool_lua_completion)(lua_State *L, void *user, int failed);

/* The same without blocking for the work: pushes its AsyncResult, and calls `done` within a later
 * moonpool_lua_dispatch, or any call of the pool that waits. */
MOONPOOL_API void moonpool_lua_map_async(lua_State *L, int pool, moonpool_lua_completion done,
                                         void *user);

/* A descriptor that is readable when moonpool_lua_dispatch has something to do; the pool's. */
MOONPOOL_API int moonpool_lua_fd(lua_State *L, int pool);

/* Takes in what has come and runs callbacks. Does not block. */
MOONPOOL_API void moonpool_lua_dispatch(lua_State *L, int pool);

/* ---- waiting ---- */

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
