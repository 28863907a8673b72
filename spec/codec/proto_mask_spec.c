/* valgrind
 * Functions without their surroundings: the same whatever lines, names and the rest of the script
 * are, another where they do something else, and no read outside of damaged bytes. */
#include "codec/proto_mask.h"
#include "spec/support/check.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

typedef struct masked {
    mp_buffer code, constants;
} masked;

static int append_dump(lua_State *L, const void *bytes, size_t n, void *buffer)
{
    (void)L;
    return mp_buffer_append(buffer, bytes, n);
}

/* The dump of the function that the source returns. */
static mp_buffer dump_of(const char *source)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    CHECK_EQ_INT(luaL_dostring(L, source), LUA_OK);
    CHECK_EQ_INT(lua_dump(L, append_dump, &b, 0), 0);
    lua_close(L);
    return b;
}

static masked mask(const char *source)
{
    masked m;
    mp_buffer dump = dump_of(source);
    mp_buffer_init_heap(&m.code);
    mp_buffer_init_heap(&m.constants);
    CHECK_EQ_INT(mp_proto_mask(dump.data, dump.len, &m.code, &m.constants), 0);
    mp_buffer_free(&dump);
    return m;
}

static bool same(const mp_buffer *a, const mp_buffer *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void compare(const char *one, const char *other, bool code, bool constants, int line)
{
    masked a = mask(one), b = mask(other);
    check_int(same(&a.code, &b.code), code, __FILE__, line, "the code is the same");
    check_int(same(&a.constants, &b.constants), constants, __FILE__, line,
              "the constants are the same");
    mp_buffer_free(&a.code);
    mp_buffer_free(&a.constants);
    mp_buffer_free(&b.code);
    mp_buffer_free(&b.constants);
}
#define COMPARE(one, other, code, constants) compare(one, other, code, constants, __LINE__)

TEST(lines_names_and_surroundings_do_not_count)
{
    COMPARE("local k = 1 return function(x) local y = x + k return y end",
            "local a, b, c = 3, 4, 5\n\n-- more\nlocal other = 1\n"
            "return function(value)\n  local sum = value + other\n  return sum\nend",
            true, true);
    COMPARE("return function(x) return function() return x end end",
            "local y\nreturn function(z) return function()\nreturn z end end", true, true);
}

TEST(code_counts)
{
    COMPARE("return function(x) return x * 2 end", "return function(x) return x // 2 end", false,
            true);
    COMPARE("return function(x) return x end", "return function(...) return ... end", false, true);
    COMPARE("local a, b return function() return a end",
            "local a, b return function() return b, a end", false, true);
    COMPARE("local a, b return function() local c, d = a, b return function() return c end end",
            "local a, b return function() local c, d = a, b return function() return d end end",
            false, true);
}

TEST(constants_count)
{
    COMPARE("return function(x) return x * 2.5 end", "return function(x) return x * 3.5 end", true,
            false);
    COMPARE("return function(x) return x + 2 end", "return function(x) return x + 3 end", true,
            false);
    COMPARE("return function(x) return x == 2 end", "return function(x) return x == 3 end", true,
            false);
    COMPARE("return function(x) return 2 end", "return function(x) return 3 end", true, false);
    COMPARE("return function(x) return x .. 'a' end", "return function(x) return x .. 'b' end",
            true, false);
    COMPARE("return function(x) return sin(x) end", "return function(x) return cos(x) end", true,
            false);
    COMPARE("return function(x) return x * 2 end", "return function(x) return x * 2.0 end", true,
            false);
}

TEST(damage_is_refused_or_harmless)
{
    mp_buffer dump = dump_of("local k = 1 return function(x) local t = { x, 'text', 2.5 } "
                             "return function(...) return t, k, ... end end");
    for (size_t i = 0; i < dump.len * 8; i++) {
        masked m;
        mp_buffer_init_heap(&m.code);
        mp_buffer_init_heap(&m.constants);
        size_t size = i < dump.len ? i : dump.len;
        unsigned char *copy = malloc(size + 1);
        memcpy(copy, dump.data, size);
        if (size == dump.len)
            copy[i / 8] ^= (unsigned char)(1 << i % 8);
        int status = mp_proto_mask(copy, size, &m.code, &m.constants);
        CHECK(status <= 0);
        CHECK(i >= dump.len || status < 0);
        free(copy);
        mp_buffer_free(&m.code);
        mp_buffer_free(&m.constants);
    }
    mp_buffer_free(&dump);
}

CHECK_MAIN
