/* A bound on what a Lua state allocates: see limit.h. */
#include "lua/limit.h"

#include <stdint.h>

#include "base/memory.h"

typedef struct bounded {
    lua_Alloc allocate;
    void *context;
    int64_t left; /* bytes that it may still take */
} bounded;

/* Without a block the old size is a kind of object. */
static void *allocate(void *context, void *block, size_t old, size_t size)
{
    bounded *b = context;
    int64_t more = (int64_t)size - (block != NULL ? (int64_t)old : 0);
    if (more > 0 && more > b->left)
        return NULL;
    void *given = b->allocate(b->context, block, old, size);
    if (given != NULL || size == 0)
        b->left -= more;
    return given;
}

void mp_limit_state(lua_State *L, lua_Integer more)
{
    bounded *b = mp_realloc(NULL, sizeof *b);
    if (b == NULL)
        return;
    b->allocate = lua_getallocf(L, &b->context);
    b->left = more;
    lua_setallocf(L, allocate, b);
}
