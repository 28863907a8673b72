/* What a pool's workers are told as a whole: to start, to be more or fewer, to make way
 * for new ones, to do an errand; and what each of them does. */
#include "lua/fresh.h"
#include "lua/record.h"
#include "lua/worker_state.h"

static void check_may_start(lua_State *L, mp_lua_pool *p)
{
    const mp_transport *t = mp_pool_transport(p->pool);
    if (t->ops->crew(t) == 0)
        mp_fresh_prepare(L, p);
}

/* core.start(pool): all workers are to be there; how many */
static int crew_start(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    mp_error error = {0};
    check_may_start(L, p);
    if (mp_pool_want(p->pool, mp_pool_workers(p->pool), &error) < 0)
        mp_raise_system(L, &error);
    lua_pushinteger(L, mp_pool_workers(p->pool));
    return 1;
}

/* core.crew(pool): how many workers there are or may be born, those apart that leave */
static int crew_count(lua_State *L)
{
    const mp_transport *t = mp_pool_transport(mp_check_pool(L, 1)->pool);
    lua_pushinteger(L, t->ops->crew(t));
    return 1;
}

/* core.at_work(pool): how many workers run something */
static int crew_at_work(lua_State *L)
{
    const mp_pool *pool = mp_check_pool(L, 1)->pool;
    mp_worker_view view;
    lua_Integer n = 0;
    for (unsigned rank = 0; rank < mp_pool_workers(pool); rank++)
        n += mp_pool_worker(pool, rank, &view) && view.state == MP_WORKER_BUSY;
    lua_pushinteger(L, n);
    return 1;
}

/* core.resize(pool, workers) */
static int crew_resize(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    unsigned workers = (unsigned)luaL_checkinteger(L, 2);
    mp_error error = {0};
    if (mp_pool_busy(p->pool) && workers > mp_pool_workers(p->pool))
        mp_fresh_prepare(L, p);
    if (mp_pool_resize(p->pool, workers, &error) < 0)
        mp_raise_system(L, &error);
    return 0;
}

/* core.refresh(pool) */
static int crew_refresh(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    mp_error error = {0};
    p->start.len = 0;
    if (mp_pool_busy(p->pool))
        mp_fresh_prepare(L, p);
    if (mp_pool_refresh(p->pool, &error) < 0)
        mp_raise_system(L, &error);
    return 0;
}

/* core.worker(pool, rank from 1): its number, pid (nil: not born yet), state, the item it
 * runs or nil and how much of that is done or nil; nothing where there is none */
static int crew_worker(lua_State *L)
{
    static const char *const states[] = {
        [MP_WORKER_STARTING] = "starting", [MP_WORKER_IDLE] = "idle", [MP_WORKER_BUSY] = "busy"};
    mp_worker_view view;
    if (!mp_pool_worker(mp_check_pool(L, 1)->pool, (unsigned)luaL_checkinteger(L, 2) - 1, &view))
        return 0;
    lua_pushinteger(L, view.seat + 1);
    lua_pushinteger(L, view.pid);
    if (view.pid == 0) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    lua_pushstring(L, states[view.state]);
    if (view.item == 0)
        return 3;
    lua_pushinteger(L, (lua_Integer)view.item);
    if (view.fraction < 0)
        return 4;
    lua_pushnumber(L, view.fraction);
    return 5;
}

/* core.fractions(call): what is done of its items that run, in items: the sum of what these have
 * told of their progress */
static int crew_fractions(lua_State *L)
{
    const mp_lua_call *c = mp_check_call(L, 1);
    lua_pushnumber(L, mp_call_lives(c) ? mp_call_fractions(c->call) : 0);
    return 1;
}

/* core.everywhere(call): its one item, which was fed and not handed out, is for every
 * worker; no more items */
static int crew_everywhere(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    mp_error error = {0};
    if (!mp_call_lives(c))
        return 0;
    unsigned workers = mp_pool_workers(c->owner->pool);
    c->owner->items--;
    c->errand = c->stopped = true;
    c->given = c->count = workers;
    mp_call_record_as(c->call, MP_RECORD_EVERYWHERE);
    if (mp_call_everywhere(c->call, &error) < 0)
        mp_raise_system(L, &error);
    return 0;
}

/* Lets the functions in the table at 1 that refer to it refer to the table at 2. */
static void redirect(lua_State *L)
{
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        for (int i = 1; lua_isfunction(L, -1) && lua_getupvalue(L, -1, i) != NULL; i++) {
            bool refers = lua_rawequal(L, -1, 1);
            lua_pop(L, 1);
            if (!refers)
                continue;
            lua_pushvalue(L, 2);
            lua_setupvalue(L, -2, i);
        }
        lua_pop(L, 1);
    }
}

static void remove_fields(lua_State *L)
{
    lua_pushnil(L);
    while (lua_next(L, 2) != 0) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, 2);
    }
}

/* core.supplant(new, old): the old table becomes as the new one, whose functions refer to
 * it from then on */
static int crew_supplant(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    redirect(L);
    remove_fields(L);
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 2);
    }
    if (!lua_getmetatable(L, 1))
        lua_pushnil(L);
    lua_setmetatable(L, 2);
    return 0;
}

/* core.forget(): in a worker, functions that came by value are built anew when they are
 * next called */
static int crew_forget(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, MP_WORKER_CONTEXT);
    mp_worker_context *w = lua_touserdata(L, -1);
    if (w != NULL)
        w->stale = true;
    return 0;
}

/* core.ask(pool, rank from 1): the worker is to tell its stack: the question's number, by which the
 * text that comes begins, or that of a later one; nil where there is none */
static int crew_ask(lua_State *L)
{
    mp_transport *t = mp_pool_transport(mp_check_pool(L, 1)->pool);
    uint32_t number = t->ops->ask(t, (unsigned)luaL_checkinteger(L, 2) - 1);
    if (number == 0)
        return 0;
    lua_pushinteger(L, number);
    return 1;
}

void mp_open_crew(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"start", crew_start},       {"crew", crew_count},       {"resize", crew_resize},
        {"refresh", crew_refresh},   {"worker_at", crew_worker}, {"everywhere", crew_everywhere},
        {"supplant", crew_supplant}, {"forget", crew_forget},    {"fractions", crew_fractions},
        {"at_work", crew_at_work},   {"ask", crew_ask},          {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
