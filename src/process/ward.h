/* The nursery's loop: what runs in the child that nursery.c forks. */
#ifndef MP_PROCESS_WARD_H
#define MP_PROCESS_WARD_H

#include "process/lifeline.h"
#include "process/nursery.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum mp_occupancy {
    MP_SEAT_EMPTY,
    MP_SEAT_ALIVE,    /* a worker that has not been waited for */
    MP_SEAT_UNBURIED, /* waited for, but its death could not be noted yet */
    MP_SEAT_VACATED,  /* to stay empty until the next nudge */
};

typedef struct mp_place {
    enum mp_occupancy is;
    unsigned number; /* by which the owner knows it */
    pid_t pid;
    uint32_t incarnation;
    int status;             /* while unburied: as waitpid gave it */
    int64_t unwanted_since; /* what it does is to be stopped; 0: it is not */
} mp_place;

typedef struct mp_ward {
    const mp_nursery_ops *ops;
    void *owner;
    mp_place *seat; /* as many as `seats`, all empty at first */
    unsigned seats;
    const char *name;
    const char *worker_name;
    pid_t host;     /* 0: this process hangs on its lifeline already */
    int host_end;   /* read end of the host's lifeline */
    int nudge_fd;   /* eventfd */
    int child_fd;   /* signalfd of SIGCHLD */
    int nothing_fd; /* reads as empty: becomes descriptor 0 */

    /* The loop's own. */
    mp_lifeline line; /* the workers' */
    int worker_end;   /* its read end, for them to reopen */
    pid_t pid;
    unsigned stillborn;    /* in a row */
    unsigned failed_forks; /* in a row */
    int64_t next_birth;    /* after a failed fork; else 0 */
    bool hunting;          /* something may have to be stopped */
} mp_ward;

/* In a fork of the host, with all signals blocked: takes the ward's
 * descriptors for its own and runs the loop until it ends this process. */
_Noreturn void mp_ward_run(mp_ward *w);

#endif
