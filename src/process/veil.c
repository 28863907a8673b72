/* Streams in front of the standard ones: see veil.h.
 *
 * They are made once and never closed: somebody may still have one when the veil is off, and then
 * writes to the descriptor. */
#include "process/veil.h"

#include "base/fd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct veil {
    FILE *stream;
    FILE *behind; /* what stood in the stream's place; NULL: the veil is off */
} veil;

static struct {
    veil out, err;
    mp_veil_writer writer;
    unsigned times; /* it was put on */
    bool at_exit;
} all;

static ssize_t pass_on(void *cookie, const char *bytes, size_t size)
{
    int fd = (int)(intptr_t)cookie;
    int status = all.times > 0 ? all.writer(fd, bytes, size) : mp_fd_write(fd, bytes, size);
    if (status == 0)
        return (ssize_t)size;
    errno = -status;
    return 0;
}

/* As the stream behind it; one that was never written to says nothing yet. */
static int buffering_of(FILE *behind, int fd)
{
    if (__flbf(behind))
        return _IOLBF;
    size_t size = __fbufsize(behind);
    return size > 1 ? _IOFBF : size == 0 && fd == STDOUT_FILENO ? _IOLBF : _IONBF;
}

static void draw(veil *v, FILE **standard, int fd)
{
    static const cookie_io_functions_t functions = {.write = pass_on};
    if (*standard == NULL || fileno(*standard) != fd || isatty(fd) == 0)
        return;
    if (v->stream == NULL)
        v->stream = fopencookie((void *)(intptr_t)fd, "w", functions);
    if (v->stream == NULL)
        return;
    fflush(*standard);
    setvbuf(v->stream, NULL, buffering_of(*standard, fd), BUFSIZ);
    v->behind = *standard;
    *standard = v->stream;
}

static void withdraw(veil *v, FILE **standard)
{
    if (v->behind == NULL)
        return;
    fflush(v->stream);
    if (*standard == v->stream)
        *standard = v->behind;
    v->behind = NULL;
}

static void withdraw_both(void)
{
    withdraw(&all.out, &stdout);
    withdraw(&all.err, &stderr);
}

void mp_veil_on(mp_veil_writer writer)
{
    if (!all.at_exit && atexit(withdraw_both) != 0)
        return;
    all.at_exit = true;
    all.writer = writer;
    if (all.times++ > 0)
        return;
    int saved = errno;
    draw(&all.out, &stdout, STDOUT_FILENO);
    draw(&all.err, &stderr, STDERR_FILENO);
    errno = saved;
}

void mp_veil_off(void)
{
    if (all.times == 0 || --all.times > 0)
        return;
    withdraw_both();
}
