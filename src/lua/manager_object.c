/* Managers (lua/moonpool/manager.lua): how clients find a server, and whether it lives. */
#include "lua/shared.h"
#include "lua/state.h"

#include <signal.h>

typedef struct manager {
    _Atomic uint32_t server; /* its name among the members, 0: not yet */
    uint32_t queue_index, queue_generation;
} manager;

static manager *check(lua_State *L)
{
    return mp_check_shared(L, 1, 1U << MP_SHARED_MANAGER, "Manager")->content;
}

/* core.manager_queue(manager, queue): before anybody else has it; core.manager_queue(manager):
 * index and generation of the queue of its requests */
static int manager_queue(lua_State *L)
{
    manager *m = check(L);
    if (lua_gettop(L) > 1) {
        const mp_shared *q = mp_check_shared(L, 2, 1U << MP_SHARED_SIMPLE_QUEUE, "Manager");
        m->queue_index = q->name.index;
        m->queue_generation = q->name.generation;
    }
    lua_pushinteger(L, m->queue_index);
    lua_pushinteger(L, m->queue_generation);
    return 2;
}

/* core.manager_serve(manager): this process is its server: what it has it has for others, and a
 * Ctrl-C is for others, too */
static int manager_serve(lua_State *L)
{
    manager *m = check(L);
    uint32_t self = mp_shared_self(L);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &ignore, NULL);
    mp_session_stand_by();
    mp_store_release(&m->server, self);
    return 0;
}

/* core.manager_lives(manager): nil while there is no server yet */
static int manager_lives(lua_State *L)
{
    uint32_t server = mp_load_acquire(&check(L)->server);
    mp_shared_self(L);
    if (server == 0)
        lua_pushnil(L);
    else
        lua_pushboolean(L, mp_session_alive(server));
    return 1;
}

static const char counted = 0; /* the registry's key of what is called */

static void call_counted(lua_State *L, lua_Debug *at)
{
    (void)at;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &counted);
    lua_call(L, 0, 0);
}

/* core.on_count(f, n): f is called behind each n instructions of this coroutine;
 * core.on_count(nil): no longer */
static int on_count(lua_State *L)
{
    bool on = !lua_isnil(L, 1);
    int n = (int)luaL_optinteger(L, 2, 0);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &counted);
    lua_sethook(L, on ? call_counted : NULL, on ? LUA_MASKCOUNT : 0, n);
    return 0;
}

void mp_open_manager(lua_State *L)
{
    static const luaL_Reg functions[] = {{"manager_queue", manager_queue},
                                         {"manager_serve", manager_serve},
                                         {"manager_lives", manager_lives},
                                         {"on_count", on_count},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
