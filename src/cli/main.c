/* The program: stock Lua's command line over a state that has Moonpool.
 *
 * It uses the library only as scripts and hosts do, through moonpool_lua.h and
 * `require "moonpool"`, which loads it; a script that does not ask for it pays
 * nothing for it. Everything runs inside one protected call, so that an error
 * outside of the user's code (no memory) is reported too. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/prompt.h"
#include "cli/run.h"
#include "moonpool_lua.h"

static const char program[] = "moonpool";

/* Asks `require` for the module: leaves it, or the reported failure's status. */
static int require(lua_State *L, const char *module)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    return mp_run_report(L, mp_run_call(L, 1, 1), program);
}

/* The libraries, warnings and collector as stock Lua's program has them, but
 * with the warnings on. */
static void open_state(lua_State *L, const mp_options *options)
{
    if (options->bare) {
        lua_pushboolean(L, true);
        lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    }
    luaL_openlibs(L);
    mp_interrupt_open(L);
    mp_prompt_open(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_moonpool);
    lua_setfield(L, -2, "moonpool");
    lua_pop(L, 1);
    if (options->processes > 0) {
        lua_pushinteger(L, options->processes);
        lua_setfield(L, LUA_REGISTRYINDEX, "moonpool.default_processes");
    }
    lua_warning(L, "@on", 0);
    lua_gc(L, LUA_GCGEN, 0, 0);
}

static void write_version(lua_State *L)
{
    if (require(L, "moonpool") == LUA_OK) {
        lua_getfield(L, -1, "_VERSION");
        printf("%s  ", luaL_tolstring(L, -1, NULL));
    }
    puts(LUA_COPYRIGHT);
    fflush(stdout);
    lua_settop(L, 0);
}

/* The global `arg`: the script is number 0, or the program where there is none. */
static void set_arg(lua_State *L, int argc, char **argv, int script)
{
    int origin = script < argc ? script : 0;
    lua_createtable(L, argc - origin, origin);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - origin);
    }
    lua_setglobal(L, "arg");
}

static int run_environment(lua_State *L)
{
    const char *name = "=LUA_INIT_5_4";
    const char *code = getenv(name + 1);
    if (code == NULL) {
        name = "=LUA_INIT";
        code = getenv(name + 1);
    }
    if (code == NULL)
        return LUA_OK;
    return code[0] == '@' ? mp_run_file(L, code + 1) : mp_run_text(L, code, name);
}

/* -l: `module`, or `global=module`. */
static int require_global(lua_State *L, const char *value)
{
    const char *equals = strchr(value, '=');
    int status = require(L, equals == NULL ? value : equals + 1);
    if (status != LUA_OK)
        return status;
    lua_pushglobaltable(L);
    lua_pushlstring(L, value, equals == NULL ? strlen(value) : (size_t)(equals - value));
    lua_pushvalue(L, -3);
    lua_settable(L, -3);
    lua_pop(L, 2);
    return LUA_OK;
}

/* Carries out those options that do something, in their order. */
static int run_options(lua_State *L, char **argv, int script)
{
    int status = LUA_OK;
    for (int i = 1; i < script && status == LUA_OK; i++) {
        char letter = argv[i][1];
        const char *value = strchr("elj", letter) != NULL ? mp_option_value(argv, &i) : NULL;
        if (letter == 'W')
            lua_warning(L, "@on", 0);
        if (value == NULL)
            continue;
        if (letter == 'e')
            status = mp_run_text(L, value, "=(command line)");
        else if (letter == 'l')
            status = require_global(L, value);
    }
    return status;
}

/* Pushes the script's arguments out of `arg`, which may have been changed. */
static int push_arguments(lua_State *L)
{
    if (lua_getglobal(L, "arg") != LUA_TTABLE)
        luaL_error(L, "'arg' is not a table");
    int table = lua_gettop(L);
    int n = (int)luaL_len(L, table);
    luaL_checkstack(L, n + 3, "too many arguments to script");
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, table, i);
    lua_remove(L, table);
    return n;
}

static int run_script(lua_State *L, char **argv, int script)
{
    const char *path = argv[script];
    if (strcmp(path, "-") == 0 && strcmp(argv[script - 1], "--") != 0)
        path = NULL;
    int status = luaL_loadfile(L, path);
    if (status == LUA_OK)
        status = mp_run_call(L, push_arguments(L), LUA_MULTRET);
    return mp_run_report(L, status, program);
}

static void converse(lua_State *L)
{
    lua_settop(L, 0);
    if (require(L, program) != LUA_OK)
        return;
    lua_getfield(L, -1, "repl");
    mp_run_report(L, lua_pcall(L, 0, 0, 0), program);
    lua_settop(L, 0);
}

static void run_input(lua_State *L, const mp_options *options, bool script)
{
    if (options->interactive) {
        converse(L);
    } else if (!script && !options->code && !options->version) {
        if (isatty(STDIN_FILENO)) {
            write_version(L);
            converse(L);
        } else {
            mp_run_file(L, NULL);
        }
    }
}

/* What the command line asks for. Returns whether all of it went well. */
static bool run(lua_State *L, const mp_options *options, int argc, char **argv)
{
    bool script = options->script < argc;
    open_state(L, options);
    if (options->version)
        write_version(L);
    set_arg(L, argc, argv, options->script);
    if (!options->bare && run_environment(L) != LUA_OK)
        return false;
    if (run_options(L, argv, options->script) != LUA_OK)
        return false;
    if (script && run_script(L, argv, options->script) != LUA_OK)
        return false;
    run_input(L, options, script);
    return true;
}

/* Words that stand for something else than a script of that name. */
static bool is_subcommand(const char *word)
{
    static const char *const words[] = {"help", "journal", "map", "replay", "top"};
    for (size_t i = 0; word != NULL && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* Returns whether it worked out. */
static bool run_subcommand(lua_State *L, int argc, char **argv)
{
    mp_options none = {0};
    open_state(L, &none);
    if (require(L, program) != LUA_OK)
        return false;
    lua_getfield(L, -1, "_command");
    luaL_checkstack(L, argc, "too many arguments");
    for (int i = 1; i < argc; i++)
        lua_pushstring(L, argv[i]);
    return mp_run_report(L, mp_run_call(L, argc - 1, 1), program) == LUA_OK && lua_toboolean(L, -1);
}

typedef struct command {
    const mp_options *options;
    int argc;
    char **argv;
    bool succeeded;
} command;

static int protected_main(lua_State *L)
{
    command *c = lua_touserdata(L, 1);
    luaL_checkversion(L);
    lua_settop(L, 0);
    if (is_subcommand(c->argv[1]))
        c->succeeded = run_subcommand(L, c->argc, c->argv);
    else
        c->succeeded = run(L, c->options, c->argc, c->argv);
    return 0;
}

/* A standard descriptor that is closed would be the next thing that is opened, which scripts would
 * then read or write: it is one that refuses both. */
static void occupy_standard_descriptors(void)
{
    struct stat s;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fstat(fd, &s) < 0 && errno == EBADF)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    mp_options options;
    occupy_standard_descriptors();
    moonpool_worker_main(argc, argv);
    const char *wrong = mp_options_read(&options, argv);
    if (wrong != NULL) {
        mp_options_complain(wrong);
        return EXIT_FAILURE;
    }
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        fprintf(stderr, "%s: cannot create state: not enough memory\n", program);
        return EXIT_FAILURE;
    }
    command c = {&options, argc, argv, false};
    lua_pushcfunction(L, protected_main);
    lua_pushlightuserdata(L, &c);
    int status = mp_run_report(L, lua_pcall(L, 1, 0, 0), program);
    lua_close(L);
    return status == LUA_OK && c.succeeded ? EXIT_SUCCESS : EXIT_FAILURE;
}
