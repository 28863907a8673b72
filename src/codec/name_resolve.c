/* From a name to what it leads to in this process: the other half of names.h.
 *
 * The way is walked in protected mode, since requiring a module runs its code;
 * the standard C functions are known by name without walking, whatever has
 * been put in their place. */
#include "codec/name_functions.h"
#include "codec/names.h"
#include "codec/stack.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

enum { STACK_ROOM = 20 };

/* A name, being read. */
typedef struct path {
    const char *at;
    const char *end;
} path;

/* The bytes up to the next NUL, which is passed. */
static const char *next_part(path *p, size_t *len)
{
    const char *part = p->at;
    const char *nul = memchr(part, '\0', (size_t)(p->end - part));
    *len = (size_t)((nul != NULL ? nul : p->end) - part);
    p->at = nul != NULL ? nul + 1 : p->end;
    return part;
}

static void show_step(luaL_Buffer *b, const char *step, size_t len, bool first)
{
    if (len > 0 && step[0] == '^')
        luaL_addstring(b, " upvalue ");
    else if (len > 0 && step[0] == '%')
        luaL_addstring(b, " metatable");
    else if (!first)
        luaL_addchar(b, '.');
    if (len > 1)
        luaL_addlstring(b, step + 1, len - 1);
}

void mp_name_show(lua_State *L, const char *name, size_t len)
{
    path p = {name, name + len};
    size_t part_len;
    luaL_Buffer b;
    mp_check_stack(L, STACK_ROOM, NULL);
    luaL_buffinit(L, &b);
    const char *part = next_part(&p, &part_len);
    char root = part_len > 0 ? part[0] : '\0';
    if (root == 'G')
        luaL_addstring(&b, p.at < p.end ? "global " : "the globals table");
    else if (root == 'R')
        luaL_addstring(&b, "metatable ");
    if (part_len > 1)
        luaL_addlstring(&b, part + 1, part_len - 1);
    for (bool first = root == 'G'; p.at < p.end; first = false) {
        part = next_part(&p, &part_len);
        show_step(&b, part, part_len, first);
    }
    luaL_pushresult(&b);
}

static const char *push_package_path(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushliteral(L, LUA_LOADLIBNAME);
    if (lua_type(L, -2) == LUA_TTABLE && lua_rawget(L, -2) == LUA_TTABLE) {
        lua_pushliteral(L, "path");
        lua_rawget(L, -2);
    }
    return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
}

/* The name of index 1 leads nowhere. */
static int fail_missing(lua_State *L)
{
    size_t len;
    const char *name = lua_tolstring(L, 1, &len);
    const char *places = push_package_path(L);
    mp_name_show(L, name, len);
    const char *shown = lua_tostring(L, -1);
    if (name[0] == 'M')
        return luaL_error(L, "module '%s' has no %s in this process (package.path is '%s')",
                          name + 1, shown, places);
    return luaL_error(L, "there is no %s in this process (package.path is '%s')", shown, places);
}

/* With the error of require at the top. Its list of places that were tried
 * says no more than package.path. */
static int fail_require(lua_State *L, const char *module)
{
    const char *error = lua_tostring(L, -1);
    if (error == NULL)
        error = lua_pushfstring(L, "error object is a %s value", luaL_typename(L, -1));
    error = lua_pushlstring(L, error, strcspn(error, "\n"));
    const char *places = push_package_path(L);
    return luaL_error(L, "module '%s' cannot be loaded in this process (package.path is '%s'): %s",
                      module, places, error);
}

static void push_require(lua_State *L)
{
    lua_pushglobaltable(L);
    lua_pushliteral(L, "require");
    if (lua_rawget(L, -2) != LUA_TNIL)
        return;
    mp_push_named_functions(L);
    lua_pushlstring(L, "G\0.require", 10);
    lua_rawget(L, -2);
}

/* A file of the library's that nobody has used here so far. */
static bool push_own_module(lua_State *L, const char *module)
{
    if (strncmp(module, "moonpool.", 9) != 0 ||
        lua_getfield(L, LUA_REGISTRYINDEX, MP_NAMES_REQUIRE) != LUA_TFUNCTION)
        return false;
    lua_pushstring(L, module);
    return lua_pcall(L, 1, 1, 0) == LUA_OK;
}

static void push_module(lua_State *L, const char *module)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) == LUA_TTABLE) {
        lua_pushstring(L, module);
        lua_rawget(L, -2);
        if (lua_toboolean(L, -1))
            return;
    }
    if (push_own_module(L, module))
        return;
    push_require(L);
    lua_pushstring(L, module);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK)
        fail_require(L, module);
}

/* The fields are read as a program would, for modules that load theirs when
 * they are first used. */
static void push_field(lua_State *L, const char *text, size_t len)
{
    if (lua_type(L, -1) != LUA_TTABLE)
        fail_missing(L);
    lua_pushlstring(L, text, len);
    if (lua_gettable(L, -2) == LUA_TNIL)
        fail_missing(L);
}

static void push_upvalue(lua_State *L, const char *text, size_t len)
{
    const char *name;
    if (lua_type(L, -1) != LUA_TFUNCTION)
        fail_missing(L);
    for (int i = 1; (name = lua_getupvalue(L, -1, i)) != NULL; i++) {
        if (strlen(name) == len && memcmp(name, text, len) == 0)
            return;
        lua_pop(L, 1);
    }
    fail_missing(L);
}

static void push_step(lua_State *L, const char *step, size_t len)
{
    switch (len > 0 ? step[0] : '\0') {
    case '.':
        push_field(L, step + 1, len - 1);
        return;
    case '^':
        push_upvalue(L, step + 1, len - 1);
        return;
    case '%':
        if (lua_getmetatable(L, -1) != 0)
            return;
    }
    fail_missing(L);
}

static void push_root(lua_State *L, const char *root, size_t len)
{
    lua_pushlstring(L, root + 1, len - 1);
    const char *rest = lua_tostring(L, -1);
    switch (root[0]) {
    case 'G':
        lua_pushglobaltable(L);
        return;
    case 'M':
        push_module(L, rest);
        return;
    case 'R':
        lua_pushvalue(L, -1);
        if (lua_rawget(L, LUA_REGISTRYINDEX) == LUA_TTABLE)
            return;
    }
    fail_missing(L);
}

static int walk(lua_State *L)
{
    size_t len, part_len;
    const char *name = lua_tolstring(L, 1, &len);
    path p = {name, name + len};
    mp_check_stack(L, STACK_ROOM, NULL);
    const char *part = next_part(&p, &part_len);
    if (part_len == 0)
        return luaL_error(L, "an empty name");
    push_root(L, part, part_len);
    while (p.at < p.end) {
        part = next_part(&p, &part_len);
        mp_check_stack(L, STACK_ROOM, NULL);
        push_step(L, part, part_len);
    }
    return 1;
}

int mp_name_resolve(lua_State *L, const char *name, size_t len)
{
    mp_check_stack(L, STACK_ROOM, NULL);
    mp_push_named_functions(L);
    lua_pushlstring(L, name, len);
    if (lua_rawget(L, -2) == LUA_TFUNCTION) {
        lua_replace(L, -2);
        return 0;
    }
    lua_pop(L, 2);
    lua_pushcfunction(L, walk);
    lua_pushlstring(L, name, len);
    return lua_pcall(L, 1, 1, 0) == LUA_OK ? 0 : -1;
}
