/* A worker's life: see worker.h; the order in which it writes its record, and
 * why, stands in control.h.
 *
 * Invariants: an item is begun (begun_item) before its handler runs, and its
 * result is published before the next is begun; the worker never sleeps while a
 * granule is READY; it waits for room in its result ring rather than drop
 * anything; it does each errand (wire.h) once, in order, before any granule that was
 * published behind it. */
#include "pool/worker_inner.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "pool/handed.h"
#include "pool/stopper.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

enum {
    BATCH_NS = 40000,     /* how much work to claim at once, once its cost is known */
    LOOKS_AT_ONCE = 16,   /* how long to look for work before sleeping */
    IDLE_KEEP = 32 << 20, /* bytes of result memory that an idle worker keeps */
    EXIT_BROKEN = 70,
    TELLING_PART = 16, /* of the ring: how much more the host is told of at once */
};

/* ---- items ---- */

/* A lazy host hears now of the results that lie there. */
static void speak_up(worker *w)
{
    mp_worker_ring(w);
    w->unheard = 0;
}

/* Leaves; its seat is filled again while it is wanted. */
_Noreturn static void retire(worker *w)
{
    w->handler->finish(w->handler->ctx);
    mp_store_release(&w->seat->phase, MP_PHASE_RETIRED);
    mp_worker_ring(w);
    _exit(0);
}

/* An item of a timed call begins, where the one before has ended. */
static void note_begin(worker *w)
{
    if (w->times.began == 0 || w->waited)
        w->times.began = mp_now();
    w->waited = false;
    mp_store_relaxed(&w->seat->began, w->times.began);
}

/* Opens the frame of the item's result; the item runs from here on. */
static void open_item(worker *w, const mp_task *task)
{
    mp_worker_open_frame(w);
    w->writing = true;
    w->index = task->index;
    if (task->block->timed != 0)
        note_begin(w);
    mp_stopper_begin(task->block->timeout);
}

static void publish_no_room(worker *w, int32_t code, bool timed)
{
    unsigned char bytes[sizeof code + sizeof w->times];
    memcpy(bytes, &code, sizeof code);
    memcpy(bytes + sizeof code, &w->times, sizeof w->times);
    mp_result_discard(&w->writer);
    mp_worker_publish_small(w, MP_FRAME_NO_ROOM, bytes, timed ? sizeof bytes : sizeof code);
}

static void publish_outcome(worker *w, int outcome, bool late, bool timed)
{
    if (late && outcome != MP_TASK_FAILED)
        w->writer.out.len = 0;
    int status = late || outcome >= 0 ? 0 : outcome;
    if (timed && status == 0)
        status = mp_buffer_append(&w->writer.out, &w->times, sizeof w->times);
    if (status < 0)
        publish_no_room(w, status, timed);
    else if (late)
        mp_result_publish(&w->writer, MP_FRAME_TIMEOUT);
    else
        mp_result_publish(&w->writer, outcome == MP_TASK_DONE ? MP_FRAME_DONE : MP_FRAME_FAILED);
}

/* The host should hear of what it has not read; it is told again when that is much more. */
static bool fills_up(worker *w)
{
    uint64_t tail = mp_load_relaxed(&w->writer.shared->tail);
    if (tail - w->told < w->writer.capacity / TELLING_PART || !mp_result_filling(&w->writer))
        return false;
    w->told = tail;
    return true;
}

static void close_item(worker *w, const mp_task *task, int outcome)
{
    bool late = mp_stopper_end(), timed = task->block->timed != 0;
    int64_t ended = w->times.ended = timed ? mp_now() : 0;
    if (w->held_back.data != NULL)
        outcome = mp_worker_put_back(w, outcome);
    w->writing = false;
    MP_FAILPOINT("result.before");
    publish_outcome(w, outcome, late, timed);
    MP_FAILPOINT("result.after");
    w->times.began = ended;
    if (w->texts.len > 0)
        mp_worker_publish_texts(w);
    w->index = 0;
    if (late || outcome != MP_TASK_DONE || fills_up(w))
        mp_worker_ring(w);
    else if (task->block->quiet == 0)
        mp_bell_ring(&w->segment->bell, false);
    if (outcome != MP_TASK_DONE && w->handler->worn != NULL && w->handler->worn(w->handler->ctx))
        retire(w); /* what it holds and has not begun runs elsewhere */
}

/* The next item may run. It is entered as begun before its call's limit is read: who
 * lowers that and then looks what runs finds it, or it does not run. */
static bool may_begin(worker *w, const mp_call_block *block, uint64_t index)
{
    mp_store_release(&w->seat->begun_item, index);
    return index < mp_load_relaxed(&block->limit);
}

/* Begins the next item of the run; false where none is left to begin. */
static bool begin_next(worker *w, mp_task *task)
{
    const mp_granule *g = w->run.granule;
    if (w->run.next == g->count)
        return false;
    uint32_t i = w->run.next;
    task->index = g->first + i;
    w->run.next = g->count;
    if (!may_begin(w, task->block, task->index)) {
        mp_worker_publish_skipped(w, g->count - i);
        return false;
    }
    mp_store_relaxed(&w->seat->items, mp_load_relaxed(&w->seat->items) + 1);
    MP_FAILPOINT("item.begun");
    task->first = i == 0;
    task->last = i + 1 == g->count;
    if (w->run.at != NULL && !mp_handed_item(w->tasks, &w->run.at, task)) {
        w->run.whole = false;
        return false;
    }
    w->run.next = i + 1;
    open_item(w, task);
    return true;
}

static bool next_item(mp_task *task)
{
    worker *w = task->worker;
    close_item(w, task, MP_TASK_DONE);
    w->run.under_way = begin_next(w, task);
    return w->run.under_way;
}

/* False where what was handed out is damaged. */
static bool run_items(worker *w, const mp_granule *g)
{
    mp_task task = {
        .block = mp_handed_block(w->tasks, g->call), .attempt = 1, .next = next_item, .worker = w};
    if (task.block->definition_at != MP_IN_HAND)
        task.definition = w->tasks->base + task.block->definition_at;
    w->row = g->row;
    w->run.granule = g;
    w->run.next = 0;
    w->run.at = g->payload != MP_MADE ? w->tasks->base + g->payload : NULL;
    w->run.whole = true;
    while (begin_next(w, &task)) {
        w->run.under_way = true;
        int outcome = w->handler->run(w->handler->ctx, &task, &w->writer.out);
        if (w->run.under_way)
            close_item(w, &task, outcome);
    }
    return w->run.whole;
}

static void run_granule(worker *w, const mp_granule *g)
{
    if (w->unheard != 0 && w->unheard != g->call)
        speak_up(w); /* that call may have got its last results, and this one take long */
    w->unheard = g->call;
    bool whole = mp_handed_whole(w->tasks, g);
    if (whole) {
        mp_worker_publish_row(w, g->row, g->first);
        whole = run_items(w, g);
    }
    if (!whole)
        mp_worker_publish_small(w, MP_FRAME_DAMAGED, NULL, 0);
}

/* ---- claims ---- */

/* Takes one granule into the record; false if none is READY. */
static bool claim_one(worker *w)
{
    uint64_t position;
    mp_granule *g = &w->held[w->holding];
    if (mp_task_ring_claim(&w->segment->ring, &w->seat->note, w->incarnation, 1, g, &position) == 0)
        return false;
    w->seat->rows[w->holding] = g->row;
    if (w->holding == 0) {
        mp_store_relaxed(&w->seat->call, g->call);
        mp_store_relaxed(&w->seat->begun, 0);
        mp_store_relaxed(&w->seat->begun_item, g->first);
    }
    w->holding++;
    MP_FAILPOINT("claim.recorded");
    mp_store_release(&w->seat->held, w->holding);
    MP_FAILPOINT("claim.noted");
    mp_task_ring_release(&w->segment->ring, position);
    return true;
}

static uint64_t fair_share(const worker *w)
{
    uint32_t wanted = (uint32_t)mp_load_relaxed(&w->segment->control->wanted);
    return mp_task_ring_waiting(&w->segment->ring) / (2 * (uint64_t)(wanted > 0 ? wanted : 1));
}

/* Granules to hold at once when the first is `g`: more than one only where work
 * of its kind was measured, is short, and much of it is left. */
static unsigned plan_batch(const worker *w, const mp_granule *g)
{
    uint64_t cost = mp_load_relaxed(&w->seat->item_cost);
    if (mp_load_relaxed(&w->seat->kind) != g->flags || cost == 0)
        return 1;
    uint64_t fit = BATCH_NS / (cost * g->count + 1);
    uint64_t share = fair_share(w);
    uint64_t n = fit < share ? fit : share;
    return n >= MP_HOLD_MAX ? MP_HOLD_MAX : n < 1 ? 1 : (unsigned)n;
}

/* Items that the worker has run and holds. */
static bool is_spent(const worker *w)
{
    uint64_t items = mp_load_relaxed(&w->seat->items);
    for (unsigned i = 0; i < w->holding; i++)
        items += w->held[i].count;
    return w->handler->max_items != 0 && items >= w->handler->max_items;
}

static bool claim_batch(worker *w)
{
    w->holding = 0;
    if (!claim_one(w))
        return false;
    unsigned plan = plan_batch(w, &w->held[0]);
    while (w->holding < plan && w->held[w->holding - 1].flags == w->held[0].flags && !is_spent(w))
        if (!claim_one(w))
            break;
    return true;
}

/* ---- errands ---- */

static mp_errand *next_errand(const worker *w)
{
    uint64_t at = mp_load_acquire(w->errand);
    return at != 0 ? (void *)(uintptr_t)(w->tasks->base + at - 1) : NULL;
}

static void run_errand(worker *w, mp_errand *e)
{
    const mp_call_block *block = mp_handed_block(w->tasks, e->call);
    uint32_t rank = mp_load_relaxed(&w->seat->rank);
    uint64_t row = rank < e->ranks ? mp_load_relaxed(&e->rows[rank]) : MP_NOBODY;
    const unsigned char *at = w->tasks->base + e->payload;
    mp_task task = {.block = block,
                    .definition = w->tasks->base + block->definition_at,
                    .index = (uint64_t)rank + 1,
                    .first = true,
                    .last = true,
                    .unheard = row == MP_NOBODY};
    if (row == MP_NOBODY && mp_load_acquire(&e->vain) != 0)
        return;
    w->row = row;
    mp_store_release(&w->seat->errand, row);
    if (rank < e->ranks)
        mp_store_release(&e->rows[rank], MP_NOBODY);
    MP_FAILPOINT("errand.begun");
    mp_worker_publish_row(w, row, task.index);
    w->times.began = 0;
    if (mp_handed_item(w->tasks, &at, &task)) {
        open_item(w, &task);
        close_item(w, &task, w->handler->run(w->handler->ctx, &task, &w->writer.out));
    } else {
        mp_worker_publish_small(w, MP_FRAME_DAMAGED, NULL, 0);
    }
    mp_store_relaxed(&w->seat->shown_item, 0);
    mp_store_release(&w->seat->errand, 0);
    MP_FAILPOINT("errand.done");
    w->unheard = e->call;
}

static void run_errands(worker *w)
{
    for (mp_errand *e = next_errand(w); e != NULL; e = next_errand(w)) {
        w->errand = &e->next;
        run_errand(w, e);
    }
}

/* ---- batches ---- */

static void note_cost(worker *w, int64_t elapsed, uint64_t items)
{
    uint64_t cost = (uint64_t)elapsed / (items > 0 ? items : 1) + 1;
    uint32_t kind = w->held[0].flags;
    if (mp_load_relaxed(&w->seat->kind) == kind && mp_load_relaxed(&w->seat->item_cost) != 0)
        cost = (mp_load_relaxed(&w->seat->item_cost) * UINT64_C(3) + cost) / 4;
    mp_store_relaxed(&w->seat->kind, kind);
    mp_store_relaxed(&w->seat->item_cost, cost > UINT32_MAX ? UINT32_MAX : (uint32_t)cost);
}

/* The pool closes once it is done, or does not want this worker any more. */
static bool is_dismissed(const worker *w)
{
    const mp_control *c = w->segment->control;
    return mp_load_acquire(&c->wanted) > 0 && !mp_seat_wanted(c, w->seat);
}

/* Behind the claim: errands that were posted before what it claimed come first; and what
 * this worker is not to have any more (its function may be in hand of others only) goes
 * back by way of its record. */
static void look_up(worker *w)
{
    if (!is_dismissed(w) && next_errand(w) == NULL)
        return;
    mp_store_release(&w->seat->aside, 1);
    MP_FAILPOINT("batch.aside");
    if (!is_dismissed(w))
        run_errands(w);
    if (is_dismissed(w))
        retire(w);
    mp_store_release(&w->seat->aside, 0);
}

static void run_batch(worker *w)
{
    look_up(w);
    int64_t start = mp_now();
    uint64_t items = 0;
    mp_store_relaxed(&w->seat->claims, mp_load_relaxed(&w->seat->claims) + 1);
    mp_store_relaxed(&w->seat->before, mp_load_relaxed(&w->seat->items));
    mp_store_relaxed(&w->seat->busy_since, start);
    w->times.began = start;
    for (unsigned i = 0; i < w->holding; i++) {
        if (i > 0) {
            mp_store_relaxed(&w->seat->call, w->held[i].call);
            atomic_store_explicit(&w->seat->begun_item, w->held[i].first, memory_order_relaxed);
            mp_store_release(&w->seat->begun, i);
        }
        run_granule(w, &w->held[i]);
        items += w->held[i].count;
    }
    int64_t end = mp_now(), elapsed = end - start;
    note_cost(w, elapsed, items);
    mp_spans_add(w->spans, start, end, (uint32_t)items, (int32_t)w->times.pid);
    mp_store_relaxed(&w->seat->busy_since, 0);
    mp_store_relaxed(&w->seat->began, 0);
    mp_store_release(&w->seat->busy, mp_load_relaxed(&w->seat->busy) + elapsed);
    mp_store_release(&w->seat->held, 0);
    mp_bell_ring(&w->segment->bell, false);
    MP_FAILPOINT("batch.done");
    w->holding = 0;
    if (is_spent(w) || is_dismissed(w))
        retire(w);
}

/* ---- waiting ---- */

/* Looking again costs nobody anything while there is a processor to spare. */
static bool may_look(const worker *w)
{
    mp_control *c = w->segment->control;
    unsigned wanted = (unsigned)mp_load_relaxed(&c->wanted);
    unsigned sleepers = mp_segment_sleepers(w->segment);
    unsigned awake = wanted > sleepers ? wanted - sleepers : 1;
    bool host_awake = mp_load_relaxed(&c->bell.armed) == MP_BELL_OFF;
    return (long)awake + host_awake <= w->segment->processors;
}

static bool work_waits(const worker *w)
{
    return mp_task_ring_waiting(&w->segment->ring) > 0;
}

/* Looks until a granule is claimed: true, or the time is over. Whoever else wants
 * this processor gets it in between. */
static bool look_until(worker *w, int64_t until)
{
    do {
        for (int i = 0; i < LOOKS_AT_ONCE; i++) {
            if (work_waits(w) && claim_batch(w))
                return true;
            mp_relax();
        }
        sched_yield();
    } while (mp_now() < until);
    return false;
}

/* True if a granule was claimed while looking. */
static bool look(worker *w)
{
    int64_t time = may_look(w) ? mp_patience_now(&w->patience) : 0;
    if (time == 0)
        return false;
    mp_control *c = w->segment->control;
    mp_seat_mark(c->looking, w->number);
    bool found = look_until(w, mp_now() + time);
    mp_seat_unmark(c->looking, w->number);
    mp_patience_learn(&w->patience, found);
    if (found && work_waits(w))
        mp_segment_rouse(w->segment); /* somebody may have counted on this look */
    return found;
}

static void sleep_until_called(worker *w)
{
    mp_control *c = w->segment->control;
    mp_bed_lie_down(&w->seat->bed);
    mp_seat_mark(c->sleeping, w->number);
    mp_fence();
    if (!work_waits(w) && mp_load_acquire(&c->closing) == 0 && !is_dismissed(w) &&
        next_errand(w) == NULL)
        mp_bed_sleep(&w->seat->bed, -1);
    MP_FAILPOINT("worker.woken");
    mp_bed_rise(&w->seat->bed);
    mp_seat_unmark(c->sleeping, w->number);
}

static void idle(worker *w)
{
    if (w->unheard != 0)
        speak_up(w);
    if (look(w)) {
        run_batch(w);
        return;
    }
    bool closing = mp_load_acquire(&w->segment->control->closing) != 0;
    if (is_dismissed(w) || (closing && !work_waits(w)))
        retire(w);
    if (mp_load_relaxed(&w->writer.shared->tail) == mp_load_acquire(&w->writer.shared->head))
        mp_result_trim(&w->writer, IDLE_KEEP);
    sleep_until_called(w);
}

static bool set_up(worker *w, mp_region *results)
{
    mp_store_relaxed(&w->seat->held, 0);
    mp_store_relaxed(&w->seat->aside, 0);
    mp_store_relaxed(&w->seat->errand, 0);
    mp_store_relaxed(&w->seat->items, 0);
    mp_store_relaxed(&w->seat->before, 0);
    mp_store_relaxed(&w->seat->shown_item, 0);
    mp_store_relaxed(&w->seat->busy_since, 0);
    mp_store_relaxed(&w->seat->began, 0);
    mp_store_relaxed(&w->seat->item_cost, 0);
    mp_bed_rise(&w->seat->bed);
    mp_store_relaxed(&w->seat->rung, UINT64_MAX);
    if (mp_robust_lock(&w->seat->alive, mp_deadline(1)) < 0 ||
        mp_result_writer_init(&w->writer, results, NULL) < 0)
        return false;
    w->told = mp_load_relaxed(&w->writer.shared->tail);
    w->times.pid = getpid();
    w->spans = mp_result_notes(results);
    mp_worker_lend(w);
    return true;
}

static void work(void *arg)
{
    worker *w = arg;
    mp_birth birth = {.tell = mp_worker_tell,
                      .show = mp_worker_show,
                      .teller = w,
                      .seat = w->number,
                      .host_pid = w->segment->control->host_pid,
                      .output = &w->segment->control->output};
    w->handler->start(w->handler->ctx, &birth);
    run_errands(w);
    mp_store_release(&w->seat->phase, MP_PHASE_READY);
    for (;;) {
        if (!is_dismissed(w))
            run_errands(w);
        if (claim_batch(w))
            run_batch(w);
        else
            idle(w);
    }
}

void mp_worker_run(mp_segment *segment, unsigned seat, uint32_t incarnation, mp_region *tasks,
                   mp_region *results, const mp_handler *handler)
{
    worker w = {.segment = segment,
                .seat = &segment->seats[seat],
                .number = seat,
                .incarnation = incarnation,
                .tasks = tasks,
                .handler = handler,
                .errand = &segment->control->errands};
    if (!set_up(&w, results) || mp_stopper_open(w.seat, tasks->base, handler) < 0)
        _exit(EXIT_BROKEN);
    mp_buffer_init_heap(&w.texts);
    mp_buffer_init_heap(&w.held_back);
    if (handler->shelter != NULL)
        handler->shelter(handler->ctx, work, &w);
    else
        work(&w);
    _exit(EXIT_BROKEN);
}
