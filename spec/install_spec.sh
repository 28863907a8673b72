# timeout: 180
# What is installed works from where it is installed: the program, the module
# in a stock interpreter, and both libraries in a C host.
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$MOONPOOL_BUILD" --prefix "$prefix" >"$prefix/log" || { cat "$prefix/log"; exit 1; }
libraries=$(dirname "$(find "$prefix" -name libmoonpool_lua.a)")
work='local p = require("moonpool").Pool(2) assert(p:map(function(x) return x * x end, {1, 2, 3})[3] == 9) p:close() p:join()'
work="$work local mp, path = require 'moonpool', os.tmpname() .. '.json' mp.save(path, {1}) assert(mp.load(path)[1] == 1) os.remove(path)"
unset LUA_CPATH LUA_PATH

"$prefix/bin/moonpool" -e "$work"
bash -n "$prefix/share/bash-completion/completions/moonpool"
head -n 1 "$prefix/share/zsh/site-functions/_moonpool" | grep -q '^#compdef moonpool$'
spawning='require("moonpool").set_start_method "spawn" '$work
"$prefix/bin/moonpool" -e "$spawning"
LUA_CPATH="$libraries/lua/5.4/?.so" lua5.4 -e "$spawning"
LUA_CPATH="$libraries/lua/5.4/?.so" lua5.4 -e "$work"

# The program carries with it what it could.
if [ -n "$(find /usr/lib /usr/local/lib -name libjansson.a -print -quit)" ] &&
    ldd "$prefix/bin/moonpool" | grep jansson; then
    exit 1
fi

# The module alone, as a rock brings it: the interpreter itself is started anew.
mkdir "$prefix/alone"
cp "$libraries/lua/5.4/moonpool.so" "$prefix/alone"
LUA_CPATH="$prefix/alone/?.so" lua5.4 -e "$spawning"

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
cc $flags "$prefix/host.c" -o "$prefix/shared" -L"$libraries" -lmoonpool_lua $(pkg-config --libs lua5.4)
cc $flags "$prefix/host.c" -o "$prefix/static" "$libraries/libmoonpool_lua.a" $(pkg-config --libs lua5.4) -ljansson -lm -pthread
LD_LIBRARY_PATH=$libraries "$prefix/shared" "$work"
"$prefix/static" "$work"
LD_LIBRARY_PATH=$libraries "$prefix/shared" "$spawning" # by the program beside the library

# Hosts of all kinds, by find_package and by pkg-config, outside the source tree.
examples=$PWD/examples/embed
expect() { # TEXT PATTERN
    printf '%s\n' "$1" | grep -qE "$2" || { printf 'expected %s, got: %s\n' "$2" "$1"; exit 1; }
}
for host in handlers poll scores uv plus threads; do
    cp -r "$examples/$host" "$prefix/src-$host"
    { cmake -S "$prefix/src-$host" -B "$prefix/$host" -DCMAKE_PREFIX_PATH="$prefix" \
        -DCMAKE_C_FLAGS="${MOONPOOL_SANITIZE:+-fsanitize=$MOONPOOL_SANITIZE}" \
        -DCMAKE_CXX_FLAGS="${MOONPOOL_SANITIZE:+-fsanitize=$MOONPOOL_SANITIZE} -Wall -Wextra -Werror" &&
        cmake --build "$prefix/$host"; } >"$prefix/log" 2>&1 || { cat "$prefix/log"; exit 1; }
done
ulimit -c 0
expect "$("$prefix/handlers/handlers")" 'task 1: the worker died, signal 6'
expect "$("$prefix/handlers/handlers")" 'pi is about 3.14'
expect "$(seq 1 1000 | sed 's/$/ a b/' | "$prefix/poll/poll")" '^1000 lines, 3000 words$'
expect "$("$prefix/scores/scores")" '^best 48.600, mean 26.1'
expect "$("$prefix/plus/plus")" '^17984 primes below 200000$'
expect "$("$prefix/threads/threads")" '^forkserver: radius 800 holds 2010573 points$'
expect "$("$prefix/uv/uv")" '^100000 tasks; longest gap'

export PKG_CONFIG_PATH="$libraries/pkgconfig"
sanitize=${MOONPOOL_SANITIZE:+-fsanitize=$MOONPOOL_SANITIZE}
cc $sanitize -D_GNU_SOURCE "$examples/handlers/handlers.c" -o "$prefix/by-pkg" \
    $(pkg-config --cflags --libs moonpool)
expect "$(LD_LIBRARY_PATH=$libraries "$prefix/by-pkg")" 'pi is about 3.14'
cc $sanitize "$examples/scores/scores.c" -o "$prefix/by-pkg-lua" \
    $(pkg-config --cflags --libs moonpool_lua) -lm
expect "$(LD_LIBRARY_PATH=$libraries "$prefix/by-pkg-lua")" '^best 48.600'

# C++ takes the headers, and a script of the user's is run.
printf '#include <moonpool.h>\n#include <moonpool_lua.h>\nint main() { return moonpool_version() == nullptr; }\n' >"$prefix/plus.cc"
c++ $sanitize -Wall -Wextra -Werror -pedantic "$prefix/plus.cc" -o "$prefix/headers" \
    $(pkg-config --cflags --libs moonpool_lua)
LD_LIBRARY_PATH=$libraries "$prefix/headers"
printf 'return function(i) return i %% 7 end\n' >"$prefix/score.lua"
expect "$("$prefix/scores/scores" "$prefix/score.lua")" '^best 6.000, mean 3.000'

# A host that has a Lua of its own inside, and exports it to nobody.
lua_archive=$(pkg-config --variable=libdir lua5.4)/liblua5.4.a
if [ -e "$lua_archive" ]; then
    cc $flags "$prefix/host.c" -o "$prefix/own-lua" "$libraries/libmoonpool_lua.a" "$lua_archive" \
        -ljansson -lm -ldl -pthread
    "$prefix/own-lua" "$work"
fi
