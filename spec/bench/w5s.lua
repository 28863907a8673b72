-- W5s: echo 16 strings of 8 MiB, there and back.
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local STRINGS, SIZE = 16, 8 << 20
local echo = bench.echo

local strings = {}
for i = 1, STRINGS do strings[i] = string.char(96 + i):rep(SIZE) end

bench.throughput {
  items = STRINGS,
  pool = function(pool) return pool:map(echo, strings, 1) end,
  checksum = function(results)
    local sum = 0
    for i = 1, STRINGS do sum = sum + #results[i] * results[i]:byte(SIZE) end
    return sum
  end,
}
