/* A bound on what a Lua state allocates. */
#ifndef MOONPOOL_LUA_LIMIT_H
#define MOONPOOL_LUA_LIMIT_H

#include <lua.h>

/* From now on the state is refused what goes beyond `more` bytes above what it has now: "not enough
 * memory", behind a collection. A fork inherits a heap that may have much room, which the system's
 * limits do not count. For the life of the state, in a process of its own; where even this does not
 * find memory, nothing is bounded. */
void mp_limit_state(lua_State *L, lua_Integer more);

#endif
