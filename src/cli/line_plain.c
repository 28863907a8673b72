/* A program without GNU readline: lines are read as they come (lua/moonpool/repl_reader.lua). */
#include "cli/prompt.h"

void mp_line_open(lua_State *L)
{
    (void)L;
}
