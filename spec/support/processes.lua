-- For scripts under test that make processes, and kill them.
local mp = require "moonpool"

local processes = {}

--- A daemon that runs f(...).
function processes.start(f, ...)
  local p = mp.Process{ target = f, args = table.pack(...), daemon = true }
  p:start()
  return p
end

--- Kills it, and waits until it is gone.
function processes.kill(p)
  p:kill()
  p:join()
end

--- Kills it some instants after now, others for each i.
function processes.kill_at_some_instant(p, i)
  local from = mp.monotonic()
  while mp.monotonic() - from < (i % 50) * 4e-5 do end
  processes.kill(p)
end

--- The kind of error that f(...) raises, and the error; false where it raises none.
function processes.kind(f, ...)
  local ok, err = pcall(f, ...)
  return not ok and err.kind, err
end

return processes
