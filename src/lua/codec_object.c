/* mp.dumps and mp.loads: the codec itself. */
#include "lua/message.h"
#include "lua/state.h"

#include "codec/values.h"

static int codec_error(lua_State *L, const char *kind)
{
    mp_error_codec(L, kind, "value");
    return lua_error(L);
}

/* core.dumps(value, functions): its bytes */
static int dumps(lua_State *L)
{
    luaL_checkany(L, 1);
    unsigned flags = lua_toboolean(L, 2) ? MP_CODEC_FUNCTIONS | MP_CODEC_TEXT : MP_CODEC_TEXT;
    lua_settop(L, 1);
    mp_buffer *b = mp_message_buffer(L);
    if (mp_encode(L, 1, 1, flags, b) < 0) {
        if (b->error < 0)
            return mp_raise(L, "system", "no memory to encode a value");
        lua_pop(L, 1);
        return codec_error(L, "encode");
    }
    lua_pushlstring(L, (const char *)b->data, b->len);
    mp_buffer_free(b);
    return 1;
}

/* core.loads(bytes, position, functions): the value and the position behind it */
static int loads(lua_State *L)
{
    size_t size, used;
    const char *bytes = luaL_checklstring(L, 1, &size);
    lua_Integer position = luaL_optinteger(L, 2, 1);
    if (position < 1 || (size_t)position > size)
        return mp_raise(L, "decode", "nothing to decode at byte %lld of %zu", (long long)position,
                        size);
    size_t start = (size_t)position - 1;
    unsigned flags = lua_toboolean(L, 3) ? MP_CODEC_FUNCTIONS : 0;
    int n = mp_decode(L, (const unsigned char *)bytes + start, size - start, &used, 1, flags);
    if (n < 0)
        return codec_error(L, "decode");
    lua_pushinteger(L, position + (lua_Integer)used);
    return 2;
}

void mp_open_codec(lua_State *L)
{
    static const luaL_Reg functions[] = {{"dumps", dumps}, {"loads", loads}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
