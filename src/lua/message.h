/* Values as the bytes of messages, for what sends them one at a time. */
#ifndef MP_LUA_MESSAGE_H
#define MP_LUA_MESSAGE_H

#include "base/buffer.h"

#include <lua.h>

enum { MP_MESSAGE_KEPT = 4 << 20 }; /* a buffer above this is given back behind its message */

/* Pushes a userdata that is an empty buffer. */
mp_buffer *mp_message_buffer(lua_State *L);

/* Makes the buffer hold the value at absolute `index`. Raises "encode" or "system". */
void mp_message_encode(lua_State *L, int index, mp_buffer *out);

/* Pushes the value of a message without any object in it, as far as it can be had so; else nil. */
void mp_message_skim(lua_State *L, const unsigned char *bytes, size_t size);

/* Pushes the value of a message: 1. Where it cannot be had, 0 with the error pushed in its place.
 * What raises here is an interrupt, or memory: the message may be decoded again. */
int mp_message_decode(lua_State *L, const unsigned char *bytes, size_t size, const char *call);

#endif
