/* The program's side of the prompt: see prompt.h.
 *
 * Signals are only noted, and a pipe wakes whoever polls: nothing is lost between a look at the
 * notes and the poll. While Lua code is evaluated they do what they do elsewhere, SIGINT what
 * interrupt.c makes of it; those noted just before are given then. In the end all is as it was
 * found. */
#include "cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "cli/interrupt.h"

enum { NOTED = 6, AT_ONCE = 3 };

static const int noted[NOTED] = {SIGINT, SIGWINCH, SIGCONT, SIGTERM, SIGTSTP, SIGQUIT};
static const char *const names[NOTED] = {"interrupt", "resize", "continue",
                                         "terminate", "stop",   "quit"};
static volatile sig_atomic_t came[NOTED];
static struct sigaction before[NOTED];
static int wake[2] = {-1, -1};
static bool watching;
static pid_t home; /* the process that watches */

/* A process forked meanwhile does what is usual, and is not the one to be woken. */
static void note(int number)
{
    int saved = errno;
    if (getpid() != home) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    for (int i = 0; i < NOTED; i++)
        if (noted[i] == number)
            came[i] = 1;
    ssize_t ignored = write(wake[1], "", 1);
    (void)ignored;
    errno = saved;
}

/* watch(): from now on these signals are noted; the descriptor that is readable behind one */
static int watch(lua_State *L)
{
    if (wake[0] < 0 && pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0)
        return luaL_error(L, "a pipe is refused");
    if (!watching) {
        struct sigaction action = {.sa_handler = note};
        sigemptyset(&action.sa_mask);
        for (int i = 0; i < NOTED; i++)
            sigaction(noted[i], &action, &before[i]);
    }
    watching = true;
    home = getpid();
    lua_pushinteger(L, wake[0]);
    return 1;
}

/* unwatch(): they do again what they did before */
static int unwatch(lua_State *L)
{
    (void)L;
    for (int i = 0; watching && i < NOTED; i++)
        sigaction(noted[i], &before[i], NULL);
    watching = false;
    return 0;
}

/* signal(): the name of one that has come since it was asked for last, or nil */
static int next_signal(lua_State *L)
{
    char bytes[64];
    while (wake[0] >= 0 && read(wake[0], bytes, sizeof bytes) > 0) {
    }
    for (int i = 0; i < NOTED; i++) {
        if (came[i]) {
            came[i] = 0;
            lua_pushstring(L, names[i]);
            return 1;
        }
    }
    return 0;
}

/* finish(name): ends the process as the signal of that name does */
static int finish(lua_State *L)
{
    int number = strcmp(luaL_checkstring(L, 1), "quit") == 0 ? SIGQUIT : SIGTERM;
    signal(number, SIG_DFL);
    raise(number);
    return luaL_error(L, "terminated");
}

/* stop(): as Ctrl-Z does where no line is edited */
static int stop(lua_State *L)
{
    (void)L;
    raise(SIGSTOP);
    return 0;
}

/* Those that end or stop the program as elsewhere, or noted. */
static void set_aside(bool aside)
{
    struct sigaction action = {.sa_handler = note};
    sigemptyset(&action.sa_mask);
    for (int i = AT_ONCE; watching && i < NOTED; i++)
        sigaction(noted[i], aside ? &before[i] : &action, NULL);
}

static void give_noted(void)
{
    for (int i = 0; i < NOTED; i++) {
        if (came[i] && noted[i] != SIGWINCH && noted[i] != SIGCONT) {
            came[i] = 0;
            raise(noted[i]);
        }
    }
}

/* call(f, handler): as xpcall; Ctrl-C interrupts it, however often */
static int call(lua_State *L)
{
    lua_settop(L, 2);
    lua_insert(L, 1);
    struct sigaction outer;
    mp_interrupt_begin(L, &outer, true);
    set_aside(true);
    give_noted();
    int status = lua_pcall(L, 0, LUA_MULTRET, 1);
    set_aside(false);
    mp_interrupt_end(&outer);
    lua_pushboolean(L, status == LUA_OK);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* explain(message): with a coroutine's traceback where Ctrl-C hit one */
static int explain(lua_State *L)
{
    lua_settop(L, 1);
    mp_interrupt_explain(L);
    return 1;
}

/* interrupted(): the traceback of where Ctrl-C has hit what is or was called last, else nil */
static int interrupted(lua_State *L)
{
    mp_interrupt_where(L);
    return 1;
}

/* is_terminal(): input and output are one */
static int is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
    return 1;
}

void mp_prompt_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"watch", watch},
        {"unwatch", unwatch},
        {"signal", next_signal},
        {"finish", finish},
        {"suspend", stop},
        {"call", call},
        {"explain", explain},
        {"interrupted", interrupted},
        {"is_terminal", is_terminal},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    mp_history_open(L);
    mp_line_open(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "moonpool.prompt");
}
