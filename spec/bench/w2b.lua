-- W2b: 100,000 apply_async, then all results.
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local ITEMS = 100000
local square = bench.square

bench.throughput {
  items = ITEMS,
  pool = function(pool)
    local results = {}
    for i = 1, ITEMS do results[i] = pool:apply_async(square, { i }) end
    for i = 1, ITEMS do results[i] = results[i]:get() end
    return results
  end,
  serial = function()
    local results = {}
    for i = 1, ITEMS do results[i] = square(i) end
    return results
  end,
  checksum = bench.sum,
}
