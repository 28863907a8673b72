/* What the two halves of names.h share. */
#ifndef MP_CODEC_NAME_FUNCTIONS_H
#define MP_CODEC_NAME_FUNCTIONS_H

#include <lua.h>

/* Pushes the table of the standard library's C functions by name; makes it,
 * empty, if there is none yet. */
void mp_push_named_functions(lua_State *L);

#endif
