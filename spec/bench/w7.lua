-- W7: echo 20,000 nested records, default chunks.
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local ITEMS = 20000
local echo = bench.echo

local function record(i)
  return {
    id = i,
    name = "record " .. i,
    active = i % 2 == 0,
    score = i * 0.5,
    tags = { "red", "green", "blue" },
    position = { x = i, y = -i, z = i * 0.25 },
    parts = { { id = i + 1, kind = "leaf" }, { id = i + 2, kind = "leaf" } },
  }
end

local function weigh(r)
  return r.id + #r.name + (r.active and 1 or 0) + r.score * 2 + #table.concat(r.tags)
    + r.position.x + r.position.y + r.position.z * 4
    + r.parts[1].id + r.parts[2].id + #r.parts[2].kind
end

local records = {}
for i = 1, ITEMS do records[i] = record(i) end

bench.throughput {
  items = ITEMS,
  pool = function(pool) return pool:map(echo, records) end,
  serial = function()
    local results = {}
    for i = 1, ITEMS do results[i] = echo(records[i]) end
    return results
  end,
  checksum = function(results)
    local sum = 0
    for i = 1, #results do sum = sum + weigh(results[i]) end
    return sum
  end,
}
