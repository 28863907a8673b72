/* What the codec's fuzz targets share: a Lua state with little in it that an
 * input could do harm with, whose memory is counted. */
#ifndef MP_SPEC_FUZZ_CODEC_FUZZ_H
#define MP_SPEC_FUZZ_CODEC_FUZZ_H

#include "codec/names.h"
#include "codec/values.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { FUZZ_MEMORY = 1 << 28, FUZZ_GARBAGE = 1 << 21, FUZZ_INPUTS_PER_STATE = 5000 };

typedef struct fuzz_memory {
    size_t live;
    size_t peak;
} fuzz_memory;

static fuzz_memory fuzz_used;

static void *fuzz_allocate(void *ud, void *block, size_t old_size, size_t size)
{
    fuzz_memory *used = ud;
    if (block == NULL)
        old_size = 0;
    if (size > old_size && used->live - old_size + size > FUZZ_MEMORY)
        return NULL;
    used->live += size - old_size;
    if (used->live > used->peak)
        used->peak = used->live;
    if (size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, size);
}

/* No io, os, package, debug or load: a made-up message may name and call any
 * function that a module holds. */
static lua_State *fuzz_open(void)
{
    lua_State *L = lua_newstate(fuzz_allocate, &fuzz_used);
    luaL_requiref(L, "math", luaopen_math, 1);
    luaL_requiref(L, "table", luaopen_table, 1);
    luaL_requiref(L, "string", luaopen_string, 1);
    mp_names_refresh(L);
    lua_settop(L, 0);
    return L;
}

/* The state for the next input, with little garbage in it; made afresh now and
 * then. The input before must have left its stack empty. */
static lua_State *fuzz_state(void)
{
    static lua_State *L;
    static int inputs;
    if (L != NULL && inputs++ % FUZZ_INPUTS_PER_STATE == 0) {
        lua_close(L);
        L = NULL;
    }
    if (L == NULL)
        L = fuzz_open();
    if (fuzz_used.live > FUZZ_GARBAGE)
        lua_gc(L, LUA_GCCOLLECT);
    fuzz_used.peak = fuzz_used.live;
    return L;
}

static inline void fuzz_check(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

#endif
