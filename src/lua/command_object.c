/* External programs for mp.run (lua/moonpool/run.lua): the start, and one step of the exchange
 * with a program's streams at a time, so that the script's hooks run between them. */
#include "lua/state.h"

#include "base/clock.h"
#include "base/fd.h"
#include "process/command.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#define META "moonpool.command"

enum {
    PIECE = 1 << 16, /* bytes that are read at once: what a pipe holds */
    PIECES = 16,     /* so many in a step, however fast they come */
};

typedef struct run {
    mp_command command;
    mp_buffer out, err;
    const char *input; /* what it is to read: the userdata's first user value */
    size_t left;
} run;

static run *check(lua_State *L)
{
    return luaL_checkudata(L, 1, META);
}

/* The strings of the list at `index`, ended with NULL, in memory of the collector's on top. */
static char **push_strings(lua_State *L, int index)
{
    lua_Unsigned n = lua_rawlen(L, index);
    const char **strings = lua_newuserdatauv(L, (n + 1) * sizeof *strings, 0);
    for (lua_Unsigned i = 0; i < n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        strings[i] = luaL_checkstring(L, -1); /* which the list keeps */
        lua_pop(L, 1);
    }
    strings[n] = NULL;
    return (char **)(uintptr_t)strings;
}

/* core.command(argv, input, cwd or nil, environment or nil): a program that was started, and
 * that is to read `input` */
static int command_start(lua_State *L)
{
    mp_error error = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 4);
    mp_command_plan plan = {.cwd = lua_tostring(L, 3)};
    plan.argv = push_strings(L, 1);
    if (lua_istable(L, 4))
        plan.envp = push_strings(L, 4);
    run *r = lua_newuserdatauv(L, sizeof *r, 1);
    *r = (run){.command.pid = -1};
    mp_buffer_init_heap(&r->out);
    mp_buffer_init_heap(&r->err);
    r->input = luaL_checklstring(L, 2, &r->left);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, META);
    if (mp_command_start(&r->command, &plan, &error) < 0)
        mp_raise_system(L, &error);
    return 1;
}

/* What it does not want to read it need not. */
static void feed(run *r)
{
    if (r->command.in >= 0 && r->left > 0) {
        ssize_t n = mp_command_write(&r->command, r->input, r->left);
        if (n == -EAGAIN || n == -EINTR)
            return;
        r->left = n < 0 ? 0 : r->left - (size_t)n;
        r->input += n < 0 ? 0 : n;
    }
    if (r->left == 0)
        mp_fd_close(&r->command.in);
}

static void drain(lua_State *L, int *fd, mp_buffer *b)
{
    for (int i = 0; i < PIECES && *fd >= 0; i++) {
        if (mp_buffer_reserve(b, PIECE) < 0)
            mp_raise(L, "system", "run: no memory for %zu bytes of output", b->len + PIECE);
        ssize_t n = read(*fd, b->data + b->len, PIECE);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            mp_fd_close(fd);
        else
            b->len += (size_t)n;
    }
}

static size_t list_fds(const mp_command *c, struct pollfd fds[4])
{
    fds[0] = (struct pollfd){.fd = c->in, .events = POLLOUT};
    fds[1] = (struct pollfd){.fd = c->out, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = c->err, .events = POLLIN};
    fds[3] = (struct pollfd){.fd = c->gone ? -1 : c->pidfd, .events = POLLIN};
    return 4;
}

/* core.command_fds(command): what command_step waits for, a list of {descriptor, "r" or "w"} */
static int command_fds(lua_State *L)
{
    struct pollfd fds[4];
    lua_Integer n = 0;
    run *r = check(L);
    feed(r);
    size_t all = list_fds(&r->command, fds);
    lua_newtable(L);
    for (size_t i = 0; i < all; i++) {
        if (fds[i].fd < 0)
            continue;
        lua_createtable(L, 2, 0);
        lua_pushinteger(L, fds[i].fd);
        lua_rawseti(L, -2, 1);
        lua_pushstring(L, fds[i].events == POLLOUT ? "w" : "r");
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* core.command_step(command [, deadline]): waits for something to do, until then, and does it; true
 * when the program has ended and all that it wrote is here. */
static int command_step(lua_State *L)
{
    run *r = check(L);
    mp_command *c = &r->command;
    feed(r);
    struct pollfd fds[4];
    mp_sleep_on(L, fds, list_fds(c, fds), mp_at_deadline(L, 2));
    drain(L, &c->out, &r->out);
    drain(L, &c->err, &r->err);
    lua_pushboolean(L, mp_command_gone(c) && c->out < 0 && c->err < 0);
    return 1;
}

static void free_run(run *r)
{
    mp_command_end(&r->command);
    mp_buffer_free(&r->out);
    mp_buffer_free(&r->err);
}

/* core.command_result(command): what it wrote to its two streams, its exit code or nil, its
 * signal or nil. Others that it has started and that live on may do so. */
static int command_result(lua_State *L)
{
    const run *r = check(L);
    int status = r->command.status;
    lua_pushlstring(L, (const char *)r->out.data, r->out.len);
    lua_pushlstring(L, (const char *)r->err.data, r->err.len);
    if (status >= 0 && WIFEXITED(status))
        lua_pushinteger(L, WEXITSTATUS(status));
    else
        lua_pushnil(L);
    if (status >= 0 && WIFSIGNALED(status))
        lua_pushinteger(L, WTERMSIG(status));
    else
        lua_pushnil(L);
    return 4;
}

/* core.command_leaves(command): whether others that it has started live on */
static int command_leaves(lua_State *L)
{
    lua_pushboolean(L, mp_command_leaves(&check(L)->command));
    return 1;
}

/* core.environment(): a list of "NAME=value" */
static int environment(lua_State *L)
{
    lua_newtable(L);
    for (lua_Integer i = 0; environ[i] != NULL; i++) {
        lua_pushstring(L, environ[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int command_end(lua_State *L)
{
    free_run(check(L));
    return 0;
}

void mp_open_command(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"command", command_start},         {"command_fds", command_fds},
        {"command_step", command_step},     {"command_result", command_result},
        {"command_leaves", command_leaves}, {"command_end", command_end},
        {"environment", environment},       {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, META);
    lua_pushcfunction(L, command_end);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
