/* Ends the Lua code that a worker runs, whatever coroutine it is in, or has it say where it is. */
#ifndef MP_LUA_WORKER_STOP_H
#define MP_LUA_WORKER_STOP_H

#include "pool/worker.h"

#include <lua.h>
#include <stdbool.h>

/* In a new worker: `L` runs its items. Raises Lua's memory errors. */
void mp_worker_stop_open(lua_State *L, const mp_birth *birth);

/* Raises an error ("timeout" if `late`, else "cancelled") in what runs, once; with `insist`
 * again and again, at each instruction, until mp_worker_stop_clear. As mp_handler.interrupt. */
void mp_worker_interrupt(void *ctx, bool late, bool insist);

/* Has what runs tell its stack before its next instruction, as "NUMBER PID\nTRACEBACK", and go on;
 * hooks of a task's own are left alone: it tells nothing then. As mp_handler.explain. */
void mp_worker_explain(void *ctx, uint32_t number);

/* Behind an item, and before the next: takes off whatever these have set. */
void mp_worker_stop_clear(void);

#endif
