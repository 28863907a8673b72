-- P2: the sum of a shared Array of 10,000,000 doubles, each worker its part, in slices.
local mp = require "moonpool"
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local ELEMENTS, SLICE = 10000000, 10000

local array = mp.Array("d", ELEMENTS)
array:fill(0.5)

local function sum(part)
  local total, length = 0, ELEMENTS // bench.workers
  for first = (part - 1) * length + 1, part * length, SLICE do
    for _, element in ipairs(array:slice(first, first + SLICE - 1)) do total = total + element end
  end
  return total
end

local pool <close> = bench.pool()
local parts = {}
for part = 1, bench.workers do parts[part] = part end
local seconds, sums = bench.time(function() return pool:map(sum, parts, 1) end)
bench.report({ element = seconds / ELEMENTS }, bench.sum(sums))
