-- What a pool does between its calls, and its end: waiting for all, its descriptor, close, join and
-- terminate, leaving its block, being collected.
--
-- Invariant: a pool ends once, whichever of these comes first, and in whatever callback; what it has
-- told until then is given out before it is gone.

local core, require = ...

local errors = require "moonpool.errors"
local later = require "moonpool.later"
local progress = require "moonpool.progress"
local pump = require "moonpool.pump"
local timeline = require "moonpool.timeline"

local journal = later "moonpool.journal"

local lifetime = {}

local JOIN_SLICE = 0.05 -- seconds of a join between two chances for a Ctrl-C

local function raise_callback_error(pool)
  local first = pool.first_callback_error
  pool.first_callback_error = nil
  if first then
    errors.throw(first[1])
  end
end

-- Turns while the pool is busy in the given sense: true; false at the deadline.
local function turn_while(pool, busy, deadline)
  while busy(pool) do
    if not pump.turn(pool) and busy(pool) then
      if deadline and core.monotonic() >= deadline then
        return false
      end
      pump.pause(pool, deadline)
    end
  end
  return true
end

-- Calls are outstanding, or callbacks wait that may run now.
local function has_calls(pool)
  return core.outstanding(pool.core) > 0
    or (not pool.dispatching and pool.callbacks.first <= pool.callbacks.last)
end

-- Items are with workers, of released calls too.
local function has_items(pool)
  return core.busy(pool.core)
end

local function cut_streams(pool)
  local open = {}
  for stream in pairs(pool.streams) do
    open[#open + 1] = stream
  end
  for _, stream in ipairs(open) do
    stream:cut()
  end
end

-- Whether somebody should have ended it: at a prompt pools are replaced by assignment.
local function is_missed(pool)
  if pool.state == "open" and not pool.at_prompt then
    return true
  end
  return (pool.state == "open" or pool.state == "closed") and core.outstanding(pool.core) > 0
end

-- Lets released work run out, then tells the workers to leave.
local function finish(pool, deadline)
  cut_streams(pool)
  if not turn_while(pool, has_items, deadline) then
    return false
  end
  core.finish(pool.core)
  pool.finishing = true
  return true
end

-- What they say on their way out is taken in meanwhile: they wait for room for it.
local function await_workers(pool, deadline)
  local left, gone
  repeat
    left = deadline and deadline - core.monotonic() or JOIN_SLICE
    local slice = pump.turn(pool) and 0 or math.min(left, JOIN_SLICE)
    gone = pool.state == "joined" or core.join(pool.core, slice)
  until gone or left <= 0
  return gone
end

-- The last words of workers that are gone. They may have ended the pool.
local function hear_out(pool)
  while pump.turn(pool) do end
  if pool.state ~= "joined" then
    pump.give_texts(pool)
  end
end

--- Gives Pool its methods. check_self(pool, name) raises where it is no pool.
function lifetime.install(Pool, check_self)
  --- Takes in results until nothing is outstanding: true; false after `timeout`
  --- seconds. Raises the first callback error. Imaps do not count.
  function Pool:wait(timeout)
    check_self(self, "wait")
    local drained = turn_while(self, has_calls, pump.deadline(timeout))
    raise_callback_error(self)
    return drained
  end

  --- Takes in what has finished and runs callbacks, waiting for that up to `seconds`
  --- (0 when left out); true if anything happened.
  function Pool:poll(seconds)
    check_self(self, "poll")
    local deadline = pump.deadline(seconds)
    local happened = pump.turn(self)
    while not happened and self.state ~= "joined" and deadline and core.monotonic() < deadline do
      pump.pause(self, deadline)
      happened = pump.turn(self)
    end
    if self.state ~= "joined" then
      core.rest(self.core)
    end
    return happened
  end

  --- A descriptor that is readable when poll(0) has something to do.
  function Pool:fileno()
    check_self(self, "fileno")
    if self.state == "joined" then
      errors.raise("closed", "fileno: the pool is closed")
    end
    local fd = core.fileno(self.core)
    core.rest(self.core)
    return fd
  end

  --- What has come of the pool's items so far: {tasks, items, done, failed, cancelled, retried,
  --- lost_workers, bytes_out, bytes_in, busy_seconds, callback_errors}.
  function Pool:stats()
    check_self(self, "stats")
    local stats = self.last_stats or core.stats(self.core)
    stats.callback_errors = self.callback_errors
    return stats
  end

  --- No more work is taken; what is submitted goes on. May be called again.
  function Pool:close()
    check_self(self, "close")
    if self.state == "open" then
      self.state = "closed"
    end
  end

  --- Cancels everything and kills the workers. May be called again.
  function Pool:terminate()
    check_self(self, "terminate")
    if self.state ~= "terminated" and self.state ~= "joined" and core.owns(self.core) then
      core.terminate(self.core)
      self.state = "terminated"
      pump.turn(self)
      if self.state == "terminated" then
        self.last_stats = core.stats(self.core)
        timeline.finish(self)
      end
    end
  end

  --- After close or terminate: true when all workers are gone, false when `timeout`
  --- seconds are over. Submitted work and its callbacks finish first. Raises the first
  --- callback error.
  function Pool:join(timeout)
    check_self(self, "join")
    if self.state == "joined" then
      raise_callback_error(self)
      return true
    elseif not core.owns(self.core) then
      errors.raise("closed",
        "join: this pool belongs to the process that made it; make one of your own here")
    elseif self.state == "open" then
      errors.raise("state", "join: the pool is open; call close or terminate first")
    end
    local deadline = pump.deadline(timeout)
    if not turn_while(self, has_calls, deadline) then
      return false
    end
    if self.state == "closed" and not self.finishing and not finish(self, deadline) then
      return false
    end
    if not await_workers(self, deadline) then
      return false
    end
    hear_out(self)
    if self.state == "joined" then
      return self:join()
    end
    self.last_stats = self.last_stats or core.stats(self.core)
    self.state = "joined"
    pump.release_sent()
    cut_streams(self)
    if self.journals then
      journal.finish_all(self)
    end
    timeline.keep(self)
    core.free(self.core)
    local unwritten = timeline.finish(self)
    raise_callback_error(self)
    if unwritten then
      errors.throw(unwritten)
    end
    return true
  end

  --- Leaving the block: normally close and join, by an error terminate and join.
  function Pool:__close(err)
    if self.state == "joined" or not core.owns(self.core) then
      return
    end
    if err ~= nil then
      self:terminate()
      self.first_callback_error = nil
      pcall(self.join, self)
    else
      self:close()
      self:join()
    end
  end

  function Pool:__gc()
    if self.state ~= "joined" and core.owns(self.core) then
      if is_missed(self) then
        warn("moonpool: a pool was collected without close and join, or terminate; it is terminated")
      end
      progress.leave(self)
      timeline.finish(self)
      if self.journals then
        journal.finish_all(self)
      end
      core.free(self.core)
    end
  end
end

return lifetime
