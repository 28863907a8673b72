/* A binary heap (Williams, 1964); each timer knows its place, so that it may be
 * taken out of the middle. */
#include "base/memory.h"
#include "base/timers.h"

#include <errno.h>
#include <stdlib.h>

static void put(mp_timers *t, size_t place, mp_timer *timer)
{
    t->heap[place - 1] = timer;
    timer->place = place;
}

static int64_t due_at(const mp_timers *t, size_t place)
{
    return t->heap[place - 1]->due;
}

static void rise(mp_timers *t, mp_timer *timer)
{
    size_t place = timer->place;
    for (; place > 1 && due_at(t, place / 2) > timer->due; place /= 2)
        put(t, place, t->heap[place / 2 - 1]);
    put(t, place, timer);
}

static void sink(mp_timers *t, mp_timer *timer)
{
    size_t place = timer->place;
    for (size_t child; (child = place * 2) <= t->count; place = child) {
        if (child < t->count && due_at(t, child + 1) < due_at(t, child))
            child++;
        if (due_at(t, child) >= timer->due)
            break;
        put(t, place, t->heap[child - 1]);
    }
    put(t, place, timer);
}

int mp_timers_add(mp_timers *t, mp_timer *timer, int64_t due)
{
    if (t->count == t->room) {
        size_t room = t->room != 0 ? t->room * 2 : 64;
        mp_timer **heap = mp_realloc(t->heap, room * sizeof(mp_timer *));
        if (heap == NULL)
            return -ENOMEM;
        t->heap = heap;
        t->room = room;
    }
    timer->due = due;
    put(t, ++t->count, timer);
    rise(t, timer);
    return 0;
}

void mp_timers_remove(mp_timers *t, mp_timer *timer)
{
    size_t place = timer->place;
    if (place == 0)
        return;
    timer->place = 0;
    mp_timer *last = t->heap[--t->count];
    if (last == timer)
        return;
    put(t, place, last);
    rise(t, last);
    sink(t, last);
}

void mp_timers_destroy(mp_timers *t)
{
    mp_free(t->heap);
    *t = (mp_timers){0};
}
