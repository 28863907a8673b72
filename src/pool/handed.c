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

/* What lies behind it, as far as this process knows; `anew`: as far as there is anything. */
static bool read_item(mp_region *tasks, const unsigned char **at, bool anew, mp_item *item)
{
    uint64_t offset = (uint64_t)(*at - tasks->base);
    if (anew)
        mp_region_take_over(tasks, NULL);
    return offset <= tasks->size && mp_item_read(at, tasks->size - offset, item);
}

bool mp_handed_item(mp_region *tasks, const unsigned char **at, mp_task *task)
{
    mp_item item;
    if (!read_item(tasks, at, false, &item) && !read_item(tasks, at, true, &item))
        return false;
    task->bytes = item.bytes;
    task->size = item.size;
    task->attempt = item.attempt;
    task->state = item.state;
    task->state_size = item.state_size;
    return true;
}
