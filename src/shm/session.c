/* The session: see session.h.
 *
 * Whether a cell is taken says its `state`, generation and TAKEN, changed by
 * compare-and-swap; who uses it say the bits of `users`, of which each member sets
 * and clears its own, and whoever finds its member dead clears it as well. A process
 * that is killed between taking a cell and setting its bit leaves a cell that is
 * never free again, 256 bytes; nothing else depends on an order of steps.
 *
 * `births` names the forks that have not set their bits yet: while there are any,
 * their parent does not clear a bit of its own (it does when it drops the next one).
 * A fork that failed, or was killed at once, is given up after some seconds. */
#include "shm/session.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "shm/session_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    VERSION = 1,
    CELLS_FIRST = 16,
    PLACE_BITS = 10,
    LIFE_MASK = (1 << 21) - 1,
    TRIES = 4, /* places of those that were given before, which may be free again */
};

#define ARENA_MOST ((size_t)64 << 30)
#define ARENA_LEAST ((size_t)16 << 20)

/* Nanoseconds: a fork that is not born by then never will be, for the sake of safety and of not
 * waiting; and how long one waits for another to be born first. */
static const int64_t birth_time = INT64_C(10000000000), short_birth_time = 1000000000,
                     crowd_time = 50000000;

_Static_assert(MP_MEMBERS == 1 << PLACE_BITS, "a member's name holds its place");

/* Threads of this process change its side one at a time; no fork comes between. */
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static void enter(void)
{
    pthread_mutex_lock(&guard);
}

static void leave(void)
{
    pthread_mutex_unlock(&guard);
}

mp_session_side mp_session_own = {.cells.fd = -1, .arena.fd = -1};

/* ---- members ---- */

static unsigned place_of(uint32_t member)
{
    return member & (MP_MEMBERS - 1);
}

static uint32_t name_of(unsigned place, uint32_t life)
{
    return (life & LIFE_MASK) << PLACE_BITS | place;
}

static struct flock byte_of(unsigned place, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = place, .l_len = 1};
}

static bool claim_place(unsigned place)
{
    struct flock lock = byte_of(place, F_WRLCK);
    int status;
    do
        status = fcntl(mp_session_own.cells.fd, F_SETLK, &lock);
    while (status < 0 && errno == EINTR);
    return status == 0;
}

static bool is_held(unsigned place)
{
    struct flock lock = byte_of(place, F_WRLCK);
    return fcntl(mp_session_own.cells.fd, F_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

static void clear_user(mp_cell *c, unsigned place)
{
    atomic_fetch_and_explicit(&c->users[place / 64], ~(UINT64_C(1) << place % 64),
                              memory_order_acq_rel);
}

static void set_user(mp_cell *c, unsigned place)
{
    atomic_fetch_or_explicit(&c->users[place / 64], UINT64_C(1) << place % 64,
                             memory_order_acq_rel);
}

/* What somebody has left who was killed. */
static void clean_up(unsigned place)
{
    uint32_t cells = mp_load_acquire(&mp_session_head()->cells);
    for (uint32_t i = 0; i < cells; i++) {
        clear_user(mp_cell_at(i), place);
        mp_cell_free_if_unused(i);
    }
}

static void raise_to(_Atomic uint32_t *word, uint32_t least)
{
    uint32_t now = mp_load_relaxed(word);
    while (now < least && !mp_cas_u32(word, now, least))
        now = mp_load_relaxed(word);
}

static void move_in(unsigned place)
{
    mp_member *m = &mp_session_head()->members[place];
    if (mp_load_relaxed(&m->pid) != 0)
        clean_up(place);
    uint32_t life = (mp_load_relaxed(&m->life) + 1) & LIFE_MASK;
    for (int i = 0; i < MP_BIRTHS; i++)
        mp_store_relaxed(&m->births[i], 0);
    mp_store_relaxed(&m->awaits, 0);
    mp_store_relaxed(&m->bystander, 0);
    mp_store_relaxed(&m->life, life == 0 ? 1 : life);
    mp_store_release(&m->pid, (uint32_t)getpid());
    raise_to(&mp_session_head()->places, place + 1);
    mp_session_own.self = name_of(place, mp_load_relaxed(&m->life));
}

static void try_place(unsigned place)
{
    if (claim_place(place))
        move_in(place);
}

static uint32_t become_member(mp_error *error)
{
    if (mp_session_own.self != 0)
        return mp_session_own.self;
    if (mp_session_own.cells.base == NULL) {
        mp_fail(error, -ENODEV, "this process has no session");
        return 0;
    }
    unsigned given = mp_session_places(),
             first = mp_add_relaxed(&mp_session_head()->next_place, TRIES);
    for (unsigned i = 0; i < TRIES && given > 0 && mp_session_own.self == 0; i++)
        try_place((first + i) % given);
    for (unsigned i = 0; i < MP_MEMBERS && mp_session_own.self == 0; i++)
        try_place((given + i) % MP_MEMBERS);
    if (mp_session_own.self == 0)
        mp_fail(error, -EUSERS, "more than %d processes share something", MP_MEMBERS);
    return mp_session_own.self;
}

uint32_t mp_session_self(mp_error *error)
{
    if (mp_session_own.self != 0)
        return mp_session_own.self;
    enter();
    uint32_t self = become_member(error);
    leave();
    return self;
}

bool mp_session_alive(uint32_t member)
{
    const mp_member *m = &mp_session_head()->members[place_of(member)];
    if (member == mp_session_own.self)
        return true;
    return name_of(place_of(member), mp_load_acquire(&m->life)) == member &&
           is_held(place_of(member));
}

mp_member *mp_session_member(uint32_t member)
{
    return &mp_session_head()->members[place_of(member)];
}

unsigned mp_session_places(void)
{
    return mp_load_acquire(&mp_session_head()->places);
}

uint32_t mp_session_at(unsigned place)
{
    const mp_member *m = &mp_session_head()->members[place];
    return mp_load_acquire(&m->pid) == 0 ? 0 : name_of(place, mp_load_relaxed(&m->life));
}

/* ---- forks ---- */

static _Atomic uint32_t *slot_of(uint32_t parent, uint32_t birth)
{
    return &mp_session_member(parent)->births[birth % MP_BIRTHS];
}

/* More than there are places for wait for one another, though not for one that will never come. */
static void before_fork(void)
{
    enter();
    mp_session_own.birth = 0;
    if (mp_session_own.used == 0 || mp_session_own.self == 0)
        return;
    mp_session_own.births += mp_session_own.births == UINT32_MAX ? 2 : 1;
    mp_session_own.birth = mp_session_own.births;
    _Atomic uint32_t *slot = slot_of(mp_session_own.self, mp_session_own.birth);
    int64_t now = mp_now(), patience = now + crowd_time;
    while (mp_load_acquire(slot) != 0 && mp_now() < patience)
        sched_yield();
    mp_store_relaxed(&mp_session_member(mp_session_own.self)->forked_at, now);
    mp_store_release(slot, mp_session_own.birth);
}

static void adopt(void)
{
    uint32_t parent = mp_session_own.self, birth = mp_session_own.birth;
    mp_session_own.self = 0;
    mp_session_own.late = 0;
    mp_session_own.births = 0;
    if (birth == 0)
        return;
    if (become_member(NULL) != 0)
        for (uint32_t i = 0; i < mp_session_own.room; i++)
            if (mp_session_own.uses[i] > 0)
                set_user(mp_cell_at(i), place_of(mp_session_own.self));
    mp_cas_u32(slot_of(parent, birth), birth, 0);
}

static void in_the_child(void)
{
    adopt();
    leave();
}

uint32_t mp_session_birth(void)
{
    return mp_session_own.birth;
}

void mp_session_stillborn(uint32_t birth)
{
    if (birth != 0 && mp_session_own.self != 0)
        mp_cas_u32(slot_of(mp_session_own.self, birth), birth, 0);
}

static bool bears(const mp_member *m, int64_t since)
{
    if (mp_load_relaxed(&m->forked_at) < since)
        return false;
    for (int i = 0; i < MP_BIRTHS; i++)
        if (mp_load_acquire(&m->births[i]) != 0)
            return true;
    return false;
}

/* ---- the session ---- */

static int watch_error;

static void watch_forks(void)
{
    watch_error = pthread_atfork(before_fork, leave, in_the_child);
}

static int open_both(mp_error *error)
{
    if (mp_session_own.cells.base != NULL)
        return 0;
    size_t most = MP_CELLS_AT + (size_t)MP_CELLS_MAX * sizeof(mp_cell);
    int status = mp_region_create(&mp_session_own.cells, "moonpool-session", most, most / 16,
                                  MP_CELLS_AT + CELLS_FIRST * sizeof(mp_cell), error);
    if (status < 0)
        return status;
    status = mp_region_create(&mp_session_own.arena, "moonpool-arena", ARENA_MOST, ARENA_LEAST, 0,
                              error);
    if (status < 0) {
        mp_region_destroy(&mp_session_own.cells);
        return status;
    }
    memcpy(mp_session_head()->magic, "mpsessio", sizeof mp_session_head()->magic);
    mp_session_head()->version = VERSION;
    mp_store_release(&mp_session_head()->cells, CELLS_FIRST);
    return 0;
}

int mp_session_open(mp_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    if (watch_error != 0)
        return mp_fail(error, -watch_error, "pthread_atfork");
    enter();
    int status = open_both(error);
    leave();
    return status;
}

/* ---- cells ---- */

/* What others have allocated meanwhile is allocated for this process, too. */
static bool is_there(uint32_t index)
{
    return index < MP_CELLS_MAX && index < mp_load_acquire(&mp_session_head()->cells);
}

static int note_use(uint32_t index)
{
    if (index >= mp_session_own.room) {
        uint32_t room = mp_session_own.room == 0 ? CELLS_FIRST : mp_session_own.room;
        while (room <= index)
            room *= 2;
        uint32_t *uses = realloc(mp_session_own.uses, room * sizeof *uses);
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
    if ((state & MP_CELL_TAKEN) != 0 || !mp_cas_u64(&c->state, state, mp_cell_taken(generation)))
        return false;
    set_user(c, place_of(mp_session_own.self));
    mp_store_release(&c->extent_size, 0);
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
        raise_to(&mp_session_head()->cells, more);
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
    int status = become_member(error) == 0 ? -EUSERS : 0;
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
        clear_user(mp_cell_at(name->index), place_of(mp_session_own.self));
        mp_store_release(&mp_cell_at(name->index)->state,
                         mp_cell_taken(name->generation) & ~(uint64_t)MP_CELL_TAKEN);
        return mp_fail(error, status, "cannot note what is shared");
    }
    return 0;
}

int mp_cell_create(mp_cell_name *name, mp_error *error)
{
    int status = mp_session_open(error);
    if (status < 0)
        return status;
    enter();
    status = create(name, error);
    leave();
    return status;
}

static bool use(mp_cell_name name)
{
    if (mp_session_own.cells.base == NULL || !is_there(name.index) || become_member(NULL) == 0)
        return false;
    mp_cell *c = mp_cell_at(name.index);
    bool first = name.index >= mp_session_own.room || mp_session_own.uses[name.index] == 0;
    if (first)
        set_user(c, place_of(mp_session_own.self));
    if (mp_load_acquire(&c->state) == mp_cell_taken(name.generation) && note_use(name.index) == 0)
        return true;
    if (first)
        clear_user(c, place_of(mp_session_own.self));
    return false;
}

bool mp_cell_use(mp_cell_name name)
{
    enter();
    bool used = use(name);
    leave();
    return used;
}

/* Frees it unless a living member uses it; the dead do not. */
void mp_cell_free_if_unused(uint32_t index)
{
    mp_cell *c = mp_cell_at(index);
    uint64_t state = mp_load_acquire(&c->state);
    for (unsigned word = 0; word < MP_CELL_WORDS; word++)
        for (uint64_t left = mp_load_acquire(&c->users[word]); left != 0; left &= left - 1) {
            unsigned place = word * 64 + (unsigned)__builtin_ctzll(left);
            if (place == place_of(mp_session_own.self) || is_held(place))
                return;
            clear_user(c, place);
        }
    if ((state & MP_CELL_TAKEN) == 0)
        return;
    uint64_t size = mp_load_acquire(&c->extent_size);
    if (size > 0)
        mp_region_punch(&mp_session_own.arena, c->extent_at, c->extent_at + size);
    mp_cas_u64(&c->state, state, state & ~(uint64_t)MP_CELL_TAKEN);
}

static void let_go(uint32_t index)
{
    clear_user(mp_cell_at(index), place_of(mp_session_own.self));
    mp_cell_free_if_unused(index);
}

static void let_late_ones_go(void)
{
    for (uint32_t i = 0; i < mp_session_own.room && mp_session_own.late > 0; i++) {
        const mp_cell *c = mp_cell_at(i);
        unsigned place = place_of(mp_session_own.self);
        if (mp_session_own.uses[i] == 0 &&
            (mp_load_relaxed(&c->users[place / 64]) >> place % 64 & 1) != 0) {
            let_go(i);
            mp_session_own.late--;
        }
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
    if (bears(mp_session_member(mp_session_own.self), mp_now() - birth_time)) {
        mp_session_own.late++;
        return;
    }
    let_go(name.index);
    let_late_ones_go();
}

void mp_cell_drop(mp_cell_name name)
{
    enter();
    drop(name);
    leave();
}

void *mp_cell_content(mp_cell_name name)
{
    return mp_cell_at(name.index)->content;
}

unsigned mp_cell_users(mp_cell_name name, unsigned *lost)
{
    mp_cell *c = mp_cell_at(name.index);
    unsigned n = 0;
    *lost = 0;
    for (unsigned place = 0; place < mp_session_places(); place++) {
        if ((mp_load_acquire(&c->users[place / 64]) >> place % 64 & 1) == 0)
            continue;
        if (place == place_of(mp_session_own.self) || is_held(place)) {
            n++;
        } else {
            clear_user(c, place);
            *lost += mp_load_relaxed(&mp_session_head()->members[place].bystander) == 0;
        }
    }
    return n;
}

unsigned mp_cell_others(mp_cell_name name)
{
    const mp_cell *c = mp_cell_at(name.index);
    unsigned n = 0;
    if (mp_load_acquire(&c->state) != mp_cell_taken(name.generation))
        return 0;
    for (unsigned place = 0; place < mp_session_places(); place++)
        n += place != place_of(mp_session_own.self) &&
             (mp_load_acquire(&c->users[place / 64]) >> place % 64 & 1) != 0 &&
             mp_load_relaxed(&mp_session_head()->members[place].bystander) == 0 && is_held(place);
    return n;
}

bool mp_session_expects(void)
{
    int64_t since = mp_now() - short_birth_time;
    for (unsigned place = 0; place < mp_session_places(); place++) {
        uint32_t name = mp_session_at(place);
        if (name != 0 && bears(mp_session_member(name), since) && mp_session_alive(name))
            return true;
    }
    return false;
}

void mp_session_stand_by(void)
{
    if (mp_session_own.self != 0)
        mp_store_relaxed(&mp_session_member(mp_session_own.self)->bystander, 1);
}

void mp_session_leave(void)
{
    if (mp_session_own.self == 0)
        return;
    enter();
    for (uint32_t i = 0; i < mp_session_own.room; i++)
        if (mp_session_own.uses[i] > 0)
            let_go(i);
    let_late_ones_go();
    mp_store_release(&mp_session_member(mp_session_own.self)->pid, 0);
    mp_session_own.self = 0;
    mp_session_own.used = 0;
    mp_session_own.room = 0;
    leave();
}
