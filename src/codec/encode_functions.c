/* Lua functions: code, upvalues, and the globals that the code names.
 *
 * The code is dumped straight into the message and taken back where the same
 * bytes are there already. An upvalue shared by functions is written with the
 * first of them; a global's value with the first function that names it. */
#include "base/checksum.h"
#include "codec/encode_scalar.h"
#include "codec/functions.h"
#include "codec/proto_scan.h"

enum {
    CODE_HEAD = 5, /* its length is not known before: always four bytes of it */
    CODE_BEGIN = CODE_HEAD + MP_CHECKSUM_SIZE,
};

static void store_be32(unsigned char *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof v);
}

/* Dumps the function on the top as a byte string. Its dump is the last *size
 * bytes of the buffer then. */
static mp_progress dump(mp_encoder *e, size_t *size)
{
    size_t start = e->out->len;
    if (!mp_encode_room(e, CODE_BEGIN))
        return MP_FAILED;
    e->out->len += CODE_BEGIN;
    int status = mp_function_dump(e->L, e->out);
    if (status != 0)
        return status < 0 ? mp_encode_full(e, status) : mp_encode_fail(e, "cannot dump a function");
    unsigned char *p = e->out->data + start;
    *size = e->out->len - start - CODE_BEGIN;
    if (*size > UINT32_MAX - MP_CHECKSUM_SIZE)
        return mp_encode_fail(e, "cannot send a function of 4 GiB");
    p[0] = MP_MAJOR_BYTES << 5 | 26;
    store_be32(p + 1, (uint32_t)(*size + MP_CHECKSUM_SIZE));
    mp_store_be64(p + CODE_HEAD, mp_checksum(p + CODE_BEGIN, *size));
    return MP_WRITTEN;
}

/* Replaces the code that begins at offset `start` by a reference, if the same
 * bytes stand earlier in the message. */
static mp_progress reuse_code(mp_encoder *e, size_t start)
{
    bool fresh;
    size_t size = e->out->len - start;
    uint64_t sum = mp_load_be64(e->out->data + start + CODE_HEAD);
    mp_seen_entry *entry = mp_seen_get(&e->codes, (const void *)(uintptr_t)sum, &fresh);
    if (fresh) {
        entry->number = start - e->start;
        e->last_code = start;
        return MP_WRITTEN;
    }
    /* The earlier one has its own length in its head, so equal bytes are an equal code. */
    size_t earlier = e->start + entry->number;
    if (memcmp(e->out->data + earlier, e->out->data + start, size) != 0) {
        e->last_code = start;
        return MP_WRITTEN;
    }
    e->out->len = start;
    mp_encode_head(e, MP_MAJOR_UNSIGNED, entry->number);
    return MP_WRITTEN;
}

/* Whether this global (its name is on the top) has a value and goes with this
 * function, being named here for the first time in the message. */
static bool goes_along(mp_encoder *e)
{
    lua_State *L = e->L;
    int sent = mp_encode_slot(e, MP_SLOT_SENT);
    lua_pushvalue(L, -1);
    bool done = lua_rawget(L, sent) != LUA_TNIL;
    lua_pop(L, 1);
    if (done)
        return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushvalue(L, -2);
    bool exists = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 1);
    lua_rawset(L, sent);
    return exists;
}

/* Pushes the list of those globals that go along, returns their number. */
static int push_globals(mp_encoder *e, const mp_buffer *names)
{
    lua_State *L = e->L;
    const char *name;
    size_t at = 0, len;
    int count = 0;
    if (lua_isnil(L, mp_encode_slot(e, MP_SLOT_SENT))) {
        lua_newtable(L);
        lua_replace(L, mp_encode_slot(e, MP_SLOT_SENT));
    }
    lua_newtable(L);
    while (mp_proto_next_name(names, &at, &name, &len)) {
        lua_pushlstring(L, name, len);
        if (goes_along(e))
            lua_rawseti(L, -2, ++count);
        else
            lua_pop(L, 1);
    }
    return count;
}

/* A Lua function whose identity is written. */
static mp_progress begin_function(mp_encoder *e)
{
    lua_State *L = e->L;
    int upvalues = mp_function_upvalues(L, -1);
    size_t size = 0;
    mp_scratch_lender lender = {L, mp_encode_slot(e, MP_SLOT_NAMES)};
    mp_buffer names;
    mp_scratch_buffer(&names, &lender);
    if (!mp_encode_room(e, 2 * MP_HEAD_MAX))
        return MP_FAILED;
    mp_encode_head(e, MP_MAJOR_TAG, MP_TAG_FUNCTION);
    /* The number of items is known when the globals are: they are looked for
     * in the code, which comes behind it. */
    size_t head = e->out->len;
    e->out->len += 3;
    size_t code = e->out->len;
    if (dump(e, &size) != MP_WRITTEN)
        return MP_FAILED;
    if (mp_function_globals(L, -1, e->out->data + e->out->len - size, size, &names) != 0)
        return mp_encode_fail(e, "cannot read the code of a function");
    int globals = names.len > 0 ? push_globals(e, &names) : (lua_pushnil(L), 0);
    if (1 + upvalues + 2 * globals > UINT16_MAX)
        return mp_encode_fail(e, "cannot send a function that names %d globals", globals);
    unsigned char *p = e->out->data + head;
    p[0] = MP_MAJOR_ARRAY << 5 | 25;
    p[1] = (unsigned char)((1 + upvalues + 2 * globals) >> 8);
    p[2] = (unsigned char)(1 + upvalues + 2 * globals);
    reuse_code(e, code);
    lua_replace(L, mp_encode_slot(e, MP_SLOT_NAMES));
    mp_encode_frame *frame = mp_encode_enter(e, MP_FRAME_FUNCTION);
    frame->upvalues = upvalues;
    frame->count = upvalues + globals;
    lua_pushvalue(L, mp_encode_slot(e, MP_SLOT_NAMES));
    lua_replace(L, e->levels.slot + 1);
    return MP_ENTERED;
}

mp_progress mp_encode_function(mp_encoder *e)
{
    lua_State *L = e->L;
    const char *name;
    size_t len;
    if ((e->flags & MP_CODEC_FUNCTIONS) == 0)
        return mp_encode_fail(e, "cannot write a function into plain data");
    bool met = mp_seen_has(&e->seen, lua_topointer(L, -1));
    if (!met && mp_name_of(L, -1, &name, &len)) {
        mp_progress progress = mp_encode_name(e, name, len);
        lua_pop(L, 2);
        return progress;
    }
    if (!met && lua_iscfunction(L, -1))
        return mp_encode_fail(e, "cannot send a C function");
    mp_progress progress = mp_encode_identity(e, -1, true);
    if (progress == MP_WRITTEN)
        lua_settop(L, -2);
    return progress == MP_ENTERED ? begin_function(e) : progress;
}

/* Upvalue number i of the innermost frame's function. */
static mp_progress put_upvalue(mp_encoder *e, int i)
{
    lua_State *L = e->L;
    bool fresh;
    const void *id = lua_upvalueid(L, e->levels.slot, i);
    mp_seen_entry *entry = mp_seen_get(&e->upvalues, id, &fresh);
    if (fresh) {
        entry->number = e->cells++;
        lua_getupvalue(L, e->levels.slot, i);
        return mp_encode_value(e);
    }
    if (!mp_encode_room(e, 2 * MP_HEAD_MAX))
        return MP_FAILED;
    mp_encode_head(e, MP_MAJOR_TAG, MP_TAG_UPVALUE);
    mp_encode_head(e, MP_MAJOR_UNSIGNED, entry->number);
    return MP_WRITTEN;
}

static mp_progress put_global(mp_encoder *e, lua_Integer i)
{
    lua_State *L = e->L;
    lua_rawgeti(L, e->levels.slot + 1, i);
    if (mp_encode_scalar(e, -1, LUA_TSTRING) != MP_WRITTEN)
        return MP_FAILED;
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    return mp_encode_value(e);
}

mp_progress mp_encode_function_step(mp_encoder *e)
{
    mp_encode_frame *frame = mp_encode_top(e);
    while (frame->at < frame->count) {
        int i = (int)++frame->at;
        mp_progress progress =
            i <= frame->upvalues ? put_upvalue(e, i) : put_global(e, i - frame->upvalues);
        if (progress != MP_WRITTEN)
            return progress;
        frame = mp_encode_top(e);
    }
    return mp_encode_leave(e);
}
