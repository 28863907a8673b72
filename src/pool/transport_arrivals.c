/* What comes from the workers: results, deaths, troubles, in the order in which the host is to
 * hear of them.
 *
 * Invariants: of each seat the results come before its death; a death is told
 * once. Who has damaged what the host reads is not to be trusted with the rest:
 * the nurseries are killed. */
#include "pool/transport_local.h"

#include "base/clock.h"

#include <errno.h>

enum { LOOK_NS = 1000000 }; /* between two looks at the nursery of a host that never listens */

static void read_text(const mp_result_frame *f, mp_arrival *a)
{
    a->kind = f->kind == MP_FRAME_LOG      ? MP_ARRIVAL_LOG
              : f->kind == MP_FRAME_ANSWER ? MP_ARRIVAL_ANSWER
                                           : MP_ARRIVAL_OUTPUT;
    a->count = 0;
    memcpy(&a->index, f->data, sizeof a->index);
    a->data = (const unsigned char *)f->data + sizeof a->index;
    a->size = f->size - sizeof a->index;
}

static bool read_head(const mp_result_frame *f, mp_frame_row *head)
{
    if (f->size < sizeof *head)
        return false;
    memcpy(head, f->data, sizeof *head);
    return head->check == mp_frame_row_check(head);
}

static bool read_row(stream *s, const mp_result_frame *f)
{
    mp_frame_row head;
    if (f->size != sizeof head || !read_head(f, &head))
        return false;
    s->row = head.row;
    s->index = head.index;
    return true;
}

static bool read_state(const mp_result_frame *f, mp_arrival *a)
{
    mp_frame_row head;
    if (!read_head(f, &head))
        return false;
    a->row = head.row;
    a->index = head.index;
    a->count = 0;
    a->data = (const unsigned char *)f->data + sizeof head;
    a->size = f->size - sizeof head;
    return true;
}

static bool read_count(const mp_result_frame *f, uint32_t *count)
{
    mp_frame_skipped skipped;
    if (f->size != sizeof skipped)
        return false;
    memcpy(&skipped, f->data, sizeof skipped);
    *count = skipped.count;
    return skipped.check == ~skipped.count;
}

/* What is left behind the code are the times, if its call is timed. */
static bool read_code(const mp_result_frame *f, mp_arrival *a)
{
    if (f->size != sizeof(int32_t) && f->size != sizeof(int32_t) + sizeof(mp_frame_times))
        return false;
    memcpy(&a->code, f->data, sizeof(int32_t));
    a->data = (const unsigned char *)f->data + sizeof(int32_t);
    a->size = f->size - sizeof(int32_t);
    return true;
}

/* Turns a frame of `seat` into an arrival; false for those that are none. */
static bool read_frame(local *l, unsigned seat, const mp_result_frame *f, mp_arrival *a)
{
    stream *s = l->streams[seat];
    if (f->kind == MP_FRAME_ROW && read_row(s, f))
        return false;
    *a = (mp_arrival){.seat = seat,
                      .row = s->row,
                      .index = s->index,
                      .count = 1,
                      .data = f->data,
                      .size = f->size,
                      .kind = MP_ARRIVAL_DAMAGED};
    if (f->kind == MP_FRAME_DONE)
        a->kind = MP_ARRIVAL_DONE;
    else if (f->kind == MP_FRAME_FAILED)
        a->kind = MP_ARRIVAL_FAILED;
    else if (f->kind == MP_FRAME_TIMEOUT)
        a->kind = MP_ARRIVAL_TIMEOUT;
    else if ((f->kind == MP_FRAME_OUTPUT || f->kind == MP_FRAME_LOG ||
              f->kind == MP_FRAME_ANSWER) &&
             f->size >= sizeof a->index)
        read_text(f, a);
    else if (f->kind == MP_FRAME_STATE && read_state(f, a))
        a->kind = MP_ARRIVAL_STATE;
    else if (f->kind == MP_FRAME_SKIPPED && read_count(f, &a->count))
        a->kind = MP_ARRIVAL_SKIPPED;
    else if (f->kind == MP_FRAME_NO_ROOM && read_code(f, a))
        a->kind = MP_ARRIVAL_NO_ROOM;
    return true;
}

void mp_local_condemn(mp_transport *t)
{
    local *l = mp_local_of(t);
    l->damaged = true;
    mp_local_kill(l);
}

/* What follows in the ring belongs to no row, until the next begins. */
static void meet_damage(local *l, unsigned seat)
{
    l->streams[seat]->row = 0;
    mp_local_condemn(&l->base);
}

static bool next_of_seat(local *l, unsigned seat, mp_arrival *a)
{
    mp_result_frame frame;
    mp_result_reader *reader = &l->streams[seat]->reader;
    while (mp_result_peek(reader, &frame)) {
        bool arrival = read_frame(l, seat, &frame, a);
        if (arrival && a->kind != MP_ARRIVAL_DAMAGED) {
            l->current = seat;
            l->current_items = a->count;
            return true;
        }
        if (arrival)
            meet_damage(l, seat);
        mp_result_consume(reader);
    }
    return false;
}

static void death_told(local *l)
{
    const mp_death *death = l->telling;
    if (death == &l->buried[l->buried_told]) {
        l->buried_told++;
        return;
    }
    uint64_t n = mp_segment_deaths(&l->segment);
    l->streams[death->seat]->told = death->incarnation;
    atomic_fetch_add(&l->segment.control->deaths_read, 1);
    if (n == MP_DEATHS)
        mp_local_nudge(l);
}

static bool next_death(local *l, mp_arrival *a)
{
    const mp_death *death = mp_local_oldest_death(l);
    if (death == NULL)
        return false;
    if (mp_result_position(&l->streams[death->seat]->reader) < death->published &&
        next_of_seat(l, death->seat, a))
        return true;
    *a = (mp_arrival){
        .kind = MP_ARRIVAL_DEATH, .seat = death->seat, .pid = death->pid, .death = death};
    l->telling = death;
    l->current = CURRENT_DEATH;
    return true;
}

static bool next_trouble(local *l, mp_arrival *a)
{
    mp_control *c = l->segment.control;
    uint32_t told = mp_load_acquire(&c->trouble);
    if (told == l->trouble_told || l->damaged)
        return false;
    *a = (mp_arrival){.kind = MP_ARRIVAL_TROUBLE,
                      .code = mp_load_relaxed(&c->trouble_code),
                      .count = mp_load_relaxed(&c->trouble_count),
                      .status = mp_load_relaxed(&c->trouble_status)};
    l->trouble_seen = told;
    l->current = CURRENT_TROUBLE;
    return true;
}

static bool next_damage(local *l, mp_arrival *a)
{
    if (!l->damaged || !LIST_EMPTY(&l->broods))
        return false;
    *a = (mp_arrival){.kind = MP_ARRIVAL_DAMAGED, .code = -EBADMSG};
    l->current = CURRENT_DAMAGE;
    return true;
}

/* Looks whether a nursery has gone: if something says so, or if nobody has looked for a
 * while, since a host that polls never hears it. */
static bool looks_for_lost(local *l)
{
    int64_t now = mp_now();
    if (LIST_EMPTY(&l->broods) || (!l->suspect && now < l->look_at))
        return false;
    l->suspect = false;
    l->look_at = now + LOOK_NS;
    return mp_local_bury_lost(l);
}

static bool next_result(local *l, mp_arrival *a)
{
    for (unsigned i = 0; i < l->seats; i++) {
        unsigned seat = l->turn + i < l->seats ? l->turn + i : l->turn + i - l->seats;
        if (next_of_seat(l, seat, a)) {
            l->turn = seat;
            return true;
        }
    }
    return false;
}

bool mp_local_next(mp_transport *t, mp_arrival *a)
{
    local *l = mp_local_of(t);
    if (next_death(l, a) || next_result(l, a) || next_trouble(l, a) || next_damage(l, a))
        return true;
    return looks_for_lost(l) && mp_local_next(t, a);
}

/* After so many of one seat it is the next one's turn. */
static void count_turn(local *l, unsigned seat, unsigned frames)
{
    stream *s = l->streams[seat];
    s->in_turn += frames;
    if (s->in_turn >= TURN_FRAMES) {
        s->in_turn = 0;
        l->turn = seat + 1 < l->seats ? seat + 1 : 0;
    }
}

static void frame_taken(local *l, unsigned seat)
{
    stream *s = l->streams[seat];
    mp_result_consume(&s->reader);
    s->index += l->current_items;
    count_turn(l, seat, 1);
}

static void trouble_taken(local *l)
{
    l->trouble_told = l->trouble_seen;
    l->barren = mp_load_relaxed(&l->segment.control->trouble_code) == 0;
}

/* By now every granule of the ring has been revoked, or its row settled. */
static void damage_taken(local *l)
{
    mp_segment_reset(&l->segment);
    for (unsigned i = 0; i < l->seats; i++)
        mp_result_reset(&l->streams[i]->reader);
    l->damaged = false;
}

void mp_local_taken(mp_transport *t)
{
    local *l = mp_local_of(t);
    if (l->current == CURRENT_DEATH)
        death_told(l);
    else if (l->current == CURRENT_TROUBLE)
        trouble_taken(l);
    else if (l->current == CURRENT_DAMAGE)
        damage_taken(l);
    else
        frame_taken(l, l->current);
}

bool mp_local_follow(mp_transport *t, mp_arrival *a)
{
    local *l = mp_local_of(t);
    unsigned seat = l->current;
    stream *s = l->streams[seat];
    mp_result_frame frame;
    frame_taken(l, seat);
    if (s->in_turn == 0 || !mp_result_peek(&s->reader, &frame) || frame.kind != MP_FRAME_DONE)
        return false;
    a->index = s->index;
    a->data = frame.data;
    a->size = frame.size;
    return true;
}

unsigned mp_local_ahead(const mp_transport *t, mp_result_frame results[], unsigned max)
{
    const local *l = (const local *)(const void *)t;
    return mp_result_ahead(&l->streams[l->current]->reader, MP_FRAME_DONE, results, max);
}

void mp_local_taken_ahead(mp_transport *t, const mp_result_frame results[], unsigned n)
{
    local *l = mp_local_of(t);
    stream *s = l->streams[l->current];
    mp_result_consume_upto(&s->reader, &results[n - 1]);
    s->index += n + 1;
    count_turn(l, l->current, n + 1);
}

static bool is_told(const local *l)
{
    return mp_local_oldest_death(l) == NULL &&
           mp_load_acquire(&l->segment.control->trouble) == l->trouble_told &&
           !(LIST_EMPTY(&l->broods) ? l->damaged : l->suspect);
}

bool mp_local_pending(mp_transport *t)
{
    const local *l = mp_local_of(t);
    for (unsigned i = 0; i < l->seats; i++)
        if (mp_result_unread(&l->streams[i]->reader) > 0)
            return true;
    return !is_told(l);
}

bool mp_local_may_wait(mp_transport *t)
{
    const local *l = mp_local_of(t);
    bool owed = false;
    for (unsigned i = 0; i < l->seats; i++) {
        const mp_result_reader *reader = &l->streams[i]->reader;
        const mp_seat *seat = &l->segment.seats[i];
        bool unread = mp_result_unread(reader) > 0;
        if (mp_result_kept_waiting(reader) ||
            (unread && mp_load_acquire(&seat->rung) >= mp_result_published(reader)))
            return false;
        owed = owed || unread;
    }
    return owed && is_told(l);
}
