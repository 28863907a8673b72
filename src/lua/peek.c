/* What other processes of this machine, and this one, do with their pools.
 *
 * Invariant: descriptors of other processes' memory are closed before Lua goes on, whatever it
 * raises: they would keep that memory when its owner is gone. */
#include "lua/state.h"

#include "base/clock.h"
#include "base/fd.h"
#include "pool/peek.h"
#include "process/census.h"

#include <errno.h>
#include <string.h>

static pid_t pid_at(lua_State *L, int index)
{
    return (pid_t)luaL_checkinteger(L, index);
}

static void set_integer(lua_State *L, const char *name, lua_Integer n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, name);
}

/* ---- processes ---- */

/* In memory of C's, since Lua may raise an error. */
static void keep_number(void *ctx, int number)
{
    mp_buffer_append(ctx, &number, sizeof number);
}

static int push_numbers(lua_State *L)
{
    const mp_buffer *b = lua_touserdata(L, 1);
    lua_createtable(L, (int)(b->len / sizeof(int)), 0);
    for (size_t i = 0; i < b->len / sizeof(int); i++) {
        int number;
        memcpy(&number, b->data + i * sizeof number, sizeof number);
        lua_pushinteger(L, number);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* Pushes the list of the numbers and frees it; or nil and the text of the negative errno. */
static int give_numbers(lua_State *L, mp_buffer *b, int status)
{
    lua_pushcfunction(L, push_numbers);
    lua_pushlightuserdata(L, b);
    int ended = lua_pcall(L, 1, 1, 0);
    mp_buffer_free(b);
    if (ended != LUA_OK)
        return lua_error(L);
    if (status == 0)
        return 1;
    lua_pushnil(L);
    lua_pushstring(L, strerror(-status));
    return 2;
}

static void set_number(lua_State *L, const char *name, lua_Number n)
{
    lua_pushnumber(L, n);
    lua_setfield(L, -2, name);
}

/* core.census(): a list of the pids of this user's processes; or nil and an errno's text */
static int census(lua_State *L)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    int status = mp_census_mine(keep_number, &b);
    return give_numbers(L, &b, status);
}

/* core.census_of(pid): {name, state, start, age (seconds)} of anybody's process; nil where there is
 * none */
static int census_of(lua_State *L)
{
    mp_census_entry entry;
    if (mp_census_look(pid_at(L, 1), &entry) < 0)
        return 0;
    lua_createtable(L, 0, 5);
    set_integer(L, "start", (lua_Integer)entry.start);
    set_number(L, "age", mp_census_age(&entry));
    lua_pushstring(L, entry.name);
    lua_setfield(L, -2, "name");
    lua_pushlstring(L, &entry.state, 1);
    lua_setfield(L, -2, "state");
    return 1;
}

/* core.census_memory(pid): bytes that it has for itself; nil: unknown */
static int census_memory(lua_State *L)
{
    int64_t bytes = mp_census_memory(pid_at(L, 1));
    if (bytes < 0)
        return 0;
    lua_pushinteger(L, bytes);
    return 1;
}

/* ---- pools ---- */

/* One pool while it is looked at. */
typedef struct look {
    pid_t pid;
    int main_fd, seats_fd, tasks_fd;
    mp_peek_pool pool;
} look;

/* Pushes the label of the call; `labels`, an index, has those read so far. */
static void push_label(lua_State *L, const look *l, int labels, uint64_t call)
{
    char text[MP_LABEL_MOST];
    if (lua_rawgeti(L, labels, (lua_Integer)call) != LUA_TNIL)
        return;
    lua_pop(L, 1);
    lua_pushlstring(L, text, mp_peek_label_read(l->tasks_fd, call, text));
    lua_pushvalue(L, -1);
    lua_rawseti(L, labels, (lua_Integer)call);
}

/* Into the table on top. */
static void set_item(lua_State *L, const look *l, int labels, const mp_peek_worker *w)
{
    set_integer(L, "item", (lua_Integer)w->item);
    push_label(L, l, labels, w->call);
    lua_setfield(L, -2, "label");
    if (w->since > 0)
        set_number(L, "since", (lua_Number)w->since / 1e9);
    lua_pushboolean(L, w->exact);
    lua_setfield(L, -2, "exact");
    if (w->fraction >= 0)
        set_number(L, "progress", w->fraction);
}

static void push_worker(lua_State *L, const look *l, int labels, const mp_peek_worker *w)
{
    static const char *const states[] = {
        [MP_WORKER_STARTING] = "starting", [MP_WORKER_IDLE] = "idle", [MP_WORKER_BUSY] = "busy"};
    int64_t time = mp_census_time(w->pid);
    bool gone = w->incarnation != 0 && w->pid > 0 && time < 0;
    lua_createtable(L, 0, 14);
    set_integer(L, "number", (lua_Integer)w->seat + 1);
    set_integer(L, "life", w->incarnation);
    set_integer(L, "begun", (lua_Integer)w->begun);
    set_integer(L, "held", w->held);
    lua_pushstring(L, gone ? "gone" : states[w->state]);
    lua_setfield(L, -2, "state");
    if (w->pid > 0)
        set_integer(L, "pid", w->pid);
    if (time >= 0)
        set_number(L, "cpu", (lua_Number)time / 1e9);
    if (w->paused) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "paused");
    }
    if (w->errand) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "everywhere");
    }
    if (w->item != 0 && !gone)
        set_item(L, l, labels, w);
}

static const char *method_name(uint32_t method)
{
    static const char *const names[] = {
        [MP_START_FORK] = "fork", [MP_START_SPAWN] = "spawn", [MP_START_FORKSERVER] = "forkserver"};
    return method < sizeof names / sizeof names[0] ? names[method] : NULL;
}

/* (look): a table of what the pool says */
static int push_pool(lua_State *L)
{
    const look *l = lua_touserdata(L, 1);
    mp_peek_worker workers[MP_PEEK_AT_ONCE];
    lua_Integer count = 0;
    lua_settop(L, 1);
    lua_newtable(L); /* labels */
    lua_createtable(L, 0, 8);
    set_integer(L, "waiting", (lua_Integer)l->pool.waiting);
    set_integer(L, "wanted", l->pool.wanted);
    set_number(L, "now", (lua_Number)mp_now() / 1e9);
    lua_pushstring(L, method_name(l->pool.method));
    lua_setfield(L, -2, "method");
    lua_newtable(L);
    for (uint32_t at = 0; at < l->pool.seats;) {
        unsigned n = mp_peek_workers_read(l->seats_fd, &l->pool, at, workers, &at);
        for (unsigned i = 0; i < n; i++) {
            push_worker(L, l, 2, &workers[i]);
            lua_rawseti(L, -2, ++count);
        }
    }
    lua_setfield(L, 3, "workers");
    return 1;
}

/* 0; -ENOENT where there is none, or it is another's, of which this process is a fork; or as
 * mp_peek_pool_read. */
static int open_main(look *l, int fd)
{
    l->main_fd = mp_census_open(l->pid, fd, MP_PEEK_MAIN);
    if (l->main_fd < 0)
        return -ENOENT;
    int status = mp_peek_pool_read(l->main_fd, &l->pool);
    return status < 0 ? status : l->pool.host_pid == l->pid ? 0 : -ENOENT;
}

typedef struct search {
    pid_t pid;
    mp_buffer found;
} search;

static void keep_pool(void *ctx, int fd)
{
    search *s = ctx;
    look l = {.pid = s->pid, .main_fd = -1};
    int status = open_main(&l, fd);
    mp_fd_close(&l.main_fd);
    if (status != -ENOENT)
        keep_number(&s->found, fd);
}

/* core.peek_at(pid): a list of the descriptors by which it has pools; nil and an errno's text where
 * it cannot be looked into */
static int peek_at(lua_State *L)
{
    search s = {.pid = pid_at(L, 1)};
    mp_buffer_init_heap(&s.found);
    int status = mp_census_memfds(s.pid, MP_PEEK_MAIN, keep_pool, &s);
    return give_numbers(L, &s.found, status);
}

static int open_all(look *l, int fd)
{
    int status = open_main(l, fd);
    if (status < 0)
        return status;
    l->seats_fd = mp_census_open(l->pid, l->pool.seats_fd, MP_PEEK_SEATS);
    l->tasks_fd = mp_census_open(l->pid, l->pool.tasks_fd, MP_PEEK_TASKS);
    return 0;
}

/* core.peek(pid, descriptor): a table of the pool that the process has by that descriptor:
 * {waiting, wanted, method, now, workers}, times in seconds of core.monotonic's clock. Where there
 * is none: nil; and "version" and its number, where it is of another version */
static int peek(lua_State *L)
{
    look l = {.pid = pid_at(L, 1), .main_fd = -1, .seats_fd = -1, .tasks_fd = -1};
    int status = open_all(&l, (int)luaL_checkinteger(L, 2));
    lua_pushcfunction(L, push_pool);
    lua_pushlightuserdata(L, &l);
    int ended = status == 0 ? lua_pcall(L, 1, 1, 0) : LUA_OK;
    mp_fd_close(&l.tasks_fd);
    mp_fd_close(&l.seats_fd);
    mp_fd_close(&l.main_fd);
    if (ended != LUA_OK)
        return lua_error(L);
    if (status == 0)
        return 1;
    lua_pushnil(L);
    if (status != -EPROTO)
        return 1;
    lua_pushliteral(L, "version");
    lua_pushinteger(L, l.pool.version);
    return 3;
}

void mp_open_peek(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"census", census},   {"census_of", census_of}, {"census_memory", census_memory},
        {"peek_at", peek_at}, {"peek", peek},           {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
