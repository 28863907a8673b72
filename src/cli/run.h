/* Calling Lua code on behalf of the program, and telling what went wrong. */
#ifndef MP_CLI_RUN_H
#define MP_CLI_RUN_H

#include <lua.h>

/* Calls the function below its n arguments, as lua_pcall does, with a message
 * handler that adds the traceback, and so that Ctrl-C stops it.
 * Returns a status of Lua's; in an error, its message is on the stack. */
int mp_run_call(lua_State *L, int n, int results);

/* Runs the file of that name, standard input where it is NULL, or a piece of
 * text that errors call `name` ("=(command line)"). Errors are reported.
 * Returns a status of Lua's, and leaves the stack as it was. */
int mp_run_file(lua_State *L, const char *path);
int mp_run_text(lua_State *L, const char *text, const char *name);

/* Where `status` is an error's: takes its message from the stack and writes it
 * to standard error, behind `program` and a colon unless that is NULL.
 * Returns `status`. */
int mp_run_report(lua_State *L, int status, const char *program);

#endif
