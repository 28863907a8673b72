-- as_completed: results in the order in which they finish.

local core, require = ...

local AsyncResult = require "moonpool.result"
local errors = require "moonpool.errors"
local pump = require "moonpool.pump"

local completed = {}

local SLICE = 0.005 -- seconds that one of several pools is waited for at a time

-- Those that are done go to the queue now, the others when they finish; the pools of these.
local function watch(results, queue)
  local pools, known = {}, {}
  for i, result in ipairs(results) do
    if getmetatable(result) ~= AsyncResult then
      errors.argument("as_completed", ("item %d"):format(i), "an AsyncResult", result)
    end
    if result.done then
      queue[#queue + 1] = result
    else
      core.attend(result.call)
      result.watchers = result.watchers or {}
      table.insert(result.watchers, queue)
      if not known[result.pool] then
        known[result.pool] = true
        pools[#pools + 1] = result.pool
      end
    end
  end
  return pools
end

local function pause_all(pools, deadline)
  local slice = #pools > 1 and core.monotonic() + SLICE or deadline
  for _, pool in ipairs(pools) do
    pump.pause(pool, deadline and slice and math.min(slice, deadline) or slice)
  end
end

local function turn_all(pools)
  local happened = false
  for _, pool in ipairs(pools) do
    happened = pump.turn(pool) or happened
  end
  return happened
end

--- An iterator over a list of AsyncResults, in the order in which they finish. A "timeout"
--- error when `timeout` seconds have passed since its making and some are not done.
function completed.iterate(results, timeout)
  if type(results) ~= "table" then
    errors.argument("as_completed", "the first argument", "a list of AsyncResults", results)
  end
  local queue, given, deadline = {}, 0, pump.deadline(timeout)
  local pools = watch(results, queue)
  return function()
    if given == #results then
      return nil
    end
    while #queue == given do
      if not turn_all(pools) and #queue == given then
        if deadline and core.monotonic() >= deadline then
          errors.raise("timeout", ("as_completed: %d of %d not done after %g seconds"):format(
            #results - given, #results, timeout))
        end
        pause_all(pools, deadline)
      end
    end
    given = given + 1
    return queue[given]
  end
end

return completed
