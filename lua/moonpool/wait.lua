-- mp.wait: which of several objects are ready.
--
-- A kind of object says how by two functions: `ready(object)`, which may take in what has
-- come, and `descriptor(object)`, readable at the latest when it is to be asked again.

local core, require = ...

local errors = require "moonpool.errors"
local pump = require "moonpool.pump"

local wait = {}

local kinds = {}

--- Lets mp.wait take objects of that metatable.
function wait.register(metatable, ready, descriptor)
  kinds[metatable] = { ready = ready, descriptor = descriptor }
end

local function kind_of(object)
  local metatable = getmetatable(object)
  local kind = metatable and kinds[metatable]
  if not kind then
    errors.argument("wait", "each object", "a Process, an AsyncResult or a Connection", object)
  end
  return kind
end

local function ready_of(objects)
  local ready = {}
  for _, object in ipairs(objects) do
    if kind_of(object).ready(object) then
      ready[#ready + 1] = object
    end
  end
  return ready
end

--- The list of those of `objects` that are ready, in their order: processes that have ended,
--- results that are there. Waits for one of them, `timeout` seconds at most; the list is
--- empty then.
function wait.any(objects, timeout)
  if type(objects) ~= "table" then
    errors.argument("wait", "the first argument", "a list", objects)
  end
  local deadline = pump.deadline(timeout)
  local ready = ready_of(objects)
  while #ready == 0 and (deadline or #objects > 0) do
    if deadline and core.monotonic() >= deadline then
      break
    end
    local descriptors = {}
    for i, object in ipairs(objects) do
      descriptors[i] = kind_of(object).descriptor(object)
    end
    core.sleep_on(descriptors, deadline)
    ready = ready_of(objects)
  end
  return ready
end

return wait
