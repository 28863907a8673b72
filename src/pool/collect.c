/* From arrivals to events: settles each item of the ledger exactly once.
 *
 * An arrival is dealt with when its event is settled, not when it is given, so
 * that an event whose taker failed half-way is given again. News of rows that
 * are gone, or of items that are settled, changes nothing. */
#include "pool/inner.h"

#include <errno.h>

static void take(mp_pool *pool)
{
    pool->transport->ops->taken(pool->transport);
}

/* ---- calls that are over ---- */

void mp_call_check_over(mp_call *call)
{
    mp_pool *pool = call->pool;
    if (!call->sealed || call->pending > 0 || call->over || call->released)
        return;
    call->over = true;
    TAILQ_INSERT_TAIL(&pool->over, call, telling);
}

static bool give_over(mp_pool *pool, mp_event *event)
{
    if (TAILQ_EMPTY(&pool->over))
        return false;
    *event = (mp_event){.kind = MP_EVENT_CALL_OVER, .user = TAILQ_FIRST(&pool->over)->user};
    pool->given = GIVEN_OVER;
    return true;
}

static void settle_over(mp_pool *pool)
{
    mp_call *call = TAILQ_FIRST(&pool->over);
    call->over_told = true;
    TAILQ_REMOVE(&pool->over, call, telling);
}

/* ---- items ---- */

/* The row of this id if a worker may have it and its next item has this index. */
static mp_row *row_at(mp_pool *pool, uint64_t id, uint64_t index)
{
    mp_row *row = mp_ledger_find(&pool->ledger, id);
    return row != NULL && row->state == MP_ROW_PUBLISHED && row->first + row->done == index ? row
                                                                                            : NULL;
}

/* The row whose next item the arrival is about, or NULL. */
static mp_row *expected_row(mp_pool *pool, const mp_arrival *a)
{
    mp_row *row = row_at(pool, a->row, a->index);
    return row != NULL && a->count <= row->count - row->done ? row : NULL;
}

static bool wanted(const mp_row *row)
{
    return !row->call->released && !row->answered && row->first + row->done < row->call->limit;
}

static void fill_event(mp_event *event, mp_row *row, const mp_arrival *a)
{
    *event = (mp_event){.user = row->call->user,
                        .index = row->first + row->done,
                        .attempt = row->attempt,
                        .seat = a->seat,
                        .pid = a->pid,
                        .code = a->code,
                        .data = a->data,
                        .size = a->size};
}

/* Without times the result is damaged, which whoever reads it finds. */
static void fill_times(mp_event *event)
{
    mp_frame_times times;
    if (!mp_frame_cut_times(event->data, &event->size, &times))
        return;
    event->began = times.began;
    event->ended = times.ended;
    event->pid = (int32_t)times.pid;
}

static void fill_item(mp_event *event, mp_row *row)
{
    event->item = mp_row_item(row, row->done, &event->item_size);
}

/* True if the arrival makes an event; otherwise it is dealt with. */
static bool give_item(mp_pool *pool, mp_event *event)
{
    const mp_arrival *a = &pool->arrival;
    mp_row *row = expected_row(pool, a);
    if (row != NULL && wanted(row)) {
        fill_event(event, row, a);
        event->kind = a->kind == MP_ARRIVAL_DONE      ? MP_EVENT_DONE
                      : a->kind == MP_ARRIVAL_FAILED  ? MP_EVENT_FAILED
                      : a->kind == MP_ARRIVAL_TIMEOUT ? MP_EVENT_TIMEOUT
                                                      : MP_EVENT_NO_ROOM;
        if (row->call->timed)
            fill_times(event);
        if (event->kind != MP_EVENT_DONE)
            fill_item(event, row);
        pool->given = GIVEN_ITEM;
        pool->given_row = row;
        return true;
    }
    if (row != NULL)
        mp_row_note(row, a, true);
    take(pool);
    if (row != NULL)
        mp_row_settle(row, 1);
    return false;
}

/* The call of an item that runs, NULL where it is not known or not wanted any more. */
static void *speaker(mp_pool *pool, const mp_arrival *a)
{
    const mp_row *row = a->index != 0 ? mp_ledger_find(&pool->ledger, a->row) : NULL;
    if (row == NULL || row->call->released)
        return NULL;
    return a->index - row->first < row->count ? row->call->user : NULL;
}

static bool give_text(mp_pool *pool, mp_event *event)
{
    const mp_arrival *a = &pool->arrival;
    *event = (mp_event){.kind = a->kind == MP_ARRIVAL_LOG      ? MP_EVENT_LOG
                                : a->kind == MP_ARRIVAL_ANSWER ? MP_EVENT_ANSWER
                                                               : MP_EVENT_OUTPUT,
                        .user = a->kind == MP_ARRIVAL_ANSWER ? NULL : speaker(pool, a),
                        .index = a->index,
                        .seat = a->seat,
                        .data = a->data,
                        .size = a->size};
    pool->given = GIVEN_OTHER;
    return true;
}

/* The item's rows share what it has saved. Where memory is short, what they have stays. */
static int keep_state(mp_row *row, const mp_arrival *a)
{
    mp_saved *saved = mp_saved_new(a->data, a->size);
    if (saved == NULL)
        return -ENOMEM;
    if (row->twin != NULL) {
        mp_saved_drop(&row->twin->saved);
        row->twin->saved = mp_saved_keep(saved);
    }
    mp_saved_drop(&row->saved);
    row->saved = saved;
    return 0;
}

/* True if the arrival makes an event; otherwise it is dealt with. */
static bool give_state(mp_pool *pool, mp_event *event)
{
    const mp_arrival *a = &pool->arrival;
    mp_row *row = row_at(pool, a->row, a->index);
    if (row == NULL || !wanted(row)) {
        take(pool);
        return false;
    }
    fill_event(event, row, a);
    event->kind = MP_EVENT_STATE;
    event->code = keep_state(row, a);
    pool->given = GIVEN_OTHER;
    return true;
}

static void skip_items(mp_pool *pool)
{
    mp_row *row = expected_row(pool, &pool->arrival);
    if (row != NULL) {
        mp_row_note_wait(row, -(int64_t)pool->arrival.count);
        mp_row_settle(row, pool->arrival.count);
    }
    take(pool);
}

/* ---- deaths ---- */

/* The row whose begun item died with the worker, or NULL: it had none, or its
 * result had arrived. Of a row whose items stand or fall together the next item has died. */
static mp_row *lost_row(mp_pool *pool, const mp_death *death)
{
    if (death->errand != 0)
        return mp_ledger_find(&pool->ledger, death->errand);
    if (death->held == 0 || death->begun >= death->held || death->aside)
        return NULL;
    mp_row *row = mp_ledger_find(&pool->ledger, death->rows[death->begun]);
    if (row != NULL && row->state == MP_ROW_PUBLISHED && row->call->in_runs && row->done > 0)
        return row;
    return row_at(pool, death->rows[death->begun], death->begun_item);
}

/* Whether the dead worker began an item of its i-th row that is not settled by now:
 * its result was damaged, and it must not run again. */
static bool has_run_more(const mp_death *death, uint32_t i, const mp_row *row)
{
    if (death->aside)
        return false;
    return i < death->begun || (i == death->begun && row->first + row->done <= death->begun_item);
}

/* Hands out anew what the dead worker had claimed and not begun. */
static void give_back(mp_pool *pool, const mp_death *death)
{
    for (uint32_t i = death->held; i-- > 0;) {
        mp_row *row = mp_ledger_find(&pool->ledger, death->rows[i]);
        if (row == NULL || row->state != MP_ROW_PUBLISHED || has_run_more(death, i, row))
            continue;
        mp_call *call = row->call;
        bool ends = row->answered && row->done + 1 == row->count;
        if (row->answered)
            mp_row_settle(row, 1);
        if (ends)
            continue;
        mp_pool_requeue(pool, row);
        if (!wanted(row)) {
            mp_row_withdraw(row);
            mp_call_free_if_idle(call);
        }
    }
    mp_pool_push(pool, NULL);
}

static void bury(mp_pool *pool, const mp_death *death)
{
    pool->lost_workers += !death->left;
    if (pool->record != NULL && !death->left)
        mp_record_death(pool->record, death);
    give_back(pool, death);
    take(pool);
}

static bool give_death(mp_pool *pool, mp_event *event)
{
    const mp_death *death = pool->arrival.death;
    mp_row *row = lost_row(pool, death);
    if (row != NULL && !row->answered && !death->overdue)
        mp_row_give_way(row);
    if (row != NULL && wanted(row)) {
        fill_event(event, row, &pool->arrival);
        event->kind = death->overdue ? MP_EVENT_TIMEOUT : MP_EVENT_LOST;
        event->status = death->status;
        if (row->call->timed) {
            event->began = death->began;
            event->ended = death->found;
        }
        fill_item(event, row);
        pool->given = GIVEN_LOST;
        pool->given_row = row;
        return true;
    }
    if (row != NULL) {
        mp_row_note(row, &pool->arrival, true);
        mp_row_settle(row, 1);
    }
    bury(pool, death);
    return false;
}

static bool give_trouble(mp_pool *pool, mp_event *event)
{
    const mp_arrival *a = &pool->arrival;
    *event = (mp_event){
        .kind = MP_EVENT_TROUBLE, .code = a->code, .count = a->count, .status = a->status};
    pool->given = GIVEN_OTHER;
    return true;
}

/* Nobody heard yet that workers cannot be started, which is tried again and again. */
static bool give_refusal(mp_pool *pool, mp_event *event)
{
    if (pool->refusal == 0 || pool->refusal_told)
        return false;
    *event = (mp_event){.kind = MP_EVENT_TROUBLE, .code = pool->refusal};
    pool->given = GIVEN_REFUSAL;
    return true;
}

/* ---- damage ---- */

/* A row that is neither with the host nor in the ring, or NULL: its results are lost. */
static mp_row *orphan(mp_pool *pool)
{
    for (mp_call *call = pool->calls; call != NULL; call = call->next)
        for (mp_row *row = call->rows; row != NULL; row = row->next) {
            if (row->state != MP_ROW_PUBLISHED || (row->bound && !mp_row_begun(row)))
                continue;
            if (row->bound)
                return row;
            if (!pool->transport->ops->revoke(pool->transport, row->position))
                return row;
            mp_pool_requeue(pool, row);
        }
    return NULL;
}

/* True if an orphan's item makes an event; when there is none left it is dealt with. */
static bool give_damage(mp_pool *pool, mp_event *event)
{
    mp_row *row;
    while ((row = orphan(pool)) != NULL) {
        if (wanted(row)) {
            fill_event(event, row, &pool->arrival);
            event->kind = MP_EVENT_DAMAGED;
            fill_item(event, row);
            pool->given = GIVEN_ORPHAN;
            pool->given_row = row;
            return true;
        }
        mp_row_note_wait(row, -(int64_t)(row->count - row->done));
        mp_row_settle(row, row->count - row->done);
    }
    take(pool);
    return false;
}

/* ---- the two calls ---- */

static bool give(mp_pool *pool, mp_event *event)
{
    switch (pool->arrival.kind) {
    case MP_ARRIVAL_DONE:
    case MP_ARRIVAL_FAILED:
    case MP_ARRIVAL_TIMEOUT:
    case MP_ARRIVAL_NO_ROOM:
        return give_item(pool, event);
    case MP_ARRIVAL_OUTPUT:
    case MP_ARRIVAL_LOG:
    case MP_ARRIVAL_ANSWER:
        return give_text(pool, event);
    case MP_ARRIVAL_STATE:
        return give_state(pool, event);
    case MP_ARRIVAL_DEATH:
        return give_death(pool, event);
    case MP_ARRIVAL_TROUBLE:
        return give_trouble(pool, event);
    case MP_ARRIVAL_SKIPPED:
        skip_items(pool);
        return false;
    case MP_ARRIVAL_DAMAGED:
        return give_damage(pool, event);
    }
    return false;
}

bool mp_pool_next(mp_pool *pool, mp_event *event)
{
    bool again = pool->given >= GIVEN_ITEM;
    pool->given = GIVEN_NONE;
    for (;; again = false) {
        if (!again && give_over(pool, event))
            return true;
        if (!pool->transport->ops->next(pool->transport, &pool->arrival)) {
            mp_pool_push(pool, NULL);
            return give_refusal(pool, event);
        }
        if (give(pool, event))
            return true;
    }
}

/* The given event of an item has been dealt with, as has the item in it. */
static void end_item(mp_pool *pool, enum mp_given given)
{
    mp_row_note(pool->given_row, &pool->arrival, false);
    if (given == GIVEN_ITEM)
        take(pool);
    mp_row_settle(pool->given_row, 1);
    if (given == GIVEN_LOST)
        bury(pool, pool->arrival.death);
}

/* A DONE was given whose row has a further item that is wanted, and nobody else decides about
 * this one. */
static bool goes_on(const mp_pool *pool)
{
    const mp_row *row = pool->given_row;
    return pool->given == GIVEN_ITEM && pool->arrival.kind == MP_ARRIVAL_DONE &&
           row->done + 1 < row->count && row->first + row->done + 1 < row->call->limit &&
           !row->answered && row->twin == NULL && !row->call->released;
}

bool mp_pool_follow(mp_pool *pool, mp_event *event)
{
    mp_row *row = pool->given_row;
    const mp_transport_ops *ops = pool->transport->ops;
    if (!goes_on(pool) || ops->follow == NULL) {
        mp_pool_settle(pool);
        return false;
    }
    mp_row_note(row, &pool->arrival, false);
    mp_saved_drop(&row->saved);
    row->done++;
    row->call->told++;
    row->call->pending--;
    if (!ops->follow(pool->transport, &pool->arrival)) {
        pool->given = GIVEN_NONE;
        return false;
    }
    event->index++;
    event->data = pool->arrival.data;
    event->size = pool->arrival.size;
    if (row->call->timed)
        fill_times(event);
    return true;
}

/* Cuts the times off; the number of results that had some. */
static unsigned cut_times(mp_result_frame results[], unsigned n)
{
    mp_frame_times times;
    for (unsigned i = 0; i < n; i++)
        if (!mp_frame_cut_times(results[i].data, &results[i].size, &times))
            return i;
    return n;
}

unsigned mp_pool_ahead(mp_pool *pool, mp_result_frame results[], unsigned max)
{
    mp_row *row = pool->given_row;
    const mp_transport_ops *ops = pool->transport->ops;
    if (!goes_on(pool) || ops->ahead == NULL)
        return 0;
    uint64_t next = row->first + row->done + 1;
    uint64_t left = mp_below(next, row->count - row->done - 1, row->call->limit);
    unsigned n = ops->ahead(pool->transport, results, left < max ? (unsigned)left : max);
    return row->call->timed ? cut_times(results, n) : n;
}

void mp_pool_settle_ahead(mp_pool *pool, mp_result_frame results[], unsigned n)
{
    if (n == 0) {
        mp_pool_settle(pool);
        return;
    }
    pool->given = GIVEN_NONE;
    mp_row_note_run(pool->given_row, &pool->arrival, results, n);
    pool->given_row->call->told += n + 1;
    results[n - 1].size += pool->given_row->call->timed ? sizeof(mp_frame_times) : 0;
    pool->transport->ops->taken_ahead(pool->transport, results, n);
    mp_row_settle(pool->given_row, n + 1);
}

int mp_pool_again(mp_pool *pool, int64_t due, mp_error *error)
{
    enum mp_given given = pool->given;
    int status = mp_row_again(pool->given_row, due, error);
    if (status < 0)
        return status;
    pool->given = GIVEN_NONE;
    pool->retried += status == 0;
    end_item(pool, given);
    return 0;
}

void mp_pool_settle(mp_pool *pool)
{
    enum mp_given given = pool->given;
    pool->given = GIVEN_NONE;
    if (given == GIVEN_OVER) {
        settle_over(pool);
    } else if (given >= GIVEN_ITEM && given <= GIVEN_ORPHAN) {
        pool->given_row->call->told++;
        mp_row_decide(pool->given_row);
        end_item(pool, given);
    } else if (given == GIVEN_REFUSAL) {
        pool->refusal_told = true;
    } else if (given == GIVEN_OTHER) {
        take(pool);
    }
}
