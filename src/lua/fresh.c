/* What a pool tells those who make its workers anew: this state's settings, the initializer, and
 * the functions that other workers have in hand. */
#include "lua/fresh.h"

#include "lua/message.h"

#include "codec/names.h"
#include "codec/values.h"
#include "process/forkserver.h"
#include "shm/session.h"

#include <errno.h>
#include <pthread.h>
#include <lualib.h>

/* ---- settings ---- */

static void put_field(lua_State *L, const char *name, mp_letter *letter)
{
    size_t size = 0;
    const char *text = "";
    int top = lua_gettop(L);
    if (mp_push_loaded(L, LUA_LOADLIBNAME) == LUA_TTABLE &&
        lua_getfield(L, -1, name) == LUA_TSTRING)
        text = lua_tolstring(L, -1, &size);
    mp_letter_put_text(letter, text, size);
    lua_settop(L, top);
}

static void put_number(lua_State *L, const char *name, mp_letter *letter)
{
    lua_getfield(L, LUA_REGISTRYINDEX, name);
    mp_letter_put_number(letter, (uint64_t)lua_tointeger(L, -1));
    lua_pop(L, 1);
}

static void put_own_name(lua_State *L, mp_letter *letter)
{
    size_t size = 0;
    int top = lua_gettop(L);
    mp_push_loaded(L, "moonpool.process");
    lua_getfield(L, -1, "current");
    lua_call(L, 0, 1);
    lua_getfield(L, -1, "name");
    const char *name = lua_tolstring(L, -1, &size);
    mp_letter_put_text(letter, name, size);
    lua_settop(L, top);
}

void mp_fresh_settings(lua_State *L, mp_letter *letter)
{
    put_field(L, "path", letter);
    put_field(L, "cpath", letter);
    put_number(L, MP_DEFAULT_PROCESSES, letter);
    put_number(L, MP_DEFAULT_METHOD, letter);
    put_own_name(L, letter);
}

/* ---- the forkserver ---- */

static int let_server_go(lua_State *L)
{
    (void)L;
    mp_forkserver_let_go();
    return 0;
}

void mp_fresh_hold(lua_State *L, enum mp_start_method method)
{
    static const char key = 0;
    if (method != MP_START_FORKSERVER)
        return;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
        lua_newuserdatauv(L, 0, 0);
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, let_server_go);
        lua_setfield(L, -2, "__gc");
        lua_setmetatable(L, -2);
        mp_forkserver_hold();
        lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    }
    lua_pop(L, 1);
}

/* ---- a pool's ---- */

/* (what the pool's workers are to have) */
static int encode_both(lua_State *L)
{
    mp_buffer *out = lua_touserdata(L, 2);
    lua_getfield(L, 1, "initializer");
    lua_getfield(L, 1, "initargs");
    mp_names_refresh(L);
    out->len = 0;
    out->error = 0;
    if (mp_encode(L, 3, 2, MP_CODEC_FUNCTIONS, out) == 0)
        return 0;
    if (out->error < 0)
        return mp_raise(L, "system", "no memory to encode the initializer");
    bool args = lua_tointeger(L, -1) == 2;
    lua_pop(L, 1);
    mp_error_codec(L, "encode", args ? "initargs" : "initializer");
    return lua_error(L);
}

/* What it takes along belongs to the pool, whose table carries it: any worker may ask for it. */
static void encode_start(lua_State *L, mp_lua_pool *p)
{
    bool outer = p->encoding;
    lua_pushcfunction(L, encode_both);
    lua_rawgetp(L, LUA_REGISTRYINDEX, p);
    lua_pushlightuserdata(L, &p->start);
    p->encoding = true;
    int status = mp_message_call(L, 2, -2);
    p->encoding = outer;
    if (status == LUA_OK)
        return;
    p->start.len = 0;
    lua_error(L);
}

enum mp_start_method mp_fresh_asked(lua_State *L, lua_Integer number)
{
    if (number == MP_START_DEFAULT) {
        lua_getfield(L, LUA_REGISTRYINDEX, MP_DEFAULT_METHOD);
        number = lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    return (enum mp_start_method)number;
}

enum mp_start_method mp_fresh_choose(lua_State *L, enum mp_start_method asked, const char *to_do)
{
    mp_error error = {0};
    int method = mp_start_choose(asked, &error);
    if (method < 0)
        mp_raise(L, "state", "%s: %s before other threads are started", error.text, to_do);
    return (enum mp_start_method)method;
}

enum mp_start_method mp_fresh_prepare(lua_State *L, mp_lua_pool *p)
{
    enum mp_start_method method = mp_fresh_choose(L, p->method, "make the pool's first call");
    mp_fresh_hold(L, method);
    if (method != MP_START_FORK && p->start.len == 0)
        encode_start(L, p);
    return method;
}

/* One function in hand, by value; what cannot be sent is not there. */
static void put_in_hand(lua_State *L, mp_letter *letter, int function, lua_Integer id)
{
    mp_buffer b;
    int top = lua_gettop(L);
    mp_buffer_init_heap(&b);
    if (mp_encode(L, function, 1, MP_CODEC_FUNCTIONS, &b) == 0) {
        mp_letter_put_number(letter, (uint64_t)id);
        mp_letter_put_text(letter, b.data, b.len);
    }
    lua_settop(L, top);
    mp_buffer_free(&b);
}

static void put_all_in_hand(lua_State *L, mp_lua_pool *p, mp_letter *letter)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, p);
    int table = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1))
        if (lua_isinteger(L, -2))
            put_in_hand(L, letter, lua_gettop(L), lua_tointeger(L, -2));
    mp_letter_put_number(letter, 0);
}

static int brief(lua_State *L)
{
    mp_lua_pool *p = lua_touserdata(L, 1);
    mp_letter *letter = lua_touserdata(L, 2);
    if (p->start.len == 0)
        encode_start(L, p);
    mp_fresh_settings(L, letter);
    mp_letter_put_number(letter, (uint64_t)p->max_items);
    mp_letter_put_number(letter, (uint64_t)p->memory_limit);
    mp_letter_put_number(letter, p->has_output);
    mp_letter_put_number(letter, p->has_log);
    mp_letter_put_text(letter, p->start.data, p->start.len);
    mp_names_refresh(L);
    put_all_in_hand(L, p, letter);
    return 0;
}

/* On the thread that its workers would have, and protected: the core's frames lie below. */
void mp_fresh_brief(void *pool, mp_letter *letter)
{
    mp_lua_pool *p = pool;
    lua_State *L = p->worker.L;
    bool outer = p->encoding;
    sigset_t before;
    mp_block_interrupts(&before); /* the script's own thread has the hook that is pending */
    lua_sethook(L, NULL, 0, 0);
    mp_session_send(letter);
    p->encoding = true;
    lua_settop(L, 0);
    lua_pushcfunction(L, brief);
    lua_pushlightuserdata(L, p);
    lua_pushlightuserdata(L, letter);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
        letter->status = -EPROTO;
    p->encoding = outer;
    lua_settop(L, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
