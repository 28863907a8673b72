/* mp.share: a value that is encoded once, in shared memory, and decoded once by each process that
 * asks for it.
 *
 * In a worker, what was decoded stays behind the handles that tasks come and go with, until the
 * cell is free: nobody has a handle any more. */
#include "lua/message.h"
#include "lua/shared.h"
#include "lua/state.h"

#include <string.h>

static const char decoded = 0; /* the registry's key of the table of what was decoded, by cell */
static bool remembers;         /* whether a worker, which has one state, has something in there */

typedef struct share {
    uint64_t size;
} share;

static mp_shared *check(lua_State *L, const char *method)
{
    return mp_check_shared(L, 1, 1U << MP_SHARED_SHARED, method);
}

/* core.share_fill(handle, value): before anybody else has it */
static int share_fill(lua_State *L)
{
    size_t room;
    mp_error error = {0};
    const mp_shared *s = check(L, "share");
    lua_settop(L, 2);
    mp_buffer *b = mp_message_buffer(L);
    mp_message_encode(L, 2, 1, b, 1);
    if (mp_cell_extend(s->name, b->len, &error) < 0)
        mp_raise_system(L, &error);
    memcpy(mp_cell_extent(s->name, &room), b->data, b->len);
    ((share *)s->content)->size = b->len;
    mp_cell_by_name(s->name);
    mp_buffer_free(b);
    return 0;
}

static int decode(lua_State *L)
{
    size_t room;
    const mp_shared *s = check(L, "get");
    const unsigned char *bytes = mp_cell_extent(s->name, &room);
    uint64_t size = ((const share *)s->content)->size;
    return mp_message_decode(L, bytes, size < room ? (size_t)size : room) == 1 ? 1 : lua_error(L);
}

/* core.share_decode(handle): the value. The cell is used meanwhile, also by who has inherited its
 * name alone. */
static int share_decode(lua_State *L)
{
    const mp_shared *s = check(L, "get");
    if (!mp_cell_use(s->name))
        return mp_raise(L, "closed", "get: what was shared is gone: no process has it any more");
    lua_pushcfunction(L, decode);
    lua_pushvalue(L, 1);
    int status = lua_pcall(L, 1, 1, 0);
    mp_cell_drop(s->name);
    return status == LUA_OK ? 1 : lua_error(L);
}

/* core.share_remember(handle, box): it is found by core.share_recall until the cell is free; the
 * handle does not use that any longer */
static int share_remember(lua_State *L)
{
    mp_shared *s = check(L, "get");
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &decoded) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &decoded);
    }
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, mp_shared_key(s->name));
    remembers = true;
    mp_shared_let_go(s);
    return 0;
}

/* core.share_recall(handle): the box, or nil */
static int share_recall(lua_State *L)
{
    const mp_shared *s = check(L, "get");
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &decoded) == LUA_TTABLE)
        lua_rawgeti(L, -1, mp_shared_key(s->name));
    return 1;
}

void mp_share_forget(lua_State *L)
{
    if (!remembers)
        return;
    remembers = false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &decoded);
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
        lua_pop(L, 1);
        if (mp_cell_is_free(mp_shared_named(lua_tointeger(L, -1)))) {
            lua_pushvalue(L, -1);
            lua_pushnil(L);
            lua_rawset(L, -4);
        } else {
            remembers = true;
        }
    }
    lua_pop(L, 1);
}

void mp_open_share(lua_State *L)
{
    static const luaL_Reg functions[] = {{"share_fill", share_fill},
                                         {"share_decode", share_decode},
                                         {"share_remember", share_remember},
                                         {"share_recall", share_recall},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
