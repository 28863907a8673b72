/* Queues: see queue.h.
 *
 * A message is there from the store of its segment's `end` on; the counts follow, and
 * are made from the messages where a death came between. */
#include "shm/queue.h"

#include "shm/doorbell.h"
#include "shm/segments.h"
#include "shm/wake.h"

#include <limits.h>
#include <string.h>

enum { SPINS = 200, ATTEMPTS = 5 };

static const int64_t attempt = 1000000; /* nanoseconds */

/* ---- those that wait ---- */

uint32_t mp_waiters_enter(mp_waiters *w)
{
    uint32_t since = mp_load_acquire(&w->events);
    mp_add_relaxed(&w->slept, 1);
    mp_fence();
    return since;
}

void mp_waiters_sleep(mp_waiters *w, uint32_t since, int64_t nanoseconds)
{
    mp_futex_sleep(&w->events, since, nanoseconds);
}

/* It happened: wakes n of them. Who begins to sleep behind the look at `slept` sees that `events`
 * has changed. */
static void tell(mp_waiters *w, int n)
{
    mp_add_relaxed(&w->events, 1);
    mp_fence();
    uint32_t slept = mp_load_relaxed(&w->slept);
    if (slept != mp_load_relaxed(&w->woken) && mp_futex_wake(&w->events, n) < n)
        mp_store_relaxed(&w->woken, slept);
}

/* ---- the guard ---- */

static bool spin(mp_lock *guard, uint32_t me)
{
    for (int i = 0; i < SPINS; i++) {
        if (mp_load_relaxed(&guard->word) == 0 && mp_cas_u32(&guard->word, 0, me))
            return true;
        mp_relax();
    }
    return false;
}

/* False where its holder, who lives, keeps it for long: one that was stopped. */
static bool enter(mp_cell_name name, mp_queue *q)
{
    uint32_t me = mp_session_self(NULL);
    if (spin(&q->guard, me))
        return true;
    for (int i = 0; i < ATTEMPTS; i++) {
        enum mp_lock_try got = mp_lock_try(&q->guard, me, i > 0);
        if (got == MP_LOCK_ABANDONED)
            mp_segments_mend(name);
        if (got != MP_LOCK_HELD)
            return true;
        mp_lock_sleep(&q->guard, attempt);
    }
    return false;
}

static void leave(mp_queue *q)
{
    mp_lock_release(&q->guard);
}

/* ---- putting ---- */

static bool is_full(const mp_queue *q)
{
    return q->most > 0 && mp_load_relaxed(&q->count) >= q->most;
}

static int put_small(mp_cell_name name, const void *bytes, size_t size, mp_error *error)
{
    mp_queue *q = mp_cell_content(name);
    int status = mp_segment_ensure(name, size, error);
    if (status < 0)
        return status;
    mp_item *item = mp_item_at(q->tail, mp_load_relaxed(&mp_segment_at(q->tail)->end));
    *item = (mp_item){.size = size};
    memcpy(item + 1, bytes, size);
    mp_segment *tail = mp_segment_at(q->tail);
    mp_store_release(&tail->end, mp_load_relaxed(&tail->end) + mp_item_room(size));
    mp_item_count(q, item);
    return MP_QUEUE_DONE;
}

/* The copy is made where nobody waits for it. Leaves the guard. */
static int put_large(mp_cell_name name, const void *bytes, size_t size, mp_error *error)
{
    mp_queue *q = mp_cell_content(name);
    mp_cell_name spare = mp_segment_reuse(name, size), made;
    leave(q);
    int status = mp_segment_prepare(spare, bytes, size, &made, error);
    if (status < 0)
        return status;
    bool entered = enter(name, q), full = entered && is_full(q);
    if (!entered && q->most == 0) {
        mp_segment_put_beside(name, made);
        return MP_QUEUE_DONE;
    }
    if (!entered || full) {
        if (full)
            leave(q);
        mp_cell_drop(made);
        return full ? MP_QUEUE_NOT_NOW : MP_QUEUE_BUSY;
    }
    mp_segment_link(name, made);
    mp_item_count(q, mp_item_at(q->tail, 0));
    leave(q);
    return MP_QUEUE_DONE;
}

static void tell_of_message(mp_queue *q)
{
    tell(&q->messages, 1);
    if (mp_load_relaxed(&q->watched) != 0 && mp_exchange(&q->watched, 0) != 0)
        mp_doorbell_ring();
}

/* A bound can be kept under the guard only. */
static int put_beside(mp_cell_name name, const void *bytes, size_t size, mp_error *error)
{
    mp_queue *q = mp_cell_content(name);
    mp_cell_name none = {UINT32_MAX, 0}, made;
    if (q->most > 0)
        return MP_QUEUE_BUSY;
    int status = mp_segment_prepare(none, bytes, size, &made, error);
    if (status < 0)
        return status;
    mp_segment_put_beside(name, made);
    tell_of_message(q);
    return MP_QUEUE_DONE;
}

int mp_queue_put(mp_cell_name name, const void *bytes, size_t size, mp_error *error)
{
    mp_queue *q = mp_cell_content(name);
    if (is_full(q))
        return MP_QUEUE_NOT_NOW;
    if (!enter(name, q))
        return put_beside(name, bytes, size, error);
    mp_segments_merge(name);
    mp_segments_reclaim(name);
    int status = is_full(q) ? MP_QUEUE_NOT_NOW : MP_QUEUE_DONE;
    if (status == MP_QUEUE_DONE && size >= MP_SEGMENT_LARGE) {
        status = put_large(name, bytes, size, error);
    } else {
        if (status == MP_QUEUE_DONE)
            status = put_small(name, bytes, size, error);
        leave(q);
    }
    if (status == MP_QUEUE_DONE)
        tell_of_message(q);
    return status;
}

/* ---- taking ---- */

/* The first message that can be taken. */
static mp_item *find(mp_queue *q, mp_message *message)
{
    while (q->next != 0) {
        mp_segment *s = mp_segment_at(q->next);
        uint64_t end = mp_load_acquire(&s->end);
        for (; s->scan < end; s->scan += mp_item_room(mp_item_at(q->next, s->scan)->size)) {
            mp_item *item = mp_item_at(q->next, s->scan);
            if (mp_load_acquire(&item->state) != 0)
                continue;
            *message =
                (mp_message){(const unsigned char *)(item + 1), item->size, q->next, s->scan};
            return item;
        }
        if (s->next == 0)
            break;
        q->next = s->next;
    }
    return NULL;
}

/* Where there is nothing, there may be what dead readers have taken. */
static void recover(mp_queue *q)
{
    if (mp_load_relaxed(&q->count) == 0)
        mp_store_release(&q->count, mp_segments_recover(q));
}

static bool take(mp_cell_name name, mp_queue *q, mp_message *message)
{
    mp_segments_merge(name);
    mp_segments_reclaim(name);
    recover(q);
    mp_item *item = find(q, message);
    if (item == NULL)
        return false;
    mp_store_release(&item->state, mp_session_self(NULL));
    mp_segment_at(message->segment)->scan += mp_item_room(item->size);
    mp_store_release(&q->count, mp_load_relaxed(&q->count) - 1);
    return true;
}

int mp_queue_take(mp_cell_name name, mp_message *message)
{
    mp_queue *q = mp_cell_content(name);
    if (!enter(name, q))
        return MP_QUEUE_BUSY;
    bool taken = take(name, q, message);
    leave(q);
    if (taken && q->most > 0)
        tell(&q->room, 1);
    return taken ? MP_QUEUE_DONE : MP_QUEUE_NOT_NOW;
}

bool mp_queue_has(const mp_queue *q)
{
    return mp_load_acquire(&q->count) > 0 || mp_load_acquire(&q->beside) != 0;
}

uint32_t mp_queue_look(mp_cell_name name)
{
    mp_queue *q = mp_cell_content(name);
    bool unseen = mp_load_acquire(&q->count) == 0 || mp_load_acquire(&q->beside) != 0;
    if (unseen && enter(name, q)) {
        mp_segments_merge(name);
        recover(q);
        leave(q);
    }
    return mp_load_acquire(&q->count);
}

bool mp_queue_arrived(mp_cell_name name, uint64_t number)
{
    mp_queue *q = mp_cell_content(name);
    if (!enter(name, q))
        return false;
    mp_segments_reclaim(name);
    const mp_segment *s = q->head == 0 ? NULL : mp_segment_at(q->head);
    bool empty = s == NULL || s->head >= mp_load_relaxed(&s->end);
    bool arrived = empty || mp_item_at(q->head, s->head)->number > number;
    leave(q);
    return arrived;
}

void mp_queue_done(mp_cell_name name, const mp_message *message)
{
    mp_queue *q = mp_cell_content(name);
    mp_store_release(&mp_item_at(message->segment, message->at)->state, MP_ITEM_DONE);
    if (message->size >= MP_SEGMENT_LARGE && enter(name, q)) {
        mp_segments_reclaim(name);
        leave(q);
    }
}

void mp_queue_give_back(mp_cell_name name, const mp_message *message)
{
    mp_queue *q = mp_cell_content(name);
    while (!enter(name, q))
        continue;
    mp_store_release(&mp_item_at(message->segment, message->at)->state, 0);
    mp_segment_at(message->segment)->scan = mp_segment_at(message->segment)->head;
    q->next = q->head;
    mp_store_release(&q->count, mp_load_relaxed(&q->count) + 1);
    leave(q);
    tell_of_message(q);
}

/* ---- finishing ---- */

bool mp_queue_finish(mp_queue *q)
{
    uint64_t finished = mp_load_acquire(&q->finished);
    do
        if (finished >= mp_load_acquire(&q->put))
            return false;
    while (!atomic_compare_exchange_weak_explicit(&q->finished, &finished, finished + 1,
                                                  memory_order_acq_rel, memory_order_acquire));
    if (mp_queue_is_finished(q))
        tell(&q->finish, INT_MAX);
    return true;
}

bool mp_queue_is_finished(const mp_queue *q)
{
    return mp_load_acquire(&q->finished) >= mp_load_acquire(&q->put);
}
