/* What a worker has done in all its seat's life, in little room: one writer, who may be killed at
 * any instant, and one reader.
 *
 * A span is some tasks, one at first. When there is no room for more, each two neighbours become
 * one, and from then on a span is twice as many tasks: so what is told grows coarser with time, and
 * no time is left out. */
#ifndef MP_POOL_SPANS_H
#define MP_POOL_SPANS_H

#include "base/atomics.h"
#include "shm/result_ring.h"

typedef struct mp_span {
    int64_t from, to; /* mp_now's clock: the first task's begin, the last one's end */
    int64_t busy;     /* nanoseconds of that with a task */
    uint32_t items;
    int32_t pid; /* of the worker, 0: of several */
} mp_span;

enum { MP_SPANS = 118 /* even */ };

/* Written by the worker alone. */
typedef struct mp_spans {
    _Atomic uint32_t version; /* odd while it writes */
    uint32_t count;
    uint32_t each; /* tasks a span; 0: 1 */
    uint32_t last; /* those of the last one */
    mp_span spans[MP_SPANS];
} mp_spans;

_Static_assert(sizeof(mp_spans) <= MP_RESULT_NOTES, "spans lie in a result region's notes");

/* Worker: a further task, whose items ran from `from` to `to`. */
void mp_spans_add(mp_spans *s, int64_t from, int64_t to, uint32_t items, int32_t pid);

/* Host: copies the spans into `found`; their number. Those of a writer that never stops to write
 * are told as they are. None of them contradicts itself, whatever was in the memory. */
unsigned mp_spans_read(const mp_spans *s, mp_span found[MP_SPANS]);

#endif
