/* Locks, semaphores, events, conditions, barriers: the steps that lua/moonpool/sync.lua makes
 * its methods of. What may wait tries, and sleeps for a slice: the loop around is Lua, so that
 * hooks run.
 *
 * acquire and release of a lock that is free are whole here: they are counted in nanoseconds. */
#include "lua/shared.h"
#include "lua/state.h"

#include "shm/barrier.h"
#include "shm/semaphore.h"

enum {
    LOCKS = 1U << MP_SHARED_LOCK | 1U << MP_SHARED_RLOCK,
    SEMAPHORES = 1U << MP_SHARED_SEMAPHORE | 1U << MP_SHARED_BOUNDED_SEMAPHORE,
    EVENTS = 1U << MP_SHARED_EVENT,
    NOTICES = 1U << MP_SHARED_CONDITION | 1U << MP_SHARED_BARRIER,
    BARRIERS = 1U << MP_SHARED_BARRIER,
};

/* ---- locks ---- */

static int push_try(lua_State *L, enum mp_lock_try got)
{
    lua_pushboolean(L, got != MP_LOCK_HELD);
    if (got != MP_LOCK_ABANDONED)
        return 1;
    lua_pushliteral(L, "abandoned");
    return 2;
}

static enum mp_lock_try try_lock(lua_State *L, const mp_shared *s, bool slept)
{
    mp_lock *lock = s->content;
    uint32_t me = mp_shared_self(L);
    if (s->kind == MP_SHARED_RLOCK && mp_lock_holder(lock) == me) {
        lock->depth++;
        return MP_LOCK_GOT;
    }
    enum mp_lock_try got = mp_lock_try(lock, me, slept);
    if (got != MP_LOCK_HELD)
        lock->depth = 1;
    return got;
}

/* Behind a waiter that has yielded. */
static int all_results(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    return lua_gettop(L);
}

/* lock:acquire([block [, timeout]]); upvalue 1: what waits */
static int lock_acquire(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, LOCKS, "acquire");
    if (lua_gettop(L) == 1) {
        enum mp_lock_try got = try_lock(L, s, false);
        if (got != MP_LOCK_HELD)
            return push_try(L, got);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, all_results);
    return lua_gettop(L);
}

/* lock:release() */
static int lock_release(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, LOCKS, "release");
    mp_lock *lock = s->content;
    if (s->kind == MP_SHARED_RLOCK) {
        if (mp_lock_holder(lock) != mp_shared_self(L))
            return mp_raise(L, "state", "release: this process does not hold the lock");
        if (--lock->depth > 0)
            return 0;
    }
    if (!mp_lock_release(lock))
        return mp_raise(L, "state", "release: nobody holds the lock");
    return 0;
}

/* core.lock_methods(waits): acquire and release; waits(lock, block, timeout) takes over where
 * the lock is not free or more is said */
static int lock_methods(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushcclosure(L, lock_acquire, 1);
    lua_pushcfunction(L, lock_release);
    return 2;
}

/* core.lock_try(lock, slept) */
static int lock_try(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, LOCKS, "acquire");
    return push_try(L, try_lock(L, s, lua_toboolean(L, 2)));
}

/* core.lock_sleep(lock, n, deadline or nil), as all core.*_sleep: for a slice, the n-th from 0 */
static int lock_sleep(lua_State *L)
{
    mp_lock_sleep(mp_check_shared(L, 1, LOCKS, "acquire")->content, mp_shared_slice(L));
    return 0;
}

/* core.lock_depth(lock): how often this process holds it */
static int lock_depth(lua_State *L)
{
    const mp_lock *lock = mp_check_shared(L, 1, LOCKS, "wait")->content;
    lua_pushinteger(L, mp_lock_holder(lock) == mp_shared_self(L) ? lock->depth : 0);
    return 1;
}

/* core.lock_deepen(lock, depth): this process, which holds it, holds it so often */
static int lock_deepen(lua_State *L)
{
    mp_lock *lock = mp_check_shared(L, 1, LOCKS, "wait")->content;
    lock->depth = (uint32_t)luaL_checkinteger(L, 2);
    return 0;
}

/* ---- semaphores ---- */

static mp_semaphore *check_semaphore(lua_State *L, const char *method)
{
    return mp_check_shared(L, 1, SEMAPHORES, method)->content;
}

/* core.semaphore_begin(semaphore, value): before anybody else has it */
static int semaphore_begin(lua_State *L)
{
    const mp_shared *shared = mp_check_shared(L, 1, SEMAPHORES, "begin");
    mp_semaphore *s = shared->content;
    uint32_t value = (uint32_t)luaL_checkinteger(L, 2);
    s->most = shared->kind == MP_SHARED_BOUNDED_SEMAPHORE ? value : UINT32_MAX;
    mp_store_release(&s->word, value);
    return 0;
}

/* core.semaphore_try(semaphore): also what a dead one has held */
static int semaphore_try(lua_State *L)
{
    mp_semaphore *s = check_semaphore(L, "acquire");
    if (mp_semaphore_try(s))
        return push_try(L, MP_LOCK_GOT);
    bool inherited = mp_semaphore_inherit(s, mp_shared_self(L), false) != -1;
    return push_try(L, inherited ? MP_LOCK_ABANDONED : MP_LOCK_HELD);
}

/* core.semaphore_hold(semaphore): nil; or a number for semaphore_let, and whether its holder had
 * died */
static int semaphore_hold(lua_State *L)
{
    mp_semaphore *s = check_semaphore(L, "hold");
    int slot = mp_semaphore_hold(s, mp_shared_self(L));
    bool abandoned = slot == -1;
    if (abandoned)
        slot = mp_semaphore_inherit(s, mp_shared_self(L), true);
    if (slot == -1)
        return 0;
    lua_pushinteger(L, slot);
    lua_pushboolean(L, abandoned);
    return 2;
}

static int semaphore_let(lua_State *L)
{
    mp_semaphore *s = check_semaphore(L, "hold");
    mp_semaphore_let(s, (int)luaL_checkinteger(L, 2), mp_shared_self(L));
    return 0;
}

static int semaphore_sleep(lua_State *L)
{
    mp_semaphore_sleep(check_semaphore(L, "acquire"), mp_shared_slice(L));
    return 0;
}

/* core.semaphore_give(semaphore): false where it is full */
static int semaphore_give(lua_State *L)
{
    lua_pushboolean(L, mp_semaphore_give(check_semaphore(L, "release")));
    return 1;
}

static int semaphore_value(lua_State *L)
{
    lua_pushinteger(L, mp_semaphore_count(check_semaphore(L, "get_value")));
    return 1;
}

/* ---- events ---- */

static mp_event_flag *check_event(lua_State *L, const char *method)
{
    return mp_check_shared(L, 1, EVENTS, method)->content;
}

static int event_set(lua_State *L)
{
    mp_event_set(check_event(L, "set"));
    return 0;
}

static int event_clear(lua_State *L)
{
    mp_event_clear(check_event(L, "clear"));
    return 0;
}

static int event_is_set(lua_State *L)
{
    lua_pushboolean(L, mp_event_is_set(check_event(L, "is_set")));
    return 1;
}

static int event_sleep(lua_State *L)
{
    mp_event_sleep(check_event(L, "wait"), mp_shared_slice(L));
    return 0;
}

/* ---- conditions ---- */

typedef struct condition {
    uint64_t tickets; /* under its lock */
    uint32_t lock_index, lock_generation, lock_kind;
} condition;

/* core.condition_lock(condition, lock): before anybody else has it; core.condition_lock(condition):
 * kind, index and generation of its lock */
static int condition_lock(lua_State *L)
{
    condition *c = mp_check_shared(L, 1, 1U << MP_SHARED_CONDITION, "wait")->content;
    if (lua_gettop(L) > 1) {
        const mp_shared *lock = mp_check_shared(L, 2, LOCKS, "Condition");
        c->lock_index = lock->name.index;
        c->lock_generation = lock->name.generation;
        c->lock_kind = lock->kind;
    }
    lua_pushstring(L, c->lock_kind == MP_SHARED_LOCK ? "Lock" : "RLock");
    lua_pushinteger(L, c->lock_index);
    lua_pushinteger(L, c->lock_generation);
    return 3;
}

/* core.notice_await(condition), under its lock: this process waits from now on */
static int notice_await(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, 1U << MP_SHARED_CONDITION, "wait");
    condition *c = s->content;
    mp_notice_await(mp_shared_self(L), s->name.index, ++c->tickets);
    return 0;
}

static int notice_came(lua_State *L)
{
    mp_check_shared(L, 1, NOTICES, "wait");
    lua_pushboolean(L, mp_notice_came(mp_shared_self(L)));
    return 1;
}

static int notice_sleep(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, NOTICES, "wait");
    mp_notice_sleep(mp_shared_self(L), s->name.index, mp_shared_slice(L));
    return 0;
}

/* core.notice_give_up(object): true where the notice came just before */
static int notice_give_up(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, NOTICES, "wait");
    lua_pushboolean(L, mp_notice_give_up(mp_shared_self(L), s->name.index));
    return 1;
}

static int notice_tell(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, NOTICES, "notify");
    mp_notice_tell(s->name.index, (unsigned)luaL_checkinteger(L, 2));
    return 0;
}

/* ---- barriers ---- */

static const char *const states[] = {"waiting", "last", "full", "passed", "broken"};

/* core.barrier_begin(barrier, parties): before anybody else has it */
static int barrier_begin(lua_State *L)
{
    mp_barrier *b = mp_check_shared(L, 1, BARRIERS, "begin")->content;
    b->parties = (uint32_t)luaL_checkinteger(L, 2);
    return 0;
}

/* core.barrier_enter(barrier): "waiting", "last", "full" or "broken", the round, the place in it */
static int barrier_enter(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, BARRIERS, "wait");
    uint64_t round = 0;
    uint32_t index = 0;
    lua_pushstring(
        L, states[mp_barrier_enter(s->content, mp_shared_self(L), s->name.index, &round, &index)]);
    lua_pushinteger(L, (lua_Integer)round);
    lua_pushinteger(L, index);
    return 3;
}

/* core.barrier_look(barrier, round): "waiting", "passed" or "broken" */
static int barrier_look(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, BARRIERS, "wait");
    lua_pushstring(
        L,
        states[mp_barrier_look(s->content, mp_shared_self(L), (uint64_t)luaL_checkinteger(L, 2))]);
    return 1;
}

/* core.barrier_check(barrier, round or nil, others): breaks it where nobody who could come is left;
 * `others`: some of this process may come, too */
static int barrier_check(lua_State *L)
{
    const mp_shared *s = mp_check_shared(L, 1, BARRIERS, "wait");
    lua_Integer any = (lua_Integer)MP_BARRIER_ANY;
    mp_barrier_check(s->content, mp_shared_self(L), s->name, (uint64_t)luaL_optinteger(L, 2, any),
                     lua_toboolean(L, 3));
    return 0;
}

/* core.barrier_do(barrier, what) */
static int barrier_do(lua_State *L)
{
    static const char *const names[] = {"pass", "leave", "break", "reset", "send", NULL};
    static void (*const actions[])(mp_barrier *, uint32_t, uint32_t) = {
        mp_barrier_pass, mp_barrier_leave, mp_barrier_break, mp_barrier_reset, mp_barrier_send};
    const mp_shared *s = mp_check_shared(L, 1, BARRIERS, "wait");
    int what = luaL_checkoption(L, 2, NULL, names);
    actions[what](s->content, mp_shared_self(L), s->name.index);
    return 0;
}

/* core.barrier_state(barrier): parties, who are here, whether it is broken */
static int barrier_state(lua_State *L)
{
    const mp_barrier *b = mp_check_shared(L, 1, BARRIERS, "parties")->content;
    lua_pushinteger(L, b->parties);
    lua_pushinteger(L, b->here);
    lua_pushboolean(L, b->broken != 0);
    return 3;
}

void mp_open_sync(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"lock_methods", lock_methods},
        {"lock_try", lock_try},
        {"lock_sleep", lock_sleep},
        {"lock_depth", lock_depth},
        {"lock_deepen", lock_deepen},
        {"semaphore_begin", semaphore_begin},
        {"semaphore_try", semaphore_try},
        {"semaphore_hold", semaphore_hold},
        {"semaphore_let", semaphore_let},
        {"semaphore_sleep", semaphore_sleep},
        {"semaphore_give", semaphore_give},
        {"semaphore_value", semaphore_value},
        {"event_set", event_set},
        {"event_clear", event_clear},
        {"event_is_set", event_is_set},
        {"event_sleep", event_sleep},
        {"condition_lock", condition_lock},
        {"notice_await", notice_await},
        {"notice_came", notice_came},
        {"notice_sleep", notice_sleep},
        {"notice_give_up", notice_give_up},
        {"notice_tell", notice_tell},
        {"barrier_begin", barrier_begin},
        {"barrier_enter", barrier_enter},
        {"barrier_look", barrier_look},
        {"barrier_check", barrier_check},
        {"barrier_do", barrier_do},
        {"barrier_state", barrier_state},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
