/* A call's journal: what of its items is known already, and what comes of the others. */
#ifndef MP_LUA_JOURNAL_H
#define MP_LUA_JOURNAL_H

#include "lua/state.h"

#define MP_JOURNAL_META "moonpool.core.Journal"

typedef struct mp_lua_journal mp_lua_journal;

/* The journal at `index`, for a call that is to have it; NULL where that is nil. */
mp_lua_journal *mp_lua_journal_at(lua_State *L, int index);

/* The next item of the call at `call`, the n values from `first` up, which `bytes` encode: true if
 * its result was in the journal, and is stored now. Else it is to be run, from the state that it
 * has saved there, and noted when it is done. Raises memory errors, and what objects among the
 * values raise. */
bool mp_journal_recall(lua_State *L, mp_lua_call *c, int call, int first, int n,
                       const unsigned char *bytes, size_t size);

/* Enters the n values on top as the result of the event's item: true; else pushes the error that
 * keeps them from being written. Raises memory errors. */
bool mp_journal_note(lua_State *L, const mp_lua_call *c, int call, const mp_event *e, int n);

/* Enters the error on top as what its item has come to. */
void mp_journal_fail(lua_State *L, const mp_lua_call *c, int call, const mp_event *e);

/* Enters the state that the event's item has saved: at once, or a little later where it has just
 * saved another. */
void mp_journal_state(lua_State *L, const mp_lua_call *c, int call, const mp_event *e);

#endif
