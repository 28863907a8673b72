/* Elements of shared memory: see element.h. */
#include "lua/element.h"

#include "lua/state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    mp_element type;
} names[] = {
    {"b", {MP_ELEMENT_SIGNED, 1}},   {"B", {MP_ELEMENT_UNSIGNED, 1}},
    {"h", {MP_ELEMENT_SIGNED, 2}},   {"H", {MP_ELEMENT_UNSIGNED, 2}},
    {"i", {MP_ELEMENT_SIGNED, 4}},   {"I", {MP_ELEMENT_UNSIGNED, 4}},
    {"l", {MP_ELEMENT_SIGNED, 8}},   {"L", {MP_ELEMENT_UNSIGNED, 8}},
    {"j", {MP_ELEMENT_SIGNED, 8}},   {"J", {MP_ELEMENT_UNSIGNED, 8}},
    {"T", {MP_ELEMENT_UNSIGNED, 8}}, {"f", {MP_ELEMENT_FLOAT, 4}},
    {"d", {MP_ELEMENT_FLOAT, 8}},    {"n", {MP_ELEMENT_FLOAT, 8}},
    {"i1", {MP_ELEMENT_SIGNED, 1}},  {"I1", {MP_ELEMENT_UNSIGNED, 1}},
    {"i2", {MP_ELEMENT_SIGNED, 2}},  {"I2", {MP_ELEMENT_UNSIGNED, 2}},
    {"i4", {MP_ELEMENT_SIGNED, 4}},  {"I4", {MP_ELEMENT_UNSIGNED, 4}},
    {"i8", {MP_ELEMENT_SIGNED, 8}},  {"I8", {MP_ELEMENT_UNSIGNED, 8}},
};

mp_element mp_element_check(lua_State *L, int index, const char *call)
{
    const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].type;
    mp_raise(
        L, "argument",
        "%s: the type must be one of b h i l j f d n, i1 i2 i4 i8 and their upper case, got %s",
        call, luaL_tolstring(L, index, NULL));
    __builtin_unreachable();
}

/* ---- memory ---- */

static uint64_t load(mp_element e, const void *p)
{
    switch (e.size) {
    case 1:
        return __atomic_load_n((const uint8_t *)p, __ATOMIC_ACQUIRE);
    case 2:
        return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
    case 4:
        return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
    default:
        return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
    }
}

void mp_element_store(mp_element e, void *p, uint64_t bits)
{
    switch (e.size) {
    case 1:
        __atomic_store_n((uint8_t *)p, (uint8_t)bits, __ATOMIC_RELEASE);
        break;
    case 2:
        __atomic_store_n((uint16_t *)p, (uint16_t)bits, __ATOMIC_RELEASE);
        break;
    case 4:
        __atomic_store_n((uint32_t *)p, (uint32_t)bits, __ATOMIC_RELEASE);
        break;
    default:
        __atomic_store_n((uint64_t *)p, bits, __ATOMIC_RELEASE);
    }
}

static bool exchange(mp_element e, void *p, uint64_t expected, uint64_t bits)
{
    uint8_t b = (uint8_t)expected;
    uint16_t h = (uint16_t)expected;
    uint32_t w = (uint32_t)expected;
    switch (e.size) {
    case 1:
        return __atomic_compare_exchange_n((uint8_t *)p, &b, (uint8_t)bits, false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE);
    case 2:
        return __atomic_compare_exchange_n((uint16_t *)p, &h, (uint16_t)bits, false,
                                           __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    case 4:
        return __atomic_compare_exchange_n((uint32_t *)p, &w, (uint32_t)bits, false,
                                           __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    default:
        return __atomic_compare_exchange_n((uint64_t *)p, &expected, bits, false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE);
    }
}

/* ---- numbers ---- */

static double to_double(mp_element e, uint64_t bits)
{
    double d;
    float f;
    uint32_t w = (uint32_t)bits;
    if (e.size == 4) {
        memcpy(&f, &w, sizeof f);
        return (double)f;
    }
    memcpy(&d, &bits, sizeof d);
    return d;
}

static uint64_t of_double(mp_element e, double d)
{
    uint64_t bits;
    uint32_t w;
    float f = (float)d;
    if (e.size == 4) {
        memcpy(&w, &f, sizeof w);
        return w;
    }
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

/* Sign-extended where it has one. Unsigned ones of 8 bytes are Lua's integers of the same bits. */
static lua_Integer to_integer(mp_element e, uint64_t bits)
{
    unsigned spare = 64 - 8U * e.size;
    if (e.class == MP_ELEMENT_SIGNED)
        return (lua_Integer)(bits << spare) >> spare;
    return (lua_Integer)bits;
}

static bool fits(mp_element e, lua_Integer n)
{
    unsigned width = 8U * e.size;
    if (width == 64)
        return true;
    if (e.class == MP_ELEMENT_UNSIGNED)
        return n >= 0 && n < (lua_Integer)1 << width;
    return n >= -((lua_Integer)1 << (width - 1)) && n < (lua_Integer)1 << (width - 1);
}

static void describe(mp_element e, char *text, size_t size)
{
    static const char *const classes[] = {"a signed integer", "an unsigned integer", "a float"};
    snprintf(text, size, "%s of %d bytes", classes[e.class], e.size);
}

static _Noreturn void refuse(lua_State *L, int index, mp_element e, const char *call)
{
    char expected[64];
    describe(e, expected, sizeof expected);
    mp_raise(L, "argument", "%s: the value must be %s, got %s", call, expected,
             luaL_tolstring(L, index, NULL));
    __builtin_unreachable();
}

uint64_t mp_element_bits(lua_State *L, int index, mp_element e, const char *call)
{
    int is_number = 0;
    if (lua_type(L, index) != LUA_TNUMBER)
        refuse(L, index, e, call);
    if (e.class == MP_ELEMENT_FLOAT) {
        double d = lua_tonumber(L, index);
        if (e.size == 4 && isfinite(d) && isinf((float)d))
            refuse(L, index, e, call);
        return of_double(e, d);
    }
    lua_Integer n = lua_tointegerx(L, index, &is_number);
    if (!is_number || !fits(e, n))
        refuse(L, index, e, call);
    return (uint64_t)n;
}

static void push_bits(lua_State *L, mp_element e, uint64_t bits)
{
    if (e.class == MP_ELEMENT_FLOAT)
        lua_pushnumber(L, to_double(e, bits));
    else
        lua_pushinteger(L, to_integer(e, bits));
}

void mp_element_push(lua_State *L, mp_element e, const void *p)
{
    push_bits(L, e, load(e, p));
}

static uint64_t sum(lua_State *L, int index, mp_element e, uint64_t bits)
{
    if (e.class == MP_ELEMENT_FLOAT)
        return of_double(e, to_double(e, bits) + lua_tonumber(L, index));
    lua_Integer a = to_integer(e, bits), b = lua_tointeger(L, index), all;
    bool over = e.class == MP_ELEMENT_UNSIGNED && e.size == 8
                    ? __builtin_add_overflow((uint64_t)a, (uint64_t)b, (uint64_t *)&all) == (b >= 0)
                    : __builtin_add_overflow(a, b, &all);
    if (over || !fits(e, all))
        mp_raise(L, "argument", "add: the sum of %lld and %lld does not fit", (long long)a,
                 (long long)b);
    return (uint64_t)all;
}

void mp_element_add(lua_State *L, int index, mp_element e, void *p)
{
    mp_element widest = {e.class == MP_ELEMENT_FLOAT ? MP_ELEMENT_FLOAT : MP_ELEMENT_SIGNED, 8};
    mp_element_bits(L, index, widest, "add");
    uint64_t before, behind;
    do {
        before = load(e, p);
        behind = sum(L, index, e, before);
    } while (!exchange(e, p, before, behind));
    push_bits(L, e, behind);
}
