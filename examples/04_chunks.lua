-- Seven items in chunks of three: {1, 2, 3} {4, 5, 6} {7}.
--
-- The items of a chunk run in one worker, one after another. Without a chunksize the pool measures
-- what an item costs and takes as many at a time as that calls for; give one where items that
-- belong together should meet in one process.

local mp = require "moonpool"

local function who(_)
  mp.sleep(0.1)
  return mp.current_process().name
end

local pool <close> = mp.Pool(3)
local names = pool:map(who, mp.range(7), 3)

local i = 1
while i <= names.n do
  local chunk, name = {}, names[i]
  while names[i] == name do
    table.insert(chunk, i)
    i = i + 1
  end
  print(name .. " ran {" .. table.concat(chunk, ", ") .. "}")
end
