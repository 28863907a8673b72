-- A function of several arguments.
--
-- `mp.zip` walks through several tables at once, and `pool:starmap` unpacks what it yields: the
-- first item calls volume(1, 10), the second volume(2, 20) ...

local mp = require "moonpool"

local function volume(radius, height)
  return math.pi * radius ^ 2 * height
end

local radii = { 1, 2, 3, 4 }
local heights = { 10, 20, 30, 40 }

local pool <close> = mp.Pool(2)
local volumes = pool:starmap(volume, mp.zip(radii, heights))
for i, v in ipairs(volumes) do
  print(("radius %d, height %d: %.1f"):format(radii[i], heights[i], v))
end
