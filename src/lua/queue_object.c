/* Queues (lua/moonpool/queue.lua): a value into a message and back, and the steps of putting and
 * taking. What waits goes round in Lua. */
#include "lua/message.h"
#include "lua/shared.h"
#include "lua/state.h"

#include "base/clock.h"
#include "shm/doorbell.h"
#include "shm/queue.h"

#include <sched.h>

enum {
    QUEUES = 1U << MP_SHARED_QUEUE | 1U << MP_SHARED_SIMPLE_QUEUE | 1U << MP_SHARED_JOINABLE_QUEUE
};

enum { SPINS = 40 };

static const char buffers = 0; /* the registry's key of the state's buffer, while nobody has it */

static mp_shared *check(lua_State *L, const char *method)
{
    return mp_check_shared(L, 1, QUEUES, method);
}

static mp_queue *queue_of(const mp_shared *s)
{
    return s->content;
}

/* core.queue_begin(queue, most): before anybody else has it; 0: no bound */
static int queue_begin(lua_State *L)
{
    queue_of(check(L, "begin"))->most = (uint32_t)luaL_checkinteger(L, 2);
    return 0;
}

/* ---- putting ---- */

/* Pushes the state's buffer, which nobody else has until it is returned; where somebody has (a
 * value that puts something while it is encoded), or an error came between, a new one. */
static mp_buffer *borrow(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &buffers) == LUA_TNIL) {
        lua_pop(L, 1);
        return mp_message_buffer(L);
    }
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &buffers);
    return lua_touserdata(L, -1);
}

static void give_back(lua_State *L, int index, mp_buffer *b)
{
    if (b->cap > MP_MESSAGE_KEPT)
        mp_buffer_free(b);
    lua_pushvalue(L, index);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &buffers);
}

static bool put(lua_State *L, const mp_shared *q, const void *bytes, size_t size)
{
    mp_error error = {0};
    int status = mp_queue_put(q->name, bytes, size, &error);
    if (status < 0)
        mp_raise_system(L, &error);
    return status == MP_QUEUE_DONE;
}

/* core.queue_put(queue, ...): puts a message of these values: true; false where it is full now, and
 * the bytes to try with again */
static int queue_put(lua_State *L)
{
    const mp_shared *q = check(L, "put");
    int n = lua_gettop(L) - 1, buffer = n + 2;
    mp_shared_self(L);
    mp_buffer *b = borrow(L);
    mp_message_encode(L, 2, n, b, 1);
    bool done = put(L, q, b->data, b->len);
    lua_pushboolean(L, done);
    if (!done)
        lua_pushlstring(L, (const char *)b->data, b->len);
    give_back(L, buffer, b);
    return done ? 1 : 2;
}

/* core.queue_put_bytes(queue, bytes): whether there was room */
static int queue_put_bytes(lua_State *L)
{
    size_t size;
    const mp_shared *q = check(L, "put");
    const char *bytes = luaL_checklstring(L, 2, &size);
    lua_pushboolean(L, put(L, q, bytes, size));
    return 1;
}

/* ---- taking ---- */

/* (message): false and its values; or the error, and what can be had of them */
static int decode(lua_State *L)
{
    const mp_message *m = lua_touserdata(L, 1);
    lua_pushboolean(L, 0);
    int n = mp_message_decode(L, m->bytes, m->size);
    if (n >= 0)
        return n + 1;
    lua_replace(L, -2);
    return mp_message_skim(L, m->bytes, m->size) + 1;
}

/* Takes a message: leaves what decode gives in the place of the arguments. False where there is
 * none. One that an interrupt comes over stays there. */
static bool take(lua_State *L)
{
    const mp_shared *q = check(L, "get");
    mp_message m;
    mp_shared_self(L);
    if (mp_queue_take(q->name, &m) != MP_QUEUE_DONE)
        return false;
    lua_settop(L, 1);
    lua_pushcfunction(L, decode);
    lua_pushlightuserdata(L, &m);
    if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
        mp_queue_give_back(q->name, &m);
        lua_error(L);
    }
    mp_queue_done(q->name, &m);
    lua_remove(L, 1);
    return true;
}

/* core.queue_take(queue): whether there was a message, and its values */
static int queue_take(lua_State *L)
{
    if (!take(L)) {
        lua_pushboolean(L, 0);
        return 1;
    }
    bool decoded = !lua_toboolean(L, 1);
    lua_pushboolean(L, 1);
    if (decoded)
        lua_replace(L, 1);
    else
        lua_settop(L, 1);
    return decoded ? lua_gettop(L) : lua_error(L);
}

/* core.queue_take_anyway(queue): nil where there was no message; false and its values; or, where
 * they cannot be decoded, the error, and what can be had of them without the objects in them */
static int queue_take_anyway(lua_State *L)
{
    return take(L) ? lua_gettop(L) : 0;
}

/* ---- the rest ---- */

/* core.queue_state(queue): how many can be taken, and how many it takes */
static int queue_state(lua_State *L)
{
    const mp_shared *q = check(L, "qsize");
    mp_shared_self(L);
    lua_pushinteger(L, mp_queue_look(q->name));
    lua_pushinteger(L, queue_of(q)->most);
    return 2;
}

/* core.queue_number(queue): how many were put */
static int queue_number(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)mp_load_acquire(&queue_of(check(L, "put"))->put));
    return 1;
}

/* core.queue_arrived(index, generation, number): whether as many as that are done, or the queue of
 * that name is gone */
static int queue_arrived(lua_State *L)
{
    mp_cell_name name = {(uint32_t)luaL_checkinteger(L, 1), (uint32_t)luaL_checkinteger(L, 2)};
    bool arrived = true;
    if (mp_cell_use(name)) {
        arrived = mp_queue_arrived(name, (uint64_t)luaL_checkinteger(L, 3));
        mp_cell_drop(name);
    }
    lua_pushboolean(L, arrived);
    return 1;
}

/* core.queue_finish(queue): one that was taken is finished; false where all are */
static int queue_finish(lua_State *L)
{
    lua_pushboolean(L, mp_queue_finish(queue_of(check(L, "task_done"))));
    return 1;
}

/* core.queue_is_finished(queue) */
static int queue_is_finished(lua_State *L)
{
    lua_pushboolean(L, mp_queue_is_finished(queue_of(check(L, "join"))));
    return 1;
}

static bool has_room(const mp_queue *q)
{
    return q->most == 0 || mp_load_acquire(&q->count) < q->most;
}

/* An answer of another processor is there within a microsecond, or else gives its own away. */
static bool spin(const mp_queue *q, bool (*comes)(const mp_queue *))
{
    for (int i = 0; i < SPINS; i++) {
        if (comes(q))
            return true;
        mp_relax();
    }
    return false;
}

static bool look(mp_shared *s, bool (*comes)(const mp_queue *))
{
    const mp_queue *q = queue_of(s);
    int64_t time = mp_patience_now(&s->patience), upto = mp_now() + time;
    bool found = time > 0 && spin(q, comes);
    while (!found && time > 0 && mp_now() < upto) {
        sched_yield();
        found = spin(q, comes);
    }
    if (time > 0)
        mp_patience_learn(&s->patience, found);
    return found;
}

static int sleep_for(lua_State *L, const char *method, size_t at, bool (*comes)(const mp_queue *))
{
    mp_shared *s = check(L, method);
    mp_waiters *w = (mp_waiters *)(void *)((char *)s->content + at);
    if (luaL_checkinteger(L, 2) == 0 && look(s, comes))
        return 0;
    uint32_t since = mp_waiters_enter(w);
    int64_t slice = mp_shared_slice(L);
    if (lua_toboolean(L, 4))
        slice = mp_at_deadline(L, 3) - mp_now();
    if (!comes(queue_of(s)) && slice > 0)
        mp_waiters_sleep(w, since, slice);
    return 0;
}

/* core.queue_await_message(queue, n, deadline or nil [, alone]): as all that sleeps for a slice;
 * but until the deadline where nobody else takes, whose call could be lost with them */
static int queue_await_message(lua_State *L)
{
    return sleep_for(L, "get", offsetof(mp_queue, messages), mp_queue_has);
}

static int queue_await_room(lua_State *L)
{
    return sleep_for(L, "put", offsetof(mp_queue, room), has_room);
}

static int queue_await_finish(lua_State *L)
{
    return sleep_for(L, "join", offsetof(mp_queue, finish), mp_queue_is_finished);
}

/* core.queue_watch(queue): a descriptor that is readable once something may have been put since */
static int queue_watch(lua_State *L)
{
    mp_queue *q = queue_of(check(L, "wait"));
    mp_error error = {0};
    int fd = mp_doorbell_listen(&error);
    if (fd < 0)
        mp_raise_system(L, &error);
    mp_store_release(&q->watched, 1);
    mp_fence();
    lua_pushinteger(L, fd);
    return 1;
}

/* core.queue_unwatch(): nobody waits here any more */
static int queue_unwatch(lua_State *L)
{
    (void)L;
    mp_doorbell_rest();
    return 0;
}

void mp_open_queue(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"queue_begin", queue_begin},
        {"queue_put", queue_put},
        {"queue_put_bytes", queue_put_bytes},
        {"queue_take", queue_take},
        {"queue_take_anyway", queue_take_anyway},
        {"queue_state", queue_state},
        {"queue_number", queue_number},
        {"queue_arrived", queue_arrived},
        {"queue_finish", queue_finish},
        {"queue_is_finished", queue_is_finished},
        {"queue_await_message", queue_await_message},
        {"queue_await_room", queue_await_room},
        {"queue_await_finish", queue_await_finish},
        {"queue_watch", queue_watch},
        {"queue_unwatch", queue_unwatch},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
