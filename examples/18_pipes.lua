-- Pipes: two processes write, one reads from whichever has something, until both have ended.

local mp = require "moonpool"

local WORDS = {
  { "the", "moon", "pool", "is", "open" },
  { "divers", "go", "down", "and", "come", "back" },
}

-- A process that sends words one by one, and the end that they come out of.
local function writer(words, pause)
  local receives, sends = mp.Pipe(false)
  local process = mp.Process{ target = function()
    for _, word in ipairs(words) do
      mp.sleep(pause)
      sends:send({ mp.current_process().name, word })
    end
  end }
  process:start()
  sends:close() -- the process has its own; when that is closed, too, the pipe has ended
  return receives
end

local open = { writer(WORDS[1], 0.02), writer(WORDS[2], 0.015) }
local said = {}

while #open > 0 do
  for _, connection in ipairs(mp.wait(open)) do
    local ok, message = pcall(connection.recv, connection)
    if ok then
      local name, word = message[1], message[2]
      said[name] = (said[name] or "") .. " " .. word
    else
      print(message.kind)
      for i = #open, 1, -1 do
        if open[i] == connection then
          table.remove(open, i)
        end
      end
    end
  end
end

print("Process-1:" .. said["Process-1"])
print("Process-2:" .. said["Process-2"])
