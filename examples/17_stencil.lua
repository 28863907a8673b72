-- A barrier: heat spreads along a rod whose points lie in a shared Array. Each process computes its
-- part of a step, and none begins the next before all have done this one.

local mp = require "moonpool"

local POINTS, STEPS, PROCESSES = 60, 400, 3

local old, new = mp.Array("d", POINTS), mp.Array("d", POINTS)
local barrier = mp.Barrier(PROCESSES)

local function step(from, to, first, last)
  for i = first, last do
    to[i] = from[i] + 0.4 * ((from[i - 1] or 0) - 2 * from[i] + (from[i + 1] or 0))
  end
end

local function compute(first, last)
  for _ = 1, STEPS // 2 do
    step(old, new, first, last)
    barrier:wait()
    step(new, old, first, last)
    barrier:wait()
  end
end

-- The same by one process, to compare with.
local function alone()
  local a, b = {}, {}
  for i = 1, POINTS do
    a[i] = 0
  end
  a[POINTS // 2] = 1000
  for _ = 1, STEPS // 2 do
    step(a, b, 1, POINTS)
    step(b, a, 1, POINTS)
  end
  return a
end

old[POINTS // 2] = 1000
local processes = {}
for k = 1, PROCESSES do
  local part = POINTS // PROCESSES
  processes[k] = mp.Process{ target = compute, args = { (k - 1) * part + 1, k * part } }
  processes[k]:start()
end
for _, process in ipairs(processes) do
  process:join()
end

local expected, same = alone(), true
for i = 1, POINTS do
  same = same and old[i] == expected[i]
end
for i = 5, POINTS, 10 do
  print(("%2d %6.2f %s"):format(i, old[i], ("="):rep(math.floor(old[i]))))
end
print(same and "as computed by one process" or "NOT as computed by one process")
