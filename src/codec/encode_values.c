/* mp_encode: scalars at once, everything else by the machine of encode.h. */
#include "codec/encode_scalar.h"
#include "codec/stack.h"

#include <lauxlib.h>
#include <string.h>

bool mp_is_utf8(const unsigned char *s, size_t len)
{
    const unsigned char *end = s + len;
    while (s < end) {
        unsigned char lead = *s++;
        if (lead < 0x80)
            continue;
        int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        if (lead < 0xC2 || lead > 0xF4 || end - s < more)
            return false;
        if ((lead == 0xE0 && *s < 0xA0) || (lead == 0xED && *s > 0x9F) ||
            (lead == 0xF0 && *s < 0x90) || (lead == 0xF4 && *s > 0x8F))
            return false;
        for (int i = 0; i < more; i++)
            if ((*s++ & 0xC0) != 0x80)
                return false;
    }
    return true;
}

mp_progress mp_encode_fail(mp_encoder *e, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lua_pushvfstring(e->L, format, arguments);
    va_end(arguments);
    lua_replace(e->L, mp_encode_slot(e, MP_SLOT_MESSAGE));
    return MP_FAILED;
}

mp_progress mp_encode_full(mp_encoder *e, int status)
{
    char text[128] = "";
    return mp_encode_fail(e, "no room for its bytes: %s", strerror_r(-status, text, sizeof text));
}

mp_encode_frame *mp_encode_enter(mp_encoder *e, enum mp_encode_frame_kind kind)
{
    size_t depth = e->levels.depth;
    if (depth == e->frames_capacity) {
        size_t used = depth * sizeof(mp_encode_frame);
        e->frames =
            mp_scratch_grow(e->L, mp_encode_slot(e, MP_SLOT_FRAMES), e->frames, used, 2 * used);
        e->frames_capacity *= 2;
    }
    mp_levels_enter(&e->levels);
    mp_encode_frame *frame = &e->frames[depth];
    *frame = (mp_encode_frame){.kind = (uint8_t)kind, .start = e->out->len};
    return frame;
}

/* The module that the name begins at, if it does. */
static void note_module(lua_State *L, const char *name, size_t len)
{
    const char *end = memchr(name, 0, len);
    if (name[0] != 'M')
        return;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, MP_NAMED_MODULES);
    lua_pushlstring(L, name + 1, (end != NULL ? (size_t)(end - name) : len) - 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

mp_progress mp_encode_name(mp_encoder *e, const char *name, size_t len)
{
    if (!mp_encode_room(e, 2 * MP_HEAD_MAX + len))
        return MP_FAILED;
    mp_encode_head(e, MP_MAJOR_TAG, MP_TAG_NAMED);
    mp_encode_head(e, MP_MAJOR_BYTES, len);
    memcpy(e->out->data + e->out->len, name, len);
    e->out->len += len;
    if ((e->flags & MP_CODEC_NOTE_MODULES) != 0)
        note_module(e->L, name, len);
    return MP_WRITTEN;
}

mp_progress mp_encode_identity(mp_encoder *e, int idx, bool always)
{
    bool fresh;
    mp_seen_entry *entry = mp_seen_get(&e->seen, lua_topointer(e->L, idx), &fresh);
    if (!fresh && entry->number == MP_UNNUMBERED)
        return MP_SHARED;
    if (!mp_encode_room(e, 2 * MP_HEAD_MAX))
        return MP_FAILED;
    if (!fresh) {
        mp_encode_head(e, MP_MAJOR_TAG, MP_TAG_REFERENCE);
        mp_encode_head(e, MP_MAJOR_UNSIGNED, entry->number);
        return MP_WRITTEN;
    }
    entry->number = MP_UNNUMBERED;
    if (e->tagged || always) {
        entry->number = e->shareables++;
        mp_encode_head(e, MP_MAJOR_TAG, MP_TAG_SHAREABLE);
    }
    return MP_ENTERED;
}

mp_progress mp_encode_compound(mp_encoder *e, int type)
{
    switch (type) {
    case LUA_TTABLE:
        return mp_encode_table(e);
    case LUA_TFUNCTION:
        return mp_encode_function(e);
    case LUA_TUSERDATA:
        return mp_encode_userdata(e);
    case LUA_TLIGHTUSERDATA:
        return mp_encode_fail(e, "cannot send a light userdata");
    default:
        return mp_encode_fail(e, "cannot send a %s", lua_typename(e->L, type));
    }
}

static mp_progress step(mp_encoder *e)
{
    switch (mp_encode_top(e)->kind) {
    case MP_FRAME_ARRAY:
        return mp_encode_array_step(e);
    case MP_FRAME_MAP:
        return mp_encode_map_step(e);
    case MP_FRAME_METATABLE:
        return mp_encode_metatable_step(e);
    case MP_FRAME_REDUCED:
        return mp_encode_reduced_step(e);
    default:
        return mp_encode_function_step(e);
    }
}

/* Writes the value on the top of the stack, wholly. */
static mp_progress whole_value(mp_encoder *e)
{
    mp_progress progress = mp_encode_value(e);
    while (progress == MP_ENTERED || (progress == MP_WRITTEN && e->levels.depth > 0))
        progress = step(e);
    return progress;
}

static void begin(mp_encoder *e)
{
    lua_State *L = e->L;
    e->out->len = e->start;
    e->again = false;
    e->shareables = e->cells = 0;
    e->last_code = 0;
    e->frames = e->frames_inline;
    e->frames_capacity = MP_FRAMES_INLINE;
    mp_seen_begin(&e->seen, L, mp_encode_slot(e, MP_SLOT_SEEN));
    mp_seen_begin(&e->upvalues, L, mp_encode_slot(e, MP_SLOT_CELLS));
    mp_seen_begin(&e->codes, L, mp_encode_slot(e, MP_SLOT_CODES));
    lua_settop(L, e->base + MP_ENCODE_SLOTS - 1);
    lua_pushnil(L);
    lua_replace(L, mp_encode_slot(e, MP_SLOT_SENT));
    mp_levels_begin(&e->levels, L, e->base + MP_ENCODE_SLOTS, mp_encode_slot(e, MP_SLOT_SPILL));
}

/* All values once; *at is the one it stopped at. */
static mp_progress attempt(mp_encoder *e, int first, int count, int *at)
{
    begin(e);
    for (*at = 0; *at < count; ++*at) {
        lua_pushvalue(e->L, first + *at);
        mp_progress progress = whole_value(e);
        if (progress != MP_WRITTEN)
            return progress;
    }
    return MP_WRITTEN;
}

static int report(mp_encoder *e, int at)
{
    lua_State *L = e->L;
    mp_encode_path(e);
    e->out->len = e->start;
    lua_replace(L, e->base + 1);
    lua_pushvalue(L, mp_encode_slot(e, MP_SLOT_MESSAGE));
    lua_replace(L, e->base);
    lua_settop(L, e->base + 1);
    lua_pushinteger(L, at + 1);
    return -1;
}

static __attribute__((noinline)) int encode_all(lua_State *L, int first, int count, unsigned flags,
                                                mp_buffer *out, size_t start)
{
    mp_encoder e;
    e.L = L;
    e.out = out;
    e.flags = flags;
    e.start = start;
    e.tagged = false;
    mp_check_stack(L, MP_ENCODE_SLOTS + LUA_MINSTACK, "no room to encode");
    e.base = lua_gettop(L) + 1;
    lua_settop(L, e.base + MP_ENCODE_SLOTS - 1);
    bool functions = (flags & MP_CODEC_FUNCTIONS) != 0;
    e.names = functions ? mp_names_filter(L) : NULL;
    e.classes = functions ? mp_classes_of(L) : NULL;
    int at;
    mp_progress progress;
    do {
        progress = attempt(&e, first, count, &at);
        if (progress == MP_SHARED)
            e.tagged = true;
    } while (progress == MP_SHARED || (progress == MP_WRITTEN && e.again));
    if (progress == MP_FAILED)
        return report(&e, at);
    lua_settop(L, e.base - 1);
    return 0;
}

int mp_encode(lua_State *L, int first, int count, unsigned flags, mp_buffer *out)
{
    size_t start = out->len;
    for (int i = first; i < first + count; i++)
        if (mp_put_scalar(out, flags, L, i, lua_type(L, i)) != 0)
            return encode_all(L, first, count, flags, out, start);
    return 0;
}
