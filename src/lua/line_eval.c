/* The lines of a block through a function, for lua/moonpool/lines.lua: from each line's values to
 * the text that is to be written.
 *
 * Invariants: an error within a line leaves the text as it was behind the line before, and the
 * cursor at that line; going on begins with the next one. A cursor whose time is over stops behind
 * a line, and never before its first one. */
#include "base/clock.h"
#include "lua/message.h"
#include "lua/state.h"

#include <string.h>

enum { CURSOR_BLOCK = 1, CURSOR_BUFFER, CURSOR_VALUES };

typedef struct cursor {
    const char *at, *end; /* what is left of the block */
    lua_Integer first;    /* number of the block's first line */
    lua_Integer number;   /* of the line it is at */
    int64_t until;        /* it takes up lines, by the rough clock */
    size_t whole;         /* bytes of the text that are of lines that did not fail */
    mp_buffer *out;
} cursor;

static const char cursor_meta[] = "moonpool.core.Cursor";

static cursor *check_cursor(lua_State *L)
{
    return luaL_checkudata(L, 1, cursor_meta);
}

/* The rough clock may be behind: this begins by it, too. */
static int64_t deadline(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return MP_NEVER;
    return mp_now_roughly() + (int64_t)(luaL_checknumber(L, index) * 1e9);
}

/* core.cursor(block, number, seconds): for the lines of the block, the first of which has that
 * number; none is begun later than so many seconds from now, where they are given */
static int begin(lua_State *L)
{
    size_t n;
    const char *block = luaL_checklstring(L, 1, &n);
    lua_Integer number = luaL_checkinteger(L, 2);
    cursor *c = lua_newuserdatauv(L, sizeof *c, CURSOR_VALUES - 1);
    *c = (cursor){.at = block,
                  .end = block + n,
                  .first = number,
                  .number = number - 1,
                  .until = deadline(L, 3)};
    luaL_setmetatable(L, cursor_meta);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, CURSOR_BLOCK);
    c->out = mp_message_buffer(L);
    lua_setiuservalue(L, -2, CURSOR_BUFFER);
    return 1;
}

/* core.cursor_at(cursor): the number of the line that it is at */
static int number_at(lua_State *L)
{
    lua_pushinteger(L, check_cursor(L)->number);
    return 1;
}

/* core.cursor_text(cursor): all text so far, of which it has none then */
static int text_of(lua_State *L)
{
    cursor *c = check_cursor(L);
    lua_pushlstring(L, (const char *)c->out->data, c->whole);
    mp_buffer_free(c->out);
    c->whole = 0;
    return 1;
}

/* core.cursor_rest(cursor): the lines that it has not come to, and the number of the first of them;
 * nothing where it has come to all */
static int rest_of(lua_State *L)
{
    cursor *c = check_cursor(L);
    if (c->at == c->end)
        return 0;
    lua_pushlstring(L, c->at, (size_t)(c->end - c->at));
    lua_pushinteger(L, c->number + 1);
    return 2;
}

/* ---- fields ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void split_at_blanks(lua_State *L, const char *at, const char *end, lua_Integer most)
{
    for (lua_Integer i = 1; i <= most; i++) {
        while (at < end && is_blank(*at))
            at++;
        if (at == end)
            return;
        const char *field = at;
        while (at < end && !is_blank(*at))
            at++;
        lua_pushlstring(L, field, (size_t)(at - field));
        lua_rawseti(L, -2, i);
    }
}

static void split_at(lua_State *L, const char *at, const char *end, char separator,
                     lua_Integer most)
{
    for (lua_Integer i = 1; at <= end && i <= most; i++) {
        const char *next = at < end ? memchr(at, separator, (size_t)(end - at)) : NULL;
        next = next != NULL ? next : end;
        lua_pushlstring(L, at, (size_t)(next - at));
        lua_rawseti(L, -2, i);
        at = next + 1;
    }
}

/* Pushes the fields of the line on top. What separates them stands at 3: nil (runs of blanks), a
 * character, a function that is asked; false: nobody wants them. At 5: how many somebody wants. */
static void push_fields(lua_State *L)
{
    size_t n;
    int line = lua_gettop(L);
    if (!lua_toboolean(L, 3) && !lua_isnil(L, 3)) {
        lua_pushnil(L);
    } else if (lua_isfunction(L, 3)) {
        lua_pushvalue(L, 3);
        lua_pushvalue(L, line);
        lua_call(L, 1, 1);
    } else {
        const char *text = lua_tolstring(L, line, &n);
        lua_Integer most = lua_tointeger(L, 5);
        lua_createtable(L, 4, 0);
        if (lua_isnil(L, 3))
            split_at_blanks(L, text, text + n, most);
        else if (n > 0)
            split_at(L, text, text + n, *lua_tostring(L, 3), most);
    }
}

/* ---- values ---- */

static void put(lua_State *L, cursor *c, const char *text, size_t n)
{
    if (mp_buffer_append(c->out, text, n) < 0)
        mp_raise(L, "system", "no memory for the text of line %lld", (long long)c->number);
}

/* An address is no text of anything: it differs from run to run. */
static void check_has_text(lua_State *L, int index, int type)
{
    if (type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING ||
        luaL_getmetafield(L, index, "__tostring") != LUA_TNIL)
        return;
    if (type == LUA_TTABLE)
        luaL_error(L, "a table is no text: write --json, or what of it is to be written");
    luaL_error(L, "a %s is no text: write what of it is to be written", lua_typename(L, type));
}

static void put_value(lua_State *L, cursor *c, int index)
{
    size_t n;
    int type = lua_type(L, index);
    if (type == LUA_TNIL)
        return;
    check_has_text(L, index, type);
    const char *text =
        type == LUA_TSTRING ? lua_tolstring(L, index, &n) : luaL_tolstring(L, index, &n);
    put(L, c, text, n);
}

/* The values above `base` as a line, tabs between them; nothing for none, or nil alone. */
static void put_values(lua_State *L, cursor *c, int base)
{
    int n = lua_gettop(L) - base;
    if (n == 0 || (n == 1 && lua_isnil(L, -1)))
        return;
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            put(L, c, "\t", 1);
        put_value(L, c, base + i);
    }
    put(L, c, "\n", 1);
}

/* ---- lines ---- */

static void push_line(lua_State *L, cursor *c)
{
    const char *end = memchr(c->at, '\n', (size_t)(c->end - c->at));
    size_t n = (size_t)((end != NULL ? end : c->end) - c->at);
    c->number++;
    lua_pushlstring(L, c->at, n);
    c->at = end != NULL ? end + 1 : c->end;
}

static void evaluate(lua_State *L, cursor *c)
{
    int base = lua_gettop(L);
    lua_pushvalue(L, 2);
    push_line(L, c);
    lua_pushinteger(L, c->number);
    lua_pushvalue(L, -2);
    push_fields(L);
    lua_remove(L, -2);
    lua_pushvalue(L, 4);
    lua_call(L, 4, LUA_MULTRET);
    put_values(L, c, base);
    lua_settop(L, base);
}

/* Of lines that fail, too, the time is counted. */
static bool is_over(const cursor *c)
{
    return c->at == c->end ||
           (c->until != MP_NEVER && c->number >= c->first && mp_now_roughly() > c->until);
}

/* core.cursor_go(cursor, f, separator, file, fields): f(line, number, fields, file) for each line
 * from where it is on, while it has time; raises what f raises */
static int go(lua_State *L)
{
    cursor *c = check_cursor(L);
    lua_settop(L, 5);
    for (c->out->len = c->whole; !is_over(c); c->whole = c->out->len)
        evaluate(L, c);
    return 0;
}

void mp_open_line_eval(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"cursor", begin},        {"cursor_at", number_at}, {"cursor_text", text_of},
        {"cursor_rest", rest_of}, {"cursor_go", go},        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, cursor_meta);
    lua_pop(L, 1);
}
