/* Metatables and classes that are the same one in all processes of a tree.
 *
 * Such a table has an id, a random number of 63 bits, so that processes that
 * fork at any time never give the same one twice. Each state keeps, weakly,
 * which of its tables has which id. A table gets one when it is first sent as
 * a metatable or with metamethods among its fields, when it arrives with
 * one, or by mp_metatables_adopt.
 *
 * All functions raise memory errors only. */
#ifndef MP_CODEC_CLASSES_H
#define MP_CODEC_CLASSES_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MP_CLASS_FILTER_BITS = 1 << 12 };

/* What a state remembers; lives as long as it. */
typedef struct mp_classes {
    uint64_t filter[MP_CLASS_FILTER_BITS / 64]; /* a bit per address that ever had an id */
} mp_classes;

static inline unsigned mp_class_bit(const void *table)
{
    return (unsigned)((uint64_t)(uintptr_t)table * UINT64_C(0x9E3779B97F4A7C15) >> 52);
}

/* False if the table at this address surely has no id. */
static inline bool mp_class_possible(const mp_classes *classes, const void *table)
{
    unsigned bit = mp_class_bit(table);
    return (classes->filter[bit / 64] >> (bit % 64) & 1) != 0;
}

/* The one of this state, made where there is none yet. */
mp_classes *mp_classes_of(lua_State *L);

/* The id of the table at idx, 0 if it has none. */
lua_Integer mp_class_find(lua_State *L, const mp_classes *classes, int idx);

/* The same, but gives it one. */
lua_Integer mp_class_give(lua_State *L, mp_classes *classes, int idx);

/* Pushes the table that has this id and returns true, or pushes nothing. */
bool mp_class_push(lua_State *L, lua_Integer id);

/* Notes that the table at idx has this id. */
void mp_class_set(lua_State *L, mp_classes *classes, int idx, lua_Integer id);

/* Whether the name is that of a metamethod, as it is called by Lua 5.4, its
 * libraries or this codec: a table with such a field is a class. */
bool mp_class_field(const char *name, size_t len);

/* Gives ids to the classes that the function at function_idx refers to,
 * through upvalues, globals that it names, and tables, so that processes
 * forked afterwards know them by the same ids. Looks at some ten thousand
 * tables at most and never into sequences of numbers or strings. */
void mp_metatables_adopt(lua_State *L, int function_idx);

#endif
