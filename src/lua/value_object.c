/* Values and arrays that processes share (lua/moonpool/shared.lua): their elements are read and
 * written here, an array's in bulk, too. */
#include "lua/element.h"
#include "lua/shared.h"
#include "lua/state.h"

#include "base/atomics.h"

#include <limits.h>
#include <string.h>

enum {
    VALUES = 1U << MP_SHARED_VALUE,
    ARRAYS = 1U << MP_SHARED_ARRAY,
};

/* What their cells hold. */
typedef struct body {
    uint64_t value; /* of a Value */
    uint64_t count; /* of an Array, whose elements lie in its extent */
    mp_element type;
    uint32_t lock_index, lock_generation;
} body;

/* core.value_begin(value or array, type[, count]): before anybody else has it */
static int value_begin(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, VALUES | ARRAYS, "begin");
    body *b = s->content;
    mp_error error = {0};
    b->type = mp_element_check(L, 2, s->kind == MP_SHARED_VALUE ? "Value" : "Array");
    b->count = (uint64_t)luaL_optinteger(L, 3, 0);
    if (b->count > SIZE_MAX / 8)
        return mp_raise(L, "argument", "Array: %lld elements are too many", (long long)b->count);
    if (b->count > 0 && mp_cell_extend(s->name, b->count * b->type.size, &error) < 0)
        mp_raise_system(L, &error);
    return 0;
}

/* core.value_lock(value or array, lock): before anybody else has it; core.value_lock(value or
 * array): kind, index and generation of its lock */
static int value_lock(lua_State *L)
{
    body *b = mp_check_shared(L, 1, VALUES | ARRAYS, "get_lock")->content;
    if (lua_gettop(L) > 1) {
        const mp_shared *lock = mp_check_shared(L, 2, 1U << MP_SHARED_RLOCK, "get_lock");
        b->lock_index = lock->name.index;
        b->lock_generation = lock->name.generation;
    }
    lua_pushliteral(L, "RLock");
    lua_pushinteger(L, b->lock_index);
    lua_pushinteger(L, b->lock_generation);
    return 3;
}

/* core.value_get(value) */
static int value_get(lua_State *L)
{
    const body *b = mp_check_shared(L, 1, VALUES, "value")->content;
    mp_element_push(L, b->type, &b->value);
    return 1;
}

/* core.value_set(value, number) */
static int value_set(lua_State *L)
{
    body *b = mp_check_shared(L, 1, VALUES, "value")->content;
    mp_element_store(b->type, &b->value, mp_element_bits(L, 2, b->type, "value"));
    return 0;
}

/* core.value_add(value, number): the sum */
static int value_add(lua_State *L)
{
    body *b = mp_check_shared(L, 1, VALUES, "add")->content;
    mp_element_add(L, 2, b->type, &b->value);
    return 1;
}

/* ---- arrays ---- */

static unsigned char *elements(const mp_shared *s)
{
    size_t bytes;
    return mp_cell_extent(s->name, &bytes);
}

/* Element i, from 1. */
static void *element(const mp_shared *s, const body *b, lua_Integer i)
{
    return elements(s) + (size_t)(i - 1) * b->type.size;
}

/* The index at 2, 0 where it is no integer; 2.0 is 2, as in a table. */
static lua_Integer index_at_2(lua_State *L)
{
    return lua_type(L, 2) == LUA_TNUMBER ? lua_tointeger(L, 2) : 0;
}

/* array[i]: nil outside; upvalue 1: its methods */
static int array_index(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, ARRAYS, "index");
    const body *b = s->content;
    if (lua_type(L, 2) != LUA_TNUMBER) {
        lua_settop(L, 2);
        lua_gettable(L, lua_upvalueindex(1));
        return 1;
    }
    lua_Integer i = index_at_2(L);
    if (i < 1 || (uint64_t)i > b->count)
        return 0;
    mp_element_push(L, b->type, element(s, b, i));
    return 1;
}

/* array[i] = number: an error outside */
static int array_newindex(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, ARRAYS, "index");
    const body *b = s->content;
    lua_Integer i = index_at_2(L);
    if (i < 1 || (uint64_t)i > b->count)
        return mp_raise(L, "argument", "Array: the index must be an integer from 1 to %lld, got %s",
                        (long long)b->count, luaL_tolstring(L, 2, NULL));
    mp_element_store(b->type, element(s, b, i), mp_element_bits(L, 3, b->type, "Array"));
    return 0;
}

static int array_length(lua_State *L)
{
    const body *b = mp_check_shared(L, 1, ARRAYS, "length")->content;
    lua_pushinteger(L, (lua_Integer)b->count);
    return 1;
}

/* core.array_access(methods): __index, __newindex, __len */
static int array_access(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushcclosure(L, array_index, 1);
    lua_pushcfunction(L, array_newindex);
    lua_pushcfunction(L, array_length);
    return 3;
}

/* core.array_slice(array, i, j): a table of the elements i to j, which are there */
static int array_slice(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, ARRAYS, "slice");
    const body *b = s->content;
    lua_Integer i = luaL_checkinteger(L, 2), j = luaL_checkinteger(L, 3);
    lua_createtable(L, j >= i && j - i < INT_MAX ? (int)(j - i + 1) : 0, 0);
    for (lua_Integer k = i; k <= j; k++) {
        mp_element_push(L, b->type, element(s, b, k));
        lua_rawseti(L, -2, k - i + 1);
    }
    return 1;
}

/* Copies n elements of `from`, of the same type: at once. */
static void copy(const mp_shared *to, lua_Integer i, const mp_shared *from, lua_Integer n)
{
    const body *b = to->content;
    if (n > 0)
        memmove(element(to, b, i), elements(from), (size_t)n * b->type.size);
}

/* core.array_copy(array, i, other): the other's elements, of the same type, from i on, where
 * there is room; false where the types differ */
static int array_copy(lua_State *L)
{
    const mp_shared *to = mp_check_shared(L, 1, ARRAYS, "set");
    const mp_shared *from = mp_check_shared(L, 3, ARRAYS, "set");
    const body *a = to->content, *b = from->content;
    bool same = a->type.class == b->type.class && a->type.size == b->type.size;
    if (same)
        copy(to, luaL_checkinteger(L, 2), from, (lua_Integer)b->count);
    lua_pushboolean(L, same);
    return 1;
}

/* core.array_set(array, i, values, n): the n values from i on, where there is room; all fit, or
 * none is written */
static int array_set(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, ARRAYS, "set");
    const body *b = s->content;
    lua_Integer i = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 4);
    for (lua_Integer k = 1; k <= n; k++) {
        lua_geti(L, 3, k);
        mp_element_bits(L, -1, b->type, "set");
        lua_pop(L, 1);
    }
    for (lua_Integer k = 1; k <= n; k++) {
        lua_geti(L, 3, k);
        mp_element_store(b->type, element(s, b, i + k - 1), mp_element_bits(L, -1, b->type, "set"));
        lua_pop(L, 1);
    }
    return 0;
}

/* core.array_fill(array, number) */
static int array_fill(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, ARRAYS, "fill");
    const body *b = s->content;
    uint64_t bits = mp_element_bits(L, 2, b->type, "fill");
    for (uint64_t i = 1; i <= b->count; i++)
        mp_element_store(b->type, element(s, b, (lua_Integer)i), bits);
    return 0;
}

void mp_open_value(lua_State *L)
{
    static const luaL_Reg functions[] = {{"value_begin", value_begin},
                                         {"value_lock", value_lock},
                                         {"value_get", value_get},
                                         {"value_set", value_set},
                                         {"value_add", value_add},
                                         {"array_access", array_access},
                                         {"array_slice", array_slice},
                                         {"array_copy", array_copy},
                                         {"array_set", array_set},
                                         {"array_fill", array_fill},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
