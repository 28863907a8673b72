/* A barrier between processes, in a cell of the session.
 *
 * Rounds are numbered; a round ends when `parties` have come and the last of them
 * says so, and all who came to it see that its number has passed. While it waits a
 * process stands among those that await a notice of the cell (sync.h), the last
 * one too: so a death among them is seen by the others, and breaks the barrier. */
#ifndef MP_SHM_BARRIER_H
#define MP_SHM_BARRIER_H

#include "shm/sync.h"

typedef struct mp_barrier {
    mp_lock guard; /* of what follows */
    uint32_t parties;
    uint32_t here;    /* who have come to this round */
    uint32_t broken;  /* until a reset */
    uint32_t sent;    /* others may come than those who use its cell now */
    uint64_t round;   /* from 0 */
    uint64_t failed;  /* of the last 64 rounds those that a reset has ended: bit round % 64 */
    uint64_t tickets; /* given to those that wait */
} mp_barrier;

enum mp_barrier_state {
    MP_BARRIER_WAITING, /* for others, or for the last one's word */
    MP_BARRIER_LAST,    /* the caller is the last: it says mp_barrier_pass, or breaks it */
    MP_BARRIER_FULL,    /* the round before is not over yet: come again */
    MP_BARRIER_PASSED,
    MP_BARRIER_BROKEN,
};

/* Comes to the round, which is noted in *round, as number *index from 0. WAITING, LAST, FULL,
 * BROKEN. */
enum mp_barrier_state mp_barrier_enter(mp_barrier *b, uint32_t me, uint32_t cell, uint64_t *round,
                                       uint32_t *index);

/* How that round stands: WAITING, PASSED, BROKEN. */
enum mp_barrier_state mp_barrier_look(mp_barrier *b, uint32_t me, uint64_t round);

/* Breaks it if this round (MP_BARRIER_ANY: whichever it is) is not over, and a process that has it
 * died without leaving in order, or all that have it wait and are too few. others_here: this
 * process may come once more while it waits. */
#define MP_BARRIER_ANY UINT64_MAX
void mp_barrier_check(mp_barrier *b, uint32_t me, mp_cell_name cell, uint64_t round,
                      bool others_here);

/* The last one lets the round pass. */
void mp_barrier_pass(mp_barrier *b, uint32_t me, uint32_t cell);

/* It does not wait any longer. */
void mp_barrier_leave(mp_barrier *b, uint32_t me, uint32_t cell);

/* Others will have it by its name. */
void mp_barrier_send(mp_barrier *b, uint32_t me, uint32_t cell);

/* Breaks it: all who wait and who come fail, until a reset. */
void mp_barrier_break(mp_barrier *b, uint32_t me, uint32_t cell);

/* Empty and whole again; those who wait fail. */
void mp_barrier_reset(mp_barrier *b, uint32_t me, uint32_t cell);

#endif
