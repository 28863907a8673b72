/* What a process can be for a script whose fork it is not: the nursery of a pool, with a state that
 * its workers are forked with; and a process of the script's own. */
#include "lua/fresh.h"

#include "codec/values.h"
#include "lua/worker_state.h"
#include "shm/session.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* What both begin with; NULL with `error` set. */
static lua_State *begin(mp_letter *letter, mp_error *error)
{
    return mp_session_receive(letter, error) < 0 ? NULL : mp_fresh_open(letter, error);
}

/* ---- a pool's nursery ---- */

static int take_in_hand(lua_State *L)
{
    mp_lua_pool *p = lua_touserdata(L, 1);
    mp_letter *letter = lua_touserdata(L, 2);
    lua_newtable(L);
    for (lua_Integer id; (id = (lua_Integer)mp_letter_take_number(letter)) != 0;) {
        size_t size;
        const char *bytes = mp_letter_take_text(letter, &size);
        lua_pushlstring(L, bytes, size);
        lua_rawseti(L, -2, id);
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, p);
    p->worker.L = lua_newthread(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &p->worker);
    return 0;
}

/* The letter's bytes stay for as long as the process does. */
static void take_options(mp_lua_pool *p, mp_letter *letter)
{
    size_t size;
    *p = (mp_lua_pool){0}; /* the process may be a fork of one that was a nursery, too */
    p->max_items = (lua_Integer)mp_letter_take_number(letter);
    p->memory_limit = (lua_Integer)mp_letter_take_number(letter);
    p->has_output = mp_letter_take_number(letter) != 0;
    p->has_log = mp_letter_take_number(letter) != 0;
    const char *start = mp_letter_take_text(letter, &size);
    p->start = (mp_buffer){.data = (unsigned char *)(uintptr_t)start, .len = size};
    p->fresh = true;
}

int mp_fresh_play_pool(mp_letter *letter)
{
    static mp_lua_pool pool;
    mp_error error = {0};
    lua_State *L = begin(letter, &error);
    if (L == NULL)
        return mp_role_fail("%s", error.text);
    mp_worker_prepare();
    take_options(&pool, letter);
    lua_pushcfunction(L, take_in_hand);
    lua_pushlightuserdata(L, &pool);
    lua_pushlightuserdata(L, letter);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
        return mp_role_fail("no memory for a nursery");
    mp_handler handler = mp_worker_handler(&pool, (uint64_t)pool.max_items);
    return mp_local_serve(letter, &handler);
}

/* ---- a process ---- */

static void be_known(lua_State *L, const char *field, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, LUA_REGISTRYINDEX, field);
}

static void admit_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* Its exit code, of what process.become makes of the rest of the letter. */
static int be_process(lua_State *L)
{
    size_t size;
    mp_letter *letter = lua_touserdata(L, 1);
    mp_child_furnish(L);
    be_known(L, MP_PARENT, (lua_Integer)mp_letter_take_number(letter));
    be_known(L, MP_PARENT_FD, mp_letter_take_fd(letter));
    const char *bytes = mp_letter_take_text(letter, &size);
    mp_role_begun();
    admit_signals();
    mp_fresh_init(L);
    mp_push_loaded(L, "moonpool.process");
    lua_getfield(L, -1, "become");
    if (mp_decode(L, (const unsigned char *)bytes, size, NULL, 1, MP_CODEC_FUNCTIONS) < 0) {
        mp_error_codec(L, "decode", "process");
        lua_error(L);
    }
    lua_call(L, 1, 1);
    return 1;
}

/* What the process writes where it cannot even begin: nobody reads what it tells its maker. */
static void complain(const char *text)
{
    fprintf(stderr, "moonpool: a process cannot start: %s\n", text);
}

int mp_fresh_play_process(mp_letter *letter)
{
    mp_error error = {0};
    lua_State *L = begin(letter, &error);
    if (L == NULL) {
        complain(error.text);
        return mp_role_fail("%s", error.text);
    }
    lua_pushcfunction(L, be_process);
    lua_pushlightuserdata(L, letter);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        complain(luaL_tolstring(L, -1, NULL));
        return EXIT_FAILURE;
    }
    int code = (int)lua_tointeger(L, -1);
    if (code == 0)
        mp_session_leave();
    return code;
}
