/* mp.task: what an item knows of itself while it runs, and what it tells the host: a state that its
 * next attempt finds, and how far it is.
 *
 * Invariants: a state that was saved is with the host when save returns; an item is known by the
 * worker's serial number of it, so that what is left of one does nothing to another. The state
 * saved last lies in a buffer in the registry until the worker's run of items is over. */
#include "lua/message.h"
#include "lua/worker_state.h"

#include "lua/state.h"

#include "base/failpoint.h"
#include "codec/values.h"

static const char saved = 0; /* the registry's key of the buffer */

/* NULL where no item runs in this process. */
static mp_worker_context *at_work(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, MP_WORKER_CONTEXT);
    mp_worker_context *w = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return w != NULL && w->task != NULL && w->generation == mp_fork_generation() ? w : NULL;
}

/* The context, if the item that runs has the serial number at 1. */
static mp_worker_context *check_item(lua_State *L)
{
    mp_worker_context *w = at_work(L);
    if (w == NULL || (lua_Integer)w->serial != luaL_checkinteger(L, 1))
        mp_raise(L, "state", "the item of this Task has ended");
    return w;
}

/* core.task(): serial number, index, attempt and seed of the item that runs; nothing where none
 * does */
static int task_current(lua_State *L)
{
    const mp_worker_context *w = at_work(L);
    if (w == NULL)
        return 0;
    lua_pushinteger(L, (lua_Integer)w->serial);
    lua_pushinteger(L, (lua_Integer)w->task->index);
    lua_pushinteger(L, w->task->attempt);
    lua_pushinteger(L, (lua_Integer)w->task->block->word);
    return 4;
}

/* Its memory goes at once, unless somebody reads it. */
static void drop_saved(lua_State *L, const mp_worker_context *w)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &saved);
    mp_buffer *b = lua_touserdata(L, -1);
    if (b != NULL && w->reading == 0)
        mp_buffer_free(b);
    lua_pop(L, 1);
}

/* The buffer on top holds the state from now on. */
static void keep_saved(lua_State *L, mp_worker_context *w)
{
    drop_saved(L, w);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &saved);
    w->saved_serial = w->serial;
}

void mp_task_over(lua_State *L, mp_worker_context *w)
{
    w->task = NULL;
    if (w->saved_serial == 0)
        return;
    w->reading = 0;
    drop_saved(L, w);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &saved);
    w->saved_serial = 0;
}

/* Where this state's random numbers are; false, with nothing pushed, where nobody knows. */
static bool push_random(lua_State *L)
{
    const mp_worker_context *w = at_work(L);
    if (w->random.state == NULL)
        return false;
    lua_pushlstring(L, (const char *)w->random.state, sizeof w->random.now);
    return true;
}

/* Has math.random go on from there, which the string on top says; pops it. */
static void set_random(lua_State *L, const mp_random *random)
{
    size_t size;
    const char *bytes = lua_tolstring(L, -1, &size);
    if (random->state != NULL && bytes != NULL && size == sizeof random->now)
        memcpy(random->state, bytes, size);
    lua_pop(L, 1);
}

/* core.resume_random(string): math.random goes on where a saved state says */
static int resume_random(lua_State *L)
{
    mp_random random;
    luaL_checkstring(L, 1);
    mp_random_prepare();
    mp_random_init(&random, L);
    lua_settop(L, 1);
    set_random(L, &random);
    return 0;
}

/* core.task_save(serial, value): with where the random numbers are */
static int task_save(lua_State *L)
{
    check_item(L);
    lua_settop(L, 2);
    bool known = push_random(L);
    mp_buffer *b = mp_message_buffer(L);
    if (mp_encode(L, 2, known ? 2 : 1, MP_CODEC_FUNCTIONS, b) < 0) {
        if (b->error < 0)
            return mp_raise(L, "system", "no memory to encode a state");
        lua_pop(L, 1);
        mp_error_codec(L, "encode", "state");
        return lua_error(L);
    }
    mp_worker_context *w = check_item(L);
    MP_FAILPOINT("state.encoded");
    if (w->birth->tell(w->birth->teller, MP_FRAME_STATE, (const char *)b->data, b->len) < 0)
        return mp_raise(L, "system", "no memory to save a state of %zu bytes", b->len);
    MP_FAILPOINT("state.saved");
    keep_saved(L, w);
    return 0;
}

/* core.task_saved(serial): the state saved last, by this attempt or one before; nil where there is
 * none. The first time that it is one before, math.random goes on from where it was then. */
static int task_saved(lua_State *L)
{
    mp_worker_context *w = check_item(L);
    const unsigned char *bytes = w->task->state;
    size_t size = w->task->state_size;
    if (w->saved_serial == w->serial) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &saved);
        const mp_buffer *b = lua_touserdata(L, -1);
        bytes = b->data;
        size = b->len;
    }
    if (bytes == NULL) {
        lua_pushnil(L);
        return 1;
    }
    bool other = bytes == w->task->state;
    w->reading++;
    int n = mp_decode(L, bytes, size, NULL, 2, MP_CODEC_FUNCTIONS);
    w->reading -= w->reading > 0;
    if (n < 1) {
        mp_error_codec(L, "decode", "state");
        return lua_error(L);
    }
    if (n == 2 && other && w->resumed_serial != w->serial)
        set_random(L, &w->random);
    else
        lua_settop(L, -n);
    w->resumed_serial = w->serial;
    return 1;
}

/* core.task_show(serial, fraction): how much of the item is done, 0 to 1 */
static int task_show(lua_State *L)
{
    const mp_worker_context *w = check_item(L);
    w->birth->show(w->birth->teller, luaL_checknumber(L, 2));
    return 0;
}

void mp_open_task(lua_State *L)
{
    static const luaL_Reg functions[] = {{"task", task_current},           {"task_save", task_save},
                                         {"task_saved", task_saved},       {"task_show", task_show},
                                         {"resume_random", resume_random}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
