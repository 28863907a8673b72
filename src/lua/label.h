/* What a function is called by those who look on from other processes. */
#ifndef MP_LUA_LABEL_H
#define MP_LUA_LABEL_H

#include "lua/state.h"

/* Gives the definition of the function at `index` its name: "name (file:line)", the name alone
 * where it is defined in C, or "file:line" alone. The pool stands at 1. */
void mp_label_definition(lua_State *L, mp_lua_pool *p, mp_definition *d, int index);

#endif
