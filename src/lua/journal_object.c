/* The userdata of a journal, for lua/moonpool/journal.lua: opening, its heads, its records,
 * writing. */
#include "lua/journal.h"

#include "lua/journal_inner.h"
#include "lua/message.h"

#include "codec/values.h"

#include <errno.h>
#include <sys/stat.h>

static mp_lua_journal *check(lua_State *L, int index)
{
    return luaL_checkudata(L, index, MP_JOURNAL_META);
}

static mp_lua_journal *check_open(lua_State *L, int index)
{
    mp_lua_journal *j = check(L, index);
    if (j->journal == NULL)
        mp_raise(L, "closed", "the journal is closed");
    return j;
}

mp_lua_journal *mp_lua_journal_at(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? NULL : check_open(L, index);
}

static int journal_close(lua_State *L)
{
    mp_lua_journal *j = check(L, 1);
    mp_journal_close(j->journal);
    j->journal = NULL;
    mp_buffer_free(&j->scratch);
    return 0;
}

/* core.journal_open(path, write): a journal; to write, the file is made where there is none, and
 * nobody else writes to it until core.journal_close(journal) */
static int journal_open(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    bool write = lua_toboolean(L, 2);
    mp_error error = {0};
    mp_lua_journal *j = lua_newuserdatauv(L, sizeof *j, JOURNAL_USER_VALUES);
    *j = (mp_lua_journal){0};
    mp_buffer_init_heap(&j->scratch);
    luaL_setmetatable(L, MP_JOURNAL_META);
    lua_newtable(L);
    lua_setiuservalue(L, -2, JOURNAL_PENDING);
    for (int which = JOURNAL_STATES; which <= JOURNAL_LATE; which++) {
        lua_newtable(L);
        lua_setiuservalue(L, -2, which);
    }
    j->journal = mp_journal_open(path, write, &error);
    if (j->journal != NULL)
        return 1;
    if (error.code == -EBUSY || error.code == -EINVAL)
        return mp_raise(L, error.code == -EBUSY ? "state" : "argument", "%s", error.text);
    return mp_raise_system(L, &error);
}

/* Pushes the body of the record at `position` as a value; false where it cannot be had. */
static bool push_body(lua_State *L, mp_lua_journal *j, uint64_t position)
{
    if (mp_journal_read(j->journal, position, &j->scratch) <= 0)
        return false;
    int n = mp_decode(L, j->scratch.data + MP_JOURNAL_HEAD, j->scratch.len - MP_JOURNAL_HEAD, NULL,
                      1, 0);
    if (n < 0)
        lua_pop(L, 2);
    return n == 1;
}

/* core.journal_heads(journal): a list of its heads, in their order, and the highest number of a
 * run that an item tells of */
static int journal_heads(lua_State *L)
{
    mp_lua_journal *j = check_open(L, 1);
    lua_newtable(L);
    lua_Integer n = 0;
    for (size_t i = 0; i < mp_journal_runs(j->journal); i++)
        if (push_body(L, j, mp_journal_run_at(j->journal, i)))
            lua_rawseti(L, 2, ++n);
    lua_pushinteger(L, (lua_Integer)mp_journal_last_run(j->journal));
    return 2;
}

/* core.journal_record(journal, i): the i-th record of an item (from 1), nil behind the last, false
 * where it cannot be read */
static int journal_record(lua_State *L)
{
    size_t count;
    mp_lua_journal *j = check_open(L, 1);
    lua_Integer i = luaL_checkinteger(L, 2);
    const mp_journal_entry *entries = mp_journal_entries(j->journal, &count);
    if (i < 1 || (size_t)i > count)
        return 0;
    if (!push_body(L, j, entries[i - 1].position))
        lua_pushboolean(L, 0);
    return 1;
}

/* core.journal_damaged(journal): its bytes that belong to no whole record */
static int journal_damaged(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)mp_journal_damaged(check_open(L, 1)->journal));
    return 1;
}

/* ctx: the state, whose stack has the table of valid runs at 3 */
static bool is_valid(void *ctx, uint64_t run)
{
    lua_State *L = ctx;
    bool valid = lua_rawgeti(L, 3, (lua_Integer)run) != LUA_TNIL;
    lua_pop(L, 1);
    return valid;
}

/* core.journal_use(journal, by_arguments, {[run] = true}): what may be taken from it */
static int journal_use(lua_State *L)
{
    mp_lua_journal *j = check_open(L, 1);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    if (mp_journal_use(j->journal, lua_toboolean(L, 2), is_valid, L) < 0)
        return mp_raise(L, "system", "no memory to look through a journal");
    return 0;
}

/* core.journal_run(journal, run, {key, value, ...}, each, identity): its records are of that run
 * from now on, whose head has these entries; identity(...) gives 16 bytes for values. */
static int journal_run(lua_State *L)
{
    mp_lua_journal *j = check_open(L, 1);
    j->run = (uint64_t)luaL_checkinteger(L, 2);
    j->each = lua_toboolean(L, 4);
    lua_settop(L, 5);
    lua_setiuservalue(L, 1, JOURNAL_IDENTITY);
    mp_buffer *b = mp_message_buffer(L);
    lua_pushvalue(L, 3);
    int first = lua_gettop(L) + 1, n = mp_unpack_top(L);
    int status = mp_journal_record_put_map(b, (uint64_t)n / 2);
    if (status < 0 || mp_encode(L, first, n, MP_CODEC_TEXT, b) < 0)
        return mp_raise(L, "system", "no memory for the head of a journal");
    lua_pushlstring(L, (const char *)b->data, b->len);
    lua_setiuservalue(L, 1, JOURNAL_HEAD);
    mp_buffer_free(b);
    return 0;
}

/* True, or nil with the error's text and number. */
static int outcome(lua_State *L, int status, const mp_error *error)
{
    if (status == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, error->text);
    lua_pushinteger(L, -status);
    return 3;
}

/* core.journal_write(journal): gives what was added to the kernel; true, or nil, why not and the
 * errno: then it is to be tried again */
static int journal_write(lua_State *L)
{
    mp_error error = {0};
    return outcome(L, mp_journal_write(check_open(L, 1)->journal, &error), &error);
}

/* core.journal_sync(journal): has the disk hold what was written; as core.journal_write */
static int journal_sync(lua_State *L)
{
    mp_error error = {0};
    return outcome(L, mp_journal_sync(check_open(L, 1)->journal, &error), &error);
}

/* core.item_digest(identity, ...): by which an item of these arguments is known */
static int item_digest(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    int n = lua_gettop(L) - 1;
    mp_buffer *b = mp_message_buffer(L);
    mp_message_encode(L, 2, n, b, 0);
    mp_digest digest = mp_journal_digest(L, 1, 2, n, b->data, b->len);
    mp_buffer_free(b);
    lua_pushlstring(L, (const char *)digest.bytes, sizeof digest.bytes);
    return 1;
}

/* core.same_file(path, path): whether both are there, and one file */
static int same_file(lua_State *L)
{
    struct stat a, b;
    bool there = stat(luaL_checkstring(L, 1), &a) == 0 && stat(luaL_checkstring(L, 2), &b) == 0;
    lua_pushboolean(L, there && a.st_dev == b.st_dev && a.st_ino == b.st_ino);
    return 1;
}

/* core.journal_counts(journal): items taken from it, records added to it, bytes that wait */
static int journal_counts(lua_State *L)
{
    const mp_lua_journal *j = check(L, 1);
    lua_pushinteger(L, (lua_Integer)j->taken);
    lua_pushinteger(L, (lua_Integer)j->added);
    lua_pushinteger(L, j->journal != NULL ? (lua_Integer)mp_journal_waiting(j->journal) : 0);
    return 3;
}

void mp_open_journal(lua_State *L)
{
    static const luaL_Reg functions[] = {{"journal_open", journal_open},
                                         {"journal_close", journal_close},
                                         {"journal_heads", journal_heads},
                                         {"journal_record", journal_record},
                                         {"journal_use", journal_use},
                                         {"journal_run", journal_run},
                                         {"journal_write", journal_write},
                                         {"journal_sync", journal_sync},
                                         {"journal_counts", journal_counts},
                                         {"journal_damaged", journal_damaged},
                                         {"item_digest", item_digest},
                                         {"same_file", same_file},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, MP_JOURNAL_META);
    lua_pushcfunction(L, journal_close);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
