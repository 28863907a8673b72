/* What an item costs in instructions, to be counted by valgrind's callgrind: the codec's two ways,
 * and the way of an item through ledger and pool over the loopback transport.
 *
 *   bench_instructions CASE TIMES
 *
 * Runs the case so many times and prints nothing; the difference of two runs is what counts.
 * Without arguments it prints the names of the cases. */
#include "codec/values.h"
#include "pool/pool.h"
#include "spec/support/loopback.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { IN_FLIGHT = 1024 };

/* Lua draws the seed of its string table from the clock and from addresses, which are always the
 * same under valgrind: with this one the table is, too. */
time_t time(time_t *now) /* NOLINT(readability-inconsistent-declaration-parameter-name) */
{
    if (now != NULL)
        *now = 0;
    return 0;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_instructions: %s\n", what);
    exit(1);
}

/* ---- the codec ---- */

/* A state with the value of that source at 1. */
static lua_State *state_with(const char *source)
{
    lua_State *L = luaL_newstate();
    if (L == NULL)
        fail("no memory");
    luaL_openlibs(L);
    if (luaL_dostring(L, source) != LUA_OK)
        fail(lua_tostring(L, -1));
    lua_settop(L, 1);
    return L;
}

static void encode(const char *source, long times)
{
    lua_State *L = state_with(source);
    mp_buffer b;
    mp_buffer_init_heap(&b);
    for (long i = 0; i < times; i++) {
        b.len = 0;
        if (mp_encode(L, 1, 1, MP_CODEC_FUNCTIONS, &b) < 0)
            fail("cannot encode");
    }
    mp_buffer_free(&b);
    lua_close(L);
}

static void decode(const char *source, long times)
{
    lua_State *L = state_with(source);
    mp_buffer b;
    mp_buffer_init_heap(&b);
    if (mp_encode(L, 1, 1, MP_CODEC_FUNCTIONS, &b) < 0)
        fail("cannot encode");
    for (long i = 0; i < times; i++) {
        if (mp_decode(L, b.data, b.len, NULL, 1, MP_CODEC_FUNCTIONS) != 1)
            fail("cannot decode");
        lua_settop(L, 1);
    }
    mp_buffer_free(&b);
    lua_close(L);
}

/* ---- the pool ---- */

static int echo(void *ctx, mp_task *task, mp_buffer *out)
{
    (void)ctx;
    return mp_buffer_append(out, task->bytes, task->size) == 0 ? MP_TASK_DONE : -ENOMEM;
}

static void give(mp_call *call, long items)
{
    mp_error error = {0};
    for (long i = 0; i < items; i++) {
        mp_buffer *b = mp_call_begin_item(call, &error);
        if (b == NULL || mp_buffer_append(b, "\x18\x2a", 2) < 0 ||
            mp_call_end_item(call, &error) < 0)
            fail(error.text);
    }
    if (mp_call_flush(call, &error) < 0)
        fail(error.text);
}

static long take(mp_pool *pool)
{
    mp_event e;
    long n = 0;
    for (; mp_pool_next(pool, &e); n++)
        mp_pool_settle(pool);
    return n;
}

/* `granule` items of one granule at a time. */
static void pass(uint64_t granule, long times)
{
    static const mp_handler handler = {.run = echo};
    mp_error error = {0};
    loopback *l = loopback_new(2, &handler);
    mp_pool *pool = mp_pool_new(&l->base, 2, &error);
    mp_definition *d = mp_define_in_hand(mp_pool_definitions(pool), &error);
    mp_call *call = mp_call_open(pool, d, 0, NULL, &error);
    mp_call_granule(call, granule);
    for (long left = times; left > 0; left -= IN_FLIGHT) {
        give(call, left < IN_FLIGHT ? left : IN_FLIGHT);
        if (take(pool) == 0)
            fail("nothing came");
    }
    mp_call_release(call);
    mp_pool_free(pool);
}

/* ---- the cases ---- */

static const char integer[] = "return 123456";
static const char text[] = "return 'a string of twenty-eight'";
static const char record[] =
    "return {id = 1, name = 'record 1', active = true, score = 0.5, tags = {'red', 'green'},"
    " position = {x = 1, y = -1, z = 0.25}}";
static const char floats[] = "local t = {} for i = 1, 1000 do t[i] = i / 3 end return t";
static const char closure[] = "local k = 3 return function(x) return x * k end";

static const struct {
    const char *name, *source;
    void (*codec)(const char *source, long times);
    uint64_t granule;
} cases[] = {
    {"encode integer", integer, encode, 0},
    {"decode integer", integer, decode, 0},
    {"encode string", text, encode, 0},
    {"decode string", text, decode, 0},
    {"encode record", record, encode, 0},
    {"decode record", record, decode, 0},
    {"encode 1,000 floats", floats, encode, 0},
    {"decode 1,000 floats", floats, decode, 0},
    {"encode closure", closure, encode, 0},
    {"decode closure", closure, decode, 0},
    {"pass an item, granules of 1", NULL, NULL, 1},
    {"pass an item, granules of 64", NULL, NULL, 64},
};

int main(int argc, char **argv)
{
    size_t count = sizeof cases / sizeof cases[0];
    for (size_t i = 0; i < count; i++) {
        if (argc != 3)
            puts(cases[i].name);
        else if (strcmp(argv[1], cases[i].name) == 0 && cases[i].codec != NULL)
            cases[i].codec(cases[i].source, strtol(argv[2], NULL, 10));
        else if (strcmp(argv[1], cases[i].name) == 0)
            pass(cases[i].granule, strtol(argv[2], NULL, 10));
    }
    return 0;
}
