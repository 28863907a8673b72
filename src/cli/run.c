/* Protected calls with a traceback: see run.h. The handler of Ctrl-C stands
 * only while such a call runs. */
#include "cli/run.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "cli/interrupt.h"

/* What is no string speaks for itself where it has a __tostring, and then has
 * said where it comes from, too. */
static int explain(lua_State *L)
{
    if (lua_tostring(L, 1) == NULL) {
        if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
            return 1;
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    }
    mp_interrupt_explain(L);
    lua_pushliteral(L, "\n");
    luaL_traceback(L, L, NULL, 1);
    lua_concat(L, 3);
    return 1;
}

int mp_run_call(lua_State *L, int n, int results)
{
    int function = lua_gettop(L) - n;
    lua_pushcfunction(L, explain);
    lua_insert(L, function);
    struct sigaction before;
    mp_interrupt_begin(L, &before, false);
    int status = lua_pcall(L, n, results, function);
    mp_interrupt_end(&before);
    lua_remove(L, function);
    return status;
}

static int run_loaded(lua_State *L, int status)
{
    if (status == LUA_OK)
        status = mp_run_call(L, 0, 0);
    return mp_run_report(L, status, "moonpool");
}

int mp_run_file(lua_State *L, const char *path)
{
    return run_loaded(L, luaL_loadfile(L, path));
}

int mp_run_text(lua_State *L, const char *text, const char *name)
{
    return run_loaded(L, luaL_loadbuffer(L, text, strlen(text), name));
}

int mp_run_report(lua_State *L, int status, const char *program)
{
    if (status == LUA_OK)
        return status;
    size_t length;
    const char *message = lua_tolstring(L, -1, &length);
    if (message == NULL)
        message = "(error message not a string)", length = strlen(message);
    fflush(stdout);
    if (program != NULL)
        fprintf(stderr, "%s: ", program);
    fwrite(message, 1, length, stderr);
    fputc('\n', stderr);
    fflush(stderr);
    lua_pop(L, 1);
    return status;
}
