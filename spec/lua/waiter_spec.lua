-- timeout: 60
-- A waiter in the library's place: by Lua's coroutines on libuv, and what it is told.
local script = require "spec.support.script"

local function run(command)
  local pipe = io.popen(command .. " 2>&1")
  local text = pipe:read("a")
  pipe:close()
  return text
end

describe("a waiter", function()
  it("lets coroutines on an event loop call what blocks", function()
    assert.equal("900\tdone\tfrom a process\tfrom a program\ttrue\n",
      run("timeout 50 lua5.4 examples/embed/luv/loop.lua"))
  end)

  it("is asked by every blocking call, and told for what", function()
    assert.equal("map r\napply r\nsleep\nqueue\nlock\njoin\nprocess r\nwait r\nrecv r\nrun\nends\n", script.output [[
      local asked
      mp.set_waiter(function(fds, seconds)
        asked = fds[1] and " " .. fds[1][2] or ""
        if fds[1] then assert(math.type(fds[1][1]) == "integer") end
        assert(seconds == nil or seconds >= 0)
        local until_then = mp.monotonic() + math.min(seconds or 0.002, 0.002)
        while mp.monotonic() < until_then do end
        return #fds > 0
      end)
      local function say(name, f, ...)
        asked = nil
        f(...)
        assert(asked, name .. " did not ask")
        print(name .. (name == "run" and "" or asked))
      end
      local function pause() local t = os.clock() while os.clock() < t + 0.02 do end end
      local pool = mp.Pool(2)
      say("map", pool.map, pool, pause, { 1, 2 })
      say("apply", pool.apply, pool, pause)
      say("sleep", mp.sleep, 0.01)
      local q, l = mp.Queue(), mp.Lock()
      l:acquire()
      say("queue", pcall, q.get, q, true, 0.01)
      say("lock", l.acquire, l, true, 0.01)
      pool:close()
      say("join", pool.join, pool)
      local p = mp.Process{ target = pause }
      p:start()
      say("process", p.join, p)
      p = mp.Process{ target = pause }
      p:start()
      say("wait", mp.wait, { p })
      p:join()
      local a, b = mp.Pipe()
      p = mp.Process{ target = function() pause() b:send(1) end }
      p:start()
      say("recv", a.recv, a)
      p:join()
      say("run", mp.run, "true")
      mp.set_waiter(nil)
      asked = nil
      mp.sleep(0.01)
      print(asked == nil and "ends")
    ]])
  end)

  it("may raise, which ends the call and harms nothing", function()
    assert.equal("false\tstop\n6\n", script.output [[
      local pool <close> = mp.Pool(1)
      pool:apply(function() end)
      mp.set_waiter(function() error("stop", 0) end)
      print(pcall(pool.apply, pool, function() mp.sleep(0.05) return 5 end))
      mp.set_waiter(nil)
      print(pool:apply(function() return 6 end))
    ]])
  end)

  it("that yields lets the coroutines of a process speak to one another", function()
    assert.equal("recv\t5\nbarrier\ttrue\ntrue\n", script.output [[
      local going = {}
      mp.set_waiter(function(_, seconds)
        coroutine.yield()
        return (seconds or 1) < 0
      end)
      local function run(...)
        for i, f in ipairs { ... } do going[i] = coroutine.create(f) end
        while #going > 0 do
          for i = #going, 1, -1 do
            assert(coroutine.resume(going[i]))
            if coroutine.status(going[i]) == "dead" then table.remove(going, i) end
          end
        end
      end

      local a, b = mp.Pipe()
      run(function() print("recv", a:recv()) end, function()
        mp.sleep(0.3)
        b:send(5)
      end)
      local barrier, places = mp.Barrier(2), 0
      local function come()
        local place = barrier:wait()
        places = places + place
      end
      run(function()
        come()
        print("barrier", places == 1 or places == 0)
      end, function()
        mp.sleep(0.3)
        come()
      end)
      print(places == 1)
    ]])
  end)

  it("must be a function", function()
    local _, err = pcall(require("moonpool").set_waiter, 5)
    assert.equal("argument", err.kind)
  end)
end)
