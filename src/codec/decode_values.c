/* mp_decode: scalars at once, everything else by the machine of decode.h. */
#include "codec/decode.h"
#include "codec/decode_scalar.h"
#include "codec/stack.h"

#include <lauxlib.h>

enum { VALUES_AT_ONCE = 16, STACK_FOR_ONE = 100 };

mp_reading mp_decode_fail(mp_decoder *d, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lua_pushvfstring(d->L, format, arguments);
    va_end(arguments);
    lua_pushfstring(d->L, "%s at byte %I", lua_tostring(d->L, -1),
                    (LUAI_UACINT)(d->p - d->begin + 1));
    lua_replace(d->L, mp_decode_slot(d, MP_HELD_MESSAGE));
    lua_pop(d->L, 1);
    return MP_BROKEN;
}

bool mp_decode_head(mp_decoder *d, unsigned major, const char *what, mp_head *head)
{
    const char *problem = "cut short";
    const unsigned char *next = d->p < d->end ? mp_head_read(d->p, d->end, head, &problem) : NULL;
    if (next == NULL) {
        mp_decode_fail(d, "%s", problem);
        return false;
    }
    if (head->major != major || head->info == MP_HEAD_ENDLESS) {
        mp_decode_fail(d, "%s expected", what);
        return false;
    }
    d->p = next;
    return true;
}

const unsigned char *mp_decode_bytes(mp_decoder *d, const char *what, size_t *len)
{
    mp_head head;
    if (!mp_decode_head(d, MP_MAJOR_BYTES, what, &head))
        return NULL;
    if (head.argument > (size_t)(d->end - d->p)) {
        mp_decode_fail(d, "cut short");
        return NULL;
    }
    const unsigned char *bytes = d->p;
    *len = (size_t)head.argument;
    d->p += *len;
    return bytes;
}

mp_open_frame *mp_decode_open(mp_decoder *d, enum mp_open_kind kind)
{
    size_t depth = d->levels.depth;
    if (depth == d->frames_capacity) {
        size_t used = depth * sizeof(mp_open_frame);
        d->frames =
            mp_scratch_grow(d->L, mp_decode_slot(d, MP_HELD_FRAMES), d->frames, used, 2 * used);
        d->frames_capacity *= 2;
    }
    mp_levels_enter(&d->levels);
    mp_open_frame *frame = &d->frames[depth];
    *frame = (mp_open_frame){.kind = (uint8_t)kind};
    return frame;
}

void mp_decode_share(mp_decoder *d, mp_waiting *waiting)
{
    lua_State *L = d->L;
    if (lua_isnil(L, mp_decode_slot(d, MP_HELD_SHARED))) {
        lua_newtable(L);
        lua_replace(L, mp_decode_slot(d, MP_HELD_SHARED));
    }
    for (lua_Integer i = 1; i <= waiting->count; i++) {
        lua_pushvalue(L, -1);
        lua_rawseti(L, mp_decode_slot(d, MP_HELD_SHARED), waiting->first + i);
    }
    waiting->count = 0;
}

/* Appends the chunks of an indefinite-length string, up to its break. */
static bool add_chunks(mp_decoder *d, unsigned major, luaL_Buffer *text)
{
    mp_head head;
    for (; d->p == d->end || *d->p != MP_BYTE_BREAK; d->p += head.argument) {
        if (!mp_decode_head(d, major, "a chunk of the string", &head))
            return false;
        if (head.argument > (size_t)(d->end - d->p)) {
            mp_decode_fail(d, "cut short");
            return false;
        }
        luaL_addlstring(text, (const char *)d->p, head.argument);
    }
    d->p++;
    return true;
}

/* Reads an indefinite-length string, whose chunks are definite. */
static mp_reading read_chunks(mp_decoder *d, unsigned major)
{
    luaL_Buffer text;
    luaL_buffinit(d->L, &text);
    d->p++;
    bool complete = add_chunks(d, major, &text);
    luaL_pushresult(&text);
    return complete ? MP_READ : MP_BROKEN;
}

/* Says what is wrong with the scalar that mp_decode_scalar refused. */
static mp_reading refuse(mp_decoder *d, const mp_head *head)
{
    switch (head->major) {
    case MP_MAJOR_UNSIGNED:
    case MP_MAJOR_NEGATIVE:
        return mp_decode_fail(d, "an integer that does not fit 64 bits");
    case MP_MAJOR_BYTES:
    case MP_MAJOR_TEXT:
        return mp_decode_fail(d, "cut short");
    default:
        return mp_decode_fail(d, head->info == MP_HEAD_ENDLESS ? "a break that ends nothing"
                                                               : "an unknown simple value");
    }
}

static mp_reading read_reference(mp_decoder *d)
{
    mp_head head;
    if (!mp_decode_head(d, MP_MAJOR_UNSIGNED, "the number of a shared value", &head))
        return MP_BROKEN;
    if (head.argument >= (uint64_t)d->shareables)
        return mp_decode_fail(d, "a reference to a value that is not there");
    if (lua_isnil(d->L, mp_decode_slot(d, MP_HELD_SHARED)))
        lua_pushnil(d->L);
    else
        lua_rawgeti(d->L, mp_decode_slot(d, MP_HELD_SHARED), (lua_Integer)head.argument + 1);
    if (lua_isnil(d->L, -1))
        return mp_decode_fail(d, "a reference to a value that is not complete");
    return MP_READ;
}

static mp_reading read_own_tag(mp_decoder *d, uint64_t tag)
{
    if (tag == MP_TAG_OBJECT)
        return mp_decode_object(d);
    if ((d->flags & MP_CODEC_FUNCTIONS) == 0)
        return mp_decode_fail(d, "a function or another thing of a process");
    switch (tag) {
    case MP_TAG_NAMED:
        return mp_decode_named(d);
    case MP_TAG_CLASS:
        return mp_decode_class(d);
    case MP_TAG_REDUCED:
        return mp_decode_reduced(d);
    case MP_TAG_FUNCTION:
        return mp_decode_function(d);
    default:
        return mp_decode_fail(d, "an upvalue outside a function");
    }
}

/* Reads what a tag says about the item behind it; MP_OTHER: nothing, the item
 * is to be read. */
static mp_reading read_tag(mp_decoder *d, uint64_t tag)
{
    if (tag == MP_TAG_SHAREABLE) {
        if (d->waiting.count == 0)
            d->waiting.first = d->shareables;
        d->waiting.count++;
        d->shareables++;
        return MP_OTHER;
    }
    if (tag == MP_TAG_REFERENCE)
        return read_reference(d);
    if (tag >= MP_TAG_TYPED_FIRST && tag <= MP_TAG_TYPED_LAST)
        return mp_decode_typed(d, tag);
    if (tag >= MP_TAG_OWN_FIRST && tag <= MP_TAG_OWN_LAST)
        return read_own_tag(d, tag);
    if (tag == MP_TAG_BIGNUM || tag == MP_TAG_NEGATIVE_BIGNUM)
        return mp_decode_fail(d, "an integer that does not fit 64 bits");
    return MP_OTHER;
}

static mp_reading read_container(mp_decoder *d, const mp_head *head)
{
    bool map = head->major == MP_MAJOR_MAP;
    size_t left = (size_t)(d->end - d->p) / (map ? 2 : 1);
    if (head->argument > left)
        return mp_decode_fail(d, "cut short");
    mp_decode_new_table(d, head->argument, map);
    if (head->argument == 0 && head->info != MP_HEAD_ENDLESS)
        return MP_READ;
    mp_open_frame *frame = mp_decode_open(d, map ? MP_OPEN_MAP : MP_OPEN_ARRAY);
    frame->left = head->argument;
    frame->endless = head->info == MP_HEAD_ENDLESS;
    return MP_OPENED;
}

/* An item that is no scalar; its tags are read as they come. */
static mp_reading read_other(mp_decoder *d)
{
    mp_head head;
    const char *problem = "cut short";
    for (;;) {
        const unsigned char *next =
            d->p < d->end ? mp_head_read(d->p, d->end, &head, &problem) : NULL;
        if (next == NULL)
            return mp_decode_fail(d, "%s", problem);
        mp_reading reading = MP_OTHER;
        if (head.major == MP_MAJOR_TAG) {
            d->p = next;
            reading = read_tag(d, head.argument);
        } else if (head.major == MP_MAJOR_ARRAY || head.major == MP_MAJOR_MAP) {
            d->p = next;
            return read_container(d, &head);
        } else if (head.info == MP_HEAD_ENDLESS && head.major != MP_MAJOR_SIMPLE) {
            reading = read_chunks(d, head.major);
        } else if (mp_decode_scalar(d)) {
            reading = MP_READ;
        } else {
            return refuse(d, &head);
        }
        if (reading != MP_OTHER)
            return reading;
    }
}

mp_reading mp_decode_item(mp_decoder *d)
{
    if (mp_decode_scalar(d))
        return MP_READ;
    mp_reading reading = read_other(d);
    if (reading == MP_READ && d->waiting.count > 0)
        mp_decode_share(d, &d->waiting);
    return reading;
}

static mp_reading step(mp_decoder *d, bool ready)
{
    switch (mp_decode_top(d)->kind) {
    case MP_OPEN_ARRAY:
        return mp_decode_array_step(d, ready);
    case MP_OPEN_MAP:
        return mp_decode_map_step(d, ready);
    case MP_OPEN_OBJECT:
        return mp_decode_object_step(d, ready);
    case MP_OPEN_REDUCED:
        return mp_decode_reduced_step(d, ready);
    default:
        return mp_decode_function_step(d, ready);
    }
}

/* Room for one item; too many values are the bytes' fault, too little memory is not. */
static bool make_room(mp_decoder *d)
{
    if (lua_checkstack(d->L, STACK_FOR_ONE))
        return true;
    if (lua_gettop(d->L) + STACK_FOR_ONE < LUAI_MAXSTACK)
        luaL_error(d->L, "not enough memory");
    mp_decode_fail(d, "too many values");
    return false;
}

/* Reads one item with all that is in it. */
static bool read_whole(mp_decoder *d)
{
    if (!make_room(d))
        return false;
    mp_levels_begin(&d->levels, d->L, lua_gettop(d->L) + 1, mp_decode_slot(d, MP_HELD_SPILL));
    mp_reading reading = mp_decode_item(d);
    while (reading != MP_BROKEN && d->levels.depth > 0)
        reading = step(d, reading == MP_READ);
    return reading != MP_BROKEN;
}

static void begin(mp_decoder *d)
{
    lua_State *L = d->L;
    mp_check_stack(L, MP_DECODE_SLOTS + LUA_MINSTACK, "no room to decode");
    d->base = lua_gettop(L) + 1;
    lua_settop(L, d->base + MP_DECODE_SLOTS - 1);
    d->skipped = 0;
    d->budget = (size_t)(d->end - d->p);
    d->keys = NULL;
    d->class = d->shareables = d->cells = d->globals = 0;
    d->waiting.count = 0;
    d->frames = d->frames_inline;
    d->frames_capacity = MP_OPEN_INLINE;
}

/* Leaves message and path where `pushed` values and the slots are. */
static int report(mp_decoder *d, int pushed)
{
    lua_State *L = d->L;
    int first = d->base - pushed;
    mp_decode_path(d);
    lua_pushvalue(L, mp_decode_slot(d, MP_HELD_MESSAGE));
    lua_insert(L, first);
    lua_insert(L, first + 1);
    lua_settop(L, first + 1);
    return -1;
}

typedef struct input {
    const unsigned char *begin;
    const unsigned char *p;
    const unsigned char *end;
    unsigned flags;
} input;

/* Goes on at in->p, with n values pushed already. */
static __attribute__((noinline)) int decode_rest(lua_State *L, const input *in, int n, int max,
                                                 size_t *used)
{
    int before = n;
    mp_decoder d;
    d.L = L;
    d.begin = in->begin;
    d.p = in->p;
    d.end = in->end;
    d.flags = in->flags;
    begin(&d);
    for (; n != max && d.p < d.end; n++)
        if (!read_whole(&d))
            return report(&d, before);
    mp_decode_set_globals(&d);
    lua_rotate(L, d.base, -MP_DECODE_SLOTS);
    lua_pop(L, MP_DECODE_SLOTS);
    if (used != NULL)
        *used = (size_t)(d.p - d.begin);
    return n;
}

int mp_decode(lua_State *L, const unsigned char *bytes, size_t size, size_t *used, int max,
              unsigned flags)
{
    const unsigned char *p = bytes, *end = bytes + size;
    int n = 0;
    for (; n != max && p < end; n++) {
        bool room = n % VALUES_AT_ONCE != 0 || lua_checkstack(L, VALUES_AT_ONCE + LUA_MINSTACK);
        if (!room || !mp_push_scalar(L, &p, end)) {
            input in = {bytes, p, end, flags};
            return decode_rest(L, &in, n, max, used);
        }
    }
    if (used != NULL)
        *used = (size_t)(p - bytes);
    return n;
}
