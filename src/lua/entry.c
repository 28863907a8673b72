/* What hosts call before they have a pool, in the library that knows Lua, too; and what a process
 * of that library can be. */
#include "host/roles.h"
#include "lua/fresh.h"
#include "moonpool_lua.h"

#include "process/forkserver.h"
#include "process/server.h"
#include "shm/session.h"

#include <stdatomic.h>

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

static _Atomic bool held;

int moonpool_forkserver_start(void)
{
    if (!atomic_exchange(&held, true))
        mp_forkserver_hold();
    return mp_forkserver_start(&mp_lua_roles, NULL) < 0 ? MOONPOOL_ESYSTEM : MOONPOOL_OK;
}

void moonpool_forkserver_stop(void)
{
    if (atomic_exchange(&held, false))
        mp_forkserver_let_go();
    mp_forkserver_stop();
}
