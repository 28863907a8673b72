/* timeout: 120
 * sanitize: thread
 *
 * Both rings between threads over one mapping, so that ThreadSanitizer can see
 * both sides: claims against revokes and sweeps, results against a slow reader. */
#include "shm/result_ring.h"
#include "shm/task_ring.h"
#include "shm/wake.h"
#include "spec/support/check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* ---- tasks ---- */

enum { WORKERS = 3, ROWS = 20000, SLOTS = 64 };

/* A worker thread that plays dead hands its incarnation to the burier. */
typedef struct seat {
    mp_claim_note note;
    mp_bed bed;
    _Atomic uint32_t incarnation;
    _Atomic uint32_t dead;
    pthread_t thread;
    unsigned index;
} seat;

static mp_region tasks;
static mp_task_ring ring;
static seat seats[WORKERS];
static _Atomic uint32_t runs[ROWS + 1]; /* run or revoked */
static _Atomic uint32_t stop;
static uint64_t again[WORKERS * MP_HOLD_MAX];
static _Atomic uint32_t again_count; /* published by the burier, reset by the host */
static uint64_t total_swept, total_revoked;

static void rest(seat *s)
{
    mp_bed_lie_down(&s->bed);
    if (mp_task_ring_waiting(&ring) == 0 && mp_load_acquire(&stop) == 0)
        mp_bed_sleep(&s->bed, 10000000);
    mp_bed_rise(&s->bed);
}

static void run_all(const mp_granule *g, const uint64_t *positions, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        mp_task_ring_release(&ring, positions[i]);
    for (unsigned i = 0; i < n; i++)
        mp_add_relaxed(&runs[g[i].row], g[i].first == g[i].row * 2);
}

static void *work(void *argument)
{
    seat *s = argument;
    mp_granule g[MP_HOLD_MAX];
    uint64_t positions[MP_HOLD_MAX];
    unsigned random = s->index;
    while (mp_load_acquire(&stop) == 0) {
        random = random * 1103515245U + 12345U;
        uint32_t incarnation = mp_load_acquire(&s->incarnation);
        unsigned n = mp_task_ring_claim(&ring, &s->note, incarnation,
                                        (random >> 16) % MP_HOLD_MAX + 1, g, positions);
        if (n == 0) {
            rest(s);
        } else if ((random >> 20) % 16 == 0) {
            mp_store_release(&s->dead, 1);
            while (mp_load_acquire(&s->dead) != 0 && mp_load_acquire(&stop) == 0)
                sched_yield();
        } else {
            run_all(g, positions, n);
        }
    }
    return NULL;
}

static void bury(seat *s)
{
    mp_granule g[MP_HOLD_MAX];
    uint32_t incarnation = mp_load_acquire(&s->incarnation), count = mp_load_acquire(&again_count);
    if (count + MP_HOLD_MAX > sizeof again / sizeof *again)
        return;
    unsigned n = mp_task_ring_claimed_by(&ring, &s->note, incarnation, g);
    if (mp_task_ring_sweep(&ring, &s->note, incarnation) != n)
        abort();
    for (unsigned i = 0; i < n; i++)
        again[count + i] = g[i].row;
    total_swept += n;
    mp_store_relaxed(&s->incarnation, incarnation + WORKERS);
    mp_store_release(&again_count, count + n);
    mp_store_release(&s->dead, 0);
}

static pthread_mutex_t again_lock = PTHREAD_MUTEX_INITIALIZER;

static void *bury_all(void *argument)
{
    (void)argument;
    while (mp_load_acquire(&stop) == 0) {
        for (int i = 0; i < WORKERS; i++) {
            if (mp_load_acquire(&seats[i].dead) == 0)
                continue;
            pthread_mutex_lock(&again_lock);
            bury(&seats[i]);
            pthread_mutex_unlock(&again_lock);
        }
        sched_yield();
    }
    return NULL;
}

static void publish(uint64_t row)
{
    mp_granule g = {.row = row, .first = row * 2};
    mp_error error = {0};
    uint64_t position;
    while (mp_task_ring_publish(&ring, &g, &position, &error) != 0)
        sched_yield();
    mp_fence();
    for (int i = 0; i < WORKERS; i++)
        if (mp_bed_asleep(&seats[i].bed) && mp_bed_call(&seats[i].bed))
            break;
    if (row % 7 == 0 && mp_task_ring_revoke(&ring, position)) {
        mp_add_relaxed(&runs[row], 1);
        total_revoked++;
    }
}

static void publish_again(void)
{
    uint64_t rows[WORKERS * MP_HOLD_MAX];
    pthread_mutex_lock(&again_lock);
    uint32_t n = mp_load_acquire(&again_count);
    memcpy(rows, again, n * sizeof *rows);
    mp_store_release(&again_count, 0);
    pthread_mutex_unlock(&again_lock);
    for (uint32_t i = 0; i < n; i++)
        publish(rows[i]);
}

static uint32_t rows_done(void)
{
    uint32_t n = 0;
    for (int row = 1; row <= ROWS; row++)
        n += mp_load_acquire(&runs[row]) != 0;
    return n;
}

TEST(tasks_between_threads)
{
    mp_error error = {0};
    pthread_t burier;
    REQUIRE(mp_region_create(&tasks, "spec-tasks", 1 << 20, 1 << 20, 4096, &error) == 0);
    mp_task_ring_shared *shared = (mp_task_ring_shared *)(void *)tasks.base;
    REQUIRE(mp_task_ring_create(&ring, shared, &tasks, 4096, SLOTS, &error) == 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        seats[i].index = i;
        mp_store_relaxed(&seats[i].incarnation, i + 1);
        REQUIRE(pthread_create(&seats[i].thread, NULL, work, &seats[i]) == 0);
    }
    REQUIRE(pthread_create(&burier, NULL, bury_all, NULL) == 0);
    for (uint64_t row = 1; row <= ROWS; row++) {
        publish(row);
        publish_again();
        if (row % 1000 == 0) /* now and then it runs empty and starts again */
            while (mp_task_ring_waiting(&ring) > 0)
                publish_again();
    }
    while (rows_done() < ROWS)
        publish_again();
    mp_store_release(&stop, 1);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(seats[i].thread, NULL);
    pthread_join(burier, NULL);
    for (int row = 1; row <= ROWS; row++)
        if (mp_load_relaxed(&runs[row]) != 1)
            CHECK_EQ_INT(mp_load_relaxed(&runs[row]), 1);
    CHECK(total_swept > 0);
    mp_region_destroy(&tasks);
}

/* ---- results ---- */

enum { FRAMES = 20000 };

static mp_region results, results_of_writer;
static mp_result_writer writer;

static size_t size_of(unsigned i)
{
    unsigned x = i * 2654435761U;
    return (x >> 8) % (x % 199 == 0 ? 300000U : x % 11 == 0 ? 20000U : 40U);
}

static int put(unsigned i)
{
    size_t size = size_of(i);
    mp_buffer *b = mp_result_open(&writer, i % 2 == 0 ? size : 0);
    if (b == NULL)
        return -EAGAIN;
    while (b->len < size) {
        size_t n = size - b->len < 5000 ? size - b->len : 5000;
        int status = mp_buffer_reserve(b, n);
        if (status < 0) {
            mp_result_discard(&writer);
            return status;
        }
        memset(b->data + b->len, (int)(i & 15), n);
        b->len += n;
    }
    mp_result_publish(&writer, i & 15);
    return 0;
}

static void *produce(void *argument)
{
    int *status = argument;
    for (unsigned i = 0; i < FRAMES && *status == 0; i++) {
        uint64_t seen = mp_load_acquire(&writer.shared->head);
        while ((*status = put(i)) == -EAGAIN) {
            mp_result_wait(&writer, seen);
            seen = mp_load_acquire(&writer.shared->head);
        }
    }
    return NULL;
}

static bool right(const mp_result_frame *f, unsigned i)
{
    if (f->kind != (i & 15) || f->size != size_of(i))
        return false;
    for (size_t k = 0; k < f->size; k++)
        if (f->data[k] != (i & 15))
            return false;
    return true;
}

TEST(results_between_threads)
{
    mp_error error = {0};
    mp_result_reader reader;
    mp_result_frame frame;
    pthread_t producer;
    int status = 0, wrong = 0;
    REQUIRE(mp_result_create(&results, "spec-results", 64 << 10, &error) == 0);
    mp_result_reader_init(&reader, &results);
    results_of_writer = results;
    REQUIRE(mp_result_writer_init(&writer, &results_of_writer, &error) == 0);
    writer.spill_limit = 1 << 20;
    REQUIRE(pthread_create(&producer, NULL, produce, &status) == 0);
    for (unsigned i = 0; i < FRAMES;) {
        if (!mp_result_peek(&reader, &frame)) {
            sched_yield();
            continue;
        }
        wrong += !right(&frame, i++);
        mp_result_consume(&reader);
    }
    pthread_join(producer, NULL);
    CHECK_EQ_INT(status, 0);
    CHECK_EQ_INT(wrong, 0);
    CHECK(!mp_result_peek(&reader, &frame));
    mp_result_writer_destroy(&writer);
    mp_region_destroy(&results);
}

CHECK_MAIN
