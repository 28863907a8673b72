/* Fresh Lua states: of those who work for a script and are no forks of its process. */
#ifndef MP_LUA_FRESH_H
#define MP_LUA_FRESH_H

#include "base/letter.h"
#include "lua/state.h"
#include "process/launch.h"

/* What this library can be to others, in any program that it is loaded into: entry.c. */
extern const mp_roles mp_lua_roles;
int mp_fresh_play_pool(mp_letter *letter);
int mp_fresh_play_process(mp_letter *letter);
#define MP_POOL_ROLE "Lua pool"
#define MP_PROCESS_ROLE "Lua process"

/* Registry fields: how processes come to be unless it is said (a number of mp_start_method); in a
 * fresh state of a process, the pid of the process that made it, and its pidfd. */
#define MP_DEFAULT_METHOD "moonpool.start_method"
#define MP_PARENT "moonpool.parent"
#define MP_PARENT_FD "moonpool.parent.fd"
#define MP_MAKER_NAME "moonpool.maker" /* of the process that made this one's pool */

/* ---- whoever makes one ---- */

/* This state needs the forkserver from now on, where that is the way, until it is closed. */
void mp_fresh_hold(lua_State *L, enum mp_start_method method);

/* The start method of this number; of 0, the one that was set for this state, if any. */
enum mp_start_method mp_fresh_asked(lua_State *L, lua_Integer number);

/* By which way a process would be made now where `asked` is. Raises where it cannot be; `to_do`:
 * what was to be done, in a few words. */
enum mp_start_method mp_fresh_choose(lua_State *L, enum mp_start_method asked, const char *to_do);

/* The same for the pool's first workers; encodes what they need where that is no fork. */
enum mp_start_method mp_fresh_prepare(lua_State *L, mp_lua_pool *p);

/* mp_handler's brief, of a pool. */
void mp_fresh_brief(void *pool, mp_letter *letter);

/* Puts the settings of this state into the letter: what mp_fresh_open takes. May raise. */
void mp_fresh_settings(lua_State *L, mp_letter *letter);

/* ---- the new process ---- */

/* A state with the libraries, and as the settings in the letter say; NULL with `error` set. */
lua_State *mp_fresh_open(mp_letter *letter, mp_error *error);

/* Calls the host's worker_init. May raise. */
void mp_fresh_init(lua_State *L);

/* A pool's worker: calls that, and takes the initializer and its arguments. May raise. */
void mp_fresh_begin(lua_State *L, const mp_lua_pool *p);

#endif
