/* The types of shared values and arrays, named as string.pack names them: reading and writing one
 * element in shared memory, atomically, with its range looked at. */
#ifndef MP_LUA_ELEMENT_H
#define MP_LUA_ELEMENT_H

#include <lua.h>
#include <stdint.h>

enum mp_element_class { MP_ELEMENT_SIGNED, MP_ELEMENT_UNSIGNED, MP_ELEMENT_FLOAT };

typedef struct mp_element {
    uint8_t class; /* an mp_element_class */
    uint8_t size;  /* bytes: 1, 2, 4, 8; of a float 4, 8 */
} mp_element;

/* The type that the string at `index` names: b h i l j (and upper case, without a sign), i or I
 * and 1, 2, 4 or 8, T, f, d, n. Raises "argument", as `call`, for anything else. */
mp_element mp_element_check(lua_State *L, int index, const char *call);

/* Pushes the element at `p`, which is aligned to its size. */
void mp_element_push(lua_State *L, mp_element e, const void *p);

/* The bits of the Lua number at `index` as such an element; raises "argument", as `call`, where it
 * does not fit. */
uint64_t mp_element_bits(lua_State *L, int index, mp_element e, const char *call);

/* Writes the bits. */
void mp_element_store(mp_element e, void *p, uint64_t bits);

/* Adds the Lua number at `index`, atomically, and pushes the sum; raises where one of them does not
 * fit, and nothing is changed. */
void mp_element_add(lua_State *L, int index, mp_element e, void *p);

#endif
