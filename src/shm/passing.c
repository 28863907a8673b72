/* Descriptors on their way: see passing.h.
 *
 * What lies in the socket is a queue: who looks for something moves what it finds before
 * that to the end, under a guard. It is written there again before it is taken away, so
 * that a death between loses nothing. */
#include "shm/passing.h"

#include "base/failpoint.h"
#include "base/fd.h"
#include "shm/session_inner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const int64_t patience = 5000000000; /* nanoseconds */

enum { MOST = 4096 }; /* more than the socket holds */

typedef struct note {
    uint64_t number;
    mp_cell_name cell;
} note;

static int ends[2] = {-1, -1};
static uint32_t count;

static bool is_needed(void)
{
    int scope = 0;
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (file != NULL) {
        if (fscanf(file, "%d", &scope) != 1)
            scope = 0;
        fclose(file);
    }
    return scope > 0 || MP_FAILPOINT_ERROR("passing.needed");
}

void mp_passing_open(void)
{
    if (ends[0] >= 0 || !is_needed() ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return;
    ends[0] = mp_fd_lift(ends[0]);
    ends[1] = mp_fd_lift(ends[1]);
}

void mp_passing_send(mp_letter *letter)
{
    mp_letter_put_fd(letter, ends[0]);
    mp_letter_put_fd(letter, ends[1]);
}

void mp_passing_receive(mp_letter *letter)
{
    ends[0] = mp_letter_take_fd(letter);
    ends[1] = mp_letter_take_fd(letter);
}

void mp_passing_close(void)
{
    mp_fd_close(&ends[0]);
    mp_fd_close(&ends[1]);
}

/* ---- one message ---- */

typedef union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
} control;

static int send_one(const note *n, int fd)
{
    control c = {.head = {.cmsg_len = CMSG_LEN(sizeof fd),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {(void *)(uintptr_t)n, sizeof *n};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c.room};
    memcpy(CMSG_DATA(&c.head), &fd, sizeof fd);
    return sendmsg(ends[0], &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The first one, which stays there if `flags` say MSG_PEEK. -1 where there is none. */
static int receive_one(note *n, int flags)
{
    int fd = -1;
    control c;
    struct iovec part = {n, sizeof *n};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c.room};
    if (recvmsg(ends[1], &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags) != (ssize_t)sizeof *n)
        return -1;
    const struct cmsghdr *head = CMSG_FIRSTHDR(&m);
    if (head != NULL && head->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return mp_fd_lift(fd);
}

static void drop_one(void)
{
    note n;
    int fd = receive_one(&n, 0);
    mp_fd_close(&fd);
}

/* ---- all of them, under the guard ---- */

/* Takes out that number, and on the way what nobody will ask for any more. */
static int look_for(uint64_t number)
{
    uint64_t first = 0;
    for (int i = 0; i < MOST; i++) {
        note n;
        int fd = receive_one(&n, MSG_PEEK);
        if (fd < 0)
            return -ENOENT;
        if (n.number == number) {
            drop_one();
            return fd;
        }
        bool around = n.number == first, gone = mp_cell_is_free(n.cell);
        if (!around && !gone)
            send_one(&n, fd);
        mp_fd_close(&fd);
        if (around)
            return -ENOENT;
        first = first == 0 && !gone ? n.number : first;
        drop_one();
    }
    return -ENOENT;
}

int mp_passing_take(uint64_t number)
{
    if (ends[0] < 0 || number == 0)
        return -ENOENT;
    mp_lock *guard = &mp_session_head()->passing_guard;
    if (!mp_lock_take(guard, mp_session_self(NULL), patience))
        return -EBUSY;
    int fd = look_for(number);
    mp_lock_release(guard);
    return fd;
}

uint64_t mp_passing_put(mp_cell_name cell, int fd, int *status)
{
    *status = 0;
    if (ends[0] < 0)
        return 0;
    note n = {(uint64_t)mp_session_self(NULL) << 32 | ++count, cell};
    *status = send_one(&n, fd);
    if (*status == -EAGAIN) {
        mp_passing_take(UINT64_MAX);
        *status = send_one(&n, fd);
    }
    return n.number;
}
