-- Random numbers that depend on the seed and the item alone: an experiment gives the same numbers
-- with one worker and with four, in any chunks, with and without lost workers.

local mp = require "moonpool"

local SEED, ITEMS, POINTS = 2026, 200, 2000

-- Points of a square that lie in the circle: a quarter of pi of them.
local function hits()
  local n = 0
  for _ = 1, POINTS do
    local x, y = math.random(), math.random()
    if x * x + y * y <= 1 then
      n = n + 1
    end
  end
  return n
end

local function sum(counts)
  local n = 0
  for i = 1, counts.n do
    n = n + counts[i]
  end
  return n
end

for _, workers in ipairs { 1, 2, 4 } do
  for _, chunksize in ipairs { 1, 50 } do
    local pool <close> = mp.Pool(workers)
    local n = sum(pool:map(hits, mp.range(ITEMS), { seed = SEED, chunksize = chunksize }))
    print(("%d workers, chunks of %2d: %d hits, pi = %.6f"):format(workers, chunksize, n,
      4 * n / (ITEMS * POINTS)))
  end
end

-- Item i has the numbers of math.randomseed(seed, i), so one item alone is easily had again.
local pool <close> = mp.Pool(2)
local counts = pool:map(hits, mp.range(ITEMS), { seed = SEED })
math.randomseed(SEED, 17)
print("item 17, here and in the pool:", hits(), counts[17])
