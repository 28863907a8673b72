/* Items that run again: one row an item and attempt, delayed where asked.
 *
 * Invariants: a delayed row is in the pool's heap and nowhere else; the item's new
 * row counts as pending before its old one is settled, so that its call is not over
 * in between. */
#include "pool/inner.h"

#include <errno.h>
#include <stddef.h>

static mp_row *row_of(mp_timer *timer)
{
    return (mp_row *)(void *)((char *)timer - offsetof(mp_row, timer));
}

int64_t mp_pool_next_due(const mp_pool *pool)
{
    const mp_timer *first = mp_timers_first(&pool->delayed);
    return first != NULL ? first->due : MP_NEVER;
}

static void enqueue(mp_pool *pool, mp_row *row)
{
    mp_row_step(row, MP_ROW_QUEUE);
    row->queued = true;
    TAILQ_INSERT_TAIL(&pool->backlog, row, waiting);
}

void mp_pool_release_due(mp_pool *pool)
{
    mp_timer *first = mp_timers_first(&pool->delayed);
    int64_t now = first != NULL ? mp_now() : 0;
    for (; first != NULL && first->due <= now; first = mp_timers_first(&pool->delayed)) {
        mp_timers_remove(&pool->delayed, first);
        enqueue(pool, row_of(first));
    }
}

/* Its bytes, heads as in wire.h. */
static int write_item(mp_buffer *b, const unsigned char *bytes, size_t size)
{
    uint64_t wide = size;
    uint32_t length = size <= MP_ITEM_MOST ? (uint32_t)size : MP_LONG_ITEM;
    int status = mp_buffer_append(b, &length, sizeof length);
    if (status == 0 && length == MP_LONG_ITEM)
        status = mp_buffer_append(b, &wide, sizeof wide);
    return status == 0 ? mp_buffer_append(b, bytes, size) : status;
}

/* A copy of the item as a payload of its own, with its past if it has one. */
static int copy_item(mp_row *from, mp_row *to, mp_error *error)
{
    mp_pool *pool = from->call->pool;
    bool past = to->attempt > 1 || to->saved != NULL;
    to->payload = from->payload;
    if (from->payload == MP_MADE && !past)
        return 0;
    mp_buffer *b = mp_pool_open(pool, error);
    if (b == NULL)
        return -ENOMEM;
    size_t size;
    const unsigned char *bytes = mp_row_item(from, from->done, &size);
    int status = past ? mp_saved_write(b, to->attempt, bytes == NULL, to->saved) : 0;
    if (status == 0 && bytes != NULL)
        status = write_item(b, bytes, size);
    if (status < 0)
        return mp_fail(error, status, "cannot store an item that is to run again");
    to->payload_size = b->len;
    to->payload = pool->transport->ops->keep(pool->transport);
    return 0;
}

static int schedule(mp_pool *pool, mp_row *row, int64_t due)
{
    if (due == 0 || mp_timers_add(&pool->delayed, &row->timer, due) < 0)
        enqueue(pool, row);
    else
        mp_row_step(row, MP_ROW_DELAY);
    return 0;
}

mp_row *mp_row_copy(mp_row *row, unsigned attempt, mp_error *error)
{
    mp_ledger *ledger = &row->call->pool->ledger;
    mp_row *copy = mp_ledger_add(ledger);
    if (copy == NULL) {
        mp_fail(error, -ENOMEM, "cannot note an item that is to run again");
        return NULL;
    }
    copy->attempt = attempt;
    copy->saved = mp_saved_keep(row->saved);
    if (copy_item(row, copy, error) < 0) {
        mp_ledger_remove(ledger, copy);
        return NULL;
    }
    copy->first = row->first + row->done;
    copy->count = 1;
    mp_call_link(row->call, copy);
    mp_row_note_wait(copy, 1);
    return copy;
}

int mp_row_again(mp_row *row, int64_t due, mp_error *error)
{
    mp_call *call = row->call;
    if (call->released || row->first + row->done >= call->limit)
        return mp_fail(error, -ECANCELED, "the item is cancelled");
    if (mp_row_give_way(row))
        return 1;
    mp_row *again = mp_row_copy(row, row->attempt + 1, error);
    if (again == NULL)
        return -ENOMEM;
    call->pending++;
    return schedule(call->pool, again, due);
}
