/* A program whose users write a scoring script: it runs their function over a million records on
 * all processors, with a C library of its own that the script may call. */
#include <moonpool_lua.h>

#include <lauxlib.h>
#include <lualib.h>
#include <math.h>
#include <stdio.h>

enum { RECORDS = 1000000 };

/* What this program offers to scripts. */
static int distance(lua_State *L)
{
    lua_pushnumber(L, hypot(luaL_checknumber(L, 1), luaL_checknumber(L, 2)));
    return 1;
}

static int open_geometry(lua_State *L)
{
    static const luaL_Reg functions[] = {{"distance", distance}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}

/* score(record number) is the script's; this is what runs it everywhere. */
static const char driver[] =
    "local score, n = ...\n"
    "local pool <close> = require('moonpool').Pool()\n"
    "local best, sum = -math.huge, 0\n"
    "for _, s in pool:imap_unordered(score, require('moonpool').range(n)) do\n"
    "  best, sum = math.max(best, s), sum + s\n"
    "end\n"
    "return best, sum / n\n";

int main(int argc, char **argv)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "geometry", open_geometry, 0);
    luaL_requiref(L, "moonpool", luaopen_moonpool, 0);
    lua_settop(L, 0);
    int failed =
        luaL_loadstring(L, driver) != LUA_OK ||
        (argc > 1 ? luaL_dofile(L, argv[1])
                  : luaL_dostring(L, "local g = require 'geometry'\n"
                                     "return function(i) return g.distance(i % 30, i % 40) end"));
    if (!failed) {
        lua_pushinteger(L, RECORDS);
        failed = lua_pcall(L, 2, 2, 0) != LUA_OK;
    }
    if (failed)
        fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
    else
        printf("best %.3f, mean %.3f of %d\n", lua_tonumber(L, -2), lua_tonumber(L, -1), RECORDS);
    lua_close(L);
    return failed;
}
