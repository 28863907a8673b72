/* Items of a call and records of its journal: see journal.h.
 *
 * Invariants: an item that is run has its digest in the table PENDING until its record is
 * written; a record is added whole or not at all; the head comes before the first record, so
 * that a run that adds nothing leaves the file as it is. */
#include "lua/journal.h"

#include "lua/journal_inner.h"

#include "base/clock.h"
#include "codec/head.h"
#include "codec/stack.h"
#include "codec/values.h"
#include "journal/hash.h"

#include <errno.h>

enum { WRITE_AT = 1 << 20 };

/* ---- which item ---- */

/* Whether the bytes of values do not depend on the order of `pairs` or on names: there is no map,
 * and no tag of Moonpool's own. */
static bool is_canonical(const unsigned char *p, const unsigned char *end)
{
    mp_head head;
    const char *problem;
    while (p < end) {
        p = mp_head_read(p, end, &head, &problem);
        if (p == NULL || head.major == MP_MAJOR_MAP || head.info == MP_HEAD_ENDLESS ||
            (head.major == MP_MAJOR_TAG && head.argument > UINT8_MAX))
            return false;
        if (head.major == MP_MAJOR_BYTES || head.major == MP_MAJOR_TEXT)
            p += head.argument;
    }
    return p == end;
}

/* The digest that lua/moonpool/identity.lua gives the n values from `first` up. */
static mp_digest walk(lua_State *L, int identity, int first, int n)
{
    mp_digest digest;
    mp_check_stack(L, n + 8, "too many arguments");
    lua_pushvalue(L, identity);
    for (int i = 0; i < n; i++)
        lua_pushvalue(L, first + i);
    lua_call(L, n, 1);
    memcpy(digest.bytes, lua_tostring(L, -1), sizeof digest.bytes);
    lua_pop(L, 1);
    return digest;
}

mp_digest mp_journal_digest(lua_State *L, int identity, int first, int n,
                            const unsigned char *bytes, size_t size)
{
    return is_canonical(bytes, bytes + size) ? mp_digest_of(bytes, size)
                                             : walk(L, identity, first, n);
}

static void keep_pending(lua_State *L, int journal, uint64_t index, const mp_digest *digest)
{
    lua_getiuservalue(L, journal, JOURNAL_PENDING);
    lua_pushlstring(L, (const char *)digest->bytes, sizeof digest->bytes);
    lua_rawseti(L, -2, (lua_Integer)index);
    lua_pop(L, 1);
}

bool mp_journal_pending(lua_State *L, int journal, uint64_t index, mp_digest *digest)
{
    lua_getiuservalue(L, journal, JOURNAL_PENDING);
    bool known = lua_rawgeti(L, -1, (lua_Integer)index) == LUA_TSTRING;
    if (known)
        memcpy(digest->bytes, lua_tostring(L, -1), sizeof digest->bytes);
    lua_pop(L, 2);
    return known;
}

static void drop(lua_State *L, int journal, int which, uint64_t index)
{
    lua_getiuservalue(L, journal, which);
    lua_pushnil(L);
    lua_rawseti(L, -2, (lua_Integer)index);
    lua_pop(L, 1);
}

static void drop_pending(lua_State *L, int journal, uint64_t index)
{
    drop(L, journal, JOURNAL_PENDING, index);
    drop(L, journal, JOURNAL_STATES, index);
    drop(L, journal, JOURNAL_LATE, index);
}

/* Pushes the call's journal; its index. */
static int push_journal(lua_State *L, int call)
{
    lua_getiuservalue(L, call, CALL_JOURNAL);
    return lua_gettop(L);
}

/* ---- what is known ---- */

/* Pushes the values of the record's body, whose values begin at `at`; their number, or -1 where
 * they cannot be had. */
static int push_values(lua_State *L, const unsigned char *at, const unsigned char *end)
{
    uint64_t count;
    size_t used;
    if (!mp_journal_record_values(at, end, &count, &at) || count > INT16_MAX)
        return -1;
    if (count == 0)
        return 0;
    int n = mp_decode(L, at, (size_t)(end - at), &used, (int)count, 0);
    if (n < 0)
        lua_pop(L, 2);
    else if (n < (int)count)
        lua_pop(L, n);
    return n < (int)count ? -1 : n;
}

/* The last key's value in the item's last record of that kind, up to *end; NULL: there is none. */
static const unsigned char *look_up(mp_lua_journal *j, uint64_t index, const mp_digest *digest,
                                    enum mp_journal_record_kind kind, const unsigned char **end)
{
    const mp_journal_entry *e = mp_journal_find(j->journal, index, digest, kind);
    if (e == NULL || mp_journal_read(j->journal, e->position, &j->scratch) <= 0)
        return NULL;
    const unsigned char *body = j->scratch.data + MP_JOURNAL_HEAD;
    *end = j->scratch.data + j->scratch.len;
    mp_journal_record record = mp_journal_record_read(body, (size_t)(*end - body));
    return record.kind == kind ? body + record.value : NULL;
}

/* Pushes the item's result that is in the journal; how many values it has, -1: there is none. */
static int push_known(lua_State *L, mp_lua_journal *j, uint64_t index, const mp_digest *digest)
{
    const unsigned char *end, *at = look_up(j, index, digest, MP_JOURNAL_RESULT, &end);
    return at != NULL ? push_values(L, at, end) : -1;
}

/* The item, which is to be run, starts with the state that it has saved. */
static void give_state(lua_State *L, mp_lua_call *c, uint64_t index, const mp_digest *digest)
{
    mp_error error = {0};
    uint64_t count;
    const unsigned char *end, *at = look_up(c->journal, index, digest, MP_JOURNAL_STATE, &end);
    if (at != NULL && mp_journal_record_values(at, end, &count, &at) &&
        mp_call_state(c->call, at, (size_t)(end - at), &error) < 0)
        mp_raise_system(L, &error);
}

bool mp_journal_recall(lua_State *L, mp_lua_call *c, int call, int first, int n,
                       const unsigned char *bytes, size_t size)
{
    int journal = push_journal(L, call);
    uint64_t index = (uint64_t)c->given + 1;
    lua_getiuservalue(L, journal, JOURNAL_IDENTITY);
    mp_digest digest = mp_journal_digest(L, journal + 1, first, n, bytes, size);
    lua_pushvalue(L, call);
    int copy = lua_gettop(L);
    lua_getiuservalue(L, call, CALL_VALUES);
    int values = push_known(L, c->journal, index, &digest);
    if (values < 0) {
        keep_pending(L, journal, index, &digest);
        give_state(L, c, index, &digest);
        return false;
    }
    if (values > 1 && c->shape == MP_SHAPE_MAP && !c->pack) {
        lua_pop(L, values - 1);
        values = 1;
    }
    mp_call_store(L, c, copy, index, values);
    c->journal->taken++;
    return true;
}

/* ---- what comes ---- */

static void check_memory(lua_State *L, int status)
{
    if (status < 0)
        mp_raise(L, "system", "no memory for the journal");
}

/* Twice: damage to one of them is to cost nothing. */
void mp_journal_add_head(lua_State *L, mp_lua_journal *j, int journal)
{
    size_t size;
    mp_buffer *out = mp_journal_out(j->journal);
    if (j->headed)
        return;
    lua_getiuservalue(L, journal, JOURNAL_HEAD);
    const char *body = lua_tolstring(L, -1, &size);
    for (int i = 0; i < 2; i++) {
        size_t start = out->len;
        check_memory(L, mp_journal_record_begin(out));
        if (mp_buffer_append(out, body, size) < 0) {
            out->len = start;
            check_memory(L, -ENOMEM);
        }
        mp_journal_add(j->journal, start);
    }
    lua_pop(L, 1);
    j->headed = true;
}

enum { ENTRIES = 8 };

/* The keys that every item's record has, and the last one's. */
static int put_item(mp_buffer *out, const mp_lua_journal *j, const mp_event *e,
                    const mp_digest *digest, const char *last)
{
    int status = mp_journal_record_put_map(out, ENTRIES);
    if (status == 0)
        status = mp_journal_record_put(out, "item", e->index);
    if (status == 0)
        status = mp_journal_record_put_digest(out, "args", digest);
    if (status == 0)
        status = mp_journal_record_put(out, "run", j->run);
    if (status == 0)
        status = mp_journal_record_put(out, "attempt", e->attempt);
    if (status == 0)
        status = mp_journal_record_put(out, "worker", (uint64_t)e->seat + 1);
    if (status == 0)
        status = mp_journal_record_put_time(out, "time", mp_date());
    if (status == 0)
        status = mp_journal_record_put_time(out, "seconds", (double)(e->ended - e->began) / 1e9);
    return status == 0 ? mp_journal_record_put_key(out, last) : status;
}

/* What was added goes to the file now where it is much, or where that was asked for. An error is
 * met when it is tried again. */
static void hurry(const mp_lua_journal *j)
{
    if (!j->each && mp_journal_waiting(j->journal) < WRITE_AT)
        return;
    if (mp_journal_write(j->journal, NULL) == 0 && j->each)
        mp_journal_sync(j->journal, NULL);
}

/* Behind the record's last key at `start`: the value is written, or `status` says why not. */
static void end_record(mp_lua_journal *j, size_t start, int status)
{
    mp_buffer *out = mp_journal_out(j->journal);
    if (status < 0) {
        out->len = start;
        return;
    }
    mp_journal_add(j->journal, start);
    j->added++;
    hurry(j);
}

/* Encodes the n values on top behind the key; -1 with the codec's two strings pushed, or another
 * negative errno. */
static int put_values(lua_State *L, mp_buffer *out, int n)
{
    out->error = 0;
    if (mp_encode(L, lua_gettop(L) - n + 1, n, MP_CODEC_TEXT, out) == 0)
        return 0;
    lua_pop(L, 1);
    if (out->error == 0)
        return -1;
    lua_pop(L, 2);
    return out->error;
}

/* Whether the values on top are in the record now; else an error is pushed. */
static bool add_result(lua_State *L, mp_lua_journal *j, const mp_event *e, const mp_digest *digest,
                       int n)
{
    mp_buffer *out = mp_journal_out(j->journal);
    size_t start = out->len;
    int status = mp_journal_record_begin(out);
    if (status == 0)
        status = put_item(out, j, e, digest, "result");
    if (status == 0)
        status = mp_journal_record_put_array(out, (uint64_t)n);
    bool ready = status == 0;
    if (ready)
        status = put_values(L, out, n);
    end_record(j, start, status);
    if (status == 0)
        return true;
    if (ready && status == -1)
        mp_error_codec(L, "encode", "result, for the journal");
    else
        mp_error_new(L, "system", "no memory to write the result into the journal");
    return false;
}

bool mp_journal_note(lua_State *L, const mp_lua_call *c, int call, const mp_event *e, int n)
{
    mp_digest digest;
    int top = lua_gettop(L), journal = push_journal(L, call);
    if (!mp_journal_pending(L, journal, e->index, &digest)) {
        lua_settop(L, top);
        return true;
    }
    mp_journal_add_head(L, c->journal, journal);
    drop_pending(L, journal, e->index);
    lua_settop(L, top);
    return add_result(L, c->journal, e, &digest, n);
}

/* Pushes a table of those fields of the error on top that a file can hold. */
static void push_record_of(lua_State *L)
{
    static const char *const fields[] = {"kind",     "message", "traceback", "signal",
                                         "exitcode", "pid",     "errno"};
    int error = lua_gettop(L);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        lua_getfield(L, error, fields[i]);
        int type = lua_type(L, -1);
        if (type == LUA_TSTRING || type == LUA_TNUMBER)
            lua_setfield(L, -2, fields[i]);
        else
            lua_pop(L, 1);
    }
}

bool mp_journal_add_value(lua_State *L, mp_lua_journal *j, const mp_event *e,
                          const mp_digest *digest, const char *key, int list)
{
    int top = lua_gettop(L);
    mp_buffer *out = mp_journal_out(j->journal);
    size_t start = out->len;
    int status = mp_journal_record_begin(out);
    if (status == 0)
        status = put_item(out, j, e, digest, key);
    if (status == 0 && list > 0)
        status = mp_journal_record_put_array(out, (uint64_t)list);
    if (status == 0)
        status = put_values(L, out, list > 0 ? list : 1);
    end_record(j, start, status);
    lua_settop(L, top);
    return status == 0;
}

void mp_journal_fail(lua_State *L, const mp_lua_call *c, int call, const mp_event *e)
{
    mp_digest digest;
    int top = lua_gettop(L);
    int journal = push_journal(L, call);
    if (mp_journal_pending(L, journal, e->index, &digest)) {
        mp_journal_add_head(L, c->journal, journal);
        mp_journal_write_late(L, c->journal, journal, e->index);
        drop_pending(L, journal, e->index);
        lua_pushvalue(L, top);
        push_record_of(L);
        mp_journal_add_value(L, c->journal, e, &digest, "error", 0);
    }
    lua_settop(L, top);
}
