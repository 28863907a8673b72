/* Addresses met in a message: see seen.h. */
#include "codec/seen.h"
#include "codec/scratch.h"

#include <string.h>

enum { FIRST_CAPACITY = 64 };

static mp_seen_entry *find(const mp_seen *seen, const void *object)
{
    uint64_t hash = (uint64_t)(uintptr_t)object * UINT64_C(0x9E3779B97F4A7C15);
    size_t i = (size_t)(hash >> 32) & (seen->capacity - 1);
    while (seen->entries[i].object != NULL && seen->entries[i].object != object)
        i = (i + 1) & (seen->capacity - 1);
    return &seen->entries[i];
}

static void rehash(mp_seen *seen, size_t capacity)
{
    mp_seen_entry *old = seen->capacity == 0 ? seen->few : seen->entries;
    size_t old_size = seen->capacity == 0 ? MP_SEEN_FEW : seen->capacity;
    size_t bytes = capacity * sizeof(mp_seen_entry);
    lua_pushvalue(seen->L, seen->slot); /* keeps the old block until it is copied */
    mp_seen_entry *entries = mp_scratch_grow(seen->L, seen->slot, NULL, 0, bytes);
    memset(entries, 0, bytes);
    seen->entries = entries;
    seen->capacity = capacity;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].object != NULL)
            *find(seen, old[i].object) = old[i];
    lua_pop(seen->L, 1);
}

mp_seen_entry *mp_seen_get(mp_seen *seen, const void *object, bool *fresh)
{
    mp_seen_entry *entry;
    *fresh = false;
    if (seen->capacity == 0) {
        for (size_t i = 0; i < seen->count; i++)
            if (seen->few[i].object == object)
                return &seen->few[i];
        if (seen->count < MP_SEEN_FEW) {
            entry = &seen->few[seen->count];
            goto add;
        }
        rehash(seen, FIRST_CAPACITY);
    } else if (2 * seen->count >= seen->capacity) {
        rehash(seen, 2 * seen->capacity);
    }
    entry = find(seen, object);
    if (entry->object == object)
        return entry;
add:
    *fresh = true;
    seen->count++;
    entry->object = object;
    return entry;
}

bool mp_seen_has(const mp_seen *seen, const void *object)
{
    if (seen->capacity > 0)
        return find(seen, object)->object == object;
    for (size_t i = 0; i < seen->count; i++)
        if (seen->few[i].object == object)
            return true;
    return false;
}
