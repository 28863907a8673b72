-- How many items a second come of tasks of one length:
--
--   moonpool spec/bench/length.lua pool|serial WORKERS ROUNDS ITEMS [CHUNK]
--
-- ROUNDS is the length of a task, in rounds of a loop; see length.py for its twin.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local rounds, items, chunk = tonumber(arg[3]), tonumber(arg[4]), tonumber(arg[5])

local function spin(n)
  local x = 1
  for _ = 1, n do x = (x * 16807) % 2147483647 end
  return x
end

-- Each item has its number, so that none can be told by another.
local function task(i)
  return spin(rounds) + i
end

local function serial()
  local results = {}
  for i = 1, items do results[i] = task(i) end
  return results
end

bench.throughput {
  items = items,
  pool = function(pool) return pool:map(task, mp.range(items), chunk) end,
  serial = serial,
  checksum = bench.sum,
}
