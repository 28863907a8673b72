/* timeout: 240
 * Memory that is refused at any place: the n-th allocation of Lua or of the
 * buffer fails, for n = 1, 2, 3 ... until everything succeeds. Nothing crashes
 * or leaks, the buffer stays its owner's, and the state works afterwards. */
#include "spec/support/codec_state.h"

#include <errno.h>

typedef struct ration {
    size_t live; /* bytes that Lua holds */
    int left;    /* allocations until one is refused; negative: none is */
} ration;

static bool refused(ration *r)
{
    return r->left >= 0 && r->left-- == 0;
}

static void *allocate(void *ud, void *block, size_t old_size, size_t size)
{
    ration *r = ud;
    if (block == NULL)
        old_size = 0;
    if (size == 0) {
        free(block);
        r->live -= old_size;
        return NULL;
    }
    if (size > old_size && refused(r))
        return NULL;
    void *p = realloc(block, size);
    r->live += size - old_size;
    return p;
}

/* A buffer whose growth is rationed as well. */
static int grow(mp_buffer *b, size_t more)
{
    if (refused(b->lender))
        return -ENOSPC;
    unsigned char *data = realloc(b->data, b->len + more);
    if (data == NULL)
        return -ENOMEM;
    b->data = data;
    b->cap = b->len + more;
    return 0;
}

static const char VALUE[] =
    "local n, shared, Class = 0, { 1 }, { __index = {} }\n"
    "function Class.__index.get(self) return self.x + helper(n) end\n"
    "function helper(k) return k + offset end\n"
    "offset = 5\n"
    "local deep = {}\n"
    "for _ = 1, 450 do deep = { deep, k = { deep } } end\n"
    "local many = {}\n"
    "for i = 1, 50 do many['key' .. i] = { i, shared } end\n"
    "local reduced = setmetatable({}, { __reduce = function() return math.max, 3, 4 end })\n"
    "return { shared, shared, many, { 1.5, 2.5, 3.5, 4.5 }, deep, ('x'):rep(100), print, reduced,\n"
    "  setmetatable({ x = 1 }, Class), function() n = n + 1 return n, shared end }\n";

typedef struct run {
    mp_buffer buffer;
    int failed; /* mp_encode said no room */
} run;

static int round_trip(lua_State *L)
{
    run *r = lua_touserdata(L, 1);
    size_t before = r->buffer.len;
    lua_getfield(L, LUA_REGISTRYINDEX, "value");
    if (mp_encode(L, 2, 1, MP_CODEC_FUNCTIONS, &r->buffer) != 0) {
        r->failed = 1;
        CHECK_EQ_INT(r->buffer.len, before);
        CHECK_STR(lua_tostring(L, -3), "no room for its bytes: No space left on device");
        return 0;
    }
    r->failed = 0;
    CHECK_EQ_INT(lua_gettop(L), 2);
    return mp_decode(L, r->buffer.data + before, r->buffer.len - before, NULL, -1,
                     MP_CODEC_FUNCTIONS);
}

static void check_result(lua_State *L)
{
    REQUIRE(lua_istable(L, -1));
    lua_setglobal(L, "r");
    if (luaL_dostring(L, "assert(r[1] == r[2] and r[3].key50[2] == r[1] and r[4][4] == 4.5)\n"
                         "assert(r[7] == print and r[8] == 4 and r[9]:get() == 6)\n"
                         "local n, s = r[10]() assert(n == 1 and s == r[1])"))
        check_that(false, __FILE__, __LINE__, lua_tostring(L, -1));
}

/* One trip whose n-th allocation fails; true if none had to. */
static bool trip(lua_State *L, ration *r, int n)
{
    run state = {.buffer = {.grow = grow, .lender = r}};
    mp_buffer_append(&state.buffer, "before", 6);
    lua_pushcfunction(L, round_trip);
    lua_pushlightuserdata(L, &state);
    r->left = n;
    int status = lua_pcall(L, 1, 1, 0);
    bool whole = r->left >= 0;
    r->left = -1;
    CHECK(status == LUA_OK || status == LUA_ERRMEM);
    CHECK_MEM(state.buffer.data, "before", 6);
    if (whole)
        check_result(L);
    lua_settop(L, 0);
    free(state.buffer.data);
    return whole;
}

TEST(any_allocation_may_fail)
{
    ration r = {.left = -1};
    lua_State *L = lua_newstate(allocate, &r);
    luaL_openlibs(L);
    mp_names_refresh(L);
    REQUIRE(luaL_dostring(L, VALUE) == LUA_OK);
    lua_setfield(L, LUA_REGISTRYINDEX, "value");
    lua_settop(L, 0);
    /* The first trip makes what stays, such as ids of classes. */
    trip(L, &r, INT32_MAX);
    lua_gc(L, LUA_GCCOLLECT);
    size_t live = r.live;
    int n = 0;
    while (!trip(L, &r, n) && check_failures == 0)
        n += n < 200 ? 1 : 7;
    CHECK(n > 100);
    lua_pushnil(L);
    lua_setglobal(L, "r");
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCCOLLECT);
    CHECK(r.live < live + 4096);
    lua_close(L);
    CHECK_EQ_INT(r.live, 0);
}

TEST(a_fresh_state_may_fail_anywhere_too)
{
    for (int n = 0, whole = 0; !whole && check_failures == 0; n += 3) {
        ration r = {.left = -1};
        lua_State *L = lua_newstate(allocate, &r);
        luaL_openlibs(L);
        REQUIRE(luaL_dostring(L, VALUE) == LUA_OK);
        lua_setfield(L, LUA_REGISTRYINDEX, "value");
        lua_settop(L, 0);
        whole = trip(L, &r, n);
        lua_close(L);
        CHECK_EQ_INT(r.live, 0);
    }
}

CHECK_MAIN
