-- A queue inside a pool's tasks: a crawl that finds its own work. Each task puts the places that it
-- has found into the queue; the script hands each new one to the pool.

local mp = require "moonpool"

-- A maze of rooms; in truth this would be pages, files or states of a search.
local DOORS = {
  hall = { "stairs", "kitchen", "cellar" },
  stairs = { "attic", "hall" },
  kitchen = { "garden", "cellar" },
  cellar = { "tunnel" },
  garden = { "tunnel" },
  tunnel = { "moon pool" },
}

local pool <close> = mp.Pool(3)
local doors = mp.share(DOORS) -- once into shared memory, decoded once by each worker
local found = mp.Queue()

local function explore(room, depth)
  for _, next_room in ipairs(doors:get()[room] or {}) do
    found:put({ room = next_room, depth = depth + 1 })
  end
  found:put(nil) -- this room is done
end

local seen, rooms, under_way = { hall = 0 }, { "hall" }, 1
pool:apply_async(explore, { "hall", 0 })
while under_way > 0 do
  local place = found:get()
  if not place then
    under_way = under_way - 1
  elseif not seen[place.room] then
    seen[place.room] = place.depth
    rooms[#rooms + 1] = place.room
    under_way = under_way + 1
    pool:apply_async(explore, { place.room, place.depth })
  end
end

table.sort(rooms)
print(#rooms .. " rooms: " .. table.concat(rooms, ", "))
