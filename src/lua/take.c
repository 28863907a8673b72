/* From the pool's events to Lua values: results into their call's table, failures
 * into error objects, calls that are over onto the pool's list.
 *
 * Invariant: an event is settled after its value is stored, so that an error in
 * between (memory) loses nothing: it is given again. */
#include "lua/journal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "codec/decode_scalar.h"
#include "codec/values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Pushes the call's userdata and, above it, its table of values. */
static void push_call(lua_State *L, const mp_lua_call *c)
{
    lua_getiuservalue(L, 1, POOL_CALLS);
    lua_rawgeti(L, -1, c->number);
    lua_remove(L, -2);
    lua_getiuservalue(L, -1, CALL_VALUES);
}

/* Table `which` of the call at `index`, made where there is none. */
static void push_table(lua_State *L, int index, int which)
{
    if (lua_getiuservalue(L, index, which) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, which);
}

/* ---- unordered: which index came when ---- */

/* The room is a power of two. */
static void widen_order(lua_State *L, mp_lua_call *c)
{
    size_t room = c->order_room != 0 ? c->order_room * 2 : 64;
    uint64_t *order = mp_malloc(room * sizeof *order);
    if (order == NULL)
        mp_raise(L, "system", "no memory to note which items have come");
    for (size_t i = 0; c->order != NULL && i < c->order_count; i++)
        order[i] = c->order[(c->order_first + i) & (c->order_room - 1)];
    mp_free(c->order);
    c->order = order;
    c->order_first = 0;
    c->order_room = room;
}

static void note_order(lua_State *L, mp_lua_call *c, uint64_t index)
{
    if (c->order == NULL || c->order_count == c->order_room)
        widen_order(L, c);
    c->order[(c->order_first + c->order_count++) & (c->order_room - 1)] = index;
}

/* ---- failures ---- */

/* Where a worker could not be done with the item, what builds its arguments may be why, and
 * is not to be tried on the host. */
static void set_args(lua_State *L, const mp_event *e)
{
    int top = lua_gettop(L), n = 1;
    unsigned flags = MP_CODEC_FUNCTIONS | (e->kind != MP_EVENT_FAILED ? MP_CODEC_INERT : 0);
    const mp_lua_call *c = e->user;
    if (c->made)
        mp_push_made(L, c->recipe, c->floats, e->index);
    else
        n = mp_decode(L, e->item, e->item_size, NULL, -1, flags);
    if (n < 0) {
        lua_settop(L, top);
        return;
    }
    lua_createtable(L, n, 1);
    lua_insert(L, top + 1);
    for (int i = n; i >= 1; i--)
        lua_rawseti(L, top + 1, i);
    lua_pushinteger(L, n);
    lua_setfield(L, -2, "n");
    lua_setfield(L, -2, "args");
}

/* Fields that every failed item has, into the error on top. */
static void set_item_fields(lua_State *L, const mp_event *e)
{
    lua_pushinteger(L, (lua_Integer)e->index);
    lua_setfield(L, -2, "index");
    lua_pushinteger(L, e->attempt);
    lua_setfield(L, -2, "attempt");
    lua_pushfstring(L, "PoolWorker-%d", (int)e->seat + 1);
    lua_setfield(L, -2, "worker");
    if (e->pid > 0) {
        lua_pushinteger(L, e->pid);
        lua_setfield(L, -2, "pid");
    }
    set_args(L, e);
}

/* The worker wrote: kind, message, traceback, pid, path or nil, value or nothing. */
static void push_failure(lua_State *L, const mp_event *e)
{
    static const char *const fields[] = {"kind", "message", "traceback", "pid", "path", "value"};
    int top = lua_gettop(L);
    int n = mp_decode(L, e->data, e->size, NULL, 6, MP_CODEC_FUNCTIONS);
    if (n < 4) {
        lua_settop(L, top);
        mp_error_new(L, "decode", "a worker's failure cannot be read");
        set_item_fields(L, e);
        return;
    }
    lua_createtable(L, 0, 12);
    lua_insert(L, top + 1);
    for (int i = n; i >= 1; i--)
        lua_setfield(L, top + 1, fields[i - 1]);
    luaL_setmetatable(L, MP_ERROR_META);
    set_item_fields(L, e);
}

static void push_lost(lua_State *L, const mp_event *e)
{
    int status = e->status;
    if (status >= 0 && WIFSIGNALED(status)) {
        int signal = WTERMSIG(status);
        mp_error_new(L, "worker_lost", "the worker was killed by signal %d (SIG%s)", signal,
                     sigabbrev_np(signal) != NULL ? sigabbrev_np(signal) : "?");
        lua_pushinteger(L, signal);
        lua_setfield(L, -2, "signal");
    } else if (status >= 0) {
        mp_error_new(L, "worker_lost", "the worker left with exit code %d", WEXITSTATUS(status));
        lua_pushinteger(L, WEXITSTATUS(status));
        lua_setfield(L, -2, "exitcode");
    } else {
        mp_error_new(L, "worker_lost", "the worker was lost with the pool's nursery");
        lua_pushinteger(L, SIGKILL);
        lua_setfield(L, -2, "signal");
    }
    set_item_fields(L, e);
}

/* The worker wrote what the interrupt became, as push_failure reads it, or was killed. */
static void push_late(lua_State *L, const mp_event *e)
{
    mp_error_new(L, "timeout", "the item ran too long");
    int top = lua_gettop(L);
    if (e->size > 0 && mp_decode(L, e->data, e->size, NULL, 4, MP_CODEC_FUNCTIONS) == 4) {
        lua_setfield(L, top, "pid");
        lua_setfield(L, top, "traceback");
    }
    lua_settop(L, top);
    set_item_fields(L, e);
}

static void push_damaged(lua_State *L, const mp_event *e)
{
    mp_error_new(L, "decode", "the item's result is damaged");
    set_item_fields(L, e);
}

static void push_no_room(lua_State *L, const mp_event *e)
{
    mp_error_new(L, "system", "no memory for the item's result: %s", strerrordesc_np(-e->code));
    lua_pushinteger(L, -e->code);
    lua_setfield(L, -2, "errno");
    set_item_fields(L, e);
}

/* Keeps the error on top under its item's index; pops it. */
static void keep_error(lua_State *L, mp_lua_call *c, int call, const mp_event *e)
{
    uint64_t index = e->index;
    if (c->journal != NULL)
        mp_journal_fail(L, c, call, e);
    push_table(L, call, CALL_ERRORS);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (lua_Integer)index);
    lua_pop(L, 1);
    if (c->shape == MP_SHAPE_IMAP_UNORDERED)
        note_order(L, c, index);
    c->failures++;
    c->owner->failed += !c->errand;
    if (c->lowest_error == 0 || index < c->lowest_error)
        c->lowest_error = index;
    if (!c->keep_going && c->shape <= MP_SHAPE_MAP) {
        c->stopped = true;
        if (c->errand)
            mp_call_everywhere_in_vain(c->call);
        mp_call_limit(c->call, index);
    }
}

/* Whether the failure is of its worker's initializer: no other worker does better. */
static bool is_unfit(lua_State *L, const mp_event *e)
{
    int top = lua_gettop(L);
    bool unfit = e->kind == MP_EVENT_FAILED &&
                 mp_decode(L, e->data, e->size, NULL, 1, MP_CODEC_FUNCTIONS) == 1 &&
                 lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "initializer") == 0;
    lua_settop(L, top);
    return unfit;
}

/* The failed item runs again, if it may: then its event is dealt with. */
static bool try_again(lua_State *L, mp_lua_call *c, const mp_event *e)
{
    if (c->retries < (lua_Integer)e->attempt || is_unfit(L, e))
        return false;
    double delay = ldexp(c->retry_delay, (int)e->attempt - 1);
    if (mp_pool_again(c->owner->pool, delay > 0 ? mp_deadline(delay) : 0, NULL) < 0)
        return false;
    c->retried++;
    return true;
}

/* ---- results ---- */

/* Packs the n values on top into a table. */
static void pack(lua_State *L, int n)
{
    int first = lua_gettop(L) - n + 1;
    lua_createtable(L, n, 1);
    lua_insert(L, first);
    for (int i = n; i >= 1; i--)
        lua_rawseti(L, first, i);
    lua_pushinteger(L, n);
    lua_setfield(L, first, "n");
}

static void store_map(lua_State *L, const mp_lua_call *c, uint64_t index, int n)
{
    if (c->pack) {
        pack(L, n);
        n = 1;
    }
    if (n > 0)
        lua_rawseti(L, -2, (lua_Integer)index);
}

static void store_apply(lua_State *L, mp_lua_call *c, int call, int n)
{
    if (n != 1)
        pack(L, n);
    c->values = n;
    lua_setiuservalue(L, call, CALL_VALUES);
}

static void store_imap(lua_State *L, mp_lua_call *c, int call, uint64_t index, int n)
{
    if (n == 1 && !lua_isnil(L, -1)) {
        lua_rawseti(L, call + 1, (lua_Integer)index);
    } else {
        pack(L, n);
        push_table(L, call, CALL_PACKS);
        lua_insert(L, -2);
        lua_rawseti(L, -2, (lua_Integer)index);
    }
    if (c->shape == MP_SHAPE_IMAP_UNORDERED)
        note_order(L, c, index);
}

void mp_call_store(lua_State *L, mp_lua_call *c, int call, uint64_t index, int n)
{
    if (c->shape == MP_SHAPE_MAP)
        store_map(L, c, index, n);
    else if (c->shape == MP_SHAPE_APPLY)
        store_apply(L, c, call, n);
    else
        store_imap(L, c, call, index, n);
    c->done++;
}

/* False where the result cannot be read and its item runs again. */
static bool store_result(lua_State *L, mp_lua_call *c, int call, const mp_event *e)
{
    int max = c->shape == MP_SHAPE_MAP && !c->pack ? 1 : -1;
    int n = mp_decode(L, e->data, e->size, NULL, max, MP_CODEC_FUNCTIONS);
    if (n < 0 && try_again(L, c, e))
        return false;
    if (n < 0) {
        mp_error_codec(L, "decode", "result");
        set_item_fields(L, e);
        keep_error(L, c, call, e);
        return true;
    }
    if (c->journal != NULL && !mp_journal_note(L, c, call, e, n)) {
        set_item_fields(L, e);
        keep_error(L, c, call, e);
        return true;
    }
    mp_call_store(L, c, call, e->index, n);
    c->owner->done += !c->errand;
    return true;
}

/* ---- events ---- */

/* The end of an apply that nobody attends, and that went well, is just noted; its result lets go
 * of the pool, as result.lua has it. */
static bool ends_quietly(lua_State *L, mp_lua_call *c, int call)
{
    if (c->attended || c->done == 0)
        return false;
    lua_getiuservalue(L, call, CALL_RESULT);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "done");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "pool");
    mp_call_forget(c);
    return true;
}

static void call_over(lua_State *L, mp_lua_pool *p, mp_lua_call *c, int call)
{
    c->over = true;
    if (c->shape == MP_SHAPE_MAP && lua_istable(L, call + 1)) { /* none before its input is known */
        lua_pushinteger(L, c->given);
        lua_setfield(L, call + 1, "n");
    }
    if (!ends_quietly(L, c, call)) {
        lua_getiuservalue(L, 1, POOL_FINISHED);
        lua_getiuservalue(L, call, CALL_RESULT);
        lua_rawseti(L, -2, p->finished + 1);
        p->finished++;
    }
    mp_call_leave(L, 1, c);
}

/* False where the item runs again. */
static bool item_failed(lua_State *L, mp_lua_call *c, int call, const mp_event *e)
{
    if (try_again(L, c, e))
        return false;
    if (e->kind == MP_EVENT_FAILED)
        push_failure(L, e);
    else if (e->kind == MP_EVENT_LOST)
        push_lost(L, e);
    else if (e->kind == MP_EVENT_TIMEOUT)
        push_late(L, e);
    else if (e->kind == MP_EVENT_DAMAGED)
        push_damaged(L, e);
    else
        push_no_room(L, e);
    keep_error(L, c, call, e);
    return true;
}

static void note_trouble(mp_lua_pool *p, const mp_event *e)
{
    p->trouble.told = true;
    p->trouble.code = e->code;
    p->trouble.status = e->status;
    p->trouble.count = e->count;
}

/* Into the pool's list, as core.texts gives it. */
static void note_text(lua_State *L, mp_lua_pool *p, const mp_event *e)
{
    int top = lua_gettop(L);
    lua_Integer worker = (lua_Integer)e->seat + 1;
    push_table(L, 1, POOL_TEXTS);
    lua_pushlstring(L, (const char *)e->data, e->size);
    lua_rawseti(L, -2, p->texts + 1);
    if (e->kind == MP_EVENT_ANSWER)
        lua_pushliteral(L, "answer");
    else if (e->index != 0)
        lua_pushinteger(L, (lua_Integer)e->index);
    else
        lua_pushboolean(L, 0);
    lua_rawseti(L, -2, p->texts + 2);
    lua_pushinteger(L, e->kind == MP_EVENT_LOG ? -worker : worker);
    lua_rawseti(L, -2, p->texts + 3);
    if (e->user != NULL) {
        push_call(L, e->user);
        lua_getiuservalue(L, -2, CALL_RESULT);
        lua_rawseti(L, top + 1, p->texts + 4);
    } else {
        lua_pushboolean(L, 0);
        lua_rawseti(L, -2, p->texts + 4);
    }
    p->texts += 4;
    lua_settop(L, top);
}

/* Of an event that is no call's. */
static void note_other(lua_State *L, mp_lua_pool *p, const mp_event *e)
{
    if (e->kind == MP_EVENT_TROUBLE)
        note_trouble(p, e);
    else
        note_text(L, p, e);
}

/* Deals with an event of the call at stack index 2 and its values at 3: true if it is
 * still to be settled. */
static bool deal(lua_State *L, mp_lua_pool *p, mp_lua_call *c, const mp_event *e)
{
    p->bytes_in += e->size;
    if (e->kind == MP_EVENT_STATE) { /* the core keeps it, with the item */
        if (c->journal != NULL)
            mp_journal_state(L, c, 2, e);
        return true;
    }
    if (e->kind == MP_EVENT_DONE)
        return store_result(L, c, 2, e);
    if (e->kind != MP_EVENT_CALL_OVER)
        return item_failed(L, c, 2, e);
    call_over(L, p, c, 2);
    return true;
}

/* What the event was is stored: on to the next. A call that is over needs nothing
 * of the core any more. */
static void settle(mp_lua_pool *p, const mp_event *e)
{
    mp_pool_settle(p->pool);
    if (e->kind == MP_EVENT_CALL_OVER) {
        mp_lua_call *c = e->user;
        mp_call_release(c->call);
        c->call = NULL;
    }
}

/* Whether it begins as a number, a boolean or nil does. */
static bool is_plain(const unsigned char *p, size_t size)
{
    return size > 0 && (*p >> 5 <= MP_MAJOR_NEGATIVE || *p >> 5 == MP_MAJOR_SIMPLE);
}

/* Pushes the result if it is plain. Nothing of the script's runs by it, no finalizer either,
 * since nothing is made that the collector counts. */
static bool push_plain(lua_State *L, const unsigned char *p, size_t size)
{
    return is_plain(p, size) && mp_push_scalar(L, &p, p + size);
}

/* Stores what is plain of the n results of the items behind `index` into the table of values
 * at 3, up to the first that is not; their number. */
static unsigned store_plain(lua_State *L, const mp_result_frame results[], unsigned n,
                            uint64_t index)
{
    for (unsigned i = 0; i < n; i++) {
        if (!push_plain(L, results[i].data, results[i].size))
            return i;
        lua_rawseti(L, 3, (lua_Integer)(index + i + 1));
    }
    return n;
}

enum { RUN_MAX = 64 };

/* Settles e, the result of a map's item, and as many of those behind it as are plain, up to
 * `max` in all; their number. */
static lua_Integer settle_run(lua_State *L, mp_lua_pool *p, mp_event *e, lua_Integer max)
{
    mp_result_frame results[RUN_MAX];
    mp_lua_call *c = e->user;
    unsigned most = max - 1 < RUN_MAX ? (unsigned)(max - 1) : RUN_MAX;
    unsigned there = mp_pool_ahead(p->pool, results, most);
    unsigned n = store_plain(L, results, there, e->index);
    for (unsigned i = 0; i < n; i++)
        p->bytes_in += results[i].size;
    c->done += n;
    p->done += c->errand ? 0 : n;
    mp_pool_settle_ahead(p->pool, results, n);
    return n + 1;
}

/* Deals with e, an event of the call at 2, and with the results that follow it, up to `max` in
 * all; their number. */
static lua_Integer deal_on(lua_State *L, mp_lua_pool *p, mp_event *e, lua_Integer max)
{
    mp_lua_call *c = e->user;
    for (lua_Integer n = 1;; n++) {
        lua_settop(L, 3);
        if (!deal(L, p, c, e))
            return n;
        if (e->kind == MP_EVENT_DONE && c->shape == MP_SHAPE_MAP && !c->pack &&
            c->journal == NULL && is_plain(e->data, e->size))
            return n - 1 + settle_run(L, p, e, max - n + 1);
        if (e->kind != MP_EVENT_DONE || n == max) {
            settle(p, e);
            return n;
        }
        if (!mp_pool_follow(p->pool, e))
            return n;
    }
}

/* core.take(pool, max): takes in up to `max` events; their number */
static int take(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    lua_Integer max = luaL_checkinteger(L, 2), n = 0;
    const mp_lua_call *at = NULL; /* whose table of values stands at 3 */
    mp_event e;
    while (n < max && mp_pool_next(p->pool, &e)) {
        if (e.kind == MP_EVENT_TROUBLE || e.kind == MP_EVENT_OUTPUT || e.kind == MP_EVENT_LOG ||
            e.kind == MP_EVENT_ANSWER) {
            note_other(L, p, &e);
            settle(p, &e);
            n++;
            continue;
        }
        if (at == NULL || e.user != at) {
            lua_settop(L, 1);
            push_call(L, e.user);
            at = e.user;
        }
        n += deal_on(L, p, &e, max - n);
    }
    lua_pushinteger(L, n);
    return 1;
}

void mp_open_take(lua_State *L)
{
    lua_pushcfunction(L, take);
    lua_setfield(L, -2, "take");
}
