-- AsyncResult: what apply_async and map_async give at once.
--
-- Invariant: one that is done, and whose callback was called, does not refer to its pool (`pool` is
-- false): who keeps results keeps no workers.

local core, require = ...

local errors = require "moonpool.errors"
local kinds = require "moonpool.kinds"
local pump = require "moonpool.pump"

local AsyncResult = kinds.class "AsyncResult"
AsyncResult.__index = AsyncResult

local next_id = 0

-- What most have in common stands here, so that a plain one has four fields only: a hundred
-- thousand of them are waited for at once.
AsyncResult.shape = "apply" -- or "map"
AsyncResult.collect = false -- whether a map's errors are among its values

--- A result of `pool` for a call that is about to be made.
function AsyncResult.new(pool)
  next_id = next_id + 1
  return setmetatable({
    pool = pool,
    id = next_id,
    done = false,
    call = false, -- by the call's making
  }, AsyncResult)
end

--- The same for a call with callbacks.
function AsyncResult.called_back(pool, options)
  local result = AsyncResult.new(pool)
  result.callback = options.callback
  result.error_callback = options.error_callback
  return result
end

-- The first of the `given` items that has neither a value nor an error in `by_index`; nil where it cannot
-- be told, since some of the `done` values are nil.
local function first_missing(values, by_index, given, done)
  local first, there = nil, 0
  for i = 1, given do
    if values[i] ~= nil then
      there = there + 1
    elseif not first and not (by_index and by_index[i]) then
      first = i
    end
  end
  return there == done and first or nil
end

local function cancelled(result, first)
  if result.pool.broken then
    return result.pool.broken
  end
  local state = result.pool.state
  return errors.new("cancelled",
    state == "terminated" and "the pool was terminated before it was done" or "it was cancelled",
    { index = first })
end

-- What the call's end means: `error` is set, or the values stand.
function AsyncResult:_finish()
  local given, done, failed = core.counts(self.call)
  local lowest, by_index
  if failed > 0 then
    lowest, by_index = core.errors(self.call)
  end
  if lowest and (not self.collect or by_index[lowest].kind == "initializer") then
    self.error = by_index[lowest]
    if self.shape == "map" then
      self.error.results = core.values(self.call)
    end
  elseif done + failed < given then
    local values = self.shape == "map" and core.values(self.call) or nil
    self.error = cancelled(self, values and first_missing(values, by_index, given, done))
    self.error.results = values
  elseif self.collect and self.shape == "map" then
    local values = core.values(self.call)
    values.errors, values.failed = by_index or {}, failed
  elseif lowest then
    self.error = by_index[lowest]
  end
  local watchers = self.watchers
  for i = watchers and #watchers or 0, 1, -1 do
    local queue = watchers[i]
    queue[#queue + 1] = self
    watchers[i] = nil
  end
  self.done = true
  self.pool = (self.callback or self.error_callback) and self.pool or false
end

--- The values, or raises the failure. A "timeout" error after `timeout` seconds.
function AsyncResult:get(timeout)
  errors.check_self(self, AsyncResult, "get", "result")
  local deadline = pump.deadline(timeout)
  if not self.done then
    local lazy = self.shape == "map" and self.pool.listening == 0
    if not pump.until_over(self.pool, self, deadline, lazy) then
      errors.raise("timeout", ("not done after %g seconds"):format(timeout))
    end
  end
  if self.error ~= nil then
    errors.throw_kept(self.error)
  end
  return core.values(self.call)
end

--- True when done, false when `timeout` seconds have passed before.
function AsyncResult:wait(timeout)
  errors.check_self(self, AsyncResult, "wait", "result")
  return pump.until_over(self.pool, self, pump.deadline(timeout))
end

--- True when done.
function AsyncResult:ready()
  errors.check_self(self, AsyncResult, "ready", "result")
  if not self.done then
    pump.turn(self.pool)
  end
  return self.done
end

--- Takes it back, or stops what runs of it: true; false if it was done before. It then
--- fails with a "cancelled" error, which its error_callback gets.
function AsyncResult:cancel()
  errors.check_self(self, AsyncResult, "cancel", "result")
  if self:ready() then
    return false
  end
  core.limit(self.call, 0)
  pump.turn(self.pool)
  return true
end

--- Whether it ended without an error; raises while it is not ready.
function AsyncResult:successful()
  errors.check_self(self, AsyncResult, "successful", "result")
  if not self:ready() then
    errors.raise("state", "successful: the result is not ready yet")
  end
  return self.error == nil
end

function AsyncResult:__tostring()
  local state = not self.done and "pending" or self.error ~= nil and "failed" or "done"
  return ("AsyncResult %d (%s)"):format(self.id, state)
end

return AsyncResult
