/* Values that go by name: loaded modules and what hangs on them, the C
 * functions, io.stdin and its like, metatables of modules and the registry.
 *
 * A name is a byte string: a root, then steps, each behind a NUL.
 *     G                      the globals table
 *     M<module>              package.loaded[module]
 *     R<type>                the registry's metatable of that type
 *     \0.<key>               the table's field
 *     \0^<upvalue>           the Lua function's upvalue
 *     \0%                    the table's metatable
 * So "Mmath\0.sin", "G\0.print", "Mio\0.stdout", "RFILE*". Keys that hold a
 * NUL name nothing. The standard library names first, then Moonpool's modules,
 * then others, C functions on globals last; of several ways the shortest, of
 * these the first in byte order, whatever the order of pairs.
 *
 * What scripts hang on the globals table and on the standard modules goes by
 * value: of the former only C functions have names, of the latter those,
 * userdata, and the tables of package.
 *
 * All that is kept lies in the registry: an index from value (weak) to name,
 * made when it is first needed, and the C functions by name, so that a name
 * leads to the C function that bore it first, though a script has put one of
 * its own in that place since. Only memory errors are raised, but where
 * mp_name_resolve says more. */
#ifndef MP_CODEC_NAMES_H
#define MP_CODEC_NAMES_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes the index if there is none, makes it anew if package.loaded holds
 * other modules than then; else costs some 30 ns a loaded module. To be called
 * when the library is loaded (before scripts replace standard functions) and
 * before values of a new call are encoded: mp_name_of alone does not notice
 * new modules' tables. */
void mp_names_refresh(lua_State *L);

/* If the value at idx has a name, pushes it, points *name at its *len bytes
 * (valid while the string is on the stack) and returns 1; else returns 0 and
 * pushes nothing. A function or full userdata that has none is looked for
 * once more after mp_names_refresh, a C function by mp_name_search. */
int mp_name_of(lua_State *L, int idx, const char **name, size_t *len);

/* As mp_name_of, for the metatable at idx: also finds tables that a module
 * keeps to itself (upvalues of its functions, metatables of its tables). One that has no name is
 * looked for once more after mp_names_refresh, unless it was the last one that had none. */
int mp_name_of_metatable(lua_State *L, int idx, const char **name, size_t *len);

/* As mp_name_of, but looks through all modules again, and for a C function
 * through the tables that hang on globals. Slow (100 us and more): the last
 * attempt before an error. */
int mp_name_search(lua_State *L, int idx, const char **name, size_t *len);

/* In the registry: a function that loads the library's own module of a name, which raises where
 * there is none; whoever opens the library sets it. */
#define MP_NAMES_REQUIRE "moonpool.require"

/* Pushes the value that `name` leads to here and returns 0; a module that is
 * not loaded is required. On failure returns -1 and pushes a message that
 * names the module and this process's package.path. Runs the module's code,
 * whose errors are part of that message. */
int mp_name_resolve(lua_State *L, const char *name, size_t len);

/* Pushes a readable form of `name`: "math.sin", "global print", "metatable
 * FILE*". For messages. */
void mp_name_show(lua_State *L, const char *name, size_t len);

/* A quick "certainly no name" for tables met in data. */
enum { MP_NAME_FILTER_BITS = 1 << 16 };
typedef struct mp_name_filter {
    uint64_t words[MP_NAME_FILTER_BITS / 64];
} mp_name_filter;

/* The filter of this state's index, which is made if there is none. The
 * pointer holds as long as the state lives. */
const mp_name_filter *mp_names_filter(lua_State *L);

static inline uint32_t mp_name_hash(const void *object)
{
    return (uint32_t)(((uint64_t)(uintptr_t)object * 0x9E3779B97F4A7C15u) >> 48);
}

/* False if mp_name_of surely returns 0 for the table with this lua_topointer. */
static inline bool mp_name_possible(const mp_name_filter *filter, const void *object)
{
    uint32_t bit = mp_name_hash(object);
    return (filter->words[bit / 64] >> (bit % 64) & 1) != 0;
}

#endif
