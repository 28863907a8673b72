/* The session and its members: see session.h; its cells: cells.c.
 *
 * `births` names the forks that have not set their bits yet: while there are any,
 * their parent does not clear a bit of its own (it does when it drops the next one).
 * A fork that failed, or was killed at once, is given up after some seconds. */
#include "shm/session.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/memory.h"
#include "shm/endpoint.h"
#include "shm/passing.h"
#include "shm/session_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    VERSION = 1,
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

void mp_session_enter(void)
{
    pthread_mutex_lock(&guard);
}

void mp_session_exit(void)
{
    pthread_mutex_unlock(&guard);
}

mp_session_side mp_session_own = {.cells.fd = -1, .arena.fd = -1};

/* ---- members ---- */

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

bool mp_place_is_held(unsigned place)
{
    struct flock lock = byte_of(place, F_WRLCK);
    return fcntl(mp_session_own.cells.fd, F_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

static void move_in(unsigned place)
{
    mp_member *m = &mp_session_head()->members[place];
    if (mp_load_relaxed(&m->pid) != 0)
        mp_cells_clean_up(place);
    uint32_t life = (mp_load_relaxed(&m->life) + 1) & LIFE_MASK;
    for (int i = 0; i < MP_BIRTHS; i++)
        mp_store_relaxed(&m->births[i], 0);
    mp_store_relaxed(&m->awaits, 0);
    mp_store_relaxed(&m->bystander, 0);
    mp_store_relaxed(&m->listens, 0);
    mp_store_relaxed(&m->life, life == 0 ? 1 : life);
    mp_store_release(&m->pid, (uint32_t)getpid());
    mp_raise_to(&mp_session_head()->places, place + 1);
    mp_session_own.self = name_of(place, mp_load_relaxed(&m->life));
}

static void try_place(unsigned place)
{
    if (claim_place(place))
        move_in(place);
}

uint32_t mp_session_join(mp_error *error)
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
    mp_session_enter();
    uint32_t self = mp_session_join(error);
    mp_session_exit();
    return self;
}

bool mp_session_alive(uint32_t member)
{
    const mp_member *m = &mp_session_head()->members[mp_place_of(member)];
    if (member == mp_session_own.self)
        return true;
    return name_of(mp_place_of(member), mp_load_acquire(&m->life)) == member &&
           mp_place_is_held(mp_place_of(member));
}

mp_member *mp_session_member(uint32_t member)
{
    return &mp_session_head()->members[mp_place_of(member)];
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
    mp_session_enter();
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
    mp_endpoints_forked();
    if (birth == 0)
        return;
    if (mp_session_join(NULL) != 0)
        for (uint32_t i = 0; i < mp_session_own.room; i++)
            if (mp_session_own.uses[i] > 0)
                mp_cell_set_user(mp_cell_at(i), mp_place_of(mp_session_own.self));
    mp_cas_u32(slot_of(parent, birth), birth, 0);
}

static void in_the_child(void)
{
    adopt();
    mp_session_exit();
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
    watch_error = pthread_atfork(before_fork, mp_session_exit, in_the_child);
}

/* Where there is no randomness yet, names are as good as the clock is fine. */
static uint64_t draw_secret(void)
{
    uint64_t secret;
    if (getrandom(&secret, sizeof secret, GRND_NONBLOCK) != (ssize_t)sizeof secret)
        secret = (uint64_t)mp_now() << 20 ^ (uint64_t)getpid();
    return secret;
}

void mp_session_send(mp_letter *letter)
{
    bool there = mp_session_own.cells.base != NULL;
    mp_letter_put_number(letter, there);
    if (!there)
        return;
    mp_region_send(&mp_session_own.cells, letter);
    mp_region_send(&mp_session_own.arena, letter);
    mp_passing_send(letter);
}

static int watch(mp_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    return watch_error == 0 ? 0 : mp_fail(error, -watch_error, "pthread_atfork");
}

int mp_session_receive(mp_letter *letter, mp_error *error)
{
    if (mp_letter_take_number(letter) == 0)
        return 0;
    int status = watch(error);
    if (status == 0)
        status = mp_region_receive(&mp_session_own.cells, letter, error);
    if (status == 0)
        status = mp_region_receive(&mp_session_own.arena, letter, error);
    if (status == 0)
        mp_passing_receive(letter);
    return status;
}

void mp_session_abandon(void)
{
    mp_session_leave();
    mp_session_enter();
    mp_region_destroy(&mp_session_own.cells);
    mp_region_destroy(&mp_session_own.arena);
    mp_free(mp_session_own.uses);
    mp_session_own = (mp_session_side){.cells.fd = -1, .arena.fd = -1};
    mp_passing_close();
    mp_session_exit();
}

static int open_both(mp_error *error)
{
    if (mp_session_own.cells.base != NULL)
        return 0;
    size_t most = MP_CELLS_AT + (size_t)MP_CELLS_MAX * sizeof(mp_cell);
    int status = mp_region_create(&mp_session_own.cells, "moonpool-session", most, most / 16,
                                  MP_CELLS_AT + MP_CELLS_FIRST * sizeof(mp_cell), error);
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
    mp_session_head()->secret = draw_secret();
    mp_robust_init(&mp_session_head()->board.lock);
    mp_store_release(&mp_session_head()->cells, MP_CELLS_FIRST);
    mp_passing_open();
    return 0;
}

int mp_session_open(mp_error *error)
{
    int status = watch(error);
    if (status < 0)
        return status;
    mp_session_enter();
    status = open_both(error);
    mp_session_exit();
    return status;
}

bool mp_session_bears(void)
{
    return bears(mp_session_member(mp_session_own.self), mp_now() - birth_time);
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
    if (mp_session_own.self == 0)
        return;
    mp_store_relaxed(&mp_session_member(mp_session_own.self)->bystander, 1);
    mp_session_enter();
    mp_cells_stand_by();
    mp_session_exit();
}

void mp_session_leave(void)
{
    if (mp_session_own.self == 0)
        return;
    mp_session_enter();
    mp_cells_leave();
    mp_store_release(&mp_session_member(mp_session_own.self)->pid, 0);
    mp_session_own.self = 0;
    mp_session_own.used = 0;
    mp_session_own.room = 0;
    mp_session_exit();
}
