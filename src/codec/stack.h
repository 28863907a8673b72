/* Room on a Lua stack. */
#ifndef MOONPOOL_CODEC_STACK_H
#define MOONPOOL_CODEC_STACK_H

#include <lua.h>

/* Makes room for n more values; raises "not enough memory" where that is why there is none, and as
 * luaL_checkstack with `what` (may be NULL) where the stack is as large as one can be. */
void mp_check_stack(lua_State *L, int n, const char *what);

#endif
