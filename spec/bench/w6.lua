-- W6: 2,000 tasks of heavy-tailed cost, default chunks, in mixed order and the longest last: by how
-- much it takes longer than the serial loop, spread over the workers without a gap.
local bench = dofile((arg[0]:match("^.*/") or "") .. "bench.lua")

local TASKS, LEAST, MOST = 2000, 4000, 400000 -- rounds of the loop

local function spin(rounds)
  local x = 1
  for _ = 1, rounds do x = (x * 16807) % 2147483647 end
  return x
end

-- Costs after Pareto, of exponent 1; the same numbers in all languages.
local costs, state = {}, 42
for i = 1, TASKS do
  state = (state * 16807) % 2147483647
  costs[i] = math.min(MOST, LEAST * 2147483647 // state)
end
local sorted = table.move(costs, 1, TASKS, 1, {})
table.sort(sorted)

local function serial()
  local sum = 0
  for i = 1, TASKS do sum = sum + spin(costs[i]) end
  return sum
end

local pool <close> = bench.pool()
pool:map(spin, costs)
-- Before, between and behind: how fast a shared machine is changes.
local first, expected = bench.time(serial)
local mixed, results = bench.time(pool.map, pool, spin, costs)
local second = bench.time(serial)
local longest_last, others = bench.time(pool.map, pool, spin, sorted)
local third = bench.time(serial)
local ideal = (first + 2 * second + third) / 4 / bench.workers
assert(bench.sum(results) == expected and bench.sum(others) == expected)
bench.report({ mixed = mixed / ideal, sorted = longest_last / ideal }, expected)
