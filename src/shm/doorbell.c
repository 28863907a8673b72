/* Doorbells: see doorbell.h.
 *
 * A socket's name is made of the session's secret and its member's name, in the
 * abstract namespace. A ring that finds the socket full needs not be heard: others
 * are before it. A fork gets its own. */
#include "shm/doorbell.h"

#include "base/fd.h"
#include "shm/session_inner.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct {
    int fd;
    uint32_t member; /* whose it is: a fork inherits the descriptor */
} bell = {.fd = -1};

static socklen_t name_socket(struct sockaddr_un *address, uint32_t member)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "moonpool/%016llx/%x",
                     (unsigned long long)mp_session_head()->secret, member);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int open_bell(uint32_t member)
{
    struct sockaddr_un address;
    socklen_t size = name_socket(&address, member);
    mp_fd_close(&bell.fd);
    bell.fd = mp_fd_lift(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    bell.member = member;
    if (bell.fd >= 0 && bind(bell.fd, (const struct sockaddr *)&address, size) == 0)
        return 0;
    int status = -errno;
    mp_fd_close(&bell.fd);
    return status;
}

static int listen_as(uint32_t member, mp_error *error)
{
    if (member == 0)
        return -EUSERS;
    int status = bell.fd >= 0 && bell.member == member ? 0 : open_bell(member);
    if (status < 0)
        return mp_fail(error, status, "cannot make a socket to be called by");
    char byte;
    while (recv(bell.fd, &byte, sizeof byte, MSG_DONTWAIT) > 0)
        continue;
    mp_store_release(&mp_session_member(member)->listens, 1);
    mp_fence();
    return bell.fd;
}

int mp_doorbell_listen(mp_error *error)
{
    mp_session_enter();
    int fd = listen_as(mp_session_join(error), error);
    mp_session_exit();
    return fd;
}

void mp_doorbell_rest(void)
{
    uint32_t self = mp_session_self(NULL);
    if (self != 0)
        mp_store_release(&mp_session_member(self)->listens, 0);
}

static void ring(int fd, unsigned place)
{
    struct sockaddr_un address;
    uint32_t member = mp_session_at(place);
    if (member == 0 || mp_load_relaxed(&mp_session_member(member)->listens) == 0)
        return;
    socklen_t size = name_socket(&address, member);
    (void)sendto(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
}

void mp_doorbell_ring(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    for (unsigned place = 0; fd >= 0 && place < mp_session_places(); place++)
        ring(fd, place);
    mp_fd_close(&fd);
}
