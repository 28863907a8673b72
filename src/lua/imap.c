/* The imap forms: results handed over one by one, a bounded number in flight.
 *
 * What an item gave stands by its index in one of three tables until it is taken:
 * CALL_VALUES (one value that is not nil), CALL_PACKS (any other number of
 * values), CALL_ERRORS. */
#include "lua/state.h"

enum { WINDOW_ITEMS = 64, WINDOW_MOST = 4096, WINDOW_BYTES = 65536, GRANULE_NS = 20000 };

/* Items that may be in flight: 64 KiB a worker, but 64 items at least and 4096 at most. */
static uint64_t window(const mp_lua_call *c)
{
    uint64_t mean = c->given > 0 ? c->bytes_out / (uint64_t)c->given + 1 : WINDOW_BYTES;
    uint64_t items = WINDOW_BYTES / mean;
    items = items > WINDOW_MOST ? WINDOW_MOST : items;
    if (c->chunk > 0 && (uint64_t)c->chunk * 2 > items)
        items = (uint64_t)c->chunk * 2;
    return mp_pool_workers(c->owner->pool) * (items > WINDOW_ITEMS ? items : WINDOW_ITEMS);
}

static void tune_granule(mp_lua_call *c, uint64_t most)
{
    mp_transport *t = mp_pool_transport(c->owner->pool);
    uint32_t cost = t->ops->item_cost(t, mp_call_kind(c->call));
    uint64_t n = cost == 0 ? 1 : GRANULE_NS / cost;
    uint64_t share = most / (4 * (uint64_t)mp_pool_workers(c->owner->pool));
    mp_call_plan(c, (lua_Integer)(n > share ? share : n));
}

/* core.room(call): how many items to take from the input now; a quarter of the
 * window at least, so that the input is asked seldom and for many */
static int imap_room(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    uint64_t room = 0;
    if (mp_call_lives(c) && !c->stopped && c->owner->giving == NULL) {
        uint64_t most = window(c), flying = (uint64_t)c->given - c->consumed;
        room = flying < most ? most - flying : 0;
        room = room * 4 < most ? 0 : room;
        c->refill_at = most - (most + 3) / 4;
        tune_granule(c, most);
    }
    lua_pushinteger(L, (lua_Integer)room);
    return 1;
}

/* Pushes field `index` of the table in user value `which` and removes it there;
 * pushes nothing where it is nil. */
static bool take_out(lua_State *L, int which, lua_Integer index)
{
    if (lua_getiuservalue(L, 1, which) == LUA_TTABLE && lua_rawgeti(L, -1, index) != LUA_TNIL) {
        lua_pushnil(L);
        lua_rawseti(L, -3, index);
        lua_remove(L, -2);
        return true;
    }
    lua_settop(L, 2);
    return false;
}

/* Above the index, which stands at 2: the item's values, or nil and its error.
 * 0 if it has not come. */
static int push_item(lua_State *L, lua_Integer index)
{
    if (take_out(L, CALL_VALUES, index))
        return 2;
    if (take_out(L, CALL_PACKS, index)) {
        int n = mp_unpack_top(L);
        lua_remove(L, -n - 1);
        return 1 + n;
    }
    return 0;
}

static int push_error(lua_State *L, lua_Integer index)
{
    if (!take_out(L, CALL_ERRORS, index))
        return 0;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 3;
}

static void note_taken(mp_lua_call *c)
{
    c->consumed++;
    if (c->shape == MP_SHAPE_IMAP_UNORDERED) {
        c->order_first = (c->order_first + 1) & (c->order_room - 1);
        c->order_count--;
    }
}

static lua_Integer next_index(const mp_lua_call *c)
{
    bool unordered = c->shape == MP_SHAPE_IMAP_UNORDERED;
    return (lua_Integer)(unordered ? c->order[c->order_first] : c->consumed + 1);
}

/* core.next_plain(call): core.next where one value has come, nothing failed and no input is
 * wanted; else nothing, and the long way is to be taken */
static int imap_next_plain(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    bool refill = !c->stopped && (uint64_t)c->given - c->consumed <= c->refill_at;
    if (c->call == NULL || c->failures > 0 || refill ||
        (c->shape == MP_SHAPE_IMAP_UNORDERED && c->order_count == 0))
        return 0;
    lua_Integer index = next_index(c);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, CALL_VALUES);
    lua_pushinteger(L, index);
    if (lua_rawgeti(L, 2, index) == LUA_TNIL)
        return 0;
    lua_pushnil(L);
    lua_rawseti(L, 2, index);
    note_taken(c);
    return 2;
}

/* core.next(call): index and values of the next item; index, nil and an error;
 * false if it has not come yet; nothing when all that came is taken and no more comes */
static int imap_next(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    bool unordered = c->shape == MP_SHAPE_IMAP_UNORDERED;
    lua_settop(L, 1);
    if (c->over && c->consumed == c->done + c->failures)
        return 0;
    if (unordered && c->order_count == 0) {
        lua_pushboolean(L, 0);
        return 1;
    }
    lua_Integer index = next_index(c);
    lua_pushinteger(L, index);
    int n = c->failures > 0 ? push_error(L, index) : 0;
    if (n == 0)
        n = push_item(L, index);
    if (n == 0) {
        lua_pushboolean(L, 0);
        return 1;
    }
    note_taken(c);
    return n;
}

void mp_open_imap(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"room", imap_room},
        {"next", imap_next},
        {"next_plain", imap_next_plain},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
