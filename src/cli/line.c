/* A line that is edited on the terminal by GNU readline.
 *
 * Its callback interface: whoever waits for the line polls standard input and calls `feed` when
 * there is some, and is free to do other things meanwhile. What is to appear above the line is
 * written between `hide` and `show`. Signals are not readline's business here (prompt.c). */
#include "cli/prompt.h"

#include "base/buffer.h"
#include "base/fd.h"

#include <errno.h>
#include <lauxlib.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

enum { DOUBTS = 10 };

static const char completer[] = "moonpool.prompt.completer"; /* in the registry */

static lua_State *state; /* which feeds; valid within feed */
static bool active;      /* a line is being edited */
static bool away;        /* ... but the terminal is the shell's: nothing is drawn */
static int doubts;       /* looks until it is certainly not */
static bool complete;    /* ... and is done: */
static char *taken;      /* it, to be freed; NULL: the end of input */

/* What readline writes goes to the terminal, or is caught. */
static bool catching;
static mp_buffer caught;

static ssize_t pass_on(void *cookie, const char *bytes, size_t size)
{
    (void)cookie;
    int status =
        catching ? mp_buffer_append(&caught, bytes, size) : mp_fd_write(STDOUT_FILENO, bytes, size);
    errno = -status;
    return status == 0 ? (ssize_t)size : 0;
}

static void take(char *line)
{
    rl_callback_handler_remove();
    active = false;
    complete = true;
    taken = line;
}

/* ---- completion ---- */

/* Readline inserts whole characters only. */
static size_t whole_characters(const char *text, size_t size)
{
    while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80)
        size--;
    return size;
}

/* The words that fit, as readline wants them: their common beginning first. */
static char **words_of(lua_State *L, int list)
{
    size_t n = (size_t)lua_rawlen(L, list), common = 0;
    if (n == 0)
        return NULL;
    char **words = calloc(n + 2, sizeof *words);
    for (size_t i = 1; words != NULL && i <= n; i++) {
        lua_rawgeti(L, list, (lua_Integer)i);
        words[i] = strdup(lua_tostring(L, -1));
        lua_pop(L, 1);
        if (words[i] == NULL)
            break;
        size_t same = 0;
        while (words[i][same] != '\0' && words[i][same] == words[1][same])
            same++;
        common = i == 1 || same < common ? same : common;
    }
    if (words != NULL && words[1] != NULL)
        words[0] = strndup(words[1], whole_characters(words[1], common));
    return words;
}

/* Names of files: of those within quotes readline shows the last part, and ends the string behind a
 * single one, unless that is a folder. */
static void note_files(char **words, const char *within)
{
    bool is_folder = words[2] == NULL && words[1][strlen(words[1]) - 1] == '/';
    rl_filename_completion_desired = strcmp(within, "quoted") == 0;
    rl_filename_quoting_desired = 0;
    rl_completion_suppress_quote = is_folder || rl_filename_completion_desired == 0;
}

/* Calls the completer as f(text before the cursor, where the word begins, from 1). What goes wrong
 * in it completes nothing. */
static char **ask(int start, int end)
{
    lua_State *L = state;
    int top = lua_gettop(L);
    char **words = NULL;
    if (lua_checkstack(L, 8) && lua_getfield(L, LUA_REGISTRYINDEX, completer) == LUA_TFUNCTION) {
        lua_pushlstring(L, rl_line_buffer, (size_t)end);
        lua_pushinteger(L, start + 1);
        if (lua_pcall(L, 2, 2, 0) == LUA_OK && lua_istable(L, -2))
            words = words_of(L, lua_gettop(L) - 1);
        if (words != NULL && words[1] != NULL && lua_isstring(L, -1))
            note_files(words, lua_tostring(L, -1));
    }
    lua_settop(L, top);
    return words;
}

static char **attempt(const char *text, int start, int end)
{
    (void)text;
    rl_attempted_completion_over = 1;
    rl_completion_append_character = '\0';
    return ask(start, end);
}

static int set_completer(lua_State *L)
{
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, completer);
    return 0;
}

/* ---- the line ---- */

static bool in_front(void)
{
    pid_t front = tcgetpgrp(STDIN_FILENO);
    return front < 0 || front == getpgrp();
}

/* Who sets the terminal's modes in the background is stopped; and those that stand there meanwhile
 * are the shell's own, not the ones to be given back. */
static void set_modes(int meta)
{
    if (in_front())
        rl_prep_terminal(meta);
}

/* Here and not sooner: scripts have the locale "C". */
static void prepare(void)
{
    static const cookie_io_functions_t functions = {.write = pass_on};
    static bool done;
    if (done)
        return;
    done = true;
    mp_buffer_init_heap(&caught);
    rl_outstream = fopencookie(NULL, "w", functions);
    setlocale(LC_CTYPE, "");
    rl_readline_name = "moonpool";
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_prep_term_function = set_modes;
    rl_basic_word_break_characters = " \t\n\"'><=;:+-*/%^~#{}()[].,&|\\";
    rl_completer_quote_characters = "\"'";
    rl_basic_quote_characters = "\"'";
    rl_attempted_completion_function = attempt;
}

/* begin(prompt): a new line is edited, and shown once the terminal is this program's */
static int begin(lua_State *L)
{
    const char *prompt = luaL_checkstring(L, 1);
    prepare();
    fflush(stdout);
    rl_eof_found = 0; /* else it ends lines for Ctrl-D once more */
    complete = false;
    active = true;
    away = !in_front();
    catching = away;
    rl_callback_handler_install(prompt, take);
    fflush(rl_outstream);
    catching = false;
    caught.len = 0;
    return 0;
}

/* The terminal is this program's again, if it listens to it; in the background it would stop for
 * that. */
static void come_back(void)
{
    away = !in_front();
    if (away)
        return;
    rl_deprep_terminal(); /* which it may think it has set, and a shell has set back */
    rl_prep_terminal(1);
    rl_forced_update_display();
    doubts = DOUBTS;
}

/* A shell may set its modes back behind that. */
static bool was_set_back(void)
{
    struct termios now;
    return tcgetattr(STDIN_FILENO, &now) == 0 && (now.c_lflag & ICANON) != 0 && in_front();
}

/* is_away(): whether the terminal is the shell's still, which is taken back once it is not, for no
 * signal tells who ran on in the background; and whether this is to be asked again soon */
static int is_away(lua_State *L)
{
    doubts -= doubts > 0;
    if (active && (away || was_set_back()))
        come_back();
    lua_pushboolean(L, active && away);
    lua_pushboolean(L, active && (away || doubts > 0));
    return 2;
}

/* is_left(): whether a line is edited that is not shown, for the terminal is the shell's */
static int is_left(lua_State *L)
{
    lua_pushboolean(L, active && away);
    return 1;
}

/* is_in_front() */
static int is_in_front(lua_State *L)
{
    lua_pushboolean(L, in_front());
    return 1;
}

/* Behind Ctrl-D readline does so itself where it has to end bracketed paste. */
static void end_line_of_end(void)
{
    const char *bracketed = rl_variable_value("enable-bracketed-paste");
    if (bracketed == NULL || strcmp(bracketed, "on") != 0)
        fputs("\n", rl_outstream);
    fflush(rl_outstream);
}

/* feed(): takes what was typed: the line when that ends it, false at the end of input, or nil */
static int feed(lua_State *L)
{
    state = L;
    if (active)
        rl_callback_read_char();
    if (!complete)
        return 0;
    complete = false;
    if (taken == NULL) {
        end_line_of_end();
        lua_pushboolean(L, 0);
    } else {
        lua_pushstring(L, taken);
    }
    free(taken);
    taken = NULL;
    return 1;
}

static int hide(lua_State *L)
{
    (void)L;
    if (active && !away) {
        rl_clear_visible_line();
        fflush(rl_outstream);
    }
    return 0;
}

static int show(lua_State *L)
{
    (void)L;
    if (active && !away)
        rl_forced_update_display();
    return 0;
}

/* leave(): gives up the line, where there is one, and the terminal back */
static int leave(lua_State *L)
{
    (void)L;
    if (active) {
        rl_callback_sigcleanup();
        rl_callback_handler_remove();
    }
    active = false;
    return 0;
}

/* interrupt(): leaves what was typed where it stands, with ^C behind it */
static int interrupt(lua_State *L)
{
    if (active) {
        rl_point = rl_end;
        rl_redisplay();
        fputs("^C\n", rl_outstream);
        fflush(rl_outstream);
    }
    return leave(L);
}

/* strokes(): what takes the line away from where the cursor is, and what shows it again there;
 * nothing where no line is shown */
static int strokes(lua_State *L)
{
    if (!active || away)
        return 0;
    caught.len = 0;
    catching = true;
    rl_clear_visible_line();
    fflush(rl_outstream);
    size_t wipe = caught.len;
    rl_forced_update_display();
    fflush(rl_outstream);
    catching = false;
    lua_pushlstring(L, (const char *)caught.data, wipe);
    lua_pushlstring(L, (const char *)caught.data + wipe, caught.len - wipe);
    return 2;
}

static int resize(lua_State *L)
{
    (void)L;
    rl_resize_terminal();
    return 0;
}

/* remember(text): for the arrows and Ctrl-R; once where it was the last one, too */
static int remember(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    HIST_ENTRY *last = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
    if (last == NULL || strcmp(last->line, text) != 0)
        add_history(text);
    return 0;
}

/* suspend(): Ctrl-Z: the terminal is the shell's until the process is continued */
static int suspend(lua_State *L)
{
    (void)L;
    if (active)
        rl_deprep_terminal();
    away = active;
    raise(SIGSTOP);
    return 0;
}

/* resume(): behind a stop, whatever it came from */
static int resume(lua_State *L)
{
    (void)L;
    if (active)
        come_back();
    return 0;
}

void mp_line_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"begin", begin},
        {"feed", feed},
        {"hide", hide},
        {"show", show},
        {"leave", leave},
        {"abandon", interrupt},
        {"resize", resize},
        {"remember", remember},
        {"suspend", suspend},
        {"set_completer", set_completer},
        {"strokes", strokes},
        {"resume", resume},
        {"is_away", is_away},
        {"is_left", is_left},
        {"is_in_front", is_in_front},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
