/* timeout: 120
 *
 * Several Lua states in one host, each with pools of its own: in one thread and in several; made
 * with what the host gives to fresh ones. */
#include "moonpool_lua.h"
#include "spec/support/check.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the host's own library ---- */

static int host_triple(lua_State *L)
{
    lua_pushinteger(L, luaL_checkinteger(L, 1) * 3);
    return 1;
}

static int open_host(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, host_triple);
    lua_setfield(L, -2, "triple");
    return 1;
}

static void open_libs(lua_State *L, void *user)
{
    (void)user;
    luaL_openlibs(L);
    luaL_requiref(L, "host", open_host, 0);
    lua_pop(L, 1);
}

static void init_worker(lua_State *L, void *user)
{
    lua_pushstring(L, user);
    lua_setglobal(L, "told");
}

static lua_State *open_state(void)
{
    lua_State *L = luaL_newstate();
    open_libs(L, NULL);
    luaL_requiref(L, "moonpool", luaopen_moonpool, 1);
    lua_settop(L, 0);
    return L;
}

/* Runs the chunk; its error text, or what it returns. */
static const char *said(lua_State *L, const char *chunk)
{
    lua_settop(L, 0);
    if (luaL_loadstring(L, chunk) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK)
        return luaL_tolstring(L, -1, NULL);
    return luaL_tolstring(L, -1, NULL);
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* ---- the cases ---- */

TEST(has_the_hosts_library_in_fresh_workers_and_processes)
{
    static const char chunk[] =
        "local mp, host = require 'moonpool', require 'host' "
        "local said = {} "
        "for _, method in ipairs { 'fork', 'spawn', 'forkserver' } do "
        "  local pool <close> = mp.Pool{ processes = 2, start_method = method } "
        "  local r = pool:map(function(x) return host.triple(x) end, { 1, 2, 3 }) "
        "  said[#said + 1] = table.concat(r, ',') .. tostring(pool:apply(function() return told "
        "end)) "
        "  local q = mp.Queue() "
        "  local p = mp.Process{ start_method = method, target = function() q:put(host.triple(4)) "
        "end } "
        "  p:start() p:join() "
        "  said[#said + 1] = q:get() "
        "end "
        "return table.concat(said, ' ')";
    lua_State *L = open_state();
    CHECK_STR(said(L, chunk), "3,6,9nil 12 3,6,9fresh 12 3,6,9fresh 12");
    lua_close(L);
    moonpool_forkserver_stop();
}

static const char use[] =
    "local mp = require 'moonpool' "
    "local pool <close> = mp.Pool(2) "
    "local lock, sum = mp.Lock(), mp.Value('i8', 0) "
    "local r = pool:map(function(x) "
    "  local held <close> = lock:hold() sum:add(x) return x * x end, mp.range(100)) "
    "return r[100] + sum.value";

TEST(goes_on_in_two_states_of_one_thread)
{
    lua_State *one = open_state(), *two = open_state();
    CHECK_STR(said(one, "mp = require 'moonpool' pool = mp.Pool(2) "
                        "return pool:apply(math.abs, { -1 })"),
              "1");
    CHECK_STR(said(two, use), "15050");
    CHECK_STR(said(one, "return pool:apply(math.abs, { -2 })"), "2");
    lua_close(two);
    CHECK_STR(said(one, "return pool:map(function(x) return x end, { 7 })[1]"), "7");
    CHECK_STR(said(one, "pool:close() return pool:join()"), "true");
    lua_close(one);
}

static void *run_state(void *arg)
{
    lua_State *L = open_state();
    for (int i = 0; i < 3; i++)
        snprintf(arg, 256, "%s", said(L, use));
    lua_close(L);
    return NULL;
}

static void run_threads(unsigned threads)
{
    pthread_t thread[4];
    static char texts[4][256];
    for (unsigned i = 0; i < threads; i++)
        CHECK_EQ_INT(pthread_create(&thread[i], NULL, run_state, texts[i]), 0);
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        CHECK_STR(texts[i], "15050");
    }
}

TEST(goes_on_in_states_of_several_threads)
{
    run_threads(4);
    REQUIRE(moonpool_forkserver_start() == 0);
    run_threads(4);
    moonpool_forkserver_stop();
}

static const char leave[] = "local mp = require 'moonpool' "
                            "pool = mp.Pool{ processes = 2, start_method = '%s' } "
                            "iterator = pool:imap(function(x) return x end, mp.range(1000000)) "
                            "local first = iterator() "
                            "pool:map_async(function() mp.sleep(100) end, mp.range(10)) "
                            "pool:apply_async(math.abs, { 1 }, print) "
                            "return first";

TEST(ends_its_work_where_a_state_is_closed)
{
    static const char *const methods[] = {"fork", "spawn", "forkserver"};
    char chunk[sizeof leave + 20];
    unsigned before = descriptors();
    for (int i = 0; i < 3; i++) {
        lua_State *L = open_state();
        snprintf(chunk, sizeof chunk, leave, methods[i]);
        said(L, chunk);
        lua_close(L);
    }
    /* Whoever waits for all children does not wait for ever: the forkserver has gone, too. */
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    CHECK(descriptors() <= before + 4); /* the session stays */
}

static void fail(lua_State *L, void *user)
{
    (void)user;
    luaL_error(L, "no library here");
}

TEST(tells_why_a_fresh_state_cannot_be)
{
    static const char chunk[] =
        "local mp = require 'moonpool' "
        "local pool = mp.Pool{ processes = 1, start_method = 'forkserver' } "
        "local ok, err = pcall(pool.apply, pool, math.abs, { 1 }) "
        "pool:terminate() pool:join() "
        "return err.kind .. ' ' .. err.message";
    lua_State *L = open_state();
    moonpool_lua_fresh(fail, NULL, NULL);
    CHECK_STR(said(L, chunk), "system workers cannot be started: cannot furnish a Lua state: "
                              "no library here");
    moonpool_forkserver_stop();
    moonpool_lua_fresh(open_libs, fail, NULL);
    CHECK(strstr(said(L, chunk), "initializer") != NULL);
    moonpool_forkserver_stop();
    moonpool_lua_fresh(open_libs, init_worker, (void *)(uintptr_t) "fresh");
    lua_close(L);
}

/* What is written to standard error meanwhile. */
static void hear(lua_State *L, const char *chunk, char *text, size_t room)
{
    int ends[2], before = dup(STDERR_FILENO);
    CHECK_EQ_INT(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    dup2(ends[1], STDERR_FILENO);
    const char *result = said(L, chunk);
    dup2(before, STDERR_FILENO);
    ssize_t n = read(ends[0], text, room - 1);
    text[n < 0 ? 0 : n] = '\0';
    CHECK_STR(result, "true");
    close(before);
    close(ends[0]);
    close(ends[1]);
}

TEST(lets_a_process_say_why_its_fresh_state_cannot_be)
{
    static const char chunk[] = "local mp = require 'moonpool' "
                                "local p = mp.get_context('forkserver').Process{ target = print } "
                                "p:start() "
                                "return tostring(p:join(60) and p.exitcode ~= 0)";
    char text[500];
    lua_State *L = open_state();
    moonpool_lua_fresh(fail, NULL, NULL);
    hear(L, chunk, text, sizeof text);
    CHECK_STR(text, "moonpool: a process cannot start: cannot furnish a Lua state: "
                    "no library here\n");
    moonpool_forkserver_stop();
    moonpool_lua_fresh(open_libs, init_worker, (void *)(uintptr_t) "fresh");
    lua_close(L);
}

/* The module as a stock interpreter loads it, by a host that forgets it again: it stays, as
 * functions of it may be on the stack where a state is closed. */
TEST(outlives_the_closing_of_its_library)
{
    char path[512];
    snprintf(path, sizeof path, "%s/moonpool.so", getenv("MOONPOOL_BUILD"));
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(library != NULL);
    lua_CFunction open_it;
    *(void **)(&open_it) = dlsym(library, "luaopen_moonpool");
    REQUIRE(open_it != NULL);
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "moonpool", open_it, 1);
    CHECK_STR(said(L, "pool = require 'moonpool'.Pool{ processes = 1, start_method = 'fork' } "
                      "return pool:apply(math.abs, { -3 })"),
              "3");
    dlclose(library);
    CHECK_STR(said(L, "return pool:apply(math.abs, { -4 })"), "4");
    lua_close(L);
}

int main(int argc, char **argv)
{
    moonpool_lua_fresh(open_libs, init_worker, (void *)(uintptr_t) "fresh");
    moonpool_worker_main(argc, argv);
    return check_run(argc, argv);
}
