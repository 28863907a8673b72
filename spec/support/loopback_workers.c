/* The workers of the loopback transport: what they do in one step, and what they tell. */
#include "spec/support/loopback_inner.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

int loopback_say(void *teller, unsigned kind, const char *bytes, size_t size)
{
    loopback *l = teller;
    if (kind != MP_FRAME_STATE)
        abort();
    mp_arrival a = *l->inner->running;
    a.kind = MP_ARRIVAL_STATE;
    a.count = 0;
    a.data = (const unsigned char *)bytes;
    a.size = size;
    loopback_tell(l, &a);
    return 0;
}

void loopback_show(void *teller, double fraction)
{
    loopback *l = teller;
    l->inner->seat[l->inner->running->seat].shown = fraction;
}

static bool dies(loopback *l, unsigned i, uint64_t item, enum loopback_moment moment)
{
    if (l->kill_at != item || l->kill_when != moment)
        return false;
    l->kill_at = 0;
    loopback_kill(l, i, SIGKILL);
    return true;
}

static void claim(loopback *l, unsigned i)
{
    struct loopback_inner *in = l->inner;
    seat *s = &in->seat[i];
    s->holding = s->begun = s->item = 0;
    for (; s->holding < l->hold && s->holding < MP_HOLD_MAX && l->waiting > 0; l->waiting--)
        s->held[s->holding++] = in->ring[in->first++].granule;
    s->begun_item = s->held[0].first;
    dies(l, i, l->begun + 1, LOOPBACK_CLAIMED);
}

/* On to the next granule. */
static void granule_done(seat *s)
{
    s->item = 0;
    if (++s->begun == s->holding)
        s->holding = 0;
    else
        s->begun_item = s->held[s->begun].first;
}

/* Behind an outcome of a timed call, as a worker would. */
static void add_times(const seat *s, const mp_call_block *block, int64_t began, mp_buffer *out)
{
    mp_frame_times times = {.began = began, .ended = mp_now(), .pid = loopback_pid(s)};
    if (block->timed != 0 && mp_buffer_append(out, &times, sizeof times) < 0)
        abort();
}

static void publish(loopback *l, unsigned i, int outcome, const mp_buffer *out, mp_arrival *a)
{
    seat *s = &l->inner->seat[i];
    a->kind = outcome == MP_TASK_DONE     ? MP_ARRIVAL_DONE
              : outcome == MP_TASK_FAILED ? MP_ARRIVAL_FAILED
                                          : MP_ARRIVAL_NO_ROOM;
    a->code = outcome < 0 ? outcome : 0;
    a->data = out->data;
    a->size = out->len;
    loopback_tell(l, a);
    if (dies(l, i, l->begun, LOOPBACK_PUBLISHED))
        return;
    if (++s->item == s->held[s->begun].count)
        granule_done(s);
}

static void read_item(const unsigned char **at, mp_task *task)
{
    mp_item item;
    if (!mp_item_read(at, SIZE_MAX / 2, &item))
        abort();
    task->bytes = item.bytes;
    task->size = item.size;
    task->attempt = item.attempt;
    task->state = item.state;
    task->state_size = item.state_size;
}

static void run(loopback *l, unsigned i, const mp_call_block *block, mp_arrival *a)
{
    struct loopback_inner *in = l->inner;
    seat *s = &in->seat[i];
    mp_task task = {.block = block, .index = a->index, .attempt = 1};
    if (block->definition_at != MP_IN_HAND)
        task.definition = loopback_bytes(&l->base, block->definition_at);
    l->begun++;
    s->begun_item = task.index;
    if (dies(l, i, l->begun, LOOPBACK_BEGUN))
        return;
    if (s->at != NULL)
        read_item(&s->at, &task);
    mp_buffer out;
    mp_buffer_init_heap(&out);
    in->running = a;
    s->shown = -1;
    int64_t began = mp_now();
    int outcome = in->handler.run(in->handler.ctx, &task, &out);
    if (l->begun == l->no_room_at)
        outcome = -ENOSPC;
    if (outcome < 0)
        out.len = 0;
    add_times(s, block, began, &out);
    if (!dies(l, i, l->begun, LOOPBACK_RUN))
        publish(l, i, outcome, &out, a);
    mp_buffer_free(&out);
}

static void work_on(loopback *l, unsigned i)
{
    seat *s = &l->inner->seat[i];
    const mp_granule *g = &s->held[s->begun];
    const mp_call_block *block = (const void *)loopback_bytes(&l->base, g->call);
    if (s->item == 0)
        s->at = g->payload != MP_MADE ? loopback_bytes(&l->base, g->payload) : NULL;
    mp_arrival a = {
        .seat = i, .pid = loopback_pid(s), .row = g->row, .index = g->first + s->item, .count = 1};
    if (a.index < mp_load_relaxed(&block->limit)) {
        run(l, i, block, &a);
        return;
    }
    a.kind = MP_ARRIVAL_SKIPPED;
    a.count = g->count - s->item;
    loopback_tell(l, &a);
    granule_done(s);
}

/* Dies if it is at the n-th item of the run, as with any other. */
static void do_errand(loopback *l, unsigned i, uint64_t errand)
{
    struct loopback_inner *in = l->inner;
    seat *s = &in->seat[i];
    const mp_errand *e = (const void *)loopback_bytes(&l->base, errand - 1);
    const mp_call_block *block = (const void *)loopback_bytes(&l->base, e->call);
    const unsigned char *at = loopback_bytes(&l->base, e->payload);
    mp_task task = {.block = block,
                    .definition = loopback_bytes(&l->base, block->definition_at),
                    .index = i + 1};
    mp_arrival a = {
        .seat = i, .pid = loopback_pid(s), .row = MP_NOBODY, .index = i + 1, .count = 1};
    a.row = i < e->ranks ? e->rows[i] : MP_NOBODY;
    s->errand = errand;
    s->doing = a.row;
    if (dies(l, i, ++l->begun, LOOPBACK_BEGUN))
        return;
    read_item(&at, &task);
    mp_buffer out;
    mp_buffer_init_heap(&out);
    in->running = &a;
    int64_t began = mp_now();
    int outcome = in->handler.run(in->handler.ctx, &task, &out);
    add_times(s, block, began, &out);
    a.kind = outcome == MP_TASK_DONE ? MP_ARRIVAL_DONE : MP_ARRIVAL_FAILED;
    a.data = out.data;
    a.size = out.len;
    loopback_tell(l, &a);
    mp_buffer_free(&out);
    s->doing = 0;
}

bool loopback_can_work(loopback *l, unsigned i)
{
    const seat *s = &l->inner->seat[i];
    return s->incarnation != 0 &&
           (s->holding > 0 || l->waiting > 0 || loopback_next_errand(l, i) != 0);
}

bool loopback_work(loopback *l)
{
    struct loopback_inner *in = l->inner;
    for (unsigned tries = 0; tries < in->seats; tries++) {
        unsigned i = in->turn;
        in->turn = (in->turn + 1) % in->seats;
        if (!loopback_can_work(l, i))
            continue;
        if (in->seat[i].holding == 0 && loopback_next_errand(l, i) != 0)
            do_errand(l, i, loopback_next_errand(l, i));
        else if (in->seat[i].holding == 0)
            claim(l, i);
        else
            work_on(l, i);
        return true;
    }
    return false;
}

void loopback_work_all(loopback *l)
{
    while (loopback_work(l))
        continue;
}

unsigned loopback_held(const loopback *l, unsigned i)
{
    return l->inner->seat[i].incarnation != 0 ? l->inner->seat[i].holding : 0;
}
