/* The host's reader, and a worker that takes over, on a ring that holds anything.
 * The input is a tail, a head, and what is written over a ring of good frames;
 * every byte that a frame claims must be readable, and reading must end. */
#include "shm/result_ring.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAPACITY = 64 << 10, RING_AT = 4096, SPILLED = 90000 };

static mp_region region;
static unsigned char *good; /* the region as a writer has left it */
static uint64_t good_tail;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void put(mp_result_writer *w, unsigned kind, size_t size)
{
    mp_buffer *b = mp_result_open(w, size);
    must(b != NULL && mp_buffer_reserve(b, size) == 0);
    memset(b->data, (int)kind, size);
    b->len = size;
    mp_result_publish(w, kind);
}

static void prepare(void)
{
    mp_result_writer w;
    must(mp_result_create(&region, "fuzz-results", CAPACITY, NULL) == 0);
    must(mp_result_writer_init(&w, &region, NULL) == 0);
    for (unsigned i = 0; i < 40; i++)
        put(&w, i & 15, i % 10 == 9 ? SPILLED : i * 5);
    mp_result_writer_destroy(&w);
    good_tail = mp_load_relaxed(&w.shared->tail);
    good = malloc(region.size);
    must(good != NULL);
    memcpy(good, region.base, region.size);
}

static unsigned read_all(void)
{
    mp_result_reader r;
    mp_result_frame frame;
    unsigned sum = 0, frames = 0;
    mp_result_reader_init(&r, &region);
    while (mp_result_peek(&r, &frame)) {
        must(frame.kind <= MP_RESULT_DAMAGED && frame.size <= region.size && frames++ < CAPACITY);
        for (size_t i = 0; i < frame.size; i++)
            sum += frame.data[i];
        mp_result_consume(&r);
    }
    return sum;
}

static void take_over(void)
{
    mp_result_writer w;
    if (mp_result_writer_init(&w, &region, NULL) == 0)
        mp_result_writer_destroy(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t positions[2];
    uint16_t at;
    if (good == NULL)
        prepare();
    if (size < sizeof positions + sizeof at)
        return 0;
    memcpy(positions, data, sizeof positions);
    memcpy(&at, data + sizeof positions, sizeof at);
    data += sizeof positions + sizeof at;
    size -= sizeof positions + sizeof at;
    mp_result_shared *shared = (mp_result_shared *)(void *)region.base;
    memcpy(region.base, good, RING_AT + CAPACITY);
    memcpy(region.base + RING_AT + at, data,
           size < CAPACITY - (size_t)at ? size : CAPACITY - (size_t)at);
    /* Inputs that leave the positions zero damage frames only. */
    mp_store_relaxed(&shared->tail, positions[0] + good_tail);
    mp_store_relaxed(&shared->head, positions[1]);
    take_over();
    volatile unsigned sum = read_all();
    (void)sum;
    return 0;
}
