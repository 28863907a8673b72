/* What a worker was handed, as it lies in the task memory: whether it is whole.
 *
 * The memory is shared with all that tasks may do to it, so nothing is read that its check
 * does not hold, or that lies where there is no memory. */
#ifndef MP_POOL_HANDED_H
#define MP_POOL_HANDED_H

#include "pool/worker.h"
#include "shm/region.h"

static inline const mp_call_block *mp_handed_block(const mp_region *tasks, uint64_t at)
{
    return (const void *)(tasks->base + at);
}

/* Worker: whether the granule, its call's block and what that refers to may be used. */
bool mp_handed_whole(mp_region *tasks, const mp_granule *g);

/* Worker: enters the item at *at into the task and moves *at behind it; false where it
 * cannot lie there. */
bool mp_handed_item(mp_region *tasks, const unsigned char **at, mp_task *task);

#endif
