-- The seed of a pool that was given none.

local seed = {}

--- A seed from this state's own math.random.
function seed.draw()
  return math.random(0)
end

return seed
