-- What the pools of a process do, this one's or another's: for `moonpool top` and the prompt.
--
-- Everything is read out of /proc and of memory that the pools share with their workers; nobody
-- that is looked at notices. What differs from look to look (items a second, the share of a
-- processor) a viewer works out of two looks; with one look that is whole it is what the worker has
-- had on the average since it began.
--
-- Of an item it is known when it began where its call is timed (a journal, a timeline) or it is the
-- first of what its worker has taken up at once; else only when that was taken up, and that another
-- item still ran at some earlier look. Small items are taken up some tens of microseconds' worth at
-- a time, so that this is as good as known but for chunks that were asked for.

local core, require = ...

local crew = require "moonpool.crew"
local errors = require "moonpool.errors"
local pump = require "moonpool.pump"

local inspect = {}

local DISCOVER = 3      -- seconds between two looks for further programs
local BUDGET = 0.002    -- seconds that a look may take for what can be looked at later
local TICK <const> = 0.01   -- seconds: how exactly a process's beginning is known
local COMMAND <const> = 200 -- bytes of a command line

local Viewer = {}
Viewer.__index = Viewer

-- ---- processes ----

local function command_of(pid)
  local file = io.open(("/proc/%d/cmdline"):format(pid), "rb")
  local text = file and file:read(COMMAND) or ""
  if file then
    file:close()
  end
  local words = {}
  for word in text:gmatch("[^\0]+") do
    words[#words + 1] = word
  end
  if words[1] then
    words[1] = words[1]:match("[^/]*$")
  end
  return (core.fit(table.concat(words, " "), COMMAND))
end

-- Those that pools have bred may have pools of their own, but seldom do.
local function is_bred(pid)
  local entry = core.census_of(pid)
  return entry and (entry.name == "mp-nursery" or entry.name:find("^PoolWorker%-") ~= nil)
end

-- The processes never looked at, and the others, those first that were not for longest.
local function sort_out(viewer, pids)
  local new, others, known = {}, {}, {}
  for _, pid in ipairs(pids) do
    known[pid] = viewer.known[pid] or { bred = is_bred(pid), tried = 0 }
    local is_new = not viewer.known[pid] and not known[pid].bred
    local list = (viewer.whole or is_new) and new or others
    list[#list + 1] = pid
  end
  viewer.known = known
  table.sort(others, function(a, b)
    local x, y = known[a], known[b]
    if x.bred ~= y.bred then
      return not x.bred
    end
    return x.tried < y.tried or x.tried == y.tried and a < b
  end)
  return new, others
end

local function try(viewer, pid)
  local fds = core.peek_at(pid)
  viewer.known[pid].tried = core.monotonic()
  if fds and #fds > 0 then
    viewer.hosts[pid] = true
  end
end

-- Programs of this user that may have pools, into viewer.hosts.
local function discover(viewer)
  if not viewer.whole and viewer.discovered and core.monotonic() < viewer.discovered + DISCOVER then
    return
  end
  local new, others = sort_out(viewer, core.census() or {})
  for _, pid in ipairs(new) do
    try(viewer, pid)
  end
  viewer.discovered = core.monotonic()
  for _, pid in ipairs(others) do
    if core.monotonic() > viewer.discovered + BUDGET then
      break
    end
    try(viewer, pid)
  end
end

-- ---- what two looks tell, or one ----

-- How many items it has ended: the one that runs does not count yet.
local function ended(worker)
  return math.max(worker.begun - (worker.item and 1 or 0), 0)
end

local function compare(worker, before, time)
  if time <= 0 then
    return
  end
  local same = before and before.life == worker.life
  worker.rate = math.max(ended(worker) - (same and ended(before) or 0), 0) / time
  if same and worker.cpu and before.cpu then
    worker.share = math.max(worker.cpu - before.cpu, 0) / time
  end
end

local function average(worker)
  local entry = worker.pid and core.census_of(worker.pid)
  if entry and worker.state ~= "gone" then
    local age = math.max(entry.age, worker.cpu or 0, TICK)
    worker.rate = ended(worker) / age
    worker.share = worker.cpu and worker.cpu / age
  end
end

-- When the item began, at the earliest.
local function date(worker, before, now, before_now)
  local same = before and before.life == worker.life and before.begun == worker.begun
  worker.after = same and before.after or before_now
  if worker.item and worker.since then
    local since = worker.since
    if not worker.exact and worker.after and worker.after > since then
      since = worker.after
    end
    worker.seconds = math.max(now - since, 0)
  end
end

local function trace(viewer, key, pool)
  local before, seats = viewer.last[key], {}
  for _, worker in ipairs(pool.workers) do
    local old = before and before.seats[worker.number]
    seats[worker.number] = worker
    if before then
      compare(worker, old, pool.now - before.now)
    elseif viewer.whole then
      average(worker)
    end
    date(worker, old, pool.now, before and before.now)
  end
  viewer.next[key] = { now = pool.now, seats = seats }
end

-- ---- memory ----

-- Measuring costs much, so some workers have their turn at each look.
local function measure(viewer, pools)
  local turn, present = {}, {}
  for _, pool in ipairs(pools) do
    for _, worker in ipairs(pool.workers) do
      if worker.pid then
        turn[#turn + 1] = worker
        present[worker.pid] = viewer.memory[worker.pid]
      end
    end
  end
  viewer.memory = present
  local start = core.monotonic()
  for i = 1, #turn do
    local worker = turn[(viewer.turn + i - 1) % #turn + 1]
    if viewer.whole or core.monotonic() < start + BUDGET then
      viewer.memory[worker.pid] = core.census_memory(worker.pid)
      viewer.reached = viewer.turn + i
    end
    worker.memory = viewer.memory[worker.pid]
  end
  viewer.turn = viewer.reached or 0
end

-- ---- looking ----

local STATES <const> = { starting = 0, idle = 0, busy = 0, gone = 0 }

local function sum_up(pool)
  local counts, rate, share, handed = {}, nil, nil, 0
  for state in pairs(STATES) do
    counts[state] = 0
  end
  for _, worker in ipairs(pool.workers) do
    counts[worker.state] = counts[worker.state] + 1
    handed = handed + worker.held
    rate = worker.rate and (rate or 0) + worker.rate or rate
    share = worker.share and (share or 0) + worker.share or share
  end
  pool.counts, pool.rate, pool.share, pool.handed = counts, rate, share, handed
end

-- True if there is a pool.
local function look_at(viewer, host, fd, view)
  local pool, why, version = core.peek(host.pid, fd)
  if pool then
    pool.pid, pool.program, pool.command = host.pid, host.name, host.command
    trace(viewer, ("%d.%d.%d"):format(host.pid, host.start, fd), pool)
    view.pools[#view.pools + 1] = pool
  elseif why == "version" and (viewer.pid or not viewer.known[host.pid].bred) then
    view.problems[#view.problems + 1] =
      ("process %d (%s) has a pool of another version of Moonpool, laid out as number %d"):format(
        host.pid, host.name, version)
  end
  return pool ~= nil
end

-- A process, with what of it does not change; nil and a reason where it cannot be looked into.
local function host_of(viewer, pid)
  local entry, old, now = core.census_of(pid), viewer.host[pid], core.monotonic()
  if not entry or entry.state == "Z" or entry.state == "X" then
    return nil, ("there is no process %d"):format(pid)
  elseif old and old.start == entry.start and not old.changed and now < old.at + DISCOVER then
    return old
  end
  local fds, why = core.peek_at(pid)
  local name = core.fit(entry.name, COMMAND)
  if not fds then
    return nil, ("process %d (%s) cannot be looked into: %s; only programs of the same user can"):format(
      pid, name, why)
  end
  return { pid = pid, start = entry.start, at = now, name = name, fds = fds,
    command = #fds > 0 and command_of(pid) or "" }
end

local function look_into(viewer, pid, view)
  local host, why = host_of(viewer, pid)
  viewer.host[pid] = host
  if not host then
    return nil, why
  end
  for _, fd in ipairs(host.fds) do
    host.changed = not look_at(viewer, host, fd, view) or host.changed
  end
  return true
end

local function look_around(viewer, view)
  discover(viewer)
  local pids = {}
  for pid in pairs(viewer.hosts) do
    pids[#pids + 1] = pid
  end
  table.sort(pids)
  for _, pid in ipairs(pids) do
    if not viewer.known[pid] or not look_into(viewer, pid, view) then
      viewer.hosts[pid] = nil
      viewer.host[pid] = nil
    end
  end
end

--- What there is now: {time, pools, problems}. A pool is {pid, program, command, method, wanted,
--- waiting (granules in its ring), handed (those that workers hold), counts (of workers by state),
--- rate (items a second), share (of a processor), workers}; a worker {number, pid, state, item,
--- label (its function), seconds (that this item has run), exact, progress, memory (bytes), begun,
--- rate, share, paused, everywhere, held}. The first look at a pool knows neither rates nor shares.
--- nil and a reason where the process that was asked for is not there or cannot be looked into.
--- `whole`: all that takes its time, too, and averages since the worker began for what is not known.
function Viewer:look(whole)
  local view = { time = core.time(), pools = {}, problems = {} }
  self.whole, self.next = whole, {}
  if self.pid then
    local ok, why = look_into(self, self.pid, view)
    if not ok then
      return nil, why
    end
  else
    look_around(self, view)
  end
  self.last = self.next
  measure(self, view.pools)
  for _, pool in ipairs(view.pools) do
    sum_up(pool)
  end
  return view
end

--- A viewer of the pools of that process; without a pid of all of this user's.
function inspect.viewer(pid)
  if pid ~= nil and (math.type(pid) ~= "integer" or pid < 1) then
    errors.argument("inspect.viewer", "pid", "a process's number", pid)
  end
  return setmetatable({ pid = pid, host = {}, hosts = {}, known = {}, last = {}, memory = {}, turn = 0 }, Viewer)
end

-- ---- where a worker is ----

local ASK_AGAIN = 0.05  -- seconds: what was asked between two items nobody answers
local PATIENCE = 5      -- seconds that `where` waits

-- The pool of this process and the rank that has that worker.
local function find_worker(pid)
  for _, pool in ipairs(crew.open_pools()) do
    for rank = 1, pool.processes do
      local number, worker_pid = core.worker_at(pool.core, rank)
      if number and worker_pid == pid then
        return pool, rank, number
      end
    end
  end
end

-- What it has answered to the question of that number or a later one.
local function answer_of(pool, number, pid, asked)
  local text = pool.answers and pool.answers[number]
  local question, answerer, stack = (text or ""):match("^(%d+) (%d+)\n(.*)$")
  if question and tonumber(answerer) == pid and tonumber(question) >= asked then
    pool.answers[number] = nil
    return stack
  end
end

-- Whether it may still answer; a reason, if it will not.
local function may_answer(pool, rank, pid)
  local _, there, state = nil, nil, nil
  if pool.state ~= "joined" then
    _, there, state = core.worker_at(pool.core, rank)
  end
  if there ~= pid then
    return nil, ("worker %d has ended"):format(pid)
  elseif state ~= "busy" then
    return nil, ("worker %d is %s"):format(pid, state)
  end
  local entry = core.census_of(pid)
  if entry and entry.state == "T" then
    return nil, ("worker %d is stopped"):format(pid)
  end
  return true
end

local function await_answer(pool, rank, number, pid, timeout)
  local deadline = core.monotonic() + timeout
  local asked
  repeat
    local question = core.ask(pool.core, rank)
    asked = asked or question
    local again = core.monotonic() + ASK_AGAIN
    repeat
      pump.turn(pool)
      local stack = asked and answer_of(pool, number, pid, asked)
      if stack then
        return stack
      end
      local ok, why = may_answer(pool, rank, pid)
      if not ok then
        return nil, why
      end
      pump.pause(pool, math.min(again, deadline))
    until core.monotonic() >= math.min(again, deadline)
  until core.monotonic() >= deadline
  return nil, ("no answer within %g seconds; it is in a C function, or has a hook of its own"):format(timeout)
end

--- The Lua stack of a busy worker of one of this process's pools, as a traceback that the worker
--- itself makes before its next instruction, and goes on; nil and a reason where there is none, as
--- when it is in a C function for longer than `timeout` seconds (5).
function inspect.where(pid, timeout)
  if math.type(pid) ~= "integer" or pid < 1 then
    errors.argument("where", "pid", "a worker's pid", pid)
  end
  timeout = timeout or PATIENCE
  if type(timeout) ~= "number" or timeout ~= timeout or timeout < 0 then
    errors.argument("where", "timeout", "a number of seconds", timeout)
  end
  local pool, rank, number = find_worker(pid)
  if not pool then
    return nil, ("process %d is no worker of this program's pools"):format(pid)
  elseif pool.dispatching then
    return nil, "it cannot be asked within a callback"
  end
  return await_answer(pool, rank, number, pid, timeout)
end

return inspect
