/* What a process may take of memory. */
#ifndef MP_PROCESS_MEMORY_H
#define MP_PROCESS_MEMORY_H

#include <stdint.h>

/* From now on this process gets at most so many bytes of private memory more than it has
 * (what is shared does not count): allocations beyond fail. 0 or a negative errno. */
int mp_memory_limit(uint64_t more);

#endif
