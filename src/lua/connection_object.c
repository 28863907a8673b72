/* Connections (lua/moonpool/connection.lua): the two ends of a pipe, and the steps of sending and
 * receiving. What waits goes round in Lua.
 *
 * Each end has a cell of the session, so that the other one can ask whether any process is left
 * that could speak: descriptors that a fork has copied would keep the socket open. */
#include "lua/message.h"
#include "lua/shared.h"
#include "lua/state.h"

#include "base/clock.h"
#include "pool/patience.h"
#include "process/connection.h"
#include "process/pidfd.h"
#include "shm/endpoint.h"
#include "shm/passing.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#define META "Connection"

static const int64_t slice = 50000000; /* nanoseconds between two looks at the other end */

typedef struct end {
    mp_connection c;
    mp_buffer out; /* a value that is being sent */
    mp_patience patience;
    mp_cell_name own, other;
    bool has_cell;
    bool reads, writes;
    bool encoding;
} end;

static end *check(lua_State *L)
{
    end *e = luaL_checkudata(L, 1, META);
    if (e->c.fd < 0)
        mp_raise(L, "closed", "the connection is closed");
    return e;
}

static end *push_end(lua_State *L, bool reads, bool writes)
{
    end *e = lua_newuserdatauv(L, sizeof *e, 1);
    *e = (end){.c.fd = -1, .reads = reads, .writes = writes};
    mp_buffer_init_heap(&e->c.in);
    mp_buffer_init_heap(&e->out);
    luaL_setmetatable(L, META);
    return e;
}

static int give_cells(end *a, end *b, mp_error *error)
{
    int status = mp_cell_create(&a->own, error);
    if (status < 0)
        return status;
    a->has_cell = true;
    status = mp_cell_create(&b->own, error);
    if (status < 0)
        return status;
    b->has_cell = true;
    a->other = b->own;
    b->other = a->own;
    return 0;
}

/* core.pipe(one_way): its two ends; of a pipe that goes one way the first reads */
static int pipe_new(lua_State *L)
{
    mp_error error = {0};
    bool one_way = lua_toboolean(L, 1);
    end *a = push_end(L, true, !one_way);
    end *b = push_end(L, !one_way, true);
    if (give_cells(a, b, &error) < 0 || mp_connection_pair(&a->c, &b->c, one_way, &error) < 0)
        mp_raise_system(L, &error);
    return 2;
}

static _Noreturn void fail(lua_State *L, const char *what, int status)
{
    if (status == -ENODATA)
        mp_raise(L, "eof", "%s: the other end is closed", what);
    mp_error error = {0};
    mp_fail(&error, status, "%s", what);
    mp_raise_system(L, &error);
    __builtin_unreachable();
}

static end *check_sender(lua_State *L)
{
    end *e = check(L);
    if (!e->writes)
        mp_raise(L, "state", "send: this end of the pipe receives only");
    if (e->c.out != NULL)
        mp_raise(L, "state", "send: a message before was interrupted half-way");
    return e;
}

/* core.connection_put(connection, bytes): they are to be sent */
static int connection_put(lua_State *L)
{
    size_t size;
    end *e = check_sender(L);
    const char *bytes = luaL_checklstring(L, 2, &size);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, 1);
    mp_connection_put(&e->c, bytes, size);
    return 0;
}

/* (connection, value) */
static int encode(lua_State *L)
{
    end *e = lua_touserdata(L, 1);
    mp_message_encode(L, 2, 1, &e->out, 0);
    return 0;
}

/* core.connection_put_value(connection, value): it is to be sent */
static int connection_put_value(lua_State *L)
{
    end *e = check_sender(L);
    if (e->encoding)
        return mp_raise(L, "state", "send: another value is being encoded for this connection");
    lua_settop(L, 2);
    lua_pushcfunction(L, encode);
    lua_insert(L, 1);
    lua_pushvalue(L, 2);
    lua_insert(L, 1);
    e->encoding = true;
    int status = lua_pcall(L, 2, 0, 0);
    e->encoding = false;
    if (status != LUA_OK)
        return lua_error(L);
    mp_connection_put(&e->c, e->out.data, e->out.len);
    return 0;
}

/* core.connection_push(connection): whether all is sent */
static int connection_push(lua_State *L)
{
    end *e = check(L);
    int status = mp_connection_push(&e->c);
    if (status < 0) {
        e->c.out = NULL;
        fail(L, "send", status);
    }
    if (status == 1 && e->out.cap > MP_MESSAGE_KEPT)
        mp_buffer_free(&e->out);
    lua_pushboolean(L, status == 1);
    return 1;
}

static const char *receive(lua_State *L, end *e, lua_Integer most, int *status)
{
    if (!e->reads)
        mp_raise(L, "state", "recv: this end of the pipe sends only");
    *status = mp_connection_pull(&e->c, most < 0 ? SIZE_MAX : (size_t)most);
    return (const char *)e->c.in.data;
}

/* core.connection_pull(connection, most or nil): a message's bytes, nil where none is whole yet */
static int connection_pull(lua_State *L)
{
    int status;
    end *e = check(L);
    const char *bytes = receive(L, e, luaL_optinteger(L, 2, -1), &status);
    if (status < 0)
        fail(L, "recv", status);
    if (status == 0)
        return 0;
    lua_pushlstring(L, bytes, e->c.size);
    mp_connection_done(&e->c);
    return 1;
}

/* core.connection_pull_value(connection): whether a message was there, and its value */
static int connection_pull_value(lua_State *L)
{
    int status;
    end *e = check(L);
    const char *bytes = receive(L, e, -1, &status);
    if (status < 0)
        fail(L, "recv", status);
    lua_pushboolean(L, status);
    if (status == 0)
        return 1;
    int n = mp_message_decode(L, (const unsigned char *)bytes, e->c.size);
    mp_connection_done(&e->c);
    if (n != 1 && n >= 0)
        return mp_raise(L, "decode", "recv: the message holds %d values", n);
    return n == 1 ? 2 : lua_error(L);
}

/* core.connection_ready(connection): whether recv would not wait */
static int connection_ready(lua_State *L)
{
    int status;
    receive(L, check(L), 0, &status);
    lua_pushboolean(L, status != 0);
    return 1;
}

/* Whether it can go on within the moment for which a look pays. */
static bool look(end *e, struct pollfd *p)
{
    bool found = false;
    int64_t time = mp_patience_now(&e->patience), upto = mp_now() + time;
    while (!found && time > 0 && mp_now() < upto) {
        sched_yield();
        found = poll(p, 1, 0) > 0;
    }
    if (time > 0)
        mp_patience_learn(&e->patience, found);
    return found;
}

/* Whether a process but this one has that end, or may be about to get it. */
static bool is_spoken(mp_cell_name name)
{
    return mp_endpoint_is_spoken(name) || mp_session_expects();
}

/* core.connection_sleep(connection, deadline or nil): until it can go on, then, for a slice, or
 * until it is woken; false where the slice went by and no process is left to speak to */
static int connection_sleep(lua_State *L)
{
    end *e = check(L);
    int64_t deadline = mp_at_deadline(L, 2), next_look = mp_now() + slice;
    struct pollfd p = {.fd = e->c.fd, .events = e->c.out != NULL ? POLLOUT : POLLIN};
    lua_pushboolean(L, 1);
    if (look(e, &p))
        return 1;
    mp_sleep_on(L, &p, 1, deadline < next_look ? deadline : next_look);
    bool alone = mp_now() >= next_look && !is_spoken(e->other);
    lua_pushboolean(L, !alone);
    return 1;
}

/* core.connection_alone(connection): raises what it means that nobody is left */
static int connection_alone(lua_State *L)
{
    end *e = check(L);
    bool sending = e->c.out != NULL;
    e->c.out = NULL;
    fail(L, sending ? "send" : "recv", sending ? -EPIPE : -ENODATA);
}

static int connection_close(lua_State *L)
{
    end *e = luaL_checkudata(L, 1, META);
    mp_connection_close(&e->c);
    mp_buffer_free(&e->out);
    if (e->has_cell) {
        mp_endpoint_closed(e->own);
        mp_cell_drop(e->own);
        mp_endpoint_sweep();
    }
    e->has_cell = false;
    return 0;
}

/* ---- sending a connection ---- */

static mp_cell_name name_at(lua_State *L, int index)
{
    return (mp_cell_name){(uint32_t)luaL_checkinteger(L, index),
                          (uint32_t)luaL_checkinteger(L, index + 1)};
}

static void push_integers(lua_State *L, const lua_Integer *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        lua_pushinteger(L, list[i]);
}

static const char *const ways[] = {"once", "task", "many", NULL};
enum { ONCE, TASK, MANY };

/* core.connection_send(connection, way): the sending's ticket, and what core.connection_receive is
 * to be called with by who gets it. The end is under way until somebody has received it, or, where
 * many will, until core.connection_arrived; of a task the socket stays open here until then, too.
 */
static int connection_send(lua_State *L)
{
    struct stat s;
    mp_error error = {0};
    unsigned ticket = MP_TICKETS;
    end *e = check(L);
    int way = luaL_checkoption(L, 2, NULL, ways);
    if (e->c.out != NULL || e->c.head_has > 0)
        return mp_raise(L, "encode", "cannot send a connection in the middle of a message");
    mp_endpoint_sweep();
    int fd = fstat(e->c.fd, &s) < 0
                 ? mp_fail(&error, -errno, "fstat")
                 : mp_endpoint_send(e->own, e->c.fd, way == TASK, &ticket, &error);
    if (fd < 0)
        mp_raise_system(L, &error);
    int status;
    uint64_t number = mp_passing_put(e->own, fd, &status);
    if (status < 0) {
        mp_endpoint_arrived(e->own, mp_shared_self(L), ticket);
        mp_fail(&error, status, "cannot send a connection");
        mp_raise_system(L, &error);
    }
    const lua_Integer parts[] = {ticket,
                                 way == MANY ? MP_TICKETS : ticket,
                                 getpid(),
                                 mp_shared_self(L),
                                 fd,
                                 (lua_Integer)s.st_ino,
                                 e->own.index,
                                 e->own.generation,
                                 e->other.index,
                                 e->other.generation,
                                 (lua_Integer)number};
    push_integers(L, parts, sizeof parts / sizeof *parts);
    lua_pushboolean(L, e->reads);
    lua_pushboolean(L, e->writes);
    return (int)(sizeof parts / sizeof *parts) + 2;
}

/* core.connection_arrived(index, generation, ticket, way): what this process has sent so has
 * arrived, or never will */
static int connection_arrived(lua_State *L)
{
    mp_cell_name name = name_at(L, 1);
    if (mp_cell_use(name)) {
        mp_endpoint_arrived(name, mp_shared_self(L), (unsigned)luaL_checkinteger(L, 3));
        if (luaL_checkoption(L, 4, NULL, ways) == TASK)
            mp_endpoint_unpin(name);
        mp_cell_drop(name);
    }
    mp_endpoint_sweep();
    return 0;
}

/* core.connection_receive(ticket, pid, member, fd, inode, own cell, other cell, number, reads,
 * writes): the connection that the process of that pid has sent */
static int connection_receive(lua_State *L)
{
    struct stat s;
    mp_error error = {0};
    uint32_t member = (uint32_t)luaL_checkinteger(L, 3);
    mp_cell_name own = name_at(L, 6);
    end *e = push_end(L, lua_toboolean(L, 11), lua_toboolean(L, 12));
    e->other = name_at(L, 8);
    if (!mp_session_alive(member) || !mp_cell_use(own))
        return mp_raise(L, "closed", "the process that has sent a connection is gone");
    e->own = own;
    e->has_cell = true;
    e->c.fd = mp_pidfd_fetch((pid_t)luaL_checkinteger(L, 2), (int)luaL_checkinteger(L, 4));
    int status = -errno;
    if (e->c.fd < 0)
        e->c.fd = mp_passing_take((uint64_t)luaL_checkinteger(L, 10));
    if (e->c.fd < 0) {
        mp_fail(&error, status, "cannot fetch a connection from process %d that has sent it",
                (int)luaL_checkinteger(L, 2));
        mp_raise_system(L, &error);
    }
    if (fstat(e->c.fd, &s) < 0 || (lua_Integer)s.st_ino != luaL_checkinteger(L, 5))
        return mp_raise(L, "closed", "the connection that was sent is no longer open there");
    mp_endpoint_arrived(own, member, (unsigned)luaL_checkinteger(L, 1));
    mp_endpoint_opened(own);
    return 1;
}

/* core.connection_ends(connection): index and generation of its own end's cell, and of the other's
 */
static int connection_ends(lua_State *L)
{
    const end *e = luaL_checkudata(L, 1, META);
    const lua_Integer names[] = {e->own.index, e->own.generation, e->other.index,
                                 e->other.generation};
    push_integers(L, names, 4);
    return 4;
}

/* core.connection_sends(connection): whether a message is being sent */
static int connection_sends(lua_State *L)
{
    lua_pushboolean(L, check(L)->c.out != NULL);
    return 1;
}

/* core.connection_spoken(index, generation): whether another process has that end, or is to get
 * it; whether this one has */
static int connection_spoken(lua_State *L)
{
    mp_cell_name name = name_at(L, 1);
    lua_pushboolean(L, is_spoken(name));
    lua_pushboolean(L, mp_endpoint_is_here(name));
    return 2;
}

/* core.connection_fd(connection): its descriptor, nil where it is closed; whether it receives,
 * whether it sends */
static int connection_fd(lua_State *L)
{
    const end *e = luaL_checkudata(L, 1, META);
    if (e->c.fd < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, e->c.fd);
    lua_pushboolean(L, e->reads);
    lua_pushboolean(L, e->writes);
    return 3;
}

void mp_open_connection(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"pipe", pipe_new},
        {"connection_put", connection_put},
        {"connection_put_value", connection_put_value},
        {"connection_push", connection_push},
        {"connection_pull", connection_pull},
        {"connection_pull_value", connection_pull_value},
        {"connection_ready", connection_ready},
        {"connection_sleep", connection_sleep},
        {"connection_alone", connection_alone},
        {"connection_close", connection_close},
        {"connection_send", connection_send},
        {"connection_receive", connection_receive},
        {"connection_arrived", connection_arrived},
        {"connection_ends", connection_ends},
        {"connection_spoken", connection_spoken},
        {"connection_sends", connection_sends},
        {"connection_fd", connection_fd},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, META);
    lua_pushcfunction(L, connection_close);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
