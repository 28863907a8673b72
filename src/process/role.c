/* Roles: see role.h. */
#include "process/role.h"

#include "base/fd.h"
#include "process/input.h"
#include "process/lifeline.h"
#include "process/post.h"
#include "process/signals.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EXIT_NO_ROLE = 72, NAME_ROOM = 32, REASON_ROOM = 400 };

static bool has_main;
static int to_maker = -1, lifeline = -1;
static const mp_roles *others;

static const char own_link[] = "/proc/self/exe";
static char program[PATH_MAX];

bool mp_role_has_main(void)
{
    return has_main;
}

int mp_role_fail(const char *format, ...)
{
    char text[REASON_ROOM];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    send(to_maker, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return EXIT_NO_ROLE;
}

void mp_role_begun(void)
{
    mp_fd_close(&to_maker);
}

const mp_roles *mp_role_others(void)
{
    return others;
}

int mp_role_socket(void)
{
    return to_maker;
}

int mp_role_lifeline(void)
{
    return lifeline;
}

/* Others may hang on the same pipe. */
static void arm(int read_end)
{
    int own_end = read_end < 0 ? -1 : mp_lifeline_reopen(read_end);
    lifeline = own_end >= 0 ? own_end : read_end;
    if (own_end >= 0)
        mp_fd_close(&read_end);
    if (lifeline >= 0)
        mp_lifeline_arm(lifeline);
}

static int play(int socket, const mp_roles *roles)
{
    mp_letter letter;
    char name[NAME_ROOM];
    if (mp_post_receive(socket, &letter) < 0)
        return mp_role_fail("this program is Moonpool %s, which its maker is not", MP_VERSION);
    mp_letter_take_name(&letter, name, sizeof name);
    arm(mp_letter_take_fd(&letter));
    const mp_role *role = roles->list;
    while (role->name != NULL && strcmp(role->name, name) != 0)
        role++;
    return role->name != NULL ? role->play(&letter)
                              : mp_role_fail("this program cannot be a %s", name);
}

void mp_role_begin(int socket, const mp_roles *roles)
{
    to_maker = socket;
    others = roles;
    mp_signals_reset();
    mp_input_empty();
    int code = play(socket, roles);
    fflush(NULL);
    _exit(code);
}

/* The maker's library has started this with a socket in a fixed place: somebody else has not. */
static bool is_socket(int fd)
{
    int type;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

/* Without /proc it is known by what was executed, and only now: the folder may change. */
static void find_program(void)
{
    const char *executed = (const char *)(uintptr_t)getauxval(AT_EXECFN);
    if (access(own_link, X_OK) == 0 || executed == NULL || realpath(executed, program) == NULL)
        snprintf(program, sizeof program, "%s", own_link);
}

const char *mp_role_program(void)
{
    return program;
}

void mp_role_begin_here(const mp_roles *roles)
{
    if (!is_socket(MP_ROLE_SOCKET))
        return;
    int socket = mp_fd_lift(MP_ROLE_SOCKET);
    if (socket < 0)
        _exit(EXIT_NO_ROLE);
    mp_role_begin(socket, roles);
}

int mp_role_main(int argc, char **argv, const mp_roles *roles)
{
    has_main = true;
    find_program();
    if (argc != 2 || strcmp(argv[1], MP_ROLE_ARGUMENT) != 0)
        return -1;
    mp_role_begin_here(roles);
    return -1;
}
