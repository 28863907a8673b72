/* A set of addresses, each with a number: what a message holds already.
 *
 * Up to a few of them lie in the structure itself, more in scratch memory. */
#ifndef MP_CODEC_SEEN_H
#define MP_CODEC_SEEN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MP_SEEN_FEW = 8 };

typedef struct mp_seen_entry {
    const void *object; /* NULL: free */
    uint64_t number;
} mp_seen_entry;

typedef struct mp_seen {
    lua_State *L;
    int slot; /* stack index that may hold the scratch memory */
    size_t count;
    size_t capacity; /* of entries, a power of two; 0 while few are used */
    mp_seen_entry *entries;
    mp_seen_entry few[MP_SEEN_FEW];
} mp_seen;

static inline void mp_seen_begin(mp_seen *seen, lua_State *L, int slot)
{
    seen->L = L;
    seen->slot = slot;
    seen->count = 0;
    seen->capacity = 0;
}

/* The entry of `object` (not NULL), which is added where it is missing:
 * *fresh tells. It holds until the next call. */
mp_seen_entry *mp_seen_get(mp_seen *seen, const void *object, bool *fresh);

/* Whether `object` (not NULL) is there. */
bool mp_seen_has(const mp_seen *seen, const void *object);

#endif
