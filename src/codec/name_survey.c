/* The search that gives values their names: see name_survey.h.
 *
 * A survey keeps on the stack the index, from value to name, and a queue of
 * the values that are still to be looked into; `base` is the stack index of
 * the former. Invariant: what is in the queue is in the index. */
#include "codec/name_survey.h"
#include "codec/stack.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_STEPS = 5,
    MAX_KEYS = 4096,       /* a table with more is data: it has a name, its fields have none */
    MAX_VALUES = 65536,    /* in all */
    STANDARD_VALUES = 200, /* about so many have Lua's own libraries */
    STACK_ROOM = 40,
};

/* The order in which modules give their names, and what they give them to. */
enum rank { RANK_STANDARD, RANK_OURS, RANK_OTHER };

typedef struct key {
    const char *text;
    size_t len;
    int place; /* in the list that keeps it alive */
} key;

typedef struct survey {
    lua_State *L;
    enum mp_survey_kind kind;
    int index;
    int queue;
    int functions;
    lua_Integer queued;
    mp_name_filter *filter;
} survey;

/* What is known of a value before its fields are named. */
typedef struct parent {
    int at; /* stack index; its name lies above it */
    const char *name;
    size_t len;
    bool standard;
} parent;

static enum rank rank_of(const char *module, size_t len)
{
    static const char *const standard[] = {
        LUA_GNAME,     LUA_LOADLIBNAME, LUA_COLIBNAME,   LUA_TABLIBNAME,  LUA_IOLIBNAME,
        LUA_OSLIBNAME, LUA_STRLIBNAME,  LUA_UTF8LIBNAME, LUA_MATHLIBNAME, LUA_DBLIBNAME};
    for (size_t i = 0; i < sizeof standard / sizeof *standard; i++)
        if (strlen(standard[i]) == len && memcmp(standard[i], module, len) == 0)
            return RANK_STANDARD;
    bool ours = len >= 8 && memcmp(module, "moonpool", 8) == 0 && (len == 8 || module[8] == '.');
    return ours ? RANK_OURS : RANK_OTHER;
}

static bool is_standard(const char *name, size_t len)
{
    const char *end = memchr(name, '\0', len);
    size_t root = end != NULL ? (size_t)(end - name) : len;
    return name[0] == 'G' || (name[0] == 'M' && rank_of(name + 1, root - 1) == RANK_STANDARD);
}

static int count_steps(const char *name, size_t len)
{
    int steps = 0;
    for (size_t i = 0; i < len; i++)
        steps += name[i] == '\0';
    return steps;
}

static bool may_have_name(lua_State *L, int at)
{
    int type = lua_type(L, at);
    return type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA;
}

/* The key at -2, the value at -1, as lua_next pushes them. */
static bool is_field(lua_State *L)
{
    return lua_type(L, -2) == LUA_TSTRING && may_have_name(L, -1);
}

static int compare_keys(const void *a, const void *b)
{
    const key *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static int count_fields(lua_State *L, int table)
{
    int count = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1))
        count += is_field(L);
    return count;
}

/* Pushes two values that keep alive the sorted keys of the table's fields,
 * *count of them, the list of the keys above: making room may run a finalizer
 * that changes the table. */
static key *push_keys(lua_State *L, int table, int *count)
{
    int room = count_fields(L, table), n = 0;
    if (room > MAX_KEYS)
        room = 0;
    key *keys = lua_newuserdatauv(L, (size_t)room * sizeof *keys, 0);
    lua_createtable(L, room, 0);
    int kept = lua_gettop(L);
    lua_pushnil(L);
    while (n < room && lua_next(L, table) != 0) {
        if (is_field(L)) {
            key *k = &keys[n];
            k->text = lua_tolstring(L, -2, &k->len);
            k->place = n + 1;
            lua_pushvalue(L, -2);
            lua_rawseti(L, kept, n + 1);
            n += memchr(k->text, '\0', k->len) == NULL;
        }
        lua_pop(L, 1);
    }
    lua_settop(L, kept);
    qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    *count = n;
    return keys;
}

/* Pushes the field of the table, whose list of keys stands at index `list`. */
static int push_field(lua_State *L, int table, int list, const key *k)
{
    lua_rawgeti(L, list, k->place);
    return lua_rawget(L, table);
}

/* Whether the value at the top has no name yet. */
static bool is_new(survey *s)
{
    lua_pushvalue(s->L, -1);
    bool new = lua_rawget(s->L, s->index) == LUA_TNIL;
    lua_pop(s->L, 1);
    return new;
}

/* A standard name leads to one C function for ever: records the one below the
 * name at the top, false if the name is another's. */
static bool claim_name(survey *s)
{
    lua_State *L = s->L;
    bool free = true;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, s->functions) != LUA_TNIL) {
        free = lua_rawequal(L, -1, -3) != 0;
    } else if (lua_iscfunction(L, -3)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -4);
        lua_rawset(L, s->functions);
    }
    lua_pop(L, 1);
    return free;
}

/* Pops a name and the value below it, which is new, and enters them. */
static void enter(survey *s, bool standard, bool look_into)
{
    lua_State *L = s->L;
    if (standard && !claim_name(s)) {
        lua_pop(L, 2);
        return;
    }
    if (s->filter != NULL) {
        uint32_t bit = mp_name_hash(lua_topointer(L, -2));
        s->filter->words[bit / 64] |= (uint64_t)1 << (bit % 64);
    }
    if (look_into) {
        lua_pushvalue(L, -2);
        lua_rawseti(L, s->queue, ++s->queued);
    }
    lua_rawset(L, s->index);
}

static void push_name(lua_State *L, const parent *p, char step, const char *text, size_t len)
{
    char small[256];
    size_t head = p->len + (step != '\0' ? 2 : 0), total = head + len;
    char *name = total <= sizeof small ? small : lua_newuserdatauv(L, total, 0);
    memcpy(name, p->name, p->len);
    if (step != '\0') {
        name[p->len] = '\0';
        name[p->len + 1] = step;
    }
    memcpy(name + head, text, len);
    lua_pushlstring(L, name, total);
    if (name != small)
        lua_remove(L, -2);
}

/* What users hang on the standard library has no name, but for a C function. */
static bool is_wanted(survey *s, const parent *p)
{
    int type = lua_type(s->L, -1);
    if (!may_have_name(s->L, -1) || s->queued >= MAX_VALUES)
        return false;
    if (!p->standard || s->kind == MP_SURVEY_GLOBALS || lua_iscfunction(s->L, -1))
        return true;
    bool package = p->len >= 8 && memcmp(p->name, "Mpackage", 8) == 0;
    return p->name[0] != 'G' && (type == LUA_TUSERDATA || (type == LUA_TTABLE && package));
}

/* Pops the value that one step from its parent leads to. */
static void name_child(survey *s, const parent *p, char step, const char *text, size_t len)
{
    lua_State *L = s->L;
    if (!is_wanted(s, p) || !is_new(s)) {
        lua_pop(L, 1);
        return;
    }
    int type = lua_type(L, -1);
    bool code = s->kind == MP_SURVEY_PRIVATE && type == LUA_TFUNCTION && !lua_iscfunction(L, -1);
    push_name(L, p, step, text, len);
    enter(s, p->standard, type == LUA_TTABLE || code);
}

static void name_fields(survey *s, const parent *p)
{
    lua_State *L = s->L;
    int count, top = lua_gettop(L);
    const key *keys = push_keys(L, p->at, &count);
    for (int i = 0; i < count; i++) {
        push_field(L, p->at, top + 2, &keys[i]);
        name_child(s, p, '.', keys[i].text, keys[i].len);
    }
    lua_settop(L, top);
}

/* A function that the script itself has hung on a module: its upvalues are
 * the script's. */
static bool is_of_script(lua_State *L, int at)
{
    lua_Debug d;
    lua_pushvalue(L, at);
    lua_getinfo(L, ">S", &d);
    if (d.source[0] != '@')
        return true;
    lua_pushglobaltable(L);
    lua_pushliteral(L, "arg");
    if (lua_rawget(L, -2) == LUA_TTABLE)
        lua_rawgeti(L, -1, 0);
    const char *script = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    bool same = strcmp(d.source + 1, script) == 0;
    lua_settop(L, at + 1);
    return same;
}

/* Whether an upvalue before number n has the same name. */
static bool is_hidden(lua_State *L, int function, int n, const char *name)
{
    for (int i = 1; i < n; i++) {
        const char *other = lua_getupvalue(L, function, i);
        lua_pop(L, 1);
        if (strcmp(other, name) == 0)
            return true;
    }
    return name[0] == '\0' || name[0] == '(';
}

static void name_upvalues(survey *s, const parent *p)
{
    lua_State *L = s->L;
    const char *name;
    if (is_of_script(L, p->at))
        return;
    for (int i = 1; (name = lua_getupvalue(L, p->at, i)) != NULL; i++) {
        if (is_hidden(L, p->at, i, name))
            lua_pop(L, 1);
        else
            name_child(s, p, '^', name, strlen(name));
    }
}

/* Names what the value at the top, which has a name, leads to. Leaves rubbish
 * above it. */
static void look_into(survey *s)
{
    lua_State *L = s->L;
    parent p = {.at = lua_gettop(L)};
    lua_pushvalue(L, p.at);
    lua_rawget(L, s->index);
    p.name = lua_tolstring(L, -1, &p.len);
    if (p.name == NULL || count_steps(p.name, p.len) >= MAX_STEPS)
        return;
    p.standard = is_standard(p.name, p.len);
    if (lua_type(L, p.at) == LUA_TFUNCTION) {
        name_upvalues(s, &p);
        return;
    }
    name_fields(s, &p);
    if (s->kind == MP_SURVEY_PRIVATE && lua_getmetatable(L, p.at) != 0)
        name_child(s, &p, '%', "", 0);
}

static void name_globals(survey *s)
{
    lua_pushglobaltable(s->L);
    lua_pushliteral(s->L, "G");
    enter(s, false, false);
}

/* The C functions that have had a standard name keep it, wherever they are now. */
static void name_known_functions(survey *s)
{
    lua_State *L = s->L;
    for (lua_pushnil(L); lua_next(L, s->functions) != 0;) {
        lua_pushvalue(L, -2);
        lua_rawset(L, s->index);
    }
}

static void queue_globals(survey *s)
{
    lua_pushglobaltable(s->L);
    lua_rawseti(s->L, s->queue, ++s->queued);
}

/* The other C functions that hang on globals come last: the script may have
 * put those of modules there. */
static void name_base_functions(survey *s)
{
    static const char *const base[] = {
        "assert",       "collectgarbage", "dofile",   "error",  "getmetatable", "ipairs",
        "load",         "loadfile",       "next",     "pairs",  "pcall",        "print",
        "rawequal",     "rawget",         "rawlen",   "rawset", "require",      "select",
        "setmetatable", "tonumber",       "tostring", "type",   "warn",         "xpcall",
    };
    static const parent globals = {.name = "G", .len = 1, .standard = true};
    lua_State *L = s->L;
    lua_pushglobaltable(L);
    int at = lua_gettop(L);
    for (size_t i = 0; i < sizeof base / sizeof *base; i++) {
        lua_pushstring(L, base[i]);
        lua_rawget(L, at);
        name_child(s, &globals, '.', base[i], strlen(base[i]));
    }
    lua_settop(L, s->queue);
}

static void name_modules(survey *s, enum rank rank)
{
    const parent root = {.name = "M", .len = 1, .standard = false};
    lua_State *L = s->L;
    int count;
    if (lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) == LUA_TTABLE) {
        int loaded = lua_gettop(L);
        const key *keys = push_keys(L, loaded, &count);
        for (int i = 0; i < count; i++) {
            if (rank_of(keys[i].text, keys[i].len) == rank) {
                push_field(L, loaded, loaded + 2, &keys[i]);
                name_child(s, &root, '\0', keys[i].text, keys[i].len);
            }
        }
    }
    lua_settop(L, s->queue);
}

/* Those that luaL_newmetatable made. */
static void name_metatables(survey *s)
{
    static const parent root = {.name = "R", .len = 1};
    lua_State *L = s->L;
    int count;
    lua_pushvalue(L, LUA_REGISTRYINDEX);
    int registry = lua_gettop(L);
    const key *keys = push_keys(L, registry, &count);
    for (int i = 0; i < count; i++) {
        if (push_field(L, registry, registry + 2, &keys[i]) == LUA_TTABLE) {
            lua_pushliteral(L, "__name");
            lua_rawget(L, -2);
            lua_rawgeti(L, registry + 2, keys[i].place);
            bool same = lua_rawequal(L, -1, -2) != 0;
            lua_pop(L, 2);
            if (same)
                name_child(s, &root, '\0', keys[i].text, keys[i].len);
        }
        lua_settop(L, registry + 2);
    }
    lua_settop(L, s->queue);
}

static void name_roots(survey *s)
{
    name_base_functions(s);
    name_modules(s, RANK_STANDARD);
    name_modules(s, RANK_OURS);
    name_modules(s, RANK_OTHER);
    name_metatables(s);
}

void mp_survey(lua_State *L, enum mp_survey_kind kind, int functions, mp_name_filter *filter)
{
    survey s = {.L = L, .kind = kind, .filter = filter};
    mp_check_stack(L, STACK_ROOM, NULL);
    s.functions = lua_absindex(L, functions);
    lua_createtable(L, 0, STANDARD_VALUES);
    s.index = lua_gettop(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, s.index);
    lua_newtable(L);
    s.queue = lua_gettop(L);
    name_known_functions(&s);
    name_globals(&s);
    if (kind != MP_SURVEY_GLOBALS)
        name_roots(&s);
    queue_globals(&s);
    for (lua_Integer i = 1; i <= s.queued; i++) {
        lua_rawgeti(L, s.queue, i);
        look_into(&s);
        lua_settop(L, s.queue);
    }
    lua_settop(L, s.index);
}
