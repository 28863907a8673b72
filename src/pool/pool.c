/* Pools and calls, their making and their end: see pool.h. The path of the items
 * is in submit.c (down) and collect.c (up). */
#include "pool/pool.h"

#include "base/clock.h"
#include "base/memory.h"
#include "pool/inner.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

enum {
    LOOKS_AT_ONCE = 16,   /* before others may have the processor */
    DOUBT_NS = 500000000, /* without news: whether there will be any */
    RETRY_NS = 100000000, /* how long to sleep where workers cannot be started */
    TWIN_NS = 2000000,    /* between two looks for workers that are idle */
    MANY_NS = 50000000,   /* how long results that are there may wait for more */
    CROWD_ROWS = 1 << 16,
};

#define CROWD_BYTES ((size_t)512 << 20)

mp_pool *mp_pool_new(mp_transport *transport, unsigned workers, mp_error *error)
{
    mp_pool *pool = mp_calloc(1, sizeof *pool);
    if (pool == NULL || mp_definitions_init(&pool->definitions, transport, error) < 0) {
        mp_fail(error, -ENOMEM, "cannot make a pool");
        mp_free(pool);
        transport->ops->destroy(transport);
        return NULL;
    }
    pool->transport = transport;
    pool->workers = workers;
    TAILQ_INIT(&pool->backlog);
    TAILQ_INIT(&pool->over);
    return pool;
}

void mp_pool_free(mp_pool *pool)
{
    pool->transport->ops->destroy(pool->transport);
    mp_definitions_destroy(&pool->definitions);
    mp_ledger_destroy(&pool->ledger);
    mp_timers_destroy(&pool->delayed);
    while (pool->calls != NULL) {
        mp_call *next = pool->calls->next;
        mp_saved_drop(&pool->calls->saved);
        mp_free(pool->calls);
        pool->calls = next;
    }
    mp_free(pool);
}

mp_definitions *mp_pool_definitions(mp_pool *pool)
{
    return &pool->definitions;
}

mp_transport *mp_pool_transport(mp_pool *pool)
{
    return pool->transport;
}

unsigned mp_pool_workers(const mp_pool *pool)
{
    return pool->workers;
}

void mp_pool_record(mp_pool *pool, mp_record *record)
{
    pool->record = record;
}

/* ---- calls ---- */

/* Room for the call's block in the task memory. */
static int make_block(mp_call *call, uint32_t flags, mp_error *error)
{
    mp_pool *pool = call->pool;
    mp_transport *t = pool->transport;
    mp_call_block block = {.limit = MP_NO_LIMIT,
                           .definition = call->definition->id,
                           .definition_at = call->definition->at,
                           .definition_size = call->definition->size,
                           .definition_sum = call->definition->hash,
                           .label = call->definition->label,
                           .flags = flags};
    mp_buffer *b = mp_pool_open(pool, error);
    if (b == NULL)
        return -ENOMEM;
    int status = mp_buffer_append(b, &block, sizeof block);
    if (status < 0)
        return mp_fail(error, status, "cannot store a call");
    call->block_at = t->ops->keep(t);
    call->block = (mp_call_block *)(void *)t->ops->bytes(t, call->block_at);
    return 0;
}

mp_call *mp_call_open(mp_pool *pool, mp_definition *definition, uint32_t flags, void *user,
                      mp_error *error)
{
    mp_call *call = mp_calloc(1, sizeof *call);
    if (call == NULL)
        mp_fail(error, -ENOMEM, "cannot note a call");
    else
        *call = (mp_call){.pool = pool,
                          .user = user,
                          .definition = definition,
                          .limit = MP_NO_LIMIT,
                          .granule = 1};
    if (call == NULL || make_block(call, flags, error) < 0) {
        mp_undefine(&pool->definitions, definition);
        mp_free(call);
        return NULL;
    }
    call->next = pool->calls;
    if (pool->calls != NULL)
        pool->calls->previous = call;
    pool->calls = call;
    return call;
}

void mp_call_word(mp_call *call, uint64_t word)
{
    call->block->word = word;
}

void mp_call_recipe(mp_call *call, uint64_t first, uint64_t second, uint32_t flags)
{
    call->block->recipe[0] = first;
    call->block->recipe[1] = second;
    call->block->flags |= flags;
}

void mp_call_timeout(mp_call *call, int64_t timeout)
{
    call->block->timeout = timeout;
}

void mp_call_quiet(mp_call *call)
{
    call->block->quiet = 1;
}

void mp_call_timed(mp_call *call)
{
    call->timed = true;
    call->block->timed = 1;
}

void mp_call_record(mp_call *call, uint32_t function, uint16_t kind)
{
    if (call->pool->record != NULL)
        call->recorded = mp_record_open(call->pool->record, function, kind);
    if (call->recorded != 0)
        mp_call_timed(call);
}

void mp_call_record_as(mp_call *call, uint16_t kind)
{
    if (call->recorded != 0)
        mp_record_rename(call->pool->record, call->recorded, kind);
}

void mp_call_in_runs(mp_call *call, uint32_t flags)
{
    call->in_runs = true;
    call->block->flags |= flags;
}

void mp_call_duplicate(mp_call *call)
{
    call->duplicate = true;
    call->pool->duplicating++;
}

void mp_call_granule(mp_call *call, uint64_t items)
{
    call->granule = items < 1 ? 1 : items > UINT32_MAX ? UINT32_MAX : items;
}

int mp_call_seal(mp_call *call, mp_error *error)
{
    int status = mp_call_flush(call, error);
    call->sealed = true;
    mp_call_check_over(call);
    return status;
}

/* Items that are running stop, those that nobody has taken go. */
static void withdraw_above(mp_call *call)
{
    bool taken = false;
    for (mp_row *row = call->rows, *next; row != NULL; row = next) {
        next = row->next;
        if (row->first + row->done >= call->limit)
            mp_row_withdraw(row);
    }
    for (mp_row *row = call->rows; row != NULL && !taken; row = row->next)
        taken = row->first + row->count > call->limit;
    if (taken && !call->pool->ended)
        call->pool->transport->ops->stop_unwanted(call->pool->transport);
}

static uint64_t count_pending(const mp_call *call)
{
    uint64_t n = mp_below(call->added - call->filled + 1, call->filled, call->limit);
    for (const mp_row *row = call->rows; row != NULL; row = row->next) {
        uint32_t known = row->done + row->answered;
        if (!row->copy || row->twin == NULL)
            n += mp_below(row->first + known, row->count - known, call->limit);
    }
    return n;
}

void mp_call_limit(mp_call *call, uint64_t limit)
{
    if (limit >= call->limit)
        return;
    call->limit = limit;
    mp_store_relaxed(&call->block->limit, limit);
    call->pending = count_pending(call);
    withdraw_above(call);
    mp_call_check_over(call);
}

mp_call_counts mp_call_count(const mp_call *call)
{
    return (mp_call_counts){.added = call->added,
                            .settled = call->added - call->pending,
                            .cancelled = call->added - call->pending - call->told};
}

uint32_t mp_call_kind(const mp_call *call)
{
    return (uint32_t)call->definition->id;
}

void mp_call_free_if_idle(mp_call *call)
{
    mp_pool *pool = call->pool;
    if (!call->released || call->rows != NULL)
        return;
    if (call->next != NULL)
        call->next->previous = call->previous;
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        pool->calls = call->next;
    if (!call->errand) {
        pool->transport->ops->drop(pool->transport, call->block_at, sizeof(mp_call_block));
        mp_undefine(&pool->definitions, call->definition);
    }
    mp_saved_drop(&call->saved);
    mp_free(call);
}

void mp_call_release(mp_call *call)
{
    mp_pool *pool = call->pool;
    if (pool->filling == call)
        pool->filling = NULL;
    call->filled = 0;
    mp_call_limit(call, 0);
    if (call->over && !call->over_told) {
        if (pool->given == GIVEN_OVER && TAILQ_FIRST(&pool->over) == call)
            pool->given = GIVEN_NONE;
        TAILQ_REMOVE(&pool->over, call, telling);
    }
    call->released = true;
    pool->duplicating -= call->duplicate;
    mp_call_free_if_idle(call);
}

/* ---- waiting ---- */

/* Something is to be told that did not arrive. */
static bool has_news(const mp_pool *pool)
{
    return !TAILQ_EMPTY(&pool->over) || (pool->refusal != 0 && !pool->refusal_told);
}

static bool something(mp_pool *pool)
{
    return has_news(pool) || pool->transport->ops->pending(pool->transport);
}

static bool look_until(mp_pool *pool, int64_t until)
{
    do {
        for (int i = 0; i < LOOKS_AT_ONCE; i++) {
            if (something(pool))
                return true;
            mp_relax();
        }
        sched_yield();
    } while (mp_now() < until);
    return false;
}

/* Looks again for a moment where that takes no processor from a worker. */
static bool look(mp_pool *pool, int64_t deadline)
{
    int64_t time =
        pool->transport->ops->may_spin(pool->transport) ? mp_patience_now(&pool->patience) : 0;
    if (time == 0 || mp_now() + time > deadline)
        return false;
    bool found = look_until(pool, mp_now() + time);
    mp_patience_learn(&pool->patience, found);
    return found;
}

/* The descriptor becomes readable then; MP_NEVER: not by the time. */
static void set_alarm(mp_pool *pool, int64_t due)
{
    if (due == MP_NEVER && !pool->alarmed)
        return;
    pool->transport->ops->alarm(pool->transport, due);
    pool->alarmed = due != MP_NEVER;
}

/* Items are out that nobody has, though all workers were born and nothing is on its way:
 * news of them was lost to damage. Seen twice, so that what comes just now is no loss. */
static void listen_in_vain(mp_pool *pool, unsigned *doubts)
{
    mp_transport *t = pool->transport;
    if (!t->ops->doubt(t) || !mp_ledger_has_published(&pool->ledger))
        *doubts = 0;
    else if (++*doubts == 2)
        t->ops->condemn(t);
}

static int listen_long(mp_pool *pool, int64_t deadline, const sigset_t *mask)
{
    mp_transport *t = pool->transport;
    unsigned doubts = 0;
    if (t->ops->doubt == NULL)
        return t->ops->listen(t, deadline, mask);
    for (;;) {
        int64_t now = mp_now();
        int64_t pause = deadline > now + DOUBT_NS ? now + DOUBT_NS : deadline;
        int status = t->ops->listen(t, pause, mask);
        if (status != 0 || pause == deadline)
            return status;
        listen_in_vain(pool, &doubts);
    }
}

/* Results that come while workers go on are better taken in many at a time: reading each as it
 * is written takes the memory that is written from the worker's processor. False where none
 * goes on. */
static bool wait_for_many(mp_pool *pool, int64_t deadline, const sigset_t *mask, int *status)
{
    mp_transport *t = pool->transport;
    if (!TAILQ_EMPTY(&pool->backlog) || pool->duplicating > 0 || t->ops->may_wait == NULL ||
        !t->ops->may_wait(t))
        return false;
    t->ops->arm(t, MP_BELL_LAZY);
    bool waits = !has_news(pool) && t->ops->may_wait(t);
    int64_t latest = mp_now() + MANY_NS;
    if (waits)
        *status = listen_long(pool, latest < deadline ? latest : deadline, mask);
    t->ops->disarm(t);
    if (waits && *status >= 0)
        *status = something(pool);
    return waits;
}

int mp_pool_wait(mp_pool *pool, int64_t deadline, enum mp_bell_mode mode, const sigset_t *mask)
{
    mp_transport *t = pool->transport;
    int status;
    if (mp_pool_push(pool, NULL) < 0 && mp_now() + RETRY_NS < deadline)
        deadline = mp_now() + RETRY_NS;
    if (mp_pool_next_due(pool) < deadline)
        deadline = mp_pool_next_due(pool);
    set_alarm(pool, MP_NEVER);
    if (pool->duplicating > 0) {
        mp_pool_twin(pool);
        deadline = mp_now() + TWIN_NS < deadline ? mp_now() + TWIN_NS : deadline;
    }
    if (mode == MP_BELL_LAZY && wait_for_many(pool, deadline, mask, &status))
        return status;
    if (something(pool))
        return 1;
    if (look(pool, deadline))
        return 1;
    t->ops->arm(t, !TAILQ_EMPTY(&pool->backlog) ? MP_BELL_EAGER : mode);
    status = something(pool) ? 1 : listen_long(pool, deadline, mask);
    t->ops->disarm(t);
    return status < 0 ? status : something(pool);
}

int mp_pool_fd(mp_pool *pool)
{
    pool->watched = true;
    return pool->transport->ops->fd(pool->transport);
}

void mp_pool_rest(mp_pool *pool)
{
    mp_transport *t = pool->transport;
    if (!pool->watched)
        return;
    t->ops->disarm(t);
    t->ops->arm(t, MP_BELL_EAGER);
    int64_t due = mp_pool_next_due(pool);
    if (pool->duplicating > 0 && mp_now() + TWIN_NS < due)
        due = mp_now() + TWIN_NS;
    set_alarm(pool, due);
    if (something(pool))
        t->ops->ring(t);
}

void mp_pool_doubt(mp_pool *pool)
{
    int64_t now = mp_now();
    if (pool->transport->ops->doubt == NULL || !mp_pool_busy(pool) || now < pool->next_doubt)
        return;
    pool->next_doubt = now + DOUBT_NS;
    listen_in_vain(pool, &pool->doubts);
}

const char *mp_pool_reason(const mp_pool *pool)
{
    const mp_transport *t = pool->transport;
    return t->ops->reason != NULL ? t->ops->reason(t) : "";
}

void mp_pool_wake(mp_pool *pool)
{
    pool->transport->ops->ring(pool->transport);
}

/* ---- life ---- */

int mp_pool_want(mp_pool *pool, unsigned workers, mp_error *error)
{
    if (workers > pool->workers)
        workers = pool->workers;
    if (workers < pool->asked)
        workers = pool->asked;
    if (pool->ended)
        return mp_fail(error, -ESHUTDOWN, "no workers for a pool that has ended");
    int status = pool->transport->ops->want(pool->transport, workers, error);
    if (status == 0)
        pool->asked = workers;
    return status;
}

mp_pool_stats mp_pool_count(const mp_pool *pool)
{
    mp_pool_stats s = {.retried = pool->retried, .lost_workers = pool->lost_workers};
    for (const mp_call *call = pool->calls; call != NULL; call = call->next)
        s.pending += call->errand ? 0 : call->pending;
    pool->transport->ops->count(pool->transport, &s.tasks, &s.busy);
    return s;
}

int mp_pool_refresh(mp_pool *pool, mp_error *error)
{
    pool->asked = 0;
    pool->transport->ops->refresh(pool->transport);
    return mp_pool_push(pool, error);
}

int mp_pool_resize(mp_pool *pool, unsigned workers, mp_error *error)
{
    pool->workers = workers;
    pool->asked = pool->asked < workers ? pool->asked : workers;
    pool->transport->ops->resize(pool->transport, workers);
    mp_pool_limit_errands(pool, workers);
    return mp_pool_push(pool, error);
}

bool mp_pool_worker(const mp_pool *pool, unsigned rank, mp_worker_view *view)
{
    return pool->transport->ops->worker(pool->transport, rank, view);
}

/* Whether what that worker runs is an item of the call that is not settled. Of twins the item's own
 * row counts. */
static bool runs_for(const mp_call *call, const mp_worker_view *view)
{
    const mp_row *row = view->item != 0 ? mp_ledger_find(&call->pool->ledger, view->row) : NULL;
    return row != NULL && row->call == call && !row->answered &&
           !(row->copy && row->twin != NULL) && view->item >= row->first + row->done &&
           view->item < call->limit;
}

double mp_call_fractions(const mp_call *call)
{
    double sum = 0;
    mp_worker_view view;
    for (unsigned rank = 0; rank < call->pool->workers; rank++)
        if (mp_pool_worker(call->pool, rank, &view) && view.fraction > 0 && runs_for(call, &view))
            sum += view.fraction;
    return sum;
}

bool mp_pool_crowded(const mp_pool *pool)
{
    uint64_t rows = pool->ledger.live;
    return rows > CROWD_ROWS ||
           (rows > 0 && pool->transport->ops->kept(pool->transport) > CROWD_BYTES);
}

bool mp_pool_busy(const mp_pool *pool)
{
    return pool->ledger.live > 0;
}

void mp_pool_finish(mp_pool *pool)
{
    pool->ended = true;
    pool->transport->ops->finish(pool->transport);
}

void mp_pool_terminate(mp_pool *pool)
{
    pool->ended = true;
    pool->transport->ops->terminate(pool->transport);
    for (mp_call *call = pool->calls; call != NULL; call = call->next) {
        call->sealed = true;
        if (!call->released)
            mp_call_limit(call, 0);
        mp_call_check_over(call);
    }
}

bool mp_pool_join(mp_pool *pool, int64_t deadline)
{
    return pool->transport->ops->gone(pool->transport, deadline);
}
