/* Time, sleep, processes: what scripts ask of the system. */
#include "lua/fresh.h"
#include "lua/state.h"
#include "lua/worker_state.h"
#include "moonpool_lua.h"

#include "base/clock.h"
#include "base/processors.h"

#include <glob.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* core.time(): seconds since 1970 */
static int system_time(lua_State *L)
{
    lua_pushnumber(L, mp_date());
    return 1;
}

static int monotonic(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)mp_now() / 1e9);
    return 1;
}

int64_t mp_at_deadline(lua_State *L, int index)
{
    lua_Number seconds = luaL_optnumber(L, index, HUGE_VAL);
    if (seconds < 0)
        return 0;
    return seconds < (lua_Number)MP_NEVER / 1e9 ? (int64_t)(seconds * 1e9) : MP_NEVER;
}

bool mp_hook_waits(lua_State *L)
{
    if (lua_gethook(L) != NULL)
        return true;
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    lua_State *main = lua_tothread(L, -1);
    lua_pop(L, 1);
    if (main == NULL || lua_gethook(main) == NULL)
        return false;
    lua_sethook(L, lua_gethook(main), lua_gethookmask(main), lua_gethookcount(main));
    return true;
}

void mp_block_interrupts(sigset_t *before)
{
    sigset_t interrupts;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    sigaddset(&interrupts, SIGURG);
    pthread_sigmask(SIG_BLOCK, &interrupts, before);
}

bool mp_sleep_on(lua_State *L, struct pollfd *fds, unsigned long n, int64_t deadline)
{
    int64_t left = deadline - mp_now();
    sigset_t before;
    mp_block_interrupts(&before);
    int64_t most = mp_hook_waits(L) ? MP_HOOK_PAUSE_NS : MP_NEVER;
    left = left < 0 ? 0 : left > most ? most : left;
    struct timespec t = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    bool woken = ppoll(fds, n, &t, &before) < 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return mp_hook_waits(L) && woken;
}

/* core.nap(deadline): sleeps until then (monotonic seconds): true; false if it was woken */
static int nap(lua_State *L)
{
    int64_t deadline = mp_at_deadline(L, 1);
    mp_sleep_on(L, NULL, 0, deadline);
    lua_pushboolean(L, mp_now() >= deadline);
    return 1;
}

/* core.sleep_on(descriptors, deadline or nil): sleeps until one of those in the list is readable,
 * until then, or until it is woken: true where that was by a signal for which a hook is to run */
static int nap_on(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Unsigned n = lua_rawlen(L, 1);
    struct pollfd *fds = lua_newuserdatauv(L, n * sizeof *fds, 0);
    for (lua_Unsigned i = 0; i < n; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        fds[i] = (struct pollfd){.fd = (int)luaL_checkinteger(L, -1), .events = POLLIN};
        lua_pop(L, 1);
    }
    lua_pushboolean(L, mp_sleep_on(L, fds, n, mp_at_deadline(L, 2)));
    return 1;
}

/* core.readable(descriptor): whether it is, or has come to its end, now */
static int readable(lua_State *L)
{
    struct pollfd p = {.fd = (int)luaL_checkinteger(L, 1), .events = POLLIN};
    lua_pushboolean(L, poll(&p, 1, 0) > 0);
    return 1;
}

/* core.undisturbed(f, ...): calls f with hooks off and interrupts held back, so that
 * neither can end it half-way; both come behind it. f is short, runs no code of a user's
 * and does not yield. */
static int undisturbed(lua_State *L)
{
    sigset_t before;
    mp_block_interrupts(&before);
    lua_Hook hook = lua_gethook(L);
    int mask = lua_gethookmask(L), count = lua_gethookcount(L);
    lua_sethook(L, NULL, 0, 0);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    lua_sethook(L, hook, mask, count);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

static int put_back(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, 1);
    return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) - 3 : lua_error(L);
}

/* core.during(t, name, f, ...): f(...), which may yield, with t[name] true as long as it lasts;
 * then it is what it was, for here no hook comes in between, as it may in a __close */
static int during(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, 2);
    lua_rawget(L, 1);
    lua_insert(L, 3);
    lua_pushvalue(L, 2);
    lua_pushboolean(L, 1);
    lua_rawset(L, 1);
    return put_back(L, lua_pcallk(L, lua_gettop(L) - 4, LUA_MULTRET, 0, 0, put_back), 0);
}

/* core.end_by(signal): ends this process as if nobody had caught that signal */
static int end_by(lua_State *L)
{
    int number = (int)luaL_checkinteger(L, 1);
    sigset_t set;
    signal(number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    return 0;
}

static int pid(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

/* core.host_name(): this machine's */
static int host_name(lua_State *L)
{
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    lua_pushstring(L, name);
    return 1;
}

/* core.worker(): nil, or this worker's number, the pid of the pool's maker, and in a worker that is
 * no fork that one's name */
static int worker(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, MP_WORKER_SEAT) == LUA_TNIL)
        return 1;
    lua_getfield(L, LUA_REGISTRYINDEX, MP_WORKER_HOST);
    lua_getfield(L, LUA_REGISTRYINDEX, MP_MAKER_NAME);
    return 3;
}

/* Pushes the pid of who made this process, which is no fork of it, while that lives. */
static bool made_by(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, MP_PARENT_FD) == LUA_TNIL)
        return false;
    struct pollfd p = {.fd = (int)lua_tointeger(L, -1), .events = POLLIN};
    return poll(&p, 1, 0) == 0 && lua_getfield(L, LUA_REGISTRYINDEX, MP_PARENT) != LUA_TNIL;
}

static int parent_pid(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, MP_WORKER_HOST) != LUA_TNIL || made_by(L))
        return 1;
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

/* core.glob(pattern): the paths that match, as the shell has them */
static int match_paths(lua_State *L)
{
    glob_t found;
    const char *pattern = luaL_checkstring(L, 1);
    int status = glob(pattern, GLOB_BRACE | GLOB_NOSORT, NULL, &found);
    if (status == GLOB_NOSPACE)
        return luaL_error(L, "not enough memory");
    lua_newtable(L);
    for (size_t i = 0; status == 0 && i < found.gl_pathc; i++) {
        lua_pushstring(L, found.gl_pathv[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    globfree(&found);
    return 1;
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
        {"sleep_on", nap_on},
        {"readable", readable},
        {"undisturbed", undisturbed},
        {"during", during},
        {"end_by", end_by},
        {"pid", pid},
        {"host_name", host_name},
        {"parent_pid", parent_pid},
        {"worker", worker},
        {"cpu_count", cpu_count},
        {"process_cpu_count", process_cpu_count},
        {"default_processes", default_processes},
        {"where", where},
        {"glob", match_paths},
        {"error_meta", error_meta},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, MOONPOOL_VERSION);
    lua_setfield(L, -2, "version");
}
