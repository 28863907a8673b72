/* What pool.c, submit.c and collect.c share; private to them. */
#ifndef MP_POOL_INNER_H
#define MP_POOL_INNER_H

#include "pool/patience.h"
#include "pool/pool.h"

struct mp_call {
    mp_pool *pool;
    void *user;
    mp_definition *definition;
    mp_call_block *block; /* in the task memory */
    uint64_t block_at;
    uint64_t added;   /* items */
    uint64_t told;    /* those whose event is settled, and the skipped ones */
    uint64_t limit;   /* items at or above it are cancelled */
    uint64_t pending; /* items below the limit, not settled */
    mp_row *rows;     /* not settled ones, newest first */
    /* the granule that is being filled */
    mp_buffer *open;
    uint64_t granule; /* items it is to hold */
    uint32_t filled;
    size_t item_at;    /* where the item begun last starts, with its past */
    size_t head_at;    /* where its length stands */
    bool begun;        /* it is not whole yet */
    mp_saved *saved;   /* what the next item starts with, or NULL */
    bool duplicate;    /* its last items may run twice */
    bool in_runs;      /* a granule's items stand or fall together */
    bool timed;        /* workers tell when its items began and ended */
    uint32_t recorded; /* its number in the pool's record, 0: none */
    bool checked;      /* its block, which does not change any more */
    bool sealed, over, released;
    uint64_t errand_at; /* where its mp_errand lies */
    bool errand;        /* for every worker: its bytes stay, and new workers do it, too */
    bool over_told;
    mp_call *next, *previous;     /* all calls of the pool */
    TAILQ_ENTRY(mp_call) telling; /* among those that are over and not told */
};

TAILQ_HEAD(mp_calls_over, mp_call);

enum mp_given {
    GIVEN_NONE,
    GIVEN_OVER,
    GIVEN_REFUSAL,
    GIVEN_ITEM, /* from here on of an arrival, which comes again */
    GIVEN_LOST,
    GIVEN_ORPHAN,
    GIVEN_OTHER,
};

struct mp_pool {
    mp_transport *transport;
    mp_definitions definitions;
    mp_ledger ledger;
    unsigned workers; /* at most */
    unsigned asked;   /* wanted from the transport so far */
    int refusal;      /* negative errno while it cannot start them, else 0 */
    bool refusal_told;
    mp_call *calls;
    mp_call *filling; /* the call whose granule is open */
    struct mp_backlog backlog;
    mp_timers delayed; /* rows that wait for their time */
    uint64_t retried;  /* items given again */
    uint64_t lost_workers;
    unsigned duplicating; /* calls whose last items may run twice */
    struct mp_calls_over over;
    /* the event that was given and not settled */
    enum mp_given given;
    mp_row *given_row;
    mp_arrival arrival;
    mp_record *record; /* NULL: none is kept */
    mp_patience patience;
    bool watched;       /* somebody has the descriptor */
    int64_t next_doubt; /* for mp_pool_doubt */
    unsigned doubts;
    bool alarmed; /* the transport is to make it readable when the first delayed row is due */
    bool ended;   /* finished or terminated */
};

/* transport.h's open, behind whatever granule is being filled. */
mp_buffer *mp_pool_open(mp_pool *pool, mp_error *error);

/* Of the n items from index `first` on, how many lie below the limit. */
static inline uint64_t mp_below(uint64_t first, uint64_t n, uint64_t limit)
{
    return limit <= first ? 0 : limit - first < n ? limit - first : n;
}

/* Before the block is handed out. */
static inline void mp_call_check_block(mp_call *call)
{
    if (!call->checked)
        call->block->check = mp_call_block_check(call->block);
    call->checked = true;
}

/* Puts a fresh row at the end of the backlog and hands out what the ring takes. */
int mp_pool_queue(mp_pool *pool, mp_row *row, mp_error *error);

/* Enters a fresh row into the call. */
void mp_call_link(mp_call *call, mp_row *row);

/* Puts a row that came back at the head of it, and hands out nothing. */
void mp_pool_requeue(mp_pool *pool, mp_row *row);

/* Hands out what waits in the host, and starts workers where work waits. */
int mp_pool_push(mp_pool *pool, mp_error *error);

/* Queues the delayed rows whose time has come, and says when the next is due (MP_NEVER). */
void mp_pool_release_due(mp_pool *pool);
int64_t mp_pool_next_due(const mp_pool *pool);

/* `n` more items of the row are settled; the row goes with its last, and the
 * call is over with its last. */
void mp_row_settle(mp_row *row, uint32_t n);

/* Makes a fresh row, in the call, of a copy of the next item of `row` alone, as this attempt of it;
 * NULL where memory is short. It does not count as pending. */
mp_row *mp_row_copy(mp_row *row, unsigned attempt, mp_error *error);

/* Gives running items to idle workers, too. */
void mp_pool_twin(mp_pool *pool);

/* Parts twins: the other one, or NULL. */
mp_row *mp_row_part(mp_row *row);

/* The row's next item is decided: nothing its twin does matters. */
void mp_row_decide(mp_row *row);

/* True if the row has a twin, which alone goes on with its next item. */
bool mp_row_give_way(mp_row *row);

/* Makes a row of the next item of `row` alone, its next attempt, which is queued when it
 * is due: 0; 1 where its twin goes on instead; -ECANCELED where nobody wants the item, or
 * another negative errno. */
int mp_row_again(mp_row *row, int64_t due, mp_error *error);

/* What is left of the row is cancelled, if nobody can have it. */
bool mp_row_withdraw(mp_row *row);

/* Puts the call among those that are over, once, if nothing is to come. */
void mp_call_check_over(mp_call *call);

/* For the record: `n` items more or less of the row's call wait for a worker. */
static inline void mp_row_note_wait(const mp_row *row, int64_t n)
{
    if (row->call->recorded != 0 && !row->bound)
        mp_record_wait(row->call->pool->record, n);
}

/* For the record: what has come of the row's next item, which nobody wants any more where
 * `dropped`. */
void mp_row_note(mp_row *row, const mp_arrival *a, bool dropped);

/* For the record: its next item is done, and so are the n behind it, whose times lie behind their
 * results. */
void mp_row_note_run(mp_row *row, const mp_arrival *a, const mp_result_frame results[], unsigned n);

/* Whether a worker has begun what this row of an errand waits for. */
bool mp_row_begun(const mp_row *row);

/* Ranks from `workers` on are gone: what errands wait for of them is cancelled. */
void mp_pool_limit_errands(mp_pool *pool, unsigned workers);

/* Frees a released call that has no rows left. */
void mp_call_free_if_idle(mp_call *call);

/* The bytes of item `number` (from 0, not below those asked for before) of the row. */
const unsigned char *mp_row_item(mp_row *row, uint32_t number, size_t *size);

#endif
