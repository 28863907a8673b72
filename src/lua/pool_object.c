/* The pool's userdata: its making, waiting and end. What a user sees of it is
 * made in lua/moonpool/pool.lua.
 *
 * Invariant: a userdata whose generation is another process's touches nothing
 * shared and is freed without harm to its owner. */
#include "lua/baggage.h"
#include "lua/fresh.h"
#include "lua/record.h"
#include "lua/worker_state.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <signal.h>
#include <stdlib.h>

static double optional_seconds(lua_State *L, int index)
{
    return luaL_optnumber(L, index, -1);
}

/* core.pool(workers, initializer or nil, initargs or nil, maxtasksperchild or 0,
 * memory_limit or 0, has_output, has_log, seed, start method's number) */
static int pool_new(lua_State *L)
{
    unsigned workers = (unsigned)luaL_checkinteger(L, 1);
    lua_settop(L, 9);
    mp_lua_pool *p = lua_newuserdatauv(L, sizeof *p, POOL_USER_VALUES);
    *p = (mp_lua_pool){.self = p,
                       .generation = mp_fork_generation(),
                       .max_items = luaL_optinteger(L, 4, 0),
                       .memory_limit = luaL_optinteger(L, 5, 0),
                       .has_output = lua_toboolean(L, 6),
                       .has_log = lua_toboolean(L, 7),
                       .seed = (uint64_t)luaL_checkinteger(L, 8),
                       .method = mp_fresh_asked(L, luaL_checkinteger(L, 9))};
    mp_worker_prepare();
    mp_buffer_init_heap(&p->scratch);
    mp_buffer_init_heap(&p->start);
    luaL_setmetatable(L, MP_POOL_META);
    for (int i = POOL_CALLS; i <= POOL_FINISHED; i++) {
        lua_newtable(L);
        lua_setiuservalue(L, -2, i);
    }
    lua_newtable(L);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "initializer");
    lua_pushvalue(L, 3);
    lua_setfield(L, -2, "initargs");
    lua_rawsetp(L, LUA_REGISTRYINDEX, p);
    p->worker.L = lua_newthread(L);
    lua_setiuservalue(L, -2, POOL_THREAD);
    mp_error error = {0};
    mp_transport *transport;
    mp_handler handler = mp_worker_handler(p, (uint64_t)p->max_items);
    if (mp_transport_local(&transport, workers, &handler, &error) < 0)
        return mp_raise_system(L, &error);
    p->pool = mp_pool_new(transport, workers, &error);
    if (p->pool == NULL)
        return mp_raise_system(L, &error);
    return 1;
}

/* What it has recorded stays. */
static void end_pool(lua_State *L, mp_lua_pool *p)
{
    if (p->pool != NULL && p->generation == mp_fork_generation())
        mp_pool_free(p->pool);
    p->pool = NULL;
    mp_buffer_free(&p->scratch);
    mp_buffer_free(&p->start);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, p);
}

static int pool_collect(lua_State *L)
{
    mp_lua_pool *p = luaL_checkudata(L, 1, MP_POOL_META);
    end_pool(L, p);
    mp_record_forget(p);
    return 0;
}

/* core.free(pool): now, or when it is collected where that cannot be */
static int pool_free(lua_State *L)
{
    mp_lua_pool *p = luaL_checkudata(L, 1, MP_POOL_META);
    if (!p->encoding)
        end_pool(L, p);
    return 0;
}

/* core.wait(pool, deadline or nil, lazy): sleeps until something has come (true),
 * the deadline (core.now's clock, seconds) has passed or a signal came (false). */
static int pool_wait(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    int64_t deadline = mp_at_deadline(L, 2);
    enum mp_bell_mode mode = lua_toboolean(L, 3) ? MP_BELL_LAZY : MP_BELL_EAGER;
    sigset_t before;
    mp_block_interrupts(&before);
    if (mp_hook_waits(L)) {
        int64_t soon = mp_now() + MP_HOOK_PAUSE_NS;
        deadline = soon < deadline ? soon : deadline;
    }
    int status = mp_pool_wait(p->pool, deadline, mode, &before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status == -EINTR)
        mp_hook_waits(L);
    lua_pushboolean(L, status > 0);
    return 1;
}

static int pool_fileno(lua_State *L)
{
    lua_pushinteger(L, mp_pool_fd(mp_check_pool(L, 1)->pool));
    return 1;
}

static int pool_rest(lua_State *L)
{
    mp_pool_rest(mp_check_pool(L, 1)->pool);
    return 0;
}

/* core.doubt(pool): something has been waited for for long */
static int pool_doubt(lua_State *L)
{
    mp_pool_doubt(mp_check_pool(L, 1)->pool);
    return 0;
}

static int pool_busy(lua_State *L)
{
    lua_pushboolean(L, mp_pool_busy(mp_check_pool(L, 1)->pool));
    return 1;
}

/* core.crowded(pool): much is on its way to the workers; submit more later */
static int pool_crowded(lua_State *L)
{
    lua_pushboolean(L, mp_pool_crowded(mp_check_pool(L, 1)->pool));
    return 1;
}

static int pool_finish(lua_State *L)
{
    mp_pool_finish(mp_check_pool(L, 1)->pool);
    return 0;
}

static int pool_terminate(lua_State *L)
{
    mp_pool_terminate(mp_check_pool(L, 1)->pool);
    return 0;
}

/* core.join(pool, seconds): true when no worker is left */
static int pool_join(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    lua_pushboolean(L, mp_pool_join(p->pool, mp_deadline(optional_seconds(L, 2))));
    return 1;
}

/* core.trouble(pool): nil, or what keeps workers from being born: an errno, which one (0: one in
 * place of another) would have been born, and the errno's text; or 0 where they die before they are
 * ready, how many in a row, the last one's status, and why their nursery could not be ("": that is
 * not it). The same again until core.met_trouble(pool).
 */
static int pool_trouble(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    if (!p->trouble.told)
        return 0;
    lua_pushinteger(L, -p->trouble.code);
    lua_pushinteger(L, p->trouble.count);
    if (p->trouble.code != 0)
        lua_pushstring(L, strerror(-p->trouble.code));
    else
        lua_pushinteger(L, p->trouble.status);
    lua_pushstring(L, mp_pool_reason(p->pool));
    return 4;
}

static int pool_met_trouble(lua_State *L)
{
    mp_check_pool(L, 1)->trouble.told = false;
    return 0;
}

/* core.texts(pool): a table of what tasks have said since core.gave_texts(pool), four values each:
 * the text, the item's index or false, the worker's number (negative: it is for the log), the
 * call's result object or false; or what a worker has answered, "answer", its number, false; and
 * how many values. nil if nothing has come. What comes later is added to the same table. */
static int pool_texts(lua_State *L)
{
    const mp_lua_pool *p = mp_check_pool(L, 1);
    if (p->texts == 0)
        return 0;
    lua_getiuservalue(L, 1, POOL_TEXTS);
    lua_pushinteger(L, p->texts);
    return 2;
}

static int pool_gave_texts(lua_State *L)
{
    mp_check_pool(L, 1)->texts = 0;
    lua_pushnil(L);
    lua_setiuservalue(L, 1, POOL_TEXTS);
    return 0;
}

/* core.note_module(pool, name): its workers have the module as it is now */
static int pool_note_module(lua_State *L)
{
    mp_modules_note_one(L, mp_check_pool(L, 1), luaL_checkstring(L, 2));
    return 0;
}

/* core.stats(pool): a table of what has come of its items, and of its workers */
static int pool_stats(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    mp_pool_stats s = mp_pool_count(p->pool);
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {
        {"tasks", s.tasks},
        {"items", p->items},
        {"done", p->done},
        {"failed", p->failed},
        {"retried", s.retried},
        {"lost_workers", s.lost_workers},
        {"bytes_out", p->bytes_out},
        {"bytes_in", p->bytes_in},
        {"cancelled", p->items - p->done - p->failed - s.pending},
    };
    lua_createtable(L, 0, 12);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        lua_pushinteger(L, (lua_Integer)counts[i].n);
        lua_setfield(L, -2, counts[i].name);
    }
    lua_pushnumber(L, (lua_Number)s.busy / 1e9);
    lua_setfield(L, -2, "busy_seconds");
    return 1;
}

/* core.owns(pool): false in another process or once it is freed */
static int pool_owns(lua_State *L)
{
    mp_lua_pool *p = luaL_checkudata(L, 1, MP_POOL_META);
    lua_pushboolean(L, p->pool != NULL && p->generation == mp_fork_generation());
    return 1;
}

/* core.finished(pool): the next result object whose call is over, or nil; the same again
 * until core.settled(pool) */
static int pool_finished(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    if (p->dispatched == p->finished)
        return 0;
    lua_getiuservalue(L, 1, POOL_FINISHED);
    lua_rawgeti(L, -1, p->dispatched + 1);
    return 1;
}

static int pool_settled(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    lua_getiuservalue(L, 1, POOL_FINISHED);
    lua_pushnil(L);
    lua_rawseti(L, -2, ++p->dispatched);
    if (p->dispatched == p->finished)
        p->dispatched = p->finished = 0;
    return 0;
}

/* core.outstanding(pool): how many calls core.count has counted and core.uncount not uncounted */
static int pool_outstanding(lua_State *L)
{
    const mp_lua_pool *p = luaL_checkudata(L, 1, MP_POOL_META);
    lua_pushinteger(L, (lua_Integer)p->outstanding);
    return 1;
}

/* core.has_finished(pool): whether core.finished has one to give */
static int pool_has_finished(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    lua_pushboolean(L, p->dispatched != p->finished);
    return 1;
}

void mp_open_pool(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"pool", pool_new},
        {"free", pool_free},
        {"wait", pool_wait},
        {"fileno", pool_fileno},
        {"rest", pool_rest},
        {"doubt", pool_doubt},
        {"busy", pool_busy},
        {"finish", pool_finish},
        {"terminate", pool_terminate},
        {"join", pool_join},
        {"trouble", pool_trouble},
        {"met_trouble", pool_met_trouble},
        {"finished", pool_finished},
        {"settled", pool_settled},
        {"has_finished", pool_has_finished},
        {"outstanding", pool_outstanding},
        {"owns", pool_owns},
        {"crowded", pool_crowded},
        {"stats", pool_stats},
        {"note_module", pool_note_module},
        {"texts", pool_texts},
        {"gave_texts", pool_gave_texts},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, MP_POOL_META);
    lua_pushcfunction(L, pool_collect);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
