/* mp_decode over any bytes. The first byte holds the flags (lowest bit:
 * functions). The stack must be as promised, and plain data may take memory
 * only in proportion to its bytes. */
#include "spec/fuzz/codec_fuzz.h"

enum { MEMORY_PER_BYTE = 400, MEMORY_BESIDE = 1 << 17 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    const uint8_t *bytes;
    size_t size;
    unsigned flags;
} input;

static int decode(lua_State *L)
{
    const input *in = lua_touserdata(L, 1);
    size_t used = SIZE_MAX;
    int n = mp_decode(L, in->bytes, in->size, &used, -1, in->flags);
    if (n < 0) {
        fuzz_check(lua_gettop(L) == 3, "two values after a failure");
        fuzz_check(lua_type(L, 2) == LUA_TSTRING && lua_type(L, 3) == LUA_TSTRING, "strings");
    } else {
        fuzz_check(lua_gettop(L) == 1 + n, "as many values as it says");
        fuzz_check(used == in->size, "all is used");
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    lua_State *L = fuzz_state();
    input in = {data + 1, size - 1, *data & 1};
    size_t before = fuzz_used.live;
    lua_pushcfunction(L, decode);
    lua_pushlightuserdata(L, &in);
    lua_pcall(L, 1, 0, 0);
    fuzz_check(in.flags != 0 || fuzz_used.peak - before < MEMORY_BESIDE + MEMORY_PER_BYTE * in.size,
               "memory in proportion");
    lua_settop(L, 0);
    return 0;
}
