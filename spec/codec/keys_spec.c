/* valgrind */
/* Keys that are met again, and those that want the same place. */
#include "codec/keys.h"
#include "spec/support/codec_state.h"

static lua_State *L;
static mp_keys *keys;

static void open_state(void)
{
    L = luaL_newstate();
    lua_pushnil(L);
    keys = mp_keys_of(L, 1);
}

static bool gives(const char *bytes, size_t len)
{
    size_t got;
    mp_key_push(L, keys, 1, (const unsigned char *)bytes, len);
    const char *s = lua_tolstring(L, -1, &got);
    bool same = got == len && memcmp(s, bytes, len) == 0;
    lua_pop(L, 1);
    return same;
}

TEST(gives_the_string_of_any_bytes_whatever_stood_there)
{
    unsigned char bytes[MP_KEY_MAX] = {0};
    open_state();
    srand(3);
    for (int i = 0; i < 100000; i++) {
        size_t len = 1 + (size_t)rand() % MP_KEY_MAX;
        for (size_t k = 0; k < len; k++)
            bytes[k] = (unsigned char)(rand() % 3);
        CHECK(gives((const char *)bytes, len));
    }
    lua_close(L);
}

TEST(tells_apart_what_has_one_place)
{
    open_state();
    CHECK_EQ_INT(mp_key_place((const unsigned char *)"axcde", 5),
                 mp_key_place((const unsigned char *)"aycde", 5));
    for (int i = 0; i < 3; i++)
        CHECK(gives("axcde", 5) && gives("aycde", 5) && gives("axcde", 5) && gives("a", 1));
    lua_close(L);
}

TEST(is_one_for_each_state_and_lives_through_collections)
{
    open_state();
    CHECK(gives("key", 3));
    lua_gc(L, LUA_GCCOLLECT);
    lua_pushnil(L);
    CHECK(mp_keys_of(L, 2) == keys);
    CHECK(gives("key", 3));
    lua_State *first = L;
    mp_keys *firsts = keys;
    open_state();
    CHECK(keys != firsts);
    CHECK_EQ_INT(keys->entries[mp_key_place((const unsigned char *)"key", 3)].len, 0);
    lua_close(L);
    lua_close(first);
}

CHECK_MAIN
