/* Memory and stack slots of the codec: see scratch.h. */
#include "codec/scratch.h"
#include "codec/stack.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

enum { LEVELS_AT_ONCE = 8, SLOTS_BESIDE = 24, SMALLEST_BUFFER = 256 };

void *mp_scratch_grow(lua_State *L, int slot, const void *old, size_t used, size_t size)
{
    void *block = lua_newuserdatauv(L, size, 0);
    if (used > 0)
        memcpy(block, old, used);
    lua_replace(L, slot);
    return block;
}

static int grow_scratch(mp_buffer *b, size_t more)
{
    const mp_scratch_lender *lender = b->lender;
    if (more > SIZE_MAX / 4 - b->cap)
        return -ENOMEM;
    size_t cap = 2 * b->cap + more + SMALLEST_BUFFER;
    b->data = mp_scratch_grow(lender->L, lender->slot, b->data, b->len, cap);
    b->cap = cap;
    return 0;
}

void mp_scratch_buffer(mp_buffer *b, mp_scratch_lender *lender)
{
    *b = (mp_buffer){.grow = grow_scratch, .lender = lender};
}

void mp_levels_begin(mp_levels *levels, lua_State *L, int first, int spill)
{
    *levels = (mp_levels){.L = L, .first = first, .spill = spill};
    mp_check_stack(L, 2 * LEVELS_AT_ONCE + SLOTS_BESIDE, "value too deep");
}

/* Where level `depth` lies in the table of the deeper ones. */
static lua_Integer spill_index(size_t depth)
{
    return (lua_Integer)(2 * (depth - MP_LEVELS_ON_STACK) + 1);
}

static void spill(mp_levels *levels)
{
    lua_State *L = levels->L;
    int slot = levels->slot;
    lua_Integer index = spill_index(levels->depth - 1);
    if (lua_isnil(L, levels->spill)) {
        lua_newtable(L);
        lua_replace(L, levels->spill);
    }
    lua_pushvalue(L, slot);
    lua_rawseti(L, levels->spill, index);
    lua_pushvalue(L, slot + 1);
    lua_rawseti(L, levels->spill, index + 1);
    lua_copy(L, slot + 2, slot);
    lua_settop(L, slot);
}

static int slot_of(const mp_levels *levels, size_t depth)
{
    return levels->first + 2 * (int)(depth < MP_LEVELS_ON_STACK ? depth : MP_LEVELS_ON_STACK);
}

void mp_levels_enter(mp_levels *levels)
{
    if (levels->depth > MP_LEVELS_ON_STACK)
        spill(levels);
    levels->slot = slot_of(levels, levels->depth);
    levels->depth++;
    if (levels->depth % LEVELS_AT_ONCE == 0)
        mp_check_stack(levels->L, 2 * LEVELS_AT_ONCE + SLOTS_BESIDE, "value too deep");
    lua_pushnil(levels->L);
}

void mp_levels_leave(mp_levels *levels)
{
    lua_State *L = levels->L;
    lua_settop(L, levels->slot);
    levels->depth--;
    if (levels->depth == 0)
        return;
    if (levels->depth > MP_LEVELS_ON_STACK) {
        lua_Integer index = spill_index(levels->depth - 1);
        lua_rawgeti(L, levels->spill, index);
        lua_rawgeti(L, levels->spill, index + 1);
        lua_rotate(L, levels->slot, -1);
    }
    levels->slot = slot_of(levels, levels->depth - 1);
}

void mp_levels_push(const mp_levels *levels, size_t depth)
{
    lua_State *L = levels->L;
    if (depth < MP_LEVELS_ON_STACK || depth == levels->depth - 1) {
        int slot = slot_of(levels, depth);
        lua_pushvalue(L, slot);
        lua_pushvalue(L, slot + 1);
    } else {
        lua_rawgeti(L, levels->spill, spill_index(depth));
        lua_rawgeti(L, levels->spill, spill_index(depth) + 1);
    }
}
