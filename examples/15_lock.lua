-- A lock: what several processes write in several pieces stays together. Whoever waits for a lock
-- whose holder is killed gets it, and is told.

local mp = require "moonpool"

local lock = mp.Lock()

local function write_verse(number)
  for line = 1, 3 do
    local _ <close> = lock:hold()
    io.write("verse ", number)
    io.flush()
    mp.sleep(0.005)
    io.write(", line ", line, "\n")
  end
end

local writers = {}
for number = 1, 3 do
  writers[number] = mp.Process{ target = write_verse, args = { number } }
  writers[number]:start()
end
for _, writer in ipairs(writers) do
  writer:join()
end

local taken = mp.Event()
local careless = mp.Process{ target = function()
  lock:acquire()
  taken:set()
  mp.sleep(60)
end }
careless:start()
taken:wait()
careless:kill()
print("acquired:", lock:acquire())
