/* require "spec.crash": how C modules end a process. segv(), abort(), quit(code) (_exit),
 * overflow() (of the stack), raise(signal); kill(pid, signal)
 * another. */
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int luaopen_spec_crash(lua_State *L);

static int crash_segv(lua_State *L)
{
    (void)L;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return 0;
}

static int crash_abort(lua_State *L)
{
    (void)L;
    abort();
}

static int crash_quit(lua_State *L)
{
    _exit((int)luaL_checkinteger(L, 1));
}

/* Deeper for ever; the volatile store keeps it from becoming a loop. */
static long dig(volatile char *above, long depth)
{
    volatile char frame[4096];
    frame[0] = above[0];
    return depth < 0 ? 0 : dig(frame, depth + 1) + frame[0];
}

static int crash_overflow(lua_State *L)
{
    volatile char first = 1;
    lua_pushinteger(L, dig(&first, 0));
    return 1;
}

static int crash_kill(lua_State *L)
{
    kill((pid_t)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2));
    return 0;
}

static int crash_raise(lua_State *L)
{
    raise((int)luaL_checkinteger(L, 1));
    return 0;
}

__attribute__((visibility("default"))) int luaopen_spec_crash(lua_State *L)
{
    static const luaL_Reg functions[] = {{"segv", crash_segv},
                                         {"abort", crash_abort},
                                         {"quit", crash_quit},
                                         {"overflow", crash_overflow},
                                         {"raise", crash_raise},
                                         {"kill", crash_kill},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
