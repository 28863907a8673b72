/* A veil over this process's standard streams: while it is on, what is written to `stdout` and
 * `stderr` by stdio goes to a function, stream by stream only where that is a terminal. Nothing is
 * held back that would not have been, and descriptors are left alone. */
#ifndef MP_PROCESS_VEIL_H
#define MP_PROCESS_VEIL_H

#include <stddef.h>

/* Writes all bytes to the descriptor; 0 or a negative errno, the error of the write. */
typedef int (*mp_veil_writer)(int fd, const char *bytes, size_t size);

/* Puts it on; once more where it is on. What the streams have buffered is written first. */
void mp_veil_on(mp_veil_writer writer);

/* Takes off what was put on once, with the last time the veil, behind what is buffered. */
void mp_veil_off(void);

#endif
