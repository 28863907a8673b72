/* What a process may be that is no copy of its maker: one of the roles that this library knows by
 * name, with a letter that says the rest.
 *
 * It comes to its role through main (mp_role_main, behind an exec) or out of the forkserver. */
#ifndef MP_PROCESS_ROLE_H
#define MP_PROCESS_ROLE_H

#include "base/letter.h"

#include <stdbool.h>

typedef struct mp_role {
    const char *name; /* NULL: behind the last */
    /* Does what the letter says and returns the exit code, if at all. All signals are blocked,
     * handlers are the defaults. */
    int (*play)(mp_letter *letter);
} mp_role;

/* The roles that a library has. */
typedef struct mp_roles {
    const mp_role *list;
    /* They need what only this program has: `moonpool` cannot play them. */
    bool own;
    /* The name of a C function of Lua's kind in this library that begins a role by
     * mp_role_begin; NULL: there is none. */
    const char *entry;
    /* In a fork of this process that is to be clean: lets go of what it has inherited. */
    void (*shed)(void);
} mp_roles;

/* First in main: where the process was started to play a role it does that, and never returns;
 * else -1, and the program counts as one that can be started for it. */
int mp_role_main(int argc, char **argv, const mp_roles *roles);

/* Whether the program is such a one; where it lies, as far as that is known. */
bool mp_role_has_main(void);
const char *mp_role_program(void);

/* New process, all signals blocked: reads its letter from the socket, plays, and ends. */
_Noreturn void mp_role_begin(int socket, const mp_roles *roles);

/* The same from a socket where mp_role_main looks for it; returns where there is none. */
void mp_role_begin_here(const mp_roles *roles);

/* In a role: the roles that this process may give others, and the socket of its letter. */
const mp_roles *mp_role_others(void);
int mp_role_socket(void);

/* In a role: it cannot be played; its maker can read why. Returns the exit code. */
int mp_role_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* In a role: the read end of the lifeline that this process hangs on, armed; -1: none. */
int mp_role_lifeline(void);

/* In a role: nothing can go wrong any more that its maker is to read. */
void mp_role_begun(void);

enum { MP_ROLE_SOCKET = 3 }; /* behind an exec */
#define MP_ROLE_ARGUMENT "--moonpool-worker"

#endif
