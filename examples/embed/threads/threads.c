/* A host with threads, each of which has a Lua state and a pool of its own. A process with threads
 * cannot fork workers; those here come from the forkserver, which main has started while it was
 * alone, and their fresh states have the host's own library. */
#include <moonpool_lua.h>

#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, PARTS = 200 };

/* What this program offers to scripts: how many lattice points of a strip lie in the circle. */
static int strip(lua_State *L)
{
    lua_Integer radius = luaL_checkinteger(L, 1), x = luaL_checkinteger(L, 2), inside = 0;
    for (lua_Integer y = -radius; y <= radius; y++)
        inside += x * x + y * y <= radius * radius;
    lua_pushinteger(L, inside);
    return 1;
}

static int open_lattice(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, strip);
    lua_setfield(L, -2, "strip");
    return 1;
}

static void open_libs(lua_State *L, void *user)
{
    (void)user;
    luaL_openlibs(L);
    luaL_requiref(L, "lattice", open_lattice, 0);
    lua_pop(L, 1);
}

static const char script[] =
    "local radius = ...\n"
    "local lattice = require 'lattice'\n"
    "local mp = require 'moonpool'\n"
    "local pool <close> = mp.Pool(2)\n"
    "local sum = pool:reduce(function(x) return lattice.strip(radius, x) end,\n"
    "                        function(a, b) return a + b end, mp.range(-radius, radius))\n"
    "return string.format('%s: radius %d holds %d points', mp.get_start_method(), radius, sum)\n";

typedef struct job {
    pthread_t thread;
    int radius;
    char text[200];
} job;

static void *run(void *arg)
{
    job *j = arg;
    lua_State *L = luaL_newstate();
    open_libs(L, NULL);
    luaL_requiref(L, "moonpool", luaopen_moonpool, 0);
    lua_settop(L, 0);
    if (luaL_loadstring(L, script) == LUA_OK) {
        lua_pushinteger(L, j->radius);
        lua_pcall(L, 1, 1, 0);
    }
    snprintf(j->text, sizeof j->text, "%s", luaL_tolstring(L, -1, NULL));
    lua_close(L);
    return NULL;
}

int main(int argc, char **argv)
{
    job jobs[THREADS];
    moonpool_lua_fresh(open_libs, NULL, NULL);
    moonpool_worker_main(argc, argv);
    if (moonpool_forkserver_start() != MOONPOOL_OK)
        return 1;
    for (int i = 0; i < THREADS; i++) {
        jobs[i].radius = (i + 1) * PARTS;
        if (pthread_create(&jobs[i].thread, NULL, run, &jobs[i]) != 0)
            return 1;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(jobs[i].thread, NULL);
        puts(jobs[i].text);
    }
    moonpool_forkserver_stop();
    return 0;
}
