/* valgrind
 * Which values go by name, under which name, and where a name leads. */
#include "codec/names.h"
#include "spec/support/check.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

static bool run(lua_State *L, const char *source)
{
    if (luaL_dostring(L, source) == LUA_OK)
        return true;
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return false;
}

static lua_State *open_state(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    return L;
}

/* A state that finds a module "name" in the text of `module`, as if it stood
 * in a file. */
static const char MODULES[] =
    "modules = {}\n"
    "table.insert(package.searchers, function(name)\n"
    "  local text = modules[name]\n"
    "  return text and assert(load(text, '@/lib/' .. name .. '.lua')) or '\\n\\tno text'\n"
    "end)\n"
    "modules.shapes = [[\n"
    "  local M, hidden, inner = {Point = {class = {}}, limit = 7, title = 't'}, {}, {}\n"
    "  local function make() return setmetatable({}, inner) end\n"
    "  function M.new() return setmetatable({}, hidden) end\n"
    "  function M.make() return make() end\n"
    "  function M.Point.draw() end\n"
    "  return setmetatable(M, {__call = M.new})]]\n"
    "modules.callable = [[return function() return 1 end]]\n"
    "modules.broken = [[error('out of order')]]\n"
    "modules.objects = [[error(setmetatable({}, {}))]]\n";

static lua_State *open_with_modules(void)
{
    lua_State *L = open_state();
    CHECK(run(L, MODULES));
    return L;
}

typedef int name_function(lua_State *, int, const char **, size_t *);

/* The name of the value of an expression, with '|' for NUL; "-" if none. */
static const char *named(lua_State *L, name_function *of, const char *expression)
{
    static char text[256];
    const char *name;
    size_t len;
    snprintf(text, sizeof text, "return %s", expression);
    if (!run(L, text))
        return "?";
    int top = lua_gettop(L), found = of(L, -1, &name, &len);
    CHECK_EQ_INT(lua_gettop(L), top + found);
    if (found == 0)
        name = "-", len = 1;
    for (size_t i = 0; i < len && i < sizeof text - 1; i++)
        text[i] = name[i] != '\0' ? name[i] : '|';
    text[len] = '\0';
    lua_settop(L, 0);
    return text;
}
#define NAME(expression) named(L, mp_name_of, expression)

/* Whether the name given with '|' for NUL leads to the expression's value. */
static bool leads_to(lua_State *L, const char *name, const char *expression)
{
    char text[256];
    size_t len = strlen(name);
    snprintf(text, sizeof text, "return %s", expression);
    if (!run(L, text))
        return false;
    for (size_t i = 0; i <= len; i++)
        text[i] = (char)(name[i] != '|' ? name[i] : '\0');
    if (mp_name_resolve(L, text, len) != 0) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        return false;
    }
    bool same = lua_rawequal(L, -1, -2) != 0;
    lua_settop(L, 0);
    return same;
}

/* The message with which resolving fails. */
static const char *complaint(lua_State *L, const char *name, size_t len)
{
    static char text[1024];
    int top = lua_gettop(L);
    if (mp_name_resolve(L, name, len) == 0)
        return "no failure";
    CHECK_EQ_INT(lua_gettop(L), top + 1);
    snprintf(text, sizeof text, "%s", lua_tostring(L, -1));
    lua_settop(L, 0);
    return text;
}
#define COMPLAINT(name) complaint(L, name, sizeof(name) - 1)

TEST(names_the_standard_library)
{
    lua_State *L = open_state();
    CHECK_STR(NAME("_G"), "G");
    CHECK_STR(NAME("print"), "G|.print");
    CHECK_STR(NAME("require"), "G|.require");
    CHECK_STR(NAME("math"), "Mmath");
    CHECK_STR(NAME("math.sin"), "Mmath|.sin");
    CHECK_STR(NAME("math.random"), "Mmath|.random");
    CHECK_STR(NAME("string.format"), "Mstring|.format");
    CHECK_STR(NAME("io.stdin"), "Mio|.stdin");
    CHECK_STR(NAME("io.stdout"), "Mio|.stdout");
    CHECK_STR(NAME("io.stderr"), "Mio|.stderr");
    CHECK_STR(NAME("io.stdout.write"), "RFILE*|.__index|.write");
    CHECK_STR(NAME("getmetatable(io.stdout)"), "RFILE*");
    CHECK_STR(NAME("package.loaded"), "Mpackage|.loaded");
    lua_close(L);
}

TEST(leaves_unnamed_what_is_the_users)
{
    lua_State *L = open_state();
    REQUIRE(run(L, "t = {f = function() end} function f() end u = setmetatable({}, {})\n"
                   "function string.trim() end math.table = {} file = io.tmpfile()"));
    CHECK_STR(NAME("t"), "-");
    CHECK_STR(NAME("f"), "-");
    CHECK_STR(NAME("t.f"), "-");
    CHECK_STR(NAME("u"), "-");
    CHECK_STR(NAME("getmetatable(u)"), "-");
    CHECK_STR(named(L, mp_name_of_metatable, "getmetatable(u)"), "-");
    CHECK_STR(NAME("string.trim"), "-");
    CHECK_STR(NAME("math.table"), "-");
    CHECK_STR(NAME("file"), "-");
    CHECK_STR(named(L, mp_name_search, "file"), "-");
    CHECK_STR(NAME("string.gmatch('', '')"), "-");
    CHECK_STR(NAME("coroutine.create(print)"), "-");
    CHECK_STR(NAME("nil"), "-");
    CHECK_STR(NAME("12"), "-");
    CHECK_STR(NAME("'math'"), "-");
    lua_close(L);
}

TEST(names_modules_and_what_hangs_on_them)
{
    lua_State *L = open_with_modules();
    REQUIRE(run(L, "require 'shapes' require 'callable'"));
    CHECK_STR(NAME("require 'shapes'"), "Mshapes");
    CHECK_STR(NAME("require 'shapes'.new"), "Mshapes|.new");
    CHECK_STR(NAME("require 'shapes'.Point"), "Mshapes|.Point");
    CHECK_STR(NAME("require 'shapes'.Point.class"), "Mshapes|.Point|.class");
    CHECK_STR(NAME("require 'shapes'.Point.draw"), "Mshapes|.Point|.draw");
    CHECK_STR(NAME("require 'callable'"), "Mcallable");
    lua_close(L);
}

TEST(names_metatables_that_modules_keep)
{
    lua_State *L = open_with_modules();
    REQUIRE(run(L, "shapes = require 'shapes'; function shapes.extra() return shapes, own end\n"
                   "local mine = {} ; shapes.user = function() return mine end ; own = mine"));
    name_function *of = mp_name_of_metatable;
    CHECK_STR(named(L, of, "shapes.Point"), "Mshapes|.Point");
    CHECK_STR(named(L, of, "getmetatable(io.stdout)"), "RFILE*");
    CHECK_STR(named(L, of, "getmetatable(shapes)"), "Mshapes|%");
    CHECK_STR(named(L, of, "getmetatable(shapes.new())"), "Mshapes|.new|^hidden");
    CHECK_STR(named(L, of, "getmetatable(shapes.make())"), "Mshapes|.make|^make|^inner");
    CHECK_STR(named(L, of, "own"), "-");
    /* Not for values: a module's private tables go by value. */
    CHECK_STR(NAME("getmetatable(shapes.new())"), "-");
    CHECK(leads_to(L, "Mshapes|%", "getmetatable(shapes)"));
    CHECK(leads_to(L, "Mshapes|.new|^hidden", "getmetatable(shapes.new())"));
    CHECK(leads_to(L, "Mshapes|.make|^make|^inner", "getmetatable(shapes.make())"));
    CHECK(leads_to(L, "RFILE*", "getmetatable(io.stdout)"));
    lua_close(L);
}

TEST(names_registered_metatables_only)
{
    lua_State *L = open_state();
    luaL_newmetatable(L, "spec.type");
    lua_setglobal(L, "registered");
    lua_newtable(L);
    lua_pushliteral(L, "other");
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "spec.other");
    lua_setglobal(L, "other");
    CHECK_STR(NAME("registered"), "Rspec.type");
    CHECK_STR(NAME("other"), "-");
    CHECK(leads_to(L, "Rspec.type", "registered"));
    lua_close(L);
}

/* The order of pairs differs from state to state, as strings are hashed with
 * a seed; the name must not. */
TEST(names_are_the_shortest_and_the_first)
{
    for (int i = 0; i < 20; i++) {
        lua_State *L = open_state();
        REQUIRE(run(L, "local t, f = {}, function() end\n"
                       "package.loaded.zeta = {a = {b = t, c = f}}\n"
                       "package.loaded.beta = {y = t, x = t, xx = t, g = {f = f}}\n"
                       "package.loaded.alpha = {deep = {t = t}, print = print, sin = math.sin}\n"
                       "package.loaded.moonpool = {z = f}\n"
                       "package.loaded['moonpool.part'] = {a = f}\n"
                       "T, F = t, f"));
        CHECK_STR(NAME("T"), "Mbeta|.x");
        CHECK_STR(NAME("F"), "Mmoonpool|.z");
        CHECK_STR(NAME("print"), "G|.print");
        CHECK_STR(NAME("math.sin"), "Mmath|.sin");
        lua_close(L);
    }
}

TEST(goes_to_a_bounded_depth_and_breadth)
{
    lua_State *L = open_state();
    REQUIRE(run(L, "local m = {} ; package.loaded.deep = m ; local t = m\n"
                   "for i = 1, 20 do t.down = {} ; t = t.down end last = t ; t.down = m\n"
                   "package.loaded.wide = {} ; for i = 1, 5000 do\n"
                   "package.loaded.wide['k' .. i] = {} end one = package.loaded.wide.k1\n"
                   "package.loaded.odd = {[1] = {}, ['a\\0b'] = {}, [print] = {}}"));
    CHECK_STR(NAME("package.loaded.deep.down.down"), "Mdeep|.down|.down");
    CHECK_STR(NAME("last"), "-");
    CHECK_STR(NAME("package.loaded.wide"), "Mwide");
    CHECK_STR(NAME("one"), "-");
    CHECK_STR(NAME("package.loaded.odd[1]"), "-");
    CHECK_STR(NAME("package.loaded.odd['a\\0b']"), "-");
    CHECK_STR(NAME("package.loaded.odd[print]"), "-");
    lua_close(L);
}

TEST(notices_new_modules)
{
    lua_State *L = open_with_modules();
    CHECK_STR(NAME("math.sin"), "Mmath|.sin");
    REQUIRE(run(L, "require 'callable' ; shapes = require 'shapes'"));
    CHECK_STR(NAME("shapes"), "-");
    CHECK_STR(NAME("shapes.new"), "Mshapes|.new");
    CHECK_STR(NAME("shapes"), "Mshapes");
    REQUIRE(run(L, "package.loaded.shapes = nil ; again = require 'shapes'"));
    mp_names_refresh(L);
    CHECK_STR(NAME("again"), "Mshapes");
    CHECK_STR(NAME("again.new"), "Mshapes|.new");
    CHECK_STR(NAME("shapes"), "-");
    CHECK_STR(named(L, mp_name_of_metatable, "getmetatable(again.new())"), "Mshapes|.new|^hidden");
    CHECK_STR(named(L, mp_name_of_metatable, "getmetatable(shapes.new())"), "-");
    lua_close(L);
}

/* A module dropped and loaded anew may get the very address of the old one. */
TEST(notices_a_module_at_the_same_address)
{
    lua_State *L = open_state();
    for (int i = 0; i < 50; i++) {
        REQUIRE(run(L, "package.loaded.m = nil ; collectgarbage() ; collectgarbage()\n"
                       "package.loaded.m = {f = function() end}"));
        mp_names_refresh(L);
        CHECK_STR(NAME("package.loaded.m"), "Mm");
        CHECK_STR(NAME("package.loaded.m.f"), "Mm|.f");
    }
    lua_close(L);
}

static int c_function(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

static void push_c_function(lua_State *L, const char *tag)
{
    lua_pushstring(L, tag);
    lua_pushcclosure(L, c_function, 1);
}

TEST(finds_c_functions_wherever_they_hang)
{
    lua_State *L = open_state();
    CHECK_STR(NAME("print"), "G|.print");
    lua_newtable(L);
    lua_newtable(L);
    push_c_function(L, "deep");
    lua_setfield(L, -2, "deep");
    lua_setfield(L, -2, "part");
    lua_setglobal(L, "host");
    push_c_function(L, "flat");
    lua_setglobal(L, "flat");
    push_c_function(L, "late");
    lua_setfield(L, LUA_REGISTRYINDEX, "late");
    CHECK_STR(NAME("flat"), "G|.flat");
    CHECK_STR(NAME("host.part.deep"), "G|.host|.part|.deep");
    CHECK_STR(NAME("host.part"), "-");
    CHECK_STR(NAME("coroutine.wrap(print)"), "-");
    CHECK(leads_to(L, "G|.host|.part|.deep", "host.part.deep"));
    REQUIRE(run(L, "package.loaded.m = {}"));
    mp_names_refresh(L);
    push_c_function(L, "new");
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "m");
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "new");
    lua_settop(L, 0);
    CHECK_STR(NAME("package.loaded.m.new"), "Mm|.new");
    lua_close(L);
}

/* A module's alias of a C function on globals is not its name: a process that
 * has run another script has not got it. */
TEST(prefers_modules_to_globals)
{
    lua_State *L = open_state();
    lua_newtable(L);
    push_c_function(L, "module");
    lua_setfield(L, -2, "call");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_insert(L, -2);
    lua_setfield(L, -2, "cmodule");
    lua_settop(L, 0);
    REQUIRE(run(L, "aaa = math.sin ; bbb = package.loaded.cmodule.call"));
    CHECK_STR(NAME("aaa"), "Mmath|.sin");
    CHECK_STR(NAME("bbb"), "Mcmodule|.call");
    lua_close(L);
}

/* The usual way to extend a standard function: the replacement calls it. */
TEST(keeps_the_standard_functions_that_were_replaced)
{
    lua_State *L = open_state();
    mp_names_refresh(L);
    REQUIRE(run(L, "old_print, old_format, old_require = print, string.format, require\n"
                   "function print(...) old_print('>', ...) end\n"
                   "string.format = function(...) return old_format(...) end\n"
                   "math.sin = math.cos ; package.loaded.other = {} ; require = nil"));
    mp_names_refresh(L);
    CHECK_STR(NAME("print"), "-");
    CHECK_STR(NAME("string.format"), "-");
    CHECK_STR(NAME("math.sin"), "Mmath|.cos");
    CHECK(leads_to(L, "G|.print", "old_print"));
    CHECK(leads_to(L, "Mstring|.format", "old_format"));
    CHECK_STR(NAME("old_print"), "G|.print");
    CHECK_STR(NAME("old_format"), "Mstring|.format");
    CHECK_STR(NAME("old_require"), "G|.require");
    CHECK(leads_to(L, "G|.require", "old_require"));
    lua_close(L);
}

TEST(resolves_what_it_names)
{
    lua_State *L = open_with_modules();
    CHECK(leads_to(L, "G", "_G"));
    CHECK(leads_to(L, "G|.print", "print"));
    CHECK(leads_to(L, "Mmath", "math"));
    CHECK(leads_to(L, "Mmath|.sin", "math.sin"));
    CHECK(leads_to(L, "Mio|.stdout", "io.stdout"));
    CHECK(leads_to(L, "RFILE*|.__index|.write", "io.stdout.write"));
    lua_close(L);
}

TEST(requires_modules_that_are_not_loaded)
{
    lua_State *L = open_with_modules();
    CHECK_EQ_INT(mp_name_resolve(L, "Mshapes\0.Point", 14), 0);
    lua_setglobal(L, "found");
    CHECK(run(L, "assert(found and found == package.loaded.shapes.Point)"));
    mp_names_refresh(L);
    REQUIRE(run(L, "require = nil"));
    CHECK_EQ_INT(mp_name_resolve(L, "Mcallable", 9), 0);
    CHECK_EQ_INT(lua_type(L, -1), LUA_TFUNCTION);
    lua_close(L);
}

/* Where only resolving has been asked for, too. */
TEST(reads_fields_as_a_program_would)
{
    lua_State *L = open_state();
    REQUIRE(run(L, "package.loaded.lazy = setmetatable({}, {__index = function(t, k)\n"
                   "if k == 'part' then t.part = {} ; return t.part end error 'bad field' end})"));
    CHECK(leads_to(L, "Mlazy|.part", "package.loaded.lazy.part"));
    CHECK(strstr(COMPLAINT("Mlazy\0.other"), "bad field") != NULL);
    lua_close(L);
}

TEST(complains_with_module_and_path)
{
    lua_State *L = open_with_modules();
    REQUIRE(run(L, "package.path = '/there/?.lua' ; require 'shapes'"));
    CHECK_STR(COMPLAINT("Mnowhere\0.f"),
              "module 'nowhere' cannot be loaded in this process (package.path is "
              "'/there/?.lua'): module 'nowhere' not found:");
    CHECK_STR(COMPLAINT("Mshapes\0.Point\0.missing"),
              "module 'shapes' has no shapes.Point.missing in this process (package.path is "
              "'/there/?.lua')");
    CHECK_STR(COMPLAINT("Mshapes\0.limit\0.x"),
              "module 'shapes' has no shapes.limit.x in this process (package.path is "
              "'/there/?.lua')");
    CHECK(strstr(COMPLAINT("Mbroken"), "out of order") != NULL);
    CHECK(strstr(COMPLAINT("Mobjects"), "error object is a table value") != NULL);
    CHECK(strstr(COMPLAINT("G\0.gone"), "no global gone in this process (package.path is '/t"));
    CHECK(strstr(COMPLAINT("Rgone"), "no metatable gone in this process") != NULL);
    CHECK(strstr(COMPLAINT("Mshapes\0.new\0^gone"), "no shapes.new upvalue gone") != NULL);
    CHECK(strstr(COMPLAINT("Mshapes\0.Point\0%"), "no shapes.Point metatable") != NULL);
    REQUIRE(run(L, "package.path = nil"));
    CHECK(strstr(COMPLAINT("Mnowhere"), "package.path is ''") != NULL);
    lua_close(L);
}

TEST(survives_names_that_are_none)
{
    static const char *const odd[] = {
        "",
        "X",
        "M",
        "R",
        "G|.",
        "G|x",
        "Mmath||",
        "|",
        "Mmath||.pi",
        "Mmath|.pi|.x",
        "Mmath|^x",
        "Mmath|.sin|^",
        "Mmath|.sin|%",
        "Mstring|%x",
    };
    lua_State *L = open_state();
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        char text[32];
        size_t len = strlen(odd[i]);
        for (size_t j = 0; j <= len; j++)
            text[j] = (char)(odd[i][j] != '|' ? odd[i][j] : '\0');
        if (mp_name_resolve(L, text, len) == 0)
            CHECK_STR(odd[i], "refused");
        CHECK_EQ_INT(lua_gettop(L), 1);
        lua_settop(L, 0);
    }
    lua_close(L);
}

TEST(shows_names)
{
    static const struct {
        const char *name;
        size_t len;
        const char *shown;
    } cases[] = {
        {"G", 1, "the globals table"},        {"G\0.print", 8, "global print"},
        {"G\0.a\0.b", 7, "global a.b"},       {"Mmath", 5, "math"},
        {"Mmath\0.sin", 10, "math.sin"},      {"RFILE*", 6, "metatable FILE*"},
        {"Mm\0.f\0^up", 9, "m.f upvalue up"}, {"Mm\0%", 4, "m metatable"},
    };
    lua_State *L = open_state();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mp_name_show(L, cases[i].name, cases[i].len);
        CHECK_STR(lua_tostring(L, -1), cases[i].shown);
        lua_settop(L, 0);
    }
    lua_close(L);
}

TEST(filters_tables_without_a_name)
{
    lua_State *L = open_state();
    const mp_name_filter *filter = mp_names_filter(L);
    int possible = 0;
    REQUIRE(run(L, "tables = {} ; for i = 1, 1000 do tables[i] = {} end\n"
                   "package.loaded.late = {part = {}}"));
    mp_names_refresh(L);
    CHECK(mp_names_filter(L) == filter);
    REQUIRE(run(L, "return math, string, package.loaded.late, package.loaded.late.part"));
    for (int i = 1; i <= 4; i++)
        CHECK(mp_name_possible(filter, lua_topointer(L, i)));
    lua_getglobal(L, "tables");
    for (int i = 1; i <= 1000; i++) {
        lua_rawgeti(L, -1, i);
        possible += mp_name_possible(filter, lua_topointer(L, -1));
        lua_pop(L, 1);
    }
    CHECK(possible < 100);
    lua_close(L);
}

TEST(holds_no_value_alive)
{
    lua_State *L = open_state();
    REQUIRE(run(L, "package.loaded.m = {t = {}} ; weak = setmetatable({}, {__mode = 'v'})\n"
                   "weak.t = package.loaded.m.t"));
    CHECK_STR(NAME("weak.t"), "Mm|.t");
    CHECK(run(L, "package.loaded.m.t = nil ; collectgarbage() ; assert(weak.t == nil)"));
    lua_close(L);
}

/* Keys that a finalizer removes while they are being sorted and named. */
TEST(survives_finalizers_that_change_what_is_read)
{
    lua_State *L = open_state();
    REQUIRE(run(L, "collectgarbage('incremental', 1, 1000, 1)\n"
                   "local m = {} ; package.loaded.m = m\n"
                   "local function litter()\n"
                   "  setmetatable({}, {__gc = function()\n"
                   "    litter() for i = 1, 5 do local k = next(m) ; if k then m[k] = nil end end\n"
                   "  end})\n"
                   "end\n"
                   "for i = 1, 10 do litter() end\n"
                   "function fill() collectgarbage('stop')\n"
                   "  for k in pairs(m) do m[k] = nil end for i = 1, 3000 do\n"
                   "  m['a key with the number ' .. math.random(1e9)] = {} end\n"
                   "  collectgarbage('restart') end"));
    for (int i = 0; i < 4; i++) {
        CHECK(run(L, "fill()"));
        CHECK_STR(named(L, mp_name_search, "package.loaded.m"), "Mm");
    }
    lua_close(L);
}

TEST(works_without_any_library)
{
    lua_State *L = luaL_newstate();
    const char *name;
    size_t len;
    lua_newtable(L);
    CHECK_EQ_INT(mp_name_of(L, -1, &name, &len), 0);
    CHECK_EQ_INT(mp_name_of_metatable(L, -1, &name, &len), 0);
    CHECK_EQ_INT(mp_name_search(L, -1, &name, &len), 0);
    lua_pushglobaltable(L);
    CHECK_EQ_INT(mp_name_of(L, -1, &name, &len), 1);
    CHECK(strstr(COMPLAINT("Mx"), "module 'x' cannot be loaded") != NULL);
    lua_close(L);
}

/* Memory ends at each allocation in turn: what is raised is "not enough memory", and
 * afterwards all is as ever. */
typedef struct budget {
    long left; /* negative: no end */
} budget;

static void *allocate(void *ud, void *block, size_t osize, size_t nsize)
{
    budget *b = ud;
    (void)osize;
    if (nsize == 0) {
        free(block);
        return NULL;
    }
    if (b->left == 0)
        return NULL;
    if (b->left > 0)
        b->left--;
    return realloc(block, nsize);
}

static int ask_for_names(lua_State *L)
{
    const char *name;
    size_t len;
    mp_name_search(L, 1, &name, &len);
    mp_name_of_metatable(L, 1, &name, &len);
    lua_getglobal(L, "print");
    return mp_name_of(L, -1, &name, &len);
}

TEST(survives_each_failure_of_memory)
{
    budget b = {-1};
    lua_State *L = lua_newstate(allocate, &b);
    luaL_openlibs(L);
    int failures = 0;
    for (long n = 0;; n++) {
        lua_settop(L, 0);
        lua_pushcfunction(L, ask_for_names);
        lua_newtable(L);
        b.left = n;
        int status = lua_pcall(L, 1, 1, 0);
        b.left = -1;
        if (status == LUA_OK)
            break;
        failures++;
        REQUIRE(status == LUA_ERRMEM);
    }
    CHECK(failures > 10);
    CHECK_STR(NAME("print"), "G|.print");
    CHECK_STR(NAME("math.sin"), "Mmath|.sin");
    lua_close(L);
}

CHECK_MAIN
