/* Which variable makes a function large: see baggage.h.
 *
 * Only asked when one was large, so each variable is simply encoded alone. */
#include "lua/baggage.h"

#include "codec/functions.h"
#include "codec/proto_scan.h"
#include "codec/stack.h"
#include "codec/values.h"

#include <string.h>

enum { DEPTH = 8 };

/* The heaviest variable met so far of one function; its value is on the stack. */
typedef struct heaviest {
    mp_buffer *scratch;
    size_t size;
    const char *kind; /* "upvalue" or "global" */
    char name[64];
    int at; /* where its value is kept */
} heaviest;

/* Weighs the value on top, and pops it. */
static void weigh(lua_State *L, heaviest *h, const char *kind, const char *name)
{
    int top = lua_gettop(L);
    h->scratch->len = 0;
    h->scratch->error = 0;
    bool sent = mp_encode(L, top, 1, MP_CODEC_FUNCTIONS, h->scratch) == 0;
    lua_settop(L, top);
    if (sent && h->scratch->len > h->size) {
        h->size = h->scratch->len;
        h->kind = kind;
        snprintf(h->name, sizeof h->name, "%s", name);
        lua_replace(L, h->at);
    } else {
        lua_pop(L, 1);
    }
}

static void weigh_upvalues(lua_State *L, int function, heaviest *h)
{
    const char *name;
    for (int i = 1; (name = lua_getupvalue(L, function, i)) != NULL; i++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
        bool globals = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
        if (globals)
            lua_pop(L, 1);
        else
            weigh(L, h, "upvalue", name);
    }
}

static void weigh_globals(lua_State *L, int function, heaviest *h)
{
    mp_buffer dump, names;
    const char *name;
    size_t at = 0, length;
    mp_buffer_init_heap(&dump);
    mp_buffer_init_heap(&names);
    lua_pushvalue(L, function);
    bool listed = mp_function_dump(L, &dump) == 0 &&
                  mp_function_globals(L, function, dump.data, dump.len, &names) == 0;
    lua_pop(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    while (listed && mp_proto_next_name(&names, &at, &name, &length)) {
        lua_pushlstring(L, name, length);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        lua_insert(L, -2);
        const char *text = lua_tostring(L, -1);
        lua_insert(L, -2);
        weigh(L, h, "global", text);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    mp_buffer_free(&dump);
    mp_buffer_free(&names);
}

/* Finds the heaviest variable of the function at `function`, whose value then stands at
 * h->at. */
static void weigh_function(lua_State *L, int function, heaviest *h)
{
    h->size = 0;
    h->kind = NULL;
    weigh_upvalues(L, function, h);
    weigh_globals(L, function, h);
}

static void say(lua_State *L, int function, const heaviest *h, size_t size)
{
    lua_Debug ar;
    lua_pushvalue(L, function);
    lua_getinfo(L, ">S", &ar);
    lua_pushfstring(
        L,
        "moonpool: a function takes %d MiB along, %d of them in %s %s (%s:%d); mp.share "
        "sends such a value once, and pool:refresh() lets new workers inherit it",
        (int)(size >> 20), (int)(h->size >> 20), h->kind, h->name, ar.short_src, ar.linedefined);
    lua_warning(L, lua_tostring(L, -1), 0);
}

void mp_baggage_warn(lua_State *L, int function, size_t size)
{
    int top = lua_gettop(L);
    mp_buffer *scratch = lua_newuserdatauv(L, sizeof *scratch, 0);
    mp_buffer_init_heap(scratch);
    luaL_setmetatable(L, MP_SCRATCH_META);
    heaviest h = {.scratch = scratch}, last = h;
    mp_check_stack(L, 2 * DEPTH + 20, NULL);
    lua_pushvalue(L, function);
    int owner = top + 2, at = owner;
    for (int depth = 0; depth < DEPTH && lua_isfunction(L, at) && !lua_iscfunction(L, at);
         depth++) {
        lua_pushnil(L);
        h.at = lua_gettop(L);
        weigh_function(L, at, &h);
        if (h.kind == NULL || h.size < size / 2)
            break;
        owner = at;
        last = h;
        at = h.at;
    }
    if (last.kind != NULL)
        say(L, owner, &last, size);
    lua_settop(L, top);
}
