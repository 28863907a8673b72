/* Values as the bytes of messages. */
#ifndef MP_LUA_MESSAGE_H
#define MP_LUA_MESSAGE_H

#include "base/buffer.h"

#include <lua.h>

enum { MP_MESSAGE_KEPT = 4 << 20 }; /* a buffer above this is given back behind its message */

/* Pushes a userdata that is an empty buffer. */
mp_buffer *mp_message_buffer(lua_State *L);

/* Makes the buffer hold `count` values from absolute index `first` on. `carrier`: the index of the
 * handle of what carries the message, 0: none has it. Raises "encode" or "system". */
void mp_message_encode(lua_State *L, int first, int count, mp_buffer *out, int carrier);

/* lua_pcall of the function and its `args` on top, which encodes what the value at `carrier` (among
 * these; 0: none has it) carries. Returns its status, without results. */
int mp_message_call(lua_State *L, int args, int carrier);

/* Pushes a message's values and returns how many they are; -1, with the error pushed, where they
 * cannot be had. What raises here is an interrupt, or memory: the message may be decoded again. */
int mp_message_decode(lua_State *L, const unsigned char *bytes, size_t size);

/* The same, but without any object in them: in its place comes a table. As many as can be had so.
 */
int mp_message_skim(lua_State *L, const unsigned char *bytes, size_t size);

#endif
