/* The conversation with a user: reads lines, runs them, prints what they give. */
#ifndef MP_CLI_REPL_H
#define MP_CLI_REPL_H

#include <lua.h>

/* Reads standard input to its end, with the prompts of the globals _PROMPT and
 * _PROMPT2. Errors are reported and do not end it; neither does it return one. */
void mp_repl(lua_State *L);

#endif
