/* What items have of attempts before: see saved.h. */
#include "pool/saved.h"

#include "base/memory.h"
#include "pool/wire.h"

mp_saved *mp_saved_new(const void *bytes, size_t size)
{
    mp_saved *s = size < SIZE_MAX / 2 ? mp_malloc(sizeof *s + size) : NULL;
    if (s == NULL)
        return NULL;
    s->users = 1;
    s->size = size;
    memcpy(s->bytes, bytes, size);
    return s;
}

void mp_saved_drop_one(mp_saved **s)
{
    mp_saved *dropped = *s;
    *s = NULL;
    if (--dropped->users == 0)
        mp_free(dropped);
}

int mp_saved_write(mp_buffer *b, unsigned attempt, bool made, const mp_saved *state)
{
    mp_item_past past = {.mark = MP_ITEM_WITH_PAST,
                         .attempt = attempt,
                         .made = made,
                         .state_size = state != NULL ? state->size : 0};
    int status = mp_buffer_append(b, &past, sizeof past);
    return status == 0 && state != NULL ? mp_buffer_append(b, state->bytes, state->size) : status;
}

bool mp_item_read_past(const unsigned char **at, uint64_t left, mp_item *item)
{
    mp_item_past past;
    uint32_t length;
    if (!mp_item_number(*at, left, &past, sizeof past) || past.state_size > left - sizeof past)
        return false;
    const unsigned char *next = *at + sizeof past + past.state_size;
    left -= sizeof past + past.state_size;
    item->attempt = past.attempt;
    item->state = past.state_size > 0 ? next - past.state_size : NULL;
    item->state_size = past.state_size;
    if (past.made == 0 &&
        (!mp_item_number(next, left, &length, sizeof length) || length == MP_ITEM_WITH_PAST ||
         !mp_item_read_bytes(&next, left, length, item)))
        return false;
    *at = next;
    return true;
}
