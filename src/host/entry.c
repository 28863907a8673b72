/* What a process of the library can be that knows handlers only. */
#include "host/inner.h"
#include "host/roles.h"

#include "process/server.h"

static const mp_role list[] = {
    {MP_HOST_ROLE, mp_host_play}, {MP_FORKSERVER_ROLE, mp_server_play}, {NULL, NULL}};

const mp_roles mp_host_roles = {.list = list, .own = true};

int moonpool_worker_main(int argc, char **argv)
{
    return mp_role_main(argc, argv, &mp_host_roles);
}
