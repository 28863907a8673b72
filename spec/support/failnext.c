/* require "spec.failnext", loaded before everything by LD_PRELOAD: makes the n-th allocation of
 * this process fail, Lua's and C's alike.
 *
 *   failnext.arm(n [, count])   from the n-th on (from 1), `count` of them (default: all)
 *   failnext.disarm()           the number of allocations since arm, and whether one failed
 *
 * Only the thread that armed counts, none of the processes that it forks. calloc, malloc and
 * realloc; what frees or shrinks never fails. */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

int luaopen_spec_failnext(lua_State *L);

/* The C library's own, under the names that remain when malloc is taken. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
/* NOLINTEND(bugprone-reserved-identifier) */

static _Thread_local long long passed, first, last;
static _Thread_local bool armed;

static bool fails(void)
{
    if (!armed || ++passed < first || passed > last)
        return false;
    errno = ENOMEM;
    return true;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t nmemb, size_t size)
{
    return fails() ? NULL : __libc_calloc(nmemb, size);
}

__attribute__((visibility("default"))) void *realloc(void *ptr, size_t size)
{
    bool shrinks = ptr != NULL && size <= malloc_usable_size(ptr);
    return !shrinks && fails() ? NULL : __libc_realloc(ptr, size);
}

static void forget(void)
{
    armed = false;
}

static int arm(lua_State *L)
{
    static bool told;
    lua_Integer n = luaL_checkinteger(L, 1);
    lua_Integer count = luaL_optinteger(L, 2, LUA_MAXINTEGER - n);
    if (!told)
        pthread_atfork(NULL, NULL, forget);
    told = true;
    passed = 0;
    first = n;
    last = n + count - 1;
    armed = true;
    return 0;
}

static int disarm(lua_State *L)
{
    bool failed = armed && passed >= first;
    armed = false;
    lua_pushinteger(L, (lua_Integer)passed);
    lua_pushboolean(L, failed);
    return 2;
}

__attribute__((visibility("default"))) int luaopen_spec_failnext(lua_State *L)
{
    static const luaL_Reg functions[] = {{"arm", arm}, {"disarm", disarm}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
