/* The forkserver's loop: see server.h.
 *
 * All signals stay blocked, SIGCHLD is read from a signalfd. It allocates an entry for each child,
 * and is otherwise as it was when it was made. */
#include "process/server.h"

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/memory.h"
#include "process/input.h"
#include "process/lifeline.h"
#include "process/pidfd.h"
#include "process/post.h"
#include "process/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOCKET = 3, LIFELINE, FIRST_OTHER, EXIT_NO_SIGNALFD = 73 };

typedef struct child {
    LIST_ENTRY(child) link;
    pid_t pid;
    int status_fd;
} child;

typedef struct server {
    int socket;
    int signal_fd;
    const mp_roles *roles;
    LIST_HEAD(, child) children;
} server;

/* ---- a new process ---- */

/* The folder, and descriptors 1 and 2. */
static void take_places(uint32_t bits, const int *fds)
{
    if ((bits & 1) != 0 && fchdir(*fds++) < 0)
        return;
    for (int i = 1; i <= 2; i++)
        if ((bits & 1U << i) != 0)
            dup2(*fds++, i);
}

static _Noreturn void be_the_child(server *s, uint32_t bits, int *fds, unsigned n)
{
    child *c;
    mp_fd_close(&s->socket);
    mp_fd_close(&s->signal_fd);
    LIST_FOREACH (c, &s->children, link) {
        mp_fd_close(&c->status_fd);
    }
    take_places(bits, fds + 1);
    for (unsigned i = 1; i < n; i++)
        mp_fd_close(&fds[i]);
    mp_role_begin(fds[0], s->roles);
}

/* ---- serving ---- */

static child *enter(server *s, int ends[2])
{
    child *c = mp_calloc(1, sizeof *c);
    if (c == NULL || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        mp_free(c);
        return NULL;
    }
    ends[0] = mp_fd_lift(ends[0]);
    c->status_fd = mp_fd_lift(ends[1]);
    LIST_INSERT_HEAD(&s->children, c, link);
    return c;
}

static void leave(child *c)
{
    LIST_REMOVE(c, link);
    mp_fd_close(&c->status_fd);
    mp_free(c);
}

static mp_server_answer bear(server *s, uint32_t bits, int *fds, unsigned n, int given[2])
{
    int ends[2] = {-1, -1};
    child *c = enter(s, ends);
    if (c == NULL)
        return (mp_server_answer){.status = -ENOMEM};
    c->pid = MP_FAILPOINT_ERROR("forkserver.fork") ? -1 : fork();
    if (c->pid == 0) {
        mp_fd_close(&ends[0]);
        be_the_child(s, bits, fds, n);
    }
    mp_server_answer answer = {.status = c->pid < 0 ? -EAGAIN : 0, .pid = c->pid};
    given[0] = c->pid < 0 ? -1 : mp_pidfd_open(c->pid);
    given[1] = ends[0];
    if (c->pid >= 0 && given[0] < 0) {
        answer.status = -errno;
        kill(c->pid, SIGKILL);
    } else if (c->pid < 0) {
        leave(c);
    }
    return answer;
}

static void serve(server *s)
{
    mp_server_request request;
    int fds[4] = {-1, -1, -1, -1}, given[2] = {-1, -1};
    unsigned n = 4;
    int came = mp_post_get(s->socket, &request, sizeof request, fds, &n, 0);
    if (came == -ETIMEDOUT)
        return;
    if (came != (int)sizeof request || n == 0)
        _exit(0);
    mp_server_answer answer = bear(s, request.fds, fds, n, given);
    for (unsigned i = 0; i < n; i++)
        mp_fd_close(&fds[i]);
    mp_post_put(s->socket, &answer, sizeof answer, given, answer.status == 0 ? 2 : 0);
    mp_fd_close(&given[0]);
    mp_fd_close(&given[1]);
}

static void tell(server *s, pid_t pid, int status)
{
    child *c = LIST_FIRST(&s->children);
    while (c != NULL && c->pid != pid)
        c = LIST_NEXT(c, link);
    if (c == NULL)
        return;
    mp_fd_write(c->status_fd, &status, sizeof status);
    leave(c);
}

static void hear_of_children(server *s)
{
    struct signalfd_siginfo ignored;
    int status;
    pid_t pid;
    if (read(s->signal_fd, &ignored, sizeof ignored) < 0)
        return;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        tell(s, pid, status);
}

void mp_server_run(int socket, const mp_roles *roles)
{
    sigset_t chld;
    server s = {.socket = socket, .roles = roles};
    LIST_INIT(&s.children);
    prctl(PR_SET_NAME, "mp-forkserver");
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    mp_signals_reset(); /* SIGCHLD, were it ignored, would take the statuses away */
    s.signal_fd = mp_fd_lift(signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK));
    if (s.signal_fd < 0)
        _exit(EXIT_NO_SIGNALFD);
    for (;;) {
        struct pollfd p[] = {{.fd = s.socket, .events = POLLIN},
                             {.fd = s.signal_fd, .events = POLLIN}};
        poll(p, 2, -1);
        if (p[0].revents != 0)
            serve(&s);
        if (p[1].revents != 0)
            hear_of_children(&s);
    }
}

/* ---- its beginnings ---- */

void mp_server_move_in(int socket, int read_end, const mp_roles *roles)
{
    if (roles->shed != NULL)
        roles->shed();
    read_end = fcntl(read_end, F_DUPFD_CLOEXEC, FIRST_OTHER);
    if (socket != SOCKET)
        dup3(socket, SOCKET, O_CLOEXEC);
    dup3(read_end, LIFELINE, O_CLOEXEC);
    closefrom(FIRST_OTHER);
    mp_input_empty();
    if (mp_lifeline_arm(LIFELINE) < 0)
        _exit(EXIT_NO_SIGNALFD);
    mp_server_run(SOCKET, roles);
}

int mp_server_play(mp_letter *letter)
{
    (void)letter;
    mp_server_run(mp_role_socket(), mp_role_others());
}
