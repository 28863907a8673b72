/* How the session lies in memory, for session.c, cells.c, arena.c and board.c only. */
#ifndef MP_SHM_SESSION_INNER_H
#define MP_SHM_SESSION_INNER_H

#include "shm/board.h"
#include "shm/region.h"
#include "shm/session.h"
#include "shm/sync.h"

enum {
    MP_CELLS_MAX = 1 << 20,
    MP_CELL_WORDS = MP_MEMBERS / 64,
    MP_CELLS_FIRST = 16,
    MP_CELL_TAKEN = 1,
    MP_CELL_DYING = 2, /* its extent is to be given back, under the arena's guard */
};

typedef struct mp_cell {
    _Atomic uint64_t state; /* generation << 8, and one of the above or 0: free */
    _Atomic uint64_t users[MP_CELL_WORDS];
    _Atomic uint64_t owner;       /* the cell that has it besides its users, 0 none */
    _Atomic uint64_t extent_size; /* bytes in the arena, 0 none */
    uint64_t extent_at;
    _Alignas(8) unsigned char content[MP_CELL_ROOM];
} mp_cell;

_Static_assert(sizeof(mp_cell) == 256, "cells fill whole pages");

typedef struct mp_session_header {
    char magic[8];
    uint32_t version;
    uint64_t secret;                          /* of which names are made that nobody else knows */
    _Alignas(64) _Atomic uint32_t next_place; /* where a new member looks first */
    _Atomic uint32_t places;                  /* above the highest one that was given */
    _Atomic uint32_t next_cell;               /* where a new cell is looked for first */
    _Atomic uint32_t cells;                   /* that are allocated */
    mp_lock passing_guard;                    /* held by who looks for a descriptor (passing.h) */
    mp_lock arena_guard;                      /* held by who looks for room in the arena */
    mp_member members[MP_MEMBERS];
    mp_board board;
} mp_session_header;

enum { MP_CELLS_AT = (sizeof(mp_session_header) + 4095) / 4096 * 4096 };

/* A process's side of it. */
typedef struct mp_session_side {
    mp_region cells; /* the header and the cells */
    mp_region arena; /* what they need beside their content */
    uint32_t self;
    uint32_t *uses; /* of each cell below `room`: how often this process uses it */
    uint32_t room;
    uint32_t used;   /* cells that it uses */
    uint32_t late;   /* cells whose bit it has not cleared yet */
    uint32_t births; /* forks so far of those that use something */
    uint32_t birth;  /* the number of the last fork, 0 if it was none of them */
} mp_session_side;

extern mp_session_side mp_session_own;

static inline mp_session_header *mp_session_head(void)
{
    return (mp_session_header *)(void *)mp_session_own.cells.base;
}

static inline mp_cell *mp_cell_at(uint32_t index)
{
    return (mp_cell *)(void *)(mp_session_own.cells.base + MP_CELLS_AT) + index;
}

static inline uint64_t mp_cell_taken(uint32_t generation)
{
    return (uint64_t)generation << 8 | MP_CELL_TAKEN;
}

/* A member's place in the table. */
static inline unsigned mp_place_of(uint32_t member)
{
    return member & (MP_MEMBERS - 1);
}

static inline void mp_raise_to(_Atomic uint32_t *word, uint32_t least)
{
    uint32_t now = mp_load_relaxed(word);
    while (now < least && !mp_cas_u32(word, now, least))
        now = mp_load_relaxed(word);
}

/* Threads of this process change its side one at a time, between these two; no fork comes
 * between. */
void mp_session_enter(void);
void mp_session_exit(void);

/* mp_session_self, between those two. */
uint32_t mp_session_join(mp_error *error);

/* Whether a living member has that place. */
bool mp_place_is_held(unsigned place);

/* Whether a fork of this process is under way that will use what it uses. */
bool mp_session_bears(void);

void mp_cell_set_user(mp_cell *c, unsigned place);

/* Under the arena's guard: ends what somebody has begun who frees it, and frees it if it can be. */
void mp_cell_settle(uint32_t index);

/* A dead member's place is given again: it uses nothing. */
void mp_cells_clean_up(unsigned place);

/* This process uses nothing any more that it could ask for by name. */
void mp_cells_stand_by(void);

/* This process uses nothing any more. */
void mp_cells_leave(void);

#endif
