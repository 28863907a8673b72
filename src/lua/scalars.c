/* Tables by their keys' values and not by the order of `pairs`, for lua/moonpool/identity.lua: the
 * keys sorted, and a digest of those that hold nothing but scalars.
 *
 * Strings are compared by their bytes, whatever the locale says. They are pointed to while their
 * table holds them and nothing runs that could change it. */
#include "lua/message.h"
#include "lua/state.h"

#include "codec/head.h"
#include "journal/hash.h"

#include <stdlib.h>

enum { KEPT = 1 << 16 };

enum kind { INTEGER = 1, FLOAT, STRING, BOOLEAN };

typedef struct scalar {
    uint64_t kind; /* enum kind */
    union {
        lua_Integer integer;
        lua_Number number;
        const char *bytes;
        int boolean;
    };
    size_t size; /* of a string */
} scalar;

static bool read_scalar(lua_State *L, int index, scalar *s)
{
    *s = (scalar){0};
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        s->kind = lua_isinteger(L, index) ? INTEGER : FLOAT;
        if (s->kind == INTEGER)
            s->integer = lua_tointeger(L, index);
        else
            s->number = lua_tonumber(L, index);
        return true;
    case LUA_TSTRING:
        s->kind = STRING;
        s->bytes = lua_tolstring(L, index, &s->size);
        return true;
    case LUA_TBOOLEAN:
        s->kind = BOOLEAN;
        s->boolean = lua_toboolean(L, index);
        return true;
    default:
        return false;
    }
}

static int compare_strings(const scalar *a, const scalar *b)
{
    size_t common = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->bytes, b->bytes, common);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static int compare(const void *left, const void *right)
{
    const scalar *a = left, *b = right;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    switch (a->kind) {
    case INTEGER:
        return (a->integer > b->integer) - (a->integer < b->integer);
    case FLOAT:
        return (a->number > b->number) - (a->number < b->number);
    case STRING:
        return compare_strings(a, b);
    default:
        return a->boolean - b->boolean;
    }
}

static void check_room(lua_State *L, int status)
{
    if (status < 0)
        mp_raise(L, "system", "no memory to look through a table");
}

static void put_scalar(lua_State *L, mp_buffer *out, const scalar *s)
{
    uint64_t head[2] = {s->kind, 0};
    if (s->kind == STRING)
        head[1] = s->size;
    else
        memcpy(&head[1], &s->integer, s->kind == BOOLEAN ? sizeof s->boolean : sizeof head[1]);
    check_room(L, mp_buffer_append(out, head, sizeof head));
    if (s->kind == STRING)
        check_room(L, mp_buffer_append(out, s->bytes, s->size));
}

/* One of the two buffers that the functions below share: none of them runs within another. */
static mp_buffer *take_buffer(lua_State *L, int which)
{
    mp_buffer *b = lua_touserdata(L, lua_upvalueindex(which));
    b->len = 0;
    return b;
}

static void give_back(mp_buffer *b)
{
    if (b->cap > KEPT)
        mp_buffer_free(b);
}

/* Adds the digest of an entry: the sum is the same in every order. */
static void add_entry(lua_State *L, uint64_t sum[2], const scalar *key, const scalar *value)
{
    mp_buffer *out = take_buffer(L, 2);
    put_scalar(L, out, key);
    put_scalar(L, out, value);
    mp_digest digest = mp_digest_of(out->data, out->len);
    sum[0] += mp_load_be64(digest.bytes);
    sum[1] += mp_load_be64(digest.bytes + sizeof sum[0]);
}

/* core.digest_of_flat(table): 16 bytes for what it holds, nil where that is not scalars only */
static int digest_of_flat(lua_State *L)
{
    scalar key, value;
    unsigned char all[3 * sizeof(uint64_t)];
    uint64_t sum[2] = {0}, count = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_pushnil(L);
    for (; lua_next(L, 1) != 0; count++) {
        if (!read_scalar(L, -2, &key) || !read_scalar(L, -1, &value))
            return 0;
        lua_pop(L, 1);
        add_entry(L, sum, &key, &value);
    }
    give_back(take_buffer(L, 2));
    mp_store_be64(all, count);
    mp_store_be64(all + 8, sum[0]);
    mp_store_be64(all + 16, sum[1]);
    mp_digest digest = mp_digest_of(all, sizeof all);
    lua_pushlstring(L, (const char *)digest.bytes, sizeof digest.bytes);
    return 1;
}

static void push_scalar(lua_State *L, const scalar *s)
{
    if (s->kind == INTEGER)
        lua_pushinteger(L, s->integer);
    else if (s->kind == FLOAT)
        lua_pushnumber(L, s->number);
    else if (s->kind == STRING)
        lua_pushlstring(L, s->bytes, s->size);
    else
        lua_pushboolean(L, s->boolean);
}

/* core.sorted_keys(table): a list of the keys that are scalars, sorted, and a list of the others */
static int sorted_keys(lua_State *L)
{
    scalar key;
    lua_Integer others = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    mp_buffer *keys = take_buffer(L, 1);
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        lua_pop(L, 1);
        if (read_scalar(L, -1, &key)) {
            check_room(L, mp_buffer_append(keys, &key, sizeof key));
        } else {
            lua_pushvalue(L, -1);
            lua_rawseti(L, 3, ++others);
        }
    }
    size_t n = keys->len / sizeof key;
    if (n > 1)
        qsort(keys->data, n, sizeof key, compare);
    for (size_t i = 0; i < n; i++) {
        push_scalar(L, (const scalar *)(const void *)keys->data + i);
        lua_rawseti(L, 2, (lua_Integer)i + 1);
    }
    give_back(keys);
    return 2;
}

void mp_open_scalars(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"digest_of_flat", digest_of_flat}, {"sorted_keys", sorted_keys}, {NULL, NULL}};
    mp_message_buffer(L);
    mp_message_buffer(L);
    luaL_setfuncs(L, functions, 2);
}
