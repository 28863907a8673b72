/* Handles of the things that processes share: userdata that name a cell of the session. */
#ifndef MP_LUA_SHARED_H
#define MP_LUA_SHARED_H

#include "pool/patience.h"
#include "shm/session.h"

#include <lua.h>

/* What a cell holds; the names that core.shared takes are in the same order in shared_object.c. */
enum mp_shared_kind {
    MP_SHARED_LOCK,
    MP_SHARED_RLOCK,
    MP_SHARED_SEMAPHORE,
    MP_SHARED_BOUNDED_SEMAPHORE,
    MP_SHARED_EVENT,
    MP_SHARED_CONDITION,
    MP_SHARED_BARRIER,
    MP_SHARED_VALUE,
    MP_SHARED_ARRAY,
    MP_SHARED_QUEUE,
    MP_SHARED_SIMPLE_QUEUE,
    MP_SHARED_JOINABLE_QUEUE,
    MP_SHARED_SHARED,
    MP_SHARED_MANAGER,
    MP_SHARED_KINDS,
};

typedef struct mp_shared {
    const void *self; /* it knows itself by size and address */
    void *content;
    mp_cell_name name;
    enum mp_shared_kind kind;
    bool uses;            /* the cell, until it lets go of it */
    mp_patience patience; /* of who waits for it */
} mp_shared;

/* The handle at `index`, of one of the kinds whose bits are set in `wanted` (1 << kind), the
 * `method`'s object; raises "argument" for anything else. */
mp_shared *mp_check_shared(lua_State *L, int index, unsigned wanted, const char *method);

/* Nanoseconds of the n-th sleep in a row (argument 2, from 0), not beyond the deadline (argument 3)
 * and short where a hook is to run. */
int64_t mp_shared_slice(lua_State *L);

/* The handle stays a name, and uses its cell no longer. */
void mp_shared_let_go(mp_shared *s);

/* A cell's name as a table's key, and back. */
lua_Integer mp_shared_key(mp_cell_name name);
mp_cell_name mp_shared_named(lua_Integer key);

/* Forgets what was decoded of cells that are free by now (mp.share). Cheap where there is none. */
void mp_share_forget(lua_State *L);

/* This process's name in the session; raises where it cannot have one. */
uint32_t mp_shared_self(lua_State *L);

#endif
