/* The key strings that a state has met last, so that records whose keys are the same again and
 * again do not build them each time: a look at the bytes costs a fifth of interning them.
 *
 * The registry holds a userdata, the mp_keys, whose user value is the table of its strings. An
 * entry is where its bytes say; whatever comes there next takes its place. */
#ifndef MP_CODEC_KEYS_H
#define MP_CODEC_KEYS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MP_KEYS = 128, MP_KEY_MAX = 23 };

typedef struct mp_keys {
    struct {
        uint8_t len; /* 0: none */
        char bytes[MP_KEY_MAX];
    } entries[MP_KEYS];
} mp_keys;

/* Replaces the value at `slot` by the table of strings; what it belongs to. Raises memory errors.
 */
mp_keys *mp_keys_of(lua_State *L, int slot);

static inline unsigned mp_key_place(const unsigned char *bytes, size_t len)
{
    return (unsigned)(len + bytes[0] * 3u + bytes[len / 2] * 7u + bytes[len - 1] * 31u) % MP_KEYS;
}

/* Pushes the string of those bytes, 1 to MP_KEY_MAX. `slot`: where the table of strings stands. */
static inline void mp_key_push(lua_State *L, mp_keys *keys, int slot, const unsigned char *bytes,
                               size_t len)
{
    unsigned place = mp_key_place(bytes, len);
    if (keys->entries[place].len == len && memcmp(keys->entries[place].bytes, bytes, len) == 0) {
        lua_rawgeti(L, slot, (lua_Integer)place + 1);
        return;
    }
    lua_pushlstring(L, (const char *)bytes, len);
    lua_pushvalue(L, -1);
    lua_rawseti(L, slot, (lua_Integer)place + 1);
    keys->entries[place].len = (uint8_t)len;
    memcpy(keys->entries[place].bytes, bytes, len);
}

#endif
