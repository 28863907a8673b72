/* The session's cells: see session.h.
 *
 * Whether a cell is taken says its `state`, generation and TAKEN, changed by
 * compare-and-swap; who uses it say the bits of `users`, of which each member sets
 * and clears its own, and whoever finds its member dead clears it as well. A bit is
 * set before the cell is taken or found to be taken, so a death at any instant leaves
 * nothing but the bit. Who frees a cell looks at the bits once more behind the swap
 * that says so, since somebody may have come to use it meanwhile.
 *
 * A cell that has an extent is DYING until that is given back, which is done under the
 * arena's guard and by anybody: so no extent is given back twice. */
#include "base/failpoint.h"
#include "base/memory.h"
#include "shm/session_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a cell's `owner` says besides. */
#define OWNS_OTHERS (UINT64_C(1) << 63)
#define BY_NAME (UINT64_C(1) << 62) /* used by who asks for it, not by who stands by */
#define PART (UINT64_C(1) << 61)    /* of its owner, not what that refers to */
#define OWNER_BITS ((UINT64_C(1) << 53) - 1)

enum { INDEX_BITS = 21 }; /* of 1 + an index */

_Static_assert(MP_CELLS_MAX < 1 << INDEX_BITS, "an owner holds an index");

static const int64_t patience = 20000000; /* nanoseconds */

/* ---- users and owners ---- */

static void clear_user(mp_cell *c, unsigned place)
{
    atomic_fetch_and_explicit(&c->users[place / 64], ~(UINT64_C(1) << place % 64),
                              memory_order_acq_rel);
}

void mp_cell_set_user(mp_cell *c, unsigned place)
{
    atomic_fetch_or_explicit(&c->users[place / 64], UINT64_C(1) << place % 64,
                             memory_order_acq_rel);
}

static bool has_user(const mp_cell *c, unsigned place)
{
    return (mp_load_acquire(&c->users[place / 64]) >> place % 64 & 1) != 0;
}

static uint64_t as_owner(mp_cell_name name)
{
    return (uint64_t)name.generation << INDEX_BITS | (name.index + 1);
}

static bool is_owner_alive(uint64_t owner)
{
    uint32_t index = (uint32_t)(owner & ((1U << INDEX_BITS) - 1));
    return index != 0 && mp_load_acquire(&mp_cell_at(index - 1)->state) ==
                             mp_cell_taken((uint32_t)(owner >> INDEX_BITS));
}

static bool owner_lives(const mp_cell *c)
{
    return is_owner_alive(mp_load_acquire(&c->owner) & OWNER_BITS);
}

static bool is_owned_by(const mp_cell *c, mp_cell_name owner)
{
    return (mp_load_acquire(&c->owner) & OWNER_BITS) == as_owner(owner);
}

/* In place of `from` it has the owner `to`; 0: none. */
static bool change_owner(mp_cell *c, uint64_t from, uint64_t to)
{
    uint64_t now = mp_load_acquire(&c->owner);
    while ((now & OWNER_BITS) == from)
        if (mp_cas_u64(&c->owner, now, (now & ~(OWNER_BITS | PART)) | to))
            return true;
        else
            now = mp_load_acquire(&c->owner);
    return false;
}

/* Whether a living member or its owner has it; the dead are cleared. */
static bool is_used(mp_cell *c)
{
    for (unsigned word = 0; word < MP_CELL_WORDS; word++)
        for (uint64_t left = mp_load_acquire(&c->users[word]); left != 0; left &= left - 1) {
            unsigned place = word * 64 + (unsigned)__builtin_ctzll(left);
            if (place == mp_place_of(mp_session_own.self) || mp_place_is_held(place))
                return true;
            clear_user(c, place);
        }
    return owner_lives(c);
}

/* ---- freeing ---- */

/* Under the arena's guard. */
static void bury(mp_cell *c)
{
    uint64_t state = mp_load_acquire(&c->state);
    if ((state & MP_CELL_DYING) == 0)
        return;
    uint64_t size = mp_load_acquire(&c->extent_size);
    mp_region_punch(&mp_session_own.arena, c->extent_at, c->extent_at + size);
    mp_store_release(&c->extent_size, 0);
    mp_store_release(&c->state, state & ~(uint64_t)MP_CELL_DYING);
}

static void free_if_unused(uint32_t index, bool guarded);

static void free_owned(uint32_t index, uint64_t state, bool guarded)
{
    mp_cell_name name = {index, (uint32_t)(state >> 8)};
    uint32_t cells = mp_load_acquire(&mp_session_head()->cells);
    for (uint32_t i = 0; i < cells; i++)
        if (is_owned_by(mp_cell_at(i), name))
            free_if_unused(i, guarded);
}

/* Frees it unless a living member or an owner has it. `guarded`: the caller has the arena's guard.
 */
static void free_if_unused(uint32_t index, bool guarded)
{
    mp_cell *c = mp_cell_at(index);
    uint64_t state = mp_load_acquire(&c->state), free = state & ~(uint64_t)MP_CELL_TAKEN;
    bool extended = mp_load_acquire(&c->extent_size) > 0;
    bool owns = (mp_load_acquire(&c->owner) & OWNS_OTHERS) != 0;
    uint64_t next = extended ? free | MP_CELL_DYING : free;
    if (is_used(c) || (state & MP_CELL_TAKEN) == 0 || !mp_cas_u64(&c->state, state, next))
        return;
    mp_fence();
    if (is_used(c) && mp_cas_u64(&c->state, next, state))
        return;
    if (extended) {
        mp_lock *guard = &mp_session_head()->arena_guard;
        bool taken = !guarded && mp_lock_take(guard, mp_session_own.self, patience);
        if (guarded || taken)
            bury(c); /* otherwise who next looks for room does it */
        if (taken)
            mp_lock_release(guard);
    }
    if (owns)
        free_owned(index, state, guarded);
}

void mp_cell_settle(uint32_t index)
{
    bury(mp_cell_at(index));
    free_if_unused(index, true);
}

/* What somebody has left who was killed. */
void mp_cells_clean_up(unsigned place)
{
    uint32_t cells = mp_load_acquire(&mp_session_head()->cells);
    for (uint32_t i = 0; i < cells; i++) {
        clear_user(mp_cell_at(i), place);
        free_if_unused(i, false);
    }
}

/* ---- taking ---- */

static int note_use(uint32_t index)
{
    if (index >= mp_session_own.room) {
        uint32_t room = mp_session_own.room == 0 ? MP_CELLS_FIRST : mp_session_own.room;
        while (room <= index)
            room *= 2;
        uint32_t *uses = mp_realloc(mp_session_own.uses, room * sizeof *uses);
        if (uses == NULL)
            return -ENOMEM;
        memset(uses + mp_session_own.room, 0, (room - mp_session_own.room) * sizeof *uses);
        mp_session_own.uses = uses;
        mp_session_own.room = room;
    }
    mp_session_own.used += mp_session_own.uses[index]++ == 0;
    return 0;
}

static bool take_free(uint32_t index, mp_cell_name *name)
{
    mp_cell *c = mp_cell_at(index);
    uint64_t state = mp_load_acquire(&c->state);
    uint32_t generation = (uint32_t)(state >> 8) + 1;
    unsigned place = mp_place_of(mp_session_own.self);
    if ((state & (MP_CELL_TAKEN | MP_CELL_DYING)) != 0)
        return false;
    mp_cell_set_user(c, place);
    if (!mp_cas_u64(&c->state, state, mp_cell_taken(generation))) {
        clear_user(c, place);
        return false;
    }
    mp_store_release(&c->owner, 0);
    memset(c->content, 0, sizeof c->content);
    *name = (mp_cell_name){index, generation};
    return true;
}

/* Several processes may grow it at once: what is allocated twice is there once. */
static int add_cells(uint32_t known, mp_error *error)
{
    uint32_t more = known * 2 < MP_CELLS_MAX ? known * 2 : MP_CELLS_MAX;
    if (more == known)
        return mp_fail(error, -ENOSPC, "more than %d things are shared", MP_CELLS_MAX);
    size_t upto = MP_CELLS_AT + (size_t)more * sizeof(mp_cell);
    int status = MP_FAILPOINT_ERROR("session.grow")
                     ? mp_fail(error, -ENOMEM, "shared memory for %u things", more)
                     : mp_region_take_over(&mp_session_own.cells, error);
    if (status == 0)
        status = mp_region_ensure(&mp_session_own.cells, upto, error);
    if (status == 0)
        mp_raise_to(&mp_session_head()->cells, more);
    return status;
}

static bool find_free(uint32_t cells, mp_cell_name *name)
{
    uint32_t first = mp_load_relaxed(&mp_session_head()->next_cell);
    for (uint32_t i = 0; i < cells; i++) {
        uint32_t index = (first + i) % cells;
        if (!take_free(index, name))
            continue;
        mp_store_relaxed(&mp_session_head()->next_cell, index + 1);
        return true;
    }
    return false;
}

static int create(mp_cell_name *name, mp_error *error)
{
    int status = mp_session_join(error) == 0 ? -EUSERS : 0;
    while (status == 0) {
        uint32_t cells = mp_load_acquire(&mp_session_head()->cells);
        if (find_free(cells, name))
            break;
        status = add_cells(cells, error);
    }
    if (status < 0)
        return status;
    status = note_use(name->index);
    if (status < 0) {
        clear_user(mp_cell_at(name->index), mp_place_of(mp_session_own.self));
        free_if_unused(name->index, false);
        return mp_fail(error, status, "cannot note what is shared");
    }
    return 0;
}

int mp_cell_create(mp_cell_name *name, mp_error *error)
{
    int status = mp_session_open(error);
    if (status < 0)
        return status;
    mp_session_enter();
    status = create(name, error);
    mp_session_exit();
    return status;
}

/* What others have allocated meanwhile is allocated for this process, too. */
static bool is_there(uint32_t index)
{
    return index < MP_CELLS_MAX && index < mp_load_acquire(&mp_session_head()->cells);
}

static bool use(mp_cell_name name)
{
    if (mp_session_own.cells.base == NULL || !is_there(name.index) || mp_session_join(NULL) == 0)
        return false;
    mp_cell *c = mp_cell_at(name.index);
    bool first = name.index >= mp_session_own.room || mp_session_own.uses[name.index] == 0;
    if (first)
        mp_cell_set_user(c, mp_place_of(mp_session_own.self));
    mp_fence();
    if (mp_load_acquire(&c->state) == mp_cell_taken(name.generation) && note_use(name.index) == 0)
        return true;
    if (first)
        clear_user(c, mp_place_of(mp_session_own.self));
    return false;
}

bool mp_cell_use(mp_cell_name name)
{
    mp_session_enter();
    bool used = use(name);
    mp_session_exit();
    return used;
}

/* ---- dropping ---- */

static void let_go(uint32_t index)
{
    clear_user(mp_cell_at(index), mp_place_of(mp_session_own.self));
    free_if_unused(index, false);
}

static void let_late_ones_go(void)
{
    for (uint32_t i = 0; i < mp_session_own.room && mp_session_own.late > 0; i++)
        if (mp_session_own.uses[i] == 0 &&
            has_user(mp_cell_at(i), mp_place_of(mp_session_own.self))) {
            let_go(i);
            mp_session_own.late--;
        }
}

static void drop(mp_cell_name name)
{
    if (name.index >= mp_session_own.room || mp_session_own.uses[name.index] == 0 ||
        --mp_session_own.uses[name.index] > 0)
        return;
    mp_session_own.used--;
    if (mp_session_own.self == 0)
        return;
    if (mp_session_bears()) {
        mp_session_own.late++;
        return;
    }
    let_go(name.index);
    let_late_ones_go();
}

void mp_cell_drop(mp_cell_name name)
{
    mp_session_enter();
    drop(name);
    mp_session_exit();
}

void mp_cell_by_name(mp_cell_name name)
{
    atomic_fetch_or_explicit(&mp_cell_at(name.index)->owner, BY_NAME, memory_order_acq_rel);
}

void mp_cells_stand_by(void)
{
    for (uint32_t i = 0; i < mp_session_own.room; i++)
        if (mp_session_own.uses[i] > 0 && (mp_load_acquire(&mp_cell_at(i)->owner) & BY_NAME) != 0) {
            mp_session_own.uses[i] = 0;
            mp_session_own.used--;
            let_go(i);
        }
}

void mp_cells_leave(void)
{
    for (uint32_t i = 0; i < mp_session_own.room; i++)
        if (mp_session_own.uses[i] > 0)
            let_go(i);
    let_late_ones_go();
}

/* ---- what is in them, and whose ---- */

bool mp_cell_is_free(mp_cell_name name)
{
    return mp_load_acquire(&mp_cell_at(name.index)->state) != mp_cell_taken(name.generation);
}

mp_cell_name mp_cell_now(uint32_t index)
{
    return (mp_cell_name){index, (uint32_t)(mp_load_acquire(&mp_cell_at(index)->state) >> 8)};
}

void *mp_cell_content(mp_cell_name name)
{
    return mp_cell_at(name.index)->content;
}

bool mp_cell_give(mp_cell_name name, mp_cell_name owner, bool part)
{
    mp_cell *c = mp_cell_at(name.index);
    uint64_t now = mp_load_acquire(&c->owner) & OWNER_BITS;
    if (name.index == owner.index || is_owner_alive(now))
        return now == as_owner(owner);
    atomic_fetch_or_explicit(&mp_cell_at(owner.index)->owner, OWNS_OTHERS, memory_order_acq_rel);
    return change_owner(c, now, as_owner(owner) | (part ? PART : 0));
}

bool mp_cell_take_back(mp_cell_name name, mp_cell_name owner)
{
    return mp_cell_use(name) && change_owner(mp_cell_at(name.index), as_owner(owner), 0);
}

bool mp_cell_next_part(mp_cell_name owner, mp_cell_name *name)
{
    uint32_t cells = mp_load_acquire(&mp_session_head()->cells);
    for (uint32_t i = name->generation == 0 ? 0 : name->index + 1; i < cells; i++) {
        const mp_cell *c = mp_cell_at(i);
        uint64_t state = mp_load_acquire(&c->state);
        if ((state & MP_CELL_TAKEN) == 0 || !is_owned_by(c, owner) ||
            (mp_load_acquire(&c->owner) & PART) == 0)
            continue;
        *name = (mp_cell_name){i, (uint32_t)(state >> 8)};
        return true;
    }
    return false;
}

void mp_cell_disown(mp_cell_name name, mp_cell_name owner)
{
    if (change_owner(mp_cell_at(name.index), as_owner(owner), 0))
        free_if_unused(name.index, false);
}

unsigned mp_cell_users(mp_cell_name name, unsigned *lost)
{
    mp_cell *c = mp_cell_at(name.index);
    unsigned n = 0;
    *lost = 0;
    for (unsigned place = 0; place < mp_session_places(); place++) {
        if (!has_user(c, place))
            continue;
        if (place == mp_place_of(mp_session_own.self) || mp_place_is_held(place)) {
            n++;
        } else {
            clear_user(c, place);
            *lost += mp_load_relaxed(&mp_session_head()->members[place].bystander) == 0;
        }
    }
    return n;
}

bool mp_cell_is_used_at(mp_cell_name name, unsigned place)
{
    return place != mp_place_of(mp_session_own.self) && has_user(mp_cell_at(name.index), place) &&
           mp_load_relaxed(&mp_session_head()->members[place].bystander) == 0 &&
           mp_place_is_held(place);
}

uint32_t mp_cell_uses(mp_cell_name name)
{
    return name.index < mp_session_own.room ? mp_session_own.uses[name.index] : 0;
}

unsigned mp_cell_others(mp_cell_name name)
{
    unsigned n = 0;
    if (mp_cell_is_free(name))
        return 0;
    for (unsigned place = 0; place < mp_session_places(); place++)
        n += mp_cell_is_used_at(name, place);
    return n;
}
