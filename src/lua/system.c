/* Time, sleep, processes: what scripts ask of the system. */
#include "lua/state.h"
#include "lua/worker_state.h"
#include "moonpool_lua.h"

#include "base/clock.h"
#include "base/processors.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* core.time(): seconds since 1970; the only use of the clock that jumps */
static int system_time(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
    return 1;
}

static int monotonic(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)mp_now() / 1e9);
    return 1;
}

/* core.nap(deadline): sleeps until then (monotonic seconds); false if a signal
 * came first */
static int nap(lua_State *L)
{
    lua_Number deadline = luaL_checknumber(L, 1);
    struct timespec until = {.tv_sec = (time_t)deadline};
    until.tv_nsec = (long)((deadline - (lua_Number)until.tv_sec) * 1e9);
    lua_pushboolean(L, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != EINTR);
    return 1;
}

static int pid(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

/* core.worker(): nil, or this worker's number and the pid of the pool's maker */
static int worker(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, MP_WORKER_SEAT) == LUA_TNIL)
        return 1;
    lua_getfield(L, LUA_REGISTRYINDEX, MP_WORKER_HOST);
    return 2;
}

static int parent_pid(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, MP_WORKER_HOST) == LUA_TNIL)
        lua_pushinteger(L, getppid());
    return 1;
}

static int cpu_count(lua_State *L)
{
    lua_pushinteger(L, mp_processors_online());
    return 1;
}

static int process_cpu_count(lua_State *L)
{
    lua_pushinteger(L, mp_processors_usable("/"));
    return 1;
}

/* core.default_processes(): what the program was told, else nil */
static int default_processes(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, MP_DEFAULT_PROCESSES);
    return 1;
}

/* core.where(): "script.lua:12", the innermost line that is not the library's own */
static int where(lua_State *L)
{
    lua_Debug at;
    for (int level = 1; lua_getstack(L, level, &at) != 0; level++) {
        lua_getinfo(L, "Sl", &at);
        if (at.currentline > 0 && strncmp(at.source, "@moonpool/", 10) != 0) {
            lua_pushfstring(L, "%s:%d", at.short_src, at.currentline);
            return 1;
        }
    }
    return 0;
}

static int error_meta(lua_State *L)
{
    luaL_getmetatable(L, MP_ERROR_META);
    return 1;
}

void mp_open_system(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"time", system_time},
        {"monotonic", monotonic},
        {"nap", nap},
        {"pid", pid},
        {"parent_pid", parent_pid},
        {"worker", worker},
        {"cpu_count", cpu_count},
        {"process_cpu_count", process_cpu_count},
        {"default_processes", default_processes},
        {"where", where},
        {"error_meta", error_meta},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, MOONPOOL_VERSION);
    lua_setfield(L, -2, "version");
}
