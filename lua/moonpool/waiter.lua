-- Whoever waits for this state in place of the library: a host with a loop of its own.
--
-- All that sleeps in the core has a version here that asks the waiter; mp.set_waiter puts the ones or
-- the others into the core's table, so that waiting costs nothing more where there is none. The
-- waiter may yield: no C function stands between it and who has called the library. Then others of
-- this process go on, so that what only they can end is waited for, too.

local core, require = ...

local errors = require "moonpool.errors"

local waiter = {}

local FIRST, LAST = 0.001, 0.02 -- seconds of a sleep that others end by a word in memory
local LONGEST = 1               -- between two doubts whether what a pool waits for will come
local JOIN = 0.005

local ask, host -- the waiter, and whose it is

local own, theirs = {}, {} -- the core's functions, and those that ask

local function left_until(deadline)
  return deadline and math.max(deadline - core.monotonic(), 0) or nil
end

local function least(seconds, most)
  return seconds and math.min(seconds, most) or most
end

-- Several that wait for one pool take one another's results in; who does not get its own by the
-- descriptor looks again soon.
local waiting = setmetatable({}, { __mode = "k" })

function theirs.wait(pool, deadline)
  local others = waiting[pool] or 0
  waiting[pool] = others + 1
  local fd = core.fileno(pool)
  core.rest(pool)
  local ok, ready = pcall(ask, { { fd, "r" } },
    least(left_until(deadline), others > 0 and LAST or LONGEST))
  waiting[pool] = waiting[pool] - 1
  if not ok then
    errors.throw(ready)
  end
  core.doubt(pool)
  return ready
end

function theirs.sleep_on(descriptors, deadline)
  local fds = {}
  for i, fd in ipairs(descriptors) do
    fds[i] = { fd, "r" }
  end
  ask(fds, left_until(deadline))
  return false
end

function theirs.nap(deadline)
  ask({}, left_until(deadline))
  return core.monotonic() >= (deadline or math.huge)
end

function theirs.join(pool, seconds)
  if own.join(pool, 0) then
    return true
  end
  ask({}, math.min(seconds, JOIN))
  return own.join(pool, 0)
end

function theirs.connection_sleep(self, deadline)
  local ready = ask({ { core.connection_fd(self), core.connection_sends(self) and "w" or "r" } },
    least(left_until(deadline), 0.05))
  local spoken, here = core.connection_spoken(select(3, core.connection_ends(self)))
  return ready or spoken or here
end

function theirs.barrier_check(self, round)
  own.barrier_check(self, round, true)
end

function theirs.command_step(command)
  local fds = core.command_fds(command)
  ask(fds, nil)
  return own.command_step(command, core.monotonic())
end

for _, name in ipairs { "lock_sleep", "semaphore_sleep", "event_sleep", "notice_sleep",
  "queue_await_message", "queue_await_room", "queue_await_finish" } do
  theirs[name] = function(_, n, deadline)
    ask({}, least(left_until(deadline), math.min(FIRST * 2 ^ math.min(n, 5), LAST)))
  end
end

-- A fork has inherited the waiter, but not the loop that it belongs to.
local function at_home(name, version)
  return function(...)
    if core.pid() == host then
      return version(...)
    end
    waiter.set(nil)
    return core[name](...)
  end
end

--- Every blocking call of this state waits by waiter(fds, seconds) from now on: fds is a list of
--- {descriptor, "r" or "w"}, seconds a number or nil, for ever; it returns true when one of them is
--- ready, false when the time is over, and may yield, or run its caller's loop. nil: as before.
function waiter.set(f)
  if f ~= nil and not errors.is_callable(f) then
    errors.argument("set_waiter", "the argument", "a function or nil", f)
  end
  ask, host = f, core.pid()
  for name, version in pairs(theirs) do
    own[name] = own[name] or core[name]
    core[name] = f and at_home(name, version) or own[name]
  end
end

return waiter
