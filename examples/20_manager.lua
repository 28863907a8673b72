-- A manager: a dict and a list that three processes fill at the same time, without a lock of ours.

local mp = require "moonpool"

local TEXTS = {
  "the moon pool is an opening in the hull",
  "divers go down through the opening and come back through the pool",
  "the hull is sound and the moon is up",
}

local manager <close> = mp.Manager()
local counts = manager:dict()
local lines = manager:list()

local function count(number, text)
  for word in text:gmatch "%a+" do
    mp.update(counts, word, function(n) return (n or 0) + 1 end)
  end
  lines:append(("line %d: %d letters"):format(number, #text:gsub("%A", "")))
end

local processes = {}
for i, text in ipairs(TEXTS) do
  processes[i] = mp.Process{ target = count, args = { i, text } }
  processes[i]:start()
end
for _, process in ipairs(processes) do
  process:join()
end

lines:sort()
for _, line in ipairs(lines) do
  print(line)
end
print(("the: %d, moon: %d, opening: %d, ship: %s"):format(counts.the, counts.moon, counts.opening,
  counts.ship))
