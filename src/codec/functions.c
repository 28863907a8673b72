/* Upvalues, code and globals of Lua functions: see functions.h. */
#include "codec/functions.h"
#include "codec/proto_scan.h"

int mp_function_upvalues(lua_State *L, int idx)
{
    lua_Debug info;
    lua_pushvalue(L, idx);
    lua_getinfo(L, ">u", &info);
    return info.nups;
}

static int append_code(lua_State *L, const void *bytes, size_t size, void *out)
{
    (void)L;
    return mp_buffer_append(out, bytes, size);
}

int mp_function_dump(lua_State *L, mp_buffer *out)
{
    return lua_dump(L, append_code, out, 0);
}

int mp_function_globals(lua_State *L, int idx, const unsigned char *dump, size_t size,
                        mp_buffer *names)
{
    int upvalues = mp_function_upvalues(L, idx);
    int function = lua_absindex(L, idx);
    for (int i = 1; i <= upvalues; i++) {
        lua_getupvalue(L, function, i);
        lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
        int status = lua_rawequal(L, -1, -2) ? mp_proto_globals(dump, size, i, names) : 0;
        lua_pop(L, 2);
        if (status != 0)
            return status;
    }
    return 0;
}
