/* Room on a Lua stack: see stack.h. */
#include "codec/stack.h"

#include <lauxlib.h>

enum { VALUE_SIZE = 16 };

/* lua_checkstack does not say why it refuses. Where it is for memory, an allocation of that size
 * raises what Lua raises then, or there is some again. */
void mp_check_stack(lua_State *L, int n, const char *what)
{
    if (lua_checkstack(L, n))
        return;
    lua_newuserdatauv(L, (size_t)n * VALUE_SIZE, 0);
    lua_pop(L, 1);
    luaL_checkstack(L, n, what);
}
