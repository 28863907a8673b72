/* Tables: sequences as arrays (of numbers: typed arrays, RFC 8746), all others
 * as maps. Access is raw, no metamethod runs.
 *
 * lua_rawlen gives a border, so a table is a sequence if it has exactly as
 * many keys and none of 1..n is missing. The keys of a map are counted while
 * they are written: its head is patched in afterwards. */
#include "codec/encode_scalar.h"

enum {
    FEWEST_FLOATS = 4, /* sequences from these lengths on are typed arrays */
    FEWEST_INTEGERS = 8,
    NUMBERS_AT_ONCE = 16,
    MOVABLE = 1 << 16, /* bytes of a map that are moved for a longer head */
};

/* Counts the keys of the table, but not past limit + 1. */
static lua_Integer count_keys(lua_State *L, int table, lua_Integer limit)
{
    lua_Integer count = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        if (++count > limit) {
            lua_settop(L, -3);
            break;
        }
        lua_settop(L, -2);
    }
    return count;
}

static bool is_sequence(lua_State *L, int table, lua_Integer n)
{
    lua_Integer count = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_settop(L, -2);
        if (!lua_isinteger(L, -1) || (lua_Unsigned)lua_tointeger(L, -1) - 1 >= (lua_Unsigned)n) {
            lua_settop(L, -2);
            return false;
        }
        count++;
    }
    return count == n;
}

/* The number at idx as eight bytes, least significant first; false if it is
 * of the other subtype or no number. */
static inline bool number_bits(lua_State *L, int idx, bool integers, uint64_t *bits)
{
    if (integers != (bool)lua_isinteger(L, idx))
        return false;
    if (integers)
        *bits = (uint64_t)lua_tointegerx(L, idx, NULL);
    else {
        double v = lua_tonumberx(L, idx, NULL);
        memcpy(bits, &v, sizeof v);
    }
    *bits = htole64(*bits);
    return true;
}

/* Appends items first..last (at most NUMBERS_AT_ONCE) to the bytes, as long as
 * they fit the type; returns how many. */
static lua_Integer put_numbers(mp_encoder *e, int table, bool integers, lua_Integer first,
                               lua_Integer last)
{
    lua_State *L = e->L;
    unsigned char *p = e->out->data + e->out->len;
    int top = lua_gettop(L);
    lua_Integer i = first;
    for (; i <= last; i++) {
        uint64_t bits;
        if (lua_rawgeti(L, table, i) != LUA_TNUMBER || !number_bits(L, -1, integers, &bits))
            break;
        memcpy(p, &bits, sizeof bits);
        p += sizeof bits;
    }
    lua_settop(L, top);
    e->out->len = (size_t)(p - e->out->data);
    return i - first;
}

/* Writes a sequence of n numbers of one subtype. MP_ENTERED: it is none, and
 * nothing is written. */
static mp_progress put_typed(mp_encoder *e, int table, bool integers, lua_Integer n)
{
    size_t start = e->out->len;
    if (count_keys(e->L, table, n) != n)
        return MP_ENTERED;
    if (!mp_encode_room(e, 2 * MP_HEAD_MAX + (size_t)n * sizeof(uint64_t)))
        return MP_FAILED;
    mp_encode_head(e, MP_MAJOR_TAG, integers ? MP_TAG_INT64_LE : MP_TAG_FLOAT64_LE);
    mp_encode_head(e, MP_MAJOR_BYTES, (uint64_t)n * sizeof(uint64_t));
    for (lua_Integer i = 1; i <= n; i += NUMBERS_AT_ONCE) {
        lua_Integer some = n - i + 1 < NUMBERS_AT_ONCE ? n - i + 1 : NUMBERS_AT_ONCE;
        if (put_numbers(e, table, integers, i, i + some - 1) != some) {
            e->out->len = start;
            return MP_ENTERED;
        }
    }
    return MP_WRITTEN;
}

/* A sequence that begins with a number and may be a typed array. */
static mp_progress try_typed(mp_encoder *e, int table, lua_Integer n)
{
    if (n < FEWEST_FLOATS)
        return MP_ENTERED;
    int type = lua_rawgeti(e->L, table, 1);
    bool integers = lua_isinteger(e->L, -1);
    lua_settop(e->L, -2);
    if (type != LUA_TNUMBER || (integers && n < FEWEST_INTEGERS))
        return MP_ENTERED;
    return put_typed(e, table, integers, n);
}

mp_progress mp_encode_content(mp_encoder *e)
{
    lua_State *L = e->L;
    int table = e->levels.slot;
    mp_encode_frame *frame = mp_encode_top(e);
    lua_Integer n = (lua_Integer)lua_rawlen(L, table);
    mp_progress progress = try_typed(e, table, n);
    if (progress == MP_WRITTEN)
        return mp_encode_content_end(e);
    if (progress == MP_FAILED || !mp_encode_room(e, MP_HEAD_MAX))
        return MP_FAILED;
    frame->start = e->out->len;
    frame->count = n;
    if (n > 0 && is_sequence(L, table, n)) {
        frame->kind = MP_FRAME_ARRAY;
        mp_encode_head(e, MP_MAJOR_ARRAY, (uint64_t)n);
    } else {
        frame->kind = MP_FRAME_MAP;
        e->out->len++; /* the head, which mp_encode_map_step fills in */
    }
    return MP_ENTERED;
}

mp_progress mp_encode_content_end(mp_encoder *e)
{
    mp_encode_frame *frame = mp_encode_top(e);
    if (!frame->object)
        return mp_encode_leave(e);
    frame->kind = MP_FRAME_METATABLE;
    return MP_ENTERED;
}

mp_progress mp_encode_array_step(mp_encoder *e)
{
    lua_State *L = e->L;
    mp_encode_frame *frame = mp_encode_top(e);
    int table = e->levels.slot;
    while (frame->at < frame->count) {
        lua_rawgeti(L, table, ++frame->at);
        mp_progress progress = mp_encode_value(e);
        if (progress != MP_WRITTEN)
            return progress;
        frame = mp_encode_top(e);
    }
    return mp_encode_content_end(e);
}

/* Writes the head of a map of more entries than fit its first byte: in place
 * where the content is small enough to be moved and holds no code, whose
 * offset is known to e->codes; else as an endless one. */
static mp_progress put_long_head(mp_encoder *e, size_t start, uint64_t count)
{
    unsigned char head[MP_HEAD_MAX];
    size_t more = (size_t)(mp_head_put(head, MP_MAJOR_MAP, count) - head) - 1;
    size_t content = e->out->len - start - 1;
    if (!mp_encode_room(e, MP_HEAD_MAX))
        return MP_FAILED;
    unsigned char *p = e->out->data + start;
    if (content > MOVABLE || e->last_code > start) {
        p[0] = MP_BYTE_ENDLESS_MAP;
        return MP_WRITTEN;
    }
    memmove(p + 1 + more, p + 1, content);
    memcpy(p, head, 1 + more);
    e->out->len += more;
    return MP_WRITTEN;
}

/* The key on the top has turned out to be the first that does not fit a short
 * head: counts the rest, so that a long one can be written now. */
static mp_progress count_rest(mp_encoder *e, mp_encode_frame *frame)
{
    lua_State *L = e->L;
    lua_Integer count = frame->at;
    lua_pushvalue(L, e->levels.slot + 1);
    for (; lua_next(L, e->levels.slot); count++)
        lua_settop(L, -2);
    frame->count = count;
    return put_long_head(e, frame->start, (uint64_t)count);
}

static mp_progress end_map(mp_encoder *e, const mp_encode_frame *frame)
{
    unsigned char *head = e->out->data + frame->start;
    if (frame->at < MP_HEAD_SHORT)
        *head =
            (unsigned char)(frame->at == 0 ? MP_BYTE_EMPTY_ARRAY : MP_BYTE_EMPTY_MAP + frame->at);
    else if (frame->at != frame->count)
        return mp_encode_fail(e, "a table changed while it was written");
    else if (*head == MP_BYTE_ENDLESS_MAP) {
        if (!mp_encode_room(e, 1))
            return MP_FAILED;
        e->out->data[e->out->len++] = MP_BYTE_BREAK;
    }
    return mp_encode_content_end(e);
}

/* A metamethod among the fields makes its table a class from now on; if it
 * has no id yet it must be written again with one. */
static void note_class(mp_encoder *e, mp_encode_frame *frame, const char *name, size_t len)
{
    if (e->classes == NULL || frame->class || !mp_class_field(name, len))
        return;
    mp_class_give(e->L, e->classes, e->levels.slot);
    frame->class = true;
    e->again = true;
}

static mp_progress put_string_key(mp_encoder *e, mp_encode_frame *frame, int key)
{
    size_t len;
    const char *name = lua_tolstring(e->L, key, &len);
    if (name[0] == '_')
        note_class(e, frame, name, len);
    int status = mp_put_string(e->out, e->flags, name, len);
    return status == 0 ? MP_WRITTEN : mp_encode_full(e, status);
}

/* The key that lua_next has just pushed, below its value, which is popped if
 * the key needs a frame and is fetched again later. */
static mp_progress put_other_key(mp_encoder *e, int key, int type)
{
    lua_State *L = e->L;
    mp_progress progress = mp_encode_scalar(e, key, type);
    if (progress != MP_ENTERED)
        return progress;
    lua_settop(L, key);
    lua_pushvalue(L, key);
    progress = mp_encode_value(e);
    if (progress != MP_WRITTEN)
        return progress;
    lua_pushvalue(L, key);
    lua_rawget(L, e->levels.slot);
    return MP_WRITTEN;
}

static inline mp_progress put_key(mp_encoder *e, mp_encode_frame *frame)
{
    int key = e->levels.slot + 1;
    int type = lua_type(e->L, key);
    frame->part = MP_PART_KEY;
    return type == LUA_TSTRING ? put_string_key(e, frame, key) : put_other_key(e, key, type);
}

mp_progress mp_encode_map_step(mp_encoder *e)
{
    lua_State *L = e->L;
    mp_encode_frame *frame = mp_encode_top(e);
    mp_progress progress;
    int table = e->levels.slot;
    if (frame->part == MP_PART_KEY) { /* the key's frame has just been closed */
        lua_pushvalue(L, table + 1);
        lua_rawget(L, table);
        goto value;
    }
    while (lua_next(L, table)) {
        if (++frame->at == MP_HEAD_SHORT && count_rest(e, frame) != MP_WRITTEN)
            return MP_FAILED;
        progress = put_key(e, frame);
        if (progress != MP_WRITTEN)
            return progress;
    value:
        mp_encode_top(e)->part = MP_PART_VALUE;
        progress = mp_encode_value(e);
        if (progress != MP_WRITTEN)
            return progress;
        frame = mp_encode_top(e);
    }
    lua_pushnil(L); /* the level's second value, which lua_next has taken */
    return end_map(e, frame);
}

static bool has_metatable(lua_State *L)
{
    if (!lua_getmetatable(L, -1))
        return false;
    lua_settop(L, -2);
    return true;
}

mp_progress mp_encode_table(mp_encoder *e)
{
    lua_State *L = e->L;
    const void *object = lua_topointer(L, -1);
    if (e->names != NULL && mp_name_possible(e->names, object)) {
        const char *name;
        size_t len;
        if (mp_name_of(L, -1, &name, &len)) {
            mp_progress progress = mp_encode_name(e, name, len);
            lua_settop(L, -3);
            return progress;
        }
    }
    bool class = e->classes != NULL && mp_class_possible(e->classes, object) &&
                 mp_class_find(L, e->classes, -1) != 0;
    mp_progress progress = mp_encode_identity(e, -1, class);
    if (progress == MP_WRITTEN)
        lua_settop(L, -2);
    if (progress != MP_ENTERED)
        return progress;
    if (class || has_metatable(L))
        return mp_encode_object(e);
    mp_encode_enter(e, MP_FRAME_MAP);
    return mp_encode_content(e);
}
