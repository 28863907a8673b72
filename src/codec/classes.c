/* Which table has which id: see classes.h.
 *
 * The registry holds a userdata, the mp_classes, whose user values are two
 * weak tables: table -> id, and id -> table. */
#include "codec/classes.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/random.h>

enum { IDS = 1, TABLES = 2 };

static const char registry_key;

static const char *const metamethods[] = {
    "__index", "__newindex", "__call", "__name", "__tostring",  "__gc",     "__close", "__mode",
    "__len",   "__pairs",    "__eq",   "__lt",   "__le",        "__concat", "__add",   "__sub",
    "__mul",   "__div",      "__mod",  "__pow",  "__unm",       "__idiv",   "__band",  "__bor",
    "__bxor",  "__shl",      "__shr",  "__bnot", "__metatable", "__reduce",
};

bool mp_class_field(const char *name, size_t len)
{
    if (len < 4 || name[0] != '_' || name[1] != '_')
        return false;
    for (size_t i = 0; i < sizeof metamethods / sizeof *metamethods; i++)
        if (strlen(metamethods[i]) == len && memcmp(name, metamethods[i], len) == 0)
            return true;
    return false;
}

static void new_weak_table(lua_State *L, const char *mode)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

static mp_classes *make(lua_State *L)
{
    mp_classes *classes = lua_newuserdatauv(L, sizeof *classes, 2);
    *classes = (mp_classes){{0}};
    new_weak_table(L, "k");
    lua_setiuservalue(L, -2, IDS);
    new_weak_table(L, "v");
    lua_setiuservalue(L, -2, TABLES);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
    return classes;
}

mp_classes *mp_classes_of(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key);
    mp_classes *classes = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return classes != NULL ? classes : make(L);
}

static void push_weak_table(lua_State *L, int which)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key);
    lua_getiuservalue(L, -1, which);
    lua_remove(L, -2);
}

lua_Integer mp_class_find(lua_State *L, const mp_classes *classes, int idx)
{
    if (!mp_class_possible(classes, lua_topointer(L, idx)))
        return 0;
    idx = lua_absindex(L, idx);
    push_weak_table(L, IDS);
    lua_pushvalue(L, idx);
    lua_rawget(L, -2);
    lua_Integer id = lua_tointeger(L, -1);
    lua_pop(L, 2);
    return id;
}

void mp_class_set(lua_State *L, mp_classes *classes, int idx, lua_Integer id)
{
    idx = lua_absindex(L, idx);
    unsigned bit = mp_class_bit(lua_topointer(L, idx));
    push_weak_table(L, IDS);
    lua_pushvalue(L, idx);
    lua_pushinteger(L, id);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    push_weak_table(L, TABLES);
    lua_pushvalue(L, idx);
    lua_rawseti(L, -2, id);
    lua_pop(L, 1);
    classes->filter[bit / 64] |= UINT64_C(1) << (bit % 64);
}

bool mp_class_push(lua_State *L, lua_Integer id)
{
    push_weak_table(L, TABLES);
    lua_rawgeti(L, -1, id);
    lua_remove(L, -2);
    if (lua_istable(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

static lua_Integer random_id(lua_State *L)
{
    uint64_t id = 0;
    ssize_t n;
    do {
        n = getrandom(&id, sizeof id, 0);
    } while (n < 0 && errno == EINTR);
    if (n != sizeof id)
        luaL_error(L, "no random numbers from the system");
    id >>= 1;
    return id == 0 ? 1 : (lua_Integer)id;
}

lua_Integer mp_class_give(lua_State *L, mp_classes *classes, int idx)
{
    lua_Integer id = mp_class_find(L, classes, idx);
    if (id == 0) {
        id = random_id(L);
        mp_class_set(L, classes, idx, id);
    }
    return id;
}
