/* JSON as Lua values, read by jansson: it keeps integers of 64 bits, apart from reals.
 *
 * Integers that are too large for that become floats: jansson refuses them, so they are then given
 * a fraction in a copy of the text. */
#include "lua/message.h"
#include "codec/stack.h"
#include "lua/state.h"

#include <jansson.h>
#include <string.h>

_Static_assert(sizeof(json_int_t) == sizeof(lua_Integer), "jansson's integers are those of Lua");

enum { FLAGS = JSON_DECODE_ANY | JSON_ALLOW_NUL, SAFE_DIGITS = 18, STACK_ROOM = 6 };

/* ---- values ---- */

const char mp_json_object[] = "moonpool.core.JsonObject", mp_json_list[] = "moonpool.core.JsonList";

static void push_value(lua_State *L, const json_t *value, bool mark);

/* Marks the table on top, which alone does not tell what it has been. */
static void mark_as(lua_State *L, const char *name)
{
    luaL_newmetatable(L, name);
    lua_setmetatable(L, -2);
}

/* Nils keep their place where the length is told, which a list without any needs not. */
static void push_list(lua_State *L, const json_t *list, bool mark)
{
    size_t n = json_array_size(list), nils = 0;
    lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        nils += json_is_null(item) ? 1 : 0;
        push_value(L, item, mark);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    if (nils > 0) {
        lua_pushinteger(L, (lua_Integer)n);
        lua_setfield(L, -2, "n");
    }
    if (mark && nils > 0 && nils == n)
        mark_as(L, mp_json_list);
}

static void push_object(lua_State *L, json_t *object, bool mark)
{
    bool empty = true;
    lua_createtable(L, 0, (int)json_object_size(object));
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        lua_pushstring(L, json_object_iter_key(at));
        push_value(L, json_object_iter_value(at), mark);
        empty = empty && lua_isnil(L, -1);
        lua_rawset(L, -3);
    }
    if (mark && empty)
        mark_as(L, mp_json_object);
}

static void push_value(lua_State *L, const json_t *value, bool mark)
{
    mp_check_stack(L, STACK_ROOM, NULL);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        push_object(L, (json_t *)(uintptr_t)value, mark);
        break;
    case JSON_ARRAY:
        push_list(L, value, mark);
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        break;
    case JSON_NULL:
        lua_pushnil(L);
    }
}

/* ---- large integers ---- */

/* The place behind a string that begins at `at`, or the end. */
static size_t behind_string(const char *text, size_t n, size_t at)
{
    for (at++; at < n && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at < n ? at + 1 : n;
}

static bool is_too_large(const char *digits, size_t n)
{
    bool negative = digits[0] == '-';
    digits += negative;
    n -= negative;
    if (n != SAFE_DIGITS + 1)
        return n > SAFE_DIGITS;
    return memcmp(digits, negative ? "9223372036854775808" : "9223372036854775807", n) > 0;
}

/* The length of the number at `at`, 0 where there is none; *whole: it is an integer. */
static size_t number_at(const char *text, size_t n, size_t at, bool *whole)
{
    size_t end = at;
    *whole = true;
    for (; end < n && text[end] != '\0' && strchr("+-.eE0123456789", text[end]) != NULL; end++)
        *whole = *whole && text[end] != '.' && (text[end] | 0x20) != 'e';
    return end - at;
}

static void put(lua_State *L, mp_buffer *out, const char *bytes, size_t n)
{
    if (mp_buffer_append(out, bytes, n) < 0)
        luaL_error(L, "not enough memory");
}

/* The text with ".0" behind the integers that are too large; `places`: where in `out` that is. */
static size_t widen(lua_State *L, const char *text, size_t n, mp_buffer *out, mp_buffer *places)
{
    size_t count = 0;
    for (size_t at = 0; at < n;) {
        bool whole = false;
        size_t length = number_at(text, n, at, &whole);
        bool wide = length > 0 && whole && is_too_large(text + at, length);
        size_t end = length > 0        ? at + length
                     : text[at] == '"' ? behind_string(text, n, at)
                                       : at + 1;
        put(L, out, text + at, end - at);
        if (wide) {
            put(L, places, (const char *)&out->len, sizeof out->len);
            put(L, out, ".0", 2);
            count++;
        }
        at = end;
    }
    return count;
}

/* The error's column is that of the text as it stands in the file. */
static void mend_column(json_error_t *error, const mp_buffer *text, const mp_buffer *places)
{
    size_t at = error->position > 0 ? (size_t)error->position : 0, line = at;
    while (line > 0 && text->data[line - 1] != '\n')
        line--;
    for (size_t i = 0; i < places->len / sizeof(size_t); i++) {
        size_t place;
        memcpy(&place, places->data + i * sizeof place, sizeof place);
        if (place >= line && place < at)
            error->column -= at - place > 1 ? 2 : 1;
    }
}

static json_t *load_wide(lua_State *L, const char *text, size_t n, json_error_t *error)
{
    json_error_t again;
    mp_buffer *out = mp_message_buffer(L), *places = mp_message_buffer(L);
    json_t *value = NULL;
    if (widen(L, text, n, out, places) > 0) {
        value = json_loadb((const char *)out->data, out->len, FLAGS, &again);
        mend_column(&again, out, places);
        *error = again;
    }
    mp_buffer_free(out);
    mp_buffer_free(places);
    return value;
}

/* ---- the door ---- */

static int collect(lua_State *L)
{
    json_t **value = lua_touserdata(L, 1);
    json_decref(*value);
    *value = NULL;
    return 0;
}

/* Pushes what holds a value of jansson's until it is left or collected. */
static json_t **push_holder(lua_State *L)
{
    json_t **value = lua_newuserdatauv(L, sizeof(json_t *), 0);
    *value = NULL;
    if (luaL_newmetatable(L, "moonpool.core.Json") != 0) {
        lua_pushcfunction(L, collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return value;
}

/* core.json_value(text, mark): true and the value, or false, what is wrong, its line and column.
 * `mark`: objects without members and lists of nothing but null are written again as they were */
static int json_value(lua_State *L)
{
    size_t n;
    bool mark = lua_toboolean(L, 2) != 0;
    json_error_t error = {0};
    const char *text = luaL_checklstring(L, 1, &n);
    json_t **value = push_holder(L);
    *value = json_loadb(text, n, FLAGS, &error);
    if (*value == NULL && json_error_code(&error) == json_error_numeric_overflow)
        *value = load_wide(L, text, n, &error);
    lua_pushboolean(L, *value != NULL);
    if (*value == NULL) {
        lua_pushstring(L, error.text);
        lua_pushinteger(L, error.line > 0 ? error.line : 1);
        lua_pushinteger(L, error.column > 0 ? error.column : 1);
        return 4;
    }
    push_value(L, *value, mark);
    json_decref(*value);
    *value = NULL;
    return 2;
}

void mp_open_json_read(lua_State *L)
{
    lua_pushcfunction(L, json_value);
    lua_setfield(L, -2, "json_value");
}
