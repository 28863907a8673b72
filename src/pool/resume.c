/* Calls that go on with what came of their items before: those that are done are skipped, and
 * others start with the state that they had saved.
 *
 * Invariants: a state waits in its call until an item has taken it, which is alone in its granule;
 * nothing is noted where the granule before it cannot be. */
#include "pool/inner.h"

#include <errno.h>

/* Workers that cannot be started are told of by an event. */
static int hand_out_before(mp_call *call, mp_error *error)
{
    mp_call_flush(call, NULL);
    if (call->filled > 0)
        return mp_fail(error, -ENOMEM, "cannot note %u items", call->filled);
    return 0;
}

int mp_call_skip(mp_call *call, mp_error *error)
{
    int status = hand_out_before(call, error);
    if (status < 0)
        return status;
    mp_saved_drop(&call->saved);
    call->added++;
    call->told++;
    return 0;
}

/* The bytes of the item that is being made, if one is. */
static int copy_begun(const mp_call *call, mp_buffer *copy)
{
    mp_buffer_init_heap(copy);
    if (!call->begun)
        return 0;
    size_t from = call->head_at + MP_ITEM_HEAD;
    return mp_buffer_append(copy, call->open->data + from, call->open->len - from);
}

static int begin_again(mp_call *call, const mp_buffer *bytes, mp_error *error)
{
    mp_buffer *b = mp_call_begin_item(call, error);
    if (b != NULL && mp_buffer_append(b, bytes->data, bytes->len) == 0)
        return 0;
    return mp_fail(error, -ENOMEM, "cannot store item %llu", (unsigned long long)call->added + 1);
}

/* Takes the place of a state that waits already. */
static int keep_state(mp_call *call, const void *bytes, size_t size, mp_error *error)
{
    mp_saved *saved = mp_saved_new(bytes, size);
    if (saved == NULL)
        return mp_fail(error, -ENOMEM, "cannot keep a state of %zu bytes", size);
    mp_saved_drop(&call->saved);
    call->saved = saved;
    return 0;
}

int mp_call_state(mp_call *call, const void *bytes, size_t size, mp_error *error)
{
    mp_buffer made;
    bool begun = call->begun;
    int status = copy_begun(call, &made);
    if (status < 0)
        mp_fail(error, status, "cannot store item %llu", (unsigned long long)call->added + 1);
    if (status == 0)
        status = hand_out_before(call, error);
    if (status == 0)
        status = keep_state(call, bytes, size, error);
    if (status == 0 && begun)
        status = begin_again(call, &made, error);
    mp_buffer_free(&made);
    return status;
}
