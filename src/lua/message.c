/* Values as the bytes of messages: see message.h. */
#include "lua/message.h"

#include "codec/values.h"
#include "lua/state.h"

static int buffer_collect(lua_State *L)
{
    mp_buffer_free(lua_touserdata(L, 1));
    return 0;
}

mp_buffer *mp_message_buffer(lua_State *L)
{
    mp_buffer *b = lua_newuserdatauv(L, sizeof *b, 0);
    mp_buffer_init_heap(b);
    if (luaL_newmetatable(L, "moonpool.core.Buffer") != 0) {
        lua_pushcfunction(L, buffer_collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return b;
}

void mp_message_encode(lua_State *L, int first, int count, mp_buffer *out)
{
    out->len = 0;
    out->error = 0;
    if (mp_encode(L, first, count, MP_CODEC_FUNCTIONS, out) == 0)
        return;
    if (out->error < 0)
        mp_raise(L, "system", "no memory to encode a value");
    lua_pop(L, 1);
    mp_error_codec(L, "encode", "value");
    lua_error(L);
}

int mp_message_decode(lua_State *L, const unsigned char *bytes, size_t size)
{
    int n = mp_decode(L, bytes, size, NULL, -1, MP_CODEC_FUNCTIONS);
    if (n < 0)
        mp_error_codec(L, "decode", "value");
    return n;
}

int mp_message_skim(lua_State *L, const unsigned char *bytes, size_t size)
{
    int n = mp_decode(L, bytes, size, NULL, -1, MP_CODEC_FUNCTIONS | MP_CODEC_INERT);
    if (n < 0)
        lua_pop(L, 2);
    return n < 0 ? 0 : n;
}
