-- Processes of one's own: each runs a function beside the script, with all that the script has, and
-- tells by its exit code how it went. A daemon ends with the script, whatever that dies of.

local mp = require "moonpool"

local ROUNDS = 300000

-- Draws until it has a number that is divisible by so many powers of two.
local function search(bits)
  for round = 1, ROUNDS do
    if math.random(0) & ((1 << bits) - 1) == 0 then
      print(("%s: found one after %d rounds"):format(mp.current_process().name, round))
      return
    end
  end
  os.exit(2)
end

local function never()
  while true do
    mp.sleep(1)
  end
end

local easy = mp.Process{ name = "easy", target = search, args = { 4 } }
local hopeless = mp.Process{ name = "hopeless", target = search, args = { 60 } }
local endless = mp.Process{ name = "endless", target = never, daemon = true }

local running = { easy, hopeless, endless }
for _, process in ipairs(running) do
  process:start()
end

-- They are dealt with as they end.
local ended = 0
while ended < 2 do
  for _, process in ipairs(mp.wait(running)) do
    print(("%s: exit code %d"):format(process.name, process.exitcode))
    ended = ended + 1
    for i = #running, 1, -1 do
      if running[i] == process then
        table.remove(running, i)
      end
    end
  end
end

print(("still there: %s"):format(mp.active_children()[1].name))
endless:terminate()
endless:join()
print(("endless: exit code %d, by the signal that ended it"):format(endless.exitcode))
