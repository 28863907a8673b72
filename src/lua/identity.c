/* What lua/moonpool/identity.lua walks values with: hashes, the names of what goes by name, and
 * what a function is made of. */
#include "lua/message.h"
#include "lua/state.h"

#include "codec/functions.h"
#include "codec/head.h"
#include "codec/names.h"
#include "codec/proto_mask.h"
#include "codec/proto_scan.h"
#include "codec/tags.h"
#include "codec/values.h"
#include "journal/hash.h"

enum { FEWEST_NUMBERS = 16, TAG_BYTES = 2 };

static void push_digest(lua_State *L, const void *bytes, size_t size)
{
    mp_digest digest = mp_digest_of(bytes, size);
    lua_pushlstring(L, (const char *)digest.bytes, sizeof digest.bytes);
}

/* core.digest(string): 16 bytes that stand for it */
static int digest(lua_State *L)
{
    size_t size;
    const char *bytes = luaL_checklstring(L, 1, &size);
    push_digest(L, bytes, size);
    return 1;
}

/* core.name_of(value): by which it goes to workers; nil where it goes by value */
static int name_of(lua_State *L)
{
    size_t size;
    const char *name;
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    int type = lua_type(L, 1);
    if (type == LUA_TTABLE && !mp_name_possible(mp_names_filter(L), lua_topointer(L, 1)))
        return 0;
    return type >= LUA_TTABLE && type != LUA_TTHREAD && mp_name_of(L, 1, &name, &size);
}

/* core.name_of_metatable(table) */
static int name_of_metatable(lua_State *L)
{
    size_t size;
    const char *name;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    return mp_name_of_metatable(L, 1, &name, &size) ? 1 : 0;
}

/* core.digest_of_numbers(table): a digest of a sequence of many numbers of one subtype, nil where
 * it is none */
static int digest_of_numbers(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_rawlen(L, 1) < FEWEST_NUMBERS || lua_rawgeti(L, 1, 1) != LUA_TNUMBER)
        return 0;
    mp_buffer *b = mp_message_buffer(L);
    int top = lua_gettop(L);
    if (mp_encode(L, 1, 1, 0, b) < 0 || b->len < TAG_BYTES || b->data[0] >> 5 != MP_MAJOR_TAG ||
        (b->data[1] != MP_TAG_INT64_LE && b->data[1] != MP_TAG_FLOAT64_LE)) {
        mp_buffer_free(b);
        return 0;
    }
    lua_settop(L, top);
    push_digest(L, b->data, b->len);
    mp_buffer_free(b);
    return 1;
}

/* Three tables: names, values, and what is the same for upvalues that functions share. */
static void push_upvalues(lua_State *L, int function)
{
    int n = mp_function_upvalues(L, function);
    for (int i = 0; i < 3; i++)
        lua_createtable(L, n, 1);
    for (int i = 1; i <= n; i++) {
        lua_pushlightuserdata(L, lua_upvalueid(L, function, i));
        lua_rawseti(L, -2, i);
        lua_pushstring(L, lua_getupvalue(L, function, i));
        lua_rawseti(L, -5, i);
        lua_rawseti(L, -3, i);
    }
    lua_pushinteger(L, n);
    lua_setfield(L, -3, "n");
}

static void push_names(lua_State *L, const mp_buffer *names)
{
    const char *name;
    size_t at = 0, size;
    lua_newtable(L);
    for (int i = 1; mp_proto_next_name(names, &at, &name, &size); i++) {
        lua_pushlstring(L, name, size);
        lua_rawseti(L, -2, i);
    }
}

static int no_function(lua_State *L)
{
    return mp_raise(L, "state", "the code of a function cannot be read");
}

/* core.function_parts(f): digests of its code and of its constants; the names of its upvalues,
 * their values, and what tells which functions share one; and the names of the globals that it
 * uses. Nil for a C function. */
static int function_parts(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (lua_iscfunction(L, 1))
        return 0;
    lua_settop(L, 1);
    mp_buffer *dump = mp_message_buffer(L), *code = mp_message_buffer(L),
              *constants = mp_message_buffer(L), *names = mp_message_buffer(L);
    lua_pushvalue(L, 1);
    if (mp_function_dump(L, dump) != 0 ||
        mp_proto_mask(dump->data, dump->len, code, constants) != 0 ||
        mp_function_globals(L, 1, dump->data, dump->len, names) != 0)
        return no_function(L);
    push_digest(L, code->data, code->len);
    push_digest(L, constants->data, constants->len);
    push_upvalues(L, 1);
    push_names(L, names);
    return 6;
}

void mp_open_identity(lua_State *L)
{
    static const luaL_Reg functions[] = {{"digest", digest},
                                         {"name_of", name_of},
                                         {"name_of_metatable", name_of_metatable},
                                         {"digest_of_numbers", digest_of_numbers},
                                         {"function_parts", function_parts},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
