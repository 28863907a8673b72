/* Values as the bytes of messages: see message.h. */
#include "lua/message.h"

#include "codec/values.h"
#include "lua/state.h"

void mp_message_encode(lua_State *L, int index, mp_buffer *out)
{
    out->len = 0;
    out->error = 0;
    if (mp_encode(L, index, 1, MP_CODEC_FUNCTIONS, out) == 0)
        return;
    if (out->error < 0)
        mp_raise(L, "system", "no memory to encode a value");
    lua_pop(L, 1);
    mp_error_codec(L, "encode", "value");
    lua_error(L);
}

int mp_message_decode(lua_State *L, const unsigned char *bytes, size_t size, const char *call)
{
    int n = mp_decode(L, bytes, size, NULL, 1, MP_CODEC_FUNCTIONS);
    if (n == 1)
        return 1;
    if (n < 0)
        mp_error_codec(L, "decode", "value");
    else
        mp_error_new(L, "decode", "%s: the message holds no value", call);
    return 0;
}
