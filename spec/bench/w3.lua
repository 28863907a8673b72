-- W3: 5,000 blocking apply, one after another: how long one takes.
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local CALLS = 5000
local square = bench.square

local function calls(pool, count)
  local seconds, sum = {}, 0
  for i = 1, count do
    local taken, result = bench.time(pool.apply, pool, square, { i })
    seconds[i] = taken
    sum = sum + result
  end
  return seconds, sum
end

local pool <close> = bench.pool()
calls(pool, 100)
local seconds, sum = calls(pool, CALLS)
bench.report({
  median = bench.quantile(seconds, 0.5),
  p99 = bench.quantile(seconds, 0.99),
  p999 = bench.quantile(seconds, 0.999),
}, sum)
