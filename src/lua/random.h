/* The random numbers of an item: those of math.random after math.randomseed(seed,
 * index), at the cost of a few exclusive-ors.
 *
 * Lua 5.4 keeps the state of its generator, xoshiro256** (Blackman and Vigna,
 * 2018), in a userdata, the upvalue of math.random; randomseed(a, b) sets it to
 * (a, 0xff, b, 0) and steps 16 times. A step is linear over GF(2), so the state
 * after the 16 is an exclusive-or of one column for each bit of a and of b. Going from
 * one index to the next changes its lowest bits, up to the lowest that the next has set,
 * so that one sum of columns is to be added. */
#ifndef MP_LUA_RANDOM_H
#define MP_LUA_RANDOM_H

#include <lua.h>
#include <stdint.h>

typedef struct mp_random {
    uint64_t *state; /* the generator's, NULL where it is not as expected */
    uint64_t seed, index;
    uint64_t now[4]; /* the state for seed and index */
} mp_random;

/* Once in a process, before workers are forked, so that they inherit it: makes the columns. */
void mp_random_prepare(void);

/* Behind that: finds the generator of this Lua state. Where math is not open, or its generator
 * is another one, mp_random_set does nothing. */
void mp_random_init(mp_random *r, lua_State *L);

/* Sets the generator as math.randomseed(seed, index) would. */
void mp_random_set(mp_random *r, uint64_t seed, uint64_t index);

#endif
