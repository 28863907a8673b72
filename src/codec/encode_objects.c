/* Tables with a metatable, classes, and what __reduce makes of objects. */
#include "codec/encode_scalar.h"
#include "codec/stack.h"

#include <lauxlib.h>

/* Pushes the value's metamethod and returns true, or pushes nothing. */
static bool metamethod(lua_State *L, const char *name)
{
    if (!lua_getmetatable(L, -1))
        return false;
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    if (!lua_isnil(L, -1))
        return true;
    lua_settop(L, -2);
    return false;
}

/* Calls the __reduce on the top with the object below it, and leaves in its
 * place a table of what it returned, with the number as field n. */
static void call_reduce(lua_State *L)
{
    int function = lua_gettop(L);
    lua_pushvalue(L, function - 1);
    lua_call(L, 1, LUA_MULTRET);
    int n = lua_gettop(L) - function + 1;
    mp_check_stack(L, 4, "too many results of __reduce");
    lua_createtable(L, n, 1);
    lua_insert(L, function);
    for (int i = n; i > 0; i--)
        lua_rawseti(L, function, i);
    lua_pushinteger(L, n);
    lua_setfield(L, function, "n");
}

/* As call_reduce, but calls it once for each object, however often the
 * message is written. */
static void reduce_once(mp_encoder *e)
{
    lua_State *L = e->L;
    int kept = mp_encode_slot(e, MP_SLOT_KEPT);
    if (lua_isnil(L, kept)) {
        lua_newtable(L);
        lua_replace(L, kept);
    }
    lua_pushvalue(L, -2);
    if (lua_rawget(L, kept) == LUA_TTABLE) {
        lua_replace(L, -2);
        return;
    }
    lua_settop(L, -2);
    call_reduce(L);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, kept);
}

/* It gave no function but `type`; or nil and why, as who refuses does in Lua. What it gave is on
 * the top. */
static mp_progress refuse_reduced(mp_encoder *e, int type)
{
    if (type == LUA_TNIL && lua_rawgeti(e->L, -1, 2) == LUA_TSTRING)
        return mp_encode_fail(e, "cannot send it: %s", lua_tostring(e->L, -1));
    return mp_encode_fail(e, "__reduce gave no function but a %s", lua_typename(e->L, type));
}

/* The object's __reduce is on the top, the object below it. */
static mp_progress begin_reduced(mp_encoder *e)
{
    lua_State *L = e->L;
    if ((e->flags & MP_CODEC_FUNCTIONS) == 0)
        return mp_encode_fail(e, "cannot write an object with __reduce into plain data");
    reduce_once(e);
    int type = lua_rawgeti(L, -1, 1);
    lua_getfield(L, -2, "n");
    lua_Integer n = lua_tointeger(L, -1);
    lua_pop(L, 2);
    if (type != LUA_TFUNCTION)
        return refuse_reduced(e, type);
    if (!mp_encode_room(e, 2 * MP_HEAD_MAX))
        return MP_FAILED;
    mp_encode_head(e, MP_MAJOR_TAG, MP_TAG_REDUCED);
    mp_encode_head(e, MP_MAJOR_ARRAY, (uint64_t)n);
    lua_settop(L, -2);
    mp_encode_enter(e, MP_FRAME_REDUCED)->count = n;
    int slot = e->levels.slot;
    lua_pushvalue(L, slot);
    lua_rawget(L, mp_encode_slot(e, MP_SLOT_KEPT));
    lua_replace(L, slot + 1);
    return MP_ENTERED;
}

mp_progress mp_encode_reduced_step(mp_encoder *e)
{
    mp_encode_frame *frame = mp_encode_top(e);
    while (frame->at < frame->count) {
        lua_rawgeti(e->L, e->levels.slot + 1, ++frame->at);
        mp_progress progress = mp_encode_value(e);
        if (progress != MP_WRITTEN)
            return progress;
        frame = mp_encode_top(e);
    }
    return mp_encode_leave(e);
}

mp_progress mp_encode_object(mp_encoder *e)
{
    lua_State *L = e->L;
    if (metamethod(L, "__reduce"))
        return begin_reduced(e);
    if (!mp_encode_room(e, 3 * MP_HEAD_MAX))
        return MP_FAILED;
    lua_Integer id = e->classes == NULL ? 0 : mp_class_find(L, e->classes, -1);
    mp_encode_head(e, MP_MAJOR_TAG, id != 0 ? MP_TAG_CLASS : MP_TAG_OBJECT);
    mp_encode_head(e, MP_MAJOR_ARRAY, id != 0 ? 3 : 2);
    if (id != 0)
        mp_encode_head(e, MP_MAJOR_UNSIGNED, (uint64_t)id);
    mp_encode_frame *frame = mp_encode_enter(e, MP_FRAME_MAP);
    frame->object = true;
    frame->class = id != 0;
    return mp_encode_content(e);
}

/* The metatable on the top of the stack, which is popped. */
static mp_progress put_metatable(mp_encoder *e)
{
    lua_State *L = e->L;
    const char *name;
    size_t len;
    bool met = mp_seen_has(&e->seen, lua_topointer(L, -1));
    if (!met && mp_name_of_metatable(L, -1, &name, &len)) {
        if (e->names == NULL) {
            mp_name_show(L, name, len);
            return mp_encode_fail(e, "cannot write a table with the %s into plain data",
                                  lua_tostring(L, -1));
        }
        mp_progress progress = mp_encode_name(e, name, len);
        lua_pop(L, 2);
        return progress;
    }
    if (e->classes != NULL)
        mp_class_give(L, e->classes, -1);
    return mp_encode_value(e);
}

mp_progress mp_encode_metatable_step(mp_encoder *e)
{
    mp_encode_frame *frame = mp_encode_top(e);
    if (!frame->object) /* the metatable's frame has just been closed */
        return mp_encode_leave(e);
    frame->object = false;
    if (!lua_getmetatable(e->L, e->levels.slot))
        lua_pushnil(e->L);
    mp_progress progress = lua_isnil(e->L, -1) ? mp_encode_value(e) : put_metatable(e);
    return progress == MP_WRITTEN ? mp_encode_leave(e) : progress;
}

/* The type's name as messages give it: " (FILE*)" or nothing. */
static const char *push_type_name(lua_State *L)
{
    if (metamethod(L, "__name") && lua_type(L, -1) == LUA_TSTRING)
        return lua_pushfstring(L, " (%s)", lua_tostring(L, -1));
    return lua_pushliteral(L, "");
}

mp_progress mp_encode_userdata(mp_encoder *e)
{
    lua_State *L = e->L;
    const char *name;
    size_t len;
    if (e->names != NULL && mp_name_of(L, -1, &name, &len)) {
        mp_progress progress = mp_encode_name(e, name, len);
        lua_pop(L, 2);
        return progress;
    }
    if (metamethod(L, "__reduce")) {
        lua_insert(L, -2);
        mp_progress progress = mp_encode_identity(e, -1, true);
        lua_insert(L, -2);
        if (progress == MP_WRITTEN)
            lua_pop(L, 2);
        return progress == MP_ENTERED ? begin_reduced(e) : progress;
    }
    if (e->names != NULL && mp_name_search(L, -1, &name, &len)) {
        mp_progress progress = mp_encode_name(e, name, len);
        lua_pop(L, 2);
        return progress;
    }
    return mp_encode_fail(e, "cannot send a userdata%s", push_type_name(L));
}
