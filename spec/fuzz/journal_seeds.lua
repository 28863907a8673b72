-- Writes journals of every kind of record into the folder arg[1], for fuzz targets to begin with.
local mp = require "moonpool"

local path = arg[1] .. "/journal"
os.remove(path)
local pool <close> = mp.Pool(1)
pool:map(function(x)
  mp.task():save { step = x }
  if x == 2 then error("no") end
  return x, "text"
end, mp.range(3), { journal = path, on_error = "collect", seed = 1 })
