/* A result ring with its two ends in one process, for the specs of results: what is
 * put says by its kind what it holds. The region is shared, so a forked child may
 * be the writer. */
#ifndef MP_SPEC_SHM_RESULT_FIXTURE_H
#define MP_SPEC_SHM_RESULT_FIXTURE_H

#include "shm/result_ring.h"
#include "spec/support/check.h"

#include <errno.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

enum { CAPACITY = 64 << 10 };

static mp_region region, writers; /* the host's view and the worker's */
static mp_result_writer w;
static mp_result_reader r;
static mp_result_frame frame;
static mp_error error;

static inline bool make(void)
{
    if (mp_result_create(&region, "spec-results", CAPACITY, &error) < 0)
        return false;
    mp_result_reader_init(&r, &region);
    writers = region;
    return mp_result_writer_init(&w, &writers, &error) == 0;
}

static inline void drop(void)
{
    mp_result_writer_destroy(&w);
    mp_region_destroy(&region);
}

static inline void fill(unsigned char *at, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)(seed + i * 7 + (i >> 8));
}

static inline bool filled(const unsigned char *at, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        if (at[i] != (unsigned char)(seed + i * 7 + (i >> 8)))
            return false;
    return true;
}

/* Writes one frame (of the kind modulo 16) in pieces; 0, -EAGAIN where the host must read first, or
 * what grow said. */
static inline int put(unsigned kind, size_t size, size_t piece, size_t least)
{
    mp_buffer *b = mp_result_open(&w, least);
    if (b == NULL)
        return -EAGAIN;
    while (b->len < size) {
        size_t n = size - b->len < piece ? size - b->len : piece;
        int status = mp_buffer_reserve(b, n);
        if (status < 0) {
            mp_result_discard(&w);
            return status;
        }
        b->len += n;
    }
    fill(b->data, size, kind);
    mp_result_publish(&w, kind & 15);
    return 0;
}

static inline bool take(unsigned kind, size_t size)
{
    if (!mp_result_peek(&r, &frame))
        return false;
    bool right = frame.kind == (kind & 15) && frame.size == size && filled(frame.data, size, kind);
    mp_result_consume(&r);
    return right;
}

#endif
