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

const mp_roles mp_lua_roles = {.list = list, .shed = mp_session_abandon};
const mp_roles mp_host_roles = {.list = list, .own = true, .shed = mp_session_abandon};

int moonpool_worker_main(int argc, char **argv)
{
    return mp_role_main(argc, argv, &mp_lua_roles);
}
