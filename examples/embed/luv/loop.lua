-- A script on an event loop (lua5.4 with lua-luv): coroutines call the blocking methods of a pool, a queue
-- and a process, and a timer of 5 ms goes on ticking.

local uv = require "luv"
local mp = require "moonpool"

-- What the library calls in place of sleeping: the coroutine that called it is resumed when one of the
-- descriptors is ready, or the time is over.
mp.set_waiter(function(fds, seconds)
  local caller, handles, over = coroutine.running(), {}, false
  local function go_on(ready)
    if not over then
      over = true
      for _, handle in ipairs(handles) do
        handle:stop()
        handle:close()
      end
      assert(coroutine.resume(caller, ready))
    end
  end
  for i, fd in ipairs(fds) do
    handles[i] = uv.new_poll(fd[1])
    handles[i]:start(fd[2], function() go_on(true) end)
  end
  if seconds then
    handles[#handles + 1] = uv.new_timer()
    handles[#handles]:start(math.ceil(seconds * 1000), 0, function() go_on(false) end)
  end
  return coroutine.yield()
end)

local ticks, running, timer = 0, 0, uv.new_timer()
timer:start(5, 5, function() ticks = ticks + 1 end)

local function spawn(f)
  running = running + 1
  assert(coroutine.resume(coroutine.create(function()
    f()
    running = running - 1
    if running == 0 then
      timer:close()
    end
  end)))
end

local said = {}

spawn(function()
  local pool <close> = mp.Pool(2)
  local squares = pool:map(function(x)
    mp.sleep(0.01)
    return x * x
  end, mp.range(30))
  said.map = squares[30]
  said.apply = pool:apply(function() return "done" end)
end)

spawn(function()
  local queue = mp.Queue()
  local process = mp.Process{ target = function()
    mp.sleep(0.05)
    queue:put "from a process"
  end }
  process:start()
  said.queue = queue:get()
  process:join()
  said.run = mp.run("echo from a program").stdout:gsub("\n", "")
end)

uv.run()
print(said.map, said.apply, said.queue, said.run, ticks > 10)
