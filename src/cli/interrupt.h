/* Ctrl-C: stops the Lua code that runs, wherever it is. */
#ifndef MP_CLI_INTERRUPT_H
#define MP_CLI_INTERRUPT_H

#include <lua.h>
#include <signal.h>
#include <stdbool.h>

/* Makes the state ready to be interrupted; once, from its main thread, with
 * the standard libraries open and no coroutine made yet. Raises memory errors
 * of Lua's. */
void mp_interrupt_open(lua_State *L);

/* Between these two a first SIGINT raises the error "interrupted!" in L or in
 * the coroutine that runs, and a second one ends the process; where it is to be
 * `lasting`, each of them raises. Behind them, what SIGINT does is again what it
 * did before, which *before keeps meanwhile. */
void mp_interrupt_begin(lua_State *L, struct sigaction *before, bool lasting);
void mp_interrupt_end(const struct sigaction *before);

/* To be called with an error message on top of the stack: where that tells of
 * an interrupt that hit a coroutine, adds the coroutine's traceback to it. */
void mp_interrupt_explain(lua_State *L);

/* Pushes the traceback of where a `lasting` one was raised since mp_interrupt_begin, or nil. */
void mp_interrupt_where(lua_State *L);

#endif
