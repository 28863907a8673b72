/* Twins: at the end of a call that allows it, the items that still run are also given to
 * idle workers; the first outcome wins.
 *
 * Invariants: of two twins one is the item's own row and one a copy of a single item; only
 * one of them counts as pending (the own row while both live). When one is decided the
 * other is `answered`: what comes of its next item tells nobody anything. */
#include "pool/inner.h"

static bool may_twin(const mp_row *row)
{
    return row->state == MP_ROW_PUBLISHED && row->twin == NULL && !row->answered && !row->copy &&
           row->first + row->done < row->call->limit;
}

static bool make_twin(mp_row *row)
{
    mp_call *call = row->call;
    mp_pool *pool = call->pool;
    mp_row *twin = mp_row_copy(row, row->attempt, NULL);
    if (twin == NULL)
        return false;
    twin->copy = true;
    twin->twin = row;
    row->twin = twin;
    mp_pool_queue(pool, twin, NULL);
    return true;
}

static unsigned twin_call(mp_call *call, unsigned idle)
{
    mp_row *next;
    for (mp_row *row = call->rows; row != NULL && idle > 0; row = next) {
        next = row->next;
        if (may_twin(row) && make_twin(row))
            idle--;
    }
    return idle;
}

void mp_pool_twin(mp_pool *pool)
{
    mp_transport *t = pool->transport;
    if (!TAILQ_EMPTY(&pool->backlog) || pool->ended)
        return;
    unsigned idle = t->ops->idle(t) + (pool->workers - pool->asked); /* the rest starts for it */
    for (mp_call *call = pool->calls; call != NULL && idle > 0; call = call->next)
        if (call->duplicate && call->sealed && !call->released)
            idle = twin_call(call, idle);
}

mp_row *mp_row_part(mp_row *row)
{
    mp_row *twin = row->twin;
    if (twin != NULL)
        twin->twin = row->twin = NULL;
    return twin;
}

void mp_row_decide(mp_row *row)
{
    mp_row *loser = mp_row_part(row);
    if (loser == NULL)
        return;
    mp_transport *t = row->call->pool->transport;
    loser->answered = true;
    if (!loser->copy || !mp_row_withdraw(loser))
        t->ops->stop_item(t, loser->id, loser->first + loser->done);
}

bool mp_row_give_way(mp_row *row)
{
    row->answered = mp_row_part(row) != NULL;
    return row->answered;
}
