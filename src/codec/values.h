/* Lua values to CBOR (RFC 8949) and back, over the Lua C API.
 *
 * Both ways are iterative: depth is bounded by memory, never by the C stack.
 * Shared and cyclic references are kept within one call (all its values
 * together) by tags 28/29; homogeneous numeric sequences travel as typed
 * arrays (RFC 8746). Functions are written and read only with
 * MP_CODEC_FUNCTIONS, that is between processes of one tree.
 *
 * The numbers of references count within one call of mp_encode: what it wrote
 * is read by one call of mp_decode, from its first byte on.
 *
 * Any of these may raise a Lua error: memory, what a __reduce or the function
 * that it gave raised, or too many values for Lua's stack. The buffer is then
 * left with whatever was appended; the caller resets len. */
#ifndef MP_CODEC_VALUES_H
#define MP_CODEC_VALUES_H

#include "base/buffer.h"

#include <lua.h>

enum mp_codec_flags {
    MP_CODEC_FUNCTIONS = 1,    /* functions, handles and names may be met */
    MP_CODEC_TEXT = 2,         /* valid UTF-8 is written as text, else bytes;
                                  without it all strings are bytes (faster) */
    MP_CODEC_NOTE_MODULES = 4, /* the modules that values are named by are entered, as
                                  keys, into the registry's table MP_NAMED_MODULES */
    MP_CODEC_INERT = 8,        /* no object is built: in its place comes the table of the
                                  function that would do it and its arguments */
};

#define MP_NAMED_MODULES "moonpool.codec.modules"

/* Appends the `count` stack values from absolute index `first` as consecutive
 * CBOR data items. Returns 0. On failure returns -1, leaves out->len as it
 * was, and pushes three values: what is wrong ("cannot send a userdata
 * (FILE*)"), the path ("" at the root, ".log[3]" below it, or an absolute one
 * such as "upvalue config.log of score (sweep.lua:12)"), and the 1-based
 * number of the value among the count. On success the stack is as before. */
int mp_encode(lua_State *L, int first, int count, unsigned flags, mp_buffer *out);

/* Decodes up to `max` consecutive data items (all that are there if max < 0)
 * and pushes them. *used gets the bytes consumed (may be NULL). Returns the
 * number of values pushed, or -1 with the stack as before but for two pushed
 * strings: what is wrong, and the path. Bytes are not trusted: every length is
 * checked against what is left, and nothing is allocated beyond it. */
int mp_decode(lua_State *L, const unsigned char *bytes, size_t size, size_t *used, int max,
              unsigned flags);

#endif
