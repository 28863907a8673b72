/* Starts the record of a pool and hands out what it holds.
 *
 * Invariant: a record lives as long as its pool's userdata, that is longer than the pool itself,
 * so that a timeline can be had behind its end. */
#include "lua/record.h"

#include "base/clock.h"
#include "base/memory.h"
#include "codec/values.h"

#include <stdio.h>

enum { ITEMS_MOST = 4 << 20, VARINT_MAX = 10 };

/* ---- recording ---- */

/* core.record(pool): the items of calls that are made from here on are recorded */
static int record_start(lua_State *L)
{
    mp_lua_pool *p = mp_check_pool(L, 1);
    if (p->record != NULL)
        return 0;
    lua_newtable(L);
    lua_setiuservalue(L, 1, POOL_NAMES);
    p->record = mp_record_new(ITEMS_MOST);
    if (p->record == NULL)
        return mp_raise(L, "system", "no memory to record what a pool does");
    mp_pool_record(p->pool, p->record);
    return 0;
}

void mp_record_forget(mp_lua_pool *p)
{
    mp_record_free(p->record);
    p->record = NULL;
}

/* Pushes the place where the function at `index` is defined. */
static void push_name(lua_State *L, int index)
{
    lua_Debug ar;
    if (!lua_isfunction(L, index)) {
        lua_pushstring(L, luaL_typename(L, index));
        return;
    }
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &ar);
    if (ar.linedefined > 0)
        lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
    else
        lua_pushstring(L, ar.short_src);
}

/* The number, from 1, of the name on top among the pool's; pops it. */
static uint32_t name_number(lua_State *L)
{
    lua_getiuservalue(L, 1, POOL_NAMES);
    lua_insert(L, -2);
    lua_pushvalue(L, -1);
    lua_Integer n = lua_rawget(L, -3) == LUA_TNUMBER ? lua_tointeger(L, -1) : 0;
    lua_pop(L, 1);
    if (n == 0) {
        n = (lua_Integer)lua_rawlen(L, -2) + 1;
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, n);
        lua_pushinteger(L, n);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    } else {
        lua_pop(L, 2);
    }
    return (uint32_t)n;
}

void mp_record_opened(lua_State *L, const mp_lua_call *c, uint64_t definition)
{
    mp_lua_pool *p = c->owner;
    if (p->named.definition != definition) {
        push_name(L, 2);
        p->named.number = name_number(L);
        p->named.definition = definition;
    }
    mp_call_record(c->call, p->named.number, (uint16_t)c->shape);
}

/* ---- reading ---- */

static mp_lua_pool *check_record(lua_State *L)
{
    mp_lua_pool *p = luaL_checkudata(L, 1, MP_POOL_META);
    if (p->record == NULL)
        mp_raise(L, "state", "the pool has recorded nothing");
    return p;
}

/* core.recorded(pool): how many runs of items are recorded, how many more there were, and when the
 * recording began (nanoseconds of core.monotonic's clock); nil where nothing is */
static int record_count(lua_State *L)
{
    const mp_lua_pool *p = luaL_checkudata(L, 1, MP_POOL_META);
    if (p->record == NULL)
        return 0;
    lua_pushinteger(L, (lua_Integer)p->record->count);
    lua_pushinteger(L, (lua_Integer)p->record->cut);
    lua_pushinteger(L, p->record->began);
    return 3;
}

/* Pushes the bytes in the letters of base64 (RFC 4648). */
static void push_base64(lua_State *L, const unsigned char *bytes, size_t size)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    luaL_Buffer b;
    char *p = luaL_buffinitsize(L, &b, (size + 2) / 3 * 4);
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t three = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        *p++ = letters[three >> 18];
        *p++ = letters[three >> 12 & 63];
        *p++ = left > 1 ? letters[three >> 6 & 63] : '=';
        *p++ = left > 2 ? letters[three & 63] : '=';
    }
    luaL_pushresultsize(&b, (size + 2) / 3 * 4);
}

/* Seven bits a byte, the lowest first, the last without the highest bit. */
static unsigned char *put_varint(unsigned char *p, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        *p++ = (unsigned char)(n | 0x80);
    *p++ = (unsigned char)n;
    return p;
}

static unsigned char *put_signed(unsigned char *p, int64_t n)
{
    return put_varint(p, (uint64_t)n << 1 ^ (uint64_t)(n >> 63));
}

/* Room for n entries of so many numbers each, which is Lua's. */
static unsigned char *push_room(lua_State *L, size_t n, size_t numbers)
{
    return lua_newuserdatauv(L, n * numbers * VARINT_MAX + 1, 0);
}

/* core.record_items(pool): all runs of items, as pool/record.h tells, in base64 */
static int record_items(lua_State *L)
{
    const mp_record *r = check_record(L)->record;
    push_base64(L, r->items.data, r->items.len);
    return 1;
}

/* core.record_calls(pool): of each call the number of its function's name, and its kind, in numbers
 * as those */
static int record_calls(lua_State *L)
{
    const mp_record *r = check_record(L)->record;
    const mp_record_call *calls = r->calls.entries;
    unsigned char *bytes = push_room(L, r->calls.count, 2), *p = bytes;
    for (size_t i = 0; i < r->calls.count; i++)
        p = put_varint(put_varint(p, calls[i].function), calls[i].kind);
    push_base64(L, bytes, (size_t)(p - bytes));
    return 1;
}

/* core.record_waits(pool): of each step of how many items wait the nanoseconds since the one
 * before, and the change, likewise */
static int record_waits(lua_State *L)
{
    const mp_record *r = check_record(L)->record;
    const mp_record_step *steps = r->steps.entries;
    unsigned char *bytes = push_room(L, r->steps.count, 2), *p = bytes;
    for (size_t i = 0; i < r->steps.count; i++) {
        int64_t since = steps[i].when - (i > 0 ? steps[i - 1].when : r->began);
        p = put_signed(put_signed(p, since), steps[i].change);
    }
    push_base64(L, bytes, (size_t)(p - bytes));
    return 1;
}

/* core.record_step(pool, number from 1): nanoseconds since the beginning of the record, and by how
 * many more items waited from then on */
static int record_step(lua_State *L)
{
    const mp_record *r = check_record(L)->record;
    lua_Integer n = luaL_checkinteger(L, 2);
    if (n < 1 || (size_t)n > r->steps.count)
        return 0;
    const mp_record_step *step = (const mp_record_step *)r->steps.entries + n - 1;
    lua_pushinteger(L, step->when - r->began);
    lua_pushinteger(L, step->change);
    return 2;
}

/* core.spans(pool): a list of what its workers have done in all their life, six values each:
 * worker's seat, pid or 0, when it began and ended (nanoseconds of core.monotonic's clock), the
 * nanoseconds of that with a task, and the items */
static int record_spans(lua_State *L)
{
    mp_transport *t = mp_pool_transport(mp_check_pool(L, 1)->pool);
    mp_span found[MP_SPANS];
    lua_Integer k = 0;
    int n = 0;
    lua_newtable(L);
    for (unsigned seat = 0; t->ops->spans != NULL && n >= 0; seat++) {
        n = t->ops->spans(t, seat, found);
        for (int i = 0; i < n; i++) {
            const lua_Integer values[] = {seat,        found[i].pid,  found[i].from,
                                          found[i].to, found[i].busy, found[i].items};
            for (int v = 0; v < 6; v++) {
                lua_pushinteger(L, values[v]);
                lua_rawseti(L, -2, ++k);
            }
        }
    }
    return 1;
}

/* core.record_names(pool): the list of functions */
static int record_names(lua_State *L)
{
    check_record(L);
    lua_getiuservalue(L, 1, POOL_NAMES);
    return 1;
}

/* core.record_life(pool, number from 0): seat, pid, the nanoseconds since the beginning of the
 * record when its death was found, 0: it was not, and its status; nothing behind the last */
static int record_life(lua_State *L)
{
    const mp_record *r = check_record(L)->record;
    lua_Integer n = luaL_checkinteger(L, 2);
    if (n < 0 || (size_t)n >= r->lives.count)
        return 0;
    const mp_record_life *life = (const mp_record_life *)r->lives.entries + n;
    lua_pushinteger(L, life->seat);
    lua_pushinteger(L, life->pid);
    lua_pushinteger(L, life->found != 0 ? life->found - r->began : 0);
    lua_pushinteger(L, life->status);
    return 4;
}

/* A reader of the record, whose memory is pushed. */
static void push_reader(lua_State *L, const mp_record *r, mp_record_reader *reader)
{
    int64_t *ended = lua_newuserdatauv(L, r->lives.count * sizeof *ended, 0);
    mp_record_read_from(reader, r, ended);
}

/* core.record_each(pool, f): calls f(number from 0, call, index, the worker's life, attempt,
 * outcome, nanoseconds since the beginning of the record when it began, its length) for each run of
 * an item
 */
static int record_each(lua_State *L)
{
    const mp_record *r = check_record(L)->record;
    mp_record_reader reader;
    mp_record_item item;
    push_reader(L, r, &reader);
    while (mp_record_read(&reader, &item)) {
        lua_pushvalue(L, 2);
        lua_pushinteger(L, (lua_Integer)reader.number - 1);
        lua_pushinteger(L, item.call);
        lua_pushinteger(L, (lua_Integer)item.index);
        lua_pushinteger(L, item.life);
        lua_pushinteger(L, item.attempt);
        lua_pushinteger(L, item.outcome);
        lua_pushinteger(L, item.began - r->began);
        lua_pushinteger(L, item.length);
        lua_call(L, 8, 0);
    }
    return 0;
}

/* core.record_call(pool, number from 1): the number of its function's name, and its kind */
static int record_call(lua_State *L)
{
    const mp_record *r = check_record(L)->record;
    lua_Integer n = luaL_checkinteger(L, 2);
    if (n < 1 || (size_t)n > r->calls.count)
        return 0;
    const mp_record_call *call = (const mp_record_call *)r->calls.entries + n - 1;
    lua_pushinteger(L, call->function);
    lua_pushinteger(L, call->kind);
    return 2;
}

/* core.record_recipe(pool, number from 1): a call, and the first item that it makes and the step
 * from one to the next */
static int record_recipe(lua_State *L)
{
    const mp_record *r = check_record(L)->record;
    lua_Integer n = luaL_checkinteger(L, 2);
    if (n < 1 || (size_t)n > r->recipes.count)
        return 0;
    const mp_record_recipe *made = (const mp_record_recipe *)r->recipes.entries + n - 1;
    lua_pushinteger(L, made->call);
    for (int i = 0; i < 2; i++) {
        uint64_t one[2] = {made->recipe[i], 0};
        mp_push_made(L, one, (made->flags & MP_CALL_NUMBERS) != 0, 1);
    }
    return 3;
}

/* ---- what items were given, and what they said ---- */

/* Calls the function at 2 with the item's number, its outcome and its arguments, which are `size`
 * bytes; false as the third where these cannot be read. Nothing of the script's is built by it. */
static void give_arguments(lua_State *L, size_t number, const mp_record_item *item,
                           const unsigned char *bytes, size_t size)
{
    int top = lua_gettop(L);
    lua_pushvalue(L, 2);
    lua_pushinteger(L, (lua_Integer)number);
    lua_pushinteger(L, item->outcome);
    lua_pushboolean(L, 1);
    int n = mp_decode(L, bytes, size, NULL, -1, MP_CODEC_INERT);
    if (n < 0) {
        lua_settop(L, top + 3);
        lua_pushboolean(L, 0);
        n = 0;
    }
    lua_call(L, n + 3, 0);
}

/* core.record_arguments(pool, f, done): calls f(number, outcome, readable, arguments...) for each
 * run of an item whose arguments are kept, but for those that were done unless `done` */
static int record_arguments(lua_State *L)
{
    const mp_record *r = check_record(L)->record;
    const unsigned char *at = r->bytes.data;
    bool done = lua_toboolean(L, 3);
    mp_record_reader reader;
    mp_record_item item;
    push_reader(L, r, &reader);
    while (reader.number < r->described && mp_record_read(&reader, &item)) {
        if (mp_record_is_made(r, item.call))
            continue;
        size_t size = *at == 255 ? MP_RECORD_ITEM_BYTES : *at;
        if (done || item.outcome != MP_RECORD_DONE)
            give_arguments(L, reader.number - 1, &item, at + 1, size);
        at += size + 1;
    }
    return 0;
}

/* core.record_failure(pool, number from 1): the number of the item that failed, and the failure's
 * message or nil */
static int record_failure(lua_State *L)
{
    const mp_record *r = check_record(L)->record;
    lua_Integer n = luaL_checkinteger(L, 2);
    if (n < 1 || (size_t)n > r->failed.count)
        return 0;
    const mp_record_failure *f = (const mp_record_failure *)r->failed.entries + n - 1;
    lua_settop(L, 2);
    lua_pushinteger(L, f->item);
    if (mp_decode(L, r->failures.data + f->at, f->size, NULL, 2, MP_CODEC_INERT) != 2 ||
        !lua_isstring(L, 5)) {
        lua_settop(L, 3);
        return 1;
    }
    lua_remove(L, 4); /* the kind */
    return 2;
}

void mp_open_record(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"record", record_start},
        {"recorded", record_count},
        {"record_items", record_items},
        {"record_calls", record_calls},
        {"record_waits", record_waits},
        {"record_step", record_step},
        {"spans", record_spans},
        {"record_names", record_names},
        {"record_life", record_life},
        {"record_each", record_each},
        {"record_call", record_call},
        {"record_recipe", record_recipe},
        {"record_arguments", record_arguments},
        {"record_failure", record_failure},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
