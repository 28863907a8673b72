/* The terminal behind standard error: what is drawn there for this state, and how wide text is.
 *
 * One state of a process draws at a time, and no fork of that process. What is drawn goes through a
 * description of the terminal that is this file's own and does not block, so that a terminal which
 * has stopped keeps nobody waiting. While something is drawn the standard streams write above it.
 */
#include "lua/state.h"
#include "lua/worker_state.h"

#include "base/columns.h"
#include "base/fd.h"
#include "process/veil.h"
#include "shm/board.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS = 80, ROWS = 24 }; /* of a terminal that does not say */

static const char drawer_meta[] = "moonpool.core.Drawer";

/* A state's side. */
typedef struct drawer {
    bool veiled; /* it has put the veil on */
    bool closed;
} drawer;

/* Who draws. */
static struct {
    _Atomic(drawer *) drawer; /* NULL: nobody */
    unsigned generation;      /* of forks */
    int fd;
    bool at_exit;
} screen = {.fd = -1};

/* ---- what there is ---- */

/* core.is_terminal(): standard error is one that knows how to move its cursor */
static int is_terminal(lua_State *L)
{
    const char *kind = getenv("TERM");
    lua_pushboolean(L, isatty(STDERR_FILENO) == 1 && kind != NULL && kind[0] != '\0' &&
                           strcmp(kind, "dumb") != 0);
    return 1;
}

/* core.terminal_size(): its columns and rows */
static int terminal_size(lua_State *L)
{
    struct winsize w;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0;
    lua_pushinteger(L, known && w.ws_col > 0 ? w.ws_col : COLUMNS);
    lua_pushinteger(L, known && w.ws_row > 0 ? w.ws_row : ROWS);
    return 2;
}

/* core.speaks_utf8(): the environment says so */
static int speaks_utf8(lua_State *L)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *locale = NULL;
    for (size_t i = 0; i < 3 && (locale == NULL || locale[0] == '\0'); i++)
        locale = getenv(names[i]);
    lua_pushboolean(L, locale != NULL && (strcasestr(locale, "utf-8") != NULL ||
                                          strcasestr(locale, "utf8") != NULL));
    return 1;
}

/* ---- text ---- */

/* core.columns(text): how many it takes */
static int columns(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    lua_pushinteger(L, (lua_Integer)mp_columns(text, size));
    return 1;
}

/* core.fit(text, columns): as much of it as these hold, made harmless; and what that takes */
static int fit(lua_State *L)
{
    size_t size, taken;
    const char *text = luaL_checklstring(L, 1, &size);
    lua_Integer most = luaL_checkinteger(L, 2);
    mp_buffer b;
    mp_buffer_init_heap(&b);
    int status = mp_columns_fit(text, size, most > 0 ? (size_t)most : 0, &b, &taken);
    lua_pushlstring(L, status == 0 ? (const char *)b.data : "", status == 0 ? b.len : 0);
    lua_pushinteger(L, status == 0 ? (lua_Integer)taken : 0);
    mp_buffer_free(&b);
    return 2;
}

/* ---- drawing ---- */

static void end_drawing(void)
{
    if (screen.generation == mp_fork_generation())
        mp_board_leave(screen.fd);
}

/* A description of one's own may be refused, as to who has become another user: then the one that
 * all share, which is asked before each write whether it takes some. */
static int open_own(void)
{
    int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return mp_fd_lift(fd >= 0 ? fd : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
}

/* Whether this state draws from now on. */
static bool begin_drawing(drawer *d)
{
    drawer *nobody = NULL;
    if (screen.generation != mp_fork_generation())
        atomic_store(&screen.drawer, NULL);
    if (!atomic_compare_exchange_strong(&screen.drawer, &nobody, d) && nobody != d)
        return false;
    screen.generation = mp_fork_generation();
    if (screen.fd < 0)
        screen.fd = open_own();
    if (!screen.at_exit)
        screen.at_exit = atexit(end_drawing) == 0;
    return screen.fd >= 0 && mp_board_take(screen.fd);
}

/* Pushes the state's drawer, which ends the drawing when the state is closed. */
static drawer *push_drawer(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, drawer_meta) == LUA_TUSERDATA)
        return lua_touserdata(L, -1);
    lua_pop(L, 1);
    drawer *d = lua_newuserdatauv(L, sizeof *d, 0);
    *d = (drawer){0};
    luaL_setmetatable(L, drawer_meta);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, drawer_meta);
    return d;
}

static bool takes_more(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) > 0 && (p.revents & POLLOUT) != 0;
}

/* Taking it off writes what the streams hold: not to a terminal that would keep one waiting. */
static void set_veil(lua_State *L, drawer *d, bool on)
{
    FILE *out = stdout, *err = stderr;
    if (d->veiled == on || !takes_more(STDERR_FILENO))
        return;
    if (on)
        mp_veil_on(mp_board_write);
    else
        mp_veil_off();
    d->veiled = on;
    mp_replace_stream(L, "stdout", out, stdout);
    mp_replace_stream(L, "stderr", err, stderr);
}

/* Where another process draws: what is to stay is text like any other. */
static int say_above(const char *text, size_t size)
{
    return takes_more(STDERR_FILENO) ? mp_board_write(STDERR_FILENO, text, size) : -EAGAIN;
}

/* core.draw_bars(above, lines, rows, columns, milliseconds): prints the lines `above`, each with
 * its newline, which stay, and shows `rows` lines, newlines between them, in place of those shown
 * before. True; false: it cannot be done in that time; nil: it never can again */
static int draw(lua_State *L)
{
    mp_board_view view = {.rows = (unsigned)luaL_checkinteger(L, 3),
                          .columns = (unsigned)luaL_checkinteger(L, 4)};
    view.above = luaL_checklstring(L, 1, &view.above_size);
    view.lines = luaL_checklstring(L, 2, &view.size);
    int patience = (int)luaL_checkinteger(L, 5), status = -EBADF;
    drawer *d = push_drawer(L);
    if (!d->closed && begin_drawing(d)) {
        set_veil(L, d, true);
        status = d->veiled ? mp_board_show(screen.fd, &view, patience) : -EAGAIN;
    } else if (!d->closed) {
        status = say_above(view.above, view.above_size);
    }
    if (status < 0 && status != -EAGAIN)
        return 0;
    lua_pushboolean(L, status == 0);
    return 1;
}

static void stop_drawing(lua_State *L, drawer *d)
{
    if (atomic_load(&screen.drawer) == d && screen.generation == mp_fork_generation()) {
        end_drawing();
        mp_fd_close(&screen.fd);
        atomic_store(&screen.drawer, NULL);
    }
    set_veil(L, d, false);
}

/* core.stop_bars(): what is shown stays, with the cursor below */
static int stop(lua_State *L)
{
    stop_drawing(L, push_drawer(L));
    return 0;
}

static int collect_drawer(lua_State *L)
{
    drawer *d = lua_touserdata(L, 1);
    stop_drawing(L, d);
    d->closed = true;
    return 0;
}

/* core.say(text): to standard error, if that takes it at once; nil where it never will again */
static int say(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    fflush(stderr);
    bool failed = takes_more(STDERR_FILENO) && mp_fd_write(STDERR_FILENO, text, size) < 0;
    if (!failed)
        lua_pushboolean(L, 1);
    return !failed;
}

/* core.cover(wipe, draw): see mp_board_cover; until core.uncover, which is to come before anything
 * is drawn or printed */
static int cover(lua_State *L)
{
    size_t wipe_size, draw_size;
    const char *wipe = luaL_checklstring(L, 1, &wipe_size);
    const char *text = luaL_checklstring(L, 2, &draw_size);
    if (mp_board_take(STDOUT_FILENO))
        mp_board_cover(wipe, wipe_size, text, draw_size);
    return 0;
}

static int uncover(lua_State *L)
{
    (void)L;
    mp_board_uncover();
    return 0;
}

void mp_open_terminal(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"is_terminal", is_terminal},
        {"terminal_size", terminal_size},
        {"speaks_utf8", speaks_utf8},
        {"columns", columns},
        {"fit", fit},
        {"draw_bars", draw},
        {"stop_bars", stop},
        {"say", say},
        {"cover", cover},
        {"uncover", uncover},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, drawer_meta);
    lua_pushcfunction(L, collect_drawer);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
