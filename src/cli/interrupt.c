/* Ctrl-C.
 *
 * The handler does the one thing that Lua allows in a handler: it sets a hook.
 * A hook belongs to one coroutine, and none can be asked which of them runs;
 * so it is set on all (threads.h), and fires at the next instruction, call or
 * return of whichever that is. There it is taken off all of them and raises an
 * error, once. A coroutine made between the two inherits the hook. C functions
 * that block are cut short by the signal (EINTR), and the hook fires as they
 * return.
 *
 * The error unwinds as any other, so that <close> variables are closed. Two
 * things keep a script from going on as if nothing had happened:
 *  - coroutine.resume passes the interrupt on (as coroutine.wrap does by
 *    itself) where it would return it: a coroutine is no place to end it;
 *  - pcall and xpcall catch it, so that what a script does behind them to clean
 *    up is done; but where it then comes round to a pcall that has caught it,
 *    the interrupt is raised again: a loop around a pcall ends.
 * For this the program puts functions of its own in the place of these three;
 * without an interrupt they do what Lua's do. */
#include "cli/interrupt.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "lua/threads.h"

static const char what[] = "interrupted!";
static const char own_chunks[] = "@moonpool/";
static const char caught[] = "moonpool.interrupt.caught"; /* in the registry: function -> line */
static const char place[] = "moonpool.interrupt.place";   /* there: a coroutine's traceback */
static const char stack[] = "moonpool.interrupt.stack";   /* ... whose ever, at a prompt */

static lua_State *main_state;
static pthread_t main_thread;
static bool interrupted;           /* since mp_interrupt_begin */
static bool keeps_on;              /* a second SIGINT raises, too */
static volatile sig_atomic_t vain; /* SIGINTs since the hook was set, which has not fired */
static bool in_flight;             /* raised, and by no pcall caught so far */
static lua_CFunction stock_resume;

/* Whether that level is Lua code of the script's, and not of the library's own chunks. */
static bool is_scripts(lua_State *L, lua_Debug *ar)
{
    lua_getinfo(L, "Sl", ar);
    return ar->currentline > 0 && strncmp(ar->source, own_chunks, sizeof own_chunks - 1) != 0;
}

/* Pushes the place of the innermost function of the script's; "" where none runs. */
static void push_place(lua_State *L)
{
    lua_Debug ar;
    int level = 0;
    while (lua_getstack(L, level, &ar) && !is_scripts(L, &ar))
        level++;
    luaL_where(L, level);
}

static int raise_interrupt(lua_State *L)
{
    in_flight = true;
    push_place(L);
    lua_pushstring(L, what);
    lua_concat(L, 2);
    return lua_error(L);
}

/* Whether that error value is an interrupt's, perhaps with a place in front of
 * it and a traceback behind it. */
static bool tells_interrupt(lua_State *L, int index)
{
    if (!interrupted || lua_type(L, index) != LUA_TSTRING)
        return false;
    return strstr(lua_tostring(L, index), what) != NULL;
}

/* The hook. */

static void fire(lua_State *L, lua_Debug *ar);

static void disarm(lua_State *L)
{
    if (lua_gethook(L) == fire)
        lua_sethook(L, NULL, 0, 0);
}

static void arm(lua_State *L)
{
    lua_sethook(L, fire, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void fire(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    vain = 0;
    mp_threads_each(disarm);
    disarm(main_state);
    interrupted = true;
    if (L != main_state) {
        luaL_traceback(L, L, NULL, 0);
        lua_setfield(L, LUA_REGISTRYINDEX, place);
    }
    if (keeps_on) {
        luaL_traceback(L, L, NULL, 0);
        lua_setfield(L, LUA_REGISTRYINDEX, stack);
    }
    raise_interrupt(L);
}

/* Nothing ends a C function but its process. */
static void hint(void)
{
    static const char text[] =
        "\n(in a C function, which cannot be interrupted: Ctrl-\\ ends the program)\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
}

/* The handler. A signal may be given to any thread of the process; Lua's is
 * the one on which looking at its coroutines is safe. */
static void on_signal(int number)
{
    int saved = errno;
    if (pthread_equal(pthread_self(), main_thread)) {
        struct sigaction standard = {.sa_handler = SIG_DFL};
        if (!keeps_on)
            sigaction(number, &standard, NULL);
        if (++vain == 2 && keeps_on)
            hint();
        arm(main_state);
        mp_threads_each(arm);
    } else {
        pthread_kill(main_thread, number);
    }
    errno = saved;
}

/* The three functions that could hide an interrupt. */

/* Finds the function that called the running one, and where it stands: pushes
 * it and returns the line; pushes nothing and returns 0 where that is no Lua code. */
static int push_caller(lua_State *L)
{
    lua_Debug ar;
    if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "fl", &ar))
        return 0;
    if (ar.currentline > 0)
        return ar.currentline;
    lua_pop(L, 1);
    return 0;
}

static void note_caught(lua_State *L)
{
    int line = push_caller(L);
    if (line == 0)
        return;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, caught);
    lua_insert(L, -2);
    lua_pushinteger(L, line);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static void raise_if_round(lua_State *L)
{
    int line = push_caller(L);
    if (line == 0)
        return;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, caught);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    bool round = lua_tointeger(L, -1) == line;
    lua_pop(L, 2);
    if (round)
        raise_interrupt(L);
}

/* Lua's own continuation of a protected call that has yielded comes here, too;
 * `below` counts the values that lie under the results. */
static int settle(lua_State *L, int status, lua_KContext below)
{
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - (int)below;
    if (in_flight || tells_interrupt(L, -1))
        note_caught(L);
    in_flight = false;
    lua_pushboolean(L, false);
    lua_insert(L, -2);
    return 2;
}

static int guarded_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    if (interrupted)
        raise_if_round(L);
    lua_pushboolean(L, true);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, settle);
    return settle(L, status, 0);
}

static int guarded_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (interrupted)
        raise_if_round(L);
    lua_pushboolean(L, true);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2); /* function, handler, true, function, arguments */
    int status = lua_pcallk(L, lua_gettop(L) - 4, LUA_MULTRET, 2, 2, settle);
    return settle(L, status, 2);
}

/* As a coroutine that ends by an error under coroutine.wrap is closed, so here. */
static void close_coroutine(lua_State *L)
{
    lua_State *coroutine = lua_tothread(L, 1);
    if (!lua_checkstack(coroutine, 1))
        return;
    lua_pushvalue(L, -1);
    lua_xmove(L, coroutine, 1);
    lua_resetthread(coroutine);
    lua_settop(coroutine, 0);
}

static int guarded_resume(lua_State *L)
{
    int results = stock_resume(L);
    if (!interrupted || results != 2 || lua_toboolean(L, -2))
        return results;
    if (!in_flight && !tells_interrupt(L, -1))
        return results;
    close_coroutine(L);
    return lua_error(L);
}

static void guard(lua_State *L, const char *module, const char *name, lua_CFunction function)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, module);
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}

static lua_CFunction stock(lua_State *L, const char *module, const char *name)
{
    lua_getglobal(L, module);
    lua_getfield(L, -1, name);
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_pop(L, 2);
    return function;
}

void mp_interrupt_open(lua_State *L)
{
    main_state = L;
    main_thread = pthread_self();
    mp_threads_watch(L);
    stock_resume = stock(L, LUA_COLIBNAME, "resume");
    guard(L, LUA_COLIBNAME, "resume", guarded_resume);
    guard(L, LUA_GNAME, "pcall", guarded_pcall);
    guard(L, LUA_GNAME, "xpcall", guarded_xpcall);
}

/* The program around it. */

static void forget_interrupt(lua_State *L)
{
    const char *const fields[] = {caught, place, stack};
    for (int i = 0; i < 3; i++) {
        lua_pushnil(L);
        lua_setfield(L, LUA_REGISTRYINDEX, fields[i]);
    }
    interrupted = in_flight = false;
}

/* Without SA_RESTART, so that calls that block return to Lua. */
void mp_interrupt_begin(lua_State *L, struct sigaction *before, bool lasting)
{
    struct sigaction action = {.sa_handler = on_signal};
    if (interrupted)
        forget_interrupt(L);
    keeps_on = lasting;
    vain = 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, before);
}

void mp_interrupt_end(const struct sigaction *before)
{
    keeps_on = false;
    sigaction(SIGINT, before, NULL);
}

void mp_interrupt_where(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, stack);
}

void mp_interrupt_explain(lua_State *L)
{
    if (!tells_interrupt(L, -1))
        return;
    if (lua_getfield(L, LUA_REGISTRYINDEX, place) == LUA_TSTRING)
        lua_pushfstring(L, "%s\ncoroutine %s", lua_tostring(L, -2), lua_tostring(L, -1));
    else
        lua_pushvalue(L, -2);
    lua_replace(L, -3);
    lua_pop(L, 1);
}
