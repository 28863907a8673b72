/* Descriptors that never land on 0, 1 or 2 and are always close-on-exec. */
#ifndef MP_BASE_FD_H
#define MP_BASE_FD_H

#include <stdbool.h>

/* Moves `fd` to a number of 3 or more, close-on-exec; the old number is
 * closed where it changes. Passes a negative fd through, with errno kept.
 * Returns the descriptor, or -1 with errno (the old one is closed then). */
int mp_fd_lift(int fd);

/* Closes *fd if it is not negative and sets it to -1. errno is kept. */
void mp_fd_close(int *fd);

/* Writes all n bytes to fd, through EINTR, short writes and (by waiting)
 * EAGAIN. Returns 0 or a negative errno. Blocks. */
int mp_fd_write(int fd, const void *bytes, unsigned long n);

/* Calls body(ctx), which makes a file longer, so that a limit of its size comes back as -EFBIG and
 * no SIGXFSZ comes of it; with `all`, every signal waits until it returns. What body returned. */
int mp_fd_lengthen(bool all, int (*body)(void *ctx), void *ctx);

#endif
