/* From items to granules to the ring: rows of the ledger, back-pressure.
 *
 * Invariants: a row is in the backlog, or published, or gone; the backlog is
 * handed out in order; one granule is being filled at a time in the pool. */
#include "pool/inner.h"

#include <errno.h>
#include <stdlib.h>

static void backlog_remove(mp_pool *pool, mp_row *row)
{
    row->queued = false;
    TAILQ_REMOVE(&pool->backlog, row, waiting);
}

/* The item at *at; *at moves behind it. Where it does not lie before `end`: no bytes, at the end.
 */
static mp_item read_within(const unsigned char **at, const unsigned char *end)
{
    mp_item item;
    if (!mp_item_read(at, (uint64_t)(end - *at), &item))
        item = (mp_item){.bytes = *at = end};
    return item;
}

const unsigned char *mp_row_item(mp_row *row, uint32_t number, size_t *size)
{
    *size = 0;
    if (row->payload == MP_MADE)
        return NULL;
    mp_transport *t = row->call->pool->transport;
    if (row->cursor_at == 0)
        row->cursor_at = row->payload;
    const unsigned char *base = t->ops->bytes(t, row->payload);
    const unsigned char *end = base + row->payload_size,
                        *at = base + (row->cursor_at - row->payload);
    mp_item item = read_within(&at, end);
    for (; row->cursor < number; row->cursor++) {
        row->cursor_at = row->payload + (uint64_t)(at - base);
        item = read_within(&at, end);
    }
    *size = item.size;
    return item.bytes;
}

/* Where item `done` of the row starts, head included. */
static uint64_t rest_at(mp_row *row)
{
    size_t size;
    if (row->done == 0 || row->payload == MP_MADE)
        return row->payload;
    mp_row_item(row, row->done, &size);
    return row->cursor_at;
}

static int publish(mp_pool *pool, mp_row *row, mp_error *error)
{
    mp_call_check_block(row->call);
    mp_granule g = {.row = row->id,
                    .first = row->first + row->done,
                    .payload = rest_at(row),
                    .call = row->call->block_at,
                    .count = row->count - row->done,
                    .flags = (uint32_t)row->call->definition->id};
    g.check = mp_granule_check(&g);
    return pool->transport->ops->publish(pool->transport, &g, &row->position, error);
}

static int start_workers(mp_pool *pool, mp_error *error)
{
    if (pool->ledger.live == 0 || pool->ended)
        return 0;
    unsigned want = pool->ledger.live < pool->workers ? (unsigned)pool->ledger.live : pool->workers;
    if (want <= pool->asked && pool->transport->ops->crew(pool->transport) >= pool->asked)
        return 0;
    pool->refusal = mp_pool_want(pool, want, error);
    pool->refusal_told = pool->refusal == 0 ? false : pool->refusal_told || error != NULL;
    return pool->refusal;
}

int mp_pool_push(mp_pool *pool, mp_error *error)
{
    mp_row *row;
    mp_pool_release_due(pool);
    while ((row = TAILQ_FIRST(&pool->backlog)) != NULL && publish(pool, row, NULL) == 0) {
        mp_row_step(row, MP_ROW_PUBLISH);
        backlog_remove(pool, row);
    }
    return start_workers(pool, error);
}

int mp_pool_queue(mp_pool *pool, mp_row *row, mp_error *error)
{
    mp_row_step(row, MP_ROW_QUEUE);
    row->queued = true;
    TAILQ_INSERT_TAIL(&pool->backlog, row, waiting);
    return mp_pool_push(pool, error);
}

void mp_pool_requeue(mp_pool *pool, mp_row *row)
{
    mp_row_step(row, MP_ROW_QUEUE);
    row->queued = true;
    TAILQ_INSERT_HEAD(&pool->backlog, row, waiting);
}

void mp_call_link(mp_call *call, mp_row *row)
{
    row->call = call;
    row->next = call->rows;
    if (call->rows != NULL)
        call->rows->previous = row;
    call->rows = row;
}

static void unlink_row(mp_row *row)
{
    if (row->next != NULL)
        row->next->previous = row->previous;
    if (row->previous != NULL)
        row->previous->next = row->next;
    else
        row->call->rows = row->next;
}

static void remove_row(mp_row *row)
{
    mp_call *call = row->call;
    mp_transport *t = call->pool->transport;
    mp_row_part(row);
    unlink_row(row);
    if (!row->bound && row->payload != MP_MADE)
        t->ops->drop(t, row->payload, row->payload_size);
    mp_ledger_remove(&call->pool->ledger, row);
}

void mp_row_settle(mp_row *row, uint32_t n)
{
    mp_call *call = row->call;
    uint32_t told = row->answered; /* by its twin */
    call->pending -= mp_below(row->first + row->done + told, n - told, call->limit);
    mp_saved_drop(&row->saved);
    row->answered = false;
    row->done += n;
    if (row->done == row->count) {
        mp_row_step(row, MP_ROW_SETTLE);
        remove_row(row);
    }
    mp_call_check_over(call);
    mp_call_free_if_idle(call);
}

/* Its event is about to be settled, and the row with it. */
static bool is_given(const mp_pool *pool, const mp_row *row)
{
    return pool->given >= GIVEN_ITEM && pool->given_row == row;
}

bool mp_row_withdraw(mp_row *row)
{
    mp_call *call = row->call;
    mp_transport *t = call->pool->transport;
    if (row->bound && is_given(call->pool, row))
        return false;
    if (row->state == MP_ROW_PUBLISHED && !row->bound && !t->ops->revoke(t, row->position))
        return false;
    if (row->queued)
        backlog_remove(call->pool, row);
    mp_timers_remove(&call->pool->delayed, &row->timer);
    mp_row_note_wait(row, -(int64_t)(row->count - row->done));
    mp_row_step(row, MP_ROW_WITHDRAW);
    remove_row(row);
    return true;
}

/* ---- filling ---- */

static mp_row *add_row(mp_call *call, uint64_t first, uint32_t count, mp_error *error)
{
    mp_row *row = mp_ledger_add(&call->pool->ledger);
    if (row == NULL) {
        mp_fail(error, -ENOMEM, "cannot note %u items", count);
        return NULL;
    }
    row->first = first;
    row->count = count;
    mp_call_link(call, row);
    return row;
}

/* Its items are whole: it goes its way. */
static int hand_out(mp_row *row, mp_error *error)
{
    mp_row_note_wait(row, row->count);
    if (row->first < row->call->limit)
        return mp_pool_queue(row->call->pool, row, error);
    mp_row_step(row, MP_ROW_QUEUE);
    mp_row_withdraw(row);
    return 0;
}

int mp_call_flush(mp_call *call, mp_error *error)
{
    mp_pool *pool = call->pool;
    call->begun = false;
    if (call->filled == 0) {
        pool->filling = pool->filling == call ? NULL : pool->filling;
        return 0;
    }
    call->open->len = call->item_at;
    mp_row *row = add_row(call, call->added - call->filled + 1, call->filled, error);
    if (row == NULL)
        return -ENOMEM;
    row->saved = call->saved;
    call->saved = NULL;
    row->payload_size = call->open->len;
    row->payload = pool->transport->ops->keep(pool->transport);
    call->filled = 0;
    pool->filling = NULL;
    return hand_out(row, error);
}

/* The row's one item, which is made, starts with the call's state. */
static int keep_past(mp_row *row, mp_error *error)
{
    mp_call *call = row->call;
    mp_buffer *b = mp_pool_open(call->pool, error);
    int status = b != NULL ? mp_saved_write(b, 1, true, call->saved) : -ENOMEM;
    if (status < 0)
        return mp_fail(error, status, "cannot store the state of item %llu",
                       (unsigned long long)row->first);
    row->payload_size = b->len;
    row->payload = call->pool->transport->ops->keep(call->pool->transport);
    row->saved = call->saved;
    call->saved = NULL;
    return 0;
}

/* A row of so many of the next items. */
static mp_row *add_made(mp_call *call, uint32_t count, mp_error *error)
{
    mp_row *row = add_row(call, call->added + 1, count, error);
    if (row == NULL)
        return NULL;
    row->payload = MP_MADE;
    if (call->saved == NULL || keep_past(row, error) == 0)
        return row;
    remove_row(row);
    return NULL;
}

int mp_call_add_made(mp_call *call, uint64_t most, uint32_t *added, mp_error *error)
{
    *added = 0;
    int status = call->pool->filling == call ? mp_call_flush(call, error) : 0;
    uint32_t count = (uint32_t)(most < call->granule ? most : call->granule);
    if (call->saved != NULL)
        count = 1;
    mp_row *row = status == 0 ? add_made(call, count, error) : NULL;
    if (row == NULL)
        return status < 0 ? status : -ENOMEM;
    if (call->recorded != 0)
        mp_record_made(call->pool->record, call->recorded, call->block->recipe, call->block->flags);
    *added = count;
    call->added += count;
    call->pending += mp_below(row->first, count, call->limit);
    return hand_out(row, error);
}

mp_buffer *mp_pool_open(mp_pool *pool, mp_error *error)
{
    if (pool->filling != NULL && mp_call_flush(pool->filling, error) < 0)
        return NULL;
    return pool->transport->ops->open(pool->transport, error);
}

mp_definition *mp_pool_define(mp_pool *pool, const unsigned char *bytes, size_t size,
                              mp_error *error)
{
    if (pool->filling != NULL && mp_call_flush(pool->filling, error) < 0)
        return NULL;
    return mp_define(&pool->definitions, bytes, size, error);
}

void mp_pool_label(mp_pool *pool, mp_definition *definition, const char *text, size_t size)
{
    if (pool->filling == NULL || mp_call_flush(pool->filling, NULL) == 0)
        mp_definition_label(&pool->definitions, definition, text, size);
}

static bool open_granule(mp_call *call, mp_error *error)
{
    call->open = mp_pool_open(call->pool, error);
    call->item_at = 0;
    call->pool->filling = call->open != NULL ? call : NULL;
    return call->open != NULL;
}

/* Whoever takes the call's state is alone in the granule: the item before it may have taken it, and
 * its granule not been noted. */
static bool may_join(mp_call *call, mp_error *error)
{
    if (call->saved != NULL && call->filled > 0)
        mp_call_flush(call, NULL);
    if (call->saved == NULL || call->filled == 0)
        return true;
    mp_fail(error, -ENOMEM, "cannot note an item");
    return false;
}

mp_buffer *mp_call_begin_item(mp_call *call, mp_error *error)
{
    if (!may_join(call, error) || (call->pool->filling != call && !open_granule(call, error)))
        return NULL;
    mp_buffer *b = call->open;
    b->len = call->item_at;
    int status = call->saved != NULL ? mp_saved_write(b, 1, false, call->saved) : 0;
    call->head_at = b->len;
    if (status == 0)
        status = mp_buffer_reserve(b, MP_LONG_ITEM_HEAD);
    if (status < 0) {
        mp_fail(error, status, "cannot store item %llu", (unsigned long long)call->added + 1);
        return NULL;
    }
    b->len += MP_ITEM_HEAD;
    call->begun = true;
    return b;
}

/* Writes the item's length in front of it; a long one is moved to make room. */
static int write_length(mp_call *call, mp_error *error)
{
    mp_buffer *b = call->open;
    uint64_t size = b->len - call->head_at - MP_ITEM_HEAD;
    uint32_t length = size <= MP_ITEM_MOST ? (uint32_t)size : MP_LONG_ITEM;
    if (length == MP_LONG_ITEM) {
        int status = mp_buffer_reserve(b, sizeof size);
        if (status < 0)
            return mp_fail(error, status, "cannot store an item of %llu bytes",
                           (unsigned long long)size);
        unsigned char *item = b->data + call->head_at + MP_ITEM_HEAD;
        memmove(item + sizeof size, item, size);
        memcpy(item, &size, sizeof size);
        b->len += sizeof size;
    }
    memcpy(b->data + call->head_at, &length, sizeof length);
    return 0;
}

int mp_call_end_item(mp_call *call, mp_error *error)
{
    if (!call->begun)
        return mp_fail(error, -EBUSY, "the pool was used while its item %llu was made",
                       (unsigned long long)call->added + 1);
    int status = write_length(call, error);
    if (status < 0)
        return status;
    call->begun = false;
    call->item_at = call->open->len;
    call->filled++;
    call->added++;
    if (call->added < call->limit)
        call->pending++;
    return call->filled >= call->granule || call->saved != NULL ? mp_call_flush(call, error) : 0;
}
