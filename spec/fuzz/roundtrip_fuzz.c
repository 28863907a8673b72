/* Decode, encode, decode: what came out of any bytes must go in and out again
 * unchanged. The first byte holds the flags of the encoding. */
#include "spec/fuzz/codec_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Equal in value, subtype and sharing; of keys that are tables only the
 * number is compared. A class that is known comes back as itself, so what refers
 * to tables inside it gets copies of these, which share nothing with it. */
static const char SAME[] =
    "local mathtype, tables = math.type, {}\n"
    "local next, type, rawget, getmetatable, rawequal = ...\n"
    "local function same(a, b)\n"
    "  if mathtype(a) ~= mathtype(b) or type(a) ~= type(b) then return false end\n"
    "  if mathtype(a) then return a ~= a and b ~= b or a == b and (a ~= 0 or 1 / a == 1 / b) end\n"
    "  if type(a) ~= 'table' then return a == b end\n"
    "  if rawequal(a, b) then return true end\n"
    "  if tables[a] then return tables[a] == b end\n"
    "  tables[a] = b\n"
    "  local n = 0\n"
    "  for k, v in next, a do\n"
    "    n = n + 1\n"
    "    if type(k) ~= 'table' and not same(v, rawget(b, k)) then return false end\n"
    "  end\n"
    "  for _ in next, b do n = n - 1 end\n"
    "  return n == 0 and same(getmetatable(a), getmetatable(b))\n"
    "end\n"
    "return function(a, b) tables = {} return same(a, b) end\n";

static int raw_next(lua_State *L)
{
    lua_settop(L, 2);
    return lua_next(L, 1) ? 2 : (lua_pushnil(L), 1);
}

static int raw_get(lua_State *L)
{
    lua_rawget(L, 1);
    return 1;
}

static int type_name(lua_State *L)
{
    lua_pushstring(L, luaL_typename(L, 1));
    return 1;
}

static int metatable(lua_State *L)
{
    return lua_getmetatable(L, 1);
}

static int raw_equal(lua_State *L)
{
    lua_pushboolean(L, lua_rawequal(L, 1, 2));
    return 1;
}

static void push_same(lua_State *L)
{
    fuzz_check(luaL_loadstring(L, SAME) == LUA_OK, "the comparison compiles");
    lua_pushcfunction(L, raw_next);
    lua_pushcfunction(L, type_name);
    lua_pushcfunction(L, raw_get);
    lua_pushcfunction(L, metatable);
    lua_pushcfunction(L, raw_equal);
    lua_call(L, 5, 1);
}

typedef struct input {
    const uint8_t *bytes;
    size_t size;
    unsigned flags;
    mp_buffer buffer;
} input;

/* Compares the two values below; a comparison too deep for Lua counts as equal. */
static void compare(lua_State *L, int a, int b)
{
    push_same(L);
    lua_pushvalue(L, a);
    lua_pushvalue(L, b);
    if (lua_pcall(L, 2, 1, 0) == LUA_OK)
        fuzz_check(lua_toboolean(L, -1), "the values are equal");
    lua_pop(L, 1);
}

static int round_trip(lua_State *L)
{
    input *in = lua_touserdata(L, 1);
    if (mp_decode(L, in->bytes, in->size, NULL, 1, 0) != 1)
        return 0;
    if (mp_encode(L, 2, 1, in->flags, &in->buffer) != 0)
        fuzz_check(in->buffer.error != 0, lua_tostring(L, -3));
    if (in->buffer.error != 0)
        return 0;
    size_t used;
    int n = mp_decode(L, in->buffer.data, in->buffer.len, &used, -1, in->flags);
    fuzz_check(n == 1, "one value again");
    fuzz_check(used == in->buffer.len, "all of it");
    compare(L, 2, 3);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    lua_State *L = fuzz_state();
    input in = {.bytes = data + 1, .size = size - 1, .flags = *data & 3};
    mp_buffer_init_heap(&in.buffer);
    lua_pushcfunction(L, round_trip);
    lua_pushlightuserdata(L, &in);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        fuzz_check(message != NULL, "errors are strings");
        fuzz_check(strstr(message, "not enough memory") != NULL ||
                       strstr(message, "stack overflow") != NULL,
                   message);
    }
    mp_buffer_free(&in.buffer);
    lua_settop(L, 0);
    return 0;
}
