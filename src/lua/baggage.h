/* What a function brings along that its sender should hear of. Tells by Lua's warnings. */
#ifndef MP_LUA_BAGGAGE_H
#define MP_LUA_BAGGAGE_H

#include "lua/state.h"

/* Notes how all loaded modules look now: the workers of `pool` get them so. Raises memory
 * errors. */
void mp_modules_note(lua_State *L, const void *pool);

/* The same of one module, which its workers have loaded anew. */
void mp_modules_note_one(lua_State *L, const void *pool, const char *name);

/* Behind an encoding with MP_CODEC_NOTE_MODULES: warns of each module that was named in it
 * and has changed since it was noted, once for each change. Raises memory errors. */
void mp_modules_check(lua_State *L, const void *pool);

enum { MP_BAGGAGE_MAX = 64 << 20 }; /* bytes that go without a word */

/* Warns that the function at absolute index `function` takes `size` bytes, naming the
 * variable that most of them belong to. Raises memory errors and what a __reduce raises. */
void mp_baggage_warn(lua_State *L, int function, size_t size);

#endif
