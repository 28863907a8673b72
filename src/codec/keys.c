/* The key strings that a state has met last: see keys.h. */
#include "codec/keys.h"

static const char registry_key;

static mp_keys *make(lua_State *L)
{
    mp_keys *keys = lua_newuserdatauv(L, sizeof *keys, 1);
    memset(keys, 0, sizeof *keys);
    lua_createtable(L, MP_KEYS, 0);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
    return keys;
}

mp_keys *mp_keys_of(lua_State *L, int slot)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key);
    mp_keys *keys = lua_touserdata(L, -1);
    if (keys == NULL) {
        lua_pop(L, 1);
        keys = make(L);
    }
    lua_getiuservalue(L, -1, 1);
    lua_replace(L, slot);
    lua_pop(L, 1);
    return keys;
}
