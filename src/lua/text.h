/* Numbers and names in files that people and other programs read. */
#ifndef MP_LUA_TEXT_H
#define MP_LUA_TEXT_H

#include <lua.h>

enum { MP_NUMBER_TEXT = 40 };

/* Writes the number at `index` so that it reads back as the same number of the same subtype, with a
 * decimal point whatever the locale; "nan", "inf" and "-inf" for what has no digits. Returns its
 * length; text is NUL-terminated. */
int mp_number_text(lua_State *L, int index, char text[MP_NUMBER_TEXT]);

/* Replaces the list of strings on top by a new one of the same strings in the order of their bytes,
 * which is that of no locale. */
void mp_sort_strings(lua_State *L);

#endif
