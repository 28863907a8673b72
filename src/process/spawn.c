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

typedef struct program {
    char path[PATH_MAX];
    char code[PATH_MAX + 100];
    const char *arguments[4]; /* behind its name, to the first NULL */
} program;

/* ---- where it is ---- */

/* Whether `end` behind the folder, n bytes, is a program's path; if so, it is p's. */
static bool is_program(program *p, const char *folder, size_t n, const char *end)
{
    size_t rest = strlen(end) + 1;
    if (n + rest > sizeof p->path)
        return false;
    memcpy(p->path, folder, n);
    memcpy(p->path + n, end, rest);
    return access(p->path, X_OK) == 0;
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

static bool find_library(char *path)
{
    Dl_info info;
    return dladdr((const void *)anchor, &info) != 0 && info.dli_fname != NULL &&
           realpath(info.dli_fname, path) != NULL;
}

/* Beside the library, as in a build; or in `bin` of a folder above it, as where it is installed. */
static bool find_near_library(program *p)
{
    char folder[PATH_MAX];
    if (!find_library(folder))
        return false;
    for (bool beside = true; go_up(folder); beside = false) {
        if (is_program(p, folder, strlen(folder), beside ? "/moonpool" : "/bin/moonpool"))
            return true;
    }
    return false;
}

static bool find_in_path(program *p)
{
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        size_t n = strcspn(at, ":");
        if (n > 0 && is_program(p, at, n, "/moonpool"))
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

/* A stock interpreter of Lua, by its name, can load this library and call what begins a role. */
static bool is_interpreter(program *p, const mp_roles *roles)
{
    char library[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", p->path, sizeof p->path - 1);
    p->path[n < 0 ? 0 : n] = '\0';
    const char *slash = strrchr(p->path, '/');
    if (slash == NULL || strncmp(slash + 1, "lua", 3) != 0 || roles->entry == NULL ||
        !find_library(library) || strstr(library, "]]") != NULL)
        return false;
    snprintf(p->code, sizeof p->code, "assert(package.loadlib([[%s]], '%s'))()", library,
             roles->entry);
    p->arguments[0] = "-E";
    p->arguments[1] = "-e";
    p->arguments[2] = p->code;
    return true;
}

static int find_program(program *p, const mp_roles *roles, mp_error *error)
{
    *p = (program){.arguments = {MP_ROLE_ARGUMENT}};
    if (mp_role_has_main()) {
        snprintf(p->path, sizeof p->path, "%s", mp_role_program());
        return 0;
    }
    if (roles->own)
        return mp_fail_plainly(error, -ENOEXEC,
                               "start method \"spawn\": this program's main does not call "
                               "moonpool_worker_main");
    if (find_near_library(p) || is_interpreter(p, roles) || find_in_path(p))
        return 0;
    return mp_fail_plainly(error, -ENOENT,
                           "start method \"spawn\": there is no program `moonpool` near the "
                           "library, nor in PATH");
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

static int start(pid_t *pid, const program *p, int socket)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    char *argv[6] = {(char *)(uintptr_t) "moonpool"};
    for (int i = 0; p->arguments[i] != NULL; i++)
        argv[i + 1] = (char *)(uintptr_t)p->arguments[i];
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&files);
    int code = MP_FAILPOINT_ERROR("spawn.start") ? EAGAIN : prepare_attributes(&attributes);
    if (code == 0)
        code = prepare_files(&files, socket);
    if (code == 0)
        code = posix_spawn(pid, p->path, &files, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return -code;
}

int mp_spawn_program(pid_t *pid, const mp_roles *roles, int socket, mp_error *error)
{
    program p;
    int status = find_program(&p, roles, error);
    if (status < 0)
        return status;
    status = start(pid, &p, socket);
    return status < 0 ? mp_fail(error, status, "cannot start %s", p.path) : 0;
}
