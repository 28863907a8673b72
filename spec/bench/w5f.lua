-- W5f: a table of a million floats, there and back. Serial is what no copy can do without: two
-- loops that read such a table, and two that build one.
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local FLOATS <const> = 1000000
local echo = bench.echo

local floats = {}
for i = 1, FLOATS do floats[i] = i + 0.5 end

local function read(t)
  local sum = 0
  for i = 1, #t do sum = sum + t[i] end
  return sum
end

local function build()
  local t = {}
  for i = 1, FLOATS do t[i] = i + 0.5 end
  return t
end

bench.throughput {
  items = 1,
  warm = true,
  pool = function(pool) return pool:apply(echo, { floats }) end,
  serial = function()
    read(floats)
    local there = build()
    read(there)
    return build()
  end,
  checksum = read,
}
