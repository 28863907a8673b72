/* Which globals a function names: read from its bytecode, without Lua.
 *
 * The bytes are what lua_dump (not stripped, or stripped: names of globals are
 * constants) writes in Lua 5.4.0 to 5.4.x on this machine. They are not
 * trusted: nothing is read outside them, and what does not add up is -EINVAL.
 * That is no verifier: bytecode that passes may still crash an interpreter.
 *
 * Found are accesses through an upvalue that holds the globals table, in the
 * function and in those nested in it, however the compiler wrote them; and
 * through a register that such a table was loaded into (`local _ENV = _ENV`,
 * `_G.name`), followed in the order of the code, not around its branches. */
#ifndef MP_CODEC_PROTO_SCAN_H
#define MP_CODEC_PROTO_SCAN_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether the header is that of a dump of this machine's Lua 5.4: signature,
 * version, format, corruption check, sizes, integer and float layout. Returns
 * 0 or -EINVAL. Looks at nothing behind the header. */
int mp_proto_check(const unsigned char *dump, size_t size);

/* Appends to `names` each global name that the dumped function reads or sets
 * through its upvalue number `env_upvalue` (from 1, as lua_getupvalue counts;
 * 0: none) and that `names` does not hold yet, in the order in which the code
 * names them, a function's own before those of the functions nested in it.
 * `names` holds nothing but what earlier calls wrote, so that a function with
 * several upvalues that are the globals table is scanned once for each.
 * Returns 0; -EINVAL for damaged bytes; -ENOMEM or what names->grow said. On
 * failure names->len is as before. A names->grow that does not return but
 * jumps loses the memory that the scan works in. */
int mp_proto_globals(const unsigned char *dump, size_t size, int env_upvalue, mp_buffer *names);

/* Takes the next name from `names`: *at begins as 0. *name lies in the buffer,
 * has *len bytes, any of them may be NUL, and no NUL follows it. False behind
 * the last one. */
bool mp_proto_next_name(const mp_buffer *names, size_t *at, const char **name, size_t *len);

#endif
