/* The random numbers of an item: see random.h. */
#include "lua/random.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

enum { DISCARDED = 16 };

/* The same for every state and process. */
static struct {
    uint64_t by_seed[64][4];
    uint64_t by_index[64][4];
    uint64_t by_step[64][4]; /* sums of the columns by_index up to each */
    uint64_t start[4];       /* the state for seed and index 0 */
} columns;

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

/* One step of xoshiro256** without its output. */
static void step(uint64_t s[4])
{
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
}

static void settle(uint64_t s[4])
{
    for (int i = 0; i < DISCARDED; i++)
        step(s);
}

static void add(uint64_t to[4], const uint64_t column[4])
{
    for (int i = 0; i < 4; i++)
        to[i] ^= column[i];
}

/* Adds the columns of the bits in `changed`. */
static void add_all(uint64_t to[4], uint64_t of[64][4], uint64_t changed)
{
    for (; changed != 0; changed &= changed - 1)
        add(to, of[__builtin_ctzll(changed)]);
}

void mp_random_prepare(void)
{
    for (int bit = 0; bit < 64; bit++) {
        columns.by_seed[bit][0] = UINT64_C(1) << bit;
        columns.by_index[bit][2] = UINT64_C(1) << bit;
        settle(columns.by_seed[bit]);
        settle(columns.by_index[bit]);
        if (bit > 0)
            add(columns.by_step[bit], columns.by_step[bit - 1]);
        add(columns.by_step[bit], columns.by_index[bit]);
    }
    columns.start[1] = 0xff;
    settle(columns.start);
}

/* Pushes math[name]; false where it is no function. */
static bool push_math(lua_State *L, const char *name)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    return lua_getfield(L, -1, LUA_MATHLIBNAME) == LUA_TTABLE &&
           lua_getfield(L, -1, name) == LUA_TFUNCTION;
}

/* Whether math.randomseed does to this state what is done here. */
static bool is_known(mp_random *r, lua_State *L)
{
    uint64_t expected[4] = {7, 0xff, 11, 0};
    settle(expected);
    if (!push_math(L, "randomseed"))
        return false;
    lua_pushinteger(L, 7);
    lua_pushinteger(L, 11);
    return lua_pcall(L, 2, 0, 0) == LUA_OK && memcmp(r->state, expected, sizeof expected) == 0;
}

void mp_random_init(mp_random *r, lua_State *L)
{
    int top = lua_gettop(L);
    *r = (mp_random){0};
    memcpy(r->now, columns.start, sizeof r->now);
    if (push_math(L, "random") && lua_getupvalue(L, -1, 1) != NULL && lua_isuserdata(L, -1) &&
        lua_rawlen(L, -1) == sizeof r->now) {
        r->state = lua_touserdata(L, -1);
        if (!is_known(r, L))
            r->state = NULL;
    }
    lua_settop(L, top);
}

void mp_random_set(mp_random *r, uint64_t seed, uint64_t index)
{
    if (r->state == NULL)
        return;
    uint64_t now[4] = {r->now[0], r->now[1], r->now[2], r->now[3]};
    if (seed == r->seed && index == r->index + 1 && index != 0) {
        add(now, columns.by_step[__builtin_ctzll(index)]);
    } else {
        add_all(now, columns.by_seed, seed ^ r->seed);
        add_all(now, columns.by_index, index ^ r->index);
    }
    r->seed = seed;
    r->index = index;
    for (int i = 0; i < 4; i++)
        r->state[i] = r->now[i] = now[i];
}
