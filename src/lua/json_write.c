/* Lua values as JSON. Written here, not by jansson, which reads it (json_read.c): it would put
 * 0.1 as 0.10000000000000001, and knows nothing of where in a Lua value something is wrong.
 *
 * Invariants: what is written reads back as the same, integers and floats apart; the same value
 * gives the same bytes in every process; no code of the script's runs, but what a finalizer may do.
 */
#include "lua/message.h"
#include "lua/state.h"
#include "lua/text.h"

#include "codec/encode_scalar.h"
#include "codec/path.h"
#include "codec/stack.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    DEEPEST = 2048, /* values within values, as many as jansson reads */
    STACK_ROOM = 12,
};

/* Where in the value the writer is. */
typedef struct place {
    const struct place *above; /* NULL at the root */
    const void *table;         /* that is written here, NULL for what is none */
    lua_Integer item;          /* this one of the list above, 0 where `key` counts */
    int key;                   /* its key's place on the stack */
    int depth;
} place;

typedef struct writer {
    lua_State *L;
    mp_buffer *out;
    const char *root;
} writer;

static void add_steps(writer *w, const place *at, mp_path *path)
{
    if (at->above == NULL)
        return;
    add_steps(w, at->above, path);
    if (at->item > 0)
        lua_pushinteger(w->L, at->item);
    else
        lua_pushvalue(w->L, at->key);
    mp_path_add_key(path, w->L);
}

__attribute__((noreturn)) static void fail(writer *w, const place *at, const char *what)
{
    mp_path path = {0};
    mp_check_stack(w->L, STACK_ROOM, NULL);
    lua_pushstring(w->L, what);
    add_steps(w, at, &path);
    lua_pushstring(w->L, path.text);
    mp_error_codec(w->L, "encode", w->root);
    lua_error(w->L);
    __builtin_unreachable();
}

static void put(const writer *w, const void *bytes, size_t n)
{
    if (mp_buffer_append(w->out, bytes, n) < 0)
        mp_raise(w->L, "system", "no memory to encode a value");
}

static void put_text(const writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void put_escaped(const writer *w, unsigned char c)
{
    static const char shorts[][3] = {"\"\"", "\\\\", "\bb", "\ff", "\nn", "\rr", "\tt"};
    char text[8];
    for (size_t i = 0; i < sizeof shorts / sizeof shorts[0]; i++)
        if ((unsigned char)shorts[i][0] == c) {
            snprintf(text, sizeof text, "\\%c", shorts[i][1]);
            put_text(w, text);
            return;
        }
    snprintf(text, sizeof text, "\\u%04x", c);
    put_text(w, text);
}

static void put_string(writer *w, const place *at, int index)
{
    size_t n, done = 0;
    const char *s = lua_tolstring(w->L, index, &n);
    if (!mp_is_utf8((const unsigned char *)s, n))
        fail(w, at, "a string that is not UTF-8 cannot stand in JSON");
    put(w, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(w, s + done, i - done);
        put_escaped(w, c);
        done = i + 1;
    }
    put(w, s + done, n - done);
    put(w, "\"", 1);
}

static void put_number(writer *w, const place *at)
{
    char text[MP_NUMBER_TEXT];
    if (!isfinite(lua_tonumber(w->L, -1)))
        fail(w, at, "JSON has no NaN and no infinity");
    put(w, text, (size_t)mp_number_text(w->L, -1, text));
}

/* What a table's keys are. */
typedef struct shape {
    lua_Integer items, highest, names, n;
    bool has_n;
} shape;

/* Of the key on top. */
__attribute__((noreturn)) static void fail_key(writer *w, const place *at)
{
    lua_State *L = w->L;
    bool number = lua_type(L, -1) == LUA_TNUMBER;
    const char *key = number ? luaL_tolstring(L, -1, NULL) : luaL_typename(L, -1);
    fail(w, at,
         lua_pushfstring(L, "a key in JSON is a string or a place in a list, not %s %s",
                         number ? "the number" : "a", key));
}

/* The key is next to the top. */
static void note_key(writer *w, const place *at, shape *s)
{
    lua_State *L = w->L;
    if (lua_type(L, -2) == LUA_TSTRING) {
        s->names++;
        if (lua_isinteger(L, -1) && strcmp(lua_tostring(L, -2), "n") == 0) {
            s->has_n = true;
            s->n = lua_tointeger(L, -1);
        }
    } else if (lua_isinteger(L, -2) && lua_tointeger(L, -2) > 0) {
        s->items++;
        s->highest = lua_tointeger(L, -2) > s->highest ? lua_tointeger(L, -2) : s->highest;
    } else {
        lua_pop(L, 1);
        fail_key(w, at);
    }
}

static shape look_at(writer *w, const place *at)
{
    shape s = {0};
    for (lua_pushnil(w->L); lua_next(w->L, -2) != 0; lua_pop(w->L, 1))
        note_key(w, at, &s);
    return s;
}

/* How many items the list has, those that are nil as well. */
static lua_Integer length_of(writer *w, const place *at, const shape *s)
{
    if (s->names > (s->has_n ? 1 : 0))
        fail(w, at,
             "a table with items and with other keys is neither a list nor an object of JSON");
    if (s->has_n && s->n < s->highest)
        fail(w, at, "its field n is less than its items are");
    if (!s->has_n && s->items != s->highest)
        fail(w, at, "a list with nils in it needs its length in a field n");
    return s->has_n ? s->n : s->highest;
}

static void write_value(writer *w, const place *at);

static void write_list(writer *w, const place *at, lua_Integer n)
{
    place item = {.above = at, .depth = at->depth + 1};
    put(w, "[", 1);
    for (lua_Integer i = 1; i <= n; i++) {
        if (i > 1)
            put(w, ", ", 2);
        item.item = i;
        lua_rawgeti(w->L, -1, i);
        write_value(w, &item);
        lua_pop(w->L, 1);
    }
    put(w, "]", 1);
}

/* Its keys, sorted, in place of the table, which is then below them. */
static void push_keys(writer *w, lua_Integer n)
{
    lua_State *L = w->L;
    lua_Integer count = 0;
    lua_createtable(L, n < INT_MAX ? (int)n : 0, 0);
    for (lua_pushnil(L); lua_next(L, -3) != 0;) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, ++count);
    }
    mp_sort_strings(L);
}

static void write_member(writer *w, const place *at)
{
    place member = {.above = at, .key = lua_gettop(w->L), .depth = at->depth + 1};
    if (memchr(lua_tostring(w->L, -1), '\0', lua_rawlen(w->L, -1)) != NULL)
        fail(w, &member, "a key with a zero byte would not be read again");
    put_string(w, &member, -1);
    put(w, ": ", 2);
    lua_pushvalue(w->L, -1);
    lua_rawget(w->L, -4);
    write_value(w, &member);
    lua_pop(w->L, 1);
}

static void write_object(writer *w, const place *at, lua_Integer n)
{
    put(w, "{", 1);
    push_keys(w, n);
    n = (lua_Integer)lua_rawlen(w->L, -1);
    for (lua_Integer i = 1; i <= n; i++) {
        if (i > 1)
            put(w, ", ", 2);
        lua_rawgeti(w->L, -1, i);
        write_member(w, at);
        lua_pop(w->L, 1);
    }
    lua_pop(w->L, 1);
    put(w, "}", 1);
}

/* Objects of the library are no tables to who has them. */
static void check_table(writer *w, const place *at)
{
    for (const place *above = at->above; above != NULL; above = above->above)
        if (above->table == at->table)
            fail(w, at, "a table within itself cannot stand in JSON");
    if (lua_getmetatable(w->L, -1) == 0)
        return;
    lua_pushvalue(w->L, 2);
    lua_pushvalue(w->L, -3);
    lua_call(w->L, 1, 1);
    if (lua_isstring(w->L, -1))
        fail(w, at, lua_pushfstring(w->L, "cannot write a %s as JSON", lua_tostring(w->L, -1)));
    lua_pop(w->L, 2);
}

/* What the table on top was when it was read, which itself does not tell. */
static bool is_marked(const writer *w, const char *name)
{
    if (lua_getmetatable(w->L, -1) == 0)
        return false;
    luaL_getmetatable(w->L, name);
    bool marked = lua_istable(w->L, -1) && lua_rawequal(w->L, -1, -2);
    lua_pop(w->L, 2);
    return marked;
}

static void write_table(writer *w, const place *at)
{
    place here = *at;
    here.table = lua_topointer(w->L, -1);
    mp_check_stack(w->L, STACK_ROOM, NULL);
    check_table(w, &here);
    shape s = look_at(w, &here);
    if (s.items == 0 && s.names == 0 && is_marked(w, mp_json_object))
        put_text(w, "{}");
    else if (s.items > 0 || s.names == 0 || (s.names == 1 && s.has_n && is_marked(w, mp_json_list)))
        write_list(w, &here, length_of(w, &here, &s));
    else
        write_object(w, &here, s.names);
}

static void write_value(writer *w, const place *at)
{
    if (at->depth >= DEEPEST)
        fail(w, at, "tables are nested too deep for JSON");
    switch (lua_type(w->L, -1)) {
    case LUA_TNIL:
        put_text(w, "null");
        break;
    case LUA_TBOOLEAN:
        put_text(w, lua_toboolean(w->L, -1) ? "true" : "false");
        break;
    case LUA_TNUMBER:
        put_number(w, at);
        break;
    case LUA_TSTRING:
        put_string(w, at, -1);
        break;
    case LUA_TTABLE:
        write_table(w, at);
        break;
    default:
        fail(w, at, lua_pushfstring(w->L, "cannot write a %s as JSON", luaL_typename(w->L, -1)));
    }
}

/* core.json_text(value, kind_of, root): the text. kind_of(table) is the name of the library's
 * object, nil for any other; root names the value in errors. */
static int json_text(lua_State *L)
{
    luaL_checkany(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    writer w = {.L = L, .root = luaL_checkstring(L, 3)};
    lua_settop(L, 3);
    w.out = mp_message_buffer(L);
    lua_pushvalue(L, 1);
    write_value(&w, &(place){0});
    lua_pushlstring(L, (const char *)w.out->data, w.out->len);
    mp_buffer_free(w.out);
    return 1;
}

void mp_open_json_write(lua_State *L)
{
    lua_pushcfunction(L, json_text);
    lua_setfield(L, -2, "json_text");
}
