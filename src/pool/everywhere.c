/* Errands: calls whose one item every worker runs. Each rank has a row of its own, which
 * is never in the ring; whoever has the rank and begins the errand first answers for it,
 * so that a worker which leaves or is lost before that only leaves it to its successor.
 *
 * Invariants: the rows of an errand are PUBLISHED from their making on and `bound`: they
 * can be withdrawn at any time (but while their event is given), since news of a row
 * that is gone changes nothing. */
#include "pool/inner.h"

#include <errno.h>

static mp_row *add_bound_row(mp_call *call, unsigned rank, uint64_t payload, mp_error *error)
{
    mp_row *row = mp_ledger_add(&call->pool->ledger);
    if (row == NULL) {
        mp_fail(error, -ENOMEM, "cannot note what workers are to do");
        return NULL;
    }
    row->first = (uint64_t)rank + 1;
    row->count = 1;
    row->payload = payload;
    row->bound = true;
    mp_call_link(call, row);
    mp_row_step(row, MP_ROW_QUEUE);
    mp_row_step(row, MP_ROW_PUBLISH);
    return row;
}

/* Writes the errand into `b` and makes its rows. */
static int write_errand(mp_call *call, unsigned ranks, uint64_t payload, mp_buffer *b,
                        mp_error *error)
{
    mp_errand head = {.call = call->block_at, .payload = payload, .ranks = ranks};
    int status = mp_buffer_append(b, &head, sizeof head);
    for (unsigned i = 0; i < ranks && status == 0; i++) {
        const mp_row *row = add_bound_row(call, i, payload, error);
        status = row == NULL ? -ENOMEM : mp_buffer_append(b, &row->id, sizeof row->id);
    }
    return status == 0 ? 0 : mp_fail(error, status, "cannot store what workers are to do");
}

static void withdraw_all(mp_call *call)
{
    while (call->rows != NULL)
        mp_row_withdraw(call->rows);
}

static int post(mp_call *call, uint64_t payload, mp_error *error)
{
    mp_call_check_block(call);
    mp_pool *pool = call->pool;
    mp_transport *t = pool->transport;
    mp_buffer *b = mp_pool_open(pool, error);
    int status = b == NULL ? -ENOMEM : write_errand(call, pool->workers, payload, b, error);
    if (status < 0) {
        withdraw_all(call);
        return status;
    }
    call->errand_at = t->ops->keep(t);
    t->ops->post(t, call->errand_at);
    return 0;
}

int mp_call_everywhere(mp_call *call, mp_error *error)
{
    mp_pool *pool = call->pool;
    mp_transport *t = pool->transport;
    if (pool->filling != call || call->filled != 1 || call->begun || call->added != 1)
        return mp_fail(error, -EBUSY, "the pool was used while an item for all workers was made");
    size_t size = call->open->len = call->item_at;
    uint64_t payload = t->ops->keep(t);
    pool->filling = NULL;
    call->filled = 0;
    call->added = call->pending = 0;
    call->sealed = true;
    int status = post(call, payload, error);
    if (status < 0) {
        t->ops->drop(t, payload, size);
        mp_call_check_over(call);
        return status;
    }
    for (mp_row *row = call->rows; row != NULL; row = row->next)
        row->payload_size = size;
    call->errand = true;
    call->added = pool->workers;
    call->pending = mp_below(1, call->added, call->limit);
    mp_call_check_over(call);
    return mp_pool_push(pool, error);
}

static mp_errand *errand_of(const mp_call *call)
{
    mp_transport *t = call->pool->transport;
    return (void *)t->ops->bytes(t, call->errand_at);
}

bool mp_row_begun(const mp_row *row)
{
    return mp_load_acquire(&errand_of(row->call)->rows[row->first - 1]) != row->id;
}

void mp_call_everywhere_in_vain(mp_call *call)
{
    mp_store_release(&errand_of(call)->vain, 1);
}

void mp_pool_limit_errands(mp_pool *pool, unsigned workers)
{
    for (mp_call *call = pool->calls, *next; call != NULL; call = next) {
        next = call->next;
        if (call->errand && call->rows != NULL)
            mp_call_limit(call, (uint64_t)workers + 1);
    }
}
