/* What several specs of C hosts need: the clock of their deadlines, and a handler that replies with
 * its input. */
#ifndef SPEC_SUPPORT_HANDLERS_H
#define SPEC_SUPPORT_HANDLERS_H

#include "moonpool.h"

#include <time.h>

/* Nanoseconds of the clock that moonpool_wait's deadlines are of. */
static inline int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static inline int echo(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    (void)user;
    return moonpool_write(reply, input, size);
}

#endif
