-- Results in the order in which they are ready.
--
-- `pool:apply_async` returns at once. Its callback gets what the function returned, in this process
-- and inside a call that waits, here `pool:wait`: no lock is needed to append to a table.

local mp = require "moonpool"

local function nap(seconds)
  mp.sleep(seconds)
  return seconds
end

local finished = {}
local pool <close> = mp.Pool(3)
for _, seconds in ipairs { 0.9, 0.1, 0.5 } do
  pool:apply_async(nap, { seconds }, function(result) table.insert(finished, result) end)
end
print("submitted 0.9 0.1 0.5, finished so far: " .. #finished)

pool:wait()
print("finished in the order " .. table.concat(finished, " "))
