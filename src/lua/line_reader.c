/* Text in blocks of whole lines, for lua/moonpool/commands/map.lua: what a file or pipe holds now,
 * cut behind a line's end; and text that is written.
 *
 * Invariants: a byte is looked at for a line's end a bounded number of times, however long its line
 * is; where a block ends depends on the bytes and the size asked for, not on how they came. */
#include "lua/state.h"

#include "process/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 16, MOST_PIECE = 1 << 20, KEPT = 1 << 22 };

typedef struct reader {
    int fd;
    bool ended;
    char *bytes;
    size_t room, start, size; /* what it holds stands at bytes + start */
    size_t known;             /* so many bytes of it hold no line's end, or the first one is next */
} reader;

static const char reader_meta[] = "moonpool.core.Lines";

static reader *check_reader(lua_State *L)
{
    return luaL_checkudata(L, 1, reader_meta);
}

static int close_reader(lua_State *L)
{
    reader *r = check_reader(L);
    if (r->fd > STDIN_FILENO)
        close(r->fd);
    free(r->bytes);
    *r = (reader){.fd = -1, .ended = true};
    return 0;
}

static int refuse(lua_State *L)
{
    int saved = errno;
    lua_pushnil(L);
    lua_pushstring(L, strerror(saved));
    lua_pushinteger(L, saved);
    return 3;
}

/* core.lines_open(path or nil): a reader of that file, or of the standard input; nil, why not and
 * the error's number */
static int open_reader(lua_State *L)
{
    const char *path = luaL_optstring(L, 1, NULL);
    reader *r = lua_newuserdatauv(L, sizeof *r, 0);
    *r = (reader){.fd = -1};
    luaL_setmetatable(L, reader_meta);
    r->fd = path == NULL ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return r->fd < 0 ? refuse(L) : 1;
}

/* core.lines_fd(reader) */
static int reader_fd(lua_State *L)
{
    lua_pushinteger(L, check_reader(L)->fd);
    return 1;
}

/* core.lines_left(path or nil): the bytes in the file, or from where the standard input stands; nil
 * where that is no regular file */
static int bytes_left(lua_State *L)
{
    struct stat s;
    const char *path = luaL_optstring(L, 1, NULL);
    int status = path == NULL ? fstat(STDIN_FILENO, &s) : stat(path, &s);
    if (status != 0 || !S_ISREG(s.st_mode))
        return 0;
    off_t at = path == NULL ? lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
    lua_pushinteger(L, at > 0 && at < s.st_size ? s.st_size - at : s.st_size);
    return 1;
}

/* ---- reading ---- */

static const char *held(const reader *r)
{
    return r->bytes + r->start;
}

static bool has_line(reader *r)
{
    const char *end =
        r->known < r->size ? memchr(held(r) + r->known, '\n', r->size - r->known) : NULL;
    r->known = end != NULL ? (size_t)(end - held(r)) : r->size;
    return end != NULL;
}

static void make_room(lua_State *L, reader *r, size_t more)
{
    if (r->room - r->start - r->size >= more)
        return;
    if (r->start > 0 && r->size > 0)
        memmove(r->bytes, held(r), r->size);
    r->start = 0;
    if (r->room - r->size >= more)
        return;
    size_t room = r->room * 2 > r->size + more ? r->room * 2 : r->size + more;
    char *bytes = realloc(r->bytes, room);
    if (bytes == NULL)
        mp_raise(L, "system", "no memory for a line of more than %lld bytes", (long long)r->size);
    r->bytes = bytes;
    r->room = room;
}

static bool readable(const reader *r)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

/* One read: whether there was something, or the end; *error: why there was not. */
static bool read_piece(lua_State *L, reader *r, size_t want, int *error)
{
    size_t piece = want > r->size ? want - r->size : 0;
    piece = piece < PIECE ? PIECE : piece > MOST_PIECE ? MOST_PIECE : piece;
    make_room(L, r, piece);
    ssize_t n = read(r->fd, r->bytes + r->start + r->size, piece);
    *error = n < 0 && errno != EINTR && errno != EAGAIN ? errno : 0;
    r->size += n > 0 ? (size_t)n : 0;
    r->ended = n == 0;
    return n >= 0;
}

/* core.lines_fill(reader, want): reads until it holds so many bytes and a line's end, or all: true;
 * false where nothing is there now, and whether it holds a line; nil and why it cannot read */
static int fill(lua_State *L)
{
    int error = 0;
    reader *r = check_reader(L);
    size_t want = (size_t)luaL_checkinteger(L, 2);
    bool whole = r->ended || (r->size >= want && has_line(r));
    while (!whole && readable(r) && read_piece(L, r, want, &error) && lua_gethook(L) == NULL)
        whole = r->ended || (r->size >= want && has_line(r));
    if (error != 0)
        lua_pushnil(L);
    else
        lua_pushboolean(L, whole);
    if (error != 0)
        lua_pushstring(L, strerror(error));
    else
        lua_pushboolean(L, has_line(r));
    return 2;
}

/* ---- cutting ---- */

/* The length of the lines that end within the first `want` bytes, or of the first line. */
static size_t length_of_block(reader *r, size_t want)
{
    size_t within = want < r->size ? want : r->size;
    const char *end = memrchr(held(r), '\n', within);
    if (end != NULL)
        return (size_t)(end - held(r)) + 1;
    return has_line(r) ? r->known + 1 : r->ended ? r->size : 0;
}

static lua_Integer count_lines(const char *text, size_t n)
{
    lua_Integer lines = 0;
    for (const char *at = text, *end = text + n; at < end; lines++) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        at = line != NULL ? line + 1 : end;
    }
    return lines;
}

/* core.lines_cut(reader, want): a block of whole lines, of about so many bytes but one line at
 * least, and their number; nil where no line is there */
static int cut(lua_State *L)
{
    reader *r = check_reader(L);
    lua_Integer want = luaL_checkinteger(L, 2);
    size_t n = r->size > 0 ? length_of_block(r, want > 1 ? (size_t)want : 1) : 0;
    if (n == 0)
        return 0;
    lua_pushlstring(L, held(r), n);
    lua_pushinteger(L, count_lines(held(r), n));
    r->start += n;
    r->size -= n;
    r->known = r->known > n ? r->known - n : 0;
    if (r->size == 0 && r->room > KEPT) {
        free(r->bytes);
        r->bytes = NULL;
        r->room = r->start = 0;
    }
    return 2;
}

/* ---- writing ---- */

/* core.lines_put(text): writes it to standard output, whatever that is set to: true; nil, why not
 * and the error's number. What an interrupt leaves unwritten is lost with it. */
static int put(lua_State *L)
{
    size_t left;
    const char *at = luaL_checklstring(L, 1, &left);
    struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
    while (left > 0 && lua_gethook(L) == NULL) {
        ssize_t n = write(STDOUT_FILENO, at, left);
        if (n < 0 && errno == EAGAIN)
            poll(&p, 1, -1);
        else if (n < 0 && errno != EINTR)
            return refuse(L);
        at += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* core.lines_unwritten(): in a worker, why what was printed since it was asked could not be
 * written, and the error's number; nothing where all was. An unfinished line is written, too. */
static int unwritten(lua_State *L)
{
    mp_output_flush();
    errno = -mp_output_error();
    if (errno == 0)
        return 0;
    refuse(L);
    lua_remove(L, -3);
    return 2;
}

void mp_open_lines(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"lines_open", open_reader}, {"lines_close", close_reader},  {"lines_fd", reader_fd},
        {"lines_left", bytes_left},  {"lines_fill", fill},           {"lines_cut", cut},
        {"lines_put", put},          {"lines_unwritten", unwritten}, {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, reader_meta);
    lua_pushcfunction(L, close_reader);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
