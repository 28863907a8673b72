/* The line loop: see repl.h. A line is tried as an expression first; a
 * statement that Lua finds wanting at its very end goes on in the next line. */
#include "cli/repl.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/run.h"

static const char chunk_name[] = "=stdin";

static void write_prompt(lua_State *L, const char *global, const char *standard)
{
    int top = lua_gettop(L);
    lua_getglobal(L, global);
    const char *prompt = lua_isnil(L, -1) ? standard : luaL_tolstring(L, -1, NULL);
    fputs(prompt, stdout);
    fflush(stdout);
    lua_settop(L, top);
}

/* A line of any length, without its end; to be freed. NULL at the end of input. */
static char *read_line(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length = getline(&line, &size, stdin);
    if (length < 0) {
        free(line);
        return NULL;
    }
    if (length > 0 && line[length - 1] == '\n')
        line[length - 1] = '\0';
    return line;
}

/* Moves a line from the heap to the stack: false at the end of input. */
static bool push_line(lua_State *L)
{
    char *line = read_line();
    if (line == NULL)
        return false;
    lua_pushstring(L, line);
    free(line);
    return true;
}

static int load_top(lua_State *L)
{
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    return luaL_loadbuffer(L, text, length, chunk_name);
}

/* The line as an expression: leaves its function, or nothing. */
static int load_expression(lua_State *L)
{
    lua_pushfstring(L, "return %s", lua_tostring(L, 1));
    int status = load_top(L);
    lua_remove(L, 2);
    if (status != LUA_OK)
        lua_pop(L, 1);
    return status;
}

static bool is_incomplete(lua_State *L, int status)
{
    static const char mark[] = "<eof>";
    size_t length, tail = sizeof mark - 1;
    if (status != LUA_ERRSYNTAX)
        return false;
    const char *message = lua_tolstring(L, -1, &length);
    return length >= tail && strcmp(message + length - tail, mark) == 0;
}

/* The line at 1, and as many more as it takes, as a statement. */
static int load_statement(lua_State *L)
{
    for (;;) {
        int status = load_top(L);
        if (!is_incomplete(L, status))
            return status;
        write_prompt(L, "_PROMPT2", ">> ");
        if (!push_line(L))
            return status;
        lua_remove(L, 2); /* the message */
        lua_pushliteral(L, "\n");
        lua_insert(L, 2);
        lua_concat(L, 3);
    }
}

/* `=x` is an old way to write `return x`. */
static int load_input(lua_State *L)
{
    const char *text = lua_tostring(L, 1);
    if (text[0] == '=') {
        lua_pushfstring(L, "return %s", text + 1);
        lua_replace(L, 1);
    } else if (load_expression(L) == LUA_OK) {
        return LUA_OK;
    }
    return load_statement(L);
}

static void print_results(lua_State *L)
{
    int n = lua_gettop(L);
    if (n == 0)
        return;
    luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
    lua_getglobal(L, "print");
    lua_insert(L, 1);
    int status = lua_pcall(L, n, 0, 0);
    if (status != LUA_OK) {
        const char *why = luaL_tolstring(L, -1, NULL);
        lua_pushfstring(L, "error calling 'print' (%s)", why);
        mp_run_report(L, status, NULL);
    }
}

static void run_input(lua_State *L)
{
    int status = load_input(L);
    lua_remove(L, 1); /* the text */
    if (status == LUA_OK)
        status = mp_run_call(L, 0, LUA_MULTRET);
    if (status == LUA_OK)
        print_results(L);
    else
        mp_run_report(L, status, NULL);
}

void mp_repl(lua_State *L)
{
    for (;;) {
        write_prompt(L, "_PROMPT", "> ");
        if (!push_line(L))
            break;
        run_input(L);
        lua_settop(L, 0);
    }
    putchar('\n');
    fflush(stdout);
}
