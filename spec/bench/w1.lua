-- W1: map x*x over a million integers, default chunks.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local ITEMS = 1000000
local square = bench.square

bench.throughput {
  items = ITEMS,
  pool = function(pool) return pool:map(square, mp.range(ITEMS)) end,
  serial = function()
    local results = {}
    for i = 1, ITEMS do results[i] = square(i) end
    return results
  end,
  checksum = bench.sum,
}
