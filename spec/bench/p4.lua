-- P4: values through a Queue from one process to another: small ones in a stream, 1 MiB of bytes
-- there and back.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local SMALL, LARGE = 50000, 100

local here, there = mp.Queue(), mp.Queue()

local function stream(n)
  local sum = 0
  there:put(n)
  for _ = 1, n do
    sum = sum + here:get()
  end
  return sum
end

local function trips(n, value)
  local sum = 0
  for _ = 1, n do
    there:put(value)
    sum = sum + #here:get()
  end
  return sum
end

local other = mp.Process{ daemon = true, target = function()
  while true do
    local what = there:get()
    if type(what) == "string" then
      here:put(what)
    else
      for i = 1, what do here:put(i) end
    end
  end
end }

other:start()
stream(100)
local small, one = bench.time(stream, SMALL)
local large, two = bench.time(trips, LARGE, ("x"):rep(1 << 20))
other:kill()
other:join()
bench.report({ small = small / SMALL, large = large / LARGE }, one + two)
