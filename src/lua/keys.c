/* The terminal of a program that shows a full screen and is steered by single keys.
 *
 * Invariant: the terminal is as it was found when the object that core.keys gave is closed or
 * collected, or its state is. */
#include "lua/state.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static const char keys_meta[] = "moonpool.core.Keys";

typedef struct keys {
    struct termios before;
    bool set;
} keys;

/* core.screen_size(): columns and rows of the terminal that standard output is; nil: it is none */
static int screen_size(lua_State *L)
{
    struct winsize w;
    if (isatty(STDOUT_FILENO) != 1)
        return 0;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0;
    lua_pushinteger(L, known && w.ws_col > 0 ? w.ws_col : 80);
    lua_pushinteger(L, known && w.ws_row > 2 ? w.ws_row : 24);
    return 2;
}

/* core.leave_keys(keys): the terminal is as it was before */
static int restore(lua_State *L)
{
    keys *k = luaL_checkudata(L, 1, keys_meta);
    if (k->set)
        tcsetattr(STDIN_FILENO, TCSANOW, &k->before);
    k->set = false;
    return 0;
}

/* core.keys(): from now on, and until what it gives is closed, keys come to standard input at once
 * and unseen, but for those that are signals; nil where that is no terminal */
static int open_keys(lua_State *L)
{
    struct termios now;
    keys *k = lua_newuserdatauv(L, sizeof *k, 0);
    *k = (keys){0};
    luaL_setmetatable(L, keys_meta);
    if (isatty(STDIN_FILENO) != 1 || tcgetattr(STDIN_FILENO, &k->before) != 0)
        return 0;
    now = k->before;
    now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    now.c_cc[VMIN] = 1;
    now.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &now) != 0)
        return 0;
    k->set = true;
    return 1;
}

/* core.take_keys(): the bytes that wait at standard input, nil: none, false: none will come */
static int take_keys(lua_State *L)
{
    char text[256];
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&p, 1, 0) <= 0)
        return 0;
    ssize_t n = read(STDIN_FILENO, text, sizeof text);
    if (n > 0)
        lua_pushlstring(L, text, (size_t)n);
    else if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    else
        lua_pushboolean(L, 0);
    return 1;
}

void mp_open_keys(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"screen_size", screen_size}, {"keys", open_keys}, {"leave_keys", restore},
        {"take_keys", take_keys},     {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, keys_meta);
    lua_pushcfunction(L, restore);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__gc");
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
}
