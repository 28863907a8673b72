/* Standard output in whole lines: see output.h.
 *
 * The path of a byte: stdio, unbuffered -> take() -> what has its newline goes
 * to the sink or, under the lock, to descriptor 1; the rest waits in `partial`.
 * Every piece is written under the lock, short ones too: a long one may be
 * written in several parts, and a short one must not fall between them.
 *
 * The lock's note says who holds it (upper half) and how many bytes it is
 * writing. By it one knows a holder that is stopped, whom nobody waits for, and
 * a dead one that may have left a line unfinished. */
#include "process/output.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT_SIZE = 1 << 16, STAT_SIZE = 256 };

static const double patience = 1; /* seconds between two looks at the holder */

static int write_plainly(int fd, const char *bytes, size_t size)
{
    return mp_fd_write(fd, bytes, size);
}

static struct {
    FILE *stream;
    FILE *inherited; /* what `stdout` was before */
    mp_robust *lock;
    mp_output_sink sink;
    void *ctx;
    mp_output_writer write; /* to descriptor 1 */
    mp_buffer partial;      /* an unfinished line */
    int error;              /* the first one, until it is asked for */
    bool at_exit;
} out = {.write = write_plainly};

void mp_output_write_by(mp_output_writer writer)
{
    out.write = writer;
}

/* ---- the lock ---- */

static uint64_t note_of(size_t size)
{
    return (uint64_t)getpid() << 32 | (size < UINT32_MAX ? size : UINT32_MAX);
}

/* By the third field of its stat, behind the name in parentheses. Where that
 * cannot be read, waiting on would be a wager. */
static bool is_stopped(unsigned pid)
{
    char path[32], text[STAT_SIZE];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    mp_fd_close(&fd);
    if (n <= 0)
        return true;
    text[n] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end == NULL || name_end[1] != ' ' || strchr("Tt", name_end[2]) != NULL;
}

/* As mp_robust_lock; negative too if the holder is stopped. */
static int lock_unless_stopped(mp_robust *lock)
{
    for (;;) {
        int status = mp_robust_lock(lock, mp_deadline(patience));
        if (status != -ETIMEDOUT || is_stopped((unsigned)(mp_load_relaxed(&lock->note) >> 32)))
            return status;
    }
}

/* A pipe takes up to PIPE_BUF bytes at once or not at all. */
static bool may_have_torn(uint64_t note)
{
    return (uint32_t)note > PIPE_BUF;
}

static int write_locked(const char *bytes, size_t size)
{
    mp_robust *lock = out.lock;
    int held = lock_unless_stopped(lock);
    if (held < 0)
        return out.write(STDOUT_FILENO, bytes, size);
    int status = 0;
    if (held == 1 && may_have_torn(mp_load_relaxed(&lock->note)))
        status = out.write(STDOUT_FILENO, "\n", 1);
    mp_store_relaxed(&lock->note, note_of(size));
    if (status == 0)
        status = out.write(STDOUT_FILENO, bytes, size);
    mp_store_relaxed(&lock->note, 0);
    mp_robust_unlock(lock);
    return status;
}

/* ---- lines ---- */

static int deliver(const char *bytes, size_t size)
{
    int status = out.sink != NULL ? out.sink(out.ctx, bytes, size) : write_locked(bytes, size);
    out.error = out.error < 0 ? out.error : status;
    return status;
}

/* Delivered or not, it is not tried again: the writer gets the error. */
static int deliver_partial(void)
{
    int status = deliver((const char *)out.partial.data, out.partial.len);
    out.partial.len = 0;
    if (out.partial.cap > KEPT_SIZE)
        mp_buffer_free(&out.partial);
    return status;
}

static int pass_on(const char *bytes, size_t size)
{
    if (out.partial.len == 0)
        return deliver(bytes, size);
    int status = mp_buffer_append(&out.partial, bytes, size);
    return status < 0 ? status : deliver_partial();
}

static ssize_t take(void *cookie, const char *bytes, size_t size)
{
    const char *newline = memrchr(bytes, '\n', size);
    size_t whole = newline != NULL ? (size_t)(newline - bytes) + 1 : 0;
    int status = whole > 0 ? pass_on(bytes, whole) : 0;
    (void)cookie;
    if (status == 0)
        status = mp_buffer_append(&out.partial, bytes + whole, size - whole);
    if (status == 0)
        return (ssize_t)size;
    errno = -status;
    return 0;
}

int mp_output_flush(void)
{
    if (out.stream == NULL || (out.partial.len == 0 && __fpending(out.stream) == 0))
        return 0;
    flockfile(out.stream);
    /* Somebody may have given the stream a buffer. */
    int status = fflush(out.stream) == 0 ? 0 : -errno;
    if (out.partial.len > 0) {
        int last = deliver_partial();
        status = status == 0 ? last : status;
    }
    funlockfile(out.stream);
    return status;
}

int mp_output_error(void)
{
    int error = out.error;
    out.error = 0;
    return error;
}

bool mp_output_detach(void)
{
    out.sink = NULL;
    out.partial.len = 0;
    return out.stream != NULL && out.stream == stdout;
}

/* ---- coming and going ---- */

static void give_back_stdout(void)
{
    if (stdout == out.stream)
        stdout = out.inherited;
    out.stream = NULL;
}

/* The stream is being closed: it has flushed itself into take(). */
static int closed(void *cookie)
{
    int status = out.partial.len > 0 ? deliver_partial() : 0;
    (void)cookie;
    give_back_stdout();
    if (status == 0)
        return 0;
    errno = -status;
    return EOF;
}

/* Whoever prints after this, at exit or with this library unloaded, has plain
 * stdio again. */
static void flush_at_exit(void)
{
    mp_output_flush();
    give_back_stdout();
}

static int open_stream(void)
{
    static const cookie_io_functions_t functions = {.write = take, .close = closed};
    if (!out.at_exit && atexit(flush_at_exit) != 0)
        return -ENOMEM;
    out.at_exit = true;
    FILE *stream = fopencookie(NULL, "w", functions);
    if (stream == NULL)
        return -errno;
    setvbuf(stream, NULL, _IONBF, 0);
    __fpurge(stdout);
    out.inherited = stdout;
    out.stream = stdout = stream;
    mp_buffer_init_heap(&out.partial);
    return 0;
}

int mp_output_install(mp_robust *lock, mp_output_sink sink, void *ctx, mp_error *error)
{
    /* A worker's own pool: its workers inherit the stream, and a line begun. */
    bool inherited = out.stream != NULL && stdout == out.stream;
    int status = inherited ? 0 : open_stream();
    if (status < 0)
        return mp_fail(error, status, "standard output of a worker");
    __fpurge(stdout);
    out.partial.len = 0;
    out.error = 0;
    out.lock = lock;
    out.sink = sink;
    out.ctx = ctx;
    return 0;
}
