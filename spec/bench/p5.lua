-- P5: a value of a manager's dict, got and set.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local N = 10000

local manager = mp.Manager()
local dict = manager:dict { a = 1 }

local function get(n)
  local sum = 0
  for _ = 1, n do
    sum = sum + dict.a
  end
  return sum
end

local function set(n)
  for i = 1, n do
    dict.b = i
  end
  return dict.b
end

get(100)
local got, one = bench.time(get, N)
local put, two = bench.time(set, N)
manager:shutdown()
bench.report({ get = got / N, set = put / N }, one + two)
