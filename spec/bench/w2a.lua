-- W2a: map x*x over 100,000 integers, one at a time.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local ITEMS = tonumber(arg[3]) or 100000
local square = bench.square

bench.throughput {
  items = ITEMS,
  pool = function(pool) return pool:map(square, mp.range(ITEMS), 1) end,
  serial = function()
    local results = {}
    for i = 1, ITEMS do results[i] = square(i) end
    return results
  end,
  checksum = bench.sum,
}
