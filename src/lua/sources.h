/* The library's own Lua files, compiled in.
 *
 * The table is generated at build time from lua/moonpool: one row a file,
 * `moonpool/init.lua` under the name "moonpool", `moonpool/pool.lua` under
 * "moonpool.pool"; a row whose name is NULL ends it. Constant, valid for the
 * life of the process. */
#ifndef MP_LUA_SOURCES_H
#define MP_LUA_SOURCES_H

#include <stddef.h>

typedef struct mp_lua_source {
    const char *name;           /* as `require` takes it */
    const unsigned char *bytes; /* the file's text, a NUL behind it */
    size_t size;                /* without that NUL */
    const char *chunkname;      /* "@moonpool/pool.lua", as luaL_loadbuffer takes it */
} mp_lua_source;

extern const mp_lua_source mp_lua_sources[];

#endif
