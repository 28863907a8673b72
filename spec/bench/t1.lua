-- T1: the tail of a map: from the end of its last item to its return, the median of 300 maps of 64
-- short items; and what a map of 1,000 items of 0.1 ms takes with one of 30 ms in their midst, by the
-- ideal.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local MAPS, ITEMS, SHORT = 300, 64, 20000        -- nanoseconds
local TASKS, TASK, STRAGGLER = 1000, 1e-4, 3e-2  -- seconds

local now = mp.monotonic

local function until_later(seconds)
  local start = now()
  repeat local t = now() until t - start >= seconds
  return now()
end

local function short_item()
  return until_later(SHORT * 1e-9)
end

local function last(results)
  return math.max(table.unpack(results, 1, results.n))
end

local pool <close> = bench.pool()
local backs = {}
for i = 1, MAPS do
  local results = pool:map(short_item, mp.range(ITEMS))
  backs[i] = now() - last(results)
end

local straggler_at = TASKS // 2
local function task(i)
  until_later(i == straggler_at and STRAGGLER or TASK)
  return i
end
local seconds, results = bench.time(pool.map, pool, task, mp.range(TASKS))
local ideal = ((TASKS - 1) * TASK + STRAGGLER) / bench.workers
bench.report({ back = bench.quantile(backs, 0.5), straggler = seconds / ideal }, bench.sum(results))
