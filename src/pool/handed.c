/* What a worker was handed; see handed.h. */
#include "pool/handed.h"

/* Asks the descriptor only where this process does not know that they are. */
static bool is_there(mp_region *tasks, uint64_t at, uint64_t size)
{
    if (at > tasks->size || size > tasks->size - at)
        mp_region_take_over(tasks, NULL);
    return at <= tasks->size && size <= tasks->size - at;
}

bool mp_handed_whole(mp_region *tasks, const mp_granule *g)
{
    if (g->check != mp_granule_check(g) || !is_there(tasks, g->call, sizeof(mp_call_block)))
        return false;
    const mp_call_block *block = mp_handed_block(tasks, g->call);
    return block->check == mp_call_block_check(block) &&
           (block->definition_at == MP_IN_HAND ||
            is_there(tasks, block->definition_at, block->definition_size));
}

bool mp_handed_item(mp_region *tasks, const unsigned char **at, mp_task *task)
{
    if (!is_there(tasks, (uint64_t)(*at - tasks->base), MP_ITEM_HEAD))
        return false;
    task->bytes = mp_item_read(at, &task->size);
    return is_there(tasks, (uint64_t)(task->bytes - tasks->base), task->size);
}
