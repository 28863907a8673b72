/* Lua functions, as the encoder and others look at them. */
#ifndef MP_CODEC_FUNCTIONS_H
#define MP_CODEC_FUNCTIONS_H

#include "base/buffer.h"

#include <lua.h>

/* How many upvalues the Lua function at idx has. */
int mp_function_upvalues(lua_State *L, int idx);

/* Appends the bytecode of the Lua function on the top of the stack, with its
 * lines and names. Returns 0, a negative errno of the buffer, or 1 if there is
 * none. */
int mp_function_dump(lua_State *L, mp_buffer *out);

/* Appends the names of the globals that the function at idx uses, whose dump
 * these bytes are (for mp_proto_next_name). Only upvalues that are this
 * state's globals table count. Returns 0 or a negative errno. */
int mp_function_globals(lua_State *L, int idx, const unsigned char *dump, size_t size,
                        mp_buffer *names);

#endif
