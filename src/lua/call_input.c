/* Where a call's items come from: tables, ranges, functions. Items are encoded straight into the
 * task memory.
 *
 * Invariant: an error while an item is taken or encoded leaves the items before it as they
 * are. */
#include "lua/journal.h"

#include "codec/encode_scalar.h"
#include "codec/values.h"

#include <stdio.h>

enum {
    GRANULES_A_WORKER = 512,
    RUNS_A_WORKER = 16,
    GRANULE_MAX = 64,
    FEED_BYTES = 16 << 20,
};

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

/* A number's bits, as mp_push_made takes them. */
static uint64_t bits_at(lua_State *L, int index, bool floats)
{
    if (!floats)
        return (uint64_t)lua_tointeger(L, index);
    double number = lua_tonumber(L, index);
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* First, step and count stand at 3 to 5. Where results are handed over one by one a range is
 * pulled as any other input is, since what may be in flight changes from item to item. */
static void set_range(lua_State *L, mp_lua_call *c)
{
    luaL_checknumber(L, 3);
    luaL_checknumber(L, 4);
    c->floats = !lua_isinteger(L, 3) || !lua_isinteger(L, 4);
    c->recipe[0] = bits_at(L, 3, c->floats);
    c->recipe[1] = bits_at(L, 4, c->floats);
    c->count = luaL_checkinteger(L, 5);
    c->made = c->shape == MP_SHAPE_MAP && c->journal == NULL && mp_call_lives(c);
    if (c->made)
        mp_call_recipe(c->call, c->recipe[0], c->recipe[1], c->floats ? MP_CALL_NUMBERS : 0);
}

/* core.input(call, "args"|"table", t, n) | (call, "range", first, step, n) |
 * (call, "function", f): where the items come from */
static int call_input(lua_State *L)
{
    static const char *const names[] = {"none", "args", "table", "range", "function", NULL};
    mp_lua_call *c = mp_check_call(L, 1);
    c->input = (enum mp_input)luaL_checkoption(L, 2, NULL, names);
    if (c->input == MP_INPUT_RANGE) {
        set_range(L, c);
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
    if (!mp_call_goes_on(c))
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

/* The item's bytes are written: it is handed out with its granule. */
static void end_item(lua_State *L, mp_lua_call *c, size_t bytes)
{
    mp_error error = {0};
    c->bytes_out += bytes;
    c->owner->bytes_out += bytes;
    c->given++;
    c->owner->items++;
    if (mp_call_end_item(c->call, &error) < 0)
        mp_raise_system(L, &error);
}

static mp_buffer *begin_item(lua_State *L, const mp_lua_call *c)
{
    mp_error error = {0};
    mp_buffer *b = mp_call_begin_item(c->call, &error);
    if (b == NULL)
        mp_raise_system(L, &error);
    b->error = 0;
    return b;
}

/* The item's result is known already: it does not run. */
static void skip_item(lua_State *L, mp_lua_call *c)
{
    mp_error error = {0};
    if (mp_call_skip(c->call, &error) < 0)
        mp_raise_system(L, &error);
    c->given++;
}

/* Behind an item that was skipped a granule may begin in the midst of a chunk: it ends with it. */
static void keep_to_chunks(lua_State *L, const mp_lua_call *c)
{
    mp_error error = {0};
    if (c->chunk > 0 && c->given % c->chunk == 0 && mp_call_flush(c->call, &error) < 0)
        mp_raise_system(L, &error);
}

/* Hands out the item whose values stand above `base`, and pops them; `call`: where the call stands.
 */
static void give_item(lua_State *L, mp_lua_call *c, int call, int base)
{
    mp_lua_pool *p = c->owner;
    int first, n = arrange(L, c, base, &first);
    check_goes_on(L, c);
    mp_buffer *b = begin_item(L, c);
    size_t start = b->len;
    bool outer = p->encoding;
    c->within = outer;
    p->encoding = true;
    p->giving = c;
    int status = mp_encode(L, first, n, MP_CODEC_FUNCTIONS, b);
    p->encoding = outer;
    p->giving = NULL;
    if (status < 0)
        item_error(L, c, b->error);
    check_goes_on(L, c);
    size_t size = b->len - start;
    if (c->journal != NULL && mp_journal_recall(L, c, call, first, n, b->data + start, size))
        skip_item(L, c);
    else
        end_item(L, c, size);
    if (c->journal != NULL)
        keep_to_chunks(L, c);
    lua_settop(L, base);
}

/* give_item, where one number stands above `base`: nothing of the script's runs. */
static void give_number(lua_State *L, mp_lua_call *c, int base)
{
    check_goes_on(L, c);
    mp_buffer *b = begin_item(L, c);
    size_t start = b->len;
    int status = mp_put_scalar(b, MP_CODEC_FUNCTIONS, L, base + 1, LUA_TNUMBER);
    if (status < 0)
        item_error(L, c, status);
    end_item(L, c, b->len - start);
    lua_settop(L, base);
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
        mp_push_made(L, c->recipe, c->floats, (uint64_t)c->given + 1);
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
    while (mp_call_goes_on(c) && c->given - (lua_Integer)given_before < budget && !c->stopped &&
           c->bytes_out - bytes_before < FEED_BYTES) {
        bool more = resumed ? lua_gettop(L) > 3 && !lua_isnil(L, 4) : pull(L, c, given_before);
        resumed = false;
        if (!more) {
            lua_pushboolean(L, 0);
            return 1;
        }
        if (lua_type(L, -1) == LUA_TNUMBER && lua_gettop(L) == 4 && c->journal == NULL)
            give_number(L, c, 3);
        else
            give_item(L, c, 1, 3);
    }
    lua_pushboolean(L, mp_call_goes_on(c) && !c->stopped);
    return 1;
}

/* Hands out granules of at least `budget` items that are made, if the input has so many;
 * whether it has more. */
static bool feed_made(lua_State *L, mp_lua_call *c, lua_Integer budget)
{
    mp_error error = {0};
    lua_Integer enough = c->count - c->given < budget ? c->count : c->given + budget;
    while (!c->stopped && c->given < enough) {
        uint32_t n;
        int status = mp_call_add_made(c->call, (uint64_t)(c->count - c->given), &n, &error);
        c->given += n;
        c->owner->items += n;
        c->owner->bytes_out += sizeof(mp_granule);
        if (status < 0)
            mp_raise_system(L, &error);
    }
    return !c->stopped && c->given < c->count;
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
    mp_check_not_giving(L, c->owner);
    if (c->in_runs && c->count < 0)
        set_granule(c);
    if (c->made) {
        lua_pushboolean(L, feed_made(L, c, lua_tointeger(L, 2)));
        return 1;
    }
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
    mp_stop_giving(c);
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

void mp_call_give(lua_State *L, int call)
{
    mp_lua_call *c = lua_touserdata(L, call);
    mp_error error = {0};
    c->input = MP_INPUT_ARGS;
    c->count = 1;
    mp_call_granule(c->call, 1);
    give_item(L, c, call, call);
    c->stopped = true;
    if (mp_call_lives(c) && mp_call_seal(c->call, &error) < 0)
        mp_raise_system(L, &error);
}

/* core.give(call, args): core.input, core.feed and core.seal of a call of one item */
static int call_give(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    lua_settop(L, 2);
    if (!mp_call_lives(c))
        return 0;
    mp_check_not_giving(L, c->owner);
    mp_call_give(L, 1);
    return 0;
}

void mp_open_input(lua_State *L)
{
    static const luaL_Reg functions[] = {{"input", call_input}, {"feed", call_feed},
                                         {"flush", call_flush}, {"seal", call_seal},
                                         {"give", call_give},   {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
