/* The records of workers as those read them who bury them: at every point where a
 * worker may have been killed while it claimed, began and gave back. */
#include "pool/control.h"

#include "spec/support/check.h"

#include <stdlib.h>

enum { SEATS = 70, ME = 65, INCARNATION = 9 };

static mp_segment segment;
static mp_seat *seat;
static mp_death death;
static mp_granule granule;
static uint64_t position;

static void open_segment(void)
{
    mp_error error = {0};
    CHECK_EQ_INT(mp_segment_create(&segment, SEATS, &error), 0);
    seat = &segment.seats[ME];
    mp_store_relaxed(&seat->incarnation, INCARNATION);
    mp_store_relaxed(&seat->pid, 4711);
}

static void publish(uint64_t row, uint64_t first)
{
    mp_granule g = {.row = row, .first = first, .count = 3};
    uint64_t at;
    CHECK_EQ_INT(mp_task_ring_publish(&segment.ring, &g, &at, NULL), 0);
}

static void claim(void)
{
    CHECK_EQ_INT(
        mp_task_ring_claim(&segment.ring, &seat->note, INCARNATION, 1, &granule, &position), 1);
}

/* What a worker does with the n-th granule (from 0) that it has claimed. */
static void record(unsigned n)
{
    seat->rows[n] = granule.row;
    if (n == 0) {
        mp_store_relaxed(&seat->begun, 0);
        mp_store_relaxed(&seat->begun_item, granule.first);
    }
}

static void hold(unsigned n)
{
    mp_store_release(&seat->held, n);
}

static void release(void)
{
    mp_task_ring_release(&segment.ring, position);
}

static void examine(void)
{
    mp_segment_examine(&segment, ME, 9, 1234, &death);
    CHECK_EQ_INT(death.seat, ME);
    CHECK_EQ_INT(death.incarnation, INCARNATION);
    CHECK_EQ_INT(death.pid, 4711);
    CHECK_EQ_INT(death.status, 9);
    CHECK_EQ_INT(death.published, 1234);
}

TEST(finds_nothing_with_an_idle_worker)
{
    open_segment();
    publish(100, 1);
    examine();
    CHECK_EQ_INT(death.held, 0);
    mp_segment_destroy(&segment);
}

TEST(finds_what_was_claimed_and_is_not_recorded)
{
    open_segment();
    publish(100, 7);
    claim();
    for (int recorded = 0; recorded < 2; recorded++) {
        examine();
        CHECK_EQ_INT(death.held, 1);
        CHECK_EQ_INT(death.rows[0], 100);
        CHECK_EQ_INT(death.begun, 0);
        CHECK_EQ_INT(death.begun_item, 7);
        record(0);
    }
    mp_segment_destroy(&segment);
}

TEST(finds_once_what_is_recorded_and_still_in_its_slot)
{
    open_segment();
    publish(100, 7);
    claim();
    record(0);
    hold(1);
    for (int released = 0; released < 2; released++) {
        examine();
        CHECK_EQ_INT(death.held, 1);
        CHECK_EQ_INT(death.rows[0], 100);
        CHECK_EQ_INT(death.begun_item, 7);
        if (released == 0)
            release();
    }
    mp_segment_destroy(&segment);
}

TEST(finds_a_second_granule_behind_the_first)
{
    open_segment();
    publish(100, 7);
    publish(200, 1);
    claim();
    record(0);
    hold(1);
    release();
    claim();
    for (int step = 0; step < 3; step++) {
        examine();
        CHECK_EQ_INT(death.held, 2);
        CHECK_EQ_INT(death.rows[0], 100);
        CHECK_EQ_INT(death.rows[1], 200);
        CHECK_EQ_INT(death.begun, 0);
        CHECK_EQ_INT(death.begun_item, 7);
        if (step == 0)
            record(1);
        else if (step == 1)
            hold(2);
    }
    mp_segment_destroy(&segment);
}

TEST(finds_the_item_that_was_begun)
{
    open_segment();
    publish(100, 7);
    claim();
    record(0);
    hold(1);
    release();
    mp_store_relaxed(&seat->begun_item, 9);
    examine();
    CHECK_EQ_INT(death.begun_item, 9);
    hold(0);
    examine();
    CHECK_EQ_INT(death.held, 0);
    mp_segment_destroy(&segment);
}

TEST(does_not_believe_a_record_that_cannot_be)
{
    open_segment();
    hold(MP_HOLD_MAX + 1);
    examine();
    CHECK_EQ_INT(death.held, 0);
    mp_segment_destroy(&segment);
}

TEST(changes_nothing_by_examining_and_all_by_clearing)
{
    open_segment();
    publish(100, 7);
    publish(200, 1);
    claim();
    record(0);
    mp_seat_mark(segment.control->sleeping, ME);
    mp_seat_mark(segment.control->looking, ME);
    mp_store_relaxed(&seat->paused, 1);
    examine();
    examine();
    CHECK_EQ_INT(death.held, 1);
    CHECK_EQ_INT(mp_segment_sleepers(&segment), 1);
    mp_segment_clear(&segment, ME);
    mp_granule left[MP_HOLD_MAX];
    CHECK_EQ_INT(mp_task_ring_claimed_by(&segment.ring, &seat->note, INCARNATION, left), 0);
    CHECK_EQ_INT(mp_task_ring_waiting(&segment.ring), 1);
    CHECK_EQ_INT(mp_segment_sleepers(&segment), 0);
    CHECK_EQ_INT(segment.control->looking[ME / 64], 0);
    CHECK_EQ_INT(seat->incarnation + (uint32_t)seat->pid + seat->paused + seat->held, 0);
    mp_segment_destroy(&segment);
}

/* ---- waking ---- */

static void fall_asleep(unsigned i)
{
    mp_bed_lie_down(&segment.seats[i].bed);
    mp_seat_mark(segment.control->sleeping, i);
}

static bool was_called(unsigned i)
{
    return segment.seats[i].bed.state == MP_BED_CALLED;
}

TEST(calls_nobody_where_there_is_no_work)
{
    open_segment();
    fall_asleep(3);
    mp_segment_rouse(&segment);
    CHECK(!was_called(3));
    mp_segment_destroy(&segment);
}

TEST(calls_one_sleeper_for_each_granule)
{
    open_segment();
    fall_asleep(3);
    fall_asleep(66);
    publish(1, 1);
    mp_segment_rouse(&segment);
    CHECK(was_called(3) && !was_called(66));
    publish(2, 1);
    mp_segment_rouse(&segment);
    CHECK(was_called(66));
    mp_segment_destroy(&segment);
}

TEST(calls_nobody_where_enough_are_looking)
{
    open_segment();
    fall_asleep(3);
    mp_seat_mark(segment.control->looking, 5);
    publish(1, 1);
    mp_segment_rouse(&segment);
    CHECK(!was_called(3));
    publish(2, 1);
    mp_segment_rouse(&segment);
    CHECK(was_called(3));
    mp_segment_destroy(&segment);
}

TEST(passes_over_those_that_are_stopped_or_awake)
{
    open_segment();
    fall_asleep(3);
    fall_asleep(4);
    fall_asleep(5);
    mp_store_relaxed(&segment.seats[3].paused, 1);
    mp_bed_rise(&segment.seats[4].bed); /* and has not cleared its mark yet */
    publish(1, 1);
    mp_segment_rouse(&segment);
    CHECK(!was_called(3) && !was_called(4) && was_called(5));
    mp_segment_destroy(&segment);
}

CHECK_MAIN
