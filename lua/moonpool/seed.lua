-- The seeds of a pool's calls: its k-th call uses the k-th output of SplitMix64
-- started at the pool's seed (Steele, Lea and Flood, 2014), so that no two calls
-- share a stream of random numbers.

local seed = {}

local GAMMA <const> = 0x9E3779B97F4A7C15

local function mix(z)
  z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
  z = (z ~ (z >> 27)) * 0x94D049BB133111EB
  return z ~ (z >> 31)
end

--- The k-th output (from 1) of the generator that starts at `start`.
function seed.output(start, k)
  return mix(start + k * GAMMA)
end

--- A seed from this state's own math.random.
function seed.draw()
  return math.random(0)
end

return seed
