/* Numbers and names in files: see text.h. */
#include "lua/text.h"

#include "lua/state.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The decimal point of the locale becomes one that every reader knows. */
static void use_point(char *text)
{
    const char *point = localeconv()->decimal_point;
    char *at = strcmp(point, ".") != 0 ? strstr(text, point) : NULL;
    if (at == NULL)
        return;
    *at = '.';
    memmove(at + 1, at + strlen(point), strlen(at + strlen(point)) + 1);
}

/* In as few digits as read back as the same. */
static int float_text(double v, char text[MP_NUMBER_TEXT])
{
    if (isnan(v))
        return snprintf(text, MP_NUMBER_TEXT, "nan");
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, MP_NUMBER_TEXT, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    if (text[strspn(text, "-0123456789")] == '\0')
        memcpy(text + strlen(text), ".0", 3);
    use_point(text);
    return (int)strlen(text);
}

int mp_number_text(lua_State *L, int index, char text[MP_NUMBER_TEXT])
{
    if (lua_isinteger(L, index))
        return snprintf(text, MP_NUMBER_TEXT, "%lld", (long long)lua_tointeger(L, index));
    return float_text(lua_tonumber(L, index), text);
}

/* core.number_text(n) */
static int number_text(lua_State *L)
{
    char text[MP_NUMBER_TEXT];
    luaL_checknumber(L, 1);
    lua_pushlstring(L, text, (size_t)mp_number_text(L, 1, text));
    return 1;
}

typedef struct name {
    const char *s;
    size_t len;
    lua_Integer place;
} name;

static int compare(const void *left, const void *right)
{
    const name *a = left, *b = right;
    int order = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

void mp_sort_strings(lua_State *L)
{
    int list = lua_gettop(L);
    size_t n = lua_rawlen(L, list);
    name *names = lua_newuserdatauv(L, n * sizeof *names, 0);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        names[i].s = lua_tolstring(L, -1, &names[i].len);
        names[i].place = (lua_Integer)i + 1;
        lua_pop(L, 1);
    }
    if (n > 1)
        qsort(names, n, sizeof *names, compare);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, list, names[i].place);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_replace(L, list);
    lua_settop(L, list);
}

/* core.sort_strings(list): a new list */
static int sort_strings(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    for (lua_Unsigned i = lua_rawlen(L, 1); i > 0; i--) {
        if (lua_rawgeti(L, 1, (lua_Integer)i) != LUA_TSTRING)
            return luaL_error(L, "a list of strings expected");
        lua_pop(L, 1);
    }
    lua_settop(L, 1);
    mp_sort_strings(L);
    return 1;
}

void mp_open_text(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"number_text", number_text}, {"sort_strings", sort_strings}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
