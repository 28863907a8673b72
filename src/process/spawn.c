/* The program that "spawn" starts: see launch.h. */
#include "process/launch.h"

#include "base/failpoint.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static const char anchor[] = "in this library";

/* ---- where it is ---- */

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* Cuts the last part of the path off; false where there is none. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return false;
    *slash = '\0';
    return true;
}

/* Beside the library, as in a build; or in `bin` of a folder above it, as where it is installed. */
static bool find_near_library(char *path, size_t room)
{
    char folder[PATH_MAX];
    Dl_info info;
    if (dladdr((const void *)anchor, &info) == 0 || info.dli_fname == NULL ||
        realpath(info.dli_fname, folder) == NULL)
        return false;
    for (bool beside = true; go_up(folder); beside = false) {
        snprintf(path, room, beside ? "%s/moonpool" : "%s/bin/moonpool", folder);
        if (is_program(path))
            return true;
    }
    return false;
}

static bool find_in_path(char *path, size_t room)
{
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        size_t n = strcspn(at, ":");
        snprintf(path, room, "%.*s/moonpool", (int)n, at);
        if (n > 0 && is_program(path))
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

static int find_program(char *path, size_t room, const mp_roles *roles, mp_error *error)
{
    if (mp_role_has_main()) {
        snprintf(path, room, "%s", mp_role_program());
        return 0;
    }
    if (roles->own)
        return mp_fail_plainly(error, -ENOEXEC,
                               "start method \"spawn\": this program's main does not call "
                               "moonpool_worker_main");
    if (find_near_library(path, room) || find_in_path(path, room))
        return 0;
    return mp_fail_plainly(
        error, -ENOENT,
        "start method \"spawn\": there is no program `moonpool` near the library, nor "
        "in PATH");
}

/* ---- its start ---- */

static int prepare_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all;
    sigfillset(&all);
    int code = posix_spawnattr_setsigmask(attributes, &all);
    if (code == 0)
        code = posix_spawnattr_setsigdefault(attributes, &all);
    return code == 0 ? posix_spawnattr_setflags(attributes,
                                                POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)
                     : code;
}

static int prepare_files(posix_spawn_file_actions_t *files, int socket)
{
    int code = posix_spawn_file_actions_adddup2(files, socket, MP_ROLE_SOCKET);
    return code == 0 ? posix_spawn_file_actions_addclosefrom_np(files, MP_ROLE_SOCKET + 1) : code;
}

static int start(pid_t *pid, const char *path, int socket)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    char *const argv[] = {(char *)(uintptr_t) "moonpool", (char *)(uintptr_t)MP_ROLE_ARGUMENT,
                          NULL};
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&files);
    int code = MP_FAILPOINT_ERROR("spawn.start") ? EAGAIN : prepare_attributes(&attributes);
    if (code == 0)
        code = prepare_files(&files, socket);
    if (code == 0)
        code = posix_spawn(pid, path, &files, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return -code;
}

int mp_spawn_program(pid_t *pid, const mp_roles *roles, int socket, mp_error *error)
{
    char path[PATH_MAX];
    int status = find_program(path, sizeof path, roles, error);
    if (status < 0)
        return status;
    status = start(pid, path, socket);
    return status < 0 ? mp_fail(error, status, "cannot start %s", path) : 0;
}
