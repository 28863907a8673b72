/* Ends the Lua code that a worker runs, whatever coroutine it is in. */
#ifndef MP_LUA_WORKER_STOP_H
#define MP_LUA_WORKER_STOP_H

#include <lua.h>
#include <stdbool.h>

/* In a new worker: `L` runs its items. Raises Lua's memory errors. */
void mp_worker_stop_open(lua_State *L);

/* Raises an error ("timeout" if `late`, else "cancelled") in what runs, once; with `insist`
 * again and again, at each instruction, until mp_worker_stop_clear. As mp_handler.interrupt. */
void mp_worker_interrupt(void *ctx, bool late, bool insist);

/* Behind an item, and before the next: takes off whatever an interrupt has set. */
void mp_worker_stop_clear(void);

#endif
