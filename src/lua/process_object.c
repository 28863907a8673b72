/* Processes of the script's own (lua/moonpool/process.lua): the fork, and what can be asked
 * of a child.
 *
 * Invariant: behind the fork the child has all that it needs, so that nothing that can
 * raise stands between it and its function, and no error of its reaches the frames that it
 * has inherited. */
#include "lua/fresh.h"
#include "lua/message.h"
#include "lua/worker_state.h"

#include "base/fd.h"
#include "process/forkserver.h"
#include "process/offspring.h"
#include "process/pidfd.h"
#include "shm/session.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define META "moonpool.process"

/* The child, protected: its function at 1. */
static int run(lua_State *L)
{
    mp_child_furnish(L);
    lua_call(L, 0, 1);
    return 1;
}

static int be_the_child(void *ctx)
{
    lua_State *L = ctx;
    if (lua_pcall(L, 1, 1, 0) != LUA_OK)
        return EXIT_FAILURE;
    int code = lua_isinteger(L, -1) ? (int)lua_tointeger(L, -1) : EXIT_FAILURE;
    if (code == 0)
        mp_session_leave();
    return code;
}

typedef struct child {
    mp_offspring process;
    uint32_t birth; /* of mp_session_birth, until it has ended */
} child;

static child *check_child(lua_State *L)
{
    return luaL_checkudata(L, 1, META);
}

static mp_offspring *check(lua_State *L)
{
    return &check_child(L)->process;
}

/* core.unborn(): a child that core.bear may bear */
static int process_unborn(lua_State *L)
{
    child *c = lua_newuserdatauv(L, sizeof *c, 0);
    *c = (child){.process = {.process = MP_LAUNCHED_NONE, .gone = true}};
    luaL_setmetatable(L, META);
    return 1;
}

/* core.bear(child, tied, f): forks; the child calls f on a stack of its own and ends with the
 * integer that it returns as its exit code; one that is tied ends with its parent */
static int process_bear(lua_State *L)
{
    mp_error error = {0};
    child *c = check_child(L);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_State *own = lua_newthread(L);
    lua_pushcfunction(own, run);
    lua_pushvalue(L, 3);
    lua_xmove(L, own, 1);
    uint32_t before = mp_session_birth();
    int status = mp_offspring_start(&c->process, lua_toboolean(L, 2), be_the_child, own, &error);
    c->birth = mp_session_birth() != before ? mp_session_birth() : 0;
    if (status < 0) {
        mp_session_stillborn(c->birth);
        mp_raise_system(L, &error);
    }
    return 0;
}

static void put_parent(mp_letter *letter, int *pidfd)
{
    *pidfd = mp_pidfd_open(getpid());
    mp_letter_put_number(letter, (uint64_t)getpid());
    mp_letter_put_fd(letter, *pidfd);
}

/* core.tell(told): what is to be said to a process that is no fork of this one, which is what
 * `told` says then (process.become) */
static int process_tell(lua_State *L)
{
    lua_settop(L, 1);
    mp_message_encode(L, 1, 1, mp_message_buffer(L), 0);
    return 1;
}

/* core.launch(child, tied, method, what core.tell gave): such a process */
static int process_launch(lua_State *L)
{
    int own_pidfd;
    mp_error error = {0};
    mp_letter letter;
    child *c = check_child(L);
    enum mp_start_method method = (enum mp_start_method)luaL_checkinteger(L, 3);
    const mp_buffer *told = lua_touserdata(L, 4);
    mp_fresh_hold(L, method);
    mp_letter_init(&letter);
    mp_session_send(&letter);
    mp_fresh_settings(L, &letter);
    put_parent(&letter, &own_pidfd);
    mp_letter_put_text(&letter, told->data, told->len);
    int status = mp_offspring_launch(&c->process, lua_toboolean(L, 2), method, &mp_lua_roles,
                                     MP_PROCESS_ROLE, &letter, &error);
    mp_fd_close(&own_pidfd);
    mp_letter_free(&letter);
    return status < 0 ? mp_raise_system(L, &error) : 0;
}

/* core.ended(child): whether it has; its exit code, or minus the signal that killed it, or nil
 * where nobody knows */
static int process_ended(lua_State *L)
{
    child *c = check_child(L);
    mp_offspring *o = &c->process;
    bool gone = mp_offspring_gone(o);
    lua_pushboolean(L, gone);
    if (!gone)
        return 1;
    mp_session_stillborn(c->birth);
    c->birth = 0;
    if (o->status < 0)
        return 1;
    lua_pushinteger(L, WIFSIGNALED(o->status) ? -WTERMSIG(o->status) : WEXITSTATUS(o->status));
    return 2;
}

static int process_signal(lua_State *L)
{
    mp_offspring_signal(check(L), (int)luaL_checkinteger(L, 2));
    return 0;
}

/* core.sentinel(child): its pid, and the descriptor that becomes readable when it ends */
static int process_sentinel(lua_State *L)
{
    const mp_offspring *o = check(L);
    lua_pushinteger(L, o->process.pid);
    lua_pushinteger(L, o->process.pidfd);
    return 2;
}

/* core.watch_parent(pid): a descriptor that becomes readable when the parent ends; nil where this
 * pid is not the parent's any more */
static int process_watch_parent(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, MP_PARENT_FD) != LUA_TNIL)
        return 1;
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    int fd = mp_pidfd_open(pid);
    if (getppid() != pid)
        mp_fd_close(&fd);
    if (fd >= 0)
        lua_pushinteger(L, fd);
    else
        lua_pushnil(L);
    return 1;
}

static int process_close(lua_State *L)
{
    mp_offspring_close(check(L));
    return 0;
}

/* core.start_method(asked, to_do): the number of the way by which a process would be made now;
 * asked 0: the default one, whatever that is. Raises where it cannot be. */
static int process_start_method(lua_State *L)
{
    enum mp_start_method asked = mp_fresh_asked(L, luaL_checkinteger(L, 1));
    lua_pushinteger(L, mp_fresh_choose(L, asked, luaL_checkstring(L, 2)));
    return 1;
}

/* core.set_start_method(n): the default one; without n: the one that was set, 0: none */
static int process_set_start_method(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushinteger(L, mp_fresh_asked(L, MP_START_DEFAULT));
        return 1;
    }
    lua_pushinteger(L, luaL_checkinteger(L, 1));
    lua_setfield(L, LUA_REGISTRYINDEX, MP_DEFAULT_METHOD);
    return 0;
}

/* core.start_forkserver() */
static int process_start_forkserver(lua_State *L)
{
    mp_error error = {0};
    mp_fresh_hold(L, MP_START_FORKSERVER);
    return mp_forkserver_start(&mp_lua_roles, &error) < 0 ? mp_raise_system(L, &error) : 0;
}

void mp_open_process(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"unborn", process_unborn},
        {"bear", process_bear},
        {"tell", process_tell},
        {"launch", process_launch},
        {"start_method", process_start_method},
        {"set_start_method", process_set_start_method},
        {"start_forkserver", process_start_forkserver},
        {"ended", process_ended},
        {"signal", process_signal},
        {"sentinel", process_sentinel},
        {"leave", process_close},
        {"watch_parent", process_watch_parent},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, META);
    lua_pushcfunction(L, process_close);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
