/* What an item that runs again has of the attempts before: their number, and the state that was
 * saved last.
 *
 * Private to the host. A state belongs to the item: its rows (twins, the attempt before and the one
 * behind it) share one, which goes with the last of them. */
#ifndef MP_POOL_SAVED_H
#define MP_POOL_SAVED_H

#include "base/buffer.h"

#include <stdbool.h>

typedef struct mp_saved {
    unsigned users;
    size_t size;
    unsigned char bytes[];
} mp_saved;

/* A copy of the bytes, with one user; NULL where memory is short. */
mp_saved *mp_saved_new(const void *bytes, size_t size);

/* One user more; of none, none. */
static inline mp_saved *mp_saved_keep(mp_saved *s)
{
    if (s != NULL)
        s->users++;
    return s;
}

/* One user less. *s is NULL then, as it may be before. */
void mp_saved_drop_one(mp_saved **s);
static inline void mp_saved_drop(mp_saved **s)
{
    if (*s != NULL)
        mp_saved_drop_one(s);
}

/* Appends the mp_item_past (wire.h) that goes before the item: `state` may be NULL. 0 or a negative
 * errno. */
int mp_saved_write(mp_buffer *b, unsigned attempt, bool made, const mp_saved *state);

#endif
