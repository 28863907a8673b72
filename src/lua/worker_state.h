/* Making an inherited Lua state a worker's. */
#ifndef MP_LUA_WORKER_STATE_H
#define MP_LUA_WORKER_STATE_H

#include "pool/worker.h"

#include <lua.h>
#include <stdio.h>

/* Host, before it forks workers, at any time and by any thread: finds out what is the same for
 * all of them. */
void mp_worker_prepare(void);

/* Worker, once, protected: whole lines on stdout and stderr, os.exit that ends this process
 * only and closes nothing inherited, the inherited globals noted, a collector that
 * holds back. Raises Lua errors. */
void mp_worker_furnish(lua_State *L, const mp_birth *birth);

/* The child of a process of the script's own, once, protected: no hooks, no worker though its
 * parent be one, whole lines on stdout and stderr, os.exit that closes nothing inherited, a
 * collector that holds back. Raises Lua errors. */
void mp_child_furnish(lua_State *L);

/* Where io.NAME is a stream on the FILE `old`, it is one on `now` from now on. */
void mp_replace_stream(lua_State *L, const char *name, FILE *old, FILE *now);

/* Registry fields of a worker's state: the number of its seat, from 1, and the pid
 * of the process that made the pool. */
#define MP_WORKER_SEAT "moonpool.worker"
#define MP_WORKER_HOST "moonpool.host"
#define MP_WORKER_CONTEXT "moonpool.worker.context" /* its mp_worker_context */

/* The mp_lua_pool whose worker this is. */
#define MP_WORKER_POOL "moonpool.worker.pool"

/* Whether C code of others may run in this state: libraries besides Moonpool's own are
 * loaded, or the program is no stock interpreter. `libraries`: the index of the table that
 * mp_worker_push_libraries has pushed; `own`: what that returned. */
static inline bool mp_worker_is_foreign(lua_State *L, int libraries, int own)
{
    return (int)lua_rawlen(L, libraries) > own;
}
int mp_worker_push_libraries(lua_State *L);

/* Undoes what C code of an item may leave behind: blocked signals, interval timers. */
void mp_worker_reset(void);

#endif
