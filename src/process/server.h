/* What runs in the forkserver, and what it is asked. */
#ifndef MP_PROCESS_SERVER_H
#define MP_PROCESS_SERVER_H

#include "process/role.h"

#include <stdint.h>

/* With the socket of the new process's letter, and those of its folder, output and errors whose
 * bits are set. */
typedef struct mp_server_request {
    uint32_t fds;
} mp_server_request;

/* With a pidfd, and the descriptor where its status will be written. */
typedef struct mp_server_answer {
    int32_t status; /* 0 or a negative errno */
    int32_t pid;
} mp_server_answer;

/* The role of one that is started as a program. */
int mp_server_play(mp_letter *letter);
#define MP_FORKSERVER_ROLE "forkserver"

/* In a fork of the host, all signals blocked: lets go of what it has inherited, but for the socket
 * and the lifeline's read end, and serves. */
_Noreturn void mp_server_move_in(int socket, int read_end, const mp_roles *roles);

/* Forks whom it is asked for, until the host is gone. Returns in none of these. */
_Noreturn void mp_server_run(int socket, const mp_roles *roles);

#endif
