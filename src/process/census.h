/* The processes of this machine as /proc tells of them, for whoever looks at others.
 *
 * Any of them may end, or become another, between two calls. Nothing here writes to a process,
 * signals it, or waits for it. */
#ifndef MP_PROCESS_CENSUS_H
#define MP_PROCESS_CENSUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct mp_census_entry {
    pid_t pid;
    char name[16];  /* its first thread's, 0-terminated */
    char state;     /* a letter as in /proc: R, S, Z ... */
    uint64_t start; /* in ticks since the machine's: with the pid it names the process */
} mp_census_entry;

/* Visits all processes of this user. 0 or a negative errno. */
int mp_census_mine(void (*visit)(void *ctx, int pid), void *ctx);

/* One of anybody's. 0 or a negative errno: -ESRCH where there is none. */
int mp_census_look(pid_t pid, mp_census_entry *entry);

/* Seconds since the process was started. */
double mp_census_age(const mp_census_entry *entry);

/* Visits the numbers of all descriptors of the process that are memfds of this name. 0 or a
 * negative errno: -EACCES where it may not be looked into. */
int mp_census_memfds(pid_t pid, const char *name, void (*visit)(void *ctx, int fd), void *ctx);

/* Opens what the process has as the descriptor of that number, for reading, if it is a memfd of
 * this name. The caller's; or a negative errno: -ENOENT where it is not. Never blocks. */
int mp_census_open(pid_t pid, int number, const char *name);

/* Bytes of memory that the process has for itself alone; below 0: unknown. Costs tens of
 * microseconds and more. */
int64_t mp_census_memory(pid_t pid);

/* Nanoseconds of processor time that its threads have used; below 0: there is no such process. */
int64_t mp_census_time(pid_t pid);

#endif
