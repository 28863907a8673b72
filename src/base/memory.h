/* The memory of this process that the library takes: malloc's, unless the host gives a function for
 * it. Shared memory is the system's (shm/region.h). */
#ifndef MP_BASE_MEMORY_H
#define MP_BASE_MEMORY_H

#include <stddef.h>

/* As realloc; where `size` is 0, as free. Any thread. */
typedef void *(*mp_allocate)(void *user, void *block, size_t size);

/* From now on `allocate` does it, NULL: malloc and its kin. What is there was made by the same. */
void mp_memory_by(mp_allocate allocate, void *user);

/* As malloc, calloc, realloc and free; nothing of no size is asked for but by mp_malloc(0). */
void *mp_malloc(size_t size);
void *mp_calloc(size_t count, size_t size);
void *mp_realloc(void *block, size_t size);
void mp_free(void *block);

#endif
