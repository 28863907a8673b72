/* require "spec.thread": thread() starts a thread of this process that sleeps for ever. */
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <unistd.h>

int luaopen_spec_thread(lua_State *L);

static void *sleep_on(void *nothing)
{
    for (;;)
        pause();
    return nothing;
}

static int start(lua_State *L)
{
    pthread_t thread;
    lua_pushboolean(L, pthread_create(&thread, NULL, sleep_on, NULL) == 0);
    return 1;
}

__attribute__((visibility("default"))) int luaopen_spec_thread(lua_State *L)
{
    lua_pushcfunction(L, start);
    return 1;
}
