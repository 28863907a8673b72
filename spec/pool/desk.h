/* A pool over the loopback, a handler whose items say what is to become of them,
 * and a count of all that comes of each call.
 *
 * An item is a word: its first letter says whether it is done ('d', the result is
 * the word itself), fails ('f', so is the failure) or finds no memory ('n'). */
#ifndef MP_SPEC_POOL_DESK_H
#define MP_SPEC_POOL_DESK_H

#include "pool/pool.h"
#include "spec/support/check.h"
#include "spec/support/loopback.h"

#include <errno.h>
#include <stdlib.h>

enum { DESK_ITEMS = 20000, NEVER_MANY = 1000000 };

/* One call and what came of it. */
typedef struct matter {
    mp_call *call;
    uint64_t done, failed, lost, no_room, damaged, over;
    uint64_t twice, wrong, late;        /* events that should not have been */
    unsigned char seen[DESK_ITEMS + 1]; /* events of an item */
    unsigned char runs[DESK_ITEMS + 1]; /* how often the handler ran it */
    uint64_t order[32];                 /* indexes of the first events */
    unsigned ordered;
    int32_t lost_pid;
    int lost_status;
} matter;

static loopback *desk_loop;
static mp_pool *desk_pool;
static unsigned desk_troubles;
static mp_event desk_trouble;
static matter *desk_matters[64]; /* by the flags of their calls, whence the handler knows them */
static unsigned desk_count;

static inline int desk_run(void *ctx, mp_task *task, mp_buffer *out)
{
    (void)ctx;
    matter *m = desk_matters[task->block->flags];
    m->runs[task->index]++;
    if (task->bytes[0] == 'n')
        return -ENOSPC;
    if (mp_buffer_append(out, task->bytes, task->size) < 0)
        return -ENOMEM;
    return task->bytes[0] == 'f' ? MP_TASK_FAILED : MP_TASK_DONE;
}

static inline void desk_open(unsigned workers)
{
    static const mp_handler handler = {.run = desk_run};
    mp_error error = {0};
    desk_loop = loopback_new(workers, &handler);
    desk_pool = mp_pool_new(&desk_loop->base, workers, &error);
    desk_count = desk_troubles = 0;
}

static inline void desk_close(void)
{
    mp_pool_free(desk_pool);
    for (unsigned i = 0; i < desk_count; i++)
        free(desk_matters[i]);
}

/* A call of granules of so many items. */
static inline matter *desk_call(uint64_t granule)
{
    mp_error error = {0};
    matter *m = calloc(1, sizeof *m);
    desk_matters[desk_count] = m;
    mp_definition *d = mp_define_in_hand(mp_pool_definitions(desk_pool), &error);
    m->call = mp_call_open(desk_pool, d, desk_count++, m, &error);
    mp_call_granule(m->call, granule);
    return m;
}

static inline int desk_add(matter *m, const char *word)
{
    mp_error error = {0};
    mp_buffer *b = mp_call_begin_item(m->call, &error);
    if (b == NULL)
        return error.code;
    int status = mp_buffer_append(b, word, strlen(word));
    return status < 0 ? status : mp_call_end_item(m->call, &error);
}

/* So many items, each a word of its own length; `letter` tells what becomes of them. */
static inline void desk_add_many(matter *m, char letter, unsigned n)
{
    char word[40] = {letter};
    for (unsigned i = 0; i < n; i++) {
        memset(word + 1, 'x', i % 32);
        word[1 + i % 32] = '\0';
        CHECK_EQ_INT(desk_add(m, word), 0);
    }
}

static inline void desk_seal(matter *m)
{
    mp_error error = {0};
    CHECK_EQ_INT(mp_call_seal(m->call, &error), 0);
}

static inline uint64_t desk_told(const matter *m)
{
    return m->done + m->failed + m->lost + m->no_room + m->damaged;
}

static inline void desk_note(const mp_event *e)
{
    matter *m = e->user;
    bool item = e->kind != MP_EVENT_CALL_OVER;
    m->late += m->over > 0;
    m->done += e->kind == MP_EVENT_DONE;
    m->failed += e->kind == MP_EVENT_FAILED;
    m->lost += e->kind == MP_EVENT_LOST;
    m->no_room += e->kind == MP_EVENT_NO_ROOM;
    m->damaged += e->kind == MP_EVENT_DAMAGED;
    m->over += !item;
    if (!item)
        return;
    m->twice += m->seen[e->index]++ > 0;
    if (m->ordered < sizeof m->order / sizeof m->order[0])
        m->order[m->ordered++] = e->index;
    if (e->kind == MP_EVENT_LOST) {
        m->lost_pid = e->pid;
        m->lost_status = e->status;
    }
    const unsigned char *word = e->kind == MP_EVENT_DONE ? e->data : e->item;
    size_t size = e->kind == MP_EVENT_DONE ? e->size : e->item_size;
    char letter = e->kind == MP_EVENT_FAILED ? 'f' : e->kind == MP_EVENT_NO_ROOM ? 'n' : 'd';
    m->wrong += size == 0 || (word[0] != letter && e->kind < MP_EVENT_LOST);
}

/* Takes one event in; false if there is none. */
static inline bool desk_take(void)
{
    mp_event e;
    if (!mp_pool_next(desk_pool, &e))
        return false;
    if (e.kind == MP_EVENT_TROUBLE) {
        desk_troubles++;
        desk_trouble = e;
    } else {
        desk_note(&e);
    }
    mp_pool_settle(desk_pool);
    return true;
}

static inline void desk_drain(void)
{
    int left = NEVER_MANY;
    while (desk_take() && --left > 0)
        continue;
    CHECK(left > 0);
}

/* That every item but the skipped ones ended once, in an event or in being cancelled, and the
 * call too. */
static inline void desk_check_with(const matter *m, uint64_t added, uint64_t skipped)
{
    mp_call_counts counts = mp_call_count(m->call);
    CHECK_EQ_INT(counts.added, added);
    CHECK_EQ_INT(counts.settled, added);
    CHECK_EQ_INT(desk_told(m) + counts.cancelled, added - skipped);
    CHECK_EQ_INT(m->over, 1);
    CHECK_EQ_INT(m->twice + m->wrong + m->late, 0);
    for (uint64_t i = 1; i <= added && i <= DESK_ITEMS; i++)
        if (m->runs[i] > 1)
            CHECK_EQ_INT(m->runs[i], 1);
}

static inline void desk_check(const matter *m, uint64_t added)
{
    desk_check_with(m, added, 0);
}

/* That nothing is left where all calls are released: of the task memory only what
 * definitions that nobody uses keep. */
static inline void desk_check_empty(void)
{
    CHECK(!mp_pool_busy(desk_pool));
    CHECK_EQ_INT(desk_loop->pieces, 0);
    CHECK_EQ_INT(desk_loop->waiting, 0);
}

#endif
