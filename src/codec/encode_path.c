/* The path of a value that could not be written, read off the open frames.
 *
 * What lies behind the innermost function is said from there: "upvalue
 * config.log of score (sweep.lua:12)"; above any function: ".log[3]". */
#include "codec/encode.h"
#include "codec/path.h"

enum { LEVELS_SEARCHED = 50 };

/* What of frame number `depth` was being written. */
static void add_part(mp_encoder *e, mp_path *to, size_t depth)
{
    lua_State *L = e->L;
    const mp_encode_frame *frame = &e->frames[depth];
    if (frame->kind == MP_FRAME_METATABLE) {
        mp_path_add(to, "(metatable)");
    } else if (frame->kind == MP_FRAME_REDUCED) {
        mp_path_add(to, frame->at == 1 ? "(function of __reduce)" : "(argument %d of __reduce)",
                    (int)frame->at - 1);
    } else if (frame->kind == MP_FRAME_ARRAY && frame->at > 0) {
        mp_path_add(to, "[%lld]", (long long)frame->at);
    } else if (frame->part == MP_PART_KEY) {
        mp_path_add(to, "(key)");
    } else if (frame->kind == MP_FRAME_MAP && frame->part == MP_PART_VALUE) {
        mp_levels_push(&e->levels, depth);
        lua_remove(L, -2);
        mp_path_add_key(to, L);
    }
}

/* The function's upvalue or global that was being written. */
static void add_variable(mp_encoder *e, mp_path *to, size_t depth)
{
    lua_State *L = e->L;
    const mp_encode_frame *frame = &e->frames[depth];
    int at = (int)frame->at;
    mp_levels_push(&e->levels, depth);
    if (at <= frame->upvalues) {
        const char *name = lua_getupvalue(L, -2, at);
        mp_path_add(to, "upvalue %s", name != NULL && *name != '\0' ? name : "?");
        lua_pop(L, 1);
    } else {
        lua_rawgeti(L, -1, at - frame->upvalues);
        mp_path_add(to, "global %.*s", MP_PATH_KEY, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

/* Adds the name of the global that holds the function on the top of the stack. */
static bool add_global_holder(lua_State *L, mp_path *to)
{
    int function = lua_gettop(L);
    bool found = false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushnil(L);
    while (!found && lua_next(L, -2)) {
        found = lua_rawequal(L, -1, function) && lua_type(L, -2) == LUA_TSTRING;
        if (found)
            mp_path_add(to, "%.*s", MP_PATH_KEY, lua_tostring(L, -2));
        lua_pop(L, 1);
    }
    lua_settop(L, function);
    return found;
}

/* Adds the name of the local variable that holds it. The outermost caller that
 * has one is asked: further in, it is a parameter of those who pass it on. */
static bool add_local_holder(lua_State *L, mp_path *to)
{
    lua_Debug caller;
    const char *name, *found = NULL;
    for (int level = 0; level < LEVELS_SEARCHED && lua_getstack(L, level, &caller); level++)
        for (int i = 1; (name = lua_getlocal(L, &caller, i)) != NULL; i++) {
            if (lua_rawequal(L, -1, -2) && *name != '(')
                found = name;
            lua_pop(L, 1);
        }
    if (found != NULL)
        mp_path_add(to, "%s", found);
    return found != NULL;
}

/* Adds the variable of another function through which the function of frame
 * `depth` was met, or else who holds it. */
static bool add_name(mp_encoder *e, mp_path *to, size_t depth)
{
    lua_State *L = e->L;
    if (depth > 0 && e->frames[depth - 1].kind == MP_FRAME_FUNCTION) {
        mp_path variable = {.len = 0};
        add_variable(e, &variable, depth - 1);
        mp_path_add(to, "%s", strchr(variable.text, ' ') + 1);
        return true;
    }
    mp_levels_push(&e->levels, depth);
    lua_pop(L, 1);
    bool found = add_global_holder(L, to) || add_local_holder(L, to);
    lua_pop(L, 1);
    return found;
}

/* " of score (sweep.lua:12)" */
static void add_function(mp_encoder *e, mp_path *to, size_t depth)
{
    lua_State *L = e->L;
    lua_Debug info;
    mp_levels_push(&e->levels, depth);
    lua_pop(L, 1);
    lua_getinfo(L, ">S", &info);
    mp_path_add(to, " of ");
    if (add_name(e, to, depth))
        mp_path_add(to, " (%s:%d)", info.short_src, info.linedefined);
    else
        mp_path_add(to, "the function at %s:%d", info.short_src, info.linedefined);
}

void mp_encode_path(mp_encoder *e)
{
    mp_path to = {.len = 0};
    size_t depth = e->levels.depth, from = depth;
    while (from > 0 && e->frames[from - 1].kind != MP_FRAME_FUNCTION)
        from--;
    if (from > 0)
        add_variable(e, &to, from - 1);
    for (size_t i = from; i < depth; i++)
        add_part(e, &to, i);
    if (from > 0)
        add_function(e, &to, from - 1);
    lua_pushlstring(e->L, to.text, to.len);
}
