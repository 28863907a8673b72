/* What a call is told between its making and its first item. */
#include "lua/record.h"

#include "base/clock.h"

/* core.time_limit(call, seconds): how long an item may run; before the first is given */
static int call_time_limit(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    double nanoseconds = luaL_checknumber(L, 2) * 1e9;
    if (mp_call_lives(c))
        mp_call_timeout(c->call, nanoseconds < 1      ? 1
                                 : nanoseconds < 9e18 ? (int64_t)nanoseconds
                                                      : MP_NEVER);
    return 0;
}

/* core.retry(call, times, seconds): failed items run again so many times, the first time
 * after so many seconds */
static int call_retry(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    c->retries = luaL_checkinteger(L, 2);
    c->retry_delay = luaL_checknumber(L, 3);
    return 0;
}

/* core.in_runs(call): its function gets two booleans in front of each item's values:
 * whether it is the first of a run of items that one worker does in order, and the last */
static int call_in_runs(lua_State *L)
{
    mp_lua_call *c = mp_check_call(L, 1);
    c->in_runs = true;
    if (!mp_call_lives(c))
        return 0;
    mp_call_in_runs(c->call, MP_CALL_POSITION);
    mp_call_record_as(c->call, MP_RECORD_REDUCE);
    return 0;
}

/* core.duplicate(call): idle workers may run its last items a second time */
static int call_duplicate(lua_State *L)
{
    const mp_lua_call *c = mp_check_call(L, 1);
    if (mp_call_lives(c))
        mp_call_duplicate(c->call);
    return 0;
}

/* core.quiet(call): nobody waits for its results one by one */
static int call_quiet(lua_State *L)
{
    const mp_lua_call *c = mp_check_call(L, 1);
    if (mp_call_lives(c))
        mp_call_quiet(c->call);
    return 0;
}

/* core.timed(call): workers tell when each of its items began and ended; before the first */
static int call_timed(lua_State *L)
{
    const mp_lua_call *c = mp_check_call(L, 1);
    if (mp_call_lives(c))
        mp_call_timed(c->call);
    return 0;
}

/* core.expect(call, items): about so many items will come */
static int call_expect(lua_State *L)
{
    mp_check_call(L, 1)->expected = luaL_checkinteger(L, 2);
    return 0;
}

/* core.total(call): how many items there are in all, nil while that is not known */
static int call_total(lua_State *L)
{
    const mp_lua_call *c = mp_check_call(L, 1);
    if (c->count < 0 && !c->stopped)
        return 0;
    lua_pushinteger(L, c->count >= 0 ? c->count : c->given);
    return 1;
}

void mp_open_settings(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"retry", call_retry},   {"time_limit", call_time_limit}, {"in_runs", call_in_runs},
        {"expect", call_expect}, {"duplicate", call_duplicate},   {"quiet", call_quiet},
        {"timed", call_timed},   {"total", call_total},           {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
