/* What a function does, apart from where it stands and how its variables are called: read from
 * its bytecode, without Lua.
 *
 * The bytes are what lua_dump writes in Lua 5.4 on this machine. They are not trusted: nothing is
 * read outside them, and what does not add up is -EINVAL. */
#ifndef MP_CODEC_PROTO_MASK_H
#define MP_CODEC_PROTO_MASK_H

#include "base/buffer.h"

/* Appends to `code` what is the same for two functions that differ in constants only, and to
 * `constants` these, numbers within instructions included. Left out are lines, the source's name,
 * those of local variables and upvalues, and from where the outermost function takes its
 * upvalues, which depends on what stands around it. Returns 0, -EINVAL for damaged bytes, or what
 * a buffer's grow said; the buffers' contents are of no use then. */
int mp_proto_mask(const unsigned char *dump, size_t size, mp_buffer *code, mp_buffer *constants);

#endif
