/* luaopen_moonpool: the core's functions in one table, handed to the Lua files
 * that are compiled in. They get it, and a `require` of their own that needs no
 * package library, as the arguments of their chunk.
 *
 * Invariant: the basic functions and libraries that these files use are those of when the library
 * was opened, whatever a script then calls `table` or `next`. */
#include "moonpool_lua.h"

#include "lua/sources.h"
#include "lua/state.h"

#include "codec/names.h"
#include "codec/stack.h"
#include "shm/session.h"

#include <lualib.h>
#include <string.h>

static const mp_lua_source *find_source(const char *name)
{
    for (const mp_lua_source *s = mp_lua_sources; s->name != NULL; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

/* ---- what the files use of Lua's ---- */

#define LIBRARIES "coroutine,debug,io,math,os,package,string,table,utf8"
#define FUNCTIONS                                                                                  \
    "error,getmetatable,ipairs,load,loadfile,next,pairs,pcall,rawget,rawlen,rawset,select,"        \
    "setmetatable,tonumber,tostring,type,xpcall"

/* Stands before the text of each file, on its first line: locals in the place of globals. */
static const char head[] = "local _,_," LIBRARIES "," FUNCTIONS "=... ";

/* These the library cannot do without. */
static bool is_needed(const char *library)
{
    static const char *const needed[] = {LUA_TABLIBNAME, LUA_STRLIBNAME, LUA_MATHLIBNAME,
                                         LUA_IOLIBNAME, LUA_DBLIBNAME};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (strcmp(library, needed[i]) == 0)
            return true;
    return false;
}

static void push_library(lua_State *L, const char *name)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, name) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_getglobal(L, name);
    }
    lua_remove(L, -2);
    if (is_needed(name) && !lua_istable(L, -1))
        luaL_error(L, "moonpool needs Lua's library '%s', which is not open in this state", name);
}

static void push_function(lua_State *L, const char *name)
{
    int type = lua_getglobal(L, name);
    if (type == LUA_TNIL)
        luaL_error(L, "moonpool needs Lua's basic functions, which are not in this state");
    if (type != LUA_TFUNCTION)
        luaL_error(L, "moonpool needs Lua's function '%s', and the global of that name is a %s",
                   name, lua_typename(L, type));
}

/* Appends what these names stand for to the list on top, which has n values; their new number. */
static lua_Integer note_all(lua_State *L, const char *names,
                            void (*push)(lua_State *, const char *), lua_Integer n)
{
    for (const char *at = names; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        lua_pushlstring(L, at, strcspn(at, ","));
        push(L, lua_tostring(L, -1));
        lua_rawseti(L, -3, ++n);
        lua_pop(L, 1);
    }
    return n;
}

/* Pushes a list of them as they are now, its number 0 their number. */
static void note_basics(lua_State *L)
{
    lua_newtable(L);
    lua_Integer n = note_all(L, LIBRARIES, push_library, 0);
    lua_pushinteger(L, note_all(L, FUNCTIONS, push_function, n));
    lua_rawseti(L, -2, 0);
}

/* Pushes what stands in that list, and returns their number. */
static int push_basics(lua_State *L, int list)
{
    lua_rawgeti(L, list, 0);
    int n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    mp_check_stack(L, n, NULL);
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, list, i);
    return n;
}

/* The text of a file, behind the head. */
typedef struct text {
    const mp_lua_source *source;
    int part;
} text;

static const char *read_text(lua_State *L, void *ud, size_t *size)
{
    text *t = ud;
    (void)L;
    t->part++;
    *size = t->part == 1 ? sizeof head - 1 : t->part == 2 ? t->source->size : 0;
    return t->part == 1 ? head : (const char *)t->source->bytes;
}

/* ---- modules ---- */

/* require(name) for the library's own files; upvalue 1: the core table, 2: the basics. */
static int require_own(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        return 1;
    const mp_lua_source *source = find_source(name);
    if (source == NULL)
        return luaL_error(L, "module '%s' is not part of the library", name);
    text t = {.source = source};
    if (lua_load(L, read_text, &t, source->chunkname, "t") != LUA_OK)
        return lua_error(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushcclosure(L, require_own, 2);
    lua_call(L, 2 + push_basics(L, lua_upvalueindex(2)), 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

static void push_core(lua_State *L)
{
    lua_newtable(L);
    mp_open_pool(L);
    mp_open_call(L);
    mp_open_input(L);
    mp_open_settings(L);
    mp_open_crew(L);
    mp_open_imap(L);
    mp_open_take(L);
    mp_open_record(L);
    mp_open_codec(L);
    mp_open_system(L);
    mp_open_worker(L);
    mp_open_task(L);
    mp_open_process(L);
    mp_open_command(L);
    mp_open_shared(L);
    mp_open_sync(L);
    mp_open_value(L);
    mp_open_connection(L);
    mp_open_queue(L);
    mp_open_message(L);
    mp_open_share(L);
    mp_open_manager(L);
    mp_open_identity(L);
    mp_open_scalars(L);
    mp_open_journal(L);
    mp_open_journal_state(L);
    mp_open_files(L);
    mp_open_text(L);
    mp_open_json_read(L);
    mp_open_json_write(L);
    mp_open_label(L);
    mp_open_terminal(L);
    mp_open_peek(L);
    mp_open_keys(L);
    mp_open_lines(L);
    mp_open_line_eval(L);
}

int luaopen_moonpool(lua_State *L)
{
    luaL_checkversion(L);
    lua_settop(L, 0);
    mp_fork_generation();
    mp_session_open(NULL); /* before any fork that is to share it; who needs it is told */
    mp_names_refresh(L);   /* before scripts put functions of their own in standard places */
    if (luaL_newmetatable(L, MP_ERROR_META) == 0 && lua_getfield(L, -1, "module") == LUA_TTABLE)
        return 1;
    lua_settop(L, 0);
    push_core(L);
    note_basics(L);
    lua_pushcclosure(L, require_own, 2);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, MP_NAMES_REQUIRE);
    lua_pushliteral(L, "moonpool");
    lua_call(L, 1, 1);
    luaL_getmetatable(L, MP_ERROR_META);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "module");
    lua_pop(L, 1);
    return 1;
}
