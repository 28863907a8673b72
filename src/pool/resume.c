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

int mp_call_state(mp_call *call, const void *bytes, size_t size, mp_error *error)
{
    int status = hand_out_before(call, error);
    if (status < 0)
        return status;
    mp_saved *saved = mp_saved_new(bytes, size);
    if (saved == NULL)
        return mp_fail(error, -ENOMEM, "cannot keep a state of %zu bytes", size);
    mp_saved_drop(&call->saved);
    call->saved = saved;
    return 0;
}
