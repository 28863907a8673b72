/* Standard output of a worker in whole lines.
 *
 * `stdout` becomes a stream that collects bytes and passes on complete lines
 * before the writing call returns, each in one piece: lines of different
 * processes never mix within a line. What has no newline yet is passed on by
 * mp_output_flush (at the end of each item) and at exit. */
#ifndef MP_PROCESS_OUTPUT_H
#define MP_PROCESS_OUTPUT_H

#include "base/error.h"
#include "base/robust.h"

#include <stdbool.h>
#include <stdio.h>

/* Gets whole lines (one or more, each with its newline; the last may lack it
 * when flushed) instead of descriptor 1. Returns 0 or a negative errno, which
 * becomes the error of the write. */
typedef int (*mp_output_sink)(void *ctx, const char *bytes, size_t size);

/* Writes all bytes to the descriptor; 0 or a negative errno. */
typedef int (*mp_output_writer)(int fd, const char *bytes, size_t size);

/* How descriptor 1 is written to from now on, here and in this process's children. */
void mp_output_write_by(mp_output_writer writer);

/* Worker: replaces `stdout` (what an inherited stdout had buffered is dropped:
 * it is its parent's). `lock` lies in shared memory, common to all processes
 * that write to the same descriptor 1; its note is used up here. `sink` may be
 * NULL: descriptor 1. Writing waits for a holder of the lock that is waiting for
 * its reader, but not for one that is stopped or dead (a dead one's torn line is
 * ended first). Errors of the descriptor (EPIPE, EBADF, ENOSPC) are those of the
 * writing call, and what it was to write is dropped. Returns 0 or a negative
 * errno; called again it changes lock and sink. */
int mp_output_install(mp_robust *lock, mp_output_sink sink, void *ctx, mp_error *error);

/* A worker's child: drops the sink and the unfinished line that it has inherited, which are its
 * parent's; its own lines go to descriptor 1. False where nothing is installed. */
bool mp_output_detach(void);

/* Worker: passes on an unfinished line. Returns 0 (also where nothing is
 * installed) or a negative errno. */
int mp_output_flush(void);

/* Worker: the first error (negative errno) of what could not be passed on since it was asked for;
 * 0 where there was none. Few look at what their prints return. */
int mp_output_error(void);

#endif
