/* Tables with a metatable, classes, named values, and what __reduce gave. */
#include "codec/decode.h"
#include "codec/names.h"
#include "codec/stack.h"

#include <string.h>

#include <lauxlib.h>

mp_reading mp_decode_named(mp_decoder *d)
{
    size_t len;
    const unsigned char *name = mp_decode_bytes(d, "a name", &len);
    if (name == NULL)
        return MP_BROKEN;
    if (mp_name_resolve(d->L, (const char *)name, len) != 0)
        return mp_decode_fail(d, "%s", lua_tostring(d->L, -1));
    return MP_READ;
}

/* The head of an array of `count` items, of at least as many if `open`. */
static bool read_parts(mp_decoder *d, const char *what, uint64_t count, bool open, uint64_t *found)
{
    mp_head head;
    if (!mp_decode_head(d, MP_MAJOR_ARRAY, what, &head))
        return false;
    if (open ? head.argument < count : head.argument != count) {
        mp_decode_fail(d, "%s expected", what);
        return false;
    }
    *found = head.argument;
    return true;
}

mp_reading mp_decode_object(mp_decoder *d)
{
    uint64_t parts;
    if (!read_parts(d, "an object of two parts", 2, false, &parts))
        return MP_BROKEN;
    mp_waiting waiting = mp_decode_take_waiting(d);
    lua_pushnil(d->L);
    mp_decode_open(d, MP_OPEN_OBJECT);
    d->waiting = waiting;
    return MP_OPENED;
}

/* The content, then the metatable, of the innermost frame. Returns MP_READ
 * when both are there. */
static mp_reading read_content_and_metatable(mp_decoder *d, bool ready)
{
    lua_State *L = d->L;
    mp_open_frame *frame = mp_decode_top(d);
    int content = d->levels.slot + 1;
    for (;; ready = true) {
        if (ready && frame->at == 0) {
            if (!lua_istable(L, -1))
                return mp_decode_fail(d, "an object whose content is no table");
            lua_replace(L, content);
            d->class = 0;
            frame->at = 1;
        } else if (ready) {
            if (!lua_istable(L, -1) && !lua_isnil(L, -1))
                return mp_decode_fail(d, "a metatable that is no table");
            lua_setmetatable(L, content);
            return MP_READ;
        }
        mp_reading reading = mp_decode_item(d);
        if (reading != MP_READ)
            return reading;
    }
}

mp_reading mp_decode_object_step(mp_decoder *d, bool ready)
{
    lua_State *L = d->L;
    int result = d->levels.slot;
    mp_reading reading = read_content_and_metatable(d, ready);
    if (reading != MP_READ)
        return reading;
    if (lua_isnil(L, result))
        lua_copy(L, result + 1, result);
    else
        d->skipped--;
    return mp_decode_close(d);
}

mp_reading mp_decode_class(mp_decoder *d)
{
    lua_State *L = d->L;
    uint64_t parts;
    mp_head id;
    if (!read_parts(d, "a class of three parts", 3, false, &parts) ||
        !mp_decode_head(d, MP_MAJOR_UNSIGNED, "the id of a class", &id))
        return MP_BROKEN;
    if (id.argument == 0 || id.argument > INT64_MAX)
        return mp_decode_fail(d, "a class of a wrong id");
    mp_waiting waiting = mp_decode_take_waiting(d);
    d->classes = mp_classes_of(L);
    if (mp_class_push(L, (lua_Integer)id.argument)) {
        mp_decode_share(d, &waiting);
        d->skipped++;
    } else {
        lua_pushnil(L);
        d->class = (lua_Integer)id.argument;
    }
    mp_decode_open(d, MP_OPEN_OBJECT);
    d->waiting = waiting;
    return MP_OPENED;
}

mp_reading mp_decode_reduced(mp_decoder *d)
{
    uint64_t parts;
    if (!read_parts(d, "a function and its arguments", 1, true, &parts))
        return MP_BROKEN;
    if (parts > (size_t)(d->end - d->p))
        return mp_decode_fail(d, "cut short");
    mp_waiting waiting = mp_decode_take_waiting(d);
    mp_decode_new_table(d, parts, false);
    mp_open_frame *frame = mp_decode_open(d, MP_OPEN_REDUCED);
    frame->left = parts;
    frame->waiting = waiting;
    return MP_OPENED;
}

/* A string that ends so is what lua.c raises at a Ctrl-C: nobody's failure. */
static bool is_interrupt(lua_State *L)
{
    static const char end[] = "interrupted!";
    size_t size, n = sizeof end - 1;
    if (lua_type(L, -1) != LUA_TSTRING)
        return false;
    const char *text = lua_tolstring(L, -1, &size);
    return size >= n && memcmp(text + size - n, end, n) == 0;
}

/* What it raised, on top of the stack, makes the object one that cannot be had. */
static mp_reading rebuilding_failed(mp_decoder *d, int status)
{
    lua_State *L = d->L;
    if (status == LUA_ERRMEM || is_interrupt(L))
        lua_error(L);
    if (lua_type(L, -1) == LUA_TTABLE) { /* an error object says what it is */
        lua_pushliteral(L, "message");
        lua_rawget(L, -2);
        if (lua_type(L, -1) != LUA_TSTRING)
            lua_pop(L, 1);
    }
    bool text = lua_type(L, -1) == LUA_TSTRING;
    return mp_decode_fail(d, "the function that builds the object raised %s%s", text ? "" : "a ",
                          text ? lua_tostring(L, -1) : luaL_typename(L, -1));
}

/* Calls the function with its arguments; one value takes their table's place, which stays
 * where nothing may run. */
static mp_reading rebuild(mp_decoder *d, const mp_open_frame *frame)
{
    lua_State *L = d->L;
    int items = d->levels.slot;
    if (lua_rawgeti(L, items, 1) != LUA_TFUNCTION)
        return mp_decode_fail(d, "an object without the function that builds it");
    if ((d->flags & MP_CODEC_INERT) != 0) {
        lua_settop(L, items);
        return MP_READ;
    }
    mp_check_stack(L, (int)(frame->at < 1000000 ? frame->at : 1000000) + LUA_MINSTACK,
                   "too many arguments");
    for (lua_Integer i = 2; i <= frame->at; i++)
        lua_rawgeti(L, items, i);
    int status = lua_pcall(L, (int)frame->at - 1, 1, 0);
    if (status != LUA_OK)
        return rebuilding_failed(d, status);
    lua_replace(L, items);
    return MP_READ;
}

mp_reading mp_decode_reduced_step(mp_decoder *d, bool ready)
{
    lua_State *L = d->L;
    mp_open_frame *frame = mp_decode_top(d);
    for (;; ready = true) {
        if (ready) {
            lua_rawseti(L, d->levels.slot, ++frame->at);
            frame->left--;
        }
        if (frame->left == 0)
            break;
        mp_reading reading = mp_decode_item(d);
        if (reading != MP_READ)
            return reading;
    }
    if (rebuild(d, frame) != MP_READ)
        return MP_BROKEN;
    mp_waiting waiting = frame->waiting;
    mp_decode_close(d);
    if (waiting.count > 0)
        mp_decode_share(d, &waiting);
    return MP_READ;
}
