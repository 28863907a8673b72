/* Globals that arrive in a worker with the functions that name them.
 *
 * Kept in the registry: for each name the value that was inherited at the
 * worker's birth or that was last set from here. Where it still stands, a
 * newer one takes its place; where the worker has put another, that one
 * stays. All access is raw. Only memory errors are raised. */
#ifndef MP_CODEC_GLOBALS_H
#define MP_CODEC_GLOBALS_H

#include <lua.h>

/* Remembers the globals as they stand (a shallow copy) as the inherited ones.
 * Called once when a worker begins; a second call remembers anew. */
void mp_globals_begin(lua_State *L);

/* Pops a value and below it its name (a string), and sets that global by the
 * rule above. Where mp_globals_begin was never called (a host that decodes),
 * only a global that does not exist is set. */
void mp_globals_set(lua_State *L);

#endif
