/* Paths in messages: see path.h. */
#include "codec/path.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void mp_path_add(mp_path *to, const char *format, ...)
{
    va_list arguments;
    size_t left = sizeof to->text - to->len;
    va_start(arguments, format);
    int n = vsnprintf(to->text + to->len, left, format, arguments);
    va_end(arguments);
    if (n >= 0 && (size_t)n < left) {
        to->len += (size_t)n;
    } else {
        memcpy(to->text + sizeof to->text - 4, "...", 4);
        to->len = sizeof to->text - 1;
    }
}

static bool is_identifier(const char *s, size_t len)
{
    if (len == 0 || len > MP_PATH_KEY || isdigit((unsigned char)s[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '_')
            return false;
    return true;
}

static void add_string_key(mp_path *to, const char *s, size_t len)
{
    if (is_identifier(s, len)) {
        mp_path_add(to, ".%s", s);
        return;
    }
    mp_path_add(to, "[\"");
    for (size_t i = 0; i < len && i < MP_PATH_KEY; i++) {
        unsigned char c = (unsigned char)s[i];
        if (isprint(c) && c != '"' && c != '\\')
            mp_path_add(to, "%c", c);
        else
            mp_path_add(to, "\\%03d", c);
    }
    mp_path_add(to, len > MP_PATH_KEY ? "...\"]" : "\"]");
}

void mp_path_add_key(mp_path *to, lua_State *L)
{
    size_t len;
    const char *s;
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        s = lua_tolstring(L, -1, &len);
        add_string_key(to, s, len);
        break;
    case LUA_TNUMBER:
    case LUA_TBOOLEAN:
        mp_path_add(to, "[%s]", luaL_tolstring(L, -1, NULL));
        lua_pop(L, 1);
        break;
    default:
        mp_path_add(to, "[%s]", luaL_typename(L, -1));
    }
    lua_pop(L, 1);
}
