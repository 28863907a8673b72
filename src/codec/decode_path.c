/* The path of the item that could not be read, off the open frames. */
#include "codec/decode.h"
#include "codec/path.h"

static void add_function_part(lua_State *L, const mp_open_frame *frame, mp_path *to)
{
    if (frame->at < frame->upvalues) {
        const char *name = lua_getupvalue(L, -2, (int)frame->at + 1);
        mp_path_add(to, "(upvalue %s)", name != NULL && *name != '\0' ? name : "?");
        lua_pop(L, 1);
    } else if (frame->value) {
        mp_path_add(to, "(global %.*s)", MP_PATH_KEY, lua_tostring(L, -1));
    }
}

static void add_part(mp_decoder *d, mp_path *to, size_t depth)
{
    lua_State *L = d->L;
    const mp_open_frame *frame = &d->frames[depth];
    mp_levels_push(&d->levels, depth);
    if (frame->kind == MP_OPEN_ARRAY) {
        mp_path_add(to, "[%lld]", (long long)frame->at + 1);
    } else if (frame->kind == MP_OPEN_FUNCTION) {
        add_function_part(L, frame, to);
    } else if (frame->kind == MP_OPEN_REDUCED) {
        mp_path_add(to, "(argument %lld of __reduce)", (long long)frame->at);
    } else if (frame->kind == MP_OPEN_MAP && frame->value) {
        lua_pushvalue(L, -1);
        mp_path_add_key(to, L);
    } else if (frame->kind != MP_OPEN_MAP && frame->at == 1) {
        mp_path_add(to, "(metatable)");
    }
    lua_pop(L, 2);
}

void mp_decode_path(mp_decoder *d)
{
    mp_path to = {.len = 0};
    for (size_t i = 0; i < d->levels.depth; i++)
        add_part(d, &to, i);
    lua_pushlstring(d->L, to.text, to.len);
}
