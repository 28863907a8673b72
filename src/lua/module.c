/* luaopen_moonpool: the core's functions in one table, handed to the Lua files
 * that are compiled in. They get it, and a `require` of their own that needs no
 * package library, as the arguments of their chunk. */
#include "moonpool_lua.h"

#include "lua/sources.h"
#include "lua/state.h"

#include "codec/names.h"
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

/* require(name) for the library's own files; upvalue 1: the core table. */
static int require_own(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        return 1;
    const mp_lua_source *source = find_source(name);
    if (source == NULL)
        return luaL_error(L, "module '%s' is not part of the library", name);
    if (luaL_loadbufferx(L, (const char *)source->bytes, source->size, source->chunkname, "t") !=
        LUA_OK)
        return lua_error(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, require_own, 1);
    lua_call(L, 2, 1);
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
    mp_open_terminal(L);
    mp_open_peek(L);
    mp_open_keys(L);
    mp_open_lines(L);
    mp_open_line_eval(L);
}

/* The library's Lua files use these. */
static void check_libraries(lua_State *L)
{
    static const char *const needed[] = {LUA_TABLIBNAME, LUA_STRLIBNAME, LUA_MATHLIBNAME,
                                         LUA_IOLIBNAME, LUA_DBLIBNAME};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (lua_getglobal(L, needed[i]) != LUA_TTABLE)
            luaL_error(L, "moonpool needs Lua's library '%s', which is not open in this state",
                       needed[i]);
    if (lua_getglobal(L, "pcall") != LUA_TFUNCTION)
        luaL_error(L, "moonpool needs Lua's basic functions, which are not in this state");
}

int luaopen_moonpool(lua_State *L)
{
    luaL_checkversion(L);
    check_libraries(L);
    lua_settop(L, 0);
    mp_fork_generation();
    mp_session_open(NULL); /* before any fork that is to share it; who needs it is told */
    mp_names_refresh(L);   /* before scripts put functions of their own in standard places */
    if (luaL_newmetatable(L, MP_ERROR_META) == 0 && lua_getfield(L, -1, "module") == LUA_TTABLE)
        return 1;
    lua_settop(L, 0);
    push_core(L);
    lua_pushcclosure(L, require_own, 1);
    lua_pushliteral(L, "moonpool");
    lua_call(L, 1, 1);
    luaL_getmetatable(L, MP_ERROR_META);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "module");
    lua_pop(L, 1);
    return 1;
}
