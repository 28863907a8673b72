-- Runs a script under injected faults, in a process of its own with a hard time limit, and holds
-- it to account: see account.lua, which the script finds as `account`.
--
--   fault.says("7\n", [[ account.pool(2, function(pool) ... end) ]],
--     { failpoints = "claim.after/1:kill@3" })
--
-- Fails where the script prints anything else, ends with an error, takes too long, or leaves a
-- process behind.
local lfs = require "lfs"
local script = require "spec.support.script"

local fault = {}

-- What one script may take, on a busy machine.
local SECONDS = (os.getenv("MOONPOOL_SANITIZE") or "") == "" and 120 or 240
local FRAME = 'local account = require "spec.support.account"; '

--- Calls f(path) with the path of an empty directory, which is removed behind it.
function fault.with_directory(f)
  local path = script.temporary()
  os.remove(path)
  assert(lfs.mkdir(path))
  local results = table.pack(pcall(f, path))
  for entry in lfs.dir(path) do os.remove(path .. "/" .. entry) end
  lfs.rmdir(path)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local function words(options, directory)
  local list = { "timeout --foreground -s KILL " .. SECONDS }
  if options.failpoints then
    list[#list + 1] = ("env MOONPOOL_FAILPOINTS=%s MOONPOOL_FAILPOINT_DIR=%s"):format(
      options.failpoints, directory)
  end
  list[#list + 1] = options.under
  return table.concat(list, " ")
end

--- Runs the source; `options` as those of script.run, and `failpoints` (see failpoint.h). Gives
--- what script.run does, and `passed`: how often places with a budget acted.
function fault.run(source, options)
  options = options or {}
  return fault.with_directory(function(directory)
    local r = script.run(FRAME .. source, { program = options.program, args = options.args,
      input = options.input, under = words(options, directory) })
    r.passed = 0
    for entry in lfs.dir(directory) do
      if entry ~= "." and entry ~= ".." then r.passed = r.passed + 1 end
    end
    if not script.left_nothing(r) then
      error(("processes are left\n%s%s"):format(r.output, r.errors), 3)
    end
    return r
  end)
end

--- Runs the source, which must print `expected` and end well.
function fault.says(expected, source, options)
  local r = fault.run(source, options)
  if r.output ~= expected or r.code ~= 0 then
    error(("said %q instead of %q, ended with %s\n%s"):format(r.output, expected,
      r.code or "signal " .. r.signal, r.errors), 2)
  end
  return r
end

return fault
