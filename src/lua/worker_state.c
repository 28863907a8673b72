/* Making an inherited Lua state a worker's: see worker_state.h.
 *
 * The state is a copy of the host's: nothing in it may be closed, since its
 * objects (files with unwritten bytes, pools) are the host's still. */
#include "lua/worker_state.h"

#include "lua/state.h"

#include "codec/globals.h"
#include "process/output.h"
#include "process/veil.h"
#include "shm/board.h"
#include "shm/session.h"

#include <limits.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* The first full collection copies every page that it marks: let it come only
 * when as much again was allocated, this much at least. */
enum { COLLECTOR_KB = 1 << 10, COLLECTOR_MAX_KB = 1 << 20 };

/* os.exit([code]) of a child: its process ends, no state is closed. */
static int child_exit(lua_State *L)
{
    int code = 0;
    if (lua_isboolean(L, 1))
        code = lua_toboolean(L, 1) ? 0 : 1;
    else
        code = (int)luaL_optinteger(L, 1, 0);
    mp_output_flush();
    fflush(NULL);
    if (code == 0)
        mp_session_leave();
    _exit(code);
}

static void replace_exit(lua_State *L)
{
    if (mp_push_loaded(L, LUA_OSLIBNAME) == LUA_TTABLE) {
        lua_pushcfunction(L, child_exit);
        lua_setfield(L, -2, "exit");
    }
    lua_pop(L, 1);
}

void mp_replace_stream(lua_State *L, const char *name, FILE *old, FILE *now)
{
    int top = lua_gettop(L);
    if (old != now && mp_push_loaded(L, LUA_IOLIBNAME) == LUA_TTABLE &&
        lua_getfield(L, -1, name) == LUA_TUSERDATA) {
        luaL_Stream *stream = luaL_testudata(L, -1, LUA_FILEHANDLE);
        if (stream != NULL && stream->f == old)
            stream->f = now;
    }
    lua_settop(L, top);
}

/* What a child writes to a terminal stands above what is drawn there. */
static void veil_streams(lua_State *L)
{
    FILE *out = stdout, *err = stderr;
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
    mp_output_write_by(mp_board_write);
    mp_veil_on(mp_board_write);
    mp_replace_stream(L, "stdout", out, stdout);
    mp_replace_stream(L, "stderr", err, stderr);
}

static void hold_collector_back(lua_State *L)
{
    int kb = lua_gc(L, LUA_GCCOUNT);
    int allowance = kb < COLLECTOR_KB ? COLLECTOR_KB : kb;
    allowance = allowance > COLLECTOR_MAX_KB ? COLLECTOR_MAX_KB : allowance;
    lua_gc(L, LUA_GCSTEP, -allowance);
}

static void drop_hooks(lua_State *L)
{
    lua_sethook(L, NULL, 0, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    lua_sethook(lua_tothread(L, -1), NULL, 0, 0);
    lua_pop(L, 1);
}

void mp_worker_furnish(lua_State *L, const mp_birth *birth)
{
    FILE *old = stdout;
    mp_error error = {0};
    drop_hooks(L);
    hold_collector_back(L);
    lua_pushinteger(L, (lua_Integer)birth->seat + 1);
    lua_setfield(L, LUA_REGISTRYINDEX, MP_WORKER_SEAT);
    lua_pushinteger(L, birth->host_pid);
    lua_setfield(L, LUA_REGISTRYINDEX, MP_WORKER_HOST);
    if (mp_output_install(birth->output, NULL, NULL, &error) < 0)
        mp_raise_system(L, &error);
    mp_replace_stream(L, "stdout", old, stdout);
    veil_streams(L);
    replace_exit(L);
    mp_globals_begin(L);
}

static void forget_worker(lua_State *L)
{
    static const char *const fields[] = {MP_WORKER_SEAT, MP_WORKER_HOST, MP_WORKER_CONTEXT,
                                         MP_WORKER_POOL};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        lua_pushnil(L);
        lua_setfield(L, LUA_REGISTRYINDEX, fields[i]);
    }
}

/* They were held back around the fork. */
static void admit_interrupts(void)
{
    sigset_t interrupts;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    sigaddset(&interrupts, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &interrupts, NULL);
}

void mp_child_furnish(lua_State *L)
{
    drop_hooks(L);
    hold_collector_back(L);
    forget_worker(L);
    if (!mp_output_detach())
        setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    veil_streams(L);
    replace_exit(L);
    admit_interrupts();
}

/* Whether the program is one whose C functions are known: they leave signals and timers alone. */
static bool is_interpreter;

static void look_at_program(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return;
    path[n] = '\0';
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    is_interpreter = strcmp(name, "moonpool") == 0 || strncmp(name, "lua", 3) == 0;
}

static void prepare(void)
{
    look_at_program();
    mp_random_prepare();
}

void mp_worker_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare);
}

static bool is_own(const char *path)
{
    static const char name[] = "moonpool.so";
    size_t length = strlen(path);
    return length >= sizeof name - 1 && strcmp(path + length - (sizeof name - 1), name) == 0;
}

int mp_worker_push_libraries(lua_State *L)
{
    int own = is_interpreter ? 0 : -1;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "_CLIBS"); /* Lua's package library keeps it */
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
        if (own >= 0 && lua_type(L, -2) == LUA_TSTRING && is_own(lua_tostring(L, -2)))
            own++;
    return own;
}

void mp_worker_reset(void)
{
    static const struct itimerval off;
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    setitimer(ITIMER_REAL, &off, NULL);
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    setitimer(ITIMER_PROF, &off, NULL);
}
