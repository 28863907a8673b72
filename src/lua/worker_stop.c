/* Hooks that raise an error, and those that tell the stack: see worker_stop.h.
 *
 * A hook belongs to one coroutine, and nobody tells which one runs; so it is set on
 * all that are known. The first error takes all hooks off, so that what it closes and
 * whoever catches it have a while to tidy up; those that come later stay. Count
 * hooks only: a message handler in C is left alone. */
#include "lua/worker_stop.h"

#include "lua/state.h"
#include "lua/threads.h"

#include <unistd.h>

static struct {
    lua_State *runner, *main;
    volatile bool set, late, insist;
} stop;

static struct {
    const mp_birth *birth;
    volatile bool set;
    volatile uint32_t number;
} question;

static void fire(lua_State *L, lua_Debug *ar);
static void answer(lua_State *L, lua_Debug *ar);

static void take_off(lua_State *L)
{
    if (lua_gethook(L) == fire)
        lua_sethook(L, NULL, 0, 0);
}

static void put_on(lua_State *L)
{
    lua_sethook(L, fire, LUA_MASKCOUNT, 1);
}

static void each(void (*visit)(lua_State *))
{
    visit(stop.main);
    visit(stop.runner);
    mp_threads_each(visit);
}

static void fire(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    if (!stop.insist)
        each(take_off);
    mp_error_new(L, stop.late ? "timeout" : "cancelled",
                 stop.late ? "the item ran too long" : "the item was cancelled");
    lua_error(L);
}

/* ---- where it is ---- */

static void take_question_off(lua_State *L)
{
    if (lua_gethook(L) == answer)
        lua_sethook(L, NULL, 0, 0);
}

static void put_question_on(lua_State *L)
{
    if (lua_gethook(L) == NULL)
        lua_sethook(L, answer, LUA_MASKCOUNT, 1);
}

/* The stack of the caller's caller: not of this function, nor of the hook. */
static int describe(lua_State *L)
{
    size_t size;
    lua_pushfstring(L, "%I %d", (lua_Integer)question.number, (int)getpid());
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    const char *text = lua_tolstring(L, -1, &size);
    question.birth->tell(question.birth->teller, MP_FRAME_ANSWER, text, size);
    return 0;
}

/* Nothing that goes wrong here is the item's affair. */
static void answer(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    bool asked = question.set;
    take_question_off(L);
    each(take_question_off);
    question.set = false;
    if (!asked || !lua_checkstack(L, 4))
        return;
    lua_pushcfunction(L, describe);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK)
        lua_pop(L, 1);
}

void mp_worker_explain(void *ctx, uint32_t number)
{
    (void)ctx;
    question.number = number;
    question.set = true;
    if (!stop.set)
        each(put_question_on);
}

void mp_worker_stop_open(lua_State *L, const mp_birth *birth)
{
    question.birth = birth;
    question.set = false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    stop.main = lua_tothread(L, -1);
    lua_pop(L, 1);
    stop.runner = L;
    stop.set = false;
    mp_threads_watch(L);
}

void mp_worker_interrupt(void *ctx, bool late, bool insist)
{
    (void)ctx;
    stop.late = late;
    stop.insist = insist;
    stop.set = true;
    each(put_on);
}

void mp_worker_stop_clear(void)
{
    if (question.set) {
        question.set = false;
        each(take_question_off);
    }
    if (!stop.set)
        return;
    stop.set = false;
    each(take_off);
}
