/* The heap of deadlines: always the soonest, whatever is put in and taken out. */
#include "base/timers.h"

#include "spec/support/check.h"

#include <stdlib.h>

enum { MANY = 500 };

static mp_timer timers[MANY];

static int64_t soonest(void)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < MANY; i++)
        if (timers[i].place != 0 && timers[i].due < least)
            least = timers[i].due;
    return least;
}

TEST(an_empty_heap_has_no_first)
{
    mp_timers heap = {0};
    CHECK(mp_timers_first(&heap) == NULL);
    mp_timer alone = {0};
    mp_timers_remove(&heap, &alone);
    CHECK(mp_timers_first(&heap) == NULL);
    mp_timers_destroy(&heap);
}

TEST(the_first_is_the_soonest_through_any_changes)
{
    mp_timers heap = {0};
    srand(7);
    for (int step = 0; step < 20000; step++) {
        mp_timer *t = &timers[rand() % MANY];
        if (t->place != 0)
            mp_timers_remove(&heap, t);
        else
            CHECK(mp_timers_add(&heap, t, rand() % 1000) == 0);
        CHECK(heap.count == 0 || mp_timers_first(&heap)->due == soonest());
    }
    mp_timers_destroy(&heap);
}

TEST(they_come_out_in_order)
{
    mp_timers heap = {0};
    for (int i = 0; i < MANY; i++) {
        timers[i] = (mp_timer){0};
        CHECK(mp_timers_add(&heap, &timers[i], (i * 7919) % 1009) == 0);
    }
    int64_t before = INT64_MIN;
    for (int i = 0; i < MANY; i++) {
        mp_timer *first = mp_timers_first(&heap);
        CHECK(first->due >= before);
        before = first->due;
        mp_timers_remove(&heap, first);
    }
    CHECK(mp_timers_first(&heap) == NULL);
    mp_timers_destroy(&heap);
}

CHECK_MAIN
