/* What hosts call before they have a pool, in the library that knows handlers only. */
#include "host/inner.h"
#include "host/roles.h"

#include "process/forkserver.h"
#include "process/server.h"

#include <stdatomic.h>

static const mp_role list[] = {
    {MP_HOST_ROLE, mp_host_play}, {MP_FORKSERVER_ROLE, mp_server_play}, {NULL, NULL}};

const mp_roles mp_host_roles = {.list = list, .own = true};

int moonpool_worker_main(int argc, char **argv)
{
    return mp_role_main(argc, argv, &mp_host_roles);
}

static _Atomic bool held;

int moonpool_forkserver_start(void)
{
    if (!atomic_exchange(&held, true))
        mp_forkserver_hold();
    return mp_forkserver_start(&mp_host_roles, NULL) < 0 ? MOONPOOL_ESYSTEM : MOONPOOL_OK;
}

void moonpool_forkserver_stop(void)
{
    if (atomic_exchange(&held, false))
        mp_forkserver_let_go();
    mp_forkserver_stop();
}
