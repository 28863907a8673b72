/* How long to look again before sleeping: an answer that comes within the look saves
 * a sleep and a wake, one that does not has cost a processor its time.
 *
 * So a look that found nothing makes the next ones shorter, down to none, and one
 * that found something makes them long again; every so often a long one is tried. */
#ifndef MP_POOL_PATIENCE_H
#define MP_POOL_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

enum { MP_LOOK_NS = 50000, MP_LOOK_LEAST_NS = 2000, MP_LOOK_AGAIN = 16 };

/* Private to one process. All zero is a beginning. */
typedef struct mp_patience {
    int64_t lost; /* how much shorter than MP_LOOK_NS a look is */
    unsigned skipped;
} mp_patience;

/* Nanoseconds to look now, 0: not at all. */
static inline int64_t mp_patience_now(mp_patience *p)
{
    int64_t left = MP_LOOK_NS - p->lost;
    if (left >= MP_LOOK_LEAST_NS)
        return left;
    p->skipped = (p->skipped + 1) % MP_LOOK_AGAIN;
    return p->skipped == 0 ? MP_LOOK_NS : 0;
}

/* What the look came to. */
static inline void mp_patience_learn(mp_patience *p, bool found)
{
    p->lost = found ? 0 : p->lost + (MP_LOOK_NS - p->lost) / 2;
}

#endif
