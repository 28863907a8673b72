/* Descriptors above 2: see fd.h. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

int mp_fd_lift(int fd)
{
    if (fd < 0)
        return fd;
    if (fd > 2 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
        return fd;
    int lifted = fd > 2 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int saved = errno;
    close(fd);
    errno = saved;
    return lifted;
}

void mp_fd_close(int *fd)
{
    int saved = errno;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

static int wait_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

int mp_fd_write(int fd, const void *bytes, unsigned long n)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t written = write(fd, at, n);
        if (written >= 0) {
            at += written;
            n -= (unsigned long)written;
        } else if (errno == EAGAIN) {
            int status = wait_writable(fd);
            if (status < 0)
                return status;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int mp_fd_lengthen(bool all, int (*body)(void *ctx), void *ctx)
{
    sigset_t xfsz, every, old, before;
    sigfillset(&every);
    sigemptyset(&xfsz);
    sigaddset(&xfsz, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, all ? &every : &xfsz, &old);
    sigpending(&before);
    int status = body(ctx);
    if (status == -EFBIG && !sigismember(&before, SIGXFSZ))
        sigtimedwait(&xfsz, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return status;
}
