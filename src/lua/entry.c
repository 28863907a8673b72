/* What a process of the library can be that knows Lua, too. */
#include "host/roles.h"
#include "lua/fresh.h"
#include "moonpool_lua.h"

#include "process/server.h"
#include "shm/session.h"

static const mp_role list[] = {{MP_POOL_ROLE, mp_fresh_play_pool},
                               {MP_PROCESS_ROLE, mp_fresh_play_process},
                               {MP_HOST_ROLE, mp_host_play},
                               {MP_FORKSERVER_ROLE, mp_server_play},
                               {NULL, NULL}};

const mp_roles mp_lua_roles = {
    .list = list, .entry = "moonpool_lua_serve", .shed = mp_session_abandon};
const mp_roles mp_host_roles = {.list = list, .own = true, .shed = mp_session_abandon};

/* What a stock interpreter calls that was started for a role. */
MOONPOOL_API int moonpool_lua_serve(lua_State *L);

int moonpool_lua_serve(lua_State *L)
{
    mp_role_begin_here(&mp_lua_roles);
    return luaL_error(L, "this is for processes that Moonpool has started");
}

int moonpool_worker_main(int argc, char **argv)
{
    return mp_role_main(argc, argv, &mp_lua_roles);
}
