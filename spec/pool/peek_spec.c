/* A pool as another program reads it: what stands there, what is no pool, what is of another
 * version, and memory that is damaged or shortened in every way that comes to mind. */
#include "pool/peek.h"

#include "spec/support/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SEATS = 70, ME = 65 };

static mp_segment segment;
static mp_seat *seat;
static mp_peek_pool pool;
static mp_peek_worker workers[MP_PEEK_AT_ONCE];

static void open_segment(void)
{
    mp_error error = {0};
    CHECK_EQ_INT(mp_segment_create(&segment, SEATS, &error), 0);
    seat = &segment.seats[ME];
    mp_store_relaxed(&seat->incarnation, 9);
    mp_store_relaxed(&seat->pid, 4711);
    mp_store_relaxed(&seat->rank, 0);
    mp_store_relaxed(&seat->phase, MP_PHASE_READY);
}

static void close_segment(void)
{
    mp_segment_destroy(&segment);
}

/* All workers; how many. */
static unsigned read_all(mp_peek_worker *last)
{
    unsigned all = 0;
    for (uint32_t at = 0; at < pool.seats;) {
        unsigned n = mp_peek_workers_read(segment.seat_region.fd, &pool, at, workers, &at);
        if (n > 0)
            *last = workers[n - 1];
        all += n;
    }
    return all;
}

TEST(tells_what_stands_there)
{
    mp_peek_worker me = {0};
    open_segment();
    mp_granule g = {.row = 1, .first = 1, .count = 3};
    uint64_t at;
    CHECK_EQ_INT(mp_task_ring_publish(&segment.ring, &g, &at, NULL), 0);
    CHECK_EQ_INT(mp_peek_pool_read(segment.region.fd, &pool), 0);
    CHECK_EQ_INT(pool.host_pid, getpid());
    CHECK_EQ_INT(pool.seats, SEATS);
    CHECK_EQ_INT(pool.waiting, 1);
    CHECK_EQ_INT(read_all(&me), 1);
    CHECK_EQ_INT(me.seat, ME);
    CHECK_EQ_INT(me.pid, 4711);
    CHECK_EQ_INT(me.state, MP_WORKER_IDLE);
    CHECK_EQ_INT(me.item, 0);
    close_segment();
}

TEST(tells_when_an_item_began_where_that_is_known)
{
    mp_peek_worker me = {0};
    open_segment();
    mp_store_relaxed(&seat->held, 2);
    mp_store_relaxed(&seat->begun_item, 17);
    mp_store_relaxed(&seat->busy_since, 1000);
    mp_store_relaxed(&seat->before, 3);
    mp_store_relaxed(&seat->items, 4);
    mp_peek_pool_read(segment.region.fd, &pool);
    read_all(&me);
    CHECK_EQ_INT(me.state, MP_WORKER_BUSY);
    CHECK_EQ_INT(me.item, 17);
    CHECK_EQ_INT(me.since, 1000);
    CHECK(me.exact);
    mp_store_relaxed(&seat->items, 5);
    read_all(&me);
    CHECK(!me.exact);
    mp_store_relaxed(&seat->began, 2000);
    read_all(&me);
    CHECK(me.exact);
    CHECK_EQ_INT(me.since, 2000);
    close_segment();
}

TEST(refuses_what_is_no_pool_or_of_another_version)
{
    int fd = memfd_create("moonpool", MFD_CLOEXEC);
    CHECK_EQ_INT(mp_peek_pool_read(fd, &pool), -EAGAIN);
    CHECK_EQ_INT(ftruncate(fd, 1 << 20), 0);
    CHECK_EQ_INT(mp_peek_pool_read(fd, &pool), -EAGAIN);
    close(fd);
    CHECK_EQ_INT(mp_peek_pool_read(fd, &pool), -EAGAIN);
    open_segment();
    segment.control->version = 77;
    CHECK_EQ_INT(mp_peek_pool_read(segment.region.fd, &pool), -EPROTO);
    CHECK_EQ_INT(pool.version, 77);
    segment.control->version = MP_CONTROL_VERSION;
    segment.control->seat_size++;
    CHECK_EQ_INT(mp_peek_pool_read(segment.region.fd, &pool), -EPROTO);
    close_segment();
}

/* A task memory with a call's block and its label; where the block lies. */
static uint64_t write_call(int fd, const char *text, mp_call_block *block, mp_label *head)
{
    *head = (mp_label){.size = (uint32_t)strlen(text)};
    head->check = mp_checksum((const unsigned char *)text, head->size);
    *block = (mp_call_block){.label = 4096 + 1};
    block->check = mp_call_block_check(block);
    CHECK_EQ_INT(pwrite(fd, head, offsetof(mp_label, text), 4096), offsetof(mp_label, text));
    CHECK(pwrite(fd, text, head->size, 4096 + offsetof(mp_label, text)) >= 0);
    CHECK_EQ_INT(pwrite(fd, block, sizeof *block, 64), sizeof *block);
    return 64;
}

TEST(reads_names_of_functions_that_are_whole)
{
    char text[MP_LABEL_MOST];
    mp_call_block block;
    mp_label head;
    int fd = memfd_create("moonpool-tasks", MFD_CLOEXEC);
    uint64_t call = write_call(fd, "f (a.lua:1)", &block, &head);
    CHECK_EQ_INT(mp_peek_label_read(fd, call, text), 11);
    CHECK_EQ_INT(memcmp(text, "f (a.lua:1)", 11), 0);
    head.size = UINT32_MAX;
    CHECK(pwrite(fd, &head, offsetof(mp_label, text), 4096) > 0);
    CHECK_EQ_INT(mp_peek_label_read(fd, call, text), 0);
    call = write_call(fd, "g", &block, &head);
    CHECK(pwrite(fd, "h", 1, 4096 + offsetof(mp_label, text)) == 1);
    CHECK_EQ_INT(mp_peek_label_read(fd, call, text), 0);
    block.label = UINT64_MAX;
    block.check = mp_call_block_check(&block);
    CHECK(pwrite(fd, &block, sizeof block, 64) > 0);
    CHECK_EQ_INT(mp_peek_label_read(fd, call, text), 0);
    CHECK_EQ_INT(mp_peek_label_read(fd, UINT64_MAX - 3, text), 0);
    CHECK_EQ_INT(mp_peek_label_read(-1, call, text), 0);
    close(fd);
}

static void fill_with_noise(void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)(rand() >> 7);
}

/* Whatever is there, it ends, and what it tells has its bounds. */
TEST(bears_any_damage)
{
    mp_peek_worker last = {0};
    open_segment();
    for (int i = 0; i < 3000; i++) {
        size_t at = sizeof segment.control->magic + 8;
        if (i % 3 == 0)
            at += (size_t)rand() % (sizeof(mp_control) - at);
        fill_with_noise((unsigned char *)segment.control + at, sizeof(mp_control) - at);
        fill_with_noise(segment.seats, SEATS * sizeof(mp_seat));
        if (mp_peek_pool_read(segment.region.fd, &pool) < 0)
            continue;
        CHECK(pool.seats <= MP_SEATS_MAX);
        CHECK(read_all(&last) <= MP_SEATS_MAX);
        CHECK(last.held <= MP_HOLD_MAX);
        CHECK(last.fraction <= 1);
    }
    close_segment();
}

TEST(bears_memory_that_is_shortened)
{
    mp_peek_worker last = {0};
    open_segment();
    for (off_t size = (off_t)sizeof(mp_control); size >= 0; size -= 100) {
        CHECK_EQ_INT(ftruncate(segment.region.fd, size), 0);
        mp_peek_pool_read(segment.region.fd, &pool);
    }
    pool.seats = SEATS;
    for (off_t size = SEATS * (off_t)sizeof(mp_seat); size >= 0; size -= 1000) {
        CHECK_EQ_INT(ftruncate(segment.seat_region.fd, size), 0);
        CHECK(read_all(&last) <= SEATS);
    }
    close_segment();
}

CHECK_MAIN
