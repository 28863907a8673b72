/* What was typed, in a file that several sessions may write to at a time.
 *
 * It is added as it is entered, by one write under a lock, so that nothing is lost however a
 * session ends; where the file has grown beyond its bound, its older half is dropped under the same
 * lock. It is its owner's alone (0600). */
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

static int open_locked(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0 && errno == ENOENT) {
        char *copy = strdup(path);
        if (copy == NULL)
            return -1;
        make_directories(copy);
        free(copy);
        fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    }
    if (fd >= 0 && (fchmod(fd, 0600) < 0 || flock(fd, LOCK_EX) < 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
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

/* Keeps the last half of what is allowed, from the beginning of a line on. */
static void shorten(int fd, off_t size, off_t most)
{
    size_t want = (size_t)most / 2;
    char *tail = malloc(want);
    ssize_t n = tail == NULL ? -1 : pread(fd, tail, want, size - (off_t)want);
    const char *line = n > 0 ? memchr(tail, '\n', (size_t)n) : NULL;
    if (line != NULL && ftruncate(fd, 0) == 0)
        write_all(fd, line + 1, (size_t)(tail + n - line - 1));
    free(tail);
}

/* keep(path, text, most): adds lines to the file, of `most` bytes at most; whether that was done */
static int keep(lua_State *L)
{
    size_t size;
    const char *path = luaL_checkstring(L, 1), *text = luaL_checklstring(L, 2, &size);
    off_t most = (off_t)luaL_checkinteger(L, 3);
    struct stat s;
    int fd = open_locked(path);
    bool kept = fd >= 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && write_all(fd, text, size);
    if (kept && s.st_size + (off_t)size > most)
        shorten(fd, s.st_size + (off_t)size, most);
    if (fd >= 0)
        close(fd);
    lua_pushboolean(L, kept);
    return 1;
}

void mp_history_open(lua_State *L)
{
    lua_pushcfunction(L, keep);
    lua_setfield(L, -2, "keep");
}
