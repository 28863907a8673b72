-- The account of a script that runs under a fault: at its end nothing may be left over and every
-- item have had one fate. Within the script under test:
--
--   account.pool({ workers = 2 }, function(pool) ... end)
--
-- prints what does not add up; nothing, if all does.
local leaks = require "spec.support.leaks"
local lfs = require "lfs"
local mp = require "moonpool"

local account = {}

--- What is left beside `before`; looks again for a second, since who was killed needs a moment.
function account.left(before)
  local deadline = mp.monotonic() + 1
  local left = leaks.left(before)
  while left ~= "" and mp.monotonic() < deadline do
    mp.sleep(0.01)
    left = leaks.left(before)
  end
  return left
end

--- Calls f(pool) with a pool in a block of its own. Where f returns a number, so many workers
--- must have been lost.
function account.pool(fields, f)
  local before = leaks.snapshot()
  local stats, lost
  do
    local pool <close> = mp.Pool(fields)
    lost = f(pool)
    pool:close()
    pool:join()
    stats = pool:stats()
  end
  if stats.items ~= stats.done + stats.failed + stats.cancelled then
    print(("account: %d items, %d done, %d failed, %d cancelled"):format(stats.items, stats.done,
      stats.failed, stats.cancelled))
  end
  if lost and stats.lost_workers ~= lost then
    print(("account: %d workers lost, not %d"):format(stats.lost_workers, lost))
  end
  local left = account.left(before)
  if left ~= "" then print("account: left behind: " .. left) end
end

--- The indices 1..n that failed as lost, as a text "3 17", with every other result checked:
--- results[i] == expected(i).
function account.lost(results, expected)
  local lost = {}
  for i = 1, results.n do
    local err = results.errors and results.errors[i]
    if err == nil then
      assert(results[i] == expected(i), ("item %d is wrong: %s"):format(i, tostring(results[i])))
    else
      assert(err.kind == "worker_lost" and err.index == i and math.type(err.pid) == "integer" and
        (err.signal or err.exitcode), "item " .. i .. ": " .. tostring(err))
      lost[#lost + 1] = i
    end
  end
  return table.concat(lost, " ")
end

--- Bytes of shared memory behind this process's descriptors.
function account.held()
  local bytes = 0
  for name in lfs.dir("/proc/self/fd") do
    local path = "/proc/self/fd/" .. name
    if (lfs.symlinkattributes(path, "target") or ""):find("memfd", 1, true) then
      bytes = bytes + lfs.attributes(path, "blocks") * 512
    end
  end
  return bytes
end

--- Sends a signal ("KILL", "STOP") to a process.
function account.signal(name, pid)
  assert(os.execute(("kill -%s %s"):format(name, pid)))
end

local function stat(pid)
  local file <close> = io.open(("/proc/%d/stat"):format(pid))
  return file and file:read("a") or ""
end

--- Whether the process lives: is there and no zombie.
function account.lives(pid)
  local state = stat(pid):match("^.*%) (%a)")
  return state ~= nil and state ~= "Z"
end

--- Kills a process, and waits until it does not live any more.
function account.kill(pid)
  account.signal("KILL", pid)
  while account.lives(pid) do mp.sleep(0.001) end
end

--- The pids of a pool's workers, all of them at work once.
function account.workers(pool)
  return pool:everywhere(mp.getpid)
end

--- The nursery of the worker `pid`; nil where that is gone.
function account.parent(pid)
  return tonumber(stat(pid):match("^.*%) %a (%d+)"))
end

return account
