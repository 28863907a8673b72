/* Files that are written whole or not at all: the bytes go into a temporary file in the target's
 * folder, to the disk, and only then take its name.
 *
 * Invariants: the target is never open for writing; whatever fails before the rename leaves it as
 * it was, and the temporary is gone; names are looked up below one open folder, so that nothing is
 * mistaken where folders are renamed meanwhile. */
#include "lua/state.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_LINKS = 40 /* that a path may lead through, as in the kernel */, MOST_NAMES = 100 };

typedef struct whole_file {
    const char *path;      /* as the script has it */
    char target[PATH_MAX]; /* what that leads to; its last part is at `name` */
    const char *name;
    char temporary[32]; /* in the same folder; "" while there is none */
    int folder, fd;
    struct stat before; /* of the target */
    bool exists;
} whole_file;

static int failed(const whole_file *f, const char *call, mp_error *error)
{
    return mp_fail(error, -errno, "%s %s", call, f->path);
}

static char *last_part(char *path)
{
    char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The path becomes where the link at its end leads; 1 if there is none, or a negative errno. */
static int follow_one(char path[PATH_MAX])
{
    char link[PATH_MAX];
    ssize_t n = readlink(path, link, sizeof link - 1);
    if (n < 0)
        return errno == EINVAL || errno == ENOENT ? 1 : -errno;
    link[n] = '\0';
    size_t kept = link[0] == '/' ? 0 : (size_t)(last_part(path) - path);
    if (kept + (size_t)n >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(path + kept, link, (size_t)n + 1);
    return 0;
}

static int follow_links(whole_file *f, mp_error *error)
{
    if (strlen(f->path) >= sizeof f->target)
        return mp_fail(error, -ENAMETOOLONG, "open %s", f->path);
    memcpy(f->target, f->path, strlen(f->path) + 1);
    int status = 0;
    for (int i = 0; status == 0 && i < MOST_LINKS; i++)
        status = follow_one(f->target);
    if (status <= 0)
        return mp_fail(error, status < 0 ? status : -ELOOP, "readlink %s", f->path);
    f->name = last_part(f->target);
    return 0;
}

/* A folder that may be entered and not read cannot be synchronized, but written to. */
static int open_folder(whole_file *f, mp_error *error)
{
    char folder[PATH_MAX] = ".";
    size_t n = (size_t)(f->name - f->target);
    memcpy(folder, f->target, n);
    folder[n > 0 ? n : 1] = '\0';
    f->folder = mp_fd_lift(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (f->folder < 0 && errno == EACCES)
        f->folder = mp_fd_lift(open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
    return f->folder < 0 ? failed(f, "open the folder of", error) : 0;
}

static int look_at_target(whole_file *f, mp_error *error)
{
    f->exists =
        f->name[0] != '\0' && fstatat(f->folder, f->name, &f->before, AT_SYMLINK_NOFOLLOW) == 0;
    if (!f->exists && (f->name[0] == '\0' || errno != ENOENT))
        return mp_fail(error, f->name[0] == '\0' ? -EISDIR : -errno, "stat %s", f->path);
    if (!f->exists)
        return 0;
    if (!S_ISREG(f->before.st_mode))
        return mp_fail(error, S_ISDIR(f->before.st_mode) ? -EISDIR : -EINVAL,
                       "%s is no regular file", f->path);
    if (faccessat(f->folder, f->name, W_OK, AT_EACCESS) < 0)
        return failed(f, "open", error);
    return 0;
}

static int make_temporary(whole_file *f, mp_error *error)
{
    mode_t mode = f->exists ? 0600 : 0666;
    for (int i = 0; i < MOST_NAMES; i++) {
        unsigned long long bits;
        if (getrandom(&bits, sizeof bits, 0) != sizeof bits)
            bits = (unsigned long long)mp_now();
        snprintf(f->temporary, sizeof f->temporary, ".moonpool-%016llx", bits);
        f->fd = mp_fd_lift(
            openat(f->folder, f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        if (f->fd >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    f->temporary[0] = '\0';
    return failed(f, "open a temporary file beside", error);
}

/* As root writes somebody's file it stays theirs; who may not give files away keeps the mode. */
static int take_after(whole_file *f, mp_error *error)
{
    if (!f->exists)
        return 0;
    if ((f->before.st_uid != geteuid() || f->before.st_gid != getegid()) &&
        fchown(f->fd, f->before.st_uid, f->before.st_gid) < 0 && errno != EPERM && errno != EINVAL)
        return failed(f, "fchown", error);
    return fchmod(f->fd, f->before.st_mode & 07777) < 0 ? failed(f, "fchmod", error) : 0;
}

/* A temporary file that may take the target's place. */
static int prepare(whole_file *f, const char *path, mp_error *error)
{
    f->path = path;
    f->name = f->target;
    f->folder = f->fd = -1;
    int status = follow_links(f, error);
    if (status == 0)
        status = open_folder(f, error);
    if (status == 0)
        status = look_at_target(f, error);
    if (status == 0)
        status = make_temporary(f, error);
    return status < 0 ? status : take_after(f, error);
}

typedef struct piece {
    int fd;
    const char *bytes;
    size_t n;
} piece;

static int write_piece(void *ctx)
{
    const piece *p = ctx;
    return mp_fd_write(p->fd, p->bytes, p->n);
}

static int write_bytes(const whole_file *f, const char *bytes, size_t n)
{
    return mp_fd_lengthen(false, write_piece, &(piece){f->fd, bytes, n});
}

/* Folders of some file systems cannot be synchronized, nor what is opened by its path alone. */
static int sync_folder(const whole_file *f, mp_error *error)
{
    if (fsync(f->folder) == 0 || errno == EINVAL || errno == EBADF)
        return 0;
    return failed(f, "fsync the folder of", error);
}

static int publish(whole_file *f, const char *bytes, size_t n, mp_error *error)
{
    MP_FAILPOINT("save.begun");
    int status = write_bytes(f, bytes, n);
    if (status < 0)
        return mp_fail(error, status, "write %s", f->path);
    MP_FAILPOINT("save.written");
    if (fsync(f->fd) < 0)
        return failed(f, "fsync", error);
    if (renameat(f->folder, f->temporary, f->folder, f->name) < 0)
        return failed(f, "rename", error);
    f->temporary[0] = '\0';
    MP_FAILPOINT("save.renamed");
    return sync_folder(f, error);
}

static void leave(whole_file *f)
{
    if (f->temporary[0] != '\0')
        unlinkat(f->folder, f->temporary, 0);
    mp_fd_close(&f->fd);
    mp_fd_close(&f->folder);
}

/* core.write_whole(path, bytes): the file holds them, or raises "system" and it is as it was.
 * core.write_whole(path): raises where that could not be begun, and changes nothing. */
static int write_whole(lua_State *L)
{
    size_t n;
    const char *path = luaL_checkstring(L, 1), *bytes = luaL_optlstring(L, 2, NULL, &n);
    whole_file f = {0};
    mp_error error = {0};
    int status = prepare(&f, path, &error);
    if (status == 0 && bytes != NULL)
        status = publish(&f, bytes, n, &error);
    leave(&f);
    if (status < 0)
        mp_raise_system(L, &error);
    return 0;
}

void mp_open_files(lua_State *L)
{
    lua_pushcfunction(L, write_whole);
    lua_setfield(L, -2, "write_whole");
}
