/* The call's userdata: its making, and what came of it.
 *
 * Invariant: a call that is not over is anchored in its pool. */
#include "lua/baggage.h"
#include "lua/journal.h"

#include "base/memory.h"
#include "lua/fresh.h"
#include "lua/label.h"
#include "lua/record.h"

#include "codec/classes.h"
#include "codec/names.h"
#include "codec/stack.h"
#include "codec/values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCRATCH_KEEP = 1 << 20 };

/* ---- making ---- */

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

/* A function without upvalues that is no module's has nothing that could change. */
static bool is_constant(lua_State *L, int function)
{
    if (!lua_isfunction(L, function) || lua_iscfunction(L, function))
        return false;
    if (lua_getupvalue(L, function, 1) != NULL) {
        lua_pop(L, 1);
        return false;
    }
    bool named = lua_getfield(L, LUA_REGISTRYINDEX, MP_NAMED_MODULES) == LUA_TTABLE;
    if (named) {
        lua_pushnil(L);
        named = lua_next(L, -2) != 0;
        lua_pop(L, named ? 2 : 0);
    }
    lua_pop(L, 1);
    return !named;
}

static void note_sent(lua_State *L, mp_lua_pool *p, int function, mp_definition *d)
{
    if (p->sent != NULL)
        mp_undefine(mp_pool_definitions(p->pool), p->sent);
    p->sent = mp_define_again(d);
    lua_pushvalue(L, function);
    lua_setiuservalue(L, 1, POOL_SENT);
}

/* The definition of the function, if it is the one that was noted. */
static mp_definition *sent_already(lua_State *L, const mp_lua_pool *p, int function)
{
    if (p->sent == NULL)
        return NULL;
    lua_getiuservalue(L, 1, POOL_SENT);
    bool same = lua_rawequal(L, -1, function);
    lua_pop(L, 1);
    return same ? mp_define_again(p->sent) : NULL;
}

/* The pool stands at 1. */
static mp_definition *send_by_value(lua_State *L, mp_lua_pool *p, int function)
{
    mp_error error = {0};
    bool outer = p->encoding;
    mp_definition *known = sent_already(L, p, function);
    if (known != NULL)
        return known;
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
    if (is_constant(L, function))
        note_sent(L, p, function, d);
    mp_modules_check(L, p);
    if (size > MP_BAGGAGE_MAX && d->id != p->last_large) {
        p->last_large = d->id;
        mp_baggage_warn(L, function, size);
    }
    return d;
}

/* Keeps the call on top, until mp_call_leave. */
static void anchor(lua_State *L, int pool_index, mp_lua_call *c)
{
    lua_getiuservalue(L, pool_index, POOL_CALLS);
    lua_pushvalue(L, -2);
    c->number = luaL_ref(L, -2);
    lua_pop(L, 1);
}

void mp_call_leave(lua_State *L, int index, mp_lua_call *c)
{
    if (c->number == 0)
        return;
    lua_getiuservalue(L, index, POOL_CALLS);
    luaL_unref(L, -1, c->number);
    c->number = 0;
    lua_pop(L, 1);
}

bool mp_call_lives(const mp_lua_call *c)
{
    return mp_call_goes_on(c) && c->owner->generation == mp_fork_generation();
}

/* A map or an apply is anchored until it is over, which frees what it has. */
static void set_metatable(lua_State *L, enum mp_shape shape)
{
    if (shape <= MP_SHAPE_MAP)
        lua_rawgetp(L, LUA_REGISTRYINDEX, &mp_call_plain_meta);
    else
        luaL_getmetatable(L, MP_CALL_META);
    lua_setmetatable(L, -2);
}

static mp_lua_call *push_call(lua_State *L, mp_lua_pool *p, int pool_index, enum mp_shape shape,
                              mp_lua_journal *journal)
{
    int values = journal != NULL           ? CALL_JOURNAL_VALUES
                 : shape == MP_SHAPE_APPLY ? CALL_APPLY_VALUES
                                           : CALL_USER_VALUES;
    mp_lua_call *c = lua_newuserdatauv(L, sizeof *c, values);
    *c = (mp_lua_call){.self = c, .owner = p, .count = -1, .shape = shape, .journal = journal};
    set_metatable(L, shape);
    lua_pushvalue(L, pool_index);
    lua_setiuservalue(L, -2, CALL_POOL);
    return c;
}

void mp_check_not_giving(lua_State *L, const mp_lua_pool *p)
{
    if (p->giving != NULL)
        mp_raise(L, "state",
                 "the pool cannot be given work while item %lld of another call is encoded",
                 (long long)p->giving->given + 1);
}

void mp_stop_giving(const mp_lua_call *c)
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

/* The seed of the pool's k-th call: it uses the k-th output of SplitMix64 started at the
 * pool's seed (Steele, Lea and Flood, 2014), so that no two share a stream of random numbers. */
static uint64_t seed_of(const mp_lua_pool *p, uint64_t k)
{
    uint64_t z = p->seed + k * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint64_t next_seed(mp_lua_pool *p)
{
    return seed_of(p, ++p->seeds_used);
}

/* Opens the call that stands on top, of the function at 2 and the pool at 1, whose result object
 * stands at `result`. */
static void start_call(lua_State *L, mp_lua_call *c, int result, uint64_t word, bool by_value)
{
    mp_lua_pool *p = c->owner;
    int call = lua_gettop(L);
    lua_pushvalue(L, result);
    lua_setiuservalue(L, call, CALL_RESULT);
    lua_pushvalue(L, call);
    lua_setfield(L, result, "call");
    /* Asked behind the allocations above: a finalizer may make the first call. */
    bool first_call = mp_pool_transport(p->pool)->ops->crew(mp_pool_transport(p->pool)) == 0;
    bool forks = first_call && mp_fresh_prepare(L, p) == MP_START_FORK;
    bool in_hand = forks && !by_value;
    mp_definition *d = in_hand ? take_in_hand(L, p, 2) : send_by_value(L, p, 2);
    mp_label_definition(L, p, d, 2);
    uint64_t definition = d->id;
    uint32_t flags = c->shape == MP_SHAPE_MAP && !c->pack ? MP_CALL_FIRST_VALUE : 0;
    lua_settop(L, call);
    anchor(L, 1, c);
    mp_error error = {0};
    if (open_call(c, d, flags, word, first_call, &error) < 0) {
        mp_call_leave(L, 1, c);
        mp_raise_system(L, &error);
    }
    if (p->record != NULL)
        mp_record_opened(L, c, definition);
}

/* core.call(pool, function, shape, keep_going, star, chunk, result, seed or nil,
 * pack, by_value, journal or nil): a call without items, also as result.call, where it stands
 * whenever an interrupt comes; item i is to have the random numbers of (seed, i). The call that
 * makes workers gives them its function in hand, unless by_value. */
static int call_new(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    mp_check_not_giving(L, p);
    lua_settop(L, 11);
    uint64_t word = next_seed(p);
    if (!lua_isnil(L, 8))
        word = (uint64_t)luaL_checkinteger(L, 8);
    mp_lua_journal *journal = mp_lua_journal_at(L, 11);
    mp_lua_call *c = push_call(L, p, 1, (enum mp_shape)luaL_checkinteger(L, 3), journal);
    if (journal != NULL) {
        lua_pushvalue(L, 11);
        lua_setiuservalue(L, -2, CALL_JOURNAL);
    }
    c->keep_going = lua_toboolean(L, 4);
    c->star = lua_toboolean(L, 5);
    c->chunk = luaL_optinteger(L, 6, 0);
    c->pack = lua_toboolean(L, 9);
    c->attended = c->shape != MP_SHAPE_APPLY;
    start_call(L, c, 7, word, lua_toboolean(L, 10));
    return 1;
}

/* core.next_seed(pool): the seed that its next call gets where none is given */
static int call_next_seed(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    lua_pushinteger(L, (lua_Integer)seed_of(p, p->seeds_used + 1));
    return 1;
}

/* core.apply(pool, function, args, result): a call of one item, which is handed out and counts
 * as outstanding; as core.call otherwise */
static int call_apply(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    mp_check_not_giving(L, p);
    lua_settop(L, 4);
    mp_lua_call *c = push_call(L, p, 1, MP_SHAPE_APPLY, NULL);
    c->star = true;
    start_call(L, c, 4, next_seed(p), false);
    lua_pushvalue(L, 3);
    mp_call_give(L, 5);
    if (!c->over) {
        c->outstanding = true;
        p->outstanding++;
    }
    return 0;
}

/* core.attend(call): its end is to be told by core.finished, whatever it is */
static int call_attend(lua_State *L)
{
    mp_check_call(L, 1)->attended = true;
    return 0;
}

/* core.count(call): it counts as outstanding until core.uncount(call) */
static int call_count(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    c->owner->outstanding += !c->outstanding;
    c->outstanding = true;
    return 0;
}

static int call_uncount(lua_State *L)
{
    mp_call_forget(mp_check_call(L, 1));
    return 0;
}

static int call_free(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    mp_stop_giving(c);
    if (mp_call_lives(c))
        mp_call_release(c->call);
    c->call = NULL;
    mp_free(c->order);
    c->order = NULL;
    c->order_room = c->order_count = 0;
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
        mp_stop_giving(c); /* of an iterator this may be a metamethod */
    if (!mp_call_lives(c))
        return 0;
    mp_call_release(c->call);
    c->call = NULL;
    lua_getiuservalue(L, 1, CALL_POOL);
    mp_call_leave(L, 2, c);
    return 0;
}

/* core.over(call): nothing more will come of it */
static int call_over(lua_State *L)
{
    const mp_lua_call *c = mp_check_call(L, 1);
    lua_pushboolean(L, c->over || c->call == NULL);
    return 1;
}

/* core.counts(call): items given, done, failed, and how often one was run again */
static int call_counts(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    lua_pushinteger(L, c->given);
    lua_pushinteger(L, (lua_Integer)c->done);
    lua_pushinteger(L, (lua_Integer)c->failures);
    lua_pushinteger(L, (lua_Integer)c->retried);
    return 4;
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
    mp_check_stack(L, (int)c->values + 2, "too many results");
    int t = lua_gettop(L);
    for (lua_Integer i = 1; i <= c->values; i++)
        lua_rawgeti(L, t, i);
    return (int)c->values;
}

void mp_open_call(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"call", call_new},
        {"apply", call_apply},
        {"attend", call_attend},
        {"count", call_count},
        {"uncount", call_uncount},
        {"limit", call_limit},
        {"release", call_release},
        {"over", call_over},
        {"counts", call_counts},
        {"errors", call_errors},
        {"values", call_values},
        {"next_seed", call_next_seed},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, MP_CALL_META);
    lua_pushcfunction(L, call_free);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    lua_pushliteral(L, MP_CALL_META);
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &mp_call_plain_meta);
    luaL_newmetatable(L, MP_SCRATCH_META);
    lua_pushcfunction(L, collect_scratch);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 2);
}
