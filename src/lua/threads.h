/* Knows every coroutine of a Lua state, so that a signal handler can reach the
 * one that runs. */
#ifndef MP_LUA_THREADS_H
#define MP_LUA_THREADS_H

#include <lua.h>
#include <stdbool.h>

/* Begins to keep count of those made from now on, for one state in the life of the
 * process; called again it does nothing. Raises memory errors of Lua's. */
void mp_threads_watch(lua_State *L);

/* New process: nothing of the states that it has inherited is watched any more. */
void mp_threads_forget(void);

/* Calls `visit` for every coroutine that is there, the main thread left out.
 * May be called from a signal handler on the thread that runs L, at any
 * instant; `visit` must then stand that too, and not make or free coroutines. */
void mp_threads_each(void (*visit)(lua_State *coroutine));

#endif
