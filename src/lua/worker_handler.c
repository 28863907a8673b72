/* What a worker does with an item: decode its arguments, call the function with a
 * traceback, encode what it returns; or its failure.
 *
 * The worker's thread keeps two values on its stack: the message handler, and the runner, a
 * closure whose upvalues are the functions met so far and the table of C libraries. Items run
 * in a protected call of the runner, one after another until one fails; nothing of an item
 * stays on the stack, and hooks are off before the next. */
#include "lua/fresh.h"
#include "lua/limit.h"
#include "lua/shared.h"
#include "lua/worker_state.h"
#include "lua/worker_stop.h"

#include "base/failpoint.h"
#include "codec/encode_scalar.h"
#include "codec/names.h"
#include "codec/values.h"
#include "process/command.h"
#include "process/memory.h"
#include "process/output.h"
#include "shm/session.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <unistd.h>

enum { HANDLER = 1, RUNNER, BASE = RUNNER };
enum { DEFINITIONS_MAX = 256, MEMORY_TO_GO_ON = 1 << 20 };

/* The runner's upvalues. */
#define FUNCTIONS lua_upvalueindex(1) /* by definition, those that came as bytes */
#define IN_HAND lua_upvalueindex(2)   /* by definition, those inherited */
#define FUNCTION lua_upvalueindex(3)  /* the one used last */
#define LIBRARIES lua_upvalueindex(4) /* the table of C libraries */

/* One item on its way through the runner. */
typedef struct item {
    mp_worker_context *w;
    mp_task *task;
    mp_buffer *out;
    int outcome;
    const char *kind; /* of the failure, if it comes to that */
} item;

/* ---- failures ---- */

/* Pushes the text of what was raised: of a table that has none, what is in it. */
static void push_message(lua_State *L)
{
    bool bare = lua_istable(L, 1) && luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL;
    if (bare && lua_getfield(L, LUA_REGISTRYINDEX, MP_NAMES_REQUIRE) == LUA_TFUNCTION) {
        lua_pushliteral(L, "moonpool.show");
        if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
            lua_getfield(L, -1, "line");
            lua_pushvalue(L, 1);
            if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING)
                return;
        }
    }
    luaL_tolstring(L, 1, NULL);
}

/* Turns what was raised into {value, message, traceback}. */
static int describe(lua_State *L)
{
    lua_settop(L, 1);
    lua_createtable(L, 3, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, 2, 1);
    push_message(L);
    lua_rawseti(L, 2, 2);
    lua_settop(L, 2);
    luaL_traceback(L, L, NULL, 1);
    lua_rawseti(L, 2, 3);
    return 1;
}

/* Encodes the values from `first` up; without the last where that cannot travel. */
static int write_values(lua_State *L, int first, mp_buffer *out)
{
    int top = lua_gettop(L);
    for (int n = top - first + 1; n >= top - first; n--) {
        out->len = 0;
        out->error = 0;
        if (mp_encode(L, first, n, MP_CODEC_FUNCTIONS, out) == 0)
            return MP_TASK_FAILED;
        lua_settop(L, top);
        if (out->error < 0)
            return out->error;
    }
    return -ENOMEM;
}

/* kind, message, traceback, pid, path, value: what take.c reads. */
static int write_task_failure(lua_State *L)
{
    item *i = lua_touserdata(L, 1);
    lua_pushstring(L, i->kind);
    lua_rawgeti(L, 2, 2);
    lua_rawgeti(L, 2, 3);
    lua_pushinteger(L, getpid());
    lua_pushnil(L);
    lua_rawgeti(L, 2, 1);
    i->outcome = write_values(L, 3, i->out);
    return 0;
}

/* The same for what the codec refused: the strings what and path on top. */
static int write_codec_failure(lua_State *L, item *i, const char *kind, const char *root)
{
    mp_error_codec(L, kind, root);
    int e = lua_gettop(L);
    lua_pushstring(L, kind);
    lua_getfield(L, e, "message");
    lua_pushliteral(L, "");
    lua_pushinteger(L, getpid());
    lua_getfield(L, e, "path");
    lua_pushnil(L);
    return write_values(L, e + 1, i->out);
}

/* ---- functions ---- */

static void remember_definition(lua_State *L, item *i, lua_Integer id)
{
    if (++i->w->definitions > DEFINITIONS_MAX) {
        lua_newtable(L);
        lua_replace(L, FUNCTIONS);
        i->w->definitions = 1;
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, FUNCTIONS, id);
}

/* A worker that is no fork has its bytes until then. */
static bool take_from_hand(lua_State *L, lua_Integer id)
{
    size_t size;
    int type = lua_rawgeti(L, IN_HAND, id);
    if (type == LUA_TNIL) {
        lua_pushliteral(L, "it was not there when this worker's nursery was made");
        lua_pushliteral(L, "");
        return false;
    }
    if (type != LUA_TSTRING)
        return true;
    const unsigned char *bytes = (const void *)lua_tolstring(L, -1, &size);
    if (mp_decode(L, bytes, size, NULL, 1, MP_CODEC_FUNCTIONS) != 1)
        return false;
    lua_remove(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, IN_HAND, id);
    return true;
}

/* Pushes the function of a definition that was not the last one; false with two
 * strings pushed where it cannot be had. */
static bool load_function(lua_State *L, item *i)
{
    const mp_call_block *block = i->task->block;
    lua_Integer id = (lua_Integer)block->definition;
    if (i->task->definition == NULL)
        return take_from_hand(L, id);
    if (lua_rawgeti(L, FUNCTIONS, id) != LUA_TNIL)
        return true;
    lua_pop(L, 1);
    if (mp_checksum(i->task->definition, block->definition_size) != block->definition_sum) {
        lua_pushliteral(L, "its bytes are not those that were sent");
        lua_pushliteral(L, "");
        return false;
    }
    if (mp_decode(L, i->task->definition, block->definition_size, NULL, 1, MP_CODEC_FUNCTIONS) != 1)
        return false;
    remember_definition(L, i, id);
    return true;
}

static void forget_definitions(lua_State *L, mp_worker_context *w)
{
    lua_newtable(L);
    lua_replace(L, FUNCTIONS);
    w->definitions = 0;
    w->last_id = 0;
    w->stale = false;
}

static bool push_function(lua_State *L, item *i)
{
    if (i->w->stale)
        forget_definitions(L, i->w);
    uint64_t id = i->task->block->definition;
    if (id == i->w->last_id) {
        lua_pushvalue(L, FUNCTION);
        return true;
    }
    if (!load_function(L, i))
        return false;
    lua_pushvalue(L, -1);
    lua_replace(L, FUNCTION);
    i->w->last_id = id;
    return true;
}

/* ---- the run ---- */

/* Lines that the item has not ended: before its result, that they come before it. */
static void flush_lines(void)
{
    mp_output_flush();
    if (__fpending(stderr) > 0)
        fflush(stderr);
}

static int write_result(lua_State *L, item *i, int first)
{
    int n = lua_gettop(L) - first + 1;
    if (n == 1 && lua_isinteger(L, first) && mp_buffer_reserve(i->out, MP_HEAD_MAX) == 0) {
        unsigned char *p = i->out->data + i->out->len;
        i->out->len += (size_t)(mp_put_number(p, L, first) - p);
        return MP_TASK_DONE;
    }
    if (n > 1 && (i->task->block->flags & MP_CALL_FIRST_VALUE) != 0)
        n = 1;
    i->out->error = 0;
    if (mp_encode(L, first, n, MP_CODEC_FUNCTIONS, i->out) == 0)
        return MP_TASK_DONE;
    if (i->out->error < 0)
        return i->out->error;
    lua_pop(L, 1);
    return write_codec_failure(L, i, "encode", "result");
}

/* What no item is to find as the one before has left it. */
static void clear_before(lua_State *L, mp_worker_context *w, const mp_task *task)
{
    w->index = task->index;
    w->task = task;
    w->serial++;
    mp_worker_stop_clear();
    if (mp_worker_is_foreign(L, LIBRARIES, w->own_libraries))
        mp_worker_reset();
    mp_random_set(&w->random, task->block->word, task->index);
}

static void clear_behind(lua_State *L)
{
    mp_worker_stop_clear();
    mp_command_end_all();
    if (lua_gethook(L) != NULL)
        lua_sethook(L, NULL, 0, 0);
}

/* As mp_decode. */
static int push_arguments(lua_State *L, const mp_task *task)
{
    const mp_call_block *block = task->block;
    if (task->bytes != NULL)
        return mp_decode(L, task->bytes, task->size, NULL, -1, MP_CODEC_FUNCTIONS);
    mp_push_made(L, block->recipe, (block->flags & MP_CALL_NUMBERS) != 0, task->index);
    return 1;
}

static int run_item(lua_State *L, item *i)
{
    if (!push_function(L, i))
        return write_codec_failure(L, i, "decode", "function");
    int told = (i->task->block->flags & MP_CALL_POSITION) != 0 ? 2 : 0;
    if (told > 0) {
        lua_pushboolean(L, i->task->first);
        lua_pushboolean(L, i->task->last);
    }
    MP_FAILPOINT("item.decode");
    int n = push_arguments(L, i->task);
    if (n < 0)
        return write_codec_failure(L, i, "decode", "arguments");
    lua_call(L, told + n, LUA_MULTRET);
    flush_lines();
    return write_result(L, i, 2);
}

/* The runner: items until one was not done or none follows; a lightuserdata at 1. */
static int run_items(lua_State *L)
{
    item *i = lua_touserdata(L, 1);
    for (bool more = true; more;) {
        clear_before(L, i->w, i->task);
        i->outcome = run_item(L, i);
        if (i->outcome != MP_TASK_DONE || i->task->next == NULL)
            return 0;
        lua_settop(L, 1);
        clear_behind(L);
        more = i->task->next(i->task);
        i->outcome = more ? -ENOMEM : MP_TASK_DONE;
    }
    return 0;
}

static void report_error(lua_State *L, item *i)
{
    int raised = lua_gettop(L);
    i->out->len = 0;
    i->outcome = -ENOMEM;
    flush_lines();
    if (!lua_istable(L, raised)) { /* there was no memory to describe it */
        i->w->short_of_memory = true;
        lua_gc(L, LUA_GCCOLLECT);
        lua_pushcfunction(L, describe);
        lua_pushvalue(L, raised);
        if (lua_pcall(L, 1, 1, 0) != LUA_OK)
            return;
        lua_replace(L, raised);
    }
    lua_pushcfunction(L, write_task_failure);
    lua_pushlightuserdata(L, i);
    lua_pushvalue(L, raised);
    lua_pcall(L, 2, 0, 0);
}

/* What tasks print goes to the host. */
static int pass_on(void *ctx, const char *bytes, size_t size)
{
    const mp_birth *birth = ctx;
    return birth->tell(birth->teller, MP_FRAME_OUTPUT, bytes, size);
}

/* What every item of a worker gets whose initializer failed. */
static int refuse(lua_State *L, item *i)
{
    i->kind = "initializer";
    lua_rawgetp(L, LUA_REGISTRYINDEX, i->w);
    report_error(L, i);
    lua_settop(L, BASE);
    return i->outcome;
}

static int take_some(lua_State *L)
{
    lua_newuserdatauv(L, MEMORY_TO_GO_ON, 0);
    return 0;
}

/* What a task has left reachable stays with this worker; with too little beside it every item
 * to come would fail, too. */
static bool is_worn(void *ctx)
{
    mp_worker_context *w = &((mp_lua_pool *)ctx)->worker;
    if (!w->short_of_memory)
        return false;
    w->short_of_memory = false;
    lua_gc(w->L, LUA_GCCOLLECT);
    malloc_trim(0);
    lua_pushcfunction(w->L, take_some);
    bool worn = lua_pcall(w->L, 0, 0, 0) != LUA_OK;
    lua_settop(w->L, BASE);
    return worn;
}

/* (pool, what was raised, described or not) */
static int write_warning(lua_State *L)
{
    const mp_lua_pool *p = lua_touserdata(L, 1);
    if (lua_istable(L, 2))
        lua_rawgeti(L, 2, 2);
    lua_pushfstring(L, "moonpool: everywhere has failed in PoolWorker-%d, which came later: %s",
                    (int)p->worker.birth->seat + 1, luaL_tolstring(L, -1, NULL));
    lua_warning(L, lua_tostring(L, -1), 0);
    return 0;
}

/* What it was to set up is not there, and nobody waits for it who could be told. */
static void warn_of_errand(lua_State *L, mp_lua_pool *p)
{
    bool described = lua_gettop(L) > BASE;
    lua_pushcfunction(L, write_warning);
    lua_pushlightuserdata(L, p);
    if (described)
        lua_pushvalue(L, BASE + 1);
    else
        lua_pushliteral(L, "an error");
    lua_pcall(L, 2, 0, 0);
}

static int handle(void *ctx, mp_task *task, mp_buffer *out)
{
    mp_lua_pool *p = ctx;
    lua_State *L = p->worker.L;
    item i = {.w = &p->worker, .task = task, .out = out, .outcome = -ENOMEM, .kind = "task"};
    if (p->worker.unfit)
        return refuse(L, &i);
    lua_pushvalue(L, RUNNER);
    lua_pushlightuserdata(L, &i);
    if (lua_pcall(L, 1, 0, HANDLER) != LUA_OK)
        report_error(L, &i);
    if (task->unheard && i.outcome != MP_TASK_DONE)
        warn_of_errand(L, p);
    lua_settop(L, BASE);
    clear_behind(L);
    mp_task_over(L, i.w);
    mp_share_forget(L);
    flush_lines();
    if (i.outcome == -ENOMEM)
        p->worker.short_of_memory = true;
    return i.outcome;
}

typedef struct sheltered {
    void (*body)(void *arg);
    void *arg;
} sheltered;

static int call_body(lua_State *L)
{
    const sheltered *s = lua_touserdata(L, 1);
    s->body(s->arg);
    return 0;
}

/* Lua hands an error that nobody in this thread catches on to the main one, which here is
 * in the midst of the host's call. */
static void shelter(void *ctx, void (*body)(void *arg), void *arg)
{
    const mp_lua_pool *p = ctx;
    sheltered s = {body, arg};
    lua_settop(p->worker.L, 0);
    lua_pushcfunction(p->worker.L, call_body);
    lua_pushlightuserdata(p->worker.L, &s);
    lua_pcall(p->worker.L, 1, 0, 0);
}

static int set_up(lua_State *L)
{
    mp_worker_furnish(L, lua_touserdata(L, 1));
    return 0;
}

/* Calls the pool's initializer, which stands with its arguments among what is in hand. */
static int call_initializer(lua_State *L)
{
    const mp_lua_pool *p = lua_touserdata(L, 1);
    if (p->fresh)
        mp_fresh_begin(L, p);
    lua_rawgetp(L, LUA_REGISTRYINDEX, p);
    if (lua_getfield(L, 2, "initializer") == LUA_TNIL)
        return 0;
    lua_getfield(L, 2, "initargs");
    int n = lua_istable(L, -1) ? mp_unpack_top(L) : 0;
    lua_remove(L, 4);
    lua_call(L, n, 0);
    return 0;
}

/* A failure is kept for the items to come. */
static void initialize(lua_State *L, mp_lua_pool *p)
{
    lua_pushcfunction(L, call_initializer);
    lua_pushlightuserdata(L, p);
    if (lua_pcall(L, 1, 0, HANDLER) != LUA_OK) {
        lua_rawsetp(L, LUA_REGISTRYINDEX, &p->worker);
        p->worker.unfit = true;
    }
    lua_settop(L, BASE);
    mp_output_flush();
}

static void start(void *ctx, const mp_birth *birth)
{
    mp_lua_pool *p = ctx;
    lua_State *L = p->worker.L;
    lua_settop(L, 0);
    lua_pushcfunction(L, describe);
    lua_newtable(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, p);
    lua_pushnil(L);
    p->worker.own_libraries = mp_worker_push_libraries(L);
    lua_pushcclosure(L, run_items, 4);
    lua_pushlightuserdata(L, &p->worker);
    lua_setfield(L, LUA_REGISTRYINDEX, MP_WORKER_CONTEXT);
    lua_pushcfunction(L, set_up);
    lua_pushlightuserdata(L, (void *)(uintptr_t)birth);
    if (lua_pcall(L, 1, 0, HANDLER) != LUA_OK)
        _exit(70);
    lua_settop(L, BASE);
    lua_pushlightuserdata(L, p);
    lua_setfield(L, LUA_REGISTRYINDEX, MP_WORKER_POOL);
    p->worker.birth = birth;
    p->worker.generation = mp_fork_generation();
    if (p->has_output)
        mp_output_install(birth->output, pass_on, (void *)(uintptr_t)birth, NULL);
    if (p->memory_limit > 0) {
        mp_memory_limit((uint64_t)p->memory_limit);
        mp_limit_state(L, p->memory_limit);
    }
    mp_random_init(&p->worker.random, L);
    mp_worker_stop_open(L, birth);
    initialize(L, p);
}

static void finish(void *ctx)
{
    (void)ctx;
    mp_output_flush();
    mp_session_leave();
}

static void log_plainly(const mp_lua_pool *p, const char *text, size_t size)
{
    fprintf(stderr, "PoolWorker-%u", p->worker.birth->seat + 1);
    if (p->worker.index != 0)
        fprintf(stderr, ", item %llu", (unsigned long long)p->worker.index);
    fputs(": ", stderr);
    fwrite(text, 1, size, stderr);
    fputc('\n', stderr);
}

/* core.log(text): in a worker, to whom the pool's log is; false elsewhere */
static int worker_log(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    if (lua_getfield(L, LUA_REGISTRYINDEX, MP_WORKER_POOL) != LUA_TLIGHTUSERDATA) {
        lua_pushboolean(L, 0);
        return 1;
    }
    const mp_lua_pool *p = lua_touserdata(L, -1);
    const mp_birth *birth = p->worker.birth;
    if (p->has_log)
        birth->tell(birth->teller, MP_FRAME_LOG, text, size);
    else
        log_plainly(p, text, size);
    lua_pushboolean(L, 1);
    return 1;
}

void mp_open_worker(lua_State *L)
{
    lua_pushcfunction(L, worker_log);
    lua_setfield(L, -2, "log");
}

mp_handler mp_worker_handler(mp_lua_pool *pool, uint64_t max_items)
{
    return (mp_handler){.ctx = pool,
                        .max_items = max_items,
                        .shelter = shelter,
                        .start = start,
                        .run = handle,
                        .worn = is_worn,
                        .interrupt = mp_worker_interrupt,
                        .explain = mp_worker_explain,
                        .finish = finish,
                        .method = pool->method,
                        .roles = &mp_lua_roles,
                        .role = MP_POOL_ROLE,
                        .brief = mp_fresh_brief};
}
