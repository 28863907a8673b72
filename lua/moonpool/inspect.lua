-- What the pools of a process do, this one's or another's: for `moonpool top` and the prompt.
--
-- Everything is read out of /proc and of memory that the pools share with their workers; nobody
-- that is looked at notices. What differs from look to look (items a second, the share of a
-- processor) a viewer works out of two looks.
--
-- Of an item it is known when it began where its call is timed (a journal, a timeline) or it is the
-- first of what its worker has taken up at once; else only when that was taken up, and that another
-- item still ran at some earlier look. Small items are taken up some tens of microseconds' worth at
-- a time, so that this is as good as known but for chunks that were asked for.

local core, require = ...

local errors = require "moonpool.errors"

local inspect = {}

local DISCOVER = 3      -- seconds between two looks for further programs
local BUDGET = 0.002    -- seconds that a look may take for what can be looked at later
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

local function key_of(entry)
  return ("%d.%d"):format(entry.pid, entry.start)
end

local function is_bred(name)
  return name == "mp-nursery" or name:find("^PoolWorker%-") ~= nil
end

-- Whom to look at first: those who have nurseries, and those never looked at.
local function sort_out(viewer, all)
  local has_nursery, first, rest = {}, {}, {}
  for _, entry in ipairs(all) do
    if entry.name == "mp-nursery" then
      has_nursery[entry.pid] = true
      has_nursery[entry.parent] = true
    end
  end
  local known = {}
  for _, entry in ipairs(all) do
    local key = key_of(entry)
    known[key] = viewer.known[key] or false
    if viewer.whole or has_nursery[entry.pid] or known[key] == false and not is_bred(entry.name) then
      first[#first + 1] = entry
    else
      rest[#rest + 1] = entry
    end
  end
  viewer.known = known
  return first, rest
end

local function try(viewer, entry)
  local fds = core.peek_at(entry.pid)
  viewer.known[key_of(entry)] = core.monotonic()
  if fds and #fds > 0 then
    viewer.hosts[entry.pid] = entry
  end
end

-- Programs of this user that may have pools, into viewer.hosts.
local function discover(viewer)
  local now = core.monotonic()
  if not viewer.whole and viewer.discovered and now < viewer.discovered + DISCOVER then
    return
  end
  viewer.discovered = now
  local first, rest = sort_out(viewer, core.census())
  for _, entry in ipairs(first) do
    try(viewer, entry)
  end
  table.sort(rest, function(a, b)
    local x, y = viewer.known[key_of(a)] or 0, viewer.known[key_of(b)] or 0
    return x < y or x == y and a.pid < b.pid
  end)
  now = core.monotonic()
  for _, entry in ipairs(rest) do
    if core.monotonic() > now + BUDGET then
      break
    end
    try(viewer, entry)
  end
end

-- ---- what two looks tell ----

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

local function look_at(viewer, entry, fd, view)
  local pool, why, version = core.peek(entry.pid, fd)
  if pool then
    pool.pid, pool.program, pool.command, pool.fd = entry.pid, entry.name, entry.command, fd
    trace(viewer, key_of(entry) .. "." .. fd, pool)
    view.pools[#view.pools + 1] = pool
  elseif why == "version" then
    view.problems[#view.problems + 1] =
      ("process %d (%s) has a pool of another version of Moonpool, laid out as number %d"):format(
        entry.pid, entry.name, version)
  end
end

-- Whether it may be looked into, and why not.
local function look_into(viewer, pid, view)
  local entry = core.census_of(pid)
  if not entry or entry.state == "Z" or entry.state == "X" then
    return nil, ("there is no process %d"):format(pid)
  end
  local fds, why = core.peek_at(pid)
  if not fds then
    return nil, ("process %d (%s) cannot be looked into: %s; only programs of the same user can"):format(
      pid, core.fit(entry.name, COMMAND), why)
  end
  entry.name = core.fit(entry.name, COMMAND)
  entry.command = #fds > 0 and command_of(pid) or nil
  for _, fd in ipairs(fds) do
    look_at(viewer, entry, fd, view)
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
    if not look_into(viewer, pid, view) then
      viewer.hosts[pid] = nil
    end
  end
end

--- What there is now: {time, pools, problems}. A pool is {pid, program, command, method, wanted,
--- waiting (granules in its ring), handed (those that workers hold), counts (of workers by state),
--- rate (items a second), share (of a processor), workers}; a worker {number, pid, state, item,
--- label (its function), seconds (that this item has run), exact, progress, memory (bytes), begun,
--- rate, share, paused, everywhere, held}. The first look knows neither rates nor shares. nil and a
--- reason where the process that was asked for is not there or cannot be looked into. `whole`: all
--- that takes its time, too.
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
  return setmetatable({ pid = pid, hosts = {}, known = {}, last = {}, memory = {}, turn = 0 }, Viewer)
end

return inspect
