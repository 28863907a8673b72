/* require "spec.signals": what C modules do to a process. block() blocks every signal;
 * blocked() counts those that are; alarm(seconds) starts an interval timer, running() says
 * whether it runs; sleep(seconds) sleeps, whatever comes; ignore_children() gives SIGCHLD
 * no hearing, so that none becomes a zombie. */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

int luaopen_spec_signals(lua_State *L);

static int block(lua_State *L)
{
    sigset_t all;
    (void)L;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    return 0;
}

static int blocked(lua_State *L)
{
    sigset_t now;
    lua_Integer n = 0;
    sigprocmask(SIG_BLOCK, NULL, &now);
    for (int i = 1; i < 32; i++)
        n += sigismember(&now, i) == 1;
    lua_pushinteger(L, n);
    return 1;
}

static int start_alarm(lua_State *L)
{
    struct itimerval when = {.it_value.tv_sec = (time_t)luaL_checkinteger(L, 1)};
    setitimer(ITIMER_REAL, &when, NULL);
    return 0;
}

static int running(lua_State *L)
{
    struct itimerval left;
    getitimer(ITIMER_REAL, &left);
    lua_pushboolean(L, left.it_value.tv_sec != 0 || left.it_value.tv_usec != 0);
    return 1;
}

static int sleep_through(lua_State *L)
{
    struct timespec left = {.tv_sec = (time_t)luaL_checkinteger(L, 1)};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
    return 0;
}

static int ignore_children(lua_State *L)
{
    (void)L;
    signal(SIGCHLD, SIG_IGN);
    return 0;
}

__attribute__((visibility("default"))) int luaopen_spec_signals(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"block", block},     {"blocked", blocked},     {"alarm", start_alarm},
        {"running", running}, {"sleep", sleep_through}, {"ignore_children", ignore_children},
        {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
