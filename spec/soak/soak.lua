-- The soak: rounds of random calls over pools that are shaken meanwhile (workers and nurseries
-- killed and stopped, pools resized and refreshed, calls cancelled), each checked item by item
-- against fates.lua. Ends with 1 and the seed at the first thing that is not as it must be.
--
-- What a round may lose: one item for each worker that was killed or, while its time ran,
-- stopped from outside, and as many as there are workers for each nursery.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = ("%s/?.lua;%s/../support/?.lua;%s"):format(here, here, package.path)

local mp = require "moonpool"
local fates = require "fates"
local leaks = require "leaks"

local ROUND_LIMIT = 120 -- seconds until a round counts as hanging
local ITEM_LIMIT = 2    -- seconds, option timeout
local END_LIMIT = 30    -- seconds for close and join

local minutes, seed = tonumber(arg[1]) or 1, math.tointeger(arg[2] or os.time())
local total = { rounds = 0, calls = 0, items = 0, lost = 0, kills = 0, nurseries = 0,
  cancelled = 0, resizes = 0, refreshes = 0, everywheres = 0, stops = 0 }

local function fail(...)
  print(("FAILED with seed %d in round %d: "):format(seed, total.rounds) .. string.format(...))
  os.exit(1)
end

local function chance(thousandths)
  return math.random(1000) <= thousandths
end

-- ---- calls ----

local function options()
  return {
    on_error = "collect",
    timeout = chance(500) and ITEM_LIMIT or nil,
    retries = chance(300) and math.random(2) or nil,
    retry_delay = chance(500) and 0.01 or nil,
    chunksize = chance(300) and math.random(30) or nil,
    duplicate = chance(100) or nil,
  }
end

-- One outcome of one item against the model. Losses by kills from outside are counted.
local function check(round, call, i, err, ...)
  local fate = fates.of(call.salt, i, call.limited)
  local kind = fates.kind(fate)
  if err and err.kind == kind then
    if err.index ~= (call.form == "apply" and 1 or i) then
      fail("%s item %d: its error has index %s", call.form, i, err.index)
    end
  elseif err and (err.kind == "worker_lost" or err.kind == "timeout" and call.limited) then
    round.lost = round.lost + 1
  elseif err then
    fail("%s item %d (%s): %s", call.form, i, fate, err)
  elseif kind then
    fail("%s item %d (%s) did not fail", call.form, i, fate)
  elseif not fates.fits(call.salt, i, fate, ...) then
    fail("%s item %d (%s) returned something else", call.form, i, fate)
  end
end

local function source(call)
  local i = 0
  return function()
    i = i + 1
    if i <= call.n then
      return { call.salt, i, call.limited }
    end
  end
end

local function new_call(form)
  local given = options()
  return { form = form, salt = math.random(0), n = math.random(0, 400), given = given,
    limited = given.timeout ~= nil }
end

local forms = {}

function forms.map(pool)
  local call = new_call("map")
  call.result = pool:starmap_async(fates.run, source(call), call.given)
  return call
end

function forms.apply(pool)
  local call = new_call("apply")
  call.given.chunksize = nil
  call.n = math.random(100000)
  call.result = pool:apply_async(fates.run, { call.salt, call.n, call.limited }, call.given)
  return call
end

local function iterating(name)
  return function(pool)
    local call = new_call(name)
    call.iterator = pool["i" .. name](pool, fates.run, source(call), call.given)
    call.seen, call.came = {}, 0
    return call
  end
end

forms.starmap = iterating "starmap"
forms.starmap_unordered = iterating "starmap_unordered"

local NAMES = { "map", "apply", "apply", "starmap", "starmap_unordered" }

-- ---- what comes of them ----

local function is_error(value, i)
  return type(value) == "table" and value.kind ~= nil and value.index == i
end

local function take_next(round, call, i, ...)
  if i == nil then
    call.done = true
    if call.came ~= call.n then
      fail("%s gave %d of %d items", call.form, call.came, call.n)
    end
    return
  elseif call.seen[i] or i < 1 or i > call.n then
    fail("%s gave item %d twice or never asked for", call.form, i)
  elseif call.form == "starmap" and i ~= call.came + 1 then
    fail("starmap gave item %d behind %d", i, call.came)
  end
  call.seen[i], call.came = true, call.came + 1
  local first, second = ...
  if first == nil and is_error(second, i) then
    check(round, call, i, second)
  else
    check(round, call, i, nil, ...)
  end
end

local function pull(round, call)
  for _ = 1, 50 do
    if call.done then return end
    local got = table.pack(pcall(call.iterator.next, call.iterator, 0))
    if not got[1] then
      if got[2].kind ~= "timeout" or got[2].index then
        fail("%s: %s", call.form, got[2])
      end
      return
    end
    take_next(round, call, table.unpack(got, 2, got.n))
  end
end

local function check_map(round, call, values)
  if values.n ~= call.n then
    fail("map of %d items gave %d", call.n, values.n)
  end
  for i = 1, call.n do
    check(round, call, i, values.errors[i], values[i])
  end
end

local function check_result(round, call)
  local got = table.pack(pcall(call.result.get, call.result))
  call.done = true
  if call.cancelled and not got[1] and got[2].kind == "cancelled" then
    total.cancelled = total.cancelled + 1
  elseif call.form == "apply" then
    check(round, call, call.n, not got[1] and got[2] or nil, table.unpack(got, 2, got.n))
  elseif got[1] then
    check_map(round, call, got[2])
  else
    fail("map: %s", got[2])
  end
end

local function look(round, call)
  if call.done then
    return
  elseif call.iterator then
    pull(round, call)
  elseif call.result:ready() then
    check_result(round, call)
  end
end

-- ---- faults ----

local function signal(name, pid)
  os.execute(("kill -%s %d 2>/dev/null"):format(name, pid))
end

local function some_worker(pool)
  local workers = pool:workers()
  local worker = workers[math.random(math.max(#workers, 1))]
  return worker and worker.pid > 0 and worker.pid or nil
end

local function parent(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  local stat = file and file:read("a") or ""
  if file then file:close() end
  local ppid = tonumber(stat:match("^.*%) %a (%d+)"))
  return ppid and ppid > 1 and ppid ~= mp.getpid() and ppid or nil
end

local shakes = {}

function shakes.kill(round)
  local pid = some_worker(round.pool)
  if pid then
    round.may_lose = round.may_lose + 1
    total.kills = total.kills + 1
    signal("KILL", pid)
  end
end

function shakes.nursery(round)
  local pid = some_worker(round.pool)
  local nursery = pid and parent(pid)
  if nursery then
    round.may_lose = round.may_lose + 16
    total.nurseries = total.nurseries + 1
    signal("KILL", nursery)
  end
end

function shakes.stop(round)
  local pid = some_worker(round.pool)
  if pid then
    round.may_lose = round.may_lose + 1
    total.stops = total.stops + 1
    round.stopped[#round.stopped + 1] = pid
    signal("STOP", pid)
  end
end

function shakes.go_on(round)
  for _, pid in ipairs(round.stopped) do
    signal("CONT", pid)
  end
  round.stopped = {}
end

function shakes.resize(round)
  total.resizes = total.resizes + 1
  round.pool:resize(math.random(6))
end

function shakes.refresh(round)
  total.refreshes = total.refreshes + 1
  round.pool:refresh()
end

function shakes.cancel(round)
  local call = round.calls[math.random(#round.calls)]
  if call.result and not call.done and call.result:cancel() then
    call.cancelled = true
  end
end

local SHAKES = {
  { 15, "kill" }, { 17, "nursery" }, { 22, "stop" }, { 60, "go_on" }, { 70, "resize" },
  { 75, "refresh" }, { 85, "cancel" },
}

local function shake(round)
  local h = math.random(1000)
  for _, row in ipairs(SHAKES) do
    if h <= row[1] then
      return shakes[row[2]](round)
    end
  end
end

-- ---- rounds ----

local function unfinished(round)
  local n = 0
  for _, call in ipairs(round.calls) do
    n = n + (call.done and 0 or 1)
  end
  return n
end

local function run_calls(round)
  local deadline = mp.monotonic() + ROUND_LIMIT
  while unfinished(round) > 0 do
    for _, call in ipairs(round.calls) do
      look(round, call)
    end
    round.pool:poll(0.002)
    shake(round)
    if mp.monotonic() > deadline then
      fail("%d calls do not end; stats %s", unfinished(round), mp.dumps(round.pool:stats()))
    end
  end
  shakes.go_on(round)
end

local function check_stats(round)
  local s = round.pool:stats()
  if s.items ~= s.done + s.failed + s.cancelled then
    fail("stats: %d items, %d done, %d failed, %d cancelled", s.items, s.done, s.failed,
      s.cancelled)
  end
  total.items = total.items + s.items
end

local function end_pool(round)
  if chance(500) then
    local seen = round.pool:everywhere(mp.getpid)
    if seen.n < 1 then fail("everywhere ran nowhere") end
    total.everywheres = total.everywheres + 1
  end
  check_stats(round)
  if chance(200) then round.pool:terminate() else round.pool:close() end
  if not round.pool:join(END_LIMIT) then
    fail("the pool does not end")
  end
end

local function run_round()
  total.rounds = total.rounds + 1
  local round = { calls = {}, lost = 0, may_lose = 0, stopped = {} }
  round.pool = mp.Pool { processes = math.random(5), output = function() end,
    maxtasksperchild = chance(200) and math.random(50) or nil }
  for k = 1, math.random(8) do
    round.calls[k] = forms[NAMES[math.random(#NAMES)]](round.pool)
  end
  run_calls(round)
  end_pool(round)
  if round.lost > round.may_lose then
    fail("%d items lost to %d kills", round.lost, round.may_lose)
  end
  total.calls = total.calls + #round.calls
  total.lost = total.lost + round.lost
end

local function report()
  local names = {}
  for name in pairs(total) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = ("%s %d"):format(name, total[name]) end
  print(table.concat(names, ", "))
end

print(("seed %d"):format(seed))
math.randomseed(seed)
local before = leaks.snapshot()
local stop_at = mp.monotonic() + minutes * 60
while mp.monotonic() < stop_at do
  run_round()
  collectgarbage()
  local left = leaks.left(before)
  if left ~= "" then fail("left behind: %s", left) end
end
report()
