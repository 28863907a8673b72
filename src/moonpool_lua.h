/* Moonpool for Lua 5.4. */
#ifndef MOONPOOL_LUA_H
#define MOONPOOL_LUA_H

#include "moonpool.h"

#include <lua.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Pushes the module's table; what `require "moonpool"` calls, and what
 * luaL_requiref and package.preload take. Needs the base libraries only. Raises
 * a Lua error where memory is short. */
MOONPOOL_API int luaopen_moonpool(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
