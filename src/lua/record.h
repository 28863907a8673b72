/* What a pool's items did, kept for its timeline: the binding's side of pool/record.h. */
#ifndef MP_LUA_RECORD_H
#define MP_LUA_RECORD_H

#include "lua/state.h"

/* What kind of call it was: a number of enum mp_shape, or one of these. */
enum { MP_RECORD_REDUCE = MP_SHAPE_IMAP_UNORDERED + 1, MP_RECORD_EVERYWHERE };

/* The call was opened, with the function at index 2 and the pool at 1, and has no items yet. */
void mp_record_opened(lua_State *L, const mp_lua_call *c, uint64_t definition);

/* Frees what the pool has recorded. */
void mp_record_forget(mp_lua_pool *p);

#endif
