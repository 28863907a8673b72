/* What was typed, in a file that several sessions may write to at a time.
 *
 * It is added as it is entered, by one write under a lock, so that nothing is lost however a
 * session ends; where the file has grown beyond its bound, its older half is dropped under the same
 * lock. It is made as its owner's alone (0600); of what stands there already nothing but its bytes
 * is changed, and those of regular files only: who links it to a device wants no history. */
#include "cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes the directories above the file that are not there. */
static void make_directories(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

/* Without waiting for whoever is at the other end of a fifo. */
static int open_file(const char *path, int how)
{
    return open(path, how | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
}

static int open_to_add(const char *path)
{
    int fd = open_file(path, O_RDWR | O_CREAT | O_APPEND);
    if (fd < 0 && errno == ENOENT) {
        char *copy = strdup(path);
        if (copy == NULL)
            return -1;
        make_directories(copy);
        free(copy);
        fd = open_file(path, O_RDWR | O_CREAT | O_APPEND);
    }
    return fd;
}

/* Only regular files are locked, and the size read under the lock is the right one. */
static bool lock(int fd, struct stat *s)
{
    return fstat(fd, s) == 0 && S_ISREG(s->st_mode) && flock(fd, LOCK_EX) == 0 && fstat(fd, s) == 0;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* The last bytes of a file of that size, from the beginning of a line on, to be freed; NULL where
 * there are none. */
static char *read_tail(int fd, size_t size, size_t most, size_t *n)
{
    size_t want = size < most ? size : most;
    char *tail = malloc(want + 1);
    ssize_t got = tail == NULL ? -1 : pread(fd, tail, want, (off_t)(size - want));
    const char *line = tail;
    if (got > 0 && want < size)
        line = memchr(tail, '\n', (size_t)got);
    if (got <= 0 || line == NULL) {
        free(tail);
        return NULL;
    }
    if (line != tail)
        line++;
    *n = (size_t)(tail + got - line);
    memmove(tail, line, *n);
    return tail;
}

/* Keeps the last half of what is allowed. */
static void shorten(int fd, size_t size, size_t most)
{
    size_t n;
    char *tail = read_tail(fd, size, most / 2, &n);
    if (tail != NULL && ftruncate(fd, 0) == 0)
        write_all(fd, tail, n);
    free(tail);
}

/* keep(path, text, most): adds lines to the file, of `most` bytes at most; whether that was done */
static int keep(lua_State *L)
{
    size_t size;
    const char *path = luaL_checkstring(L, 1), *text = luaL_checklstring(L, 2, &size);
    size_t most = (size_t)luaL_checkinteger(L, 3);
    struct stat s;
    int fd = open_to_add(path);
    bool kept = fd >= 0 && lock(fd, &s) && write_all(fd, text, size);
    if (kept && (size_t)s.st_size + size > most)
        shorten(fd, (size_t)s.st_size + size, most);
    if (fd >= 0)
        close(fd);
    lua_pushboolean(L, kept);
    return 1;
}

/* What stands in the way of a history there; NULL where that is nothing, or meant so. */
static const char *obstacle(int fd, const struct stat *s)
{
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? NULL : strerror(errno);
    if (S_ISREG(s->st_mode) || S_ISCHR(s->st_mode))
        return NULL;
    return S_ISDIR(s->st_mode) ? "it is a directory" : "it is no regular file";
}

/* recall(path, most): the last bytes of the file, whole lines; otherwise nil, and why not where
 * somebody should know */
static int recall(lua_State *L)
{
    size_t most = (size_t)luaL_checkinteger(L, 2), n;
    struct stat s = {0};
    int fd = open_file(luaL_checkstring(L, 1), O_RDONLY);
    bool is_file = fd >= 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
    const char *why = obstacle(fd, &s);
    char *tail = is_file ? read_tail(fd, (size_t)s.st_size, most, &n) : NULL;
    if (tail != NULL)
        lua_pushlstring(L, tail, n);
    else
        lua_pushnil(L);
    lua_pushstring(L, why);
    free(tail);
    if (fd >= 0)
        close(fd);
    return 2;
}

void mp_history_open(lua_State *L)
{
    lua_pushcfunction(L, keep);
    lua_setfield(L, -2, "keep");
    lua_pushcfunction(L, recall);
    lua_setfield(L, -2, "recall");
}
