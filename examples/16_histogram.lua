-- Shared numbers: workers count into one Array, each its own part of the data, and add up what
-- they have seen in a Value.

local mp = require "moonpool"

local DRAWS, BINS, PARTS = 400000, 10, 8

local counts = mp.Array("i8", BINS)
local draws = mp.Value("i8")

-- The sum of two dice with BINS faces between them, counted in the worker first.
local function count(part)
  math.randomseed(part)
  local own = {}
  for bin = 1, BINS do
    own[bin] = 0
  end
  for _ = 1, DRAWS // PARTS do
    local bin = (math.random(0, BINS - 1) + math.random(0, BINS - 1)) // 2 + 1
    own[bin] = own[bin] + 1
  end
  local _ <close> = counts:get_lock():hold()
  for bin = 1, BINS do
    counts[bin] = counts[bin] + own[bin]
  end
  draws:add(DRAWS // PARTS)
end

local pool <close> = mp.Pool(4)
pool:map(count, mp.range(PARTS))

local most = 0
for bin = 1, BINS do
  most = math.max(most, counts[bin])
end
for bin = 1, BINS do
  print(("%2d %s"):format(bin, ("#"):rep(counts[bin] * 50 // most)))
end
print(draws.value, "draws")
