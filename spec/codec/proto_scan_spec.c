/* valgrind
 * Globals found in bytecode: whatever form the compiler gave the access, and
 * no read outside of damaged bytes. */
#include "codec/proto_scan.h"
#include "spec/support/check.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

static int append_dump(lua_State *L, const void *bytes, size_t n, void *buffer)
{
    (void)L;
    return mp_buffer_append(buffer, bytes, n);
}

static mp_buffer dump_top(lua_State *L, int strip)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    CHECK_EQ_INT(lua_dump(L, append_dump, &b, strip), 0);
    return b;
}

static mp_buffer dump_source(const char *source, size_t len)
{
    lua_State *L = luaL_newstate();
    int status = luaL_loadbufferx(L, source, len, "=spec", "t");
    if (status != LUA_OK)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    CHECK_EQ_INT(status, LUA_OK);
    mp_buffer b = dump_top(L, 0);
    lua_close(L);
    return b;
}

/* The names, a blank between two. */
static void join(const mp_buffer *names, char *text, size_t size)
{
    const char *name;
    size_t len, at = 0, used = 0;
    text[0] = '\0';
    while (mp_proto_next_name(names, &at, &name, &len))
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", used > 0 ? " " : "", (int)len,
                                 name);
}

/* Sources may be huge: failures are told by their line. */
static void check_names(const char *source, const char *expected, int line)
{
    mp_buffer dump = dump_source(source, strlen(source)), names;
    char text[4096];
    mp_buffer_init_heap(&names);
    if (!check_int(mp_proto_globals(dump.data, dump.len, 1, &names), 0, __FILE__, line, "scan"))
        return;
    join(&names, text, sizeof text);
    check_str(text, expected, __FILE__, line, "names in this order");
    mp_buffer_free(&names);
    mp_buffer_free(&dump);
}
#define NAMES(source, expected) check_names(source, expected, __LINE__)

TEST(finds_reads_and_writes)
{
    NAMES("", "");
    NAMES("local a, b = 1, 'x' return a .. b", "");
    NAMES("return x", "x");
    NAMES("x = 1", "x");
    NAMES("x = y", "y x");
    NAMES("a.b.c = d.e", "a d");
    NAMES("return x, y, x, z, y", "x y z");
    NAMES("f(g(1), h)", "f g h");
    NAMES("x = x + 1; y, z = z, y", "x z y");
}

TEST(finds_definitions_and_methods)
{
    NAMES("function name() end", "name");
    NAMES("function m.a.name() end", "m");
    NAMES("function m:name(x) return self.y + x end", "m");
    NAMES("obj:method(arg)", "obj arg");
    NAMES("local s = obj; return s:method(s.field)", "obj");
    NAMES("return ('x'):rep(n)", "n");
}

TEST(follows_every_kind_of_statement)
{
    NAMES("for i = first, last, step do use(i) end", "first last step use");
    NAMES("for k, v in pairs(t) do put(k, v) end", "pairs t put");
    NAMES("while go() do if a then break elseif b then goto out end end ::out:: fin()",
          "go a b fin");
    NAMES("repeat local x = f() until x == limit", "f limit");
    NAMES("local x <close> = open() ; use(x)", "open use");
    NAMES("local x <const> = 'k' ; return t[x], x", "t");
    NAMES("return a and b or c, not d, -e, ~f, #g", "a b c d e f g");
    NAMES("return a + 1, 1 - b, c * d, e // 2, f % g, h ^ 2, i / j", "a b c d e f g h i j");
    NAMES("return a & 1, b | c, d ~ e, f << 1, 1 >> g, h .. i .. 'x'", "a b c d e f g h i");
    NAMES("return a == 1, b ~= 'x', c < 1, 2 <= d, e > f, g == nil, h == i", "a b c d e f g h i");
    NAMES("return {a, b, x = c, [d] = e, f()}", "a b c d e f");
    NAMES("return f(...), select('#', ...)", "f select");
    NAMES("local function fact(n) return n < one and 1 or n * fact(n - 1) end", "one");
}

TEST(follows_nested_functions)
{
    NAMES("return function() return a end", "a");
    NAMES("local x = a; return function(...) b(...) return function() return function() "
          "c = x + d end end end",
          "a b d c");
    NAMES("local function f() return e1 end local function g() return function() return e2, f() "
          "end end x = 1",
          "x e1 e2");
    NAMES("local up = 1; return function() up = up + 1; return function() return up, g end end",
          "g");
    /* Fields of upvalues that are not the globals table. */
    NAMES("local t = {} ; return function() t.field = t.other; return t.x(y) end", "y");
}

TEST(follows_the_table_in_registers)
{
    NAMES("local _ENV = _ENV ; return a, b(c)", "a b c");
    NAMES("local _ENV = _ENV ; x = 1 ; obj:method()", "x obj");
    NAMES("local _ENV = _ENV ; return function() return a, function() b = 1 end end", "a b");
    NAMES("local e = _ENV ; local f = e ; return f.a, f['b'], f:c()", "a b c");
    NAMES("local e = _ENV ; e = {} ; return e.a", "");
    NAMES("local e = _ENV ; e = nil ; return e.a", "");
    NAMES("local e, x = _ENV ; x = f(e) ; return e.a, x.b", "f a");
    NAMES("local e = _ENV ; for i = 1, 3 do local e = i ; g(e.x) end ; return e.a", "g a");
    NAMES("do local e = _ENV ; f(e.a) end local t = {} ; return t.b", "f a");
    NAMES("local _ENV = {} ; return a", "");
    NAMES("local k = 'name' ; return _ENV[k]", "name");
    NAMES("local k = 7 ; return _ENV[k], _ENV[1], _ENV[1.5], _ENV[true]", "");
    NAMES("return _G.a, _G['b'], _G._G.c, _ENV._G.d", "_G a b c d");
    NAMES("local g = _G ; function g.f() return g.h end", "_G f h");
}

static char *big_source(const char *tail, int constants, int first)
{
    size_t size = 64 * (size_t)constants + strlen(tail) + 100, used = 0;
    char *source = malloc(size);
    used += (size_t)snprintf(source, size, "local t = {}\n");
    for (int i = 0; i < constants; i++)
        used += (size_t)snprintf(source + used, size - used, "t[%d] = %d.5\n", i % 100, first + i);
    snprintf(source + used, size - used, "%s", tail);
    return source;
}

TEST(finds_names_behind_many_constants)
{
    static const int counts[] = {250, 254, 255, 256, 257, 300, 131060};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char *source = big_source("a = b ; c(d).e = a ; m:f() ; function g.h() return j end "
                                  "local _ENV = _ENV ; k:l() ; n = o ; "
                                  "p, q = t and r or s, v[w] return function() return u end",
                                  counts[i], 1000);
        NAMES(source, "b a c d m g k o n r s v w q p j u");
        free(source);
    }
}

TEST(finds_each_of_many_names)
{
    enum { COUNT = 2000 };
    char *source = calloc(COUNT, 16), name[16];
    size_t used = 0, at = 0, len;
    const char *found;
    for (int i = 0; i < COUNT; i++)
        used += (size_t)sprintf(source + used, "g%d = g%d\n", i, i);
    mp_buffer dump = dump_source(source, used), names;
    mp_buffer_init_heap(&names);
    REQUIRE(mp_proto_globals(dump.data, dump.len, 1, &names) == 0);
    for (int i = 0; i < COUNT; i++) {
        REQUIRE(mp_proto_next_name(&names, &at, &found, &len));
        REQUIRE(len == (size_t)sprintf(name, "g%d", i) && memcmp(found, name, len) == 0);
    }
    CHECK(!mp_proto_next_name(&names, &at, &found, &len));
    mp_buffer_free(&names);
    mp_buffer_free(&dump);
    free(source);
}

TEST(keeps_names_of_any_bytes)
{
    static const char source[] =
        "return _ENV['a\\0b'], _ENV['a\\0c'], _ENV[''], "
        "_ENV['long \\0 name of more than forty bytes, which the compiler keeps apart'], "
        "a_name_that_is_as_long_as_that_but_could_be_written_in_a_script_too";
    static const struct {
        const char *text;
        size_t len;
    } expected[] = {
        {"a\0b", 3},
        {"a\0c", 3},
        {"", 0},
        {"long \0 name of more than forty bytes, which the compiler keeps apart", 68},
        {"a_name_that_is_as_long_as_that_but_could_be_written_in_a_script_too", 67},
    };
    mp_buffer dump = dump_source(source, sizeof source - 1), names;
    const char *name;
    size_t len, at = 0;
    mp_buffer_init_heap(&names);
    REQUIRE(mp_proto_globals(dump.data, dump.len, 1, &names) == 0);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        REQUIRE(mp_proto_next_name(&names, &at, &name, &len));
        REQUIRE(len == expected[i].len);
        CHECK_MEM(name, expected[i].text, len);
    }
    CHECK(!mp_proto_next_name(&names, &at, &name, &len));
    mp_buffer_free(&names);
    mp_buffer_free(&dump);
}

/* Dumps the function that `source` returns, with its upvalues as they fall. */
static mp_buffer dump_returned(const char *source, int strip)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    CHECK_EQ_INT(luaL_dostring(L, source), LUA_OK);
    mp_buffer b = dump_top(L, strip);
    lua_close(L);
    return b;
}

static void check_upvalue(const mp_buffer *dump, int upvalue, mp_buffer *names,
                          const char *expected, int line)
{
    char text[256];
    check_int(mp_proto_globals(dump->data, dump->len, upvalue, names), 0, __FILE__, line, "scan");
    join(names, text, sizeof text);
    check_str(text, expected, __FILE__, line, "names");
}

TEST(scans_through_the_upvalue_asked_for)
{
    static const char source[] = "local x, G = 1, _G ; return function() x.a = 1 ; b = 2 ; "
                                 "G.c = G.b ; return function() return d, G.e, x.f end end";
    for (int strip = 0; strip < 2; strip++) {
        mp_buffer dump = dump_returned(source, strip), names;
        mp_buffer_init_heap(&names);
        check_upvalue(&dump, 0, &names, "", __LINE__);
        check_upvalue(&dump, 2, &names, "b d", __LINE__);
        check_upvalue(&dump, 3, &names, "b d c e", __LINE__);
        check_upvalue(&dump, 4, &names, "b d c e", __LINE__);
        names.len = 0;
        check_upvalue(&dump, 1, &names, "a f", __LINE__);
        mp_buffer_free(&names);
        mp_buffer_free(&dump);
    }
}

static const char SAMPLE[] =
    "local k = 'x' ; local _ENV = _ENV ; t[k] = a.b ; obj:m(1, 2.5, nil, true, false, '\\0') "
    "for i, v in pairs(t) do print(i, v) end return function(...) local c <close> = ... "
    "return function() return d, c, _ENV[k] end end";

TEST(checks_the_header)
{
    mp_buffer dump = dump_source(SAMPLE, sizeof SAMPLE - 1), names;
    mp_buffer_init_heap(&names);
    CHECK_EQ_INT(mp_proto_check(dump.data, dump.len), 0);
    for (size_t i = 0; i < 31; i++) {
        CHECK_EQ_INT(mp_proto_check(dump.data, i), -EINVAL);
        dump.data[i] ^= 0x20;
        CHECK_EQ_INT(mp_proto_check(dump.data, dump.len), -EINVAL);
        CHECK_EQ_INT(mp_proto_globals(dump.data, dump.len, 1, &names), -EINVAL);
        dump.data[i] ^= 0x20;
    }
    CHECK_EQ_INT(mp_proto_check(dump.data, 31), 0);
    CHECK_EQ_INT(mp_proto_check((const unsigned char *)"return x", 8), -EINVAL);
    CHECK_EQ_INT(names.len, 0);
    mp_buffer_free(&dump);
}

/* Each prefix stands in memory of exactly its size, so that valgrind and
 * AddressSanitizer see a read behind it. */
TEST(refuses_what_is_cut_or_longer)
{
    mp_buffer dump = dump_source(SAMPLE, sizeof SAMPLE - 1), names;
    mp_buffer_init_heap(&names);
    for (size_t n = 0; n < dump.len; n++) {
        unsigned char *prefix = malloc(n + 1);
        memcpy(prefix + 1, dump.data, n);
        CHECK_EQ_INT(mp_proto_globals(prefix + 1, n, 1, &names), -EINVAL);
        CHECK_EQ_INT(names.len, 0);
        free(prefix);
    }
    REQUIRE(mp_buffer_append(&dump, "", 1) == 0);
    CHECK_EQ_INT(mp_proto_globals(dump.data, dump.len, 1, &names), -EINVAL);
    mp_buffer_free(&names);
    mp_buffer_free(&dump);
}

TEST(survives_flipped_bytes)
{
    mp_buffer dump = dump_source(SAMPLE, sizeof SAMPLE - 1), names;
    int refused = 0;
    mp_buffer_init_heap(&names);
    for (size_t i = 0; i < dump.len * 8; i++) {
        unsigned char bit = (unsigned char)(1 << i % 8);
        names.len = 0;
        dump.data[i / 8] ^= bit;
        refused += mp_proto_globals(dump.data, dump.len, 1, &names) != 0;
        dump.data[i / 8] ^= bit;
    }
    CHECK(refused > 0);
    mp_buffer_free(&names);
    mp_buffer_free(&dump);
}

static mp_buffer nested_dump(int depth)
{
    mp_buffer source;
    mp_buffer_init_heap(&source);
    for (int i = 0; i < depth; i++)
        CHECK_EQ_INT(mp_buffer_append(&source, "return function() ", 18), 0);
    CHECK_EQ_INT(mp_buffer_append(&source, "innermost() ", 12), 0);
    for (int i = 0; i < depth; i++)
        CHECK_EQ_INT(mp_buffer_append(&source, "end ", 4), 0);
    mp_buffer dump = dump_source((const char *)source.data, source.len);
    mp_buffer_free(&source);
    return dump;
}

TEST(goes_as_deep_as_the_compiler)
{
    mp_buffer dump = nested_dump(60), names;
    mp_buffer_init_heap(&names);
    check_upvalue(&dump, 1, &names, "innermost", __LINE__);
    mp_buffer_free(&names);
    mp_buffer_free(&dump);
}

/* A prototype that holds one that holds one ... : deeper than any compiler. */
TEST(refuses_what_is_nested_without_end)
{
    static const unsigned char open[] = {0x80, 0x80, 0x80, 0, 1, 2, 0x80, 0x80, 0x80, 0x81};
    mp_buffer dump = dump_source("", 0), names;
    mp_buffer_init_heap(&names);
    dump.len = 32;
    for (int i = 0; i < 1000000; i++)
        REQUIRE(mp_buffer_append(&dump, open, sizeof open) == 0);
    CHECK_EQ_INT(mp_proto_globals(dump.data, dump.len, 1, &names), -EINVAL);
    mp_buffer_free(&names);
    mp_buffer_free(&dump);
}

static int no_room(mp_buffer *b, size_t more)
{
    (void)b;
    (void)more;
    return -ENOSPC;
}

TEST(says_what_the_lender_said)
{
    mp_buffer dump = dump_source(SAMPLE, sizeof SAMPLE - 1);
    unsigned char room[20];
    mp_buffer names = {.data = room, .cap = sizeof room, .grow = no_room};
    CHECK_EQ_INT(mp_proto_globals(dump.data, dump.len, 1, &names), -ENOSPC);
    CHECK_EQ_INT(names.len, 0);
    mp_buffer_free(&dump);
}

CHECK_MAIN
