-- P3: values there and back through a Pipe to another process: small ones, and 1 MiB of bytes.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local SMALL, LARGE = 20000, 100

local here, there = mp.Pipe()
local echo = mp.Process{ daemon = true, target = function()
  while true do there:send(there:recv()) end
end }

local function trips(n, value)
  local sum = 0
  for i = 1, n do
    here:send(value or i)
    local back = here:recv()
    sum = sum + (value and #back or back)
  end
  return sum
end

echo:start()
trips(100)
local small, one = bench.time(trips, SMALL)
local large, two = bench.time(trips, LARGE, ("x"):rep(1 << 20))
echo:kill()
echo:join()
bench.report({ small = small / SMALL, large = large / LARGE }, one + two)
