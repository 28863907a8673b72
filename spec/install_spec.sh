# What is installed works from where it is installed: the program, the module
# in a stock interpreter, and both libraries in a C host.
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$MOONPOOL_BUILD" --prefix "$prefix" >"$prefix/log" || { cat "$prefix/log"; exit 1; }
libraries=$(dirname "$(find "$prefix" -name libmoonpool.a)")
work='local p = require("moonpool").Pool(2) assert(p:map(function(x) return x * x end, {1, 2, 3})[3] == 9) p:close() p:join()'
unset LUA_CPATH LUA_PATH

"$prefix/bin/moonpool" -e "$work"
LUA_CPATH="$libraries/lua/5.4/?.so" lua5.4 -e "$work"

cat >"$prefix/host.c" <<'END'
#include <moonpool_lua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "moonpool", luaopen_moonpool, 0);
    int failed = luaL_dostring(L, argv[argc - 1]);
    if (failed)
        fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
    lua_close(L);
    return failed;
}
END
flags="${MOONPOOL_SANITIZE:+-fsanitize=$MOONPOOL_SANITIZE} -I$prefix/include $(pkg-config --cflags lua5.4)"
cc $flags "$prefix/host.c" -o "$prefix/shared" -L"$libraries" -lmoonpool $(pkg-config --libs lua5.4)
cc $flags "$prefix/host.c" -o "$prefix/static" "$libraries/libmoonpool.a" $(pkg-config --libs lua5.4) -lm -pthread
LD_LIBRARY_PATH=$libraries "$prefix/shared" "$work"
"$prefix/static" "$work"
