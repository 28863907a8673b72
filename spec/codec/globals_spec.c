/* valgrind
 * Globals that arrive: what was inherited or set from here gives way, what the
 * worker has put there does not. */
#include "codec/globals.h"
#include "spec/support/check.h"

#include <lauxlib.h>
#include <lualib.h>

static bool run(lua_State *L, const char *source)
{
    if (luaL_dostring(L, source) == LUA_OK)
        return true;
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return false;
}

static lua_State *open_with(const char *source)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    CHECK(run(L, source));
    return L;
}

/* The value of the expression arrives under the name. */
static void arrives(lua_State *L, const char *name, const char *expression)
{
    char source[256];
    snprintf(source, sizeof source, "return '%s', %s", name, expression);
    lua_pushliteral(L, "below");
    if (!check_that(run(L, source), __FILE__, __LINE__, source))
        return;
    mp_globals_set(L);
    CHECK_STR(lua_tostring(L, -1), "below");
    lua_pop(L, 1);
}

TEST(replaces_what_was_inherited)
{
    lua_State *L = open_with("x = 1 ; function f() return 1 end");
    mp_globals_begin(L);
    arrives(L, "x", "2");
    arrives(L, "f", "function() return 2 end");
    CHECK(run(L, "assert(x == 2 and f() == 2)"));
    lua_close(L);
}

TEST(replaces_what_it_set_before)
{
    lua_State *L = open_with("");
    mp_globals_begin(L);
    arrives(L, "x", "1");
    CHECK(run(L, "assert(x == 1)"));
    arrives(L, "x", "2");
    CHECK(run(L, "assert(x == 2)"));
    lua_close(L);
}

TEST(keeps_what_the_worker_put_there)
{
    lua_State *L = open_with("x = 1");
    mp_globals_begin(L);
    CHECK(run(L, "x = 10 ; y = 20"));
    arrives(L, "x", "2");
    arrives(L, "y", "2");
    CHECK(run(L, "assert(x == 10 and y == 20)"));
    arrives(L, "z", "3");
    CHECK(run(L, "assert(z == 3) ; z = 30"));
    arrives(L, "z", "4");
    CHECK(run(L, "assert(z == 30)"));
    lua_close(L);
}

TEST(keeps_what_the_worker_removed)
{
    lua_State *L = open_with("x = 1");
    mp_globals_begin(L);
    CHECK(run(L, "x = nil"));
    arrives(L, "x", "2");
    CHECK(run(L, "assert(x == nil)"));
    lua_close(L);
}

TEST(tells_equal_tables_apart)
{
    lua_State *L = open_with("local eq = {__eq = function() return true end}\n"
                             "t = setmetatable({}, eq) ; function other() "
                             "return setmetatable({other = true}, eq) end");
    mp_globals_begin(L);
    CHECK(run(L, "t = other()"));
    arrives(L, "t", "{}");
    CHECK(run(L, "assert(t.other)"));
    lua_close(L);
}

TEST(replaces_false_and_nan)
{
    lua_State *L = open_with("no = false ; nan = 0/0");
    mp_globals_begin(L);
    arrives(L, "no", "1");
    arrives(L, "nan", "2");
    CHECK(run(L, "assert(no == 1 and nan == 2) ; no = 0/0"));
    arrives(L, "no", "3");
    CHECK(run(L, "assert(no ~= no)"));
    lua_close(L);
}

TEST(is_not_seen_by_metamethods)
{
    lua_State *L = open_with("seen = {} ; setmetatable(_G, {__index = function(_, k) "
                             "error('read ' .. k) end, __newindex = function(_, k) "
                             "error('set ' .. k) end})");
    mp_globals_begin(L);
    arrives(L, "fresh", "1");
    CHECK(run(L, "assert(rawget(_G, 'fresh') == 1)"));
    lua_close(L);
}

TEST(sets_only_what_is_missing_in_a_host)
{
    lua_State *L = open_with("x = 1 ; no = false");
    arrives(L, "x", "2");
    arrives(L, "no", "2");
    arrives(L, "y", "3");
    CHECK(run(L, "assert(x == 1 and no == false and y == 3)"));
    arrives(L, "y", "4");
    CHECK(run(L, "assert(y == 3)"));
    lua_close(L);
}

TEST(beginning_again_inherits_what_stands)
{
    lua_State *L = open_with("");
    mp_globals_begin(L);
    CHECK(run(L, "x = 1"));
    mp_globals_begin(L);
    arrives(L, "x", "2");
    CHECK(run(L, "assert(x == 2)"));
    lua_close(L);
}

CHECK_MAIN
