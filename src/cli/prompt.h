/* What the prompt (lua/moonpool/repl.lua) needs of the program: a line that is edited on a
 * terminal, calls that Ctrl-C interrupts, a history in a file. */
#ifndef MP_CLI_PROMPT_H
#define MP_CLI_PROMPT_H

#include <lua.h>

/* Puts the table of these functions into the registry, as "moonpool.prompt". Raises memory errors
 * of Lua's. */
void mp_prompt_open(lua_State *L);

/* Adds to the table on top of the stack what edits a line; nothing where the program was built
 * without (line.c or line_plain.c). */
void mp_line_open(lua_State *L);

/* Adds to the table on top of the stack what keeps a history. */
void mp_history_open(lua_State *L);

#endif
