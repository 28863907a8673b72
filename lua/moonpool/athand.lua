-- Small things that a script of experiments wants at hand.

local core, require = ...

local errors = require "moonpool.errors"

local athand = {}

local function timed(before, ...)
  return core.monotonic() - before, ...
end

--- The seconds that one call of f(...) takes, then its results.
function athand.timeit(f, ...)
  if not errors.is_callable(f) then
    errors.argument("timeit", "the first argument", "a function", f)
  end
  return timed(core.monotonic(), f(...))
end

--- The paths that match the patterns, as the shell has them (`*`, `?`, `[a-z]`, `{a,b}`): each once,
--- sorted by bytes.
function athand.glob(...)
  local found, seen = {}, {}
  for i = 1, select("#", ...) do
    local pattern = select(i, ...)
    if type(pattern) ~= "string" then
      errors.argument("glob", ("argument %d"):format(i), "a pattern", pattern)
    end
    for _, path in ipairs(core.glob(pattern)) do
      if not seen[path] then
        seen[path] = true
        found[#found + 1] = path
      end
    end
  end
  table.sort(found)
  return found
end

return athand
