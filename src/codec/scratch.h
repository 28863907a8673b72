/* Working memory of the codec that Lua owns, so that a Lua error anywhere
 * leaves nothing behind.
 *
 * scratch: a block of bytes in a userdata that a stack slot holds.
 * levels: two Lua values for each open table. The first levels have stack
 *   slots of their own, the deeper ones share a pair of slots and lie in a
 *   table meanwhile, since Lua's stack ends at a million slots. */
#ifndef MP_CODEC_SCRATCH_H
#define MP_CODEC_SCRATCH_H

#include "base/buffer.h"

#include <lua.h>
#include <stddef.h>

/* Makes a block of `size` bytes that begins with the `used` bytes at `old`,
 * and puts its userdata into the stack slot, where it is safe. The block that
 * the slot held before (often the one at `old`) is let go. */
void *mp_scratch_grow(lua_State *L, int slot, const void *old, size_t used, size_t size);

/* Where a buffer's memory comes from; must live as long as the buffer. */
typedef struct mp_scratch_lender {
    lua_State *L;
    int slot;
} mp_scratch_lender;

/* An empty buffer whose memory is such a block. Growing raises memory errors. */
void mp_scratch_buffer(mp_buffer *b, mp_scratch_lender *lender);

enum { MP_LEVELS_ON_STACK = 400 };

typedef struct mp_levels {
    lua_State *L;
    int first;    /* stack index of the outermost level's pair */
    int spill;    /* stack index that holds the table of the deeper ones, or nil */
    int slot;     /* stack index of the innermost level's pair; valid if depth > 0 */
    size_t depth; /* levels that are open */
} mp_levels;

/* Levels whose pairs begin at stack index `first`, which is the next free
 * one. Makes room for the first of them. */
void mp_levels_begin(mp_levels *levels, lua_State *L, int first, int spill);

/* Opens a level: the value on the top of the stack (just above the pair of
 * the level before) becomes its first value, nil its second. */
void mp_levels_enter(mp_levels *levels);

/* Closes the innermost level: whatever is above its first value is popped,
 * this value is then on top, right above the pair of the level before. */
void mp_levels_leave(mp_levels *levels);

/* Pushes the two values of level `depth` (from 0, any that is open). */
void mp_levels_push(const mp_levels *levels, size_t depth);

#endif
