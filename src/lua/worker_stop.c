/* Hooks that raise an error: see worker_stop.h.
 *
 * A hook belongs to one coroutine, and nobody tells which one runs; so it is set on
 * all that are known. The first error takes all hooks off, so that what it closes and
 * whoever catches it have a while to tidy up; those that come later stay. Count
 * hooks only: a message handler in C is left alone. */
#include "lua/worker_stop.h"

#include "lua/state.h"
#include "lua/threads.h"

static struct {
    lua_State *runner, *main;
    volatile bool set, late, insist;
} stop;

static void fire(lua_State *L, lua_Debug *ar);

static void take_off(lua_State *L)
{
    if (lua_gethook(L) == fire)
        lua_sethook(L, NULL, 0, 0);
}

static void put_on(lua_State *L)
{
    lua_sethook(L, fire, LUA_MASKCOUNT, 1);
}

static void each(void (*visit)(lua_State *))
{
    visit(stop.main);
    visit(stop.runner);
    mp_threads_each(visit);
}

static void fire(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    if (!stop.insist)
        each(take_off);
    mp_error_new(L, stop.late ? "timeout" : "cancelled",
                 stop.late ? "the item ran too long" : "the item was cancelled");
    lua_error(L);
}

void mp_worker_stop_open(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    stop.main = lua_tothread(L, -1);
    lua_pop(L, 1);
    stop.runner = L;
    stop.set = false;
    mp_threads_watch(L);
}

void mp_worker_interrupt(void *ctx, bool late, bool insist)
{
    (void)ctx;
    stop.late = late;
    stop.insist = insist;
    stop.set = true;
    each(put_on);
}

void mp_worker_stop_clear(void)
{
    if (!stop.set)
        return;
    stop.set = false;
    each(take_off);
}
