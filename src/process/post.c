/* Letters through a socket: see post.h. A letter is a message with its measures and its bytes'
 * memfd, then messages of one byte with its descriptors. */
#include "process/post.h"

#include "base/fd.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct head {
    char magic[8];
    char version[24]; /* of the library: processes of one pool share memory as it lays it out */
    uint64_t size;
    uint64_t fds;
} head;

static const head pattern = {.magic = "mpletter", .version = MP_VERSION};

enum { MOST_FDS = 1 << 16 };

int mp_post_pair(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    ends[0] = mp_fd_lift(ends[0]);
    ends[1] = mp_fd_lift(ends[1]);
    if (ends[0] >= 0 && ends[1] >= 0)
        return 0;
    int code = -errno;
    mp_fd_close(&ends[0]);
    mp_fd_close(&ends[1]);
    return code;
}

/* ---- one message ---- */

typedef union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(MP_POST_FDS * sizeof(int))];
} control;

int mp_post_put(int socket, const void *bytes, size_t size, const int *fds, unsigned n)
{
    control c = {.head = {.cmsg_len = CMSG_LEN(n * sizeof *fds),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (n > 0) {
        m.msg_control = &c;
        m.msg_controllen = CMSG_SPACE(n * sizeof *fds);
        memcpy(CMSG_DATA(&c.head), fds, n * sizeof *fds);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* Those beyond the room are closed. */
static int take_fds(struct msghdr *m, int *fds, unsigned *n)
{
    unsigned room = *n, came = 0;
    int status = 0;
    const struct cmsghdr *h = CMSG_FIRSTHDR(m);
    if (h != NULL && h->cmsg_type == SCM_RIGHTS)
        came = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof *fds);
    for (unsigned i = *n = 0; i < came; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
        if (i >= room)
            close(fd);
        else if ((fds[(*n)++] = mp_fd_lift(fd)) < 0)
            status = -errno;
    }
    return (m->msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : status;
}

int mp_post_get(int socket, void *bytes, size_t size, int *fds, unsigned *n, int milliseconds)
{
    control c;
    struct iovec part = {bytes, size};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c.room};
    struct pollfd p = {.fd = socket, .events = POLLIN};
    int ready;
    do
        ready = poll(&p, 1, milliseconds);
    while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return ready < 0 ? -errno : -ETIMEDOUT;
    ssize_t came = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    if (came < 0)
        return -errno;
    int status = take_fds(&m, fds, n);
    return status < 0 ? status : (int)came;
}

/* ---- letters ---- */

static int write_bytes(const mp_letter *l, int *fd)
{
    *fd = mp_fd_lift(memfd_create("moonpool-letter", MFD_CLOEXEC));
    if (*fd < 0)
        return -errno;
    int status = mp_fd_write(*fd, l->bytes.data, l->bytes.len);
    if (status < 0)
        mp_fd_close(fd);
    return status;
}

static int send_fds(int socket, const mp_letter *l)
{
    int status = 0;
    for (unsigned i = 0; i < l->fd_count && status == 0; i += MP_POST_FDS) {
        unsigned n = l->fd_count - i < MP_POST_FDS ? l->fd_count - i : MP_POST_FDS;
        status = mp_post_put(socket, "+", 1, l->fds + i, n);
    }
    return status;
}

int mp_post_send(int socket, const mp_letter *l, mp_error *error)
{
    int fd = -1;
    head h = pattern;
    h.size = l->bytes.len;
    h.fds = l->fd_count;
    int status = l->status;
    if (status == 0)
        status = write_bytes(l, &fd);
    if (status == 0)
        status = mp_post_put(socket, &h, sizeof h, &fd, 1);
    if (status == 0)
        status = send_fds(socket, l);
    mp_fd_close(&fd);
    return status < 0 ? mp_fail(error, status, "cannot tell a new process what it is for") : 0;
}

static int read_bytes(mp_letter *l, int fd, size_t size)
{
    int status = mp_buffer_reserve(&l->bytes, size);
    while (status == 0 && l->bytes.len < size) {
        ssize_t n =
            pread(fd, l->bytes.data + l->bytes.len, size - l->bytes.len, (off_t)l->bytes.len);
        if (n > 0)
            l->bytes.len += (size_t)n;
        else if (n == 0 || errno != EINTR)
            status = n == 0 ? -EBADMSG : -errno;
    }
    return status;
}

static int receive_fds(int socket, mp_letter *l, uint64_t count)
{
    char plus;
    int fds[MP_POST_FDS] = {0};
    while (l->fd_count < count) {
        unsigned n = MP_POST_FDS;
        int came = mp_post_get(socket, &plus, 1, fds, &n, -1);
        if (came <= 0)
            return came < 0 ? came : -EPIPE;
        for (unsigned i = 0; i < n && l->status == 0; i++)
            mp_letter_attach(l, fds[i]);
        if (n == 0 || l->status < 0)
            return l->status < 0 ? l->status : -EBADMSG;
    }
    return 0;
}

int mp_post_receive(int socket, mp_letter *l)
{
    head h = {.size = 0};
    int fd = -1;
    unsigned n = 1;
    mp_letter_init(l);
    int came = mp_post_get(socket, &h, sizeof h, &fd, &n, -1);
    if (came <= 0)
        return came < 0 ? came : -EPIPE;
    bool fits = came == (int)sizeof h && memcmp(&h, &pattern, offsetof(head, size)) == 0 &&
                h.fds <= MOST_FDS && n == 1;
    l->received = true;
    int status = fits ? receive_fds(socket, l, h.fds) : -EPROTO;
    if (status == 0)
        status = read_bytes(l, fd, h.size);
    mp_fd_close(&fd);
    if (status < 0)
        mp_letter_free(l);
    return status;
}
