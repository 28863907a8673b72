/* require "spec.crash": what C modules do to a process. segv(), abort(), quit(code) (_exit),
 * overflow() (of the stack), raise(signal) end it; kill(pid, signal), close(descriptor),
 * fork() (0 in the child), reap() (every child that has ended: how many) and
 * ignore_children() (SIGCHLD). */
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
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

static int crash_close(lua_State *L)
{
    close((int)luaL_checkinteger(L, 1));
    return 0;
}

static int crash_fork(lua_State *L)
{
    lua_pushinteger(L, fork());
    return 1;
}

static int crash_reap(lua_State *L)
{
    lua_Integer n = 0;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        n++;
    lua_pushinteger(L, n);
    return 1;
}

static int crash_ignore_children(lua_State *L)
{
    (void)L;
    signal(SIGCHLD, SIG_IGN);
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
                                         {"close", crash_close},
                                         {"fork", crash_fork},
                                         {"reap", crash_reap},
                                         {"ignore_children", crash_ignore_children},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
