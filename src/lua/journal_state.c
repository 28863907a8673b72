/* What items have saved, in their journal: each state that comes, but so seldom that a night of
 * saves does not fill the disk.
 *
 * Invariants: a state that comes too early waits, and is written when its time has come, or when
 * its item fails; of several that wait the last one is. */
#include "lua/journal.h"

#include "lua/journal_inner.h"

#include "base/clock.h"
#include "codec/values.h"

enum {
    EVERY_NS = 200000000, /* between two states of an item, */
    BYTE_NS = 250,        /* and longer where they are large: 4 MB a second */
};

/* Of a state that waits; its bytes follow. */
typedef struct late_head {
    uint64_t index;
    unsigned attempt, seat;
} late_head;

/* When the item's next state may be written. */
static int64_t due(lua_State *L, int journal, uint64_t index)
{
    lua_getiuservalue(L, journal, JOURNAL_STATES);
    lua_rawgeti(L, -1, (lua_Integer)index);
    int64_t at = lua_tointeger(L, -1);
    lua_pop(L, 2);
    return at;
}

static void set_due(lua_State *L, int journal, const mp_event *e)
{
    int64_t pause = (int64_t)e->size * BYTE_NS;
    lua_getiuservalue(L, journal, JOURNAL_STATES);
    lua_pushinteger(L, mp_now() + (pause > EVERY_NS ? pause : EVERY_NS));
    lua_rawseti(L, -2, (lua_Integer)e->index);
    lua_pop(L, 1);
}

static void write_state(lua_State *L, mp_lua_journal *j, int journal, const mp_event *e)
{
    mp_digest digest;
    int top = lua_gettop(L);
    bool known = mp_journal_pending(L, journal, e->index, &digest);
    int n = known ? mp_decode(L, e->data, e->size, NULL, 2, MP_CODEC_FUNCTIONS) : 0;
    if (n > 0) {
        mp_journal_add_head(L, j, journal);
        if (!mp_journal_add_value(L, j, e, &digest, "state", n))
            lua_warning(L, "moonpool: a saved state is not in the journal: a file cannot hold it",
                        0);
        set_due(L, journal, e);
    }
    lua_settop(L, top);
}

/* In place of one that waits already. */
static void wait_with(lua_State *L, mp_lua_journal *j, int journal, const mp_event *e)
{
    luaL_Buffer b;
    late_head head = {.index = e->index, .attempt = e->attempt, .seat = e->seat};
    lua_getiuservalue(L, journal, JOURNAL_LATE);
    luaL_buffinit(L, &b);
    luaL_addlstring(&b, (const char *)&head, sizeof head);
    luaL_addlstring(&b, (const char *)e->data, e->size);
    luaL_pushresult(&b);
    lua_rawseti(L, -2, (lua_Integer)e->index);
    lua_pop(L, 1);
    j->late++;
}

void mp_journal_state(lua_State *L, const mp_lua_call *c, int call, const mp_event *e)
{
    lua_getiuservalue(L, call, CALL_JOURNAL);
    int journal = lua_gettop(L);
    if (due(L, journal, e->index) > mp_now()) {
        wait_with(L, c->journal, journal, e);
    } else {
        write_state(L, c->journal, journal, e);
        lua_getiuservalue(L, journal, JOURNAL_LATE);
        lua_pushnil(L);
        lua_rawseti(L, -2, (lua_Integer)e->index);
    }
    lua_settop(L, journal - 1);
}

void mp_journal_write_late(lua_State *L, mp_lua_journal *j, int journal, uint64_t index)
{
    size_t size;
    late_head head;
    int top = lua_gettop(L);
    lua_getiuservalue(L, journal, JOURNAL_LATE);
    if (lua_rawgeti(L, -1, (lua_Integer)index) == LUA_TSTRING) {
        const char *bytes = lua_tolstring(L, -1, &size);
        memcpy(&head, bytes, sizeof head);
        mp_event e = {.index = head.index,
                      .attempt = head.attempt,
                      .seat = head.seat,
                      .data = (const unsigned char *)bytes + sizeof head,
                      .size = size - sizeof head};
        write_state(L, j, journal, &e);
        lua_pushnil(L);
        lua_rawseti(L, top + 1, (lua_Integer)index);
    }
    lua_settop(L, top);
}

/* An item whose waiting state may be written now, 0 where there is none; *next gets when the first
 * of the others may. *waiting: whether any does. */
static uint64_t find_due(lua_State *L, int journal, int64_t *next)
{
    int64_t now = mp_now();
    *next = MP_NEVER;
    lua_getiuservalue(L, journal, JOURNAL_LATE);
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        uint64_t index = (uint64_t)lua_tointeger(L, -2);
        int64_t at = due(L, journal, index);
        if (at <= now) {
            lua_pop(L, 3);
            return index;
        }
        *next = at < *next ? at : *next;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return 0;
}

/* core.journal_late(journal): adds what items have saved and what has waited long enough; when the
 * next of the others is to be added (seconds of core.monotonic's clock), nil where none waits */
static int journal_late(lua_State *L)
{
    int64_t next;
    uint64_t index;
    mp_lua_journal *j = luaL_checkudata(L, 1, MP_JOURNAL_META);
    if (j->late == 0 || j->journal == NULL)
        return 0;
    while ((index = find_due(L, 1, &next)) != 0)
        mp_journal_write_late(L, j, 1, index);
    if (next == MP_NEVER) {
        j->late = 0;
        return 0;
    }
    lua_pushnumber(L, (lua_Number)next / 1e9);
    return 1;
}

void mp_open_journal_state(lua_State *L)
{
    lua_pushcfunction(L, journal_late);
    lua_setfield(L, -2, "journal_late");
}
