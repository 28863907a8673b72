/* What all processes of a tree share besides their pools: who is there, and cells
 * for the things that they share (locks, events, ...).
 *
 * It lies in one memfd that is made once and inherited by every fork, so that a cell
 * can be named to anybody of the tree by its index and generation. A process is a
 * member from its first use on; a fork of one that uses cells becomes a member at
 * once and uses the same. A member holds a record lock on a byte of the memfd for as
 * long as it lives: so the kernel knows who is dead, a zombie too, and a place is
 * given again only then. A cell is free when no living member uses it.
 *
 * Members are counted by processes: threads of one share what it is. */
#ifndef MP_SHM_SESSION_H
#define MP_SHM_SESSION_H

#include "base/atomics.h"
#include "base/error.h"
#include "base/letter.h"

#include <stddef.h>

enum {
    MP_MEMBERS = 1024,
    MP_CELL_ROOM = 96, /* bytes of a cell's content */
    MP_BIRTHS = 6,     /* forks of a member that may be under way at once */
};

/* A process as the others see it. The member writes it; `awaits` anybody changes to 0. */
typedef struct mp_member {
    _Alignas(64) _Atomic uint32_t life; /* how many have had this place */
    _Atomic uint32_t pid;               /* of the one who has it, or has not left it in order */
    _Atomic uint32_t awaits;            /* 1 + the cell by whose notice it waits, 0 none; futex */
    _Atomic uint64_t ticket;            /* since when, among those of that cell */
    _Atomic int64_t forked_at;          /* its last fork, mp_now's clock */
    _Atomic uint32_t bystander;         /* it has what it has for others: nobody waits for it */
    _Atomic uint32_t listens;           /* it is to be rung (doorbell.h) */
    _Atomic uint32_t births[MP_BIRTHS]; /* numbers of forks that do not use yet what it uses */
} mp_member;

/* Which cell, for any process of the tree. */
typedef struct mp_cell_name {
    uint32_t index;
    uint32_t generation;
} mp_cell_name;

/* Makes the session where this tree has none. Any process, before it forks those who are to
 * share it. Returns 0 or a negative errno. */
int mp_session_open(mp_error *error);

/* Puts what a process of the tree needs that has not inherited the session into the letter. */
void mp_session_send(mp_letter *letter);

/* In a new process: takes part in the session that comes next in the letter. Returns 0 or a
 * negative errno. */
int mp_session_receive(mp_letter *letter, mp_error *error);

/* In a fork of a process of the tree that is to have nothing to do with it: forgets the session,
 * and that it has inherited anything. */
void mp_session_abandon(void);

/* This process's name among the members, not 0, below 2^31, never given again; it becomes a member
 * by the first call. 0 with `error` set where there is no place left (-EUSERS) or no session. */
uint32_t mp_session_self(mp_error *error);

/* Whether that member lives. A system call, where it is not this process. */
bool mp_session_alive(uint32_t member);

/* The member's record, and the places up to the highest that was ever given. */
mp_member *mp_session_member(uint32_t member);
unsigned mp_session_places(void);

/* The name of who has a place now, 0 if nobody has: who is there may yet be dead. */
uint32_t mp_session_at(unsigned place);

/* A new cell, its content zeroed, used by this process. Returns 0 or a negative errno. */
int mp_cell_create(mp_cell_name *name, mp_error *error);

/* Uses a cell that somebody of the tree uses: once more in this process. False where there is no
 * such cell any more. */
bool mp_cell_use(mp_cell_name name);

/* Uses it once less; who is the last frees it. */
void mp_cell_drop(mp_cell_name name);

/* Whether nobody has it any more. */
bool mp_cell_is_free(mp_cell_name name);

/* The name of the one that is at that place now. */
mp_cell_name mp_cell_now(uint32_t index);

/* The content of a cell that this process uses, aligned to 8. It never moves. */
void *mp_cell_content(mp_cell_name name);

/* This process has what it uses for its children alone: its death is no loss to anybody, and what
 * they can use by name (mp_cell_by_name) neither it nor they have inherited. */
void mp_session_stand_by(void);

/* This process ends in order: it uses nothing any more, and takes part no more. */
void mp_session_leave(void);

/* Gives the cell, which this process has just made, so many bytes beside its content: zeroed,
 * page-aligned, gone with the cell. Returns 0 or a negative errno. */
int mp_cell_extend(mp_cell_name name, size_t bytes, mp_error *error);

/* Those bytes, and how many they are; NULL and 0 where there are none. They never move. */
void *mp_cell_extent(mp_cell_name name, size_t *bytes);

/* Who has inherited the cell and stands by does not use it: it is used by its name (mp_cell_use)
 * where it is needed. */
void mp_cell_by_name(mp_cell_name name);

/* The cell belongs to another one: it stays until that is free, whoever uses it. False where it has
 * another owner, or would be its own. `part`: a part of that, which mp_cell_next_part finds. */
bool mp_cell_give(mp_cell_name name, mp_cell_name owner, bool part);

/* It is owned no longer, but used by this process. False where it is gone. */
bool mp_cell_take_back(mp_cell_name name, mp_cell_name owner);

/* It is owned by that one no longer, and free unless somebody uses it. */
void mp_cell_disown(mp_cell_name name, mp_cell_name owner);

/* The next part of `owner` behind *name, from {0, 0} on. */
bool mp_cell_next_part(mp_cell_name owner, mp_cell_name *name);

/* How many living members use it, and *lost, how many have used it that died without leaving;
 * those are forgotten now. Slow. */
unsigned mp_cell_users(mp_cell_name name, unsigned *lost);

/* How many other living members use it, those apart that stand by; 0 where there is no such cell
 * any more. Any process, whether it uses it or not. */
unsigned mp_cell_others(mp_cell_name name);

/* Whether a living member with that place, not this process and none that stands by, uses it. */
bool mp_cell_is_used_at(mp_cell_name name, unsigned place);

/* How often this process uses it. */
uint32_t mp_cell_uses(mp_cell_name name);

/* Parent, behind a fork: its number, 0 where the child has nothing to use. */
uint32_t mp_session_birth(void);

/* Parent: the child of that number has ended, perhaps before it used anything. */
void mp_session_stillborn(uint32_t birth);

/* Whether forks are under way that will use what their parents use. */
bool mp_session_expects(void);

#endif
