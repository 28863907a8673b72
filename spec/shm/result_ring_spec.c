/* timeout: 120
 *
 * Results: every frame arrives whole and in order, whatever its size, however
 * full ring and memory are; damage is told. */
#include "base/clock.h"
#include "shm/wake.h"
#include "spec/shm/result_fixture.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(every_size_arrives_whole)
{
    REQUIRE(make());
    static const size_t around[] = {0, 512, 1024, CAPACITY / 2, CAPACITY - 1100, CAPACITY, 100000};
    for (size_t a = 0; a < sizeof around / sizeof *around; a++)
        for (size_t size = around[a] > 40 ? around[a] - 40 : 0; size <= around[a] + 40; size++) {
            CHECK_EQ_INT(put(size & 15, size, size % 3 == 0 ? 1000 : size + 1, 0), 0);
            CHECK(take(size & 15, size));
        }
    CHECK(!mp_result_peek(&r, &frame));
    drop();
}

TEST(every_place_in_the_ring_will_do)
{
    static const size_t sizes[] = {0, 1, 15, 100, 511, 700, 5000, 40000, 70000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        REQUIRE(make());
        size_t in = 0, taken = 0;
        for (int round = 0; round < 600; round++) {
            for (size_t i = 0; i < 3; i++, in++)
                CHECK_EQ_INT(put(in & 15, in % 5 == 0 ? sizes[s] : in % 90, 1 + in % 300, in % 200),
                             0);
            /* Never empty, so that it wraps and does not start again. */
            while (in - taken > 2) {
                CHECK(take(taken & 15, taken % 5 == 0 ? sizes[s] : taken % 90));
                taken++;
            }
        }
        drop();
    }
}

TEST(a_full_ring_waits_and_loses_nothing)
{
    REQUIRE(make());
    size_t in = 0, taken = 0;
    w.spill_limit = 0;
    for (int round = 0; round < 300; round++) {
        while (put(in & 15, in % 700, 5000, in % 700) == 0)
            in++;
        CHECK(mp_result_unread(&r) > CAPACITY / 2);
        CHECK(mp_result_filling(&w));
        for (size_t n = (size_t)round % 50 + 1; n > 0; n--, taken++)
            CHECK(take(taken & 15, taken % 700));
    }
    while (taken < in) {
        CHECK(take(taken & 15, taken % 700));
        taken++;
    }
    CHECK(!mp_result_peek(&r, &frame));
    CHECK_EQ_INT(mp_result_unread(&r), 0);
    CHECK(!mp_result_filling(&w));
    drop();
}

TEST(the_same_frame_is_seen_until_it_is_consumed)
{
    REQUIRE(make());
    mp_result_consume(&r);
    CHECK(mp_result_publish_small(&w, 7, "one", 3) && mp_result_publish_small(&w, 8, "", 0));
    for (int i = 0; i < 3; i++) {
        CHECK(mp_result_peek(&r, &frame));
        CHECK(frame.kind == 7 && frame.size == 3 && memcmp(frame.data, "one", 3) == 0);
    }
    mp_result_consume(&r);
    mp_result_consume(&r);
    CHECK(mp_result_peek(&r, &frame) && frame.kind == 8 && frame.size == 0);
    drop();
}

TEST(small_frames_cost_few_bytes)
{
    REQUIRE(make());
    for (int i = 0; i < 100; i++)
        CHECK(mp_result_publish_small(&w, 1, "abc", 3));
    CHECK_EQ_INT(mp_result_unread(&r), 800);
    drop();
}

TEST(an_emptied_ring_uses_the_same_memory)
{
    REQUIRE(make());
    size_t before = writers.size;
    for (unsigned i = 0; i < 100000; i++) {
        CHECK(mp_result_publish_small(&w, i & 15, &i, sizeof i));
        if (!mp_result_peek(&r, &frame) || memcmp(frame.data, &i, sizeof i) != 0 ||
            frame.data > region.base + 32 * KIB)
            CHECK(false);
        mp_result_consume(&r);
        if (mp_result_peek(&r, &frame))
            CHECK(false);
        if (mp_result_unread(&r) != 0)
            CHECK(false);
    }
    CHECK_EQ_INT(writers.size, before);
    drop();
}

TEST(a_failure_can_be_said_when_the_ring_is_full)
{
    for (size_t size = 0; size < 300; size += 7) {
        REQUIRE(make());
        w.spill_limit = 0;
        size_t in = 0;
        while (put(1, size, 5000, 0) == 0)
            in++;
        unsigned char text[MP_RESULT_RESERVE / 2 + 1];
        fill(text, sizeof text, 9);
        CHECK(!mp_result_publish_small(&w, 9, text, sizeof text));
        CHECK(mp_result_publish_small(&w, 9, text, sizeof text - 1));
        for (; in > 0; in--)
            CHECK(take(1, size));
        CHECK(take(9, sizeof text - 1));
        drop();
    }
}

TEST(two_hundred_mebibytes_arrive_whole)
{
    REQUIRE(make());
    mp_buffer *b = mp_result_open(&w, 0);
    REQUIRE(b != NULL);
    for (uint64_t i = 0; i < 25 * MIB; i++)
        if (mp_buffer_append(b, &i, sizeof i) != 0)
            REQUIRE(false);
    mp_result_publish(&w, 13);
    REQUIRE(mp_result_peek(&r, &frame));
    CHECK(frame.kind == 13 && frame.size == 200 * MIB);
    for (uint64_t i = 0; i < 25 * MIB; i++)
        if (memcmp(frame.data + i * sizeof i, &i, sizeof i) != 0)
            REQUIRE(false);
    mp_result_consume(&r);
    drop();
}

TEST(the_spill_is_used_again_from_its_beginning)
{
    REQUIRE(make());
    for (unsigned i = 0; i < 50; i++) {
        CHECK_EQ_INT(put(i, 3 * MIB, i % 2 == 0 ? 3 * MIB : 77777, i % 3 == 0 ? 3 * MIB : 0), 0);
        CHECK(take(i, 3 * MIB));
        CHECK(!mp_result_peek(&r, &frame));
    }
    CHECK(writers.size < 8 * MIB);
    drop();
}

TEST(a_spill_that_is_never_empty_stays_small)
{
    REQUIRE(make());
    CHECK_EQ_INT(put(0, MIB, MIB, 0), 0);
    for (unsigned i = 1; i < 200; i++) {
        CHECK_EQ_INT(put(i, MIB + i * 100, MIB / 3, 0), 0);
        CHECK(take(i - 1, MIB + (i - 1) * 100));
    }
    CHECK(writers.size < 16 * MIB);
    drop();
}

TEST(spill_of_all_sizes_keeps_apart)
{
    REQUIRE(make());
    srand(3);
    static size_t sizes[256];
    unsigned in = 0, taken = 0;
    for (int round = 0; round < 3000; round++) {
        size_t size = (size_t)rand() % (rand() % 20 == 0 ? 2 * MIB : 90 * KIB);
        int status =
            in - taken == 256 ? -EAGAIN : put(in & 15, size, size / 3 + 1, size % 3 * size / 2);
        CHECK(status == 0 || status == -EAGAIN);
        if (status == 0)
            sizes[in++ & 255] = size;
        for (int n = rand() % 3; (n > 0 || status < 0) && taken < in; n--, taken++, status = 0)
            CHECK(take(taken & 15, sizes[taken & 255]));
    }
    drop();
}

TEST(the_spill_has_a_limit_but_for_a_single_result)
{
    REQUIRE(make());
    w.spill_limit = 4 * MIB;
    CHECK_EQ_INT(put(1, 10 * MIB, 10 * MIB, 0), 0);
    uint64_t seen = mp_load_acquire(&w.shared->head);
    CHECK_EQ_INT(put(2, 100 * KIB, 100 * KIB, 0), -EAGAIN);
    CHECK_EQ_INT(put(2, 100 * KIB, 100 * KIB, 100 * KIB), -EAGAIN);
    CHECK_EQ_INT(put(3, 1000, 1000, 0), 0);
    CHECK(take(1, 10 * MIB));
    CHECK(mp_load_acquire(&w.shared->head) != seen);
    CHECK_EQ_INT(put(2, 100 * KIB, 100 * KIB, 0), 0);
    CHECK(take(3, 1000) && take(2, 100 * KIB));
    drop();
}

TEST(a_discarded_frame_leaves_no_trace)
{
    REQUIRE(make());
    for (unsigned i = 0; i < 500; i++) {
        mp_buffer *b = mp_result_open(&w, 0);
        REQUIRE(b != NULL && b->len == 0);
        CHECK_EQ_INT(mp_buffer_reserve(b, i * 1000), 0);
        b->len = i * 1000;
        mp_result_discard(&w);
        CHECK(!mp_result_peek(&r, &frame));
        CHECK(mp_result_publish_small(&w, i & 15, &i, 2));
        CHECK(mp_result_peek(&r, &frame) && frame.kind == (i & 15));
        mp_result_consume(&r);
    }
    drop();
}

TEST(trimming_gives_back_what_is_idle)
{
    REQUIRE(make());
    size_t first = writers.size;
    CHECK_EQ_INT(put(1, 30 * MIB, 30 * MIB, 0), 0);
    mp_result_trim(&w, 0);
    CHECK(writers.size > 30 * MIB);
    CHECK(take(1, 30 * MIB));
    mp_result_trim(&w, 5 * MIB);
    CHECK(writers.size >= 5 * MIB && writers.size < 6 * MIB);
    mp_result_trim(&w, 0);
    CHECK_EQ_INT(writers.size, first);
    CHECK_EQ_INT(put(2, 3 * MIB, MIB, 0), 0);
    CHECK(take(2, 3 * MIB));
    drop();
}

/* ---- memory that is short ---- */

static int in_child(int (*work)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        check_failures = 0;
        _exit(work() + (check_failures != 0));
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

static bool make_large(size_t limit)
{
    if (mp_result_create(&region, "spec-results", MIB, &error) < 0)
        return false;
    mp_result_reader_init(&r, &region);
    writers = region;
    struct rlimit files = {.rlim_cur = limit, .rlim_max = limit};
    setrlimit(RLIMIT_FSIZE, &files);
    return mp_result_writer_init(&w, &writers, &error) == 0;
}

static int with_no_more_memory(void)
{
    if (!make_large(region.size + 70 * KIB))
        return 1;
    size_t in = 0, taken = 0;
    for (int round = 0; round < 40; round++) {
        while (put(in & 15, in % 300, 100, 0) == 0)
            in++;
        CHECK(mp_result_publish_small(&w, in & 15, NULL, 0) || in - taken > 100);
        mp_result_discard(&w);
        while (mp_result_peek(&r, &frame)) {
            CHECK(frame.kind == (taken & 15));
            CHECK(frame.size == 0 ||
                  (frame.size == taken % 300 && filled(frame.data, frame.size, frame.kind)));
            in = frame.size == 0 && taken == in ? in + 1 : in;
            taken++;
            mp_result_consume(&r);
        }
        CHECK_EQ_INT(taken, in);
        /* Emptied, there is always room for a word, also for ordinary ones. */
        CHECK(mp_result_publish_small(&w, 5, "failed", 6));
        CHECK(mp_result_peek(&r, &frame) && frame.kind == 5 && frame.size == 6);
        mp_result_consume(&r);
        CHECK(!mp_result_peek(&r, &frame));
    }
    CHECK(in > 1000);
    return 0;
}

TEST(a_ring_that_cannot_grow_goes_on_when_it_is_empty)
{
    CHECK_EQ_INT(in_child(with_no_more_memory), 0);
}

static int with_no_spill(void)
{
    if (!make_large(200 * KIB))
        return 1;
    for (int i = 0; i < 100; i++) {
        mp_buffer *b = mp_result_open(&w, (size_t)i % 2 * 5 * MIB);
        if (b == NULL || mp_buffer_append(b, "abc", 3) != 0)
            return 2;
        CHECK_EQ_INT(mp_buffer_reserve(b, 5 * MIB), -EFBIG);
        CHECK(b->len == 3 && memcmp(b->data, "abc", 3) == 0);
        if (i % 3 == 0) {
            mp_result_publish(&w, 1);
            CHECK(mp_result_peek(&r, &frame) && frame.size == 3 &&
                  memcmp(frame.data, "abc", 3) == 0);
            mp_result_consume(&r);
        } else {
            mp_result_discard(&w);
        }
        CHECK(mp_result_publish_small(&w, 2, "no room", 7));
        CHECK(mp_result_peek(&r, &frame) && frame.kind == 2 && frame.size == 7);
        mp_result_consume(&r);
    }
    return 0;
}

TEST(a_result_that_finds_no_memory_can_be_told)
{
    CHECK_EQ_INT(in_child(with_no_spill), 0);
}

/* ---- damage ---- */

static void put_three(void)
{
    CHECK_EQ_INT(put(1, 8, 8, 0), 0);
    CHECK_EQ_INT(put(2, 100 * KIB, 100 * KIB, 0), 0);
    CHECK_EQ_INT(put(3, 8, 8, 0), 0);
}

static bool is_damaged(void)
{
    if (!mp_result_peek(&r, &frame) || frame.kind != MP_RESULT_DAMAGED || frame.size != 0)
        return false;
    mp_result_consume(&r);
    return !mp_result_peek(&r, &frame);
}

TEST(damage_is_told)
{
    unsigned char *ring;
    for (int what = 0; what < 6; what++) {
        REQUIRE(make());
        ring = region.base + 4096;
        put_three();
        uint32_t longer = 5000U << 8 | 1;
        uint64_t offset = 16, size = (uint64_t)1 << 40;
        if (what == 0) {
            memcpy(ring, &longer, 4);
        } else if (what < 5) {
            CHECK(take(1, 8));
        }
        if (what == 1)
            memcpy(ring + 12 + 4, &offset, 8);
        if (what == 2)
            memcpy(ring + 12 + 4, &size, 8);
        if (what == 3)
            memcpy(ring + 12 + 12, &size, 8);
        if (what == 4)
            memset(ring + 12, 0xFE, 4); /* a gap, and nothing behind it */
        if (what == 5)
            mp_store_relaxed(&w.shared->tail, (uint64_t)1 << 20 | 2);
        if (what != 4)
            CHECK(is_damaged());
        else
            CHECK(mp_result_peek(&r, &frame) && frame.kind == MP_RESULT_DAMAGED);
        mp_result_writer_destroy(&w);
        CHECK(mp_result_writer_init(&w, &writers, &error) == 0 || error.code == -EBADMSG);
        drop();
    }
}

TEST(what_is_no_ring_is_refused)
{
    CHECK_EQ_INT(mp_result_create(&region, "spec-results", 1000, &error), -EINVAL);
    CHECK_EQ_INT(mp_result_create(&region, "spec-results", 3 * CAPACITY, &error), -EINVAL);
    CHECK_EQ_INT(mp_result_create(&region, "spec-results", 64 * MIB, &error), -EINVAL);
}

CHECK_MAIN
