/* The record of a pool's items: see record.h. */
#include "pool/record.h"

#include "base/clock.h"
#include "base/memory.h"

enum {
    CALLS_MOST = 1 << 23,
    LIVES_MOST = 1 << 20,
    STEPS_MOST = 1 << 22,
    RECIPES_MOST = 1 << 20,
    FAILED_MOST = 10000,
    BYTES_MOST = 64 << 20,
    FIRST_ROOM = 64,
    CHANGES_A_STEP = 32, /* that share the time of the first, where they come fast */
    UNLOOKED = 7,        /* that come behind a look which has found that they do */
    VARINT_MAX = 10,
    ITEM_MAX = 1 + 6 * VARINT_MAX,
};

/* Room for one more, up to `most`; NULL where there is none. */
static void *add(mp_record_array *a, size_t size, size_t most)
{
    if (a->count == a->room) {
        size_t room = a->room == 0 ? FIRST_ROOM : a->room * 2;
        void *entries = a->count < most ? mp_realloc(a->entries, room * size) : NULL;
        if (entries == NULL)
            return NULL;
        a->entries = entries;
        a->room = room;
    }
    return a->count < most ? (unsigned char *)a->entries + a->count++ * size : NULL;
}

mp_record *mp_record_new(size_t most)
{
    mp_record *r = mp_calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    mp_buffer_init_heap(&r->items);
    mp_buffer_init_heap(&r->bytes);
    mp_buffer_init_heap(&r->failures);
    r->most = most;
    r->began = mp_now();
    mp_record_life *unknown = add(&r->lives, sizeof *unknown, 1);
    if (unknown == NULL) {
        mp_record_free(r);
        return NULL;
    }
    *unknown = (mp_record_life){.seat = MP_SEATS_MAX, .last = r->began};
    return r;
}

void mp_record_free(mp_record *r)
{
    if (r == NULL)
        return;
    mp_record_array *arrays[] = {&r->lives, &r->calls, &r->recipes, &r->steps, &r->failed};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        mp_free(arrays[i]->entries);
    mp_buffer_free(&r->items);
    mp_buffer_free(&r->bytes);
    mp_buffer_free(&r->failures);
    mp_free(r);
}

/* ---- calls ---- */

uint32_t mp_record_open(mp_record *r, uint32_t function, uint16_t kind)
{
    mp_record_call *call = add(&r->calls, sizeof *call, CALLS_MOST);
    if (call == NULL)
        return 0;
    *call = (mp_record_call){function, kind, 0};
    return (uint32_t)r->calls.count;
}

void mp_record_rename(mp_record *r, uint32_t call, uint16_t kind)
{
    if (call != 0)
        ((mp_record_call *)r->calls.entries)[call - 1].kind = kind;
}

void mp_record_made(mp_record *r, uint32_t call, const uint64_t recipe[2], uint32_t flags)
{
    mp_record_call *told = (mp_record_call *)r->calls.entries + call - 1;
    if (told->made != 0)
        return;
    told->made = 1;
    mp_record_recipe *made = add(&r->recipes, sizeof *made, RECIPES_MOST);
    if (made != NULL)
        *made = (mp_record_recipe){call, flags, {recipe[0], recipe[1]}};
}

/* ---- what waits ---- */

/* A clock that costs a quarter of mp_now's, and goes on every few milliseconds. */
static int64_t coarse_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Whether this change may have the time of the one before: where many come fast, and nothing else
 * does, most are not even looked at. */
static bool shares_step(mp_record *r)
{
    if (r->unlooked > 0) {
        r->unlooked--;
        r->sharing++;
        return true;
    }
    int64_t tick = coarse_now();
    bool same = tick == r->tick && r->sharing < CHANGES_A_STEP && r->steps.count > 0;
    r->tick = tick;
    r->sharing = same ? r->sharing + 1 : 0;
    r->unlooked = same && r->sharing >= UNLOOKED ? UNLOOKED : 0;
    return same;
}

void mp_record_wait(mp_record *r, int64_t change)
{
    if (shares_step(r)) {
        ((mp_record_step *)r->steps.entries)[r->steps.count - 1].change += change;
        return;
    }
    mp_record_step *step = add(&r->steps, sizeof *step, STEPS_MOST);
    if (step != NULL)
        *step = (mp_record_step){mp_now(), change};
}

/* ---- lives ---- */

static mp_record_life *life_at(const mp_record *r, uint32_t number)
{
    return (mp_record_life *)r->lives.entries + number;
}

/* The number of the worker of this seat and pid, which may be a new one. */
static uint32_t life_of(mp_record *r, unsigned seat, int32_t pid)
{
    if (seat >= MP_SEATS_MAX)
        return 0;
    uint32_t number = r->life_in[seat];
    if (number != 0 && (pid == 0 || life_at(r, number)->pid == pid))
        return number;
    mp_record_life *life = add(&r->lives, sizeof *life, LIVES_MOST);
    if (life == NULL)
        return 0;
    *life = (mp_record_life){.seat = seat, .pid = pid, .last = r->began};
    return r->life_in[seat] = (uint32_t)(r->lives.count - 1);
}

void mp_record_death(mp_record *r, const mp_death *death)
{
    mp_record_life *life = life_at(r, life_of(r, death->seat, death->pid));
    life->found = death->found;
    life->status = death->status;
}

/* ---- items ---- */

void mp_record_describe(mp_record *r, const unsigned char *bytes, size_t size)
{
    size_t kept = size < MP_RECORD_ITEM_BYTES ? size : MP_RECORD_ITEM_BYTES;
    if (r->mute || r->bytes.len > BYTES_MOST || mp_buffer_reserve(&r->bytes, kept + 1) < 0) {
        r->mute = true;
        return;
    }
    unsigned char *p = r->bytes.data + r->bytes.len;
    *p = size > kept ? 255 : (unsigned char)size;
    memcpy(p + 1, bytes, kept);
    r->bytes.len += kept + 1;
    r->described++;
}

void mp_record_failed(mp_record *r, const unsigned char *bytes, size_t size)
{
    size_t most = MP_RECORD_FAILURE_BYTES, at = r->failures.len;
    size_t kept = size < most ? size : most;
    if (r->failed.count >= FAILED_MOST || mp_buffer_append(&r->failures, bytes, kept) < 0)
        return;
    mp_record_failure *failure = add(&r->failed, sizeof *failure, FAILED_MOST);
    if (failure == NULL)
        r->failures.len = at;
    else
        *failure = (mp_record_failure){(uint32_t)(r->count - 1), (uint32_t)kept, at};
}

static inline unsigned char *put_number(unsigned char *p, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        *p++ = (unsigned char)(n | 0x80);
    *p++ = (unsigned char)n;
    return p;
}

static inline unsigned char *put_difference(unsigned char *p, int64_t n)
{
    return put_number(p, (uint64_t)n << 1 ^ (uint64_t)(n >> 63));
}

/* No item begins before the one before it in its worker ended. */
static inline int64_t begin_of(int64_t last, const mp_frame_times *times)
{
    int64_t began = times->began != 0 ? times->began : times->ended;
    return began > last ? began : last;
}

static inline int64_t length_of(int64_t began, const mp_frame_times *times)
{
    return times->ended > began ? times->ended - began : 0;
}

/* What differs from the item before, behind its head; which gets its flags. */
static unsigned char *put_differences(mp_record *r, unsigned char *p, unsigned char *head,
                                      const mp_record_news *news, uint32_t life)
{
    if (news->attempt != 1) {
        *head |= MP_RECORD_ATTEMPT;
        p = put_number(p, news->attempt);
    }
    if (life != r->last.life) {
        *head |= MP_RECORD_LIFE;
        p = put_number(p, life);
    }
    if (news->call != r->last.call) {
        *head |= MP_RECORD_CALL;
        p = put_difference(p, (int64_t)news->call - r->last.call);
    }
    if (news->index != r->last.index + 1) {
        *head |= MP_RECORD_INDEX;
        p = put_difference(p, (int64_t)(news->index - r->last.index - 1));
    }
    r->last.life = life;
    r->last.call = news->call;
    r->last.index = news->index;
    return p;
}

/* The times behind that. */
static inline unsigned char *put_times(mp_record_life *life, unsigned char *p, unsigned char *head,
                                       const mp_frame_times *times)
{
    int64_t began = begin_of(life->last, times), length = length_of(began, times);
    if (began != life->last) {
        *head |= MP_RECORD_GAP;
        p = put_difference(p, began - life->last);
    }
    life->last = began + length;
    return put_number(p, (uint64_t)length);
}

bool mp_record_item_ran(mp_record *r, const mp_record_news *news)
{
    if (r->count >= r->most || mp_buffer_reserve(&r->items, ITEM_MAX) < 0) {
        r->cut++;
        return false;
    }
    uint32_t life = life_of(r, news->seat, (int32_t)news->times.pid);
    unsigned char *head = r->items.data + r->items.len;
    *head = (unsigned char)news->outcome;
    unsigned char *p = put_differences(r, head + 1, head, news, life);
    p = put_times(life_at(r, life), p, head, &news->times);
    r->items.len = (size_t)(p - r->items.data);
    r->count++;
    r->unlooked = 0;
    return true;
}

unsigned mp_record_items_ran(mp_record *r, const mp_result_frame results[], unsigned n)
{
    unsigned room = r->most - r->count < n ? (unsigned)(r->most - r->count) : n;
    if (mp_buffer_reserve(&r->items, (size_t)room * ITEM_MAX) < 0)
        room = 0;
    unsigned char *p = r->items.data + r->items.len;
    mp_record_life *life = life_at(r, r->last.life);
    mp_frame_times times;
    for (unsigned i = 0; i < room; i++) {
        unsigned char *head = p;
        memcpy(&times, results[i].data + results[i].size, sizeof times);
        *head = MP_RECORD_DONE;
        p = put_times(life, p + 1, head, &times);
    }
    r->items.len = (size_t)(p - r->items.data);
    r->last.index += room;
    r->count += room;
    r->cut += n - room;
    return room;
}

/* ---- reading ---- */

void mp_record_read_from(mp_record_reader *reader, const mp_record *r, int64_t ended[])
{
    *reader = (mp_record_reader){.record = r, .at = r->items.data, .ended = ended};
    for (size_t i = 0; i < r->lives.count; i++)
        ended[i] = r->began;
}

static uint64_t take_number(const unsigned char **p)
{
    uint64_t n = 0;
    unsigned shift = 0;
    for (; **p >= 0x80; shift += 7)
        n |= (uint64_t)(*(*p)++ & 0x7F) << shift;
    return n | (uint64_t) * (*p)++ << shift;
}

static int64_t take_difference(const unsigned char **p)
{
    uint64_t n = take_number(p);
    return (int64_t)(n >> 1 ^ -(n & 1));
}

bool mp_record_read(mp_record_reader *reader, mp_record_item *item)
{
    if (reader->number == reader->record->count)
        return false;
    const unsigned char **p = &reader->at;
    unsigned head = *reader->at++;
    item->outcome = (enum mp_record_outcome)(head & MP_RECORD_OUTCOME);
    item->attempt = (head & MP_RECORD_ATTEMPT) != 0 ? (uint32_t)take_number(p) : 1;
    if ((head & MP_RECORD_LIFE) != 0)
        reader->life = (uint32_t)take_number(p);
    if ((head & MP_RECORD_CALL) != 0)
        reader->call += (uint32_t)take_difference(p);
    reader->index += 1;
    if ((head & MP_RECORD_INDEX) != 0)
        reader->index += (uint64_t)take_difference(p);
    item->life = reader->life;
    item->call = reader->call;
    item->index = reader->index;
    item->began = reader->ended[item->life];
    if ((head & MP_RECORD_GAP) != 0)
        item->began += take_difference(p);
    item->length = (int64_t)take_number(p);
    reader->ended[item->life] = item->began + item->length;
    reader->number++;
    return true;
}
