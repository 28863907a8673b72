/* The call's userdata: its making, the taking of items from its input, and what
 * came of it. Items are encoded straight into the task memory.
 *
 * Invariants: a call that is not over is anchored in its pool; an error while an
 * item is taken or encoded leaves the items before it as they are. */
#include "lua/baggage.h"
#include "lua/state.h"

#include "codec/classes.h"
#include "codec/names.h"
#include "codec/values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    GRANULES_A_WORKER = 512,
    RUNS_A_WORKER = 16,
    GRANULE_MAX = 64,
    SCRATCH_KEEP = 1 << 20,
    FEED_BYTES = 16 << 20
};

/* ---- making ---- */

/* Threads of this process, as the kernel counts them; 1 where it does not say. */
static unsigned count_threads(void)
{
    struct stat tasks;
    return stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 3 ? (unsigned)tasks.st_nlink - 2
                                                                      : 1;
}

void mp_check_fork(lua_State *L)
{
    unsigned threads = count_threads();
    if (threads > 1)
        mp_raise(L, "state",
                 "start method \"fork\" needs a process with one thread, this one has %u: make "
                 "the pool's first call before other threads are started",
                 threads);
}

/* The function goes to the workers by the fork that makes them. */
static mp_definition *take_in_hand(lua_State *L, mp_lua_pool *p, int function)
{
    mp_error error = {0};
    mp_definition *d = mp_define_in_hand(mp_pool_definitions(p->pool), &error);
    if (d == NULL)
        mp_raise_system(L, &error);
    lua_rawgetp(L, LUA_REGISTRYINDEX, p);
    lua_pushvalue(L, function);
    lua_rawseti(L, -2, (lua_Integer)d->id);
    lua_pop(L, 1);
    mp_metatables_adopt(L, function);
    mp_modules_note(L, p);
    return d;
}

static void function_error(lua_State *L, mp_buffer *b)
{
    int status = b->error;
    mp_buffer_free(b);
    if (status < 0)
        mp_raise(L, "system", "no memory to encode a function");
    lua_pop(L, 1);
    mp_error_codec(L, "encode", "function");
    lua_error(L);
}

static int collect_scratch(lua_State *L)
{
    mp_buffer_free(lua_touserdata(L, 1));
    return 0;
}

/* Pushes one value. A metamethod may call the pool while its own buffer is in use:
 * then it is a new one, which is collected should an error pass. */
static mp_buffer *push_scratch(lua_State *L, mp_lua_pool *p)
{
    if (!p->encoding) {
        p->scratch.len = 0;
        p->scratch.error = 0;
        lua_pushnil(L);
        return &p->scratch;
    }
    mp_buffer *b = lua_newuserdatauv(L, sizeof *b, 0);
    mp_buffer_init_heap(b);
    luaL_setmetatable(L, MP_SCRATCH_META);
    return b;
}

static mp_definition *send_by_value(lua_State *L, mp_lua_pool *p, int function)
{
    mp_error error = {0};
    bool outer = p->encoding;
    mp_names_refresh(L);
    mp_buffer *b = push_scratch(L, p);
    p->encoding = true;
    int status = mp_encode(L, function, 1, MP_CODEC_FUNCTIONS | MP_CODEC_NOTE_MODULES, b);
    p->encoding = outer;
    if (status < 0)
        function_error(L, b);
    size_t size = b->len;
    mp_definition *d = mp_pool_define(p->pool, b->data, b->len, &error);
    if (outer || b->cap > SCRATCH_KEEP)
        mp_buffer_free(b);
    lua_pop(L, 1);
    if (d == NULL)
        mp_raise_system(L, &error);
    mp_modules_check(L, p);
    if (size > MP_BAGGAGE_MAX && d->id != p->last_large) {
        p->last_large = d->id;
        mp_baggage_warn(L, function, size);
    }
    return d;
}

static void replace_anchor(lua_State *L, int pool_index, mp_lua_call *c)
{
    lua_getiuservalue(L, pool_index, POOL_CALLS);
    lua_insert(L, -2);
    lua_rawsetp(L, -2, c);
    lua_pop(L, 1);
}

static void anchor(lua_State *L, int pool_index, mp_lua_call *c)
{
    lua_pushvalue(L, -1);
    replace_anchor(L, pool_index, c);
}

/* An input or a metamethod may end the call, and its pool. */
static inline bool goes_on(const mp_lua_call *c)
{
    return c->call != NULL && c->owner->pool != NULL;
}

bool mp_call_lives(const mp_lua_call *c)
{
    return goes_on(c) && c->owner->generation == mp_fork_generation();
}

static mp_lua_call *push_call(lua_State *L, mp_lua_pool *p, int pool_index)
{
    mp_lua_call *c = lua_newuserdatauv(L, sizeof *c, CALL_USER_VALUES);
    *c = (mp_lua_call){.owner = p, .count = -1};
    luaL_setmetatable(L, MP_CALL_META);
    lua_pushvalue(L, pool_index);
    lua_setiuservalue(L, -2, CALL_POOL);
    return c;
}

/* A metamethod or a finalizer that runs while an item is encoded comes here. */
static void check_not_giving(lua_State *L, const mp_lua_pool *p)
{
    if (p->giving != NULL)
        mp_raise(L, "state",
                 "the pool cannot be given work while item %lld of another call is encoded",
                 (long long)p->giving->given + 1);
}

/* Behind an error that a metamethod raised nobody is giving any more. */
static void stop_giving(const mp_lua_call *c)
{
    if (c->owner->giving != c)
        return;
    c->owner->giving = NULL;
    c->owner->encoding = c->within;
}

/* From here on there may be events of the call, so it is anchored by now. */
static int open_call(mp_lua_call *c, mp_definition *d, uint32_t flags, uint64_t word,
                     bool first_call, mp_error *error)
{
    c->call = mp_call_open(c->owner->pool, d, flags, c, error);
    if (c->call == NULL)
        return -ENOMEM;
    mp_call_word(c->call, word);
    int status = first_call ? mp_pool_want(c->owner->pool, 1, error) : 0;
    if (status < 0) {
        mp_call_release(c->call);
        c->call = NULL;
    }
    return status;
}

/* core.call(pool, function, shape, keep_going, star, chunk, result, seed,
 * pack, by_value): a call without items, also as result.call, where it stands whenever an
 * interrupt comes; item i is to have the random numbers of (seed, i). The call that makes
 * workers gives them its function in hand, unless by_value. */
static int call_new(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    check_not_giving(L, p);
    enum mp_shape shape = (enum mp_shape)luaL_checkinteger(L, 3);
    lua_settop(L, 10);
    mp_lua_call *c = push_call(L, p, 1);
    c->shape = shape;
    c->keep_going = lua_toboolean(L, 4);
    c->star = lua_toboolean(L, 5);
    c->chunk = luaL_optinteger(L, 6, 0);
    lua_pushvalue(L, 7);
    lua_setiuservalue(L, 11, CALL_RESULT);
    lua_pushvalue(L, 11);
    lua_setfield(L, 7, "call");
    /* Asked behind the allocations above: a finalizer may make the first call. */
    bool first_call = mp_pool_transport(p->pool)->ops->crew(mp_pool_transport(p->pool)) == 0;
    if (first_call)
        mp_check_fork(L);
    bool in_hand = first_call && !lua_toboolean(L, 10);
    mp_definition *d = in_hand ? take_in_hand(L, p, 2) : send_by_value(L, p, 2);
    c->pack = lua_toboolean(L, 9);
    uint64_t word = (uint64_t)luaL_checkinteger(L, 8);
    uint32_t flags = shape == MP_SHAPE_MAP && !c->pack ? MP_CALL_FIRST_VALUE : 0;
    anchor(L, 1, c);
    mp_error error = {0};
    if (open_call(c, d, flags, word, first_call, &error) < 0) {
        lua_pushnil(L);
        replace_anchor(L, 1, c);
        return mp_raise_system(L, &error);
    }
    return 1;
}

static int call_free(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    stop_giving(c);
    if (mp_call_lives(c))
        mp_call_release(c->call);
    c->call = NULL;
    free(c->order);
    c->order = NULL;
    c->order_room = c->order_count = 0;
    return 0;
}

/* ---- input ---- */

void mp_call_plan(mp_lua_call *c, lua_Integer items)
{
    lua_Integer most = c->owner->max_items > 0 && c->owner->max_items < GRANULE_MAX
                           ? c->owner->max_items
                           : GRANULE_MAX;
    lua_Integer n = items > most ? most : items;
    mp_call_granule(c->call, (uint64_t)(c->chunk > 0 ? c->chunk : n < 1 ? 1 : n));
}

/* Long runs: each ends in a value that the host combines with the others'. */
static uint64_t run_length(const mp_lua_call *c, lua_Integer items)
{
    lua_Integer most = c->owner->max_items;
    if (c->chunk > 0)
        items = c->chunk;
    else if (most > 0 && items > most)
        items = most;
    return items < 1 ? 1 : (uint64_t)items;
}

static void set_granule(mp_lua_call *c)
{
    lua_Integer workers = (lua_Integer)mp_pool_workers(c->owner->pool);
    lua_Integer items = c->count >= 0 ? c->count : c->expected > c->given ? c->expected : c->given;
    if (c->in_runs)
        mp_call_granule(c->call, run_length(c, items / (RUNS_A_WORKER * workers)));
    else
        mp_call_plan(c,
                     c->count < 0 && c->expected == 0 ? 1 : items / (GRANULES_A_WORKER * workers));
}

static void set_values_table(lua_State *L, const mp_lua_call *c)
{
    if (c->shape == MP_SHAPE_APPLY)
        return;
    bool presize = c->shape == MP_SHAPE_MAP && !c->in_runs && c->count > 0 && c->count < (1 << 26);
    lua_createtable(L, presize ? (int)c->count : 0, 1);
    lua_setiuservalue(L, 1, CALL_VALUES);
}

/* core.input(call, "args"|"table", t, n) | (call, "range", first, step, n) |
 * (call, "function", f): where the items come from */
static int call_input(lua_State *L)
{
    static const char *const names[] = {"none", "args", "table", "range", "function", NULL};
    mp_lua_call *c = mp_check_call(L, 1);
    c->input = (enum mp_input)luaL_checkoption(L, 2, NULL, names);
    if (c->input == MP_INPUT_RANGE) {
        c->integers = lua_isinteger(L, 3) && lua_isinteger(L, 4);
        c->first = c->integers ? lua_tointeger(L, 3) : 0;
        c->step = c->integers ? lua_tointeger(L, 4) : 0;
        c->first_number = luaL_checknumber(L, 3);
        c->step_number = luaL_checknumber(L, 4);
        c->count = luaL_checkinteger(L, 5);
    } else {
        c->count = c->input == MP_INPUT_ARGS ? 1 : luaL_optinteger(L, 4, -1);
        lua_pushvalue(L, 3);
        lua_setiuservalue(L, 1, CALL_INPUT);
    }
    set_granule(c);
    set_values_table(L, c);
    return 0;
}

int mp_unpack_top(lua_State *L)
{
    int t = lua_gettop(L);
    lua_Integer n = lua_getfield(L, t, "n") == LUA_TNUMBER ? lua_tointeger(L, -1) : luaL_len(L, t);
    lua_pop(L, 1);
    if (n < 0 || n > 1000000 || !lua_checkstack(L, (int)n + 16))
        mp_raise(L, "argument", "an argument list of %lld values is too long", (long long)n);
    for (lua_Integer i = 1; i <= n; i++)
        lua_geti(L, t, i);
    return (int)n;
}

/* What stands above `base` becomes the item's argument list: its first value
 * index in *first, returns how many. */
static int arrange(lua_State *L, const mp_lua_call *c, int base, int *first)
{
    int n = lua_gettop(L) - base;
    *first = base + 1;
    if (!c->star)
        return n > 1 ? 1 : n;
    if (n == 1 && lua_istable(L, base + 1)) {
        n = mp_unpack_top(L);
        *first = base + 2;
    }
    return n;
}

static void check_goes_on(lua_State *L, const mp_lua_call *c)
{
    if (!goes_on(c))
        mp_raise(L, "cancelled", "the call was ended while its item %lld was made",
                 (long long)c->given + 1);
}

static void item_error(lua_State *L, const mp_lua_call *c, int status)
{
    char root[64];
    if (status < 0) {
        mp_error error = {0};
        mp_fail(&error, status, "cannot store item %lld", (long long)c->given + 1);
        mp_raise_system(L, &error);
    }
    lua_Integer which = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (c->input == MP_INPUT_ARGS)
        snprintf(root, sizeof root, "argument %lld", (long long)which);
    else if (c->star)
        snprintf(root, sizeof root, "item %lld, argument %lld", (long long)c->given + 1,
                 (long long)which);
    else
        snprintf(root, sizeof root, "item %lld", (long long)c->given + 1);
    mp_error_codec(L, "encode", root);
    lua_error(L);
}

/* Hands out the item whose values stand above `base`, and pops them. */
static void give_item(lua_State *L, mp_lua_call *c, int base)
{
    mp_error error = {0};
    mp_lua_pool *p = c->owner;
    int first, n = arrange(L, c, base, &first);
    check_goes_on(L, c);
    mp_buffer *b = mp_call_begin_item(c->call, &error);
    if (b == NULL)
        mp_raise_system(L, &error);
    size_t start = b->len;
    bool outer = p->encoding;
    b->error = 0;
    c->within = outer;
    p->encoding = true;
    p->giving = c;
    int status = mp_encode(L, first, n, MP_CODEC_FUNCTIONS, b);
    p->encoding = outer;
    p->giving = NULL;
    if (status < 0)
        item_error(L, c, b->error);
    check_goes_on(L, c);
    c->bytes_out += b->len - start;
    p->bytes_out += b->len - start;
    c->given++;
    p->items++;
    if (mp_call_end_item(c->call, &error) < 0)
        mp_raise_system(L, &error);
    lua_settop(L, base);
}

static void push_range_value(lua_State *L, const mp_lua_call *c)
{
    if (c->integers)
        lua_pushinteger(L, (lua_Integer)((lua_Unsigned)c->first +
                                         (lua_Unsigned)c->given * (lua_Unsigned)c->step));
    else
        lua_pushnumber(L, c->first_number + (lua_Number)c->given * c->step_number);
}

/* core.feed's frame: 1 call, 2 budget, 3 input. */
static int feed(lua_State *L, int status, lua_KContext given_before);

/* Pushes the next item's values; false at the end of the input. */
static bool pull(lua_State *L, mp_lua_call *c, lua_KContext context)
{
    switch (c->input) {
    case MP_INPUT_NONE:
        return false;
    case MP_INPUT_ARGS:
        if (c->given == 1)
            return false;
        lua_pushvalue(L, 3);
        return true;
    case MP_INPUT_TABLE:
        if (c->given >= c->count)
            return false;
        lua_geti(L, 3, c->given + 1);
        return true;
    case MP_INPUT_RANGE:
        if (c->given >= c->count)
            return false;
        push_range_value(L, c);
        return true;
    case MP_INPUT_FUNCTION:
        lua_pushvalue(L, 3);
        lua_callk(L, 0, LUA_MULTRET, context, feed);
        return lua_gettop(L) > 3 && !lua_isnil(L, 4);
    }
    return false;
}

/* Called straight, and again as the continuation of an input that yielded: what
 * it returned then stands above 3. Returns whether the input has more. */
static int feed(lua_State *L, int status, lua_KContext given_before)
{
    mp_lua_call *c = mp_check_call(L, 1);
    lua_Integer budget = lua_tointeger(L, 2);
    bool resumed = status == LUA_YIELD;
    uint64_t bytes_before = c->bytes_out;
    while (goes_on(c) && c->given - (lua_Integer)given_before < budget && !c->stopped &&
           c->bytes_out - bytes_before < FEED_BYTES) {
        bool more = resumed ? lua_gettop(L) > 3 && !lua_isnil(L, 4) : pull(L, c, given_before);
        resumed = false;
        if (!more) {
            lua_pushboolean(L, 0);
            return 1;
        }
        give_item(L, c, 3);
    }
    lua_pushboolean(L, goes_on(c) && !c->stopped);
    return 1;
}

/* core.feed(call, budget): takes up to `budget` items, fewer where they are large;
 * false when no more will come. */
static int call_feed(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    luaL_checkinteger(L, 2);
    lua_settop(L, 2);
    if (!mp_call_lives(c))
        return 0;
    check_not_giving(L, c->owner);
    if (c->in_runs && c->count < 0)
        set_granule(c);
    if (c->input == MP_INPUT_RANGE)
        lua_pushnil(L);
    else
        lua_getiuservalue(L, 1, CALL_INPUT);
    return feed(L, LUA_OK, c->given);
}

/* core.flush(call): hands out what is encoded */
static int call_flush(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    mp_error error = {0};
    stop_giving(c);
    if (mp_call_lives(c) && mp_call_flush(c->call, &error) < 0)
        return mp_raise_system(L, &error);
    return 0;
}

/* core.seal(call): no more items */
static int call_seal(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    mp_error error = {0};
    c->stopped = true;
    if (mp_call_lives(c) && mp_call_seal(c->call, &error) < 0)
        return mp_raise_system(L, &error);
    return 0;
}

/* ---- what came of it ---- */

/* core.limit(call, index): cancels the items from `index` on */
static int call_limit(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    c->stopped = true;
    if (mp_call_lives(c))
        mp_call_limit(c->call, (uint64_t)luaL_checkinteger(L, 2));
    return 0;
}

/* core.release(call): nothing of it is wanted any more */
static int call_release(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    c->stopped = true;
    if (c->shape <= MP_SHAPE_MAP)
        stop_giving(c); /* of an iterator this may be a metamethod */
    if (!mp_call_lives(c))
        return 0;
    mp_call_release(c->call);
    c->call = NULL;
    lua_getiuservalue(L, 1, CALL_POOL);
    lua_getiuservalue(L, -1, POOL_CALLS);
    lua_pushnil(L);
    lua_rawsetp(L, -2, c);
    return 0;
}

/* core.over(call): nothing more will come of it */
static int call_over(lua_State *L)
{
    const mp_lua_call *c = mp_check_call(L, 1);
    lua_pushboolean(L, c->over || c->call == NULL);
    return 1;
}

/* core.counts(call): items given, done, failed */
static int call_counts(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    lua_pushinteger(L, c->given);
    lua_pushinteger(L, (lua_Integer)c->done);
    lua_pushinteger(L, (lua_Integer)c->failures);
    return 3;
}

/* core.errors(call): the lowest failed index or nil, errors by index or nil */
static int call_errors(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    if (c->lowest_error == 0)
        return 0;
    lua_pushinteger(L, (lua_Integer)c->lowest_error);
    lua_getiuservalue(L, 1, CALL_ERRORS);
    return 2;
}

/* core.values(call): of apply the values, of map the table of them */
static int call_values(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    lua_getiuservalue(L, 1, CALL_VALUES);
    if (c->shape != MP_SHAPE_APPLY || c->values == 1)
        return 1;
    if (c->values == 0)
        return 0;
    luaL_checkstack(L, (int)c->values + 2, "too many results");
    int t = lua_gettop(L);
    for (lua_Integer i = 1; i <= c->values; i++)
        lua_rawgeti(L, t, i);
    return (int)c->values;
}

void mp_open_call(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"call", call_new},        {"input", call_input},   {"feed", call_feed},
        {"flush", call_flush},     {"seal", call_seal},     {"limit", call_limit},
        {"release", call_release}, {"over", call_over},     {"counts", call_counts},
        {"errors", call_errors},   {"values", call_values}, {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, MP_CALL_META);
    lua_pushcfunction(L, call_free);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, MP_SCRATCH_META);
    lua_pushcfunction(L, collect_scratch);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 2);
}
