/* Messages through a socket: see connection.h. */
#include "process/connection.h"

#include "base/fd.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SHORT = 4,
    KEPT = 4 << 20,     /* a buffer above this is given back behind its message */
    TRUSTED = 16 << 20, /* so much is allocated on a head's word alone */
};

static void begin(mp_connection *c, int fd)
{
    *c = (mp_connection){.fd = fd};
    mp_buffer_init_heap(&c->in);
}

int mp_connection_pair(mp_connection *a, mp_connection *b, bool one_way, mp_error *error)
{
    int ends[2];
    begin(a, -1);
    begin(b, -1);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return mp_fail(error, -errno, "socketpair");
    a->fd = mp_fd_lift(ends[0]);
    b->fd = mp_fd_lift(ends[1]);
    if (a->fd < 0 || b->fd < 0) {
        int status = mp_fail(error, -errno, "socketpair");
        mp_connection_close(a);
        mp_connection_close(b);
        return status;
    }
    if (one_way) {
        shutdown(a->fd, SHUT_WR);
        shutdown(b->fd, SHUT_RD);
    }
    return 0;
}

/* ---- sending ---- */

static size_t write_head(unsigned char head[MP_FRAME_HEAD], uint64_t size)
{
    bool is_long = size >= UINT32_MAX;
    for (int i = 0; i < SHORT; i++)
        head[i] = is_long ? 0xff : (unsigned char)(size >> 8 * i);
    for (int i = 0; is_long && i < 8; i++)
        head[SHORT + i] = (unsigned char)(size >> 8 * i);
    return is_long ? MP_FRAME_HEAD : SHORT;
}

void mp_connection_put(mp_connection *c, const void *bytes, size_t size)
{
    c->out_head_size = write_head(c->out_head, size);
    c->out = bytes;
    c->out_size = size;
    c->out_at = 0;
}

static ssize_t send_some(const mp_connection *c)
{
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts};
    size_t in_head = c->out_at < c->out_head_size ? c->out_head_size - c->out_at : 0;
    size_t sent = c->out_at + in_head - c->out_head_size;
    if (in_head > 0)
        parts[message.msg_iovlen++] =
            (struct iovec){(void *)(uintptr_t)(c->out_head + c->out_at), in_head};
    if (c->out_size > sent)
        parts[message.msg_iovlen++] =
            (struct iovec){(void *)(uintptr_t)(c->out + sent), c->out_size - sent};
    return sendmsg(c->fd, &message, MSG_NOSIGNAL);
}

int mp_connection_push(mp_connection *c)
{
    while (c->out_at < c->out_head_size + c->out_size) {
        ssize_t n = send_some(c);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        c->out_at += (size_t)n;
    }
    c->out = NULL;
    return 1;
}

/* ---- receiving ---- */

/* Reads up to `wanted` bytes to `at`, adding them to *has: 1 when they are there. */
static int read_upto(int fd, unsigned char *at, size_t *has, size_t wanted)
{
    while (*has < wanted) {
        ssize_t n = read(fd, at + *has, wanted - *has);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
            return -ENODATA;
        *has += (size_t)n;
    }
    return 1;
}

static bool is_long(const mp_connection *c)
{
    return c->head[0] == 0xff && c->head[1] == 0xff && c->head[2] == 0xff && c->head[3] == 0xff;
}

static size_t size_in_head(const mp_connection *c)
{
    const unsigned char *at = is_long(c) ? c->head + SHORT : c->head;
    uint64_t size = 0;
    for (int i = is_long(c) ? 7 : 3; i >= 0; i--)
        size = size << 8 | at[i];
    return (size_t)size;
}

static int pull_head(mp_connection *c)
{
    int status = read_upto(c->fd, c->head, &c->head_has, SHORT);
    if (status == 1 && is_long(c))
        status = read_upto(c->fd, c->head, &c->head_has, MP_FRAME_HEAD);
    if (status == 1)
        c->size = size_in_head(c);
    return status == -ENODATA && c->head_has > 0 ? -ECONNRESET : status;
}

/* Of what a head says only so much is allocated before it is there. */
static int pull_body(mp_connection *c)
{
    while (c->in.len < c->size) {
        size_t left = c->size - c->in.len, part = left < TRUSTED ? left : TRUSTED;
        int status = mp_buffer_reserve(&c->in, part);
        if (status < 0)
            return status;
        status = read_upto(c->fd, c->in.data, &c->in.len, c->in.len + part);
        if (status != 1)
            return status == -ENODATA ? -ECONNRESET : status;
    }
    return 1;
}

int mp_connection_pull(mp_connection *c, size_t most)
{
    bool whole = c->head_has >= SHORT && (!is_long(c) || c->head_has == MP_FRAME_HEAD);
    int status = whole ? 1 : pull_head(c);
    if (status == 1 && c->size > most)
        return -EMSGSIZE;
    return status == 1 ? pull_body(c) : status;
}

void mp_connection_done(mp_connection *c)
{
    c->head_has = 0;
    c->in.len = 0;
    if (c->in.cap > KEPT)
        mp_buffer_free(&c->in);
}

void mp_connection_close(mp_connection *c)
{
    mp_fd_close(&c->fd);
    mp_buffer_free(&c->in);
    c->out = NULL;
}
