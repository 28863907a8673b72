/* The coroutines of a state, learnt from its allocator.
 *
 * Lua's interface tells nobody which coroutine runs, nor which there are. But
 * an allocator is told the kind of each new object (lua_Alloc in the manual),
 * whoever asks for it, Lua code or a C module. So the state's allocator is
 * wrapped: what it gives out for a coroutine is entered into a hash set, and
 * taken out before it is freed. Other allocations pay two comparisons.
 *
 * A signal handler may look at the set between any two instructions of the
 * code that changes it (never beside it: it runs on the same thread). So an
 * entry is complete before it is stored, a moved one stands in its new place
 * before it leaves the old, and a larger table is filled before it is
 * published; volatile stores and signal fences keep that order. A coroutine
 * is cleared before it is entered: a visitor that comes before Lua has
 * set it up finds no frames.
 *
 * Where within its block a coroutine's lua_State lies is Lua's own affair; it
 * is measured on a first one. */
#include "lua/threads.h"

#include "base/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct table {
    size_t mask; /* number of slots, a power of 2, less 1 */
    char *volatile slots[];
} table;

static struct {
    lua_Alloc allocate; /* the state's own allocator */
    void *context;
    size_t size;   /* of a coroutine's block; 0 before the first */
    size_t offset; /* of the lua_State in it */
    size_t count;
    table *volatile table;
} known;

static void keep_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

static size_t home(const table *t, const char *block)
{
    return (size_t)(((uintptr_t)block >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & t->mask;
}

/* The slot of the block, or the free one where it would go. */
static size_t find(const table *t, const char *block)
{
    size_t at = home(t, block);
    while (t->slots[at] != NULL && t->slots[at] != block)
        at = (at + 1) & t->mask;
    return at;
}

static table *larger(const table *old)
{
    size_t slots = old == NULL ? 16 : 2 * (old->mask + 1);
    table *t = mp_calloc(1, sizeof *t + slots * sizeof t->slots[0]);
    if (t == NULL)
        return NULL;
    t->mask = slots - 1;
    for (size_t i = 0; old != NULL && i <= old->mask; i++)
        if (old->slots[i] != NULL)
            t->slots[find(t, old->slots[i])] = old->slots[i];
    return t;
}

/* Sees to it that at least a quarter of the slots stays free. */
static bool make_room(void)
{
    table *old = known.table;
    if (old != NULL && 4 * (known.count + 1) <= 3 * (old->mask + 1))
        return true;
    table *t = larger(old);
    if (t == NULL)
        return false;
    keep_order();
    known.table = t;
    keep_order();
    mp_free(old);
    return true;
}

static void *enter(size_t size)
{
    if (!make_room())
        return NULL;
    char *block = known.allocate(known.context, NULL, LUA_TTHREAD, size);
    if (block == NULL)
        return NULL;
    memset(block, 0, size);
    known.size = size;
    known.count++;
    keep_order();
    known.table->slots[find(known.table, block)] = block;
    return block;
}

/* Empties the slot, and moves up what stands behind it only because the slot was taken. */
static void vacate(table *t, size_t hole)
{
    for (size_t at = (hole + 1) & t->mask; t->slots[at] != NULL; at = (at + 1) & t->mask) {
        size_t wanted = home(t, t->slots[at]);
        if (((at - wanted) & t->mask) < ((at - hole) & t->mask))
            continue;
        t->slots[hole] = t->slots[at];
        hole = at;
    }
    t->slots[hole] = NULL;
}

/* `block` may be anything of the size of a coroutine. */
static void leave(const char *block)
{
    size_t at = find(known.table, block);
    if (known.table->slots[at] == NULL)
        return;
    vacate(known.table, at);
    known.count--;
    keep_order();
}

static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    if (block == NULL && old_size == LUA_TTHREAD)
        return enter(size);
    if (size == 0 && old_size == known.size && block != NULL)
        leave(block);
    return known.allocate(context, block, old_size, size);
}

void mp_threads_watch(lua_State *L)
{
    if (known.allocate != NULL)
        return;
    known.allocate = lua_getallocf(L, &known.context);
    lua_setallocf(L, allocate, known.context);
    const char *first = (const char *)lua_newthread(L);
    size_t at = 0;
    while (known.table->slots[at] == NULL)
        at++;
    known.offset = (size_t)(first - known.table->slots[at]);
    lua_pop(L, 1);
}

void mp_threads_forget(void)
{
    mp_free(known.table);
    memset(&known, 0, sizeof known);
}

void mp_threads_each(void (*visit)(lua_State *coroutine))
{
    const table *t = known.table;
    for (size_t i = 0; t != NULL && i <= t->mask; i++) {
        char *block = t->slots[i];
        if (block != NULL)
            visit((lua_State *)(void *)(block + known.offset));
    }
}
