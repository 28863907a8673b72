-- mp.wait: which of several objects are ready.
--
-- A kind of object says how by two functions: `ready(object)`, which may take in what has
-- come, and `descriptor(object)`, readable at the latest when it is to be asked again.

local core, require = ...

local errors = require "moonpool.errors"
local progress = require "moonpool.progress"
local pump = require "moonpool.pump"

local wait = {}

local VAIN = 0.05 -- seconds behind which it is doubted that something comes

local kinds = {}

--- Lets mp.wait take objects of that metatable. `more` may have `slice`, seconds after which they
--- are asked again in any case; `rest`, to be called behind the waiting; and `deserted(object)`:
--- whether nobody is left who could make it ready, which makes it so when it was waited for in vain.
function wait.register(metatable, ready, descriptor, more)
  more = more or {}
  kinds[metatable] = { ready = ready, descriptor = descriptor, rest = more.rest,
    slice = more.slice or more.deserted and VAIN, deserted = more.deserted }
end

local function kind_of(object)
  local metatable = getmetatable(object)
  local kind = metatable and kinds[metatable]
  if not kind then
    errors.argument("wait", "each object", "a Process, an AsyncResult, a Connection or a Queue", object)
  end
  return kind
end

-- Those of which their kind's function of that name says so.
local function those(objects, says)
  local list = {}
  for _, object in ipairs(objects) do
    local is = kind_of(object)[says]
    if is and is(object) then
      list[#list + 1] = object
    end
  end
  return list
end

-- Sleeps until one may be ready. They are asked between their descriptors and the sleep, since
-- some begin to call only then.
local function sleep(objects, deadline)
  local descriptors, slice, rest = {}, deadline, nil
  for i, object in ipairs(objects) do
    local kind = kind_of(object)
    descriptors[i] = kind.descriptor(object)
    if kind.slice then
      slice = math.min(slice or math.huge, core.monotonic() + kind.slice)
    end
    rest = kind.rest or rest
  end
  local ready = those(objects, "ready")
  if #ready == 0 then
    if progress.active then
      slice = progress.deadline(slice)
    end
    core.sleep_on(descriptors, slice)
    ready = those(objects, "ready")
  end
  if rest then
    rest()
  end
  return ready
end

--- The list of those of `objects` that are ready, in their order: processes that have ended,
--- results that are there, connections and queues that hold something. Waits for one of them,
--- `timeout` seconds at most; the list is empty then.
function wait.any(objects, timeout)
  if type(objects) ~= "table" then
    errors.argument("wait", "the first argument", "a list", objects)
  end
  local deadline, began = pump.deadline(timeout), core.monotonic()
  local ready = those(objects, "ready")
  while #ready == 0 and (deadline or #objects > 0) do
    if deadline and core.monotonic() >= deadline then
      break
    end
    ready = sleep(objects, deadline)
    if #ready == 0 and core.monotonic() - began >= VAIN then
      ready = those(objects, "deserted")
    end
  end
  return ready
end

return wait
