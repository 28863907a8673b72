-- What the workloads share. Each is run as
--
--   moonpool spec/bench/wN.lua [pool | serial [WORKERS]]
--
-- and prints one line: its measures, in seconds, and a checksum of its results, by which those of
-- all engines are compared. Making the pool, starting its workers and making the inputs are not
-- measured, unless they are what the workload is about.
local mp = require "moonpool"

local bench = {
  serial = arg[1] == "serial",
  workers = tonumber(arg[2]) or 2,
}

function bench.square(x)
  return x * x
end

function bench.echo(x)
  return x
end

function bench.sum(results)
  local sum = 0
  for i = 1, #results do sum = sum + results[i] end
  return sum
end

-- A pool whose workers are awake.
function bench.pool()
  local pool = mp.Pool(bench.workers)
  pool:map(bench.echo, mp.range(1000))
  return pool
end

-- The seconds that f(...) takes, and what it returns.
function bench.time(f, ...)
  local start = mp.monotonic()
  local result = f(...)
  return mp.monotonic() - start, result
end

-- The value below which this share of the values lies, by the nearest rank.
function bench.quantile(values, share)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  return sorted[math.max(1, math.ceil(share * #sorted))]
end

function bench.report(measures, checksum)
  local words = {}
  for name, seconds in pairs(measures) do
    table.insert(words, ("%s=%.12f"):format(name, seconds))
  end
  print(("%s checksum=%d"):format(table.concat(words, " "), checksum))
end

-- Runs a workload that is so many items, all under way at once: { items = their number,
-- pool = function(pool) and serial = function(), which return the results, checksum = function,
-- warm = whether it runs once before it is measured }.
function bench.throughput(workload)
  local seconds, results
  if bench.serial then
    collectgarbage()
    seconds, results = bench.time(workload.serial)
  else
    local pool <close> = bench.pool()
    if workload.warm then workload.pool(pool) end
    collectgarbage()
    seconds, results = bench.time(workload.pool, pool)
  end
  bench.report({ item = seconds / workload.items }, workload.checksum(results))
end

return bench
