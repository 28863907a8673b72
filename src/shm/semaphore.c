/* Semaphores: see semaphore.h.
 *
 * A hold has a token: its member's place, eleven bits of which life of that place it is, and
 * ten of a number, so that who is late in ending another's change finds nothing to change. A
 * slot holds 0, a token, or that and WAITS: it has not got one yet. The upper half of the
 * word is 0, or the token of who has just taken one, whose slot is to lose its WAITS; or that
 * and LETS: of who has just given one back, whose slot is to be emptied. */
#include "shm/semaphore.h"

#include "shm/wake.h"

#include <limits.h>

#define WAITS (UINT32_C(1) << 31)
#define LETS (UINT32_C(1) << 31)

enum { PLACE_BITS = 10, LIFE_BITS = 11, NUMBER_BITS = 10 };

_Static_assert(MP_MEMBERS == 1 << PLACE_BITS, "a token holds a place");

static uint32_t short_name(uint32_t member)
{
    return member & ((1U << (PLACE_BITS + LIFE_BITS)) - 1);
}

static uint32_t new_token(uint32_t me)
{
    static _Atomic uint32_t holds;
    uint32_t number = mp_add_relaxed(&holds, 1) & ((1U << NUMBER_BITS) - 1);
    return number << (PLACE_BITS + LIFE_BITS) | short_name(me);
}

static bool lives(uint32_t token)
{
    uint32_t member = mp_session_at(token & (MP_MEMBERS - 1));
    return member != 0 && short_name(member) == short_name(token) && mp_session_alive(member);
}

static uint32_t count_of(uint64_t word)
{
    return (uint32_t)word;
}

static uint32_t change_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static uint64_t word_of(uint32_t count, uint32_t change)
{
    return (uint64_t)change << 32 | count;
}

/* The futex is the word's lower half. */
static _Atomic uint32_t *futex_of(mp_semaphore *s)
{
    _Atomic uint32_t *halves = (_Atomic uint32_t *)(void *)&s->word;
    return &halves[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 1];
}

static int change_slot(mp_semaphore *s, uint32_t from, uint32_t to)
{
    for (int slot = 0; slot < MP_HOLDERS; slot++)
        if (mp_load_acquire(&s->holders[slot]) == from && mp_cas_u32(&s->holders[slot], from, to))
            return slot;
    return -1;
}

/* Ends what the word says that somebody has begun. */
static void finish(mp_semaphore *s, uint64_t word)
{
    uint32_t change = change_of(word), token = change & ~LETS;
    if ((change & LETS) != 0)
        change_slot(s, token, 0);
    else
        change_slot(s, token | WAITS, token);
    mp_cas_u64(&s->word, word, word_of(count_of(word), 0));
}

/* The word, when nobody is in the middle of a change. */
static uint64_t settled(mp_semaphore *s)
{
    uint64_t word = mp_load_acquire(&s->word);
    while (change_of(word) != 0) {
        finish(s, word);
        word = mp_load_acquire(&s->word);
    }
    return word;
}

/* Takes one with that change; false where there is none. */
static bool take(mp_semaphore *s, uint32_t change)
{
    for (;;) {
        uint64_t word = settled(s);
        if (count_of(word) == 0)
            return false;
        if (!mp_cas_u64(&s->word, word, word_of(count_of(word) - 1, change)))
            continue;
        if (change != 0)
            settled(s);
        return true;
    }
}

static bool give(mp_semaphore *s, uint32_t most, uint32_t change)
{
    for (;;) {
        uint64_t word = settled(s);
        if (count_of(word) >= most)
            return false;
        if (mp_cas_u64(&s->word, word, word_of(count_of(word) + 1, change)))
            break;
    }
    if (change != 0)
        settled(s);
    mp_fence();
    if (mp_load_relaxed(&s->sleepers) > 0)
        mp_futex_wake(futex_of(s), 1);
    return true;
}

uint32_t mp_semaphore_count(const mp_semaphore *s)
{
    return count_of(mp_load_acquire(&s->word));
}

bool mp_semaphore_try(mp_semaphore *s)
{
    return take(s, 0);
}

int mp_semaphore_hold(mp_semaphore *s, uint32_t me)
{
    uint32_t token = new_token(me);
    int slot = change_slot(s, 0, token | WAITS);
    if (slot < 0)
        return take(s, 0) ? MP_HELD_UNSEEN : -1;
    if (take(s, token))
        return slot;
    mp_store_release(&s->holders[slot], 0);
    return -1;
}

/* Takes over the slot of one that has died; false where it holds nothing. */
static bool take_over(mp_semaphore *s, int slot, uint32_t heir)
{
    uint32_t token = mp_load_acquire(&s->holders[slot]);
    if (token == 0 || lives(token & ~WAITS))
        return false;
    settled(s); /* it may have died in the middle */
    token = mp_load_acquire(&s->holders[slot]);
    if ((token & WAITS) != 0 && !lives(token & ~WAITS))
        mp_cas_u32(&s->holders[slot], token, 0);
    return (token & WAITS) == 0 && token != 0 && !lives(token) &&
           mp_cas_u32(&s->holders[slot], token, heir);
}

int mp_semaphore_inherit(mp_semaphore *s, uint32_t me, bool hold)
{
    uint32_t heir = hold ? new_token(me) : 0;
    for (int slot = 0; slot < MP_HOLDERS; slot++)
        if (take_over(s, slot, heir))
            return slot;
    return -1;
}

void mp_semaphore_let(mp_semaphore *s, int slot, uint32_t me)
{
    uint32_t token = slot < 0 || slot >= MP_HOLDERS ? 0 : mp_load_acquire(&s->holders[slot]);
    bool seen = token != 0 && short_name(token) == short_name(me);
    give(s, UINT32_MAX, seen ? token | LETS : 0);
}

bool mp_semaphore_give(mp_semaphore *s)
{
    return give(s, s->most < INT_MAX ? s->most : INT_MAX, 0);
}

/* Who is killed here leaves a sleeper too many, by which a wake is made for nobody. */
void mp_semaphore_sleep(mp_semaphore *s, int64_t nanoseconds)
{
    mp_add_relaxed(&s->sleepers, 1);
    mp_fence();
    mp_futex_sleep(futex_of(s), 0, nanoseconds);
    atomic_fetch_sub_explicit(&s->sleepers, 1, memory_order_relaxed);
}
