/* The host's allocator, or the system's: see memory.h. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct {
    mp_allocate allocate;
    void *user;
} host;

void mp_memory_by(mp_allocate allocate, void *user)
{
    host.allocate = allocate;
    host.user = user;
}

void *mp_malloc(size_t size)
{
    return host.allocate == NULL ? malloc(size)
                                 : host.allocate(host.user, NULL, size == 0 ? 1 : size);
}

void *mp_calloc(size_t count, size_t size)
{
    if (host.allocate == NULL)
        return calloc(count, size);
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    void *block = mp_malloc(count * size);
    if (block != NULL)
        memset(block, 0, count * size);
    return block;
}

void *mp_realloc(void *block, size_t size)
{
    return host.allocate == NULL ? realloc(block, size) : host.allocate(host.user, block, size);
}

void mp_free(void *block)
{
    if (host.allocate == NULL)
        free(block);
    else if (block != NULL)
        host.allocate(host.user, block, 0);
}
