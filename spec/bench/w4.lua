-- W4: make a pool of 2, or of 8, run one task, close, join; the median of 20.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local TIMES = 20
local square = bench.square

local function life(workers, x)
  local pool = mp.Pool(workers)
  local result = pool:apply(square, { x })
  pool:close()
  pool:join()
  return result
end

local function lives(workers)
  local seconds, sum = {}, 0
  for i = 1, TIMES do
    local taken, result = bench.time(life, workers, i)
    seconds[i] = taken
    sum = sum + result
  end
  return bench.quantile(seconds, 0.5), sum
end

local two, sum_of_two = lives(2)
local eight, sum_of_eight = lives(8)
bench.report({ two = two, eight = eight }, sum_of_two + sum_of_eight)
